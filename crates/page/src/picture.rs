//! Small pictures that are drawn here: QR codes, curves.

use crate::markup::Markup;
use qrcode::{Color, EcLevel, QrCode};
use std::fmt::Write as _;

/// A QR code; nothing if the text does not fit into one.
pub(crate) fn qr(text: &str) -> Markup {
    let Ok(code) = QrCode::with_error_correction_level(text, EcLevel::L) else { return Markup::default() };
    let side = code.width();
    let mut path = String::new();
    for (index, color) in code.to_colors().into_iter().enumerate() {
        if color == Color::Dark {
            let _ = write!(path, "M{} {}h1v1h-1z", index % side + 4, index / side + 4);
        }
    }
    let all = side + 8;
    Markup(format!(
        "<svg class=\"qr\" role=\"img\" aria-label=\"QR\" viewBox=\"0 0 {all} {all}\" shape-rendering=\"crispEdges\"><rect class=\"qr-light\" width=\"{all}\" height=\"{all}\"/><path class=\"qr-dark\" d=\"{path}\"/></svg>"
    ))
}

/// Two curves over time, one from a common base upwards each, as filled areas.
pub(crate) fn curves(rx: &[u64], tx: &[u64], top: u64) -> Markup {
    const W: f64 = 600.0;
    const H: f64 = 120.0;
    let area = |values: &[u64]| {
        let steps = values.len().max(2) - 1;
        let mut path = format!("M0 {H}");
        for (index, value) in values.iter().enumerate() {
            let x = W * index as f64 / steps as f64;
            let y = H - (H - 4.0) * *value as f64 / top.max(1) as f64;
            let _ = write!(path, "L{x:.1} {y:.1}");
        }
        let _ = write!(path, "L{W} {H}Z");
        path
    };
    Markup(format!(
        "<svg class=\"curves\" aria-hidden=\"true\" viewBox=\"0 0 {W} {H}\" preserveAspectRatio=\"none\"><path class=\"grid\" d=\"M0 4H{W}M0 62H{W}M0 {H}H{W}\"/><path class=\"rx\" d=\"{}\"/><path class=\"tx\" d=\"{}\"/></svg>",
        area(rx),
        area(tx)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_bear_anything() {
        assert!(qr("ln6://join/x").0.contains("viewBox"));
        assert_eq!(qr(&"x".repeat(4000)), Markup::default());
        curves(&[], &[u64::MAX], 0);
    }
}
