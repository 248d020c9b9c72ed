//! What the daemon is told of the overlay by its options, in the same words.

use std::net::IpAddr;

use clap::Args;
use penstock_model::{IpNet, MplsLabel, Overlay, SourceCheck, VrfId};

/// The daemon's options of these names.
#[derive(Clone, Debug, Args)]
pub(crate) struct OverlayArgs {
    /// Ranges of services, in which packets for addresses that no service has are dropped.
    #[arg(long, value_name = "CIDR", num_args = 1.., value_delimiter = ',')]
    service_cidr: Vec<IpNet>,
    /// Drops what is for a port of a cluster IP that no service has, rather than refuse it.
    #[arg(long)]
    drop_unserved: bool,
    /// Tunnel end points of gateways: what may come by one of them, may come by all.
    #[arg(long, value_name = "IP", num_args = 1.., value_delimiter = ',')]
    gateway: Vec<IpAddr>,
    /// By which tunnels packets may come whose replies are routed in a VRF: `strict`, `loose` or `off`; may be repeated.
    #[arg(long, value_name = "VRF=CHECK", value_parser = source_check)]
    source_check: Vec<(VrfId, SourceCheck)>,
    /// Label under which this node accepts packets for itself.
    #[arg(long, value_name = "LABEL", value_parser = clap::value_parser!(u32).range(16..1 << 20))]
    node_label: Option<u32>,
    /// VRF of `vhost0`; the lowest unless it is said.
    #[arg(long, value_name = "VRF", value_parser = clap::value_parser!(u16).range(1..4096))]
    node_vrf: Option<u16>,
    /// Leads what pods send to addresses that nobody announces to the node's kernel.
    #[arg(long)]
    through_node: bool,
}

impl OverlayArgs {
    /// The same as the daemon makes of it.
    pub(crate) fn overlay(&self) -> Overlay {
        Overlay {
            service_ranges: self.service_cidr.clone(),
            silent: self.drop_unserved,
            gateways: self.gateway.clone(),
            source_checks: self.source_check.iter().copied().collect(),
            node_vrf: self.node_vrf.map(VrfId),
            node_label: self.node_label.map(MplsLabel),
            through_node: self.through_node,
        }
    }
}

fn source_check(text: &str) -> Result<(VrfId, SourceCheck), String> {
    let (vrf, check) = text.split_once('=').ok_or("use VRF=CHECK")?;
    let vrf: u16 = vrf.parse().map_err(|_| format!("`{vrf}` is not the number of a VRF"))?;
    let check = match check {
        "strict" => SourceCheck::Strict,
        "loose" => SourceCheck::Loose,
        "off" => SourceCheck::Off,
        _ => return Err(format!("`{check}` is none of strict, loose, off")),
    };
    Ok((VrfId(vrf), check))
}
