//! A rule that is broken is noticed.

use std::panic::{AssertUnwindSafe, catch_unwind};

use penstock_refmodel::Fault;

#[test]
fn every_planted_fault_is_noticed() {
    let stories = [
        crate::services::ALL,
        crate::sources::ALL,
        crate::plain::ALL,
        crate::node::ALL,
        crate::ageing::ALL,
        crate::eviction::ALL,
        crate::shares::ALL,
        crate::clients::ALL,
        crate::events::ALL,
    ];
    let notices = |fault: Fault| {
        let mut all = stories.iter().copied().flatten();
        let fails = |story: fn(Option<Fault>)| {
            catch_unwind(AssertUnwindSafe(|| story(Some(fault)))).is_err()
        };
        all.any(|(_, story)| fails(*story))
    };
    let missed: Vec<_> = Fault::ALL.iter().copied().filter(|fault| !notices(*fault)).collect();
    assert!(missed.is_empty(), "nobody notices {missed:?}");
}
