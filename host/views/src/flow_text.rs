//! The flow table as `flow -l` and `flow --get` print it.

use std::fmt;

use crate::flow::{Action, FlowEntry, FlowTable, Translation};
use crate::text;
use crate::way::socket;
use crate::words::concat;

const LEGEND: &str = "\
Action:F=Forward, D=Drop N=NAT(S=SNAT, D=DNAT, Ps=SPAT, Pd=DPAT, L=Link Local Port)
 Other:K(nh)=Key_Nexthop, S(nh)=RPF_Nexthop
 Flags:E=Evicted, Ec=Evict Candidate, N=New Flow, M=Modified Dm=Delete Marked
TCP(r=reverse):S=SYN, F=FIN, R=RST, C=HalfClose, E=Established, D=Dead
";
const COLUMNS: &str =
    "    Index                Source:Port/Destination:Port                      Proto(V)";
const RULE_COLUMNS: usize = 83;
/// Running length from which `flow` begins a new line.
const WRAP_COLUMNS: usize = 70;

impl fmt::Display for FlowTable {
    /// The alternate form (`{:#}`) adds a line with what only this card has to each entry.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Flow table(size {}, entries {})\n", self.size_bytes, self.entries)?;
        writeln!(
            f,
            "Entries: Created {0} Added {0} Deleted {1} Changed {2}Processed {0} Used Overflow entries {3}",
            self.created, self.deleted, self.changed, self.overflows
        )?;
        writeln!(f, "(Created Flows/CPU: {})(oflows {})\n", self.created, self.overflows)?;
        writeln!(f, "{LEGEND}")?;
        if let Some(matching) = &self.matching {
            writeln!(f, "Listing flows matching ({matching})\n")?;
        }
        writeln!(f, "{COLUMNS}\n{}", "-".repeat(RULE_COLUMNS))?;
        for flow in &self.flows {
            write_entry(f, flow)?;
        }
        Ok(())
    }
}

fn write_entry(f: &mut fmt::Formatter<'_>, flow: &FlowEntry) -> fmt::Result {
    let partner = flow.partner.map_or_else(|| " ".repeat(12), |partner| format!("<=>{partner:<9}"));
    let source = format!("{}:{}", flow.source, flow.source_port);
    let vrf = flow
        .destination_vrf
        .map_or_else(|| flow.vrf.to_string(), |to| format!("{}->{to}", flow.vrf));
    writeln!(f, "{:>9}{partner}    {source:<46}    {:>3} ({vrf})", flow.index, flow.protocol)?;
    writeln!(f, "{}{}:{:<5}", " ".repeat(25), flow.destination, flow.destination_port)?;
    writeln!(f, "{}", wrap(&pieces(flow)))?;
    if f.alternate() {
        writeln!(f, "{}", hardware(flow))?;
    }
    writeln!(f)
}

fn pieces(flow: &FlowEntry) -> Vec<String> {
    let mut pieces = vec![
        format!("(Gen: {}, ", flow.generation),
        format!("K(nh):{}, ", flow.key_next_hop),
        format!("Action:{}, ", action(flow)),
        "Flags:, ".to_owned(),
    ];
    if let Some(tcp) = &flow.tcp {
        pieces.push(format!("TCP:{}, ", concat(tcp)));
    }
    if let Some(ecmp) = &flow.ecmp {
        pieces.push(format!("E:{}, ", ecmp.index));
    }
    pieces.push("QOS:-1, ".to_owned());
    pieces.push(format!("S(nh):{}, ", flow.rpf_next_hop));
    pieces.push(format!(" Stats:{}/{}, ", flow.packets, flow.bytes));
    pieces.push(format!(" SPort {},", flow.udp_source_port));
    pieces.push(" TTL 0,".to_owned());
    pieces.push(format!(" Sinfo {})", flow.source_info));
    pieces
}

fn action(flow: &FlowEntry) -> String {
    match flow.action {
        Action::Forward => "F".to_owned(),
        Action::Nat => format!("N({})", concat(&flow.nat)),
    }
}

/// Begins a new line after the piece that fills the line.
fn wrap(pieces: &[String]) -> String {
    let mut out = String::new();
    let mut column = 0;
    for (i, piece) in pieces.iter().enumerate() {
        out.push_str(piece);
        column += piece.len();
        if column >= WRAP_COLUMNS && i + 1 < pieces.len() {
            out.push('\n');
            column = 0;
        }
    }
    out
}

fn hardware(flow: &FlowEntry) -> String {
    let mut parts =
        vec![if flow.reverse { "reply direction" } else { "forward direction" }.to_owned()];
    if let Some(ecmp) = &flow.ecmp {
        parts.push(format!("member slot {} generation {}", ecmp.index, ecmp.generation));
    }
    if let Some(mapping) = &flow.mapping {
        let state = if mapping.current { "" } else { " (gone: the next packet is decided anew)" };
        parts.push(format!("mapping {} generation {}{state}", mapping.map, mapping.generation));
        if let (Some(floating), Some(fixed)) = (mapping.floating, mapping.fixed) {
            parts.push(format!("{} <-> {}", socket(floating), socket(fixed)));
        }
    }
    if flow.hairpin {
        parts.push("hairpin".to_owned());
    }
    format!("Hw: {}", parts.join(", "))
}

impl fmt::Display for FlowEntry {
    /// As `flow --get N` prints one entry.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |f: &mut fmt::Formatter<'_>, label: &str, value: String| {
            writeln!(f, "{label:<30}{value}")
        };
        line(f, "Flow Index:", self.index.to_string())?;
        line(f, "Flow Generation ID:", self.generation.to_string())?;
        line(
            f,
            "Reverse Flow Index:",
            self.partner.map_or_else(|| "-1".to_owned(), |p| p.to_string()),
        )?;
        line(f, "VRF:", self.vrf.to_string())?;
        line(f, "Destination VRF:", self.destination_vrf.unwrap_or(self.vrf).to_string())?;
        writeln!(f)?;
        line(f, "Flow Source:", format!("[{}]:{}", self.source, self.source_port))?;
        line(f, "Flow Destination:", format!("[{}]:{}", self.destination, self.destination_port))?;
        line(f, "Flow Protocol:", text::protocol(self.protocol))?;
        writeln!(f)?;
        let action = match self.action {
            Action::Forward => "FORWARD".to_owned(),
            Action::Nat => {
                let words = self.nat.iter().map(|what| match what {
                    Translation::Source => "SourceNAT",
                    Translation::SourcePort => "SourcePortNAT",
                    Translation::Destination => "DestinationNAT",
                    Translation::DestinationPort => "DestinationPortNAT",
                });
                format!("NAT: {}", words.collect::<Vec<_>>().join(", "))
            }
        };
        line(f, "Flow Action:", action)?;
        line(f, "Expected Source:", format!("NH {}", self.rpf_next_hop))?;
        line(f, "Flow Flags:", String::new())?;
        if let Some(tcp) = &self.tcp {
            line(f, "TCP FLAGS:", concat(tcp))?;
        }
        line(f, "UDP Source Port:", self.udp_source_port.to_string())?;
        line(f, "Flow Statistics:", format!("{}/{}", self.packets, self.bytes))?;
        writeln!(f, "{}", hardware(self))
    }
}
