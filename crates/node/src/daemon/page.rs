//! The page inside the daemon's process, for small set-ups: a thread of its own, without capabilities, that asks the
//! API socket as any other page does.

use crate::config::Config;
use crate::error::{CliError, Trouble};
use crate::files::Layout;
use crate::page::{self, Doors};
use crate::schema::{Problem, Severity};

/// Opens its doors while this process may, if it is wanted here. What is in its way is not in the network's.
pub(super) fn open(layout: &Layout, config: &Config) -> Result<Option<Doors>, Problem> {
    if !config.page.inside {
        return Ok(None);
    }
    page::open(layout, config).map(Some).map_err(|error| Problem {
        code: error.code.into_owned(),
        severity: Severity::Error,
        message: format!("the page is not served: {}", error.message),
        hint: error.hint,
    })
}

/// Serves it for as long as the process lives.
pub(super) fn start(layout: &Layout, config: &Config, doors: Doors) -> Result<(), CliError> {
    let failed =
        |error: std::io::Error| CliError::new(Trouble::Internal, format!("no thread for the page: {error}"));
    let (layout, config) = (layout.clone(), config.clone());
    let address = page::address(&config);
    let serve = move || {
        super::privileges::drop_all();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(2)
            .thread_name("ln6d-stretching")
            .build();
        let served = runtime
            .map_err(failed)
            .and_then(|runtime| runtime.block_on(page::serve(&layout, &config, doors)));
        if let Err(error) = served {
            tracing::error!(error = %error.message, "the page is not served any more");
        }
    };
    std::thread::Builder::new().name("ln6d-page".to_owned()).spawn(serve).map_err(failed)?;
    tracing::info!(address, "serving the page");
    Ok(())
}
