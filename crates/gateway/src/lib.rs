//! The gateway service: sockets, store and link around one edge.
