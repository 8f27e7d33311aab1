//! The endpoint as its peers and its caller see it.

mod blockwise;
mod codec;
mod crash;
mod desk;
mod exchanges;
mod limits;
mod observing;
mod operations;
mod pair;
mod rejection;
mod wire;
