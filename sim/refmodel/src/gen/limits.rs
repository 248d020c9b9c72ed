//! Limits of shares of the flow table, so that some are met.

use penstock_abi::share::of_tunnel;
use penstock_abi::table::{FlowShare, TableEntry as _, TableId};

use super::{Rng, World, Write};
use crate::flows::FlowTable;

impl World {
    /// The write of a limit for the share of a pod, or of another node's tunnel, not far from what that has. Time puts nothing into its
    /// bucket: a test could not tell when.
    #[must_use]
    pub fn some_limit(&self, rng: &mut Rng, flows: &FlowTable) -> Write {
        let vif = rng.pick(&self.pods).map_or(1, |pod| pod.vif.into());
        let tunnel = rng.pick(&self.remotes).map_or(vif, |remote| of_tunnel(remote.ip));
        let share = rng.of([vif, tunnel]);
        let (by_number, by_time) = rng.of([(true, false), (false, true), (true, true)]);
        let has = flows.share_stats(share).pairs;
        let limit = FlowShare {
            valid: true,
            pairs: if by_number { (has + rng.below(6) as u32).saturating_sub(1) } else { 0 },
            burst: if by_time { rng.between(1, 4) as u32 } else { 0 },
            rate: 0,
        };
        (TableId::FlowShare, share, limit.pack())
    }
}
