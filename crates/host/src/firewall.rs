//! The firewall for what enters by the tunnel: an nftables table of our own, replaced in one transaction and removed at
//! exit. What entered elsewhere it judges only if it leaves by the tunnel for one of our own, a WireGuard client: on an
//! exit the Internet comes in by the uplink. ICMPv6 as RFC 4890, section 4.3.

use crate::interface::InterfaceName;
use crate::plan::{FirewallPlan, Inbound, Opening, Protocol};
use core::fmt::Write as _;
use ln6_types::Prefix;
use std::io;
use std::process::Stdio;
use thiserror::Error;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// Why the firewall is not as it should be.
#[derive(Debug, Error)]
pub enum FirewallError {
    /// There is no `nft`.
    #[error("nftables is not installed: there is no 'nft' command")]
    Missing,
    /// `nft` refused.
    #[error("nft refused our rules: {0}")]
    Refused(String),
    /// `nft` could not be run.
    #[error("cannot run nft: {0}")]
    Run(#[from] io::Error),
}

impl FirewallError {
    /// Stable code for messages.
    pub fn code(&self) -> &'static str {
        match self {
            FirewallError::Missing => "nft_missing",
            FirewallError::Refused(_) => "nft_refused",
            FirewallError::Run(_) => "nft_failed",
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            FirewallError::Missing => {
                "apt install nftables (OpenWrt: opkg install nftables), or set firewall = false and close inbound traffic yourself"
            }
            FirewallError::Refused(_) => {
                "load nf_tables and nf_conntrack (modprobe), and check that ln6d has CAP_NET_ADMIN"
            }
            FirewallError::Run(_) => "check that ln6d may start processes",
        }
    }
}

/// The table's name for the node whose tunnel is `tun`: `ln6d`, with the tunnel's name for every other than `ln6`.
pub fn table_name(tun: &InterfaceName) -> String {
    if tun.as_str() == "ln6" {
        return "ln6d".to_owned();
    }
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    format!("ln6d_{}", tun.as_str().chars().map(plain).collect::<String>())
}

/// The transaction that puts `plan` in the place of whatever our table holds.
///
/// What [`Extras`] says is left out for kernels that lack it.
pub fn ruleset(plan: &FirewallPlan, tun: &InterfaceName, extras: Extras) -> String {
    let mut text = removal(tun);
    let table = table_name(tun);
    // Writing to a String cannot fail.
    let _ = writeln!(text, "table ip6 {table} {{");
    set(&mut text, "members", &plan.members);
    set(&mut text, "protected", &plan.protected);
    chain(&mut text, "forward", &forward_rules(plan, tun, extras));
    chain(&mut text, "input", &input_rules(plan, tun));
    text.push_str("}\n");
    text
}

/// The transaction that removes our table; succeeds also if it is not there.
pub fn removal(tun: &InterfaceName) -> String {
    let table = table_name(tun);
    // `destroy table` needs nftables 1.0.7 and a kernel of 6.3; creating first works everywhere.
    format!("table ip6 {table}\ndelete table ip6 {table}\n")
}

fn set(text: &mut String, name: &str, prefixes: &[Prefix]) {
    let _ = writeln!(text, "\tset {name} {{\n\t\ttype ipv6_addr\n\t\tflags interval\n\t\tauto-merge");
    let mut elements: Vec<Prefix> = prefixes.to_vec();
    elements.sort_unstable();
    elements.dedup();
    if !elements.is_empty() {
        let list: Vec<String> = elements.iter().map(Prefix::to_string).collect();
        let _ = writeln!(text, "\t\telements = {{ {} }}", list.join(", "));
    }
    text.push_str("\t}\n");
}

/// Nobody beside the tunnel may use a member's address that is not ours. The engine sees to it, and counts, for what goes to
/// other nodes; this is for stock clients behind this node, to which it lets every source pass (what comes back from the
/// kernel for them may come from anywhere).
fn pretender(tun: &InterfaceName) -> String {
    format!("iifname != \"{tun}\" oifname \"{tun}\" ip6 saddr @members ip6 saddr != @protected counter drop")
}

/// Nor the address of one of our own that lives in the tunnel: a stock client, seen from the uplink of an exit.
fn pretender_of_a_client(tun: &InterfaceName) -> String {
    format!(
        "iifname != \"{tun}\" oifname \"{tun}\" ip6 saddr @protected fib saddr oifname \"{tun}\" counter drop"
    )
}

/// Whatever TCP crosses the tunnel fits the tunnel from its first segment on, also where ICMPv6 gets lost on its way. Narrower paths
/// answer *packet too big*.
const CLAMP: &str = "tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu";

fn chain(text: &mut String, hook: &str, rules: &[String]) {
    let _ = writeln!(text, "\tchain {hook} {{");
    let _ = writeln!(text, "\t\ttype filter hook {hook} priority filter; policy accept;");
    for rule in rules {
        let _ = writeln!(text, "\t\t{rule}");
    }
    text.push_str("\t}\n");
}

const ESTABLISHED: &str = "ct state established,related accept";
const INVALID: &str = "ct state invalid counter drop";
const REJECT: &str = "counter reject with icmpv6 admin-prohibited";
/// RFC 4890, section 4.3.1 and 4.3.2: errors, and echo for those who debug (with a limit, beyond it dropped).
const ICMP: [&str; 4] = [
    "icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, echo-reply } accept",
    "icmpv6 type parameter-problem icmpv6 code 0-2 accept",
    "icmpv6 type echo-request limit rate 100/second burst 200 packets accept",
    "icmpv6 type echo-request counter drop",
];
/// Home agent discovery and mobile prefixes (RFC 4890, section 4.3.2), which only transit needs.
const MOBILITY: &str = "icmpv6 type { 144, 145, 146, 147 } accept";
/// Neighbour discovery has no business on a tunnel without neighbours.
const NEIGHBOURS: &str = "icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, nd-redirect } drop";

fn forward_rules(plan: &FirewallPlan, tun: &InterfaceName, extras: Extras) -> Vec<String> {
    let mut rules = vec![format!("iifname != \"{tun}\" oifname != \"{tun}\" accept")];
    if extras.clamp {
        rules.push(CLAMP.to_owned());
    }
    // An exit's transit is none of this firewall's business.
    rules.push("ip6 daddr != @protected accept".to_owned());
    rules.push(pretender(tun));
    if extras.fib {
        rules.push(pretender_of_a_client(tun));
    }
    // A LAN and the clients of its own gateway.
    rules.push(format!("iifname != \"{tun}\" ip6 saddr @protected accept"));
    rules.extend(common_rules(plan, &[MOBILITY]));
    rules
}

fn input_rules(plan: &FirewallPlan, tun: &InterfaceName) -> Vec<String> {
    let mut rules = vec![format!("iifname != \"{tun}\" accept"), NEIGHBOURS.to_owned()];
    rules.extend(common_rules(plan, &[]));
    rules
}

fn common_rules(plan: &FirewallPlan, more_icmp: &[&str]) -> Vec<String> {
    if plan.inbound == Inbound::Open {
        return vec!["accept".to_owned()];
    }
    let mut rules = Vec::new();
    if plan.inbound == Inbound::Members {
        // Without state, so that a mesh with two gateways may be entered by either.
        rules.push("ip6 saddr @members accept".to_owned());
    }
    rules.push(ESTABLISHED.to_owned());
    rules.extend(ICMP.iter().chain(more_icmp).map(|rule| (*rule).to_owned()));
    rules.push(INVALID.to_owned());
    rules.extend(plan.openings.iter().map(opening_rule));
    rules.push(REJECT.to_owned());
    rules
}

fn opening_rule(opening: &Opening) -> String {
    let to = opening.to;
    let protocol = match opening.protocol {
        Some(Protocol::Tcp) => "tcp",
        Some(Protocol::Udp) => "udp",
        None => "{ tcp, udp }",
    };
    match (opening.ports, opening.protocol) {
        (None, None) => format!("ip6 daddr {to} accept"),
        (None, Some(_)) => format!("ip6 daddr {to} meta l4proto {protocol} accept"),
        (Some((first, last)), _) => {
            let (first, last) = (first.min(last), first.max(last));
            let ports = if first == last { first.to_string() } else { format!("{first}-{last}") };
            format!("ip6 daddr {to} meta l4proto {protocol} th dport {ports} accept")
        }
    }
}

/// What not every kernel's `nft` can do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extras {
    /// `fib` (`nft_fib_ipv6`). Without it an Internet host can send, but get no answer, as a stock client of this exit to
    /// another.
    pub fib: bool,
    /// TCP's maximum segment size is lowered to what the tunnel takes (`nft_exthdr`, `nft_rt`).
    pub clamp: bool,
}

impl Extras {
    /// Everything.
    pub const ALL: Extras = Extras { fib: true, clamp: true };
    /// What to try.
    const BEST_FIRST: [Extras; 4] = [
        Extras::ALL,
        Extras { fib: true, clamp: false },
        Extras { fib: false, clamp: true },
        Extras { fib: false, clamp: false },
    ];

    fn within(self, most: Extras) -> bool {
        self.fib <= most.fib && self.clamp <= most.clamp
    }
}

/// Our table in the kernel, kept by the `nft` command.
pub struct Firewall {
    tun: InterfaceName,
    applied: Option<String>,
    /// What the kernel's `nft` knows, as far as was tried.
    extras: Extras,
    command: String,
}

impl Firewall {
    /// A firewall for what enters by `tun`; nothing is applied yet.
    pub fn new(tun: InterfaceName) -> Self {
        Firewall { tun, applied: None, extras: Extras::ALL, command: "nft".to_owned() }
    }

    /// Makes the kernel's table match `plan` (`None` removes it). Does nothing if it is already so.
    pub async fn apply(&mut self, plan: Option<&FirewallPlan>) -> Result<(), FirewallError> {
        let Some(plan) = plan else {
            return if self.applied.is_none() { Ok(()) } else { self.remove().await };
        };
        let mut refused = None;
        for extras in Extras::BEST_FIRST.into_iter().filter(|extras| extras.within(self.extras)) {
            let text = ruleset(plan, &self.tun, extras);
            if self.applied.as_ref() == Some(&text) {
                return Ok(());
            }
            match self.run(&["-f", "-"], &text).await {
                Ok(()) => {
                    self.settle_for(extras);
                    self.applied = Some(text);
                    return Ok(());
                }
                Err(error @ FirewallError::Refused(_)) => refused = refused.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        refused.map_or(Ok(()), Err)
    }

    fn settle_for(&mut self, less: Extras) {
        if self.extras.fib && !less.fib {
            tracing::warn!("the kernel has no nft_fib_ipv6: from the uplink, stock clients can be pretended");
        }
        if self.extras.clamp && !less.clamp {
            tracing::warn!("nft cannot set TCP's maximum segment size here: that is left to ICMPv6");
        }
        self.extras = less;
    }

    /// Removes the table, also one that a killed run left behind.
    pub async fn remove(&mut self) -> Result<(), FirewallError> {
        self.applied = None;
        self.run(&["-f", "-"], &removal(&self.tun)).await
    }

    /// Whether the table is in the kernel; another program may flush everything. If it is gone, the next
    /// [`apply`](Self::apply) puts it back.
    pub async fn is_present(&mut self) -> Result<bool, FirewallError> {
        let table = table_name(&self.tun);
        match self.run(&["-t", "list", "table", "ip6", &table], "").await {
            Ok(()) => Ok(true),
            Err(FirewallError::Refused(_)) => {
                self.applied = None;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    async fn run(&self, arguments: &[&str], input: &str) -> Result<(), FirewallError> {
        let mut command = Command::new(&self.command);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => FirewallError::Missing,
            _ => FirewallError::Run(error),
        })?;
        if let Some(mut stdin) = child.stdin.take() {
            // A refusal may close the pipe early; the exit status tells.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        let output = child.wait_with_output().await?;
        if output.status.success() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&output.stderr);
        let first: Vec<&str> = text.lines().take(3).map(str::trim).collect();
        Err(FirewallError::Refused(first.join(" ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(text: &str) -> Prefix {
        text.parse().expect("prefix")
    }

    fn tun() -> InterfaceName {
        "ln6".parse().expect("name")
    }

    fn plan(inbound: Inbound) -> FirewallPlan {
        FirewallPlan {
            inbound,
            members: vec![p("fd00:1::/48"), p("2001:db8::/40"), p("2001:db8::/40")],
            protected: vec![p("2001:db8:1::/48")],
            openings: vec![
                Opening { to: p("2001:db8:1::80/128"), protocol: Some(Protocol::Tcp), ports: Some((80, 80)) },
                Opening { to: p("2001:db8:1:2::/64"), protocol: None, ports: Some((7000, 6000)) },
                Opening { to: p("2001:db8:1:3::/64"), protocol: Some(Protocol::Udp), ports: None },
                Opening { to: p("2001:db8:1:4::/64"), protocol: None, ports: None },
            ],
        }
    }

    #[test]
    fn the_rules_for_members_are_these() {
        insta::assert_snapshot!("members", ruleset(&plan(Inbound::Members), &tun(), Extras::ALL));
    }

    #[test]
    fn closed_lets_no_member_in_unasked() {
        let text = ruleset(&plan(Inbound::Closed), &tun(), Extras::ALL);
        assert!(!text.contains("saddr @members accept"));
        assert!(text.contains("reject"));
    }

    #[test]
    fn open_rejects_nothing() {
        let text = ruleset(&plan(Inbound::Open), &tun(), Extras::ALL);
        assert!(!text.contains("reject") && !text.contains("ct state"));
    }

    #[test]
    fn empty_sets_have_no_elements_line() {
        let text = ruleset(
            &FirewallPlan { members: vec![], protected: vec![], ..plan(Inbound::Members) },
            &tun(),
            Extras::ALL,
        );
        assert!(!text.contains("elements"));
    }

    #[test]
    fn two_nodes_on_a_machine_have_two_tables() {
        assert_eq!(table_name(&tun()), "ln6d");
        assert_eq!(table_name(&"ln6-b.2".parse().expect("name")), "ln6d_ln6_b_2");
    }

    #[test]
    fn a_missing_nft_is_named_with_the_next_step() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        let mut firewall = Firewall { command: "/nonexistent/nft".into(), ..Firewall::new(tun()) };
        let error = runtime.block_on(firewall.apply(Some(&plan(Inbound::Members)))).expect_err("missing");
        assert_eq!(error.code(), "nft_missing");
        assert!(error.hint().contains("apt install nftables"));
    }
}
