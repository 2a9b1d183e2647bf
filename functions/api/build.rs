//! Removes the line breaks and the indentation of the documents that the function serves.

use std::path::Path;
use std::{env, fs};

fn main() {
    #[expect(clippy::disallowed_methods, reason = "Cargo sets it")]
    let folder = env::var_os("OUT_DIR").expect("Cargo sets OUT_DIR");
    for name in ["openapi.json", "event-types.json"] {
        println!("cargo::rerun-if-changed={name}");
        let text = fs::read_to_string(name).expect("the document can be read");
        // A string in JSON has no line break.
        let compact: String = text.lines().map(str::trim_start).collect();
        fs::write(Path::new(&folder).join(name), compact).expect("the document can be written");
    }
}
