//! What may be in the way on this machine: facts are gathered first, then judged without touching anything.

mod gather;

pub(crate) use gather::exists;
pub use gather::gather;

use crate::cipher::{self, Speed};
use crate::config::{Config, Inbound};
use crate::error::{CliError, Trouble};
use crate::schema::{DoctorReport, Problem, Severity, Time};

/// 2026-01-01: no clock that is set shows an earlier time.
pub const CLOCK_FLOOR: Time = Time::from_secs(1_767_225_600);
/// 2040-01-01: no clock that is right shows a later time, for as long as this version is in use.
pub const CLOCK_CEILING: Time = Time::from_secs(2_208_988_800);
/// Less free space than this is worth a word, octets.
const LITTLE_SPACE: u64 = 16 << 20;
/// Outer headers around an inner packet: IPv6, UDP and WireGuard's.
const OVERHEAD: u32 = 40 + 8 + 32;

/// Whether a device or a port can be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Usable {
    /// Yes.
    Yes,
    /// It does not exist, or is taken.
    No,
    /// We may not.
    Denied,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Facts {
    /// How the operator calls this node's program.
    pub command: String,
    /// The configuration, or what is wrong with it; `None` if there is none.
    pub config: Result<Option<Config>, CliError>,
    /// Permissions of the configuration file.
    pub config_mode: Option<u32>,
    /// What is wrong with the identity.
    pub identity: Option<CliError>,
    /// Whether the root key still lies here.
    pub root_key_here: bool,
    /// Whether the daemon answers.
    pub running: bool,
    /// `/dev/net/tun`.
    pub tun: Usable,
    /// Whether this process could configure the network.
    pub net_admin: bool,
    /// The system's clock.
    pub now: Time,
    /// Whether the kernel forwards IPv6; `None` if it does not say.
    pub forwarding: Option<bool>,
    /// Whether the kernel has source-specific routes (`CONFIG_IPV6_SUBTREES`); `None` if it does not say.
    pub subtrees: Option<bool>,
    /// The UDP port.
    pub port: Usable,
    /// Whether the TUN device's name is in use.
    pub interface_exists: bool,
    /// LAN interfaces that are not there.
    pub missing_lans: Vec<String>,
    /// The interface of the IPv6 default route, and whether it still takes router advertisements while forwarding.
    pub uplink: Option<(String, bool)>,
    /// Smallest MTU of an interface with a default route.
    pub uplink_mtu: Option<u32>,
    /// Free space where the state is, octets.
    pub free: Option<u64>,
    /// Whether the kernel has nftables; `None` if it does not say.
    pub nftables: Option<bool>,
    /// How fast this machine seals.
    pub speeds: Vec<Speed>,
    /// What stands between the uplink and the pools.
    pub surroundings: Vec<Problem>,
}

/// What that means, worst first.
pub fn judge(facts: &Facts) -> DoctorReport {
    let mut report = DoctorReport::default();
    let mut check = Check { report: &mut report };
    configuration(&mut check, facts);
    permissions(&mut check, facts);
    clock(&mut check, facts.now);
    devices(&mut check, facts);
    kernel(&mut check, facts);
    uplink(&mut check, facts);
    ciphers(&mut check, facts);
    facts.surroundings.iter().for_each(|finding| check.found(finding.clone()));
    if let Some(free) = facts.free {
        let little = Problem {
            code: "disk_nearly_full".into(),
            severity: Severity::Warning,
            message: format!("only {} are free where the state is kept", crate::render::bytes(free)),
            hint: Some("free some space: certificates and delegations could not be stored".into()),
        };
        check.unless(free < LITTLE_SPACE, little, "there is space for the state");
    }
    worst_first(&mut report.findings);
    report
}

/// Puts the worst in front; among equals the order stays.
pub fn worst_first(findings: &mut Vec<Problem>) {
    let all = std::mem::take(findings);
    for severity in [Severity::Error, Severity::Warning, Severity::Note] {
        findings.extend(all.iter().filter(|finding| finding.severity == severity).cloned());
    }
}

/// What the host around the node says, in the same form.
pub fn of_host(finding: &ln6_host::finding::Finding) -> Problem {
    let severity = match finding.severity {
        ln6_host::finding::Severity::Note => Severity::Note,
        ln6_host::finding::Severity::Warning => Severity::Warning,
        ln6_host::finding::Severity::Error => Severity::Error,
    };
    note(
        &crate::error::stable_code(finding.code.into()),
        severity,
        finding.message.clone(),
        finding.hint.clone(),
    )
}

/// The same form for what the system or the command line finds.
pub fn problem(severity: Severity, error: &CliError) -> Problem {
    Problem {
        code: error.code.to_string(),
        severity,
        message: error.message.clone(),
        hint: error.hint.clone(),
    }
}

struct Check<'a> {
    report: &'a mut DoctorReport,
}

impl Check<'_> {
    fn found(&mut self, finding: Problem) {
        self.report.findings.push(finding);
    }

    fn passed(&mut self, words: &str) {
        self.report.passed.push(words.to_owned());
    }

    fn unless(&mut self, wrong: bool, finding: Problem, words: &str) {
        if wrong { self.found(finding) } else { self.passed(words) }
    }

    fn error(&mut self, trouble: Trouble, message: impl Into<String>) {
        self.found(problem(Severity::Error, &CliError::new(trouble, message)));
    }
}

fn note(code: &str, severity: Severity, message: String, hint: String) -> Problem {
    Problem { code: code.to_owned(), severity, message, hint: Some(hint) }
}

fn configuration(check: &mut Check<'_>, facts: &Facts) {
    match &facts.config {
        Err(error) => check.found(problem(Severity::Error, error)),
        Ok(None) => check.found(note(
            "no_config",
            Severity::Error,
            "no node is set up here".into(),
            format!(
                "begin with '{0} init …' (a new network) or '{0} join LINK' (an existing one)",
                facts.command
            ),
        )),
        Ok(Some(config)) if config.network.is_none() => check.found(note(
            "no_network",
            Severity::Error,
            "this node belongs to no network".into(),
            format!("'{} join LINK' with an invitation from the broker's operator", facts.command),
        )),
        Ok(Some(_)) => check.passed("the configuration is valid"),
    }
    if !facts.running && matches!(facts.config, Ok(Some(_))) {
        check.found(note(
            "daemon_unreachable",
            Severity::Warning,
            "the daemon does not run".into(),
            format!("start it: {} run", facts.command),
        ));
    }
}

fn permissions(check: &mut Check<'_>, facts: &Facts) {
    match &facts.identity {
        Some(error) if error.code == "no_identity" && !matches!(facts.config, Ok(Some(_))) => {}
        Some(error) => check.found(problem(Severity::Error, error)),
        None => check.passed("the identity is private"),
    }
    let secrets = matches!(&facts.config, Ok(Some(config)) if config.has_secrets());
    if let Some(mode) = facts.config_mode.filter(|mode| secrets && mode & 0o044 != 0) {
        check.found(note(
            "config_exposed",
            Severity::Warning,
            format!("the configuration holds secrets and can be read by others (mode {mode:04o})"),
            "chmod 600 it, and replace the secrets in it".into(),
        ));
    }
    if facts.root_key_here {
        check.found(note(
            "root_key_here",
            Severity::Warning,
            "the root key of the network still lies on this machine".into(),
            "move root.key to a safe place: who takes it owns the network".into(),
        ));
    }
}

fn clock(check: &mut Check<'_>, now: Time) {
    if now < CLOCK_FLOOR {
        check.error(Trouble::ClockUnset, format!("the clock shows {now}, which is long past"));
    } else if now > CLOCK_CEILING {
        check.error(Trouble::ClockUnset, format!("the clock shows {now}, which is far ahead"));
    } else {
        check.passed("the clock is plausible");
    }
}

/// What sessions are sealed with, and whether that is wise here.
fn ciphers(check: &mut Check<'_>, facts: &Facts) {
    let Ok(Some(config)) = &facts.config else { return };
    let all: Vec<String> =
        facts.speeds.iter().map(|speed| format!("{} {:.2} GB/s", speed.suite, speed.rate / 1e9)).collect();
    let (usual, wish) = (cipher::choose(None, &facts.speeds), config.node.suite);
    let chosen = cipher::choose(wish, &facts.speeds);
    let slower = wish.is_some() && chosen.first() != usual.first();
    let first = chosen.first().map_or("", |suite| suite.name());
    let finding = note(
        "suite_slower",
        Severity::Note,
        format!("suite = \"{first}\" is not what this machine seals fastest with: {}", all.join(", ")),
        "set suite = \"auto\" under [node], unless there is a reason".into(),
    );
    check.unless(slower, finding, &format!("sessions prefer {first}; here: {}", all.join(", ")));
}

fn devices(check: &mut Check<'_>, facts: &Facts) {
    match facts.tun {
        Usable::Yes => check.passed("/dev/net/tun can be opened"),
        Usable::No => check.error(Trouble::NoTunDevice, "there is no /dev/net/tun"),
        Usable::Denied if !facts.running => {
            check.error(Trouble::NotPermitted, "/dev/net/tun may not be opened by this user")
        }
        Usable::Denied => {}
    }
    if facts.running {
        return;
    }
    let privileged = note(
        "not_permitted",
        Severity::Warning,
        "this user may not configure the network".into(),
        Trouble::NotPermitted.hint().into(),
    );
    check.unless(!facts.net_admin, privileged, "this user may configure the network");
    let Ok(Some(config)) = &facts.config else { return };
    match facts.port {
        Usable::Yes => check.passed("the UDP port is free"),
        _ => check.error(
            Trouble::PortInUse,
            format!("UDP port {} is in use by another program", config.node.listen),
        ),
    }
    if facts.interface_exists {
        check.error(
            Trouble::InterfaceTaken,
            format!("there is an interface {} already", config.node.interface),
        );
    }
}

fn kernel(check: &mut Check<'_>, facts: &Facts) {
    let config = facts.config.as_ref().ok().and_then(Option::as_ref);
    let routes = config.is_some_and(|config| !config.lans.is_empty() || config.broker.is_some());
    match facts.forwarding {
        Some(false) if routes && facts.running => {
            check.error(Trouble::ForwardingOff, "the kernel does not forward IPv6 packets");
        }
        Some(false) if routes => check.found(note(
            "forwarding_off",
            Severity::Warning,
            "the kernel does not forward IPv6 packets yet".into(),
            format!("'run' switches it on if it may; to keep it: {}", Trouble::ForwardingOff.hint()),
        )),
        Some(true) => check.passed("the kernel forwards IPv6"),
        _ => {}
    }
    if facts.subtrees == Some(false) {
        check.found(note(
            "no_source_routes",
            Severity::Warning,
            "the kernel has no source-specific routes (CONFIG_IPV6_SUBTREES)".into(),
            "with one exit nothing is lost; with several, use a kernel that has them".into(),
        ));
    }
    if facts.nftables == Some(false) && config.is_some_and(|config| config.firewall.inbound != Inbound::Off) {
        check.found(note(
            "no_nftables",
            Severity::Error,
            "the kernel has no nftables, so inbound connections cannot be filtered".into(),
            "modprobe nf_tables; or filter otherwise and set inbound = \"off\" under [firewall]".into(),
        ));
    }
    for lan in &facts.missing_lans {
        let missing =
            CliError::new(Trouble::InterfaceMissing, format!("the LAN interface {lan} does not exist"));
        let missing = missing
            .hint("'ip link' lists the interfaces there are; 'ln6d join LINK --lan NAME' names another one");
        check.found(problem(Severity::Warning, &missing));
    }
}

fn uplink(check: &mut Check<'_>, facts: &Facts) {
    if let Some((name, false)) = &facts.uplink
        && facts.forwarding == Some(true)
    {
        check.found(note(
            "uplink_forgets_router",
            Severity::Warning,
            format!("{name} ignores router advertisements because the kernel forwards: its default route will run out"),
            format!("sysctl -w net.ipv6.conf.{name}.accept_ra=2, or set the uplink's route by hand"),
        ));
    }
    let config = facts.config.as_ref().ok().and_then(Option::as_ref);
    if let (Some(outer), Some(config)) = (facts.uplink_mtu, config) {
        let needed = u32::from(config.node.mtu) + OVERHEAD;
        let small = note(
            "mtu_too_large",
            Severity::Warning,
            format!("packets of {needed} octets do not fit through an uplink of {outer}"),
            format!("set mtu = {} under [node]", outer.saturating_sub(OVERHEAD).max(1280)),
        );
        check.unless(outer < needed, small, "full packets fit through the uplink");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::NodeName;
    use ln6_crypto::seal::Suite;

    fn well() -> Facts {
        let mut config = Config::new(NodeName::near("quintana"));
        config.network = Some(crate::config::Network {
            fingerprint: ln6_types::Fingerprint([1; 32]),
            brokers: Vec::new(),
        });
        Facts {
            command: "ln6d".into(),
            config: Ok(Some(config)),
            config_mode: Some(0o600),
            identity: None,
            root_key_here: false,
            running: false,
            tun: Usable::Yes,
            net_admin: true,
            now: Time::from_secs(1_790_000_000),
            forwarding: Some(true),
            subtrees: Some(true),
            port: Usable::Yes,
            interface_exists: false,
            missing_lans: Vec::new(),
            uplink: Some(("eth0".into(), true)),
            uplink_mtu: Some(1500),
            free: Some(1 << 30),
            nftables: Some(true),
            speeds: vec![
                Speed { suite: Suite::ChaCha20Poly1305, rate: 1e9 },
                Speed { suite: Suite::Aes256Gcm, rate: 4e9 },
            ],
            surroundings: Vec::new(),
        }
    }

    fn codes(facts: &Facts) -> Vec<(Severity, String)> {
        judge(facts).findings.into_iter().map(|finding| (finding.severity, finding.code)).collect()
    }

    #[test]
    fn a_machine_on_which_all_is_well_has_one_thing_to_do() {
        assert_eq!(codes(&well()), [(Severity::Warning, "daemon_unreachable".into())]);
        assert_eq!(codes(&Facts { running: true, tun: Usable::Denied, net_admin: false, ..well() }), []);
    }

    #[test]
    fn each_trouble_is_found_by_its_code() {
        type Case = (fn(&mut Facts), &'static str, Severity);
        let cases: [Case; 15] = [
            (|f| f.tun = Usable::No, "no_tun_device", Severity::Error),
            (|f| f.tun = Usable::Denied, "not_permitted", Severity::Error),
            (|f| f.net_admin = false, "not_permitted", Severity::Warning),
            (|f| f.now = Time::from_secs(3600), "clock_unset", Severity::Error),
            (|f| f.now = Time::from_secs(2_300_000_000), "clock_unset", Severity::Error),
            (|f| f.port = Usable::No, "port_in_use", Severity::Error),
            (|f| f.interface_exists = true, "interface_taken", Severity::Error),
            (|f| f.missing_lans.push("br-lan".into()), "interface_missing", Severity::Warning),
            (|f| f.subtrees = Some(false), "no_source_routes", Severity::Warning),
            (|f| f.nftables = Some(false), "no_nftables", Severity::Error),
            (|f| f.uplink = Some(("eth0".into(), false)), "uplink_forgets_router", Severity::Warning),
            (|f| f.uplink_mtu = Some(1492), "mtu_too_large", Severity::Warning),
            (|f| f.free = Some(1000), "disk_nearly_full", Severity::Warning),
            (|f| f.root_key_here = true, "root_key_here", Severity::Warning),
            (|f| f.config = Ok(None), "no_config", Severity::Error),
        ];
        for (change, code, severity) in cases {
            let mut facts = well();
            change(&mut facts);
            let findings = codes(&facts);
            assert!(findings.contains(&(severity, code.to_owned())), "{code}: {findings:?}");
            assert!(findings.is_sorted_by(|a, b| a.0 >= b.0), "worst first: {findings:?}");
        }
    }

    #[test]
    fn a_slower_cipher_is_remarked_on_and_the_faster_one_is_not() {
        let with = |suite| {
            let mut facts = Facts { running: true, ..well() };
            if let Ok(Some(config)) = &mut facts.config {
                config.node.suite = suite;
            }
            codes(&facts)
        };
        let remark = (Severity::Note, "suite_slower".to_owned());
        assert_eq!(with(Some(Suite::ChaCha20Poly1305)), [remark]);
        assert_eq!(with(Some(Suite::Aes256Gcm)), []);
        let passed = judge(&well()).passed;
        let words = "sessions prefer aes-256-gcm; here: chacha20-poly1305 1.00 GB/s, aes-256-gcm 4.00 GB/s";
        assert!(passed.iter().any(|line| line == words), "{passed:?}");
    }

    #[test]
    fn what_the_uplink_says_is_passed_on() {
        let finding =
            problem(Severity::Error, &CliError::new(Trouble::PoolOnLink, "2001:db8::/64 is on the link"));
        let facts = Facts { surroundings: vec![finding], running: true, ..well() };
        assert_eq!(codes(&facts), [(Severity::Error, "pool_on_link".into())]);
    }

    #[test]
    fn forwarding_matters_only_to_those_who_forward() {
        let mut facts = well();
        facts.forwarding = Some(false);
        assert!(!codes(&facts).iter().any(|(_, code)| code == "forwarding_off"));
        if let Ok(Some(config)) = &mut facts.config {
            let interface = crate::config::InterfaceName::new("br-lan").expect("interface");
            config.lans.push(crate::config::Lan { interface, subnet: None, resolvers: Vec::new() });
        }
        assert!(codes(&facts).contains(&(Severity::Warning, "forwarding_off".into())));
        facts.running = true;
        assert!(codes(&facts).contains(&(Severity::Error, "forwarding_off".into())));
    }
}
