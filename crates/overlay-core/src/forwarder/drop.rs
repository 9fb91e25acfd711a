//! Every way a packet can end without being delivered. One counter each, no log line.

/// Defines the enum, the list of all and the metric names from one table.
macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// Why a packet was dropped.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum DropReason {
            $($(#[$doc])* $variant,)*
        }

        impl DropReason {
            /// Every reason, in the order of the counters.
            pub const ALL: &'static [DropReason] = &[$(DropReason::$variant,)*];

            /// The name in metrics: `snake_case`, stable.
            pub const fn name(self) -> &'static str {
                match self {
                    $(DropReason::$variant => $name,)*
                }
            }
        }
    };
}

reasons! {
    /// The inner packet is not IPv6 (and no frame where frames are allowed).
    NotIpv6 = "not_ipv6",
    /// The datagram is no WireGuard message, or a superpacket contradicts its own header.
    Malformed = "malformed",
    /// The inner packet is shorter than its header says.
    Truncated = "truncated",
    /// Read from the TUN with a link-local address: those belong to links, and Babel's is inside the sessions.
    LinkLocal = "link_local",
    /// To or from a multicast address beyond the link.
    Multicast = "multicast",
    /// Read from the TUN with a source that this node may not send from.
    SourceNotOurs = "source_not_ours",
    /// Came in a session whose peer may not send from the inner source.
    SourceNotTheirs = "source_not_theirs",
    /// Came in a session for a destination that does not lie behind this node.
    NotForUs = "not_for_us",
    /// No route for this destination and source.
    NoRoute = "no_route",
    /// The route says unreachable, or leads back to this node.
    Unreachable = "unreachable",
    /// No live session with the peer, and the packet cannot wait.
    NoSession = "no_session",
    /// No path to the peer, or the neighbour on the way has none.
    NoPath = "no_path",
    /// Larger than the peer's MTU.
    TooBig = "too_big",
    /// As many superpackets wait for a session as may, or one already waits for this peer.
    ParkedFull = "parked_full",
    /// A transport datagram with a receiver index that nobody owns.
    BadIndex = "bad_index",
    /// The counter was seen before, or is too old to tell.
    Replay = "replay",
    /// The tag does not fit.
    BadTag = "bad_tag",
    /// The key is older than WireGuard's `REJECT_AFTER_TIME`.
    KeyExpired = "key_expired",
    /// A handshake message whose mac1 does not fit: not meant for this node.
    BadMac1 = "bad_mac1",
    /// A handshake message that was answered by a cookie.
    CookieSent = "cookie_sent",
    /// A handshake message beyond its source's rate.
    HandshakeLimited = "handshake_limited",
    /// Control has too much unread mail.
    EventQueueFull = "event_queue_full",
    /// A frame in the session of a stock peer.
    FrameFromStock = "frame_from_stock",
    /// A frame whose length or kind is wrong.
    FrameMalformed = "frame_malformed",
    /// A peer sent control more than it may in this time.
    MessagesLimited = "messages_limited",
    /// A relay frame that has gone through too many nodes.
    RelayHopLimit = "relay_hop_limit",
    /// A relay frame for a router to which there is no next hop with a session.
    RelayNoRoute = "relay_no_route",
    /// A relay frame that does not fit the way to the next hop; its sender was told.
    RelayTooBig = "relay_too_big",
    /// A relay frame that this node does not carry: transit is off, or a relay frame within a relay frame.
    RelayRefused = "relay_refused",
    /// A relay frame beyond the bandwidth given to transit.
    RelayCapped = "relay_capped",
    /// For another worker, beyond what control passes on in this time.
    ElsewhereLimited = "elsewhere_limited",
    /// IP or relaying to or from a node whose certificate is not in force.
    GuestTraffic = "guest_traffic",
    /// A link-local address together with one that is not of the link.
    ScopeForeign = "scope_foreign",
    /// The sending key has no counters left.
    CounterExhausted = "counter_exhausted",
    /// The outer header saw congestion that the inner one cannot carry (RFC 6040, section 4.2).
    NotEcnCapable = "not_ecn_capable",
    /// The transmit area has no room until the shell has sent.
    TransmitFull = "transmit_full",
    /// Mail for a peer that is no more.
    PeerGone = "peer_gone",
}

impl DropReason {
    /// How many reasons there are.
    pub const COUNT: usize = DropReason::ALL.len();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_in_the_order_of_the_counters() {
        for (at, reason) in DropReason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, at);
            assert!(reason.name().bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'));
            assert!(DropReason::ALL[..at].iter().all(|other| other.name() != reason.name()));
        }
    }
}
