//! `tunnel --list`: the tunnels by which packets come, and what each has of the flow table.

use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;

use penstock_abi::share;
use penstock_abi::table::{TableId, TunnelSource};
use serde::{Deserialize, Serialize};

use crate::share::FlowShareUse;
use crate::{CardState, text};

/// Tables that this view reads; of `FlowShareStats`, the entries of tunnels.
pub const TABLES: &[TableId] =
    &[TableId::TunnelSource, TableId::FlowShare, TableId::FlowShareStats];

/// A tunnel by which packets may come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tunnel {
    /// Its far end: the outer source address.
    pub source: Ipv4Addr,
    /// What it has of the flow table; not of a card that does not count it.
    pub flows: Option<FlowShareUse>,
    /// Other tunnels that have the same share.
    pub shared_with: Vec<Ipv4Addr>,
    /// The share's row in the card's tables `FlowShare` and `FlowShareStats`.
    pub hw_index: u32,
}

/// Tunnels of a card.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tunnels {
    /// Tunnels, by address.
    pub tunnels: Vec<Tunnel>,
}

/// Outer source addresses of the tunnels that the card knows, whatever set they are in.
fn known(state: &CardState) -> BTreeSet<u32> {
    let sources = state.tables.of::<TunnelSource>().values();
    sources.filter(|source| source.valid).map(|source| source.ip).collect()
}

/// All tunnels.
#[must_use]
pub fn view(state: &CardState) -> Tunnels {
    let known = known(state);
    let tunnel = |source: &u32| {
        let hw_index = share::of_tunnel(*source);
        let others = known.iter().filter(|other| *other != source);
        Tunnel {
            source: text::ip(*source),
            flows: FlowShareUse::of(state, hw_index),
            shared_with: others
                .filter(|other| share::of_tunnel(**other) == hw_index)
                .map(|other| text::ip(*other))
                .collect(),
            hw_index,
        }
    };
    Tunnels { tunnels: known.iter().map(tunnel).collect() }
}

impl fmt::Display for Tunnels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Tunnel Table\n")?;
        for tunnel in &self.tunnels {
            write!(f, "{:<16}", tunnel.source)?;
            match &tunnel.flows {
                Some(flows) => writeln!(f, "{flows}")?,
                None => writeln!(f, "Flows:-")?,
            }
            if f.alternate() {
                write!(f, "{:16}Hw: FlowShare[{}]", "", tunnel.hw_index)?;
                for other in &tunnel.shared_with {
                    write!(f, ", also of {other}")?;
                }
                writeln!(f)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use penstock_abi::table::{FlowShare, FlowShareStats};

    use super::*;

    #[test]
    fn tunnels_say_what_they_have_and_with_whom() {
        let mut state = CardState::default();
        // The last two differ in bits 12 and 0, and so have one share.
        let sources = [0x0aa9_1915, 0x0a01_0001, 0x0a01_1000];
        for (index, ip) in (0..).zip(sources) {
            state.tables.put(index, TunnelSource { valid: true, set: 1, ip });
        }
        // One route names the first tunnel by a set of its own.
        state.tables.put(9, TunnelSource { valid: true, set: 7, ip: sources[0] });
        let (own, common) = (share::of_tunnel(sources[0]), share::of_tunnel(sources[1]));
        let limit = FlowShare { valid: true, pairs: 100, burst: 20, rate: 9 };
        state.tables.put(own, limit);
        state.tables.put(own, FlowShareStats { pairs: 100, refused: 17 });
        state.tables.put(common, FlowShareStats { pairs: 4, refused: 0 });
        let text = format!("{:#}", view(&state));
        let wanted = format!(
            "Tunnel Table\n\n\
             10.1.0.1        Flows:4 Limit:no limit New Flow Drops:0\n\
             \x20               Hw: FlowShare[{common}], also of 10.1.16.0\n\
             10.1.16.0       Flows:4 Limit:no limit New Flow Drops:0\n\
             \x20               Hw: FlowShare[{common}], also of 10.1.0.1\n\
             10.169.25.21    Flows:100 Limit:100 and by time New Flow Drops:17\n\
             \x20               Hw: FlowShare[{own}]\n"
        );
        assert_eq!(text, wanted);
    }
}
