//! What the daemon is told of the overlay by its options, in the same words.

use std::net::IpAddr;

use clap::Args;
use penstock_model::{IpNet, Overlay};

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
}

impl OverlayArgs {
    /// The same as the daemon makes of it.
    pub(crate) fn overlay(&self) -> Overlay {
        Overlay {
            service_ranges: self.service_cidr.clone(),
            silent: self.drop_unserved,
            gateways: self.gateway.clone(),
        }
    }
}
