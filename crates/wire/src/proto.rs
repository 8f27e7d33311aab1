//! The messages of the schema, as `prost` generates them.
#![expect(missing_docs, reason = "the schema documents them")]

include!(concat!(env!("OUT_DIR"), "/bugle.link.v1.rs"));
