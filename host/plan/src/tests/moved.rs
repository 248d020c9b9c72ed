//! A vif that comes to another VRF: out of service meanwhile, and without the flows that it had.

use penstock_abi::table::{Ilm, TableId, Vif};
use penstock_compile::{Desired, LabelEntry, NextHopKey};
use penstock_model::{MplsLabel, VrfId};
use penstock_tables::{Op, Shape};

use super::reread;
use super::world::{Bench, LOCAL, VIF, VRF, reaches};
use crate::plan;

const OTHER: VrfId = VrfId(5);
const LABEL: MplsLabel = MplsLabel(25);

fn node(vrf: VrfId) -> Desired {
    let mut d = reaches(&[LOCAL]);
    let next_hop = NextHopKey::Encap(VIF);
    d.labels.insert(LABEL, LabelEntry { next_hop, service: None, vrf });
    d.vifs.get_mut(&VIF).unwrap().vrf = vrf;
    d
}

fn vif(op: &Op) -> Option<Vif> {
    match op {
        Op::Write { entry, .. } => entry.get(),
        Op::Fence | Op::Forget { .. } => None,
    }
}

#[test]
fn its_flows_go_while_it_is_out_of_service() {
    let mut bench = Bench::new(Shape::default());
    assert_eq!(bench.bring(&node(VRF)), []);
    let id = bench.card.of::<Vif>().at(VIF.0.into()).nh;
    let planned = plan(&node(OTHER), &bench.card);
    let ops: Vec<Op> = planned.plan.ops().copied().collect();
    assert_eq!(bench.bring(&node(OTHER)), []);
    let at = |is: &dyn Fn(&Op) -> bool| ops.iter().position(is).unwrap();
    let down = at(&|op| vif(op).is_some_and(|vif| !vif.valid));
    let forget = at(&|op| *op == Op::Forget { key_nh: id });
    let up = at(&|op| vif(op).is_some_and(|vif| (vif.valid, vif.vrf) == (true, OTHER.0)));
    assert!(down < forget && forget < up, "{ops:?}");
    assert!(ops[down..forget].contains(&Op::Fence), "packets that are under way make flows");
    // No packet by the old label in the old VRF comes to the pod in the new one.
    let labels = |op: &Op| matches!(op, Op::Write { entry, .. } if entry.table() == TableId::Ilm);
    let labels: Vec<usize> = (0..ops.len()).filter(|n| labels(&ops[*n])).collect();
    assert!(labels[0] < forget && up < labels[1], "{ops:?}");
    assert_eq!(bench.card.of::<Ilm>().at(LABEL.0).vrf, OTHER.0);
}

#[test]
fn a_new_mac_address_costs_no_flow() {
    let mut bench = Bench::new(Shape::default());
    assert_eq!(bench.bring(&node(VRF)), []);
    let mut other = node(VRF);
    other.vifs.get_mut(&VIF).unwrap().mac = penstock_model::MacAddr([6; 6]);
    let planned = plan(&other, &bench.card);
    assert!(planned.plan.ops().all(|op| vif(op).is_some_and(|vif| vif.valid)));
}

/// Whoever takes up a plan that broke off does not know what flows there are.
#[test]
fn a_plan_that_broke_off_is_taken_up_without_old_flows() {
    let mut bench = Bench::new(Shape::default());
    assert_eq!(bench.bring(&node(VRF)), []);
    let planned = plan(&node(OTHER), &bench.card);
    let mut card = bench.card.clone();
    for op in planned.plan.ops().take_while(|op| !matches!(op, Op::Forget { .. })) {
        card.apply(op);
    }
    let planned = plan(&node(OTHER), &reread(&card));
    let ops: Vec<Op> = planned.plan.ops().copied().collect();
    let forget = ops.iter().position(|op| matches!(op, Op::Forget { .. })).unwrap();
    let up = ops.iter().position(|op| vif(op).is_some_and(|vif| vif.valid)).unwrap();
    assert!(forget < up && ops[..forget].contains(&Op::Fence), "{ops:?}");
    ops.iter().for_each(|op| card.apply(op));
    assert!(plan(&node(OTHER), &card).plan.is_empty());
}
