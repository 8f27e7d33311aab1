//! Servers and clients on an in-memory link in virtual time, and with other people's programs over loopback.

mod desk;
mod openssl;
mod shaking_hands;
