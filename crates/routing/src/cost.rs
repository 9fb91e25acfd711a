//! Costs of links and metrics of routes (RFC 8966, section 3.5.2 and appendix A.2).

/// The metric of no route, the cost of a dead link.
pub const INFINITY: u16 = 0xffff;
/// Nominal cost of a link that is up.
pub(crate) const WIRED: u16 = 96;
/// Cost of a lossless link under ETX.
const ETX_UNIT: u32 = 256;
/// Hellos that ETX looks back.
const ETX_WINDOW: u32 = 6;

/// M(c, m): the metric of a route that a neighbour at `cost` advertises with `metric`. Strictly larger than `metric`
/// unless that is infinite.
pub fn add(cost: u16, metric: u16) -> u16 {
    cost.max(1).saturating_add(metric)
}

/// Reception cost by 2-out-of-3 on either history.
pub(crate) fn wired_rxcost(multicast: u16, unicast: u16) -> u16 {
    let up = |bits: u16| (bits & 0b111).count_ones() >= 2;
    if up(multicast) || up(unicast) { WIRED } else { INFINITY }
}

/// Reception cost by ETX over the multicast history.
pub(crate) fn etx_rxcost(multicast: u16) -> u16 {
    match (multicast & ((1 << ETX_WINDOW) - 1)).count_ones() {
        0 => INFINITY,
        heard => (ETX_UNIT * ETX_WINDOW / heard) as u16,
    }
}

/// Cost of a link under ETX.
pub(crate) fn etx(txcost: u16, rxcost: u16) -> u16 {
    if txcost == INFINITY || rxcost == INFINITY {
        return INFINITY;
    }
    let cost = u32::from(txcost).max(ETX_UNIT) * u32::from(rxcost) / ETX_UNIT;
    u16::try_from(cost).unwrap_or(INFINITY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // C01
    #[test]
    fn two_hellos_of_three_make_a_wired_link() {
        assert_eq!(wired_rxcost(0b101, 0), 96);
        assert_eq!(wired_rxcost(0b100, 0), INFINITY);
        assert_eq!(wired_rxcost(0, 0b11), 96);
    }

    // C03, C04
    #[test]
    fn etx_grows_with_loss_in_both_directions() {
        assert_eq!(etx(256, etx_rxcost(0b11_1111)), 256);
        assert_eq!(etx(256, etx_rxcost(0b10_1010)), 512);
        assert_eq!(etx(96, etx_rxcost(0b11_1111)), 256);
        assert_eq!(etx(512, etx_rxcost(0b10_1010)), 1024);
        assert_eq!(etx(INFINITY, 256), INFINITY);
        assert_eq!(etx(256, etx_rxcost(0)), INFINITY);
        assert_eq!(etx(60000, 1536), INFINITY);
    }

    proptest! {
        // C05, C06
        #[test]
        fn metrics_grow_strictly_along_a_path(cost: u16, metric in 0u16..INFINITY) {
            prop_assert!(add(cost, metric) > metric);
            prop_assert_eq!(add(INFINITY, metric), INFINITY);
            prop_assert_eq!(add(cost, INFINITY), INFINITY);
        }
    }
}
