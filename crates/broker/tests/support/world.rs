//! A broker for tests: keys, a certificate, and answers that are waited for.

use ln6_broker::*;
use ln6_crypto::{Certificate, Roles, Signed, SigningKey, fingerprint, router_id};
use ln6_registry::*;
use ln6_types::{Fingerprint, Prefix, PublicKey, UnixTime, VerifyKey};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;

pub const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);
pub const POOL: &str = "2001:db8::/32";
const YEAR: u64 = 31_536_000;

pub fn root() -> SigningKey {
    SigningKey::from_seed([1; 32])
}

pub fn network() -> Fingerprint {
    fingerprint(&root().verify_key())
}

pub fn issuer() -> Issuer {
    let sign = SigningKey::from_seed([2; 32]);
    let key = PublicKey([3; 32]);
    let certificate = Certificate {
        network: network(),
        serial: 1,
        issuer: root().verify_key(),
        key,
        sign: sign.verify_key(),
        router_id: router_id(&key),
        name: "broker".into(),
        holder: "broker".into(),
        originate: vec![],
        delegate: vec![POOL.parse().expect("pool")],
        roles: Roles { broker: true, ..Roles::NONE },
        grantable: Roles { exit: true, transit: true, broker: false },
        not_before: UnixTime::from_secs(NOW.as_secs() - YEAR),
        not_after: UnixTime::from_secs(NOW.as_secs() + 5 * YEAR),
        grace_until: UnixTime::from_secs(NOW.as_secs() + 6 * YEAR),
        routes: 64,
        children: 100_000,
    };
    let own = Signed::sign(certificate, &root()).expect("broker certificate");
    Issuer::new(sign, own, vec![]).expect("issuer")
}

/// Never the same twice within one seed.
pub fn entropy(seed: u64) -> Entropy {
    let mut count = 0u64;
    Box::new(move || {
        count += 1;
        let mut octets = [0; 32];
        octets[..8].copy_from_slice(&(count.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_be_bytes());
        octets[16..24].copy_from_slice(&seed.to_be_bytes());
        octets[24..].copy_from_slice(&count.to_be_bytes());
        octets
    })
}

pub fn key(number: u64) -> PublicKey {
    let mut octets = [0x40; 32];
    octets[..8].copy_from_slice(&number.to_be_bytes());
    PublicKey(octets)
}

pub fn ask(number: u64) -> Join {
    let key = key(number);
    Join { key, sign: VerifyKey(key.0), name: None, size: None, ssid: None, secret: None, contact: None }
}

/// The desk, with answers that are waited for.
#[derive(Clone)]
pub struct Asker(pub DeskHandle);

impl Asker {
    pub fn start<J: Journal + 'static>(journal: J, registry: Registry, seed: u64) -> (Asker, Thread) {
        let started = Desk::start(journal, registry, issuer(), entropy(seed), Box::new(|_| {}));
        let (handle, thread) = started.expect("thread");
        (Asker(handle), thread)
    }

    pub fn join(&self, join: Join) -> JoinAnswer {
        let (tx, rx) = channel();
        self.0.join(NOW, join, Box::new(move |answer| drop(tx.send(answer))));
        rx.recv().expect("every request is answered")
    }

    pub fn operator(&self, command: Command) -> CommandAnswer {
        let (tx, rx) = channel();
        self.0.command(NOW, Actor::Operator, command, Box::new(move |answer| drop(tx.send(answer))));
        rx.recv().expect("every request is answered")
    }

    pub fn list(&self, what: List) -> Result<Listed, Refused> {
        let (tx, rx) = channel();
        self.0.list(NOW, what, Box::new(move |answer| drop(tx.send(answer))));
        rx.recv().expect("every request is answered")
    }

    pub fn pool(&self) -> CommandAnswer {
        self.operator(Command::SetPool(Pool::new(POOL.parse().expect("pool"), Admission::Queue)))
    }

    pub fn invite(&self) -> Option<Secret> {
        let new = NewInvitation { valid_for: 86_400, name: None, size: Some(56), purpose: Purpose::Admit };
        self.operator(Command::Invite(new)).ok()?.invitation.map(|(_, secret)| secret)
    }

    /// Invites and joins; the prefix if that was acknowledged.
    pub fn admit(&self, number: u64) -> Option<Prefix> {
        match self.join(Join { secret: Some(self.invite()?), ..ask(number) }) {
            JoinAnswer::Granted { prefixes, .. } => prefixes.first().copied(),
            _ => None,
        }
    }

    /// Waits in the queue and is approved; whether each was acknowledged.
    pub fn approve(&self, number: u64) -> (bool, bool) {
        if !matches!(self.join(ask(number)), JoinAnswer::Waiting { .. }) {
            return (false, false);
        }
        let Ok(Listed::Requests(waiting)) = self.list(List::Requests) else { return (true, false) };
        let mine = waiting.iter().find(|asked| asked.view.request.key == key(number));
        let Some(request) = mine.map(|asked| asked.view.request.id) else { return (true, false) };
        let approve = Command::Approve { request, prefix: None, size: Some(60), name: None, holder: None };
        (true, self.operator(approve).is_ok())
    }

    pub fn restore(&self, number: u64) -> bool {
        self.operator(Command::Restore { target: Target::Key(key(number)) }).is_ok()
    }

    pub fn revoke(&self, number: u64) -> bool {
        let target = Target::Key(key(number));
        self.operator(Command::Revoke { target, reason: "test".into(), compromised: false }).is_ok()
    }
}

/// A directory that goes away with its owner.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ln6d-{name}-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("scratch directory");
        Scratch(path)
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn open(path: &Path) -> (Store, Registry) {
    Store::open(path).unwrap_or_else(|error| panic!("{error}"))
}
