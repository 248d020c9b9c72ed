//! Labels of floating IPs (`docs/decisions/87-labels-of-floating-ips.md`).
//!
//! Who gets which depends on what there is alone, not on what there was: each floating IP has a place in the block by its address, and
//! takes the first free label from there on, the oldest owner's first. So a restart changes nothing, whoever comes moves nobody who is
//! older, and whoever goes moves only those for whom it was in the way.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::Range;

use penstock_model::MplsLabel;

use crate::subset;

/// Gives labels of a block to floating IPs, by seniority. Those of vifs, of pods' floating IPs and of the node itself are not free.
pub(crate) fn allot(
    block: &Range<u32>,
    taken: &BTreeSet<MplsLabel>,
    wanted: impl Iterator<Item = IpAddr>,
) -> BTreeMap<IpAddr, MplsLabel> {
    let mut given = BTreeMap::new();
    let mut used = vec![false; block.len()];
    let inside = taken.iter().filter(|label| block.contains(&label.0));
    for place in inside.map(|label| (label.0 - block.start) as usize) {
        used[place] = true;
    }
    let mut free = used.iter().filter(|used| !**used).count();
    for address in wanted {
        if free == 0 {
            break;
        }
        let first = (subset::number(address) % used.len() as u64) as usize;
        let mut places = (first..used.len()).chain(0..first);
        let Some(place) = places.find(|place| !used[*place]) else { break };
        used[place] = true;
        free -= 1;
        given.insert(address, MplsLabel(block.start + place as u32));
    }
    given
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vip(last: u8) -> IpAddr {
        [10, 96, 0, last].into()
    }

    #[test]
    fn whoever_comes_moves_nobody_who_is_older() {
        let block = 4096..4112;
        let none = BTreeSet::new();
        let mut before = BTreeMap::new();
        for n in 1..=16 {
            let now = allot(&block, &none, (1..=n).map(vip));
            assert!(before.iter().all(|(address, label)| now[address] == *label), "{n}: {now:?}");
            let labels: BTreeSet<_> = now.values().collect();
            assert_eq!((now.len(), labels.len()), (n.into(), n.into()));
            before = now;
        }
        // No more than there are, and the oldest have them.
        assert_eq!(allot(&block, &none, (1..=20).map(vip)), before);
    }

    #[test]
    fn labels_that_are_taken_are_passed_over() {
        let block = 16..20;
        let taken = BTreeSet::from([MplsLabel(17), MplsLabel(18), MplsLabel(99)]);
        let given = allot(&block, &taken, (1..=3).map(vip));
        let labels: BTreeSet<u32> = given.values().map(|label| label.0).collect();
        assert_eq!((given.len(), labels), (2, BTreeSet::from([16, 19])));
        assert!(allot(&(16..16), &taken, [vip(1)].into_iter()).is_empty());
    }
}
