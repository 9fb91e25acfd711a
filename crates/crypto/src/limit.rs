//! How often one source may ask: a fixed table of token buckets, one for each IPv4 address or IPv6 /64.

use crate::blake;
use core::net::IpAddr;
use core::time::Duration;
use ln6_types::Instant;
use zeroize::Zeroizing;

/// How many buckets share a hash: the work one question costs at most.
const WAYS: usize = 8;

/// So many at once, then one in each interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Time for one token.
    pub interval: Duration,
    /// Tokens of a full bucket; at least 1.
    pub burst: u32,
}

impl Rate {
    /// WireGuard's for handshakes: 20 a second, 5 at once.
    pub const HANDSHAKES: Rate = Rate { interval: Duration::from_millis(50), burst: 5 };
}

/// A bucket says when it will be full again; one that is full is as good as none.
#[derive(Clone, Copy)]
struct Bucket {
    source: u64,
    full_at: Instant,
}

/// Buckets for as many sources as were asked for at the start; it never grows.
///
/// Only full buckets are forgotten. If all the places of a source are taken by others that asked within the last moments
/// it is refused, so that the whole table admits no more than its size times the rate, whatever sources there are.
pub struct SourceLimit {
    buckets: Box<[[Bucket; WAYS]]>,
    seed: Zeroizing<[u8; 32]>,
    rate: Rate,
}

impl SourceLimit {
    /// A table for at least `sources` sources at once (16 octets each), all of them with a full bucket. The random seed
    /// hides from strangers which sources share places.
    pub fn new(sources: usize, rate: Rate, seed: [u8; 32]) -> Self {
        let empty = Bucket { source: 0, full_at: Instant::ZERO };
        let sets = sources.div_ceil(WAYS).max(1).next_power_of_two();
        SourceLimit { buckets: vec![[empty; WAYS]; sets].into(), seed: Zeroizing::new(seed), rate }
    }

    /// Takes a token of the source; `false` if there is none.
    pub fn take(&mut self, now: Instant, source: IpAddr) -> bool {
        let source = self.name(source);
        let set = source as usize & (self.buckets.len() - 1);
        let set = &mut self.buckets[set];
        let own = set.iter().position(|bucket| bucket.source == source);
        let Some(place) = own.or_else(|| set.iter().position(|bucket| bucket.full_at <= now)) else {
            return false;
        };
        let bucket = &mut set[place];
        let full_at = bucket.full_at.max(now) + self.rate.interval;
        if full_at.since(now) > self.rate.interval.saturating_mul(self.rate.burst.max(1)) {
            return false;
        }
        *bucket = Bucket { source, full_at };
        true
    }

    /// A keyed hash of the address or of its /64.
    fn name(&self, source: IpAddr) -> u64 {
        let hash = match source.to_canonical() {
            IpAddr::V4(ip) => blake::mac16(&self.seed, &[&ip.octets()]),
            IpAddr::V6(ip) => blake::mac16(&self.seed, &[&ip.octets()[..8]]),
        };
        hash.first_chunk().map_or(0, |word| u64::from_le_bytes(*word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: u64) -> Instant {
        Instant::from_micros(1_000_000 + millis * 1000)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("address")
    }

    fn table(sources: usize) -> SourceLimit {
        SourceLimit::new(sources, Rate::HANDSHAKES, [3; 32])
    }

    fn taken(table: &mut SourceLimit, now: Instant, source: &str, asked: usize) -> usize {
        (0..asked).filter(|_| table.take(now, ip(source))).count()
    }

    #[test]
    fn a_source_has_five_at_once_and_twenty_a_second() {
        let mut table = table(64);
        assert_eq!(taken(&mut table, at(0), "192.0.2.1", 10), 5);
        assert_eq!(taken(&mut table, at(49), "192.0.2.1", 10), 0);
        assert_eq!(taken(&mut table, at(50), "192.0.2.1", 10), 1);
        assert_eq!(taken(&mut table, at(150), "192.0.2.1", 10), 2);
        assert_eq!(taken(&mut table, at(10_000), "192.0.2.1", 10), 5);
        let later = (10_001..20_001).filter(|&ms| table.take(at(ms), ip("192.0.2.1"))).count();
        assert_eq!(later, 200);
    }

    #[test]
    fn a_source_is_an_ipv4_address_or_an_ipv6_64() {
        let mut table = table(4096);
        assert_eq!(taken(&mut table, at(0), "2001:db8::1", 5), 5);
        assert_eq!(taken(&mut table, at(0), "2001:db8::ffff:0:0:2", 1), 0);
        assert_eq!(taken(&mut table, at(0), "2001:db8:0:1::1", 5), 5);
        assert_eq!(taken(&mut table, at(0), "192.0.2.1", 5), 5);
        assert_eq!(taken(&mut table, at(0), "::ffff:192.0.2.1", 1), 0);
        assert_eq!(taken(&mut table, at(0), "192.0.2.2", 5), 5);
    }

    #[test]
    fn many_sources_cannot_take_more_than_the_table_holds() {
        let mut table = table(64);
        let sources = (0..4096u32).map(|n| IpAddr::from((0xc000_0000 + n).to_be_bytes()));
        let taken: usize = sources.map(|source| (0..9).filter(|_| table.take(at(0), source)).count()).sum();
        assert_eq!(taken, 64 * 5);
        assert_eq!(table.buckets.len() * WAYS, 64);
    }

    #[test]
    fn full_buckets_give_way_to_new_sources() {
        let mut table = table(8);
        for n in 0..8 {
            assert!(table.take(at(0), ip(&format!("192.0.2.{n}"))));
        }
        assert!(!table.take(at(49), ip("192.0.2.99")));
        assert!(table.take(at(50), ip("192.0.2.99")));
    }

    proptest! {
        #[test]
        fn a_lone_source_never_exceeds_its_rate(steps in proptest::collection::vec(0u64..120, 1..200)) {
            let mut table = table(8);
            let (mut now, mut taken) = (0, Vec::new());
            for step in steps {
                now += step;
                if table.take(at(now), ip("2001:db8::1")) { taken.push(now); }
            }
            for (first, &from) in taken.iter().enumerate() {
                for (more, &to) in taken[first..].iter().enumerate() {
                    prop_assert!(more < 5 + ((to - from) / 50) as usize);
                }
            }
        }
    }
}
