//! Compiles the link's schema into messages, without a `protoc` to install.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let schema = "proto/bugle/link/v1/link.proto";
    println!("cargo::rerun-if-changed={schema}");
    let descriptors = protox::compile([schema], ["proto"])?;
    prost_build::Config::new()
        // The entries of a log are shipped as stored, so they are not copied on their way.
        .bytes([".bugle.link.v1.Up.entries", ".bugle.link.v1.Down.entries"])
        // Ordered, so that equal entries have equal bytes.
        .btree_map(["."])
        .compile_fds(descriptors)?;
    Ok(())
}
