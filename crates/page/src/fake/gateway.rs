//! A made-up gateway, in any of the states that a gateway can be in.

use super::Fake;
use ln6_api::schema::*;
use ln6_api::{ApiError, ApiRequest, CliError, Trouble};
use ln6_types::{Fingerprint, Prefix};

impl Fake {
    /// A gateway among `size` nodes, standing as `line` says: a word of the page's lines.
    pub fn gateway(size: u32, line: &str) -> Fake {
        Fake { gateway: Some(line.to_owned()), ..Fake::new(size) }
    }

    /// What it answers to what only a gateway is asked; nothing for the rest.
    pub(super) fn of_gateway(
        &self,
        line: &str,
        request: &ApiRequest,
        now: Time,
    ) -> Option<Result<String, ApiError>> {
        Some(Ok(match request {
            ApiRequest::Status => self.gateway_status(line, now).to_json(),
            ApiRequest::Peers => PeerList { peers: self.gateway_peers(line, now) }.to_json(),
            ApiRequest::Wish => self.wish(line).to_json(),
            ApiRequest::Ping(ask) if ask.to == self.name(2) => {
                return Some(Err(CliError::new(Trouble::NoAnswer, format!("{} does not answer", ask.to))));
            }
            ApiRequest::Ping(ask) => PingReply {
                name: ask.to.clone(),
                address: "fd4e:4e4e:4e4e::9".parse().unwrap_or(std::net::Ipv6Addr::LOCALHOST),
                rtt_seconds: 0.0384,
                path: Some(PathKind::Relayed),
                endpoint: None,
                through: Some(self.name(3)),
            }
            .to_json(),
            ApiRequest::Join(joining) if !joining.link.starts_with("ln6://join/") => {
                return Some(Err(CliError::new(Trouble::LinkForeign, "this is no invitation of ln6d")));
            }
            ApiRequest::Join(_) => SetupReply { done: "joined".into(), ..SetupReply::default() }.to_json(),
            ApiRequest::Size(_) => {
                let prefixes = self.gateway_status(line, now).prefixes;
                ActionReply { done: "asked".into(), prefixes, ..ActionReply::default() }.to_json()
            }
            ApiRequest::Leave => ActionReply { done: "left".into(), ..ActionReply::default() }.to_json(),
            ApiRequest::Reload => {
                let change = |what: &str, needs_restart| Change { what: self.said(what), needs_restart };
                ReloadReply { changes: vec![change("lan", false), change("node.mtu", true)] }.to_json()
            }
            ApiRequest::Doctor => {
                DoctorReport { findings: self.gateway_status(line, now).problems, passed: Vec::new() }
                    .to_json()
            }
            _ => return None,
        }))
    }

    fn wish(&self, line: &str) -> WishReport {
        let waits = line == "no_network";
        WishReport {
            size: (!waits).then_some(56),
            ssid: (!waits).then(|| self.said("quintanalibre.org.ar")),
            contact: (!waits).then(|| self.said("vecinas@quintana.example")),
            proposals: if waits { Vec::new() } else { vec![Fake::prefix(0)] },
            lans: if waits { Vec::new() } else { vec![self.said("br-lan")] },
            waits,
        }
    }

    fn gateway_peers(&self, line: &str, now: Time) -> Vec<PeerRow> {
        if matches!(line, "no_network" | "left") {
            return Vec::new();
        }
        let alone = matches!(line, "no_broker" | "cut_off");
        let member = matches!(line, "connected" | "no_exit" | "broker_away" | "no_prefix" | "in_grace");
        let size = if member || alone { self.size } else { self.size.min(2) };
        let row = |n: u32| {
            let mut peer = self.peer(n, now);
            if n == 1 {
                peer.roles = vec!["broker".into(), "exit".into()];
                peer.prefixes = Vec::new();
            }
            if alone || (line == "broker_away" && n == 1) {
                (peer.connected, peer.silent, peer.path, peer.rtt_seconds) = (false, false, None, None);
                (peer.endpoint, peer.through, peer.mtu) = (None, None, None);
            }
            peer
        };
        let mut peers: Vec<PeerRow> = (1..size).map(row).collect();
        peers.sort_by_key(|peer| !peer.connected);
        peers
    }

    fn gateway_status(&self, line: &str, now: Time) -> StatusReport {
        let later = |days: u64| Time::from_secs(now.as_secs() + days * 86_400);
        let member =
            matches!(line, "connected" | "no_exit" | "broker_away" | "cut_off" | "no_prefix" | "in_grace");
        let state = match line {
            "connected" | "no_exit" | "broker_away" | "cut_off" | "no_prefix" => "member",
            "no_broker" | "left" => "alone",
            other => other,
        };
        let problem = |code: &str, severity, message: &str, hint: &str| Problem {
            code: code.into(),
            severity,
            message: self.said(message),
            hint: Some(self.said(hint)),
        };
        let mut problems: Vec<Problem> = Vec::new();
        match line {
            "no_exit" => problems.push(problem(
                "no_exit",
                Severity::Error,
                "no way to the Internet: no exit can be reached",
                "members still reach each other; look after the server",
            )),
            "broker_away" | "cut_off" | "no_broker" => problems.push(problem(
                "broker_unreachable",
                if member { Severity::Warning } else { Severity::Error },
                "no answer from 198.51.100.2:6695",
                "check that ln6d runs on the server, that UDP port 6695 is open there, and that the address is right",
            )),
            "in_grace" => problems.push(problem(
                "renewal_overdue",
                Severity::Warning,
                "the certificate should have been renewed",
                "it is renewed as soon as the broker answers: look after the server",
            )),
            "refused" => problems.push(problem(
                "pool_exhausted",
                Severity::Error,
                "no free /48 is left",
                "ask for a smaller prefix (a larger number), or let the operator add a pool",
            )),
            "waiting" | "left" => problems.push(problem(line, Severity::Note, "as the line says", "wait")),
            "suspended" | "revoked" | "expired" => {
                problems.push(problem(line, Severity::Error, "as the line says", "talk to the operator"));
            }
            _ => {}
        }
        if !matches!(line, "no_network" | "connected") {
            problems.push(problem(
                "forwarding_off",
                Severity::Warning,
                "the kernel does not forward IPv6",
                "sysctl -w net.ipv6.conf.all.forwarding=1, and keep it in /etc/sysctl.d/ln6d.conf",
            ));
        }
        let prefixes = if member && line != "no_prefix" { vec![Fake::prefix(0)] } else { Vec::new() };
        let peers = self.gateway_peers(line, now);
        let count = |test: &dyn Fn(&PeerRow) -> bool| peers.iter().filter(|peer| test(peer)).count() as u32;
        let mut status = self.status(now);
        status.node.name = self.name(0);
        if line == "no_network" {
            status.node.network = Fingerprint([0; 32]);
            status.node.address = std::net::Ipv6Addr::UNSPECIFIED;
        }
        StatusReport {
            standing: StandingInfo {
                state: state.into(),
                place: (line == "waiting").then_some(3),
                code: (line == "refused").then(|| "pool_exhausted".into()),
                text: (line == "refused").then(|| self.said("no free /48 is left")),
                not_after: member.then(|| later(61)),
                grace_until: member.then(|| later(151)),
            },
            problems,
            lans: prefixes.iter().filter_map(|prefix: &Prefix| self.lan(*prefix)).collect(),
            prefixes,
            peers: PeerSummary {
                known: peers.len() as u32,
                connected: count(&|peer| peer.connected),
                relayed: count(&|peer| peer.path == Some(PathKind::Relayed)),
                ..status.peers
            },
            exits: ExitInfo {
                here: false,
                reachable: if matches!(line, "connected" | "broker_away" | "in_grace") {
                    vec![self.name(if line == "broker_away" { 2 } else { 1 })]
                } else {
                    Vec::new()
                },
            },
            broker: None,
            ..status
        }
    }

    fn lan(&self, prefix: Prefix) -> Option<LanRow> {
        let prefix = prefix.part(64, 0)?;
        let address = std::net::Ipv6Addr::from_bits(prefix.network().to_bits() | 1);
        Some(LanRow { interface: self.said("br-lan"), prefix, address, deprecated: false })
    }
}
