//! QR codes for the terminal.

use crate::error::{CliError, Trouble};
#[cfg(feature = "qr")]
use qrcode::render::unicode::Dense1x2;
#[cfg(feature = "qr")]
use qrcode::{EcLevel, QrCode};

/// The code in half blocks, two rows a line, with its quiet zone; dark on light whatever the terminal's colours.
#[cfg(feature = "qr")]
pub fn in_terminal(text: &str) -> Result<String, CliError> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).map_err(|error| {
        CliError::new(Trouble::Internal, format!("this does not fit into a QR code: {error}"))
    })?;
    // Terminals are mostly light on dark, and a scanner wants the light modules lit.
    Ok(code
        .render::<Dense1x2>()
        .dark_color(Dense1x2::Light)
        .light_color(Dense1x2::Dark)
        .quiet_zone(true)
        .build())
}

/// Refuses: this build has no codes.
#[cfg(not(feature = "qr"))]
pub fn in_terminal(_text: &str) -> Result<String, CliError> {
    let message = "this build of ln6d draws no QR codes";
    Err(CliError::new(Trouble::BadRequest, message)
        .hint("repeat the command without --qr, and draw the code elsewhere"))
}

#[cfg(all(test, feature = "qr"))]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_a_square_of_half_blocks() {
        let text = in_terminal("ln6://join/x").expect("fits");
        let lines: Vec<_> = text.lines().collect();
        let width = lines[0].chars().count();
        assert!(lines.iter().all(|line| line.chars().count() == width));
        assert_eq!(lines.len(), width.div_ceil(2));
        assert!(lines[0].chars().all(|c| c == '█'), "the quiet zone is lit");
        assert!(in_terminal(&"x".repeat(4000)).is_err());
    }
}
