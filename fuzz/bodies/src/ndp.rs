//! Neighbour discovery on the LAN.

use ln6_host::ndp::{Advertisement, Solicitation};

/// An ICMPv6 message. What is read of an advertisement can be sent, and reads the same from the second time on (of
/// several resolver lists, the first round makes one of eight).
pub fn ndp(data: &[u8]) {
    let Some((&first, message)) = data.split_first() else { return };
    let _ = Solicitation::decode(message);
    let Ok(read) = Advertisement::decode(message) else { return };
    let once = Advertisement::decode(&read.encode(usize::MAX)).expect("what we send is well-formed");
    let twice = Advertisement::decode(&once.encode(usize::MAX)).expect("likewise");
    assert_eq!(once, twice);
    let limit = 16 + usize::from(first) * 8;
    let short = once.encode(limit);
    assert!(short.len() <= limit);
    assert!(Advertisement::decode(&short).is_ok());
}
