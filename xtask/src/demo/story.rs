//! The story, in order; each claim is a step.

use super::machine::Machine;
use super::prefixes::Prefix;
use super::readme::{Block, link};
use super::report::{Done, Report, done, done_with};
use anyhow::{Context, Result, bail, ensure};
use ln6_lab::{Community, INTERNET_HOST, Namespace, POOL, Process, probe, wait_for, wait_until};
use std::fmt::Write;
use std::net::Ipv6Addr;
use std::path::Path;
use std::time::Duration;

/// From a command to a working network: joining, the first routes, router advertisements, duplicate detection.
const JOIN: Duration = Duration::from_secs(60);
/// To recover after something was killed or restarted.
const HEAL: Duration = Duration::from_secs(60);
/// The echo service behind every gateway.
const PORT: u16 = 7000;
/// Name and size of the three invited gateways; the fourth is the README's own.
const SITES: [(&str, u8); 3] = [("moreno", 48), ("quintana", 56), ("serrano", 64)];

/// Everyone in it.
#[derive(Debug)]
pub(super) struct Story<'a> {
    world: &'a Community,
    readme: &'a str,
    server: Machine,
    gateways: Vec<Machine>,
    echoes: Vec<Process>,
}

impl<'a> Story<'a> {
    pub(super) fn new(world: &'a Community, binary: &Path, readme: &'a str) -> Self {
        Self {
            world,
            readme,
            server: Machine::new(&world.server, binary),
            gateways: world.sites.iter().map(|site| Machine::new(&site.gateway, binary)).collect(),
            echoes: Vec::new(),
        }
    }

    pub(super) fn server(&self) -> &Machine {
        &self.server
    }

    pub(super) fn tell(&mut self, report: &mut Report) -> Result<()> {
        let pool = Prefix::new(POOL.0, POOL.1)?;
        report.step("the server is one command and a start", || self.found())?;
        report.step("three gateways join by invitation: /48, /56, and /64 behind NAT", || self.invite())?;
        let addresses = report.step("clients take addresses from the delegated prefixes", || {
            let addresses = self.take_addresses(&[0, 1, 2], pool)?;
            done_with(addresses.clone(), self.named(&addresses))
        })?;
        let before = report.step("the prefixes have the sizes asked for", || self.sizes(&addresses, pool))?;
        self.everyone_reaches_everyone(report, &addresses)?;
        report.step("the Internet cannot open a connection into a LAN", || self.knock(&addresses))?;
        self.show_status(report)?;
        self.lose_the_server(report, &addresses)?;
        self.restart_without_server(report, &addresses, &before, pool)?;
        report.step("the server comes back and the Internet with it", || {
            self.server.start()?;
            self.reach_internet(&[0, 1, 2])
        })?;
        self.queue(report, &addresses, pool)?;
        self.show_status(report)?;
        report.step("no daemon has ended by itself", || {
            let machines = std::iter::once(&mut self.server).chain(&mut self.gateways);
            for machine in machines {
                ensure!(machine.is_running(), "the daemon in {} is gone", machine.namespace.name());
            }
            done("")
        })
    }

    fn block(&self, name: &str) -> Result<Block> {
        Block::find(self.readme, name)
    }

    fn found(&mut self) -> Result<Done<()>> {
        let block = self.block("server")?;
        self.server.play(&block)?;
        done("")
    }

    fn invite(&mut self) -> Result<Done<()>> {
        for (index, (name, size)) in SITES.into_iter().enumerate() {
            let size = size.to_string();
            let invite = self.block("invite")?.with(&[("--name", name), ("--size", &size)])?;
            let printed = self.server.play(&invite)?;
            let join = self.block("gateway")?.word("LINK", link(&printed)?);
            self.gateways[index].play(&join)?;
        }
        done("")
    }

    /// Waits until each client has an address inside the pool, and starts the echo services.
    fn take_addresses(&mut self, sites: &[usize], pool: Prefix) -> Result<Vec<Ipv6Addr>> {
        let mut found = Vec::new();
        for &index in sites {
            let client = &self.world.sites[index].client;
            let what = format!("an address inside {pool} at {}", client.name());
            found.push(wait_for(&what, JOIN, || {
                let addresses = client.addresses("eth0");
                let inside = addresses.iter().find(|address| pool.contains(**address));
                inside.copied().ok_or_else(|| format!("it has {addresses:?}"))
            })?);
            self.echoes.push(probe::echo(client, PORT)?);
        }
        Ok(found)
    }

    fn named(&self, addresses: &[Ipv6Addr]) -> String {
        let mut text = String::new();
        for (site, address) in self.world.sites.iter().zip(addresses) {
            let _ = writeln!(text, "{} {address}", site.client.name());
        }
        text
    }

    /// Each gateway names a prefix of the length it asked for that holds its client's address, and the server
    /// names the same one.
    fn sizes(&self, addresses: &[Ipv6Addr], pool: Prefix) -> Result<Done<Vec<Prefix>>> {
        let granted = self.server.prefixes(pool)?;
        let mut delegated = Vec::new();
        for (index, address) in addresses.iter().enumerate() {
            let (name, size) = SITES[index];
            let held = self.gateways[index].prefixes(pool)?;
            let fits = |prefix: &&Prefix| prefix.length == size && prefix.contains(*address);
            let prefix = held
                .iter()
                .find(fits)
                .with_context(|| format!("{name} asked for a /{size}, has {held:?}, client {address}"))?;
            ensure!(granted.contains(prefix), "the server does not know {prefix} of {name}: {granted:?}");
            delegated.push(*prefix);
        }
        let lines = SITES.iter().zip(&delegated).map(|((name, _), prefix)| format!("{name} {prefix}\n"));
        let shown: String = lines.collect();
        done_with(delegated, shown)
    }

    fn everyone_reaches_everyone(&mut self, report: &mut Report, addresses: &[Ipv6Addr]) -> Result<()> {
        report.step("every client reaches the Internet", || self.reach_internet(&[0, 1, 2]))?;
        report.step("every client reaches every other", || self.reach_each_other(addresses, HEAL))
    }

    fn client(&self, index: usize) -> &Namespace {
        &self.world.sites[index].client
    }

    fn reach_internet(&self, sites: &[usize]) -> Result<Done<()>> {
        for &index in sites {
            self.client(index).wait_ping(INTERNET_HOST, HEAL)?;
        }
        done("")
    }

    fn reach_each_other(&self, addresses: &[Ipv6Addr], deadline: Duration) -> Result<Done<()>> {
        for (from, _) in addresses.iter().enumerate() {
            for (_, address) in addresses.iter().enumerate().filter(|(to, _)| *to != from) {
                self.client(from).wait_ping(*address, deadline)?;
            }
        }
        done(format!("{} ways", addresses.len() * addresses.len().saturating_sub(1)))
    }

    fn knock(&self, addresses: &[Ipv6Addr]) -> Result<Done<()>> {
        let first = addresses.first().copied().context("no client")?.into();
        wait_until("a connection between members", HEAL, || probe::connects(self.client(1), first, PORT))?;
        for address in addresses {
            let open = probe::connects(&self.world.internet, (*address).into(), PORT);
            ensure!(!open, "the Internet opened a connection to {address}");
        }
        // Not because the host were mute: answers to what a client began do come back.
        let service = probe::echo(&self.world.internet, PORT)?;
        for index in 0..addresses.len() {
            let client = self.client(index);
            wait_until("a connection to the Internet", HEAL, || {
                probe::connects(client, INTERNET_HOST.into(), PORT)
            })?;
        }
        drop(service);
        done("a member can; and a client can call out")
    }

    fn show_status(&self, report: &mut Report) -> Result<()> {
        report.show("ln6d status, server", &self.server.ask(&["status"])?);
        report.show("ln6d status, gateway moreno", &self.gateways[0].ask(&["status"])?);
        Ok(())
    }

    /// One TCP connection between two LANs is open while the server dies.
    fn lose_the_server(&mut self, report: &mut Report, addresses: &[Ipv6Addr]) -> Result<()> {
        let to = addresses[1].into();
        let mut talk = report.step("a connection from LAN to LAN is busy", || {
            let talk = probe::talk(self.client(0), to, PORT)?;
            let (count, _) = hear(&talk, 20)?;
            done_with(talk, format!("{count} answers"))
        })?;
        report.step("the server is killed", || {
            self.server.kill()?;
            done("SIGKILL")
        })?;
        report.step("the connection goes on", || {
            let (before, _) = probe::heard(&talk).context("no answer yet")?;
            let (count, silence) = hear(&talk, before + 100)?;
            ensure!(talk.is_running(), "the connection broke: {}", talk.stderr());
            done(format!("{count} answers, longest silence {} ms", silence.as_millis()))
        })?;
        report.step("without the server every client reaches every other", || {
            self.reach_each_other(addresses, HEAL)
        })
    }

    fn restart_without_server(
        &mut self,
        report: &mut Report,
        addresses: &[Ipv6Addr],
        before: &[Prefix],
        pool: Prefix,
    ) -> Result<()> {
        report.step("both gateways restart without the server", || {
            for gateway in &mut self.gateways[..2] {
                gateway.stop()?;
            }
            for gateway in &mut self.gateways[..2] {
                gateway.start()?;
            }
            done("")
        })?;
        report.step("they still reach each other", || self.reach_each_other(addresses, HEAL))?;
        report.step("with the same prefixes and addresses", || {
            for (index, prefix) in before.iter().enumerate() {
                let now = self.gateways[index].prefixes(pool)?;
                ensure!(now.contains(prefix), "{} had {prefix}, has {now:?}", SITES[index].0);
                // A gateway that ends deprecates its prefix, one that starts advertises it again.
                let what = format!("{} at its client", addresses[index]);
                wait_for(&what, HEAL, || {
                    let has = self.client(index).addresses("eth0");
                    if has.contains(&addresses[index]) { Ok(()) } else { Err(format!("it has {has:?}")) }
                })?;
            }
            done("")
        })
    }

    fn queue(&mut self, report: &mut Report, addresses: &[Ipv6Addr], pool: Prefix) -> Result<()> {
        let name = report.step("a fourth gateway asks to join", || {
            let printed = self.server.play(&self.block("open")?)?;
            let join = self.block("queue")?.word("LINK", link(&printed)?);
            let name = value_of(&join, "--name")?;
            self.gateways[3].play(&join)?;
            done_with(name.clone(), name)
        })?;
        report.step("it waits in the queue and has nothing", || {
            wait_for("the request in the queue", JOIN, || {
                let listed = self.server.ask(&["requests"]).map_err(|error| error.to_string())?;
                if listed.contains(&name) { Ok(()) } else { Err(listed) }
            })?;
            let has = self.client(3).addresses("eth0");
            ensure!(!has.iter().any(|address| pool.contains(*address)), "not approved, and yet {has:?}");
            done("")
        })?;
        report.step("it is approved and connected", || {
            self.server.play(&self.block("approve")?)?;
            let address = self.take_addresses(&[3], pool)?;
            self.reach_internet(&[3])?;
            for other in addresses {
                self.client(3).wait_ping(*other, HEAL)?;
            }
            done(address.iter().map(|address| format!("c4 {address}")).collect::<String>())
        })
    }

    /// Addresses and routes of everyone, to find out what went wrong.
    pub(super) fn kernel(&self) -> String {
        let mut text = String::new();
        for namespace in self.world.lab.namespaces() {
            for what in [["addr", "show"], ["route", "show"]] {
                let output = namespace.exec(&["ip", "-6", "-brief", what[0], what[1]]);
                let _ =
                    writeln!(text, "[{}] ip -6 {}\n{}", namespace.name(), what[0], output.stdout.trim_end());
            }
        }
        text
    }
}

/// Waits for a number of answers on a connection.
fn hear(talk: &Process, number: u64) -> Result<(u64, Duration)> {
    wait_for(&format!("answer {number} on the connection"), HEAL, || match probe::heard(talk) {
        Some((count, silence)) if count >= number => Ok((count, silence)),
        other => Err(format!("so far {other:?}; {}", talk.stderr())),
    })
}

/// The value of an option in a block.
fn value_of(block: &Block, option: &str) -> Result<String> {
    for command in &block.0 {
        if let Some(at) = command.iter().position(|word| word == option) {
            return command.get(at + 1).cloned().with_context(|| format!("{option} has no value"));
        }
    }
    bail!("the README's block has no {option}")
}
