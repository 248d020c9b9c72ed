//! From a netlist to what timing is about: where signals are launched, what they pass through, and where they must be stable.
//!
//! Primitives are those that yosys maps to (`synth_xilinx -family xcup`). What a primitive is known by is its name; one that is not
//! known here is a problem to report, not a delay of zero.

use std::collections::BTreeSet;

use super::model;
use super::netlist::{Cell, Direction, Net, Netlist};

/// Which clock, as an index into [`Graph::clocks`].
pub(crate) type Clock = usize;

/// A clocked output, or an input port of the block.
#[derive(Debug)]
pub(crate) struct Launch {
    pub(crate) net: Net,
    pub(crate) delay: f64,
    pub(crate) clock: Clock,
}

/// A clocked input, or an output port of the block.
#[derive(Debug)]
pub(crate) struct Capture {
    pub(crate) net: Net,
    /// Set-up time.
    pub(crate) delay: f64,
    /// Whether a net leads there, or the source lies in the same slice.
    pub(crate) routed: bool,
    pub(crate) clock: Clock,
    /// What is captured, such as `state_q.CE`.
    pub(crate) name: String,
}

/// One way through a primitive.
#[derive(Debug)]
pub(crate) struct Arc {
    pub(crate) net: Net,
    pub(crate) delay: f64,
    /// Whether a net leads there, or the source lies in the same slice or the one below.
    pub(crate) routed: bool,
    /// Whether it counts as a level of logic.
    pub(crate) level: bool,
}

/// The ways to one output.
#[derive(Debug)]
pub(crate) enum Ways {
    /// A look-up table: the input that comes last gets the fastest pin.
    Lut(Vec<Net>),
    /// Fixed ones.
    Arcs(Vec<Arc>),
}

impl Ways {
    /// The nets that lead in.
    pub(crate) fn nets(&self) -> Vec<Net> {
        match self {
            Self::Lut(nets) => nets.clone(),
            Self::Arcs(arcs) => arcs.iter().map(|arc| arc.net).collect(),
        }
    }
}

/// An output that follows its inputs.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) out: Net,
    pub(crate) ways: Ways,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    pub(crate) launches: Vec<Launch>,
    pub(crate) gates: Vec<Gate>,
    pub(crate) captures: Vec<Capture>,
    /// Names of the clocks; the first is the main one, to which the ports belong.
    pub(crate) clocks: Vec<String>,
    /// Loads of each net, clock pins left out.
    pub(crate) loads: Vec<u32>,
    /// Primitives that are not known here.
    pub(crate) unknown: BTreeSet<String>,
}

/// What sort of primitive it is, by its name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Sort {
    Lut,
    WideMux,
    Carry,
    LutRam,
    Ff,
    Latch,
    Bram,
    Uram,
    Dsp,
    Buffer,
    Unknown,
}

/// What sort of primitive has this name.
pub(crate) fn sort(kind: &str) -> Sort {
    match kind {
        "INV" => Sort::Lut,
        "MUXF7" | "MUXF8" | "MUXF9" => Sort::WideMux,
        "CARRY4" => Sort::Carry,
        "BUFG" => Sort::Buffer,
        "FDRE" | "FDSE" | "FDCE" | "FDPE" => Sort::Ff,
        "LDCE" | "LDPE" => Sort::Latch,
        "RAMB18E2" | "RAMB36E2" => Sort::Bram,
        "URAM288" => Sort::Uram,
        "DSP48E2" => Sort::Dsp,
        _ if kind.starts_with("LUT") => Sort::Lut,
        _ if kind.starts_with("RAM") => Sort::LutRam,
        _ => Sort::Unknown,
    }
}

fn is_clock(port: &str) -> bool {
    matches!(port, "C" | "G" | "CLK" | "WCLK" | "CLKARDCLK" | "CLKBWRCLK")
}

/// Whether what the port `output` of a LUT's memory gives follows from `input`, an address, without a clock: each of several ports
/// has its own (`DOA` that of `ADDRA`); of two the second only reads (`DPO` that of `DPRA`).
fn reads_by(output: &str, input: &str) -> bool {
    match output.strip_prefix("DO") {
        Some(port) => input.strip_prefix("ADDR") == Some(port),
        None if output == "DPO" => input.starts_with("DPRA"),
        None => input.starts_with('A'),
    }
}

/// Whether a port of a LUT's memory is an address that is only read from. What is written goes where the last of several ports
/// has its address, or the first of two.
fn only_reads(port: &str) -> bool {
    port.starts_with("DPRA")
        || port
            .strip_prefix("ADDR")
            .is_some_and(|port| matches!(port, "A" | "B" | "C" | "E" | "F" | "G"))
}

/// Whether the pin `port` of a block RAM belongs to its second clock. All names of the second port's pins have a B in them; a
/// memory as wide as both ports together reads all by the first and writes all by the second.
fn is_second(cell: &Cell, port: &str) -> bool {
    let both = if cell.kind == "RAMB36E2" { 72 } else { 36 };
    if port.starts_with("DOUT") && cell.read_width_a() == both {
        false
    } else if port.starts_with("DIN") && cell.write_width_b() == both {
        true
    } else {
        port.contains('B')
    }
}

struct Builder<'a> {
    netlist: &'a Netlist,
    names: &'a [String],
    driver: Vec<Option<&'a Cell>>,
    input_ports: Vec<Option<&'a str>>,
    graph: Graph,
}

/// Builds the graph; `main` is the name of the clock that ports belong to.
pub(crate) fn build(netlist: &Netlist, names: &[String], main: &str) -> Graph {
    let nets = netlist.nets();
    let mut builder = Builder {
        netlist,
        names,
        driver: vec![None; nets],
        input_ports: vec![None; nets],
        graph: Graph { clocks: vec![main.to_owned()], loads: vec![0; nets], ..Graph::default() },
    };
    builder.connect();
    builder.ports();
    for (name, cell) in &netlist.cells {
        builder.cell(name, cell);
    }
    builder.graph
}

impl<'a> Builder<'a> {
    fn connect(&mut self) {
        for (name, port) in &self.netlist.ports {
            if port.direction == Direction::Input {
                for net in port.bits.iter().filter_map(|bit| bit.net()) {
                    self.input_ports[net] = Some(name);
                }
            }
        }
        for cell in self.netlist.cells.values() {
            for (_, _, net) in cell.outputs() {
                self.driver[net] = Some(cell);
            }
            for (_, _, net) in cell.inputs().filter(|(port, ..)| !is_clock(port)) {
                self.graph.loads[net] += 1;
            }
        }
    }

    fn ports(&mut self) {
        for (name, port) in &self.netlist.ports {
            for net in port.bits.iter().filter_map(|bit| bit.net()) {
                if port.direction == Direction::Input {
                    let delay = model::FF_LAUNCH;
                    self.graph.launches.push(Launch { net, delay, clock: 0 });
                } else {
                    let (delay, name) = (model::FF_CAPTURE, format!("port {name}"));
                    let capture = Capture { net, delay, routed: true, clock: 0, name };
                    self.graph.captures.push(capture);
                }
            }
        }
    }

    /// The clock of a primitive's port: the block's port at the root of what the clock pin is connected to.
    fn clock(&mut self, cell: &Cell, port: &str) -> Clock {
        // A block RAM has two ports with a clock each.
        let second = sort(&cell.kind) == Sort::Bram && is_second(cell, port);
        let pins = cell.inputs().filter(|(port, ..)| is_clock(port));
        let mut pins = pins.filter(|(port, ..)| !second || *port == "CLKBWRCLK");
        let Some((_, _, mut net)) = pins.next() else { return 0 };
        while let Some(buffer) = self.driver[net].filter(|cell| sort(&cell.kind) == Sort::Buffer) {
            let Some((_, _, before)) = buffer.inputs().next() else { break };
            net = before;
        }
        let name = self.input_ports[net].unwrap_or(&self.names[net]);
        let clocks = &mut self.graph.clocks;
        clocks.iter().position(|clock| clock == name).unwrap_or_else(|| {
            clocks.push(name.to_owned());
            clocks.len() - 1
        })
    }

    fn cell(&mut self, name: &str, cell: &'a Cell) {
        match sort(&cell.kind) {
            Sort::Lut => {
                let inputs: Vec<_> = cell.inputs().map(|(_, _, net)| net).collect();
                self.gates(cell, |_, _| Ways::Lut(inputs.clone()));
            }
            Sort::WideMux => {
                let arcs = |_: &str, _| {
                    let arc = |(port, _, net)| {
                        let select = port == "S";
                        Arc { net, delay: model::WIDE_MUX, routed: select, level: select }
                    };
                    Ways::Arcs(cell.inputs().map(arc).collect())
                };
                self.gates(cell, arcs);
            }
            Sort::Carry => self.gates(cell, |port, bit| Ways::Arcs(carry(cell, port, bit))),
            Sort::Buffer => {
                let arc = |(_, _, net)| Arc { net, delay: 0.0, routed: true, level: false };
                self.gates(cell, |_, _| Ways::Arcs(cell.inputs().map(arc).collect()));
            }
            Sort::LutRam => {
                let arc =
                    |(_, _, net)| Arc { net, delay: model::LUTRAM_READ, routed: true, level: true };
                let read = |out: &str| {
                    let addresses = cell.inputs().filter(|(port, ..)| reads_by(out, port));
                    Ways::Arcs(addresses.map(arc).collect())
                };
                self.gates(cell, |out, _| read(out));
                self.clocked(name, cell, model::LUTRAM_LAUNCH, model::LUTRAM_CAPTURE);
            }
            Sort::Bram => self.clocked(name, cell, model::BRAM_LAUNCH, model::BRAM_CAPTURE),
            Sort::Uram => self.clocked(name, cell, model::URAM_LAUNCH, model::URAM_CAPTURE),
            Sort::Dsp if !cell.inputs().any(|(port, ..)| is_clock(port)) => {
                let arc = |(port, _, net)| {
                    let multiplied = matches!(port, "A" | "B" | "D");
                    let delay = if multiplied { model::DSP_MULTIPLY } else { model::DSP_ADD };
                    Arc { net, delay, routed: true, level: true }
                };
                self.gates(cell, |_, _| Ways::Arcs(cell.inputs().map(arc).collect()));
            }
            Sort::Dsp => self.clocked(name, cell, model::DSP_LAUNCH, model::LUTRAM_CAPTURE),
            Sort::Ff => {
                let out = cell.outputs().next().map(|(_, _, net)| self.names[net].clone());
                let name = out.filter(|out| !out.is_empty()).unwrap_or_else(|| name.to_owned());
                self.clocked(&name, cell, model::FF_LAUNCH, model::FF_CAPTURE);
            }
            // A latch is refused before anybody asks for its timing.
            Sort::Latch => {}
            Sort::Unknown => {
                self.graph.unknown.insert(cell.kind.clone());
            }
        }
    }

    fn gates(&mut self, cell: &Cell, ways: impl Fn(&str, usize) -> Ways) {
        let gates = cell.outputs().map(|(port, bit, out)| Gate { out, ways: ways(port, bit) });
        self.graph.gates.extend(gates);
    }

    fn clocked(&mut self, name: &str, cell: &Cell, launch: f64, capture: f64) {
        for (port, _, net) in cell.outputs() {
            let clock = self.clock(cell, port);
            self.graph.launches.push(Launch { net, delay: launch, clock });
        }
        let read = |port: &str| sort(&cell.kind) == Sort::LutRam && only_reads(port);
        for (port, _, net) in cell.inputs().filter(|(port, ..)| !is_clock(port) && !read(port)) {
            let in_slice = sort(&cell.kind) == Sort::Ff && port == "D" && self.beside(net);
            let delay = if in_slice { model::FF_CAPTURE_IN_SLICE } else { capture };
            let name = format!("{name}.{port}");
            let clock = self.clock(cell, port);
            self.graph.captures.push(Capture { net, delay, routed: !in_slice, clock, name });
        }
    }

    /// Whether what drives the net can lie in the slice of the flip-flop that is its only load.
    fn beside(&self, net: Net) -> bool {
        let driver = self.driver[net].map(|cell| sort(&cell.kind));
        self.graph.loads[net] == 1
            && matches!(driver, Some(Sort::Lut | Sort::WideMux | Sort::Carry))
    }
}

/// The ways to bit `bit` of the output `port` (`CO` the carries, `O` the sums) of four bits of a carry chain: only lower bits
/// lead there.
fn carry(cell: &Cell, port: &str, bit: usize) -> Vec<Arc> {
    let sum = port == "O";
    let arc = |(input, index, net): (&str, usize, Net)| {
        let (delay, routed) = match input {
            "CI" if sum => (model::CARRY_TO_SUM, false),
            "CI" => (model::CARRY_TO_CARRY, false),
            "CYINIT" => (model::CARRY_INIT, true),
            "S" if index <= bit && sum => (model::PROPAGATE_TO_SUM, false),
            "S" if index <= bit => (model::PROPAGATE_TO_CARRY, false),
            "DI" if index < bit || (index == bit && !sum) => (model::CARRY_DATA, true),
            _ => return None,
        };
        Some(Arc { net, delay, routed, level: false })
    };
    cell.inputs().filter_map(arc).collect()
}
