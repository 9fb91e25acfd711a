//! What is said on the API socket, to the daemon by its command line, its pages and other people's programs. This crate
//! never speaks itself: it has the words, not the socket.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod error;
#[cfg(feature = "registry")]
pub mod export;
#[cfg(feature = "openapi")]
pub mod openapi;
pub mod request;
pub mod schema;

pub use error::{ApiError, CliError, Exit, Trouble};
pub use request::{ApiRequest, Parts};

/// All of this as an OpenAPI 3.1 document, for other people's programs.
#[cfg(feature = "registry")]
pub const OPENAPI: &str = include_str!("../../../docs/reference/openapi.json");
