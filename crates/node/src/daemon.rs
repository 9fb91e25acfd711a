//! The running node.

use crate::config::Config;
use crate::error::{CliError, Trouble};
use crate::files::Layout;
use crate::logging::LogLevel;

/// Runs the node until it is told to stop.
pub fn run(_layout: &Layout, _config: Config, _log: &LogLevel) -> Result<(), CliError> {
    Err(CliError::new(Trouble::Internal, "the daemon is not part of this build"))
}
