//! A day of connections through the Verilated card (feature `rtl`), and through the model, whole and broken.
//!
//! `PENSTOCK_SCALE=K` makes K times as many.

use penstock_abi::age::{Ages, State, units};
use penstock_abi::limits::CORE_CLOCK_KHZ;
use penstock_refmodel::Fault;
use penstock_tests::churn::{Churn, run};
use penstock_tests::dut::ModelDut;

const SHORT: Churn = Churn { seed: 1, connections: 600, batches: 40 };

#[test]
fn the_model_ends_what_is_old() {
    let day = run(&mut ModelDut::new(), &SHORT).unwrap_or_else(|e| panic!("{e:#}"));
    assert_eq!(day.pairs, SHORT.connections, "{day:?}");
    assert!(day.most > 16 && day.frames > 1_000, "{day:?}");
}

#[test]
fn what_stays_or_goes_at_the_wrong_time_is_seen() {
    let right = [10, 240, 240, 7440, 30, 300, 60, 300];
    let times = |seconds: [u32; 8]| Ages {
        states: seconds.map(|s| units(s, CORE_CLOCK_KHZ)),
        ..Ages::default()
    };
    for state in State::ALL.into_iter().filter(|state| *state != State::Other) {
        for wrong in [0, 7440 * 4, 3] {
            let mut seconds = right;
            seconds[state as usize] = wrong;
            let run = run(&mut ModelDut::stubborn(times(seconds)), &SHORT);
            assert!(run.is_err(), "{state:?} for {wrong} s: {run:?}");
        }
    }
    assert!(run(&mut ModelDut::stubborn(times(right)), &SHORT).is_ok());
}

#[test]
fn wrong_counts_are_seen() {
    let run = run(&mut ModelDut::planted(Fault::OneDirectionIsTold), &SHORT);
    assert!(run.is_err(), "{run:?}");
}

#[cfg(feature = "rtl")]
#[test]
fn a_day_of_connections_leaves_nothing() {
    let scale = std::env::var("PENSTOCK_SCALE").map_or(1, |scale| scale.parse().unwrap_or(1));
    let churn = Churn { seed: 2, connections: 2_000 * scale, batches: 40 * scale.min(10) };
    let mut card = penstock_tests::card::CardDut::new(None).expect("card");
    let day = run(&mut card, &churn).unwrap_or_else(|e| panic!("{e:#}"));
    println!("{churn:?}: {} cycles, {day:?}", card.cycles());
    assert_eq!(day.pairs, churn.connections, "{day:?}");
}
