//! Charts over time as SVG, drawn when the page is written: nothing to load, nothing to run.

use std::fmt::Write as _;

/// A line of a chart.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) name: String,
    /// Seconds and values; a gap where nothing is known.
    pub(super) points: Vec<(f64, Option<f64>)>,
}

const WIDTH: f64 = 620.0;
const HEIGHT: f64 = 200.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 26.0;

/// Told apart also by those who see red and green alike.
const COLOURS: [&str; 8] =
    ["#2563a8", "#d97706", "#15803d", "#be185d", "#6d28d9", "#0e7490", "#854d0e", "#475569"];

/// Lines over time with axes and a legend; `stacked`: areas on top of each other.
pub(super) fn draw(title: &str, unit: &str, lines: &[Line], stacked: bool) -> String {
    let lines: Vec<Line> = if stacked { stack(lines) } else { lines.to_vec() };
    let all = || lines.iter().flat_map(|line| &line.points);
    let end = all().map(|(at, _)| *at).fold(1.0, f64::max);
    let top = nice(all().filter_map(|(_, value)| *value).fold(0.0, f64::max));
    let x = |at: f64| LEFT + at / end * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM);
    let mut svg = String::new();
    // Writing to a String cannot fail.
    let _ = write!(svg, "<figure><figcaption>{}</figcaption>", escape(title));
    let _ =
        write!(svg, "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">", escape(title));
    for part in 0..=4 {
        let value = top * f64::from(part) / 4.0;
        let (at, right) = (y(value), WIDTH - RIGHT);
        let _ =
            write!(svg, "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>");
        let label = short(value);
        let _ = write!(
            svg,
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            LEFT - 6.0,
            at + 4.0
        );
    }
    for part in 0..=4 {
        let at = end * f64::from(part) / 4.0;
        let label = clock(at);
        let anchor = if part == 4 { "end" } else { "middle" };
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"{anchor}\">{label}</text>",
            x(at),
            HEIGHT - 8.0
        );
    }
    // The highest area is drawn first, so that the lower ones stand before it.
    let order: Vec<usize> =
        if stacked { (0..lines.len()).rev().collect() } else { (0..lines.len()).collect() };
    for at in order {
        let colour = COLOURS[at % COLOURS.len()];
        let path = path(&lines[at].points, x, y);
        if stacked {
            let area = format!("{path}L{:.1} {:.1}L{:.1} {:.1}Z", x(end), y(0.0), x(0.0), y(0.0));
            let _ = write!(svg, "<path d=\"{area}\" fill=\"{colour}\"/>");
        } else {
            let _ = write!(
                svg,
                "<path d=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.6\" \
                 stroke-linecap=\"round\"/>"
            );
        }
    }
    svg.push_str("</svg><p class=\"legend\">");
    for (at, line) in lines.iter().enumerate() {
        let colour = COLOURS[at % COLOURS.len()];
        let _ = write!(svg, "<span><i style=\"background:{colour}\"></i>{}</span>", escape(&line.name));
    }
    let _ = write!(svg, "<span class=\"unit\">{}</span></p></figure>", escape(unit));
    svg
}

/// Each line on top of those before it.
fn stack(lines: &[Line]) -> Vec<Line> {
    let mut below: Vec<f64> = Vec::new();
    let mut stacked = Vec::new();
    for line in lines {
        below.resize(line.points.len().max(below.len()), 0.0);
        let points = line.points.iter().zip(&mut below).map(|((at, value), below)| {
            *below += value.unwrap_or_default();
            (*at, Some(*below))
        });
        stacked.push(Line { name: line.name.clone(), points: points.collect() });
    }
    stacked
}

fn path(points: &[(f64, Option<f64>)], x: impl Fn(f64) -> f64, y: impl Fn(f64) -> f64) -> String {
    let mut path = String::new();
    let mut gap = true;
    for (at, value) in points {
        match value {
            Some(value) => {
                // A line of no length is a dot: a point between two gaps must be seen, too.
                let (begin, end) = if gap { ('M', "h0") } else { ('L', "") };
                let _ = write!(path, "{begin}{:.1} {:.1}{end}", x(*at), y(*value));
                gap = false;
            }
            None => gap = true,
        }
    }
    path
}

/// The next number of 1, 2, 2.5, 5 and their tens that is not below.
fn nice(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return 1.0;
    }
    let tens = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 2.5, 5.0, 10.0]
        .map(|step| step * tens)
        .into_iter()
        .find(|step| *step >= value)
        .unwrap_or(value)
}

fn short(value: f64) -> String {
    let (value, unit) = match value {
        value if value >= 1e9 => (value / 1e9, " G"),
        value if value >= 1e6 => (value / 1e6, " M"),
        value if value >= 1e4 => (value / 1e3, " k"),
        value => (value, ""),
    };
    let digits = if value >= 100.0 || value.fract() == 0.0 {
        0
    } else if value >= 1.0 {
        1
    } else {
        3
    };
    format!("{value:.digits$}{unit}")
}

fn clock(seconds: f64) -> String {
    if seconds < 120.0 { format!("{seconds:.0} s") } else { format!("{:.1} min", seconds / 60.0) }
}

/// Text within HTML.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers() {
        let ends = [0.0, 0.03, 1.0, 7.3, 240.0, 260.0].map(|value| nice(value).to_string());
        assert_eq!(ends, ["1", "0.05", "1", "10", "250", "500"]);
        assert_eq!(
            [0.0, 0.25, 2.5, 500.0, 25_000.0, 3e6].map(short),
            ["0", "0.250", "2.5", "500", "25 k", "3 M"]
        );
    }

    #[test]
    fn what_servers_say_is_no_markup() {
        let line = Line { name: "<script>".to_owned(), points: vec![(0.0, Some(1.0)), (1.0, None)] };
        let svg = draw("a \"b\"", "ms", &[line], false);
        assert!(!svg.contains("<script>") && svg.contains("&lt;script&gt;"), "{svg}");
    }
}
