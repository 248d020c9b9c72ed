//! The figures: a table for people, a flat JSON object for machines.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Result;
use serde::Deserialize;

/// A figure as it stands in JSON.
#[derive(Debug, Deserialize)]
struct Figure {
    value: f64,
    unit: String,
}

/// What was measured, in the order of measuring.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<(String, f64, String)>,
}

impl Report {
    /// Adds a figure. Names are stable: tools compare runs by them.
    pub(crate) fn add(&mut self, name: impl Into<String>, value: f64, unit: &str) {
        self.rows.push((name.into(), value, unit.to_owned()));
    }

    /// Adds the figures of another report's JSON.
    ///
    /// # Errors
    /// It is none.
    pub(crate) fn include(&mut self, json: &str) -> Result<()> {
        let figures: BTreeMap<String, Figure> = serde_json::from_str(json)?;
        self.rows.extend(figures.into_iter().map(|(name, f)| (name, f.value, f.unit)));
        Ok(())
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
