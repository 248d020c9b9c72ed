//! The figures: a table for people, a flat JSON object for machines.

use std::fmt::Write as _;

/// What was measured, in the order of measuring.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<(String, f64, &'static str)>,
}

impl Report {
    /// Adds a figure. Names are stable: tools compare runs by them.
    pub(crate) fn add(&mut self, name: impl Into<String>, value: f64, unit: &'static str) {
        self.rows.push((name.into(), value, unit));
    }

    /// The table.
    #[must_use]
    pub(crate) fn table(&self) -> String {
        let width = self.rows.iter().map(|(name, ..)| name.len()).max().unwrap_or(0);
        self.rows.iter().fold(String::new(), |mut text, (name, value, unit)| {
            let _ = writeln!(text, "{name:<width$}  {value:>14.3}  {unit}");
            text
        })
    }

    /// `{name: {"value": v, "unit": u}, ...}`.
    #[must_use]
    pub(crate) fn json(&self) -> serde_json::Value {
        self.rows
            .iter()
            .map(|(name, value, unit)| {
                (name.clone(), serde_json::json!({ "value": value, "unit": unit }))
            })
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
}
