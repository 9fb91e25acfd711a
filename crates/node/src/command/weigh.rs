//! Before something hurts: what it would do is shown, and asked for.

use super::output::Output;
use super::registry::ask;
use crate::api::{Action, Preview, RegistryRequest};
use crate::client::Client;
use crate::error::CliError;
use crate::schema::EffectsReport;

/// Shows what `action` would do and asks; `--yes` spares both.
///
/// # Errors
/// What the broker would refuse; `confirmation_needed` where nobody can be asked; `cancelled`.
pub(super) fn weigh(
    action: &Action,
    question: &str,
    client: &Client,
    output: &Output,
) -> Result<(), CliError> {
    if output.can_ask() {
        let preview = Preview { action: action.clone() };
        let report: EffectsReport = client.get(&ask(RegistryRequest::Preview(Box::new(preview))))?;
        for effect in report.effects.iter().chain(&report.warnings) {
            output.note(&format!("  {}", effect.message));
        }
    }
    output.confirm(question)
}
