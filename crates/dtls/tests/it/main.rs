//! Servers and clients on an in-memory link in virtual time, and with other people's programs over loopback.

mod arbitrary;
mod closing;
mod coming_back;
mod desk;
mod hostile;
mod libcoap;
mod limits;
mod mbedtls;
mod moving;
mod openssl;
mod outliving;
mod shaking_hands;
mod shore;
mod weather;
