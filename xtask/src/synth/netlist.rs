//! The netlist that yosys writes (`write_json`), as far as it is needed here.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// Number of a net of one bit.
pub(crate) type Net = usize;

/// What a bit of a port is connected to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bit {
    /// A net.
    Net(Net),
    /// `0`, `1`, `x` or `z`.
    Constant,
}

impl Bit {
    /// The net, if it is one.
    pub(crate) fn net(self) -> Option<Net> {
        match self {
            Self::Net(net) => Some(net),
            Self::Constant => None,
        }
    }
}

impl<'de> Deserialize<'de> for Bit {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Raw<'a> {
            Net(Net),
            Constant(#[allow(dead_code)] &'a str),
        }
        Raw::deserialize(deserializer).map(|raw| match raw {
            Raw::Net(net) => Self::Net(net),
            Raw::Constant(_) => Self::Constant,
        })
    }
}

/// Which way a port goes.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Direction {
    /// Into the cell or module.
    Input,
    /// Out of it.
    Output,
    /// Both; nothing that is synthesised here has such a port.
    Inout,
}

/// A port of the module.
#[derive(Debug, Deserialize)]
pub(crate) struct Port {
    /// Seen from the module.
    pub(crate) direction: Direction,
    /// Lowest bit first.
    pub(crate) bits: Vec<Bit>,
}

/// A primitive of the device.
#[derive(Debug, Deserialize)]
pub(crate) struct Cell {
    /// `LUT6`, `FDRE` ...
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(default)]
    port_directions: BTreeMap<String, Direction>,
    connections: BTreeMap<String, Vec<Bit>>,
    #[serde(default)]
    parameters: Parameters,
}

/// The parameters of a primitive that matter here, as yosys writes them: a text of binary digits.
#[derive(Debug, Default, Deserialize)]
struct Parameters {
    #[serde(rename = "READ_WIDTH_A")]
    read_width_a: Option<String>,
    #[serde(rename = "WRITE_WIDTH_B")]
    write_width_b: Option<String>,
}

/// A number in binary digits.
fn binary(text: Option<&String>) -> u32 {
    text.and_then(|text| u32::from_str_radix(text, 2).ok()).unwrap_or(0)
}

impl Cell {
    /// Input pins: port, index within it, net. Constants are left out.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = (&str, usize, Net)> {
        self.pins(false)
    }

    /// Output pins, likewise.
    pub(crate) fn outputs(&self) -> impl Iterator<Item = (&str, usize, Net)> {
        self.pins(true)
    }

    /// Bits that a block RAM reads at once by its first port.
    pub(crate) fn read_width_a(&self) -> u32 {
        binary(self.parameters.read_width_a.as_ref())
    }

    /// Bits that a block RAM writes at once by its second port.
    pub(crate) fn write_width_b(&self) -> u32 {
        binary(self.parameters.write_width_b.as_ref())
    }

    fn pins(&self, outputs: bool) -> impl Iterator<Item = (&str, usize, Net)> {
        let ports = self.connections.iter().filter(move |(port, _)| {
            let direction = self.port_directions.get(port.as_str());
            (direction == Some(&Direction::Output)) == outputs
        });
        ports.flat_map(|(port, bits)| {
            let nets = bits.iter().enumerate().filter_map(|(i, bit)| Some((i, bit.net()?)));
            nets.map(move |(i, net)| (port.as_str(), i, net))
        })
    }
}

#[derive(Debug, Deserialize)]
struct NetName {
    #[serde(default)]
    hide_name: u8,
    bits: Vec<Bit>,
}

/// A flat module of primitives.
#[derive(Debug, Deserialize)]
pub(crate) struct Netlist {
    /// By name.
    pub(crate) ports: BTreeMap<String, Port>,
    /// By name.
    pub(crate) cells: BTreeMap<String, Cell>,
    netnames: BTreeMap<String, NetName>,
}

#[derive(Deserialize)]
struct Design {
    modules: BTreeMap<String, Netlist>,
}

impl Netlist {
    /// Reads the file that holds the one module `top`.
    ///
    /// # Errors
    /// It cannot be read, is no netlist, or holds no such module.
    pub(crate) fn read(file: &Path, top: &str) -> Result<Self> {
        let text =
            std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        Self::parse(&text, top).with_context(|| format!("{} is no netlist", file.display()))
    }

    /// The module `top` of a netlist.
    ///
    /// # Errors
    /// It is no netlist, or holds no such module.
    pub(crate) fn parse(text: &[u8], top: &str) -> Result<Self> {
        let mut design: Design = serde_json::from_slice(text)?;
        design.modules.remove(top).with_context(|| format!("no module {top}"))
    }

    /// One more than the highest number of a net.
    pub(crate) fn nets(&self) -> usize {
        let ports = self.ports.values().flat_map(|port| &port.bits);
        let pins = self.cells.values().flat_map(|cell| cell.connections.values().flatten());
        ports.chain(pins).filter_map(|bit| bit.net()).max().map_or(0, |highest| highest + 1)
    }

    /// A name for each net: of those in the sources the shortest, else what yosys made up.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names = vec![(true, String::new()); self.nets()];
        for (name, net_name) in &self.netnames {
            let hidden = net_name.hide_name != 0 || name.starts_with('$');
            for (index, bit) in net_name.bits.iter().enumerate() {
                let Some(place) = bit.net().and_then(|net| names.get_mut(net)) else { continue };
                let full =
                    if net_name.bits.len() > 1 { format!("{name}[{index}]") } else { name.clone() };
                if place.1.is_empty() || (hidden, full.len()) < (place.0, place.1.len()) {
                    *place = (hidden, full);
                }
            }
        }
        names.into_iter().map(|(_, name)| name).collect()
    }
}
