//! Every decoder of what others send has a fuzz target.

use super::assert_none;
use crate::workspace::root;
use std::path::Path;

/// A file, the function in it that decodes, and the name of its fuzz target.
type Decoder = (&'static str, &'static str, &'static str);

/// Whoever writes a decoder adds a line here and a file to the fuzz targets.
const DECODERS: &[Decoder] = &[];

fn complaints(root: &Path, decoders: &[Decoder]) -> Vec<String> {
    let mut complaints = Vec::new();
    for (file, function, target) in decoders {
        match std::fs::read_to_string(root.join(file)) {
            Err(_) => complaints.push(format!("{file}, which decodes, does not exist")),
            Ok(text) if !text.contains(&format!("fn {function}")) => {
                complaints.push(format!("{file} has no function {function}"));
            }
            Ok(_) => {}
        }
        let path = format!("fuzz/fuzz_targets/{target}.rs");
        if !root.join(&path).exists() {
            complaints.push(format!("{function} of {file} has no fuzz target {path}"));
        }
    }
    complaints
}

#[test]
fn every_decoder_has_a_fuzz_target() {
    assert_none(&complaints(root(), DECODERS));
}

#[test]
fn a_decoder_without_file_function_or_target_is_found() {
    let here = "xtask/src/tidy/decoders.rs";
    assert_eq!(complaints(root(), &[("gone.rs", "decode", "none")]).len(), 2);
    assert_eq!(complaints(root(), &[(here, concat!("decode_", "nothing"), "none")]).len(), 2);
    assert_eq!(complaints(root(), &[(here, "complaints", "none")]).len(), 1);
}
