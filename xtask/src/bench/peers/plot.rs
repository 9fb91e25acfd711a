//! Bars as SVG.

use std::fmt::Write as _;

const ROW: usize = 26;
const LEFT: usize = 130;
const WIDTH: f64 = 420.0;

/// One horizontal bar for each name, the longest at full width.
pub(crate) fn bars(title: &str, bars: &[(String, f64)]) -> String {
    let greatest = bars.iter().map(|(_, value)| *value).fold(f64::MIN_POSITIVE, f64::max);
    let height = 40 + bars.len() * ROW;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"640\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n<title>{0}</title>\n\
         <text x=\"10\" y=\"22\" font-weight=\"bold\">{0}</text>\n",
        escaped(title)
    );
    for (at, (name, value)) in bars.iter().enumerate() {
        let (y, width) = (36 + at * ROW, WIDTH * value / greatest);
        let colour = if name == "ln6d" { "#2a6f4e" } else { "#9aa5b1" };
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{LEFT}\" y=\"{y}\" width=\"{width:.1}\" height=\"18\" fill=\"{colour}\"/>\
             <text x=\"{:.1}\" y=\"{}\">{value:.2}</text>",
            LEFT - 8,
            y + 14,
            escaped(name),
            LEFT as f64 + width + 6.0,
            y + 14
        );
    }
    svg + "</svg>\n"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_is_full_width_and_names_are_escaped() {
        let svg = bars("Gbit/s", &[("ln6d".into(), 4.0), ("a<b".into(), 1.0)]);
        assert!(svg.contains("width=\"420.0\"") && svg.contains("width=\"105.0\""));
        assert!(svg.contains("a&lt;b") && !svg.contains("a<b"));
    }
}
