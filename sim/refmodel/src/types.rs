//! What goes into a decision, and what its steps hand on.

use penstock_abi::table::{FlowKey, Ilm, NextHop, Vif};

use crate::clients::{Client, Clients};
use crate::fault::Fault;
use crate::flows::FlowTable;
use crate::fragments::OuterFragments;
use crate::parse::Ip;
use crate::tables::Tables;
use crate::verdict::{Ingress, Rule};

/// What a decision depends on, beside the frame.
#[derive(Clone, Copy, Debug)]
pub struct Card<'a> {
    /// `CONTROL.enable`.
    pub enabled: bool,
    /// The tables that the host writes.
    pub tables: &'a Tables,
    /// The flow table.
    pub flows: &'a FlowTable,
    /// The table of clients.
    pub clients: &'a Clients,
    /// The last first fragments of tunnel packets.
    pub fragments: &'a OuterFragments,
    /// Shares of the flow table are limited. Without, the decision is that of a packet which need not ask for a pair.
    pub limited: bool,
    /// A rule that it breaks.
    pub fault: Option<Fault>,
}

impl Card<'_> {
    /// Whether it breaks a rule.
    pub(crate) fn breaks(&self, rule: Fault) -> bool {
        self.fault == Some(rule)
    }
}

/// A packet that is to be routed (section 2).
pub(crate) struct Source {
    pub(crate) ingress: Ingress,
    pub(crate) vrf: u16,
    pub(crate) key_nh: u16,
    pub(crate) src_info: u32,
    /// Entry of the ingress vif.
    pub(crate) vif: Vif,
    /// From the fabric: the label's entry.
    pub(crate) ilm: Option<Ilm>,
    pub(crate) ip: Ip,
    pub(crate) key: FlowKey,
}

/// The member of a group that a packet takes (section 6).
#[derive(Clone, Copy)]
pub(crate) struct Member {
    pub(crate) nh: u16,
    pub(crate) label: Option<u32>,
    pub(crate) slot: u16,
    pub(crate) generation: u8,
    /// By steps 2 to 4, so the packet is (re)pinned.
    pub(crate) chosen: bool,
    /// Why it is this one, where the pin or the hash led to another.
    pub(crate) why: Option<Rule>,
    /// Of a member on this node: its mapping, 0 for none.
    pub(crate) map: u16,
}

/// Where section 6 leads.
pub(crate) struct Hop {
    /// Next hop that the label or route names; a composite's own id.
    pub(crate) first_id: u16,
    pub(crate) nh: NextHop,
    pub(crate) label: Option<u32>,
    pub(crate) member: Option<Member>,
    /// The packet has affinity.
    pub(crate) client: Option<Client>,
    /// VRF in which it was looked for.
    pub(crate) vrf: u16,
    /// The packet goes the egress way.
    pub(crate) egress: bool,
    /// What led here, where that is not seen from outside.
    pub(crate) rule: Option<Rule>,
}
