//! Numbers and addresses that nothing else of a node has.

use penstock_abi::limits::{FIP_MAPS, LABEL_FIRST, LABELS, NEXT_HOPS};

use super::World;
use crate::r#gen::Rng;

const NH_IDS: u8 = 200;
const LABEL_IDS: u8 = 201;
const MAP_IDS: u8 = 202;
const IPS: u8 = 203;

impl World {
    pub(super) fn fresh(&mut self, rng: &mut Rng, space: u8, low: u32, high: u32) -> u32 {
        loop {
            // Low numbers now and then: their other bits are 0, so a cut index shows elsewhere.
            let top = if rng.one_in(3) { high.min(low + 300) } else { high };
            let id = rng.between(u64::from(low), u64::from(top)) as u32;
            if self.used.insert((space, id)) {
                return id;
            }
        }
    }

    pub(in crate::r#gen) fn fresh_nh(&mut self, rng: &mut Rng) -> u16 {
        self.fresh(rng, NH_IDS, 1, NEXT_HOPS - 1) as u16
    }

    pub(super) fn fresh_label(&mut self, rng: &mut Rng) -> u32 {
        self.fresh(rng, LABEL_IDS, LABEL_FIRST, LABELS - 1)
    }

    pub(in crate::r#gen) fn fresh_map(&mut self, rng: &mut Rng) -> u16 {
        // Map 0 is what marks name: mostly not valid, and they count all the same.
        if rng.one_in(40) && self.used.insert((MAP_IDS, 0)) {
            return 0;
        }
        self.fresh(rng, MAP_IDS, 1, FIP_MAPS - 1) as u16
    }

    pub(super) fn fresh_ip(&mut self, rng: &mut Rng, net: u32) -> u32 {
        net | self.fresh(rng, IPS, 1, 0xfffe)
    }
}
