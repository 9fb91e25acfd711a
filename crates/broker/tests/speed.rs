//! Lists of thousands: what a page costs must grow with what there is, not with its square. (Here, as the registry's own tests
//! have no clock.)

use ln6_registry::*;
use ln6_types::{Prefix, PublicKey, UnixTime, VerifyKey};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);
const POOL: &str = "2001:db8::/32";

fn give(registry: &mut Registry, command: &Command) {
    let events = registry.decide(NOW, &Actor::Operator, command, &[0; 32]).expect("done");
    events.iter().for_each(|event| registry.apply(event));
}

/// Many holders, a tenth of them suspended; some have room to grow, some have not.
fn crowd(count: u32) -> Registry {
    let mut registry = Registry::new();
    let pool: Prefix = POOL.parse().expect("pool");
    give(&mut registry, &Command::SetPool(Pool::new(pool, Admission::Queue)));
    for number in 0..count {
        let mut octets = [0x40; 32];
        octets[..4].copy_from_slice(&number.to_be_bytes());
        let (key, sign, name) = (PublicKey(octets), VerifyKey(octets), format!("mesh-{number:05}"));
        let slot = pool.part(48, u128::from(number) * 13 - u128::from(number % 5 * 2));
        let prefix = slot.map(|slot| Prefix::new(slot.network(), [48, 52, 56][number as usize % 3]));
        let join =
            Join { key, sign, name: Some(name.clone()), size: None, ssid: None, secret: None, contact: None };
        give(&mut registry, &Command::Admit { join, prefix });
        if number % 10 == 0 {
            give(&mut registry, &Command::Suspend { holder: name, reason: String::new() });
        }
    }
    registry
}

/// The quickest of some runs.
fn timed<T>(run: impl Fn() -> T) -> Duration {
    let one = || {
        let begin = Instant::now();
        let _ = run();
        begin.elapsed()
    };
    (0..7).map(|_| one()).min().unwrap_or_default()
}

fn figures(registry: &Registry) -> Vec<(&'static str, Duration)> {
    let nobody = BTreeSet::new();
    let holders = HolderQuery { text: "mesh-0".into(), sort: HolderSort::Prefix, ..HolderQuery::default() };
    let prefixes = PrefixQuery { text: "db8:1".into(), ..PrefixQuery::default() };
    let block: Prefix = POOL.parse().expect("pool");
    vec![
        ("all prefixes", timed(|| registry.prefix_views())),
        ("all holders", timed(|| registry.holder_views(false))),
        ("pools", timed(|| registry.pool_views())),
        ("a page of holders", timed(|| registry.holder_page(&holders, &nobody))),
        ("a page of prefixes", timed(|| registry.prefix_page(&prefixes))),
        ("a map", timed(|| registry.space(block))),
    ]
}

#[test]
fn lists_of_five_thousand_holders_grow_with_what_there_is() {
    let (few, many) = (figures(&crowd(1250)), figures(&crowd(5000)));
    for ((what, few), (_, many)) in few.into_iter().zip(many) {
        println!("{what}: {few:?} for 1250, {many:?} for 5000");
        // Four times as many; their square would be sixteen times. What is over soon proves nothing on a busy machine.
        assert!(many < few * 12 || many < Duration::from_millis(150), "{what}: {few:?}, then {many:?}");
    }
}
