//! What is told of a synthesised block: its figures by name, and a report for people.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::blocks::MAIN_CLOCK;
use super::graph::{self, Graph, Sort, sort};
use super::netlist::{Direction, Net, Netlist};
use super::part;
use super::timing::{self, ClockTiming, Path, Timing};

/// A net with more loads than this is worth a look: it cannot be near to all of them.
const MANY_LOADS: u32 = 500;
/// How many nets with the most loads are told.
const TOLD: usize = 5;

/// A value with its unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Figure {
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
}

/// See the module.
pub(crate) struct Summary {
    /// By name within the block, such as `clock.typ` and `lut`.
    pub(crate) figures: BTreeMap<String, Figure>,
    /// Why the block is wrong, whatever its figures are.
    pub(crate) problems: Vec<String>,
    /// For people.
    pub(crate) report: String,
}

/// LUTs that a primitive of LUT memory takes.
fn memory_luts(kind: &str) -> u32 {
    match kind {
        "RAM32X1S" | "RAM64X1S" => 1,
        "RAM32M" | "RAM64M" | "RAM128X1D" | "RAM256X1S" => 4,
        "RAM32M16" | "RAM64M8" | "RAM64X8SW" | "RAM256X1D" | "RAM512X1S" => 8,
        _ => 2,
    }
}

/// Amounts of the device's resources.
fn resources(netlist: &Netlist) -> BTreeMap<&'static str, u32> {
    let names = ["lut", "ff", "carry", "lutram", "ramb36", "ramb18", "uram", "dsp", "latch"];
    let mut amounts: BTreeMap<_, _> = names.into_iter().map(|name| (name, 0)).collect();
    for cell in netlist.cells.values() {
        let (name, amount) = match (sort(&cell.kind), cell.kind.as_str()) {
            (Sort::Lut, kind) => ("lut", u32::from(kind != "INV")),
            (Sort::Ff, _) => ("ff", 1),
            (Sort::Carry, _) => ("carry", 1),
            (Sort::LutRam, kind) => ("lutram", memory_luts(kind)),
            (Sort::Bram, "RAMB36E2") => ("ramb36", 1),
            (Sort::Bram, _) => ("ramb18", 1),
            (Sort::Uram, _) => ("uram", 1),
            (Sort::Dsp, _) => ("dsp", 1),
            (Sort::Latch, _) => ("latch", 1),
            (Sort::WideMux | Sort::Buffer | Sort::Unknown, _) => continue,
        };
        *amounts.entry(name).or_default() += amount;
    }
    amounts
}

/// Block RAMs and UltraRAMs with an output that something else than a flip-flop's data pin reads: the RAM's own output register
/// cannot be used for it.
fn unregistered(netlist: &Netlist) -> Vec<&str> {
    let mut logic = vec![false; netlist.nets()];
    for cell in netlist.cells.values() {
        let ff = sort(&cell.kind) == Sort::Ff;
        for (_, _, net) in cell.inputs().filter(|(port, ..)| !(ff && *port == "D")) {
            logic[net] = true;
        }
    }
    for port in netlist.ports.values().filter(|port| port.direction != Direction::Input) {
        port.bits.iter().filter_map(|bit| bit.net()).for_each(|net| logic[net] = true);
    }
    let rams =
        netlist.cells.iter().filter(|(_, c)| matches!(sort(&c.kind), Sort::Bram | Sort::Uram));
    let read = rams.filter(|(_, cell)| cell.outputs().any(|(_, _, net)| logic[net]));
    read.map(|(name, _)| name.as_str()).collect()
}

/// Analyses a block.
pub(crate) fn summarise(name: &str, netlist: &Netlist) -> Summary {
    let names = netlist.names();
    let graph = graph::build(netlist, &names, MAIN_CLOCK);
    let timing = timing::analyse(&graph);
    let amounts = resources(netlist);
    let rams = unregistered(netlist);
    let mut busiest: Vec<(u32, Net)> =
        graph.loads.iter().enumerate().map(|(net, loads)| (*loads, net)).collect();
    busiest.sort_unstable_by(|a, b| b.cmp(a));

    let mut problems = Vec::new();
    if amounts["latch"] > 0 {
        problems.push(format!("{} latches", amounts["latch"]));
    }
    for net in &timing.loops {
        problems.push(format!("combinational loop through {}", names[*net]));
    }
    for kind in &graph.unknown {
        problems.push(format!("primitive {kind}, of which the estimate knows nothing"));
    }

    let mut figures = BTreeMap::new();
    let mut put = |name: String, value: f64, unit| {
        figures.insert(name, Figure { value, unit });
    };
    for (resource, amount) in &amounts {
        if *resource != "latch" {
            put((*resource).to_owned(), f64::from(*amount), "1");
        }
    }
    put("fanout".to_owned(), f64::from(busiest.first().map_or(0, |(loads, _)| *loads)), "loads");
    let many = busiest.iter().take_while(|(loads, _)| *loads > MANY_LOADS).count();
    put("fanout.many".to_owned(), count(many), "nets");
    put("ram.unregistered".to_owned(), count(rams.len()), "1");
    for clock in &timing.clocks {
        let (of, levels) = if clock.name == MAIN_CLOCK {
            ("clock".to_owned(), "levels".to_owned())
        } else {
            (format!("clock.{}", clock.name), format!("levels.{}", clock.name))
        };
        put(levels, f64::from(clock.levels), "levels");
        for slowest in &clock.slowest {
            if let Some(path) = slowest.paths.first() {
                put(format!("{of}.{}", slowest.wires.name()), megahertz(path), "MHz");
            }
        }
    }
    let mut report = format!("{name}\n");
    let _ = writeln!(report, "  {}", shares(&amounts));
    if !rams.is_empty() {
        // A memory is many RAMs: `u_keys.mem.0.3`.
        let memory =
            |ram: &&str| ram.trim_end_matches(|c: char| c == '.' || c.is_ascii_digit()).to_owned();
        let memories: BTreeSet<_> = rams.iter().map(memory).collect();
        let (count, shown) = (rams.len(), some(memories.iter().map(String::as_str)));
        let _ = writeln!(report, "  RAM outputs without a register: {count}: {shown}");
    }
    let loads = busiest.iter().take(TOLD).filter(|(loads, _)| *loads > 0);
    let loads = loads.map(|(_, net)| loaded(&graph, &names, *net));
    let _ = writeln!(
        report,
        "  most loads: {}; {many} nets over {MANY_LOADS}",
        loads.collect::<Vec<_>>().join(", ")
    );
    report += &clocks(&graph, &timing, &names);
    Summary { figures, problems, report }
}

fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::INFINITY, f64::from)
}

/// A tenth is more than the estimate knows.
fn megahertz(path: &Path) -> f64 {
    (1e7 / path.period).round() / 10.0
}

fn shares(amounts: &BTreeMap<&'static str, u32>) -> String {
    let told = |(resource, amount): (&&str, &u32)| {
        let share = part::share(resource, f64::from(*amount));
        let share = share.map_or_else(String::new, |share| format!(" ({share:.1} %)"));
        (*amount > 0).then(|| format!("{resource} {amount}{share}"))
    };
    format!("{}  of {}", amounts.iter().filter_map(told).collect::<Vec<_>>().join(", "), part::NAME)
}

/// The first few, and that there are more.
fn some<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = if names.len() > TOLD { ", ..." } else { "" };
    names.take(TOLD).collect::<Vec<_>>().join(", ") + more
}

/// A net's name in the sources. What yosys makes up says nothing.
fn called(names: &[String], net: Net) -> &str {
    if names[net].is_empty() || names[net].starts_with('$') { "logic" } else { &names[net] }
}

/// A net with its loads, and the register that it leads to most often: what an unnamed one is best known by.
fn loaded(graph: &Graph, names: &[String], net: Net) -> String {
    let mut ends: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    for capture in graph.captures.iter().filter(|capture| capture.net == net) {
        *ends.entry(timing::without_index(&capture.name)).or_default() += 1;
    }
    let most = ends.into_iter().max_by_key(|(_, times)| *times);
    let most = most.map_or_else(String::new, |((end, pin), _)| format!(" (to {end}.{pin})"));
    format!("{} {}{most}", called(names, net), graph.loads[net])
}

fn clocks(graph: &Graph, timing: &Timing, names: &[String]) -> String {
    let mut text = String::new();
    for clock in timing.clocks.iter().filter(|clock| !clock.slowest[0].paths.is_empty()) {
        let ClockTiming { name, levels, slowest } = clock;
        let rates = slowest.iter().filter_map(|slowest| slowest.paths.first());
        let rates: Vec<_> = rates.map(|path| format!("{:.0}", megahertz(path))).collect();
        let _ = writeln!(
            text,
            "  {name}: {levels} levels, {} MHz best/typ/worst (estimate, not Vivado)",
            rates.join("/")
        );
        // The typical one; a worse guess of the nets only stretches it.
        for (number, path) in slowest[1].paths.iter().enumerate() {
            let start = path.nets.first().map_or("", |(net, _)| called(names, *net));
            let _ = writeln!(
                text,
                "    {:.0} ps, {} levels: {start} -> {}",
                path.period, path.levels, path.end
            );
            if number == 0 {
                for (net, time) in &path.nets {
                    let (name, loads) = (called(names, *net), graph.loads[*net]);
                    let _ = writeln!(text, "      {time:6.0}  {name}, {loads} loads");
                }
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::Result;

    use super::*;

    fn summary(cells: &str) -> Result<Summary> {
        let text = format!(
            r#"{{"modules": {{"m": {{"ports": {{"clk_i": {{"direction": "input", "bits": [2]}}}}, "netnames": {{}}, "cells": {{{cells}}}}}}}}}"#
        );
        Ok(summarise("m", &Netlist::parse(text.as_bytes(), "m")?))
    }

    fn cell(name: &str, kind: &str, inputs: &[(&str, Net)], outputs: &[(&str, Net)]) -> String {
        let list = |f: fn(&str, Net, bool) -> String| {
            let inputs = inputs.iter().map(|(port, net)| f(port, *net, false));
            let outputs = outputs.iter().map(|(port, net)| f(port, *net, true));
            inputs.chain(outputs).collect::<Vec<_>>().join(",")
        };
        let directions = list(|port, _, output| {
            format!(r#""{port}": "{}""#, if output { "output" } else { "input" })
        });
        let connections = list(|port, net, _| format!(r#""{port}": [{net}]"#));
        format!(
            r#""{name}": {{"type": "{kind}", "port_directions": {{{directions}}}, "connections": {{{connections}}}}}"#
        )
    }

    #[test]
    fn resources_are_counted_by_what_they_take() -> Result<()> {
        let cells = [
            cell("a", "LUT3", &[("I0", 5)], &[("O", 6)]),
            cell("b", "INV", &[("I", 6)], &[("O", 7)]),
            cell("c", "FDSE", &[("C", 2), ("D", 7)], &[("Q", 5)]),
            cell("d", "RAM64M8", &[("WCLK", 2), ("ADDRA", 5)], &[("DOA", 8)]),
            cell("e", "RAMB18E2", &[("CLKARDCLK", 2)], &[("DOUTADOUT", 9)]),
        ];
        let found = summary(&cells.join(","))?;
        assert!(found.problems.is_empty(), "{:?}", found.problems);
        let value = |name: &str| found.figures.get(name).map(|figure| figure.value);
        for (name, amount) in
            [("lut", 1.0), ("ff", 1.0), ("lutram", 8.0), ("ramb18", 1.0), ("uram", 0.0)]
        {
            assert_eq!(value(name), Some(amount), "{name}");
        }
        // The flip-flop's output leads to the LUT and the memory's address.
        assert_eq!((value("fanout"), value("levels")), (Some(2.0), Some(2.0)));
        assert!(found.report.contains("not Vivado"));
        Ok(())
    }

    #[test]
    fn a_ram_is_registered_if_only_flip_flops_take_its_output() -> Result<()> {
        let ram = |name, out| cell(name, "URAM288", &[("CLK", 2)], &[("DOUT_A", out)]);
        let ff = |name, d, q| cell(name, "FDRE", &[("C", 2), ("D", d)], &[("Q", q)]);
        let good = [ram("good", 10), ff("r", 10, 11)].join(",");
        let netlist = |cells: &str| summary(cells).map(|s| s.figures["ram.unregistered"].value);
        assert_eq!(netlist(&good)?, 0.0);
        let enable = cell("e", "FDRE", &[("C", 2), ("CE", 20)], &[("Q", 21)]);
        assert_eq!(netlist(&[good, ram("bad", 20), enable].join(","))?, 1.0);
        Ok(())
    }

    #[test]
    fn a_latch_and_an_unknown_primitive_are_problems() -> Result<()> {
        let latch = cell("l", "LDCE", &[("G", 3), ("D", 4)], &[("Q", 5)]);
        let shift = cell("s", "SRL16E", &[("D", 5)], &[("Q", 6)]);
        let found = summary(&[latch, shift].join(","))?;
        assert_eq!(found.problems.len(), 2, "{:?}", found.problems);
        Ok(())
    }
}
