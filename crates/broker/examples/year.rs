//! The registry of a large community after a year, made by the commands that would have made it, to see how a broker carries it:
//! `cargo run -p ln6-broker --example year -- registry.db 5000`. Arguments: a file that does not exist yet, holders.

use ln6_broker::{CardChange, Journal, Line, Owner, Store};
use ln6_registry::{
    Actor, Admission, Command, Join, NewInvitation, Pool, Purpose, Refusal, Registry, Secret, Target,
};
use ln6_types::{Prefix, PublicKey, UnixTime, VerifyKey};
use std::error::Error;
use std::path::Path;
use std::time::SystemTime;

const DAY: u64 = 86_400;
const DAYS: u64 = 365;
/// Days between two renewals.
const RENEWED: u64 = 60;
/// Events that share a transaction.
const GROUP: usize = 4096;
/// Who administers, in turn.
const PEOPLE: [&str; 3] = ["luz", "nico", "gui"];

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let file = args.next().ok_or("which file?")?;
    let size: u32 = args.next().ok_or("how many holders?")?.parse()?;
    if Path::new(&file).exists() {
        return Err(format!("{file} exists").into());
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    let (store, registry) = Store::open(&file)?;
    let mut year = Year { store, registry, lines: Vec::new(), now: now - DAYS * DAY, draws: 0 };
    year.pass(size)?;
    let registry = &year.registry;
    println!(
        "{} events, {} holders, {} of them active, {} requests",
        year.store.events(),
        registry.holder_views(true).len(),
        registry.holder_views(false).len(),
        registry.request_views().len(),
    );
    Ok(())
}

struct Year {
    store: Store,
    registry: Registry,
    lines: Vec<Line>,
    now: u64,
    draws: u64,
}

impl Year {
    fn pass(&mut self, size: u32) -> Result<(), Box<dyn Error>> {
        let mut pool = Pool::new("2001:db8:4800::/40".parse::<Prefix>()?, Admission::Queue);
        pool.default_len = 56;
        self.give(Actor::Operator, Command::SetPool(pool))?;
        let size = u64::from(size);
        let came = |n: u64| n * (DAYS - 5) / size;
        let mut next = 0;
        for day in 0..DAYS {
            self.give(Actor::Clock, Command::Expire)?;
            for n in 0..next {
                if day > came(n) && (day - came(n)).is_multiple_of(RENEWED) {
                    // Who was suspended or revoked is refused.
                    let _ = self.give(Actor::Node(key(n)), Command::Renew { key: key(n) });
                }
            }
            while next < size && came(next) == day {
                self.admit(next)?;
                next += 1;
            }
            if day.is_multiple_of(3) && next > 40 {
                self.administer(day, next)?;
            }
            self.now += DAY;
        }
        // What an administrator finds in the morning.
        let barranco = Target::Holder("barranco".into());
        let revoke =
            Command::Revoke { target: barranco, reason: "the router is lost".into(), compromised: false };
        self.give(admin(0), revoke)?;
        for n in size..size + 30 {
            let join = Join { name: Some(format!("nuevo-{}", n - size)), ..asked(n) };
            self.give(Actor::Node(key(n)), Command::Join(join))?;
        }
        self.store.append(&std::mem::take(&mut self.lines), &[])?;
        Ok(())
    }

    fn admit(&mut self, n: u64) -> Result<(), Box<dyn Error>> {
        let name = Some(name(n));
        let new = NewInvitation { valid_for: 7 * DAY, name, size: Some(56), purpose: Purpose::Admit };
        self.give(admin(n), Command::Invite(new))?;
        let secret = Secret::from_entropy(&entropy(self.draws));
        self.give(Actor::Node(key(n)), Command::Join(Join { secret: Some(secret), ..asked(n) }))?;
        if let Some(holder) = self.registry.holder_named(&self::name(n)).map(|holder| holder.id) {
            let card = CardChange {
                owner: Owner::Holder(holder),
                contact: Some(format!("{}@example.net", self::name(n))),
                note: n.is_multiple_of(7).then(|| "the mast behind the school".to_owned()),
            };
            self.store.append(&std::mem::take(&mut self.lines), &[card])?;
        }
        Ok(())
    }

    /// Of each kind of what administrators do, a little.
    fn administer(&mut self, day: u64, holders: u64) -> Result<(), Box<dyn Error>> {
        // Not the first two: the pages that are looked at are theirs.
        let pick = |turn: u64| name(2 + (day * 31 + turn * 7) % (holders - 2));
        let mut tried = vec![
            Command::Suspend { holder: pick(0), reason: "not reached for a month".into() },
            Command::Resume { holder: pick(0) },
            Command::Suspend { holder: pick(1), reason: "moved away, keeps its prefix".into() },
            Command::SetRate { holder: pick(2), rate: Some(1_000_000) },
            Command::SetContact { holder: pick(3), text: "somebody@example.org".into() },
        ];
        let target = Target::Holder(pick(4));
        tried.push(Command::Revoke { target, reason: "stolen".into(), compromised: day.is_multiple_of(2) });
        let delegation = self.registry.holder_named(&pick(5)).and_then(|holder| {
            let mine = |d: &&ln6_registry::Delegation| d.holder == holder.id;
            self.registry.live_delegations().find(mine).map(|d| d.id)
        });
        tried.extend(delegation.map(|delegation| Command::Resize { delegation, size: 52, moving: true }));
        for command in tried {
            // Some ask of a holder what it cannot do by now: that is refused, as it would be in life.
            let _ = self.give(admin(day), command);
        }
        Ok(())
    }

    fn give(&mut self, who: Actor, command: Command) -> Result<(), Refusal> {
        self.draws += 1;
        let at = UnixTime::from_secs(self.now);
        for event in self.registry.decide(at, &who, &command, &entropy(self.draws))? {
            self.lines.push(Line::new(&self.registry, event.clone()));
            self.registry.apply(&event);
        }
        if self.lines.len() > GROUP {
            let lines = std::mem::take(&mut self.lines);
            self.store.append(&lines, &[]).map_err(|_| Refusal::StateChanged("the store"))?;
        }
        Ok(())
    }
}

fn admin(n: u64) -> Actor {
    Actor::Admin(PEOPLE[n as usize % PEOPLE.len()].to_owned())
}

fn name(n: u64) -> String {
    match n {
        0 => "arcoiris".to_owned(),
        1 => "barranco".to_owned(),
        n => format!("nodo-{n}"),
    }
}

fn key(n: u64) -> PublicKey {
    let mut octets = [7; 32];
    octets[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    octets[8..16].copy_from_slice(&n.to_le_bytes());
    PublicKey(octets)
}

fn asked(n: u64) -> Join {
    let sign = VerifyKey(key(n).0);
    Join { key: key(n), sign, name: None, size: Some(56), ssid: None, secret: None, contact: None }
}

fn entropy(n: u64) -> [u8; 32] {
    key(n ^ u64::MAX).0
}
