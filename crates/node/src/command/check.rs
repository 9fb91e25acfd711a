//! `doctor`, `config check` and `key show`: what this machine says, with the daemon's word where there is one.

use super::output::Output;
use crate::api::ApiRequest;
use crate::cli::Doctor;
use crate::client::Client;
use crate::config::Config;
use crate::doctor::{gather, judge, worst_first};
use crate::error::{CliError, Exit};
use crate::files::Layout;
use crate::files::identity::Identity;
use crate::schema::{DoctorReport, KeyReply, Severity};
use ln6_types::NetworkUla;

pub(super) fn doctor(doctor: &Doctor, layout: &Layout, output: &Output) -> Result<Exit, CliError> {
    let mut report = judge(&gather(layout));
    // The daemon sees more: the uplink, offloads, what the kernel refused. Without it, what we see has to do.
    if let Ok(more) = Client::new(layout).get::<DoctorReport>(&ApiRequest::Doctor) {
        merge(&mut report, more);
    }
    let limit = if doctor.strict { Severity::Warning } else { Severity::Error };
    let broken = report.findings.iter().any(|finding| finding.severity >= limit);
    output.show(report);
    Ok(if broken { Exit::Findings } else { Exit::Ok })
}

/// The daemon's word wins where both speak of the same.
fn merge(report: &mut DoctorReport, more: DoctorReport) {
    report.findings.retain(|known| !more.findings.iter().any(|finding| finding.code == known.code));
    report.findings.extend(more.findings);
    report.passed.extend(more.passed);
    worst_first(&mut report.findings);
}

pub(super) fn config(layout: &Layout, output: &Output) -> Result<Exit, CliError> {
    match Config::load(layout) {
        Ok(_) => {
            let words = format!("{} is valid", layout.config.display());
            if output.is_json() {
                output.show(DoctorReport { findings: Vec::new(), passed: vec![words] });
            } else {
                output.text(&(words + "\n"));
            }
            Ok(Exit::Ok)
        }
        Err(error) if error.exit == Exit::Usage => Err(CliError { exit: Exit::Findings, ..error }),
        Err(error) => Err(error),
    }
}

pub(super) fn key(layout: &Layout, output: &Output) -> Result<Exit, CliError> {
    let identity = Identity::load(&layout.identity)?;
    // A broken configuration is told by 'config check'; the keys are known without it.
    let config = Config::load_file(&layout.config).ok().flatten();
    let network = config.and_then(|config| config.network).map(|network| network.fingerprint);
    output.show(describe(&identity, network));
    Ok(Exit::Ok)
}

/// The public side of an identity.
pub(crate) fn describe(identity: &Identity, network: Option<ln6_types::Fingerprint>) -> KeyReply {
    let key = identity.secret.public();
    let router_id = ln6_crypto::router_id(&key);
    let address = network.as_ref().map(|network| NetworkUla::of(network).node_address(&router_id));
    KeyReply { key, sign: identity.signing.verify_key(), router_id, network, address }
}
