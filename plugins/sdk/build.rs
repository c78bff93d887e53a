//! Encodes the worlds that a plugin can be built for, as the custom section from which the linker makes a
//! component. The bindings are generated once, for the largest world; the section decides what a guest exports.

use std::error::Error;
use std::path::PathBuf;

use wit_component::StringEncoding;
use wit_parser::Resolve;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=../../wit");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir("../../wit")?;
    for world in ["provisioner-plugin", "post-processor-plugin", "full-plugin"] {
        let id = resolve.select_world(&[package], Some(world))?;
        let section = wit_component::metadata::encode(&resolve, id, StringEncoding::UTF8, None)?;
        std::fs::write(out.join(world), section)?;
    }
    Ok(())
}
