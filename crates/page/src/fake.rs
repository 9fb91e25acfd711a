//! A made-up daemon, for tests and pictures: a network of any size, with hostile words in every field if wanted. It
//! answers what the real one would, and remembers what it was asked to do.

mod gateway;

use crate::backend::{Answer, Backend};
use bytes::Bytes;
use ln6_api::request::{Action, KeyListRequest, Parts, RegistryRequest};
use ln6_api::schema::*;
use ln6_api::{ApiError, ApiRequest, CliError, Trouble};
use ln6_types::{Fingerprint, Prefix, PublicKey, RouterId};
use std::sync::{Arc, Mutex, PoisonError};

/// The fake.
pub struct Fake {
    /// Holders.
    pub size: u32,
    /// What people wrote, everywhere; their usual words if absent.
    pub words: Option<String>,
    /// Whether nobody answers.
    pub down: bool,
    /// Whether somebody else was faster with every change.
    pub outpaced: bool,
    /// If it is no broker but a gateway: how that stands.
    pub gateway: Option<String>,
    /// What was asked for by whom: `ACTOR METHOD PATH BODY`.
    pub asked: Arc<Mutex<Vec<String>>>,
}

const NAMES: &[&str] = &[
    "quintana",
    "libertad",
    "arcoiris",
    "la-serena",
    "puerto-viejo",
    "moreno",
    "delta",
    "san-marcos",
    "el-bolson",
    "nogal",
    "caldera",
    "ribera",
    "altos",
    "cerro-azul",
    "laguna",
    "molino",
    "tierra",
    "ombu",
    "horizonte",
    "barranco",
];

impl Fake {
    /// With so many holders.
    pub fn new(size: u32) -> Fake {
        Fake { size, words: None, down: false, outpaced: false, gateway: None, asked: Arc::default() }
    }

    fn said(&self, usual: &str) -> String {
        self.words.clone().unwrap_or_else(|| usual.to_owned())
    }

    fn name(&self, n: u32) -> String {
        let base = NAMES[n as usize % NAMES.len()];
        let usual = if n < NAMES.len() as u32 {
            base.to_owned()
        } else {
            format!("{base}-{}", n / NAMES.len() as u32)
        };
        match &self.words {
            Some(words) => format!("{words}{n}"),
            None => usual,
        }
    }

    fn key(n: u32) -> PublicKey {
        let mut key = [0x5a; 32];
        let mixed = u64::from(n).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        key[..8].copy_from_slice(&mixed.to_be_bytes());
        key[8..16].copy_from_slice(&mixed.wrapping_mul(31).to_be_bytes());
        key[16..24].copy_from_slice(&mixed.wrapping_mul(77).to_be_bytes());
        PublicKey(key)
    }

    fn id(n: u32) -> RouterId {
        RouterId((u64::from(n) + 0x1200_0000_0000_0001).to_be_bytes())
    }

    fn pool() -> Prefix {
        "2001:db8:4800::/40".parse().unwrap_or(Prefix::ALL)
    }

    fn prefix(n: u32) -> Prefix {
        // Spread over the /48s of the pool, then over their /56s.
        Fake::pool().part(56, u128::from((n % 200 * 77 % 256) * 256 + n / 200)).unwrap_or(Prefix::ALL)
    }

    fn state(n: u32) -> &'static str {
        match n % 37 {
            7 => "suspended",
            19 => "revoked",
            _ => "active",
        }
    }

    fn holder(&self, n: u32, now: Time) -> HolderRow {
        let ago = |seconds: u64| Time::from_secs(now.as_secs().saturating_sub(seconds));
        let state = Fake::state(n);
        let row = HeldRow {
            id: n.to_string(),
            prefix: Fake::prefix(n),
            state: state.into(),
            since: ago(86_400 * u64::from(n % 400 + 1)),
            until: None,
            named_until: ago(0),
            grows_to: if n.is_multiple_of(3) { 56 } else { 52 },
        };
        let key = KeyRow {
            key: Fake::key(n),
            name: self.name(n),
            state: if state == "revoked" { "revoked" } else { "active" }.into(),
            serial: Some(u64::from(n)),
            not_after: Some(Time::from_secs(now.as_secs() + 86_400 * 60)),
            grace_until: Some(Time::from_secs(now.as_secs() + 86_400 * 150)),
        };
        HolderRow {
            id: n.to_string(),
            name: self.name(n),
            state: state.into(),
            roles: if n == 1 { vec!["exit".into()] } else { Vec::new() },
            since: row.since,
            revision: 3,
            keys: vec![key],
            prefixes: vec![row],
            contact: Some(self.said("luz@altermundi.example")),
            note: Some(self.said("Roof of the school; the key to the ladder is with Marta.")),
            bytes_per_second: n.is_multiple_of(5).then_some(2_500_000),
            undo_until: (state == "revoked").then(|| Time::from_secs(now.as_secs() + 86_400 * 5)),
        }
    }

    fn peer(&self, n: u32, now: Time) -> PeerRow {
        let connected = n % 11 != 5 && Fake::state(n) == "active";
        let relayed = n % 7 == 3;
        PeerRow {
            name: self.name(n),
            key: Fake::key(n),
            router_id: Fake::id(n),
            kind: "node".into(),
            roles: if n == 1 { vec!["exit".into()] } else { Vec::new() },
            prefixes: vec![Fake::prefix(n)],
            connected,
            silent: connected && n % 23 == 9,
            path: connected.then_some(if relayed { PathKind::Relayed } else { PathKind::Direct }),
            endpoint: (connected && !relayed).then(|| ([198, 51, 100, (n % 250) as u8], 6695).into()),
            through: (connected && relayed).then(|| self.name(n / 3)),
            mtu: connected.then_some(if relayed { 1360 } else { 1420 }),
            neighbour: connected,
            rtt_seconds: connected.then(|| 0.004 + f64::from(n % 90) / 1000.0),
            last_handshake: connected.then(|| Time::from_secs(now.as_secs() - 60)),
            last_heard: Some(Time::from_secs(
                now.as_secs() - u64::from(if connected { n % 20 } else { 90_000 + n }),
            )),
            rx_bytes: u64::from(n) * 77_777_777,
            tx_bytes: u64::from(n) * 33_333_333,
            rx_packets: 0,
            tx_packets: 0,
            endpoints: Vec::new(),
        }
    }

    fn answer(&self, actor: &str, parts: &Parts) -> Result<String, ApiError> {
        let line = format!("{actor} {} {} {}", parts.method, parts.path, parts.body);
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        if self.down {
            return Err(CliError::new(
                Trouble::DaemonUnreachable,
                "no daemon answers on /run/ln6d/ln6d.sock",
            ));
        }
        let (path, query) =
            parts.path.split_once('?').map_or((&*parts.path, None), |(path, query)| (path, Some(query)));
        let now = Time::now();
        let request = ApiRequest::from_http(parts.method, path, query, parts.body.as_bytes())?;
        let own = self.gateway.as_ref().and_then(|line| self.of_gateway(line, &request, now));
        if let Some(answer) = own {
            return answer;
        }
        Ok(match request {
            ApiRequest::Status => self.status(now).to_json(),
            ApiRequest::Peers => {
                PeerList { peers: (0..self.size).map(|n| self.peer(n, now)).collect() }.to_json()
            }
            ApiRequest::Prefixes(which) => {
                let limit = which.limit.unwrap_or(u32::MAX) as usize;
                let rows = (0..self.size).map(|n| PrefixRow {
                    holder: self.name(n),
                    prefix: Fake::prefix(n),
                    state: Fake::state(n).into(),
                    keys: vec![Fake::key(n)],
                    since: Some(now),
                    until: None,
                    id: None,
                    named_until: None,
                    grows_to: None,
                });
                PrefixList {
                    total: u64::from(self.size),
                    offset: which.offset,
                    prefixes: rows.skip(which.offset as usize).take(limit).collect(),
                }
                .to_json()
            }
            ApiRequest::Doctor => DoctorReport {
                findings: vec![self.problem(
                    "forwarding_off",
                    Severity::Warning,
                    "the kernel does not forward IPv6",
                )],
                passed: vec![
                    "/dev/net/tun can be opened".into(),
                    "the clock is synchronised".into(),
                    self.said("UDP 6695 is open"),
                ],
            }
            .to_json(),
            ApiRequest::Events(which) => EventList { events: Vec::new(), next: which.after.min(7) }.to_json(),
            ApiRequest::Traffic(which) => self.traffic(which.peer, now).to_json(),
            ApiRequest::Graph => self.graph().to_json(),
            ApiRequest::Metrics => "ln6d_build_info 1\n".into(),
            ApiRequest::Registry(request) => self.registry(request, now)?,
            ApiRequest::KeyList(request) => self.keylist(request, now)?.to_json(),
            _ => return Err(CliError::new(Trouble::BadRequest, "the fake does not know this")),
        })
    }

    fn registry(&self, request: RegistryRequest, now: Time) -> Result<String, ApiError> {
        let ago = |seconds: u64| Time::from_secs(now.as_secs().saturating_sub(seconds));
        let later = |seconds: u64| Time::from_secs(now.as_secs() + seconds);
        Ok(match request {
            RegistryRequest::Requests => {
                let row = |n: u32| RequestRow {
                    id: n.to_string(),
                    name: Some(if n == 2 { self.name(3) } else { self.said(&format!("nuevo-{n}")) }),
                    name_taken: n == 2,
                    size: (n != 3).then_some(56),
                    ssid: Some(self.said("LibreMesh.org")),
                    key: Fake::key(9000 + n),
                    proposed: Some(Fake::prefix(6000 + n)),
                    contact: Some(self.said("vecinas@delta.example")),
                    since: ago(u64::from(n) * 1300),
                    revision: 1,
                };
                RequestList { requests: (1..=self.size.min(3)).map(row).collect() }.to_json()
            }
            RegistryRequest::Denials => {
                let row = |n: u32| DenialRow {
                    request: (n != 2).then(|| (n + 90).to_string()),
                    name: (n != 2).then(|| self.said("nadie-sabe")),
                    key: Fake::key(8000 + n),
                    reason: self.said("nobody at the assembly knows this roof"),
                    time: ago(u64::from(n) * 4000),
                    until: later(80_000),
                };
                DenialList { denials: (1..=self.size.min(2)).map(row).collect() }.to_json()
            }
            RegistryRequest::Invitations => {
                let row = |n: u32, state: &str| InvitationRow {
                    id: n.to_string(),
                    state: state.into(),
                    name: Some(self.said("la-serena")),
                    size: Some(56),
                    replaces: n == 2,
                    expires: later(400_000),
                    used_by: None,
                };
                InvitationList {
                    invitations: vec![row(1, "used"), row(2, "open"), row(3, "expired"), row(4, "open")],
                }
                .to_json()
            }
            RegistryRequest::Pools => {
                let pool = |prefix: Prefix, open, ratio| PoolInfo {
                    prefix,
                    admission: "queue".into(),
                    open,
                    default: 56,
                    largest: 48,
                    smallest: 64,
                    hosts: None,
                    delegations: self.size,
                    slots: 65_536,
                    free: 65_536_u64.saturating_sub(u64::from(self.size)),
                    used_ratio: ratio,
                };
                let ratio = f64::from(self.size) / 65_536.0;
                let second = "2001:db8:ff00::/44".parse().unwrap_or(Prefix::ALL);
                PoolList { pools: vec![pool(Fake::pool(), true, ratio), pool(second, false, 0.93)] }.to_json()
            }
            RegistryRequest::Policy => PolicyReport {
                validity_seconds: 90 * 86_400,
                grace_seconds: 90 * 86_400,
                skew_seconds: 3600,
                quarantine_seconds: 180 * 86_400,
                revocation_grace_seconds: 7 * 86_400,
                request_seconds: 14 * 86_400,
                denial_seconds: 86_400,
                move_seconds: 30 * 86_400,
                queue: 256,
                queue_per_name: 4,
            }
            .to_json(),
            RegistryRequest::Holders(which) => {
                let offset = which.offset as usize;
                let fits =
                    |n: &u32| which.text.as_ref().is_none_or(|text| self.name(*n).contains(text.as_str()));
                let found: Vec<u32> = (0..self.size).filter(fits).collect();
                let rows = found
                    .iter()
                    .skip(offset)
                    .take(which.limit.unwrap_or(100) as usize)
                    .map(|n| self.holder(*n, now));
                HolderList { total: found.len() as u64, offset: which.offset, holders: rows.collect() }
                    .to_json()
            }
            RegistryRequest::Holder(which) => {
                let found = (0..self.size.min(500)).find(|n| self.name(*n) == which.name);
                let missing = || CliError::new(Trouble::NotFound, format!("nobody is called {}", which.name));
                HolderReport { holder: self.holder(found.ok_or_else(missing)?, now) }.to_json()
            }
            RegistryRequest::Space(which) => self.space(which.block).to_json(),
            RegistryRequest::History(which) => HistoryList {
                prefix: which.prefix,
                at: which.at,
                rows: vec![HistoryRow {
                    prefix: Fake::prefix(4),
                    holder: self.name(4),
                    holder_id: "4".into(),
                    keys: vec![Fake::key(4)],
                    from: ago(9_000_000),
                    to: None,
                }],
            }
            .to_json(),
            RegistryRequest::Audit(which) => {
                let first = which.before.unwrap_or(1_000_000).min(1_000_000);
                let limit = u64::from(which.limit.unwrap_or(100));
                let row = |seq: u64| AuditRow {
                    seq,
                    time: ago((1_000_000 - seq) * 700),
                    actor: if seq.is_multiple_of(3) { "admin:luz".into() } else { "operator".into() },
                    kind: "granted".into(),
                    holder: Some(self.name((seq % 20) as u32)),
                    prefixes: vec![Fake::prefix((seq % 20) as u32)],
                    reason: seq.is_multiple_of(2).then(|| self.said("asked at the assembly")),
                    message: self.said(&format!(
                        "{} was given {}",
                        self.name((seq % 20) as u32),
                        Fake::prefix((seq % 20) as u32)
                    )),
                };
                let last = first.saturating_sub(limit);
                AuditList {
                    rows: (last..first).rev().map(row).collect(),
                    next: Some(last).filter(|at| *at > 0),
                }
                .to_json()
            }
            RegistryRequest::Reservations => {
                let row = |n: u32| ReservationRow {
                    prefix: Fake::prefix(7000 + n),
                    holder: (n == 1).then(|| self.name(1)),
                    note: self.said("for the clinic"),
                    revision: 1,
                };
                ReservationList { reservations: (1..4).map(row).collect() }.to_json()
            }
            RegistryRequest::Confirmations => ConfirmationList {
                confirmations: vec![ConfirmationRow {
                    code: "K7QX-2M".into(),
                    action: "policy".into(),
                    request: "{}".into(),
                    actor: "admin:luz".into(),
                    asked: ago(500),
                    until: later(3000),
                    effects: vec![Effect {
                        code: "policy".into(),
                        message: self.said("requests wait 30 days instead of 14"),
                        prefixes: Vec::new(),
                    }],
                    refused: None,
                }],
            }
            .to_json(),
            RegistryRequest::Backups => BackupList {
                backups: vec![BackupRow {
                    file: self.said("/var/lib/ln6d/registry-20261124.db"),
                    time: ago(7000),
                    bytes: 1_400_000,
                }],
            }
            .to_json(),
            RegistryRequest::Preview(preview) => EffectsReport {
                effects: vec![
                    Effect {
                        code: "certificates".into(),
                        message: self.said("its certificate is revoked; gateways learn it within seconds"),
                        prefixes: Vec::new(),
                    },
                    Effect {
                        code: "prefix".into(),
                        message: self.said("stops being routed:"),
                        prefixes: vec![Fake::prefix(4)],
                    },
                ],
                undo_until: Some(later(86_400 * 7)),
                warnings: vec![Effect {
                    code: "lans".into(),
                    message: self.said("3 LANs lose their addresses"),
                    prefixes: Vec::new(),
                }],
                needs_confirmation: preview.action.needs_machine(),
            }
            .to_json(),
            RegistryRequest::Act(_) if self.outpaced => {
                return Err(CliError::refused(
                    "state_changed",
                    "somebody else changed it since you looked",
                    "look again and decide anew",
                ));
            }
            RegistryRequest::Act(action) => match *action {
                Action::Invite(invite) => InviteReply {
                    link: "ln6://join/9d8QZk2mJ0x5vS1tC7nQpRwYb3fUaHeL6gKdXoVzTiMsNqBrEyWuAjFhGlPcOkD4"
                        .into(),
                    expires: later(604_800),
                    name: invite.name,
                    size: invite.size,
                    open: invite.open,
                }
                .to_json(),
                action => ActionReply {
                    done: if action.needs_machine() { "kept" } else { "suspended" }.into(),
                    name: Some(self.said("quintana")),
                    until: Some(later(3600)),
                    confirm: action.needs_machine().then(|| "K7QX-2M".into()),
                    ..ActionReply::default()
                }
                .to_json(),
            },
            RegistryRequest::Backup => {
                ActionReply { done: "saved".into(), ..ActionReply::default() }.to_json()
            }
            _ => ActionReply { done: "exported".into(), ..ActionReply::default() }.to_json(),
        })
    }

    fn keylist(&self, request: KeyListRequest, now: Time) -> Result<KeyListReport, ApiError> {
        let ago = |seconds: u64| Time::from_secs(now.as_secs().saturating_sub(seconds));
        let waiting = "b7e23ec29af22b0b4e41da31e868d57226121c84";
        if let KeyListRequest::Confirm(seen) = &request
            && seen.commit != waiting
        {
            return Err(CliError::refused(
                "state_changed",
                "another commit waits by now",
                "look again and decide anew",
            ));
        }
        let held = (0..self.size / 6).map(|n| HeldNode {
            name: self.name(n),
            what: if n % 5 == 4 { "rekeyed" } else { "removed" }.into(),
        });
        Ok(KeyListReport {
            name: self.said("nodes"),
            url: self.said("git@altermundi.example:redes/nodos.git"),
            branch: Some(self.said("main")),
            state: "held".into(),
            problem: Some(self.problem(
                "keylist_held",
                Severity::Warning,
                "more than a tenth would lose its place",
            )),
            commit: Some("0b8f6f3c2d1e4a5968778695a4b3c2d1e0f91827".into()),
            waiting: Some(waiting.into()),
            checked: Some(ago(40)),
            reached: Some(ago(40)),
            changed: Some(ago(90_000)),
            every_seconds: 300,
            nodes: u64::from(self.size),
            suspended: 2,
            held: held.collect(),
            complaints: vec![ComplaintRow {
                about: self.said("hosts/el-bolson"),
                text: self.said("the key is no key of 32 octets in base64"),
            }],
            more_complaints: 0,
        })
    }

    fn problem(&self, code: &str, severity: Severity, message: &str) -> Problem {
        let hint = self.said(match code {
            "pool_nearly_full" => "add a pool, under Settings",
            "no_uplink" => "look at 'ip -6 route show default'",
            "keylist_held" => "look at who is named below, then carry it out",
            _ => "sysctl -w net.ipv6.conf.all.forwarding=1, and keep it in /etc/sysctl.d/ln6d.conf",
        });
        Problem { code: code.into(), severity, message: self.said(message), hint: Some(hint) }
    }

    fn status(&self, now: Time) -> StatusReport {
        StatusReport {
            version: env!("CARGO_PKG_VERSION").into(),
            time: now,
            node: NodeInfo {
                name: self.said("altermundi"),
                key: Fake::key(0),
                router_id: Fake::id(0),
                network: Fingerprint([0x4e; 32]),
                address: "fd4e:4e4e:4e4e::1".parse().unwrap_or(std::net::Ipv6Addr::LOCALHOST),
                interface: self.said("ln6d0"),
                listen: 6695,
                started: Time::from_secs(now.as_secs().saturating_sub(500_000)),
            },
            standing: StandingInfo { state: "member".into(), ..StandingInfo::default() },
            problems: vec![
                self.problem("no_uplink", Severity::Error, "the uplink of this exit has no default route"),
                self.problem(
                    "pool_nearly_full",
                    Severity::Warning,
                    "the pool 2001:db8:ff00::/44 is 93 % used",
                ),
            ],
            prefixes: Vec::new(),
            lans: Vec::new(),
            endpoints: Vec::new(),
            seen_at: Vec::new(),
            peers: PeerSummary {
                known: self.size,
                connected: self.size * 10 / 11,
                relayed: self.size / 7,
                rx_bytes: 8_400_000_000_000,
                tx_bytes: 2_100_000_000_000,
                ..PeerSummary::default()
            },
            exits: ExitInfo { here: true, reachable: vec![self.said("libertad")] },
            broker: Some(BrokerSummary {
                pools: vec![
                    PoolRow {
                        prefix: Fake::pool(),
                        delegations: self.size,
                        used_ratio: f64::from(self.size) / 65_536.0,
                    },
                    PoolRow {
                        prefix: "2001:db8:ff00::/44".parse().unwrap_or(Prefix::ALL),
                        delegations: 4,
                        used_ratio: 0.93,
                    },
                ],
                holders: self.size,
                requests_waiting: 3,
                invitations_open: 2,
            }),
            refusals: vec![Count { reason: self.said("not_certified"), count: 12 }],
            drops: vec![Count { reason: self.said("no_route"), count: 123_456 }],
        }
    }

    fn space(&self, block: Prefix) -> SpaceReport {
        let len = (block.len() + 8).min(128);
        let count = 1_u128 << (len - block.len());
        let held: Vec<(Prefix, u32)> = (0..self.size)
            .map(|n| (Fake::prefix(n), n))
            .filter(|(prefix, _)| prefix.overlaps(block))
            .collect();
        let cell = |index: u128| {
            let prefix = block.part(len, index).unwrap_or(block);
            let mut inside = held.iter().filter(|(held, _)| held.overlaps(prefix));
            let first = inside.next().copied();
            let more = inside.count() as u32;
            let outside = !Fake::pool().overlaps(prefix);
            let whole = first.filter(|(held, _)| held.covers(prefix));
            let state = match (first, whole) {
                _ if outside => "outside",
                (_, Some((_, n))) if Fake::state(n) == "active" => "delegated",
                (_, Some((_, n))) => Fake::state(n),
                (Some(_), _) => "partly",
                _ if index % 61 == 17 => "reserved",
                _ => "free",
            };
            let wide = 2_f64.powi(i32::from(prefix.len()) - 56);
            SpaceCell {
                prefix,
                state: state.into(),
                share: if whole.is_some() { 1.0 } else { first.map_or(0.0, |_| f64::from(more + 1) * wide) },
                delegations: u64::from(first.is_some()) + u64::from(more),
                holder: whole.map(|(_, n)| self.name(n)),
                inside: whole.map(|(held, _)| held).filter(|held| *held != prefix),
                deeper: state == "partly",
            }
        };
        SpaceReport { block, cells: (0..count).map(cell).collect() }
    }

    fn traffic(&self, peer: Option<String>, now: Time) -> TrafficReport {
        let series = |span: &str, steps: u32, step: u64| {
            let wave = |k: f64, base: f64| {
                (0..steps)
                    .map(|i| {
                        ((f64::from(i) * k).sin() * 0.5 + 0.75 + (f64::from(i) * k * 7.3).sin() * 0.15)
                            .max(0.0)
                            * base
                    })
                    .map(|v| v as u64 * step)
                    .collect()
            };
            TrafficSeries {
                span: span.into(),
                step_seconds: step,
                start: Time::from_secs(now.as_secs() - step * u64::from(steps)),
                rx_bytes: wave(std::f64::consts::TAU / f64::from(steps) * 1.5, 4_000_000.0),
                tx_bytes: wave(std::f64::consts::TAU / f64::from(steps) * 1.5 + 0.001, 1_300_000.0),
            }
        };
        let row = |n: u32| TrafficRow {
            name: self.name(n),
            key: Fake::key(n),
            rx_bytes_per_second: f64::from(self.size - n) * 900.0,
            tx_bytes_per_second: f64::from(self.size - n) * 400.0,
            day_rx_bytes: u64::from(self.size - n) * 9_000_000,
            day_tx_bytes: u64::from(self.size - n) * 4_000_000,
            month_rx_bytes: u64::from(self.size - n) * 220_000_000,
            month_tx_bytes: u64::from(self.size - n) * 90_000_000,
        };
        TrafficReport {
            series: vec![series("now", 120, 10), series("day", 288, 300), series("month", 720, 3600)],
            peers: if peer.is_some() { Vec::new() } else { (0..self.size).map(row).collect() },
            peer: peer.map(|peer| self.said(&peer)),
        }
    }

    fn graph(&self) -> GraphReport {
        let node = |n: u32| GraphNode {
            router_id: Fake::id(n),
            name: if n == 0 { self.said("altermundi") } else { self.name(n) },
            key: Some(Fake::key(n)),
            kind: if n == 0 { "self" } else { "node" }.into(),
            roles: if n == 0 {
                vec!["broker".into(), "exit".into()]
            } else if n == 1 {
                vec!["exit".into()]
            } else {
                Vec::new()
            },
            prefixes: vec![Fake::prefix(n)],
            reachable: n % 11 != 5,
            metric: Some((n % 300 + 96) as u16),
        };
        let link = |n: u32| GraphLink {
            from: Fake::id(if n <= 8 { 0 } else { n % 8 + 1 }),
            to: Fake::id(n),
            kind: if n <= 8 { "session" } else { "route" }.into(),
            path: (n <= 8).then_some(if n % 3 == 2 { PathKind::Relayed } else { PathKind::Direct }),
            cost: None,
            rtt_seconds: (n <= 8).then(|| f64::from(n) * 0.0061),
        };
        GraphReport { nodes: (0..self.size).map(node).collect(), links: (1..self.size).map(link).collect() }
    }
}

impl Backend for Fake {
    fn ask<'a>(&'a self, actor: &'a str, parts: Parts) -> Answer<'a> {
        Box::pin(async move { self.answer(actor, &parts).map(Bytes::from) })
    }
}
