//! What is said on the API socket, to the daemon by its command line, its pages and other people's programs. This crate
//! never speaks itself: it has the words, not the socket.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod error;
#[cfg(feature = "registry")]
pub mod export;
pub mod request;
pub mod schema;

pub use error::{ApiError, CliError, Exit, Trouble};
pub use request::{ApiRequest, Parts};
