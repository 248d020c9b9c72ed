//! Shares of the flow table are written where they differ, and cleared where nobody limits them any more.

use penstock_abi::table::{FlowShare, TableId};
use penstock_model::FlowLimit;
use penstock_tables::{Op, Shape};

use super::reread;
use super::world::{Bench, LOCAL, reaches};
use crate::Planner;

fn words(bench: &Bench) -> Vec<(u32, FlowShare)> {
    bench.card.of::<FlowShare>().iter().map(|(index, share)| (index, *share)).collect()
}

#[test]
fn a_limit_is_one_word_that_changes_in_place() {
    let mut bench = Bench::new(Shape { clock_khz: 1 << 18, ..Shape::default() });
    let mut d = reaches(&[1, LOCAL]);
    let limit = FlowLimit { pairs: 1000, burst: 50, per_second: 20 };
    d.shares = (256..260_u32).map(|share| (share, limit)).chain([(8, limit)]).collect();
    assert_eq!(bench.bring(&d), []);
    // A unit is 1 / 4000 of a second, and a pair 4096 parts.
    let word = FlowShare { valid: true, pairs: 1000, burst: 50, rate: 21 };
    let all = [8, 256, 257, 258, 259].map(|share| (share, word));
    assert_eq!(words(&bench), all);
    d.shares.insert(8, FlowLimit { burst: 60, ..limit });
    d.shares.remove(&257);
    let planned = bench.planner.plan(&d);
    let writes = [(8, FlowShare { burst: 60, ..word }), (257, FlowShare::default())];
    let ops: Vec<Op> = planned.plan.ops().copied().collect();
    assert_eq!(ops, writes.map(|(share, word)| Op::write(share, word)));
    bench.execute(&planned);
    assert_eq!(words(&bench).len(), 4);
    assert!(bench.planner.plan(&d).plan.is_empty());
}

#[test]
fn what_a_card_was_found_with_is_cleared() {
    let mut bench = Bench::new(Shape::default());
    let mut d = reaches(&[1, LOCAL]);
    d.shares.insert(9, FlowLimit { pairs: 3, ..FlowLimit::default() });
    assert_eq!(bench.bring(&d), []);
    d.shares = Default::default();
    bench.planner = Planner::new(reread(&bench.card));
    assert_eq!(bench.bring(&d), []);
    assert_eq!((words(&bench), bench.card.len(TableId::FlowShare)), (vec![], 0));
}
