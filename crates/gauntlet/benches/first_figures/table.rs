//! Results as a table, product beside floor.

/// Results so far.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<[String; 7]>,
}

/// What one measurement saw.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// Operations a second.
    pub(crate) rate: f64,
    /// Milliseconds.
    pub(crate) p50: f64,
    /// Milliseconds.
    pub(crate) p95: f64,
    /// CPU time of the server process for one operation, in microseconds.
    pub(crate) cpu: f64,
}

impl Table {
    /// Adds a product and its floor, measured in turns.
    pub(crate) fn add(&mut self, what: &str, product: &[Sample], floor: &[Sample]) {
        let rate = |samples: &[Sample]| median(samples.iter().map(|sample| sample.rate));
        let ratio = 100.0 * rate(product) / rate(floor);
        let spread = product.iter().zip(floor).map(|(product, floor)| 100.0 * product.rate / floor.rate);
        let (least, most) =
            spread.fold((f64::MAX, 0.0_f64), |(least, most), one| (least.min(one), most.max(one)));
        self.rows.push([
            what.to_owned(),
            format!("{:.0}", rate(product)),
            format!("{:.0}", rate(floor)),
            format!("{ratio:.0} % ({least:.0}-{most:.0})"),
            format!(
                "{:.1} / {:.1} ms",
                median(product.iter().map(|sample| sample.p50)),
                median(product.iter().map(|sample| sample.p95))
            ),
            format!("{:.1} us", median(product.iter().map(|sample| sample.cpu))),
            format!("{:.1} us", median(floor.iter().map(|sample| sample.cpu))),
        ]);
    }

    /// Adds a row that has no server.
    pub(crate) fn note(&mut self, what: &str, product: String, floor: String, ratio: String) {
        let none = String::new;
        self.rows.push([what.to_owned(), product, floor, ratio, none(), none(), none()]);
    }

    /// Prints it as Markdown.
    pub(crate) fn print(&self) {
        println!(
            "\n| what | product /s | floor /s | ratio (range) | p50 / p95 | server CPU/op | floor CPU/op |"
        );
        println!("|---|---|---|---|---|---|---|");
        for row in &self.rows {
            println!("| {} |", row.join(" | "));
        }
    }
}

/// The middle one.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
