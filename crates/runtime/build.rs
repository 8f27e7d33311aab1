//! Generates the link's service; its messages are those of `bugle-wire`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let schema = "../wire/proto/bugle/link/v1/link.proto";
    println!("cargo::rerun-if-changed={schema}");
    let descriptors = protox::compile([schema], ["../wire/proto"])?;
    tonic_prost_build::configure()
        // Its `connect` would have the name of the schema's.
        .build_transport(false)
        .extern_path(".bugle.link.v1", "::bugle_wire::proto")
        .compile_fds(descriptors)?;
    Ok(())
}
