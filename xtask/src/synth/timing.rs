//! Static timing: the latest arrival at each net, and from it the shortest period of each clock.
//!
//! Of a path between two clocks the edges are thought to coincide, as those of the soft core's clock do with the card's
//! (`ps_fw`): such a path must be done in a period of the main clock, and counts there.

use super::graph::{Clock, Gate, Graph, Ways};
use super::model::{self, WIRES, Wires};
use super::netlist::Net;

/// A path from a launch to a capture.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    /// Of the whole path, set-up included, in picoseconds.
    pub(crate) period: f64,
    /// Levels of logic: LUTs, LUT memories and the selects of wide multiplexers; carries are not counted.
    pub(crate) levels: u32,
    /// What captures.
    pub(crate) end: String,
    /// The nets on the way from the launch, each with its arrival in picoseconds.
    pub(crate) nets: Vec<(Net, f64)>,
}

/// The paths of one clock under one guess of the nets.
#[derive(Debug)]
pub(crate) struct Slowest {
    pub(crate) wires: Wires,
    /// The slowest path to each of the worst registers, slowest first; empty if the clock has no path.
    pub(crate) paths: Vec<Path>,
}

/// What is known of one clock.
#[derive(Debug)]
pub(crate) struct ClockTiming {
    /// Its name in the sources.
    pub(crate) name: String,
    /// Most levels of logic between two registers.
    pub(crate) levels: u32,
    /// For each guess of the nets, best first.
    pub(crate) slowest: Vec<Slowest>,
}

/// The result: each clock, the main one first, and the nets at which combinational loops were cut.
#[derive(Debug)]
pub(crate) struct Timing {
    pub(crate) clocks: Vec<ClockTiming>,
    pub(crate) loops: Vec<Net>,
}

/// How many registers' slowest paths are kept.
const KEPT: usize = 5;

/// Analyses the graph.
pub(crate) fn analyse(graph: &Graph) -> Timing {
    let (order, loops) = order(graph);
    let mut clocks: Vec<ClockTiming> = graph
        .clocks
        .iter()
        .map(|name| ClockTiming { name: name.clone(), levels: 0, slowest: Vec::new() })
        .collect();
    for wires in WIRES {
        let mut found: Vec<Vec<(f64, usize, Clock)>> = vec![Vec::new(); clocks.len()];
        let arrivals: Vec<_> =
            (0..clocks.len()).map(|from| Arrivals::compute(graph, &order, wires, from)).collect();
        for (from, arrivals) in arrivals.iter().enumerate() {
            for (index, capture) in graph.captures.iter().enumerate() {
                let Some(time) = arrivals.time[capture.net] else { continue };
                let wire = if capture.routed { graph.wire(wires, capture.net) } else { 0.0 };
                let of = if from == capture.clock { from } else { 0 };
                found[of].push((time + wire + capture.delay, index, from));
                clocks[of].levels = clocks[of].levels.max(arrivals.levels[capture.net]);
            }
        }
        for (clock, mut found) in clocks.iter_mut().zip(found) {
            found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            let mut paths: Vec<Path> = Vec::new();
            for (period, index, from) in found {
                let capture = &graph.captures[index];
                // One path a register, not one a bit.
                if paths.iter().all(|path| without_index(&path.end) != without_index(&capture.name))
                {
                    paths.push(arrivals[from].path(period, capture.net, &capture.name));
                }
                if paths.len() == KEPT {
                    break;
                }
            }
            clock.slowest.push(Slowest { wires, paths });
        }
    }
    Timing { clocks, loops }
}

/// `a[3].D` and `a[4].D` are of one register: its name and the pin's.
pub(crate) fn without_index(name: &str) -> (&str, &str) {
    let (mut register, pin) = name.rsplit_once('.').unwrap_or((name, ""));
    while let Some((before, _)) =
        register.strip_suffix(']').and_then(|indexed| indexed.rsplit_once('['))
    {
        register = before;
    }
    (register, pin)
}

impl Graph {
    fn wire(&self, wires: Wires, net: Net) -> f64 {
        wires.net(self.loads[net])
    }
}

/// The gates, each after those that drive it. A loop is cut at one of its gates, which then comes before some that drive it.
fn order(graph: &Graph) -> (Vec<usize>, Vec<Net>) {
    let mut loads: Vec<Vec<usize>> = vec![Vec::new(); graph.loads.len()];
    let mut driver: Vec<Option<usize>> = vec![None; graph.loads.len()];
    for (index, gate) in graph.gates.iter().enumerate() {
        driver[gate.out] = Some(index);
    }
    let mut waits: Vec<usize> = Vec::with_capacity(graph.gates.len());
    for (index, gate) in graph.gates.iter().enumerate() {
        let nets = gate.ways.nets().into_iter().filter(|net| driver[*net].is_some());
        waits.push(nets.map(|net| loads[net].push(index)).count());
    }
    let mut ready: Vec<usize> = (0..waits.len()).filter(|gate| waits[*gate] == 0).collect();
    let (mut order, mut loops) = (Vec::with_capacity(waits.len()), Vec::new());
    let mut done = vec![false; waits.len()];
    let mut rest = 0;
    loop {
        while let Some(gate) = ready.pop() {
            done[gate] = true;
            order.push(gate);
            for &load in &loads[graph.gates[gate].out] {
                waits[load] -= 1;
                if waits[load] == 0 && !done[load] {
                    ready.push(load);
                }
            }
        }
        while rest < done.len() && done[rest] {
            rest += 1;
        }
        if rest == done.len() {
            return (order, loops);
        }
        // Everything left is in a loop or behind one; walking backwards through what is left ends in a loop.
        let mut gate = rest;
        let mut seen = vec![false; done.len()];
        while !seen[gate] {
            seen[gate] = true;
            let before = graph.gates[gate].ways.nets().into_iter().filter_map(|net| driver[net]);
            gate = before.into_iter().find(|before| !done[*before]).unwrap_or(gate);
        }
        loops.push(graph.gates[gate].out);
        done[gate] = true;
        ready.push(gate);
    }
}

/// What arrives when, of all that one clock launches.
struct Arrivals {
    /// In picoseconds after the clock's edge; `None` where nothing of this clock arrives.
    time: Vec<Option<f64>>,
    levels: Vec<u32>,
    /// The net before, on the slowest way.
    before: Vec<Option<Net>>,
}

impl Arrivals {
    fn compute(graph: &Graph, order: &[usize], wires: Wires, clock: Clock) -> Self {
        let nets = graph.loads.len();
        let mut arrivals =
            Self { time: vec![None; nets], levels: vec![0; nets], before: vec![None; nets] };
        for launch in graph.launches.iter().filter(|launch| launch.clock == clock) {
            arrivals.time[launch.net] = Some(launch.delay);
        }
        for &gate in order {
            arrivals.pass(graph, wires, &graph.gates[gate]);
        }
        arrivals
    }

    fn pass(&mut self, graph: &Graph, wires: Wires, gate: &Gate) {
        // A LUT's memory launches as well.
        let mut latest = self.time[gate.out];
        match &gate.ways {
            Ways::Lut(nets) => {
                let mut pins: Vec<(f64, Net)> = nets
                    .iter()
                    .filter_map(|&net| Some((self.time[net]? + graph.wire(wires, net), net)))
                    .collect();
                pins.sort_by(|a, b| b.0.total_cmp(&a.0));
                for ((time, net), delay) in pins.into_iter().zip(model::LUT.iter().rev()) {
                    self.offer(&mut latest, time + delay, net, gate.out);
                    self.level(net, gate.out, true);
                }
            }
            Ways::Arcs(arcs) => {
                for arc in arcs {
                    let Some(time) = self.time[arc.net] else { continue };
                    let wire = if arc.routed { graph.wire(wires, arc.net) } else { 0.0 };
                    self.offer(&mut latest, time + wire + arc.delay, arc.net, gate.out);
                    self.level(arc.net, gate.out, arc.level);
                }
            }
        }
        self.time[gate.out] = latest;
    }

    fn offer(&mut self, latest: &mut Option<f64>, time: f64, from: Net, to: Net) {
        if latest.is_none_or(|latest| time > latest) {
            *latest = Some(time);
            self.before[to] = Some(from);
        }
    }

    fn level(&mut self, from: Net, to: Net, counts: bool) {
        self.levels[to] = self.levels[to].max(self.levels[from] + u32::from(counts));
    }

    fn path(&self, period: f64, end: Net, name: &str) -> Path {
        let mut nets = Vec::new();
        let mut at = Some(end);
        while let Some(net) = at.filter(|_| nets.len() <= self.time.len()) {
            nets.push((net, self.time[net].unwrap_or_default()));
            at = self.before[net];
        }
        nets.reverse();
        Path { period, levels: self.levels[end], end: name.to_owned(), nets }
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Result;

    use super::super::graph::build;
    use super::super::netlist::Netlist;
    use super::*;

    /// `cells` between the ports clk_i (net 2), clk_fw_i (3), a (4) and q (9).
    fn timed(cells: &str) -> Result<(Timing, Vec<String>)> {
        let text = format!(
            r#"{{"modules": {{"m": {{
                "ports": {{
                    "clk_i": {{"direction": "input", "bits": [2]}},
                    "clk_fw_i": {{"direction": "input", "bits": [3]}},
                    "a": {{"direction": "input", "bits": [4]}},
                    "q": {{"direction": "output", "bits": [9]}}
                }},
                "cells": {{{cells}}},
                "netnames": {{"r": {{"bits": [10, 11]}}, "q": {{"bits": [9]}}, "$x": {{"hide_name": 1, "bits": [20, 21]}}}}
            }}}}}}"#
        );
        let netlist = Netlist::parse(text.as_bytes(), "m")?;
        let names = netlist.names();
        Ok((analyse(&build(&netlist, &names, "clk_i")), names))
    }

    fn ff(name: &str, clock: Net, d: Net, q: Net) -> String {
        format!(
            r#""{name}": {{"type": "FDRE", "port_directions": {{"C": "input", "D": "input", "CE": "input", "Q": "output"}},
                "connections": {{"C": [{clock}], "D": [{d}], "CE": ["1"], "Q": [{q}]}}}}"#
        )
    }

    fn lut2(name: &str, a: Net, b: Net, o: Net) -> String {
        format!(
            r#""{name}": {{"type": "LUT2", "port_directions": {{"I0": "input", "I1": "input", "O": "output"}},
                "connections": {{"I0": [{a}], "I1": [{b}], "O": [{o}]}}}}"#
        )
    }

    fn periods(clock: &ClockTiming) -> Vec<Option<f64>> {
        clock.slowest.iter().map(|slowest| slowest.paths.first().map(|path| path.period)).collect()
    }

    /// r[0] and r[1] -> two LUTs in a row -> q, and both flip-flops are fed by what follows.
    fn two_levels() -> Result<(Timing, Vec<String>)> {
        timed(
            &[
                ff("r0", 2, 4, 10),
                ff("r1", 2, 4, 11),
                lut2("first", 10, 11, 20),
                lut2("second", 20, 11, 21),
                ff("out", 2, 21, 9),
            ]
            .join(","),
        )
    }

    #[test]
    fn the_slowest_path_is_the_sum_of_its_parts() -> Result<()> {
        let (timing, names) = two_levels()?;
        assert!(timing.loops.is_empty());
        let clock = &timing.clocks[0];
        assert_eq!((clock.name.as_str(), clock.levels), ("clk_i", 2));
        // Net r[1] has two loads; r[0] and that between the LUTs one; the last LUT is in the flip-flop's slice. In the first LUT r[1]
        // comes last and gets the fastest pin (35), r[0] the next (50); in the second it is the other LUT's output.
        let worst = 77.0 + (380.0 + 90.0) + 35.0 + 380.0 + 35.0 + 75.0;
        let typical = 77.0 + (240.0 + 45.0) + 35.0 + 240.0 + 35.0 + 75.0;
        // All nets cost the same: whichever is called second gets the slower pin.
        let best = 77.0 + 160.0 + 50.0 + 160.0 + 35.0 + 75.0;
        assert_eq!(periods(clock), [Some(best), Some(typical), Some(worst)]);
        let path = &clock.slowest[2].paths[0];
        assert_eq!((path.end.as_str(), path.levels), ("q.D", 2));
        assert_eq!(path.nets, [(11, 77.0), (20, 582.0), (21, 997.0)]);
        assert_eq!(names[11], "r[1]");
        Ok(())
    }

    #[test]
    fn the_bits_of_a_register_are_one() {
        assert_eq!(without_index("u_a[1].entry_q[15][0].CE"), ("u_a[1].entry_q", "CE"));
        assert_eq!(without_index("port q"), ("port q", ""));
    }

    #[test]
    fn ports_count_as_registers() -> Result<()> {
        let (timing, _) = timed(&[lut2("g", 4, 4, 9)].join(","))?;
        // Two loads; then a net without any load inside.
        let typical = 77.0 + 285.0 + 50.0 + 240.0 + 125.0;
        assert_eq!(periods(&timing.clocks[0])[1], Some(typical));
        assert_eq!(timing.clocks[0].slowest[1].paths[0].end, "port q");
        Ok(())
    }

    #[test]
    fn a_flip_flop_lies_beside_its_lut_only_as_its_one_load() -> Result<()> {
        let one = [ff("r0", 2, 4, 10), lut2("g", 10, 10, 20), ff("out", 2, 20, 30)];
        let two = [one.join(","), ff("other", 2, 20, 31)].join(",");
        let period = |cells: &str| timed(cells).map(|(timing, _)| periods(&timing.clocks[0])[1]);
        let before = 77.0 + 285.0 + 50.0;
        assert_eq!(period(&one.join(","))?, Some(before + 75.0));
        assert_eq!(period(&two)?, Some(before + 285.0 + 125.0));
        Ok(())
    }

    #[test]
    fn a_carry_ripples_upwards_only() -> Result<()> {
        let chain = r#""chain": {"type": "CARRY4",
            "port_directions": {"CI": "input", "CYINIT": "input", "S": "input", "DI": "input", "O": "output", "CO": "output"},
            "connections": {"CI": ["0"], "CYINIT": ["0"], "DI": ["0", "0", "0", "0"],
                "S": [10, 20, "0", "0"], "O": [9, 21, 22, 23], "CO": [24, 25, 26, 27]}}"#;
        // The sum's lowest bit leads to the LUT of the next: no loop.
        let cells =
            [ff("r0", 2, 4, 10), lut2("g", 9, 9, 20), chain.to_owned(), ff("out", 2, 23, 30)];
        let (timing, _) = timed(&cells.join(","))?;
        assert!(timing.loops.is_empty());
        // r -> sum 0 -> port q and LUT (two loads) -> sum 3 -> flip-flop beside it.
        let typical = 77.0 + 241.0 + (240.0 + 45.0) + 50.0 + 241.0 + 75.0;
        assert_eq!(periods(&timing.clocks[0])[1], Some(typical));
        Ok(())
    }

    #[test]
    fn rams_launch_late_and_capture_early() -> Result<()> {
        let ram = |kind: &str| {
            let cell = format!(
                r#""ram": {{"type": "{kind}", "port_directions": {{"CLK": "input", "ADDR_A": "input", "DOUT_A": "output"}},
                    "connections": {{"CLK": [2], "ADDR_A": [10], "DOUT_A": [20]}}}}"#
            );
            let cells = [cell, ff("r0", 2, 20, 10)].join(",");
            timed(&cells).map(|(timing, _)| periods(&timing.clocks[0])[1])
        };
        assert_eq!(ram("URAM288")?, Some(1292.0 + 240.0 + 125.0));
        assert_eq!(ram("RAMB36E2")?, Some(1003.0 + 240.0 + 125.0));
        Ok(())
    }

    #[test]
    fn a_dsp_slice_without_registers_is_on_the_path() -> Result<()> {
        let dsp = |clock: &str| {
            format!(
                r#""dsp": {{"type": "DSP48E2", "port_directions": {{"CLK": "input", "A": "input", "P": "output"}},
                    "connections": {{"CLK": ["{clock}"], "A": [10], "P": [20]}}}}"#
            )
        };
        let timed = |dsp: String| timed(&[dsp, ff("r0", 2, 20, 10)].join(","));
        let (through, _) = timed(dsp("0"))?;
        assert_eq!(through.clocks[0].levels, 1);
        assert_eq!(periods(&through.clocks[0])[1], Some(77.0 + 240.0 + 2000.0 + 240.0 + 125.0));
        let (between, _) = timed(dsp("0").replace(r#""0""#, "2"))?;
        assert_eq!(periods(&between.clocks[0])[1], Some(700.0 + 240.0 + 125.0));
        Ok(())
    }

    #[test]
    fn paths_between_clocks_count_for_the_main_one() -> Result<()> {
        // fw -> two LUTs -> fw; main -> one LUT -> fw, in less than main's own period.
        let cells = [
            ff("fw", 3, 21, 10),
            lut2("first", 10, 10, 20),
            lut2("second", 20, 11, 21),
            ff("main", 2, 40, 11),
        ];
        let (timing, _) = timed(&cells.join(","))?;
        let [main, fw] = timing.clocks.as_slice() else { anyhow::bail!("two clocks") };
        assert_eq!((main.name.as_str(), main.levels), ("clk_i", 1));
        assert_eq!((fw.name.as_str(), fw.levels), ("clk_fw_i", 2));
        assert_eq!(periods(main)[1], Some(77.0 + 240.0 + 35.0 + 75.0));
        assert_eq!(periods(fw)[1], Some(77.0 + 285.0 + 50.0 + 240.0 + 35.0 + 75.0));
        Ok(())
    }

    #[test]
    fn a_clock_is_known_through_its_buffer() -> Result<()> {
        let buffer = r#""b": {"type": "BUFG", "port_directions": {"I": "input", "O": "output"}, "connections": {"I": [3], "O": [30]}}"#;
        let cells = [buffer.to_owned(), ff("r0", 30, 11, 10), ff("r1", 30, 10, 11)];
        let (timing, _) = timed(&cells.join(","))?;
        assert_eq!(timing.clocks[1].name, "clk_fw_i");
        assert_eq!(periods(&timing.clocks[1])[1], Some(77.0 + 240.0 + 125.0));
        Ok(())
    }

    #[test]
    fn the_ports_of_a_block_ram_have_their_own_clocks() -> Result<()> {
        let ram = r#""ram": {"type": "RAMB36E2",
            "port_directions": {"CLKARDCLK": "input", "CLKBWRCLK": "input", "DOUTADOUT": "output", "DINBDIN": "input"},
            "connections": {"CLKARDCLK": [3], "CLKBWRCLK": [2], "DOUTADOUT": [20], "DINBDIN": [10]}}"#;
        writes_by_one_clock_and_reads_by_another(ram)
    }

    /// Data of `ram` come by the clock of net 2 and go by that of net 3.
    fn writes_by_one_clock_and_reads_by_another(ram: &str) -> Result<()> {
        let cells = [ram.to_owned(), ff("r0", 2, 40, 10), ff("fw", 3, 20, 11)];
        let (timing, _) = timed(&cells.join(","))?;
        assert_eq!(periods(&timing.clocks[0])[1], Some(77.0 + 240.0 + 300.0));
        assert_eq!(periods(&timing.clocks[1])[1], Some(1003.0 + 240.0 + 125.0));
        Ok(())
    }

    #[test]
    fn a_block_ram_as_wide_as_both_its_ports_reads_by_one_clock() -> Result<()> {
        let ram = r#""ram": {"type": "RAMB36E2", "parameters": {"READ_WIDTH_A": "1001000", "WRITE_WIDTH_B": "1001000"},
            "port_directions": {"CLKARDCLK": "input", "CLKBWRCLK": "input", "DOUTBDOUT": "output", "DINADIN": "input"},
            "connections": {"CLKARDCLK": [3], "CLKBWRCLK": [2], "DOUTBDOUT": [20], "DINADIN": [10]}}"#;
        writes_by_one_clock_and_reads_by_another(ram)
    }

    #[test]
    fn a_port_of_a_luts_memory_reads_by_its_own_address() -> Result<()> {
        let ram = r#""ram": {"type": "RAM32M16",
            "port_directions": {"WCLK": "input", "ADDRA": "input", "ADDRH": "input", "DOA": "output"},
            "connections": {"WCLK": [3], "ADDRA": [10], "ADDRH": [21], "DOA": [20]}}"#;
        let cells = [
            ram.to_owned(),
            ff("read", 2, 4, 10),
            ff("write", 3, 40, 11),
            lut2("where", 11, 11, 21),
            ff("out", 2, 20, 9),
        ];
        let (timing, _) = timed(&cells.join(","))?;
        // From what was written, which counts for the main clock; what is written where is a path of the other clock alone.
        assert_eq!(periods(&timing.clocks[0])[1], Some(77.0 + 240.0 + 150.0 + 240.0 + 125.0));
        assert_eq!(periods(&timing.clocks[1])[1], Some(77.0 + 285.0 + 50.0 + 240.0 + 100.0));
        Ok(())
    }

    #[test]
    fn a_loop_is_told_by_a_net_that_is_in_it() -> Result<()> {
        // 20 and 21 drive each other; 22 only follows.
        let cells = [
            lut2("a", 21, 4, 20),
            lut2("b", 20, 4, 21),
            lut2("behind", 21, 4, 22),
            ff("out", 2, 22, 9),
        ];
        let (timing, _) = timed(&cells.join(","))?;
        assert_eq!(timing.loops.len(), 1);
        assert!([20, 21].contains(&timing.loops[0]));
        Ok(())
    }

    #[test]
    fn an_unknown_primitive_is_told() -> Result<()> {
        let text = r#"{"modules": {"m": {"ports": {}, "netnames": {}, "cells": {"x": {"type": "SRL16E",
            "port_directions": {"Q": "output"}, "connections": {"Q": [2]}}}}}}"#;
        let netlist = Netlist::parse(text.as_bytes(), "m")?;
        let graph = build(&netlist, &netlist.names(), "clk_i");
        assert!(graph.unknown.contains("SRL16E"));
        Ok(())
    }
}
