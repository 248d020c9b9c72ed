//! The figures that a change must not make worse: `hdl/synth/budgets.json`, a line a block.
//!
//! A budget is what was measured when it was written. Figures may be worse by a margin, since the optimiser's result moves a little
//! with changes that mean nothing; as budgets stay where they are until somebody rewrites them, such steps do not add up.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::summary::Figure;

/// Figures of a block by name.
type Figures = BTreeMap<String, f64>;

/// See the module.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Budgets(BTreeMap<String, Figures>);

/// By how much a figure may differ from its budget, in its own unit.
fn margin(figure: &str, budget: f64) -> f64 {
    match figure {
        // Whole numbers that mean something: one more is one too many.
        "ramb36" | "ramb18" | "uram" | "dsp" | "ram.unregistered" => 0.0,
        _ if figure.starts_with("levels") => 0.0,
        // Few in a block, where each is to be looked at; many in the whole card.
        "fanout.many" => SHARE * budget,
        _ if more_is_better(figure) => SHARE * budget,
        _ => (SHARE * budget).max(FEW),
    }
}

/// Of what moves by itself.
const SHARE: f64 = 0.05;
/// LUTs, flip-flops or loads that no small block is worth asking about for.
const FEW: f64 = 8.0;

/// A clock should be high; of all else less is better.
fn more_is_better(figure: &str) -> bool {
    figure.starts_with("clock")
}

/// By how much a figure is worse than its budget; better if it is negative.
fn excess(figure: &str, value: f64, budget: f64) -> f64 {
    if more_is_better(figure) { budget - value } else { value - budget }
}

fn against(block: &str, name: &str, figure: &Figure, budget: f64) -> String {
    let unit = if figure.unit == "1" { "" } else { figure.unit };
    format!("{block}.{name} is {}, its budget {budget} {unit}", figure.value).trim_end().to_owned()
}

/// What is worse than its budget by more than the margin, in a line each.
pub(crate) fn worse(
    block: &str,
    budget: Option<&Figures>,
    found: &BTreeMap<String, Figure>,
) -> Vec<String> {
    let Some(budget) = budget else {
        return vec![format!("{block} has no budget")];
    };
    let one = |(name, figure): (&String, &Figure)| match budget.get(name) {
        None => Some(format!("{block}.{name} has no budget")),
        Some(&budget) => (excess(name, figure.value, budget) > margin(name, budget))
            .then(|| against(block, name, figure, budget)),
    };
    // A figure that is no longer there hides what it was for.
    let gone = budget.keys().filter(|name| !found.contains_key(*name));
    let gone =
        gone.map(|name| format!("{block}.{name} has a budget, but is not measured any more"));
    found.iter().filter_map(one).chain(gone).collect()
}

/// What is better than its budget by more than the margin, in a line each.
pub(crate) fn better(
    block: &str,
    budget: Option<&Figures>,
    found: &BTreeMap<String, Figure>,
) -> Vec<String> {
    let one = |(name, figure): (&String, &Figure)| {
        let budget = *budget?.get(name)?;
        (-excess(name, figure.value, budget) > margin(name, budget))
            .then(|| against(block, name, figure, budget))
    };
    found.iter().filter_map(one).collect()
}

impl Budgets {
    /// Where they are.
    pub(crate) fn file(root: &Path) -> PathBuf {
        root.join("hdl/synth/budgets.json")
    }

    /// Reads them; there are none if there is no file.
    ///
    /// # Errors
    /// The file cannot be read or understood.
    pub(crate) fn read(file: &Path) -> Result<Self> {
        match fs::read(file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            text => text
                .map_err(anyhow::Error::from)
                .and_then(|text| Ok(Self(serde_json::from_slice(&text)?)))
                .with_context(|| format!("cannot read {}", file.display())),
        }
    }

    /// The budget of a block.
    pub(crate) fn of(&self, block: &str) -> Option<&Figures> {
        self.0.get(block)
    }

    /// Budgets of blocks that are none.
    pub(crate) fn stale(&self, is_block: impl Fn(&str) -> bool) -> Vec<String> {
        let stale = self.0.keys().filter(|name| !is_block(name));
        stale.map(|name| format!("{name} has a budget, but is no block")).collect()
    }

    /// Takes what was found as a block's budget.
    pub(crate) fn set(&mut self, block: &str, found: &BTreeMap<String, Figure>) {
        let figures = found.iter().map(|(name, figure)| (name.clone(), figure.value));
        self.0.insert(block.to_owned(), figures.collect());
    }

    /// Forgets the blocks that are none.
    pub(crate) fn retain(&mut self, is_block: impl Fn(&str) -> bool) {
        self.0.retain(|name, _| is_block(name));
    }

    /// Writes them, a line a block, so that a change shows as what it is.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn write(&self, file: &Path) -> Result<()> {
        fs::write(file, self.text()?).with_context(|| format!("cannot write {}", file.display()))
    }

    fn text(&self) -> Result<String> {
        let line = |(block, figures): (&String, &Figures)| -> Result<String> {
            // 22 and not 22.0.
            let number = |value: &f64| {
                if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value}") }
            };
            let figures = figures.iter().map(|(name, value)| {
                Ok(format!("{}: {}", serde_json::to_string(name)?, number(value)))
            });
            let figures = figures.collect::<Result<Vec<_>>>()?.join(", ");
            Ok(format!("  {}: {{{figures}}}", serde_json::to_string(block)?))
        };
        let lines = self.0.iter().map(line).collect::<Result<Vec<_>>>()?;
        Ok(format!("{{\n{}\n}}\n", lines.join(",\n")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(figures: &[(&str, f64)]) -> BTreeMap<String, Figure> {
        let figure =
            |(name, value): &(&str, f64)| ((*name).to_owned(), Figure { value: *value, unit: "1" });
        figures.iter().map(figure).collect()
    }

    fn budgets() -> Budgets {
        let mut budgets = Budgets::default();
        budgets.set(
            "ps_a",
            &found(&[("lut", 1000.0), ("levels", 6.0), ("clock.typ", 300.0), ("uram", 4.0)]),
        );
        budgets
    }

    fn worse_of(lut: f64, levels: f64, clock: f64, uram: f64) -> Vec<String> {
        let found =
            found(&[("lut", lut), ("levels", levels), ("clock.typ", clock), ("uram", uram)]);
        worse("ps_a", budgets().of("ps_a"), &found)
    }

    #[test]
    fn what_is_as_good_or_better_passes() {
        assert!(worse_of(1000.0, 6.0, 300.0, 4.0).is_empty());
        assert!(worse_of(10.0, 1.0, 900.0, 0.0).is_empty());
        let found = found(&[("lut", 960.0), ("levels", 5.0), ("clock.typ", 316.0), ("uram", 4.0)]);
        assert_eq!(
            better("ps_a", budgets().of("ps_a"), &found),
            ["ps_a.clock.typ is 316, its budget 300", "ps_a.levels is 5, its budget 6"]
        );
    }

    #[test]
    fn a_margin_is_for_what_moves_by_itself() {
        assert!(worse_of(1050.0, 6.0, 285.0, 4.0).is_empty());
        assert_eq!(worse_of(1051.0, 6.0, 300.0, 4.0), ["ps_a.lut is 1051, its budget 1000"]);
        assert_eq!(worse_of(1000.0, 6.0, 284.0, 4.0), ["ps_a.clock.typ is 284, its budget 300"]);
        assert_eq!(worse_of(1000.0, 7.0, 300.0, 4.0), ["ps_a.levels is 7, its budget 6"]);
        assert_eq!(worse_of(1000.0, 6.0, 300.0, 5.0), ["ps_a.uram is 5, its budget 4"]);
    }

    #[test]
    fn a_few_more_in_a_small_block_are_no_matter() {
        let mut budgets = Budgets::default();
        budgets.set("ps_a", &found(&[("lut", 2.0), ("dsp", 0.0)]));
        let worse =
            |lut, dsp| worse("ps_a", budgets.of("ps_a"), &found(&[("lut", lut), ("dsp", dsp)]));
        assert!(worse(10.0, 0.0).is_empty());
        assert_eq!(
            worse(11.0, 1.0),
            ["ps_a.dsp is 1, its budget 0", "ps_a.lut is 11, its budget 2"]
        );
    }

    #[test]
    fn a_net_with_many_loads_counts_in_a_block_and_not_in_the_card() {
        let many = |budget, value| {
            let mut budgets = Budgets::default();
            budgets.set("ps_a", &found(&[("fanout.many", budget)]));
            worse("ps_a", budgets.of("ps_a"), &found(&[("fanout.many", value)])).len()
        };
        assert_eq!((many(0.0, 1.0), many(10.0, 11.0), many(160.0, 168.0)), (1, 1, 0));
    }

    #[test]
    fn nothing_goes_without_a_budget() {
        assert_eq!(worse("ps_b", budgets().of("ps_b"), &found(&[])), ["ps_b has no budget"]);
        let more = found(&[
            ("lut", 1.0),
            ("levels", 1.0),
            ("clock.typ", 999.0),
            ("uram", 0.0),
            ("ff", 1.0),
        ]);
        assert_eq!(worse("ps_a", budgets().of("ps_a"), &more), ["ps_a.ff has no budget"]);
        let less = found(&[("lut", 1.0), ("levels", 1.0), ("clock.typ", 999.0)]);
        assert_eq!(
            worse("ps_a", budgets().of("ps_a"), &less),
            ["ps_a.uram has a budget, but is not measured any more"]
        );
        assert_eq!(budgets().stale(|name| name == "ps_b"), ["ps_a has a budget, but is no block"]);
        let mut kept = budgets();
        kept.retain(|name| name == "ps_b");
        assert_eq!(kept, Budgets::default());
    }

    #[test]
    fn what_is_written_is_read_again() -> Result<()> {
        let mut budgets = budgets();
        budgets.set("ps_b", &found(&[("clock.typ", 104.5)]));
        let text = budgets.text()?;
        assert_eq!(
            text,
            "{\n  \"ps_a\": {\"clock.typ\": 300, \"levels\": 6, \"lut\": 1000, \"uram\": 4},\n  \"ps_b\": {\"clock.typ\": 104.5}\n}\n"
        );
        assert_eq!(Budgets(serde_json::from_str(&text)?), budgets);
        Ok(())
    }
}
