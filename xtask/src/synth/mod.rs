//! `cargo xtask synth`: what the card would be on an UltraScale+ device, by open tools: resources, and an estimate of its clock.
//!
//! Each block is synthesised by yosys ([`flow`]), the netlist is timed with published delays of primitives and three guesses of what
//! nets cost ([`model`], [`timing`]), and the figures are held against the budgets in the repository ([`budgets`]). It is an
//! estimate, made to compare one state of the sources with another; it is not what Vivado would say (decision 55).

mod blocks;
mod budgets;
mod flow;
mod graph;
mod model;
mod netlist;
mod part;
mod routed;
mod summary;
mod timing;
mod tools;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value, json};

use crate::shell::step;
use blocks::{Block, Catalogue, Choice};
use budgets::Budgets;
use netlist::Netlist;
use summary::{Figure, Summary};

pub(crate) use tools::install;

/// What to do.
#[derive(clap::Args, Default)]
pub(crate) struct Options {
    /// Only these modules; `core` is the whole card.
    blocks: Vec<String>,
    /// Also the whole card with its soft core, which takes minutes.
    #[arg(long)]
    whole: bool,
    /// Also places and routes a few small blocks on an open part (ECP5), as a cross-check.
    #[arg(long)]
    routed: bool,
    /// Only what can differ from this git revision.
    #[arg(long, value_name = "REV", conflicts_with = "blocks")]
    changed: Option<String>,
    /// Also writes a flat JSON object of name -> {value, unit}.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Takes what is found as the new budgets.
    #[arg(long)]
    update: bool,
    /// Only elaborates the whole card and checks it for latches, loops and nets with two drivers, which takes seconds.
    #[arg(long, exclusive = true)]
    check: bool,
}

impl Options {
    /// All blocks, and the routed ones, with the figures in a file.
    pub(crate) fn of_blocks(json: &Path) -> Self {
        Self { routed: true, json: Some(json.to_owned()), ..Self::default() }
    }

    /// The whole card, with the figures in a file.
    pub(crate) fn of_core(json: &Path) -> Self {
        Self {
            blocks: vec![blocks::CORE_NAME.to_owned()],
            json: Some(json.to_owned()),
            ..Self::default()
        }
    }
}

/// Synthesises what is asked for, and compares it with its budgets.
///
/// # Errors
/// The tools cannot be installed, a block cannot be synthesised, is wrong, or is worse than its budget.
pub(crate) fn synth(root: &Path, options: &Options) -> Result<()> {
    if options.check {
        return check_structure(root);
    }
    let catalogue = Catalogue::read(root)?;
    let choice = match (&options.changed, options.blocks.as_slice()) {
        (Some(revision), _) => Choice::Changed(revision),
        (None, []) => Choice::All,
        (None, names) => Choice::Named(names),
    };
    let blocks = catalogue.choose(root, &choice, options.whole)?;
    if !blocks.is_empty() {
        install(root)?;
    }
    let file = Budgets::file(root);
    let mut budgets = Budgets::read(&file)?;
    let is_block = |name: &str| catalogue.knows(name) || name == routed::PART;
    if options.update {
        budgets.retain(is_block);
    }
    let mut wrong = Vec::new();
    let mut worse = budgets.stale(is_block);
    let mut better = Vec::new();
    let mut all = BTreeMap::new();
    let mut judge = |name: &str, figures: &BTreeMap<String, Figure>| -> Result<()> {
        if options.update {
            budgets.set(name, figures);
            // Now, so that a run that is stopped keeps what it found.
            return budgets.write(&file);
        }
        worse.extend(budgets::worse(name, budgets.of(name), figures));
        better.extend(budgets::better(name, budgets.of(name), figures));
        Ok(())
    };
    for block in &blocks {
        let name = block.name();
        let summary = match step(&format!("synth {name}"), || perform(root, block)) {
            Ok(summary) => summary,
            Err(error) => {
                wrong.push(format!("{error:#}"));
                continue;
            }
        };
        println!("{}", summary.report);
        wrong.extend(summary.problems.iter().map(|problem| format!("{name}: {problem}")));
        all.insert(name.to_owned(), summary.figures.clone());
        judge(name, &summary.figures)?;
    }
    if options.routed {
        match step("synth, place and route on an ECP5", || routed::route_all(root, &catalogue)) {
            Ok(figures) => {
                all.insert(routed::PART.to_owned(), figures.clone());
                judge(routed::PART, &figures)?;
            }
            Err(error) => wrong.push(format!("{error:#}")),
        }
    }
    if let Some(file) = &options.json {
        fs::write(file, serde_json::to_string_pretty(&flat(&all))? + "\n")
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    if options.update {
        budgets.write(&file)?;
    }
    if !better.is_empty() {
        println!("better than budgeted, to be kept by `cargo xtask synth --update BLOCK...`:");
        better.iter().for_each(|line| println!("  {line}"));
    }
    println!(
        "synth: {} blocks. All rates are an estimate, not Vivado's: for comparison with each other.",
        all.len()
    );
    if !worse.is_empty() {
        worse.push(
            "(if it is worth it: `cargo xtask synth --update BLOCK...`, and say why in the commit)"
                .to_owned(),
        );
    }
    wrong.extend(worse);
    if wrong.is_empty() { Ok(()) } else { bail!("{}", wrong.join("\n")) }
}

/// Elaborates the whole card and checks that it has no latch, no combinational loop and no net with two drivers.
///
/// # Errors
/// It has, or it cannot be elaborated.
pub(crate) fn check_structure(root: &Path) -> Result<()> {
    install(root)?;
    let problems = flow::check(root, &Catalogue::read(root)?.core())?;
    if problems.is_empty() { Ok(()) } else { bail!("{}", problems.join("\n")) }
}

fn perform(root: &Path, block: &Block) -> Result<Summary> {
    let result = flow::synthesise(root, block)?;
    let netlist = Netlist::read(&result.netlist, &block.module)?;
    drop(result.lock);
    let mut summary = summary::summarise(block.name(), &netlist);
    summary.problems.extend(result.problems);
    Ok(summary)
}

/// `block.figure` -> {value, unit}.
fn flat(all: &BTreeMap<String, BTreeMap<String, Figure>>) -> Value {
    let mut flat = Map::new();
    for (block, figures) in all {
        for (name, figure) in figures {
            let value = json!({ "value": figure.value, "unit": figure.unit });
            flat.insert(format!("{block}.{name}"), value);
        }
    }
    Value::Object(flat)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_flat() {
        let figure = |value, unit| Figure { value, unit };
        let block = |name: &str, figures: &[(&str, Figure)]| {
            let figures = figures.iter().map(|(name, figure)| ((*name).to_owned(), *figure));
            (name.to_owned(), figures.collect())
        };
        let all = BTreeMap::from([
            block("core", &[("clock.typ", figure(104.1, "MHz")), ("lut", figure(7.0, "1"))]),
            block("ps_fifo", &[("levels", figure(3.0, "levels"))]),
        ]);
        assert_eq!(
            flat(&all),
            json!({
                "core.clock.typ": {"value": 104.1, "unit": "MHz"},
                "core.lut": {"value": 7.0, "unit": "1"},
                "ps_fifo.levels": {"value": 3.0, "unit": "levels"},
            })
        );
    }
}
