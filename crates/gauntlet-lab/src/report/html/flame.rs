//! Profiles: the functions in which most of it is, and a flame graph as SVG.

use std::fmt::Write as _;

use super::parts::number;
use crate::{
    collect::ProfileFound,
    report::{Report, chart::escape},
};

const WIDTH: f64 = 1280.0;
/// Height of a frame.
const ROW: f64 = 17.0;
/// Width of a character of a frame's name.
const CHARACTER: f64 = 6.3;

/// Warm colours, as flame graphs have them; a function keeps its own.
const COLOURS: [&str; 6] = ["#f6c177", "#f2a65a", "#ef8a62", "#f7d08a", "#e9a178", "#f0b490"];

pub(super) fn profiles(out: &mut String, report: &Report) {
    for profile in &report.profiles {
        let ProfileFound { name, at_seconds, window_seconds, unit, total, top, .. } = profile;
        let when = if *window_seconds > 0.0 {
            format!("{window_seconds:.0} s from second {at_seconds:.0} on")
        } else {
            format!("at second {at_seconds:.0}")
        };
        let total = value(*total, unit);
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "<section><h2>Profile of the server: {}, {when}, {total} in all</h2><p class=\"soft\">Each box is a \
             function below its caller; its width is its share. Hold the pointer over one for its name.</p>",
            escape(name)
        );
        graph(out, profile);
        out.push_str(
            "<h3>Functions with most of it in themselves</h3><table class=\"top\"><tr><th>function</th>",
        );
        out.push_str("<th>in itself</th><th>with what it calls</th></tr>");
        for function in top {
            let (own, all) = (value(function.own, unit), value(function.with_callees, unit));
            let _ = write!(
                out,
                "<tr><td><code>{}</code></td><td>{own}</td><td>{all}</td></tr>",
                escape(&function.name)
            );
        }
        out.push_str("</table></section>");
    }
}

fn value(value: f64, unit: &str) -> String {
    if unit == "bytes" { format!("{} MB", number(value / 1e6)) } else { format!("{} {unit}", number(value)) }
}

fn graph(out: &mut String, profile: &ProfileFound) {
    let deepest = profile.frames.iter().map(|frame| frame.depth).max().unwrap_or_default();
    let row = |depth: usize| f64::from(u32::try_from(depth).unwrap_or(u32::MAX)) * ROW;
    let _ = write!(out, "<svg class=\"flame\" viewBox=\"0 0 {WIDTH} {:.0}\" role=\"img\">", row(deepest + 1));
    for frame in &profile.frames {
        let (x, width, y) = (frame.start * WIDTH, frame.share * WIDTH, row(frame.depth));
        let colour = COLOURS[frame.name.bytes().map(usize::from).sum::<usize>() % COLOURS.len()];
        let name = escape(&frame.name);
        let _ = write!(
            out,
            "<g><title>{name} {:.1} %</title><rect x=\"{x:.1}\" y=\"{y:.0}\" width=\"{:.1}\" height=\"{}\" \
             fill=\"{colour}\"/>",
            frame.share * 100.0,
            (width - 0.6).max(0.4),
            ROW - 1.0
        );
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 203")]
        let room = ((width - 6.0) / CHARACTER).max(0.0) as usize;
        if room >= 4 {
            let _ = write!(
                out,
                "<text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                x + 3.0,
                y + 12.0,
                fitting(&frame.name, room)
            );
        }
        out.push_str("</g>");
    }
    out.push_str("</svg>");
}

/// As much of a name as there is room for. The end of a path says more than its beginning.
fn fitting(name: &str, room: usize) -> String {
    let bare = name.split('<').next().filter(|bare| !bare.is_empty()).unwrap_or(name);
    let count = bare.chars().count();
    if count <= room {
        return escape(bare);
    }
    let last: String = bare.chars().skip(count - room + 1).collect();
    escape(&format!("\u{2026}{last}"))
}
