//! The configuration file.

use ln6_node::config::{Config, render};
use std::path::Path;

/// A file. What is read can be written and means the same; what is refused is refused with its place.
pub fn config(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    match Config::parse(text, Path::new("ln6d.toml")) {
        Ok(config) => {
            let written = render(&config);
            assert_eq!(
                Config::parse(&written, Path::new("again.toml")).as_ref(),
                Ok(&config),
                "{}",
                *written
            );
            assert_eq!(*render(&config), *written);
        }
        Err(error) => assert!(error.to_string().contains("ln6d.toml"), "{error}"),
    }
}
