//! How many questions to the registry may be open from one place: the loop counts them up, the registry's thread down.

use dashmap::DashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

/// Open questions from one IPv4 address, or one IPv6 /64. A site with several gateways behind one address needs a few.
const MOST: u32 = 8;

/// The open questions of all places.
#[derive(Clone, Default)]
pub(crate) struct Asking(Arc<DashMap<IpAddr, u32>>);

/// One open question; counted down when it is dropped, wherever that is.
pub(crate) struct Question {
    asking: Asking,
    place: Option<IpAddr>,
}

impl Asking {
    /// Opens a question from `address`; `None` if too many are open. One that was relayed has no address and is
    /// bounded by the relay's own sessions.
    pub(crate) fn open(&self, address: Option<SocketAddr>) -> Option<Question> {
        let place = address.map(|address| place_of(address.ip()));
        if let Some(place) = place {
            let mut count = self.0.entry(place).or_default();
            if *count >= MOST {
                return None;
            }
            *count += 1;
        }
        Some(Question { asking: self.clone(), place })
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        let Some(place) = self.place else { return };
        self.asking.0.remove_if_mut(&place, |_, count| {
            *count -= 1;
            *count == 0
        });
    }
}

fn place_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<SocketAddr> {
        Some(text.parse().expect("address"))
    }

    #[test]
    fn a_place_has_so_many_open_questions_and_no_more() {
        let asking = Asking::default();
        let open: Vec<_> = (0..MOST).map(|n| asking.open(at(&format!("[2001:db8::{n:x}]:6695")))).collect();
        assert!(open.iter().all(Option::is_some));
        assert!(asking.open(at("[2001:db8::ffff]:1")).is_none(), "the same /64");
        assert!(asking.open(at("[2001:db8:0:1::1]:1")).is_some(), "another /64");
        assert!(asking.open(at("192.0.2.1:1")).is_some());
        assert!(asking.open(None).is_some());
    }

    #[test]
    fn an_answered_question_leaves_nothing_behind() {
        let asking = Asking::default();
        let open = asking.open(at("192.0.2.1:1"));
        std::thread::spawn(move || drop(open)).join().expect("thread");
        assert!(asking.0.is_empty());
        assert!(asking.open(at("192.0.2.1:1")).is_some());
    }
}
