//! The Verilated card against the reference model, over random tables, frames and changes of tables.
//!
//! Each seed is a card of its own. `PENSTOCK_SEED=N` runs that seed alone; `PENSTOCK_SCALE=K` runs K times as many seeds;
//! `PENSTOCK_TRACE=FILE` writes waveforms (feature `trace` of the card). A seed that fails is shrunk before it is shown.

mod collisions;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use penstock_abi::hash::FlowSecret;
use penstock_abi::reason::DropReason;
use penstock_abi::table::{FlowKey, TCP_SYN, TableId, Words};
use penstock_card::{BackPressure, FLOW_SECRET};
use penstock_refmodel::Ingress;
use penstock_refmodel::flows::key_of;
use penstock_refmodel::r#gen::Rng;
use penstock_refmodel::packet::{frame, tcp};
use penstock_tests::board::{Failure, Summary, run};
use penstock_tests::card::CardDut;
use penstock_tests::dut::Dut as _;
use penstock_tests::script::{Options, Script};
use penstock_tests::shrink::shrink;
use penstock_tests::storm::{self, Storm, Weather};

/// Runs that shrinking may take, if `PENSTOCK_SHRINK` does not say otherwise.
const SHRINK_RUNS: u64 = 120;

/// A script on a fresh card, the back-pressure following from the seed.
fn on_card(script: &Script) -> Result<(Summary, u64), Failure> {
    on_card_with(script, FLOW_SECRET)
}

/// The same on a card that places its flows by this secret.
fn on_card_with(script: &Script, secret: FlowSecret) -> Result<(Summary, u64), Failure> {
    let broken = |e: anyhow::Error| Failure { step: 0, what: format!("{e:#}") };
    let of_256 = Rng::new(script.seed ^ 0xbacc).of([0, 0, 8, 64, 150, 230]);
    let back_pressure = (of_256 > 0).then_some(BackPressure { seed: script.seed, of_256 });
    let mut card = CardDut::with_secret(back_pressure, secret).map_err(broken)?;
    let summary = run(script, &mut card)?;
    Ok((summary, card.cycles()))
}

/// A number from the environment.
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs seeds on all processors; the first failure is shrunk and shown.
fn compare(name: &str, first_seed: u64, seeds: u64, options: Options) -> Summary {
    let only = number("PENSTOCK_SEED");
    let (from, to) = only
        .map_or((first_seed, first_seed + seeds * number("PENSTOCK_SCALE").unwrap_or(1)), |s| {
            (s, s + 1)
        });
    const HELD: &str = "no thread panics while it holds a lock";
    let next = AtomicU64::new(from);
    let total = Mutex::new((Summary::default(), 0));
    let failed: Mutex<Option<(Script, Failure)>> = Mutex::new(None);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while failed.lock().expect(HELD).is_none() {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= to {
                        return;
                    }
                    let script = Script::random(seed, &options);
                    match on_card(&script) {
                        Ok((summary, cycles)) => {
                            let mut total = total.lock().expect(HELD);
                            total.0 += summary;
                            total.1 += cycles;
                        }
                        Err(failure) => *failed.lock().expect(HELD) = Some((script, failure)),
                    }
                }
            });
        }
    });
    if let Some((script, failure)) = failed.into_inner().expect(HELD) {
        let seed = script.seed;
        let runs = number("PENSTOCK_SHRINK").unwrap_or(SHRINK_RUNS);
        eprintln!("{name}: seed {seed} fails: {failure}\nshrinking, at most {runs} runs …");
        let shrunk = shrink(&script, failure, runs as usize, |s| on_card(s).err());
        panic!(
            "{name}: seed {seed} fails (PENSTOCK_SEED={seed} to repeat). Shrunk in {} runs to:\n{}\n{}",
            shrunk.runs,
            shrunk.script.describe(),
            shrunk.failure
        );
    }
    let (summary, cycles) = total.into_inner().expect(HELD);
    println!("{name}: seeds {from}..{to}, {cycles} cycles, {summary:?}");
    assert_eq!(summary.not_placed, 0, "a table with so much room has one for every pair");
    summary
}

#[test]
fn tables_at_rest() {
    compare(
        "tables at rest",
        1000,
        8,
        Options { frames: 2000, change_every: 0, windows: false, big_frames: true, flood: false },
    );
}

#[test]
fn tables_that_change_between_packets() {
    let options =
        Options { frames: 2500, change_every: 60, windows: false, big_frames: true, flood: false };
    let summary = compare("tables that change", 2000, 28, options);
    assert!(summary.told > 0 && summary.lost == 0, "{summary:?}");
    // A rule that no frame met is a rule that was not compared.
    let missing = summary.never_met();
    assert!(summary.frames < 40_000 || missing.is_empty(), "never met: {missing:?}\n{summary:?}");
}

#[test]
fn tables_that_change_under_traffic() {
    let options =
        Options { frames: 2500, change_every: 50, windows: true, big_frames: false, flood: false };
    let summary = compare("tables that change under traffic", 3000, 16, options);
    // A change that falls between two packets shows little.
    assert!(summary.windows < 100 || summary.windows_split >= 10, "{summary:?}");
}

#[test]
fn more_new_flows_than_the_card_inserts() {
    let options =
        Options { frames: 2500, change_every: 400, windows: false, big_frames: false, flood: true };
    compare("many new flows", 4000, 2, options);
    let script = collisions::flood(1000);
    let summary = on_card(&script).unwrap_or_else(|e| panic!("{e}")).0;
    println!("flood: {summary:?}");
    assert!(summary.deferred > 0, "the queue of insertions was never full: {summary:?}");
    let script = collisions::flood_of_service(1000);
    let summary = on_card(&script).unwrap_or_else(|e| panic!("{e}")).0;
    println!("flood of a service: {summary:?}");
    assert!(summary.refused > 0, "no packet was refused: {summary:?}");
}

/// Above its limit a flow that translates is refused, below it is not.
#[test]
fn a_table_that_is_nearly_full_translates_no_more() {
    let card = CardDut::new(None).unwrap().shape();
    let summary = on_card(&collisions::nearly_full(card)).unwrap_or_else(|e| panic!("{e}")).0;
    assert_eq!(summary.dropped(DropReason::FlowTableFull), 1, "{summary:?}");
    assert_eq!(summary.not_placed, 0, "{summary:?}");
}

/// A storm on a fresh card; every other seed with back-pressure.
fn storm_on_card(storm: &Storm) -> Weather {
    let of_256 = Rng::new(storm.seed).of([32, 96, 160]);
    let back_pressure = (storm.seed % 2 == 1).then_some(BackPressure { seed: storm.seed, of_256 });
    let mut card = CardDut::new(back_pressure).expect("card");
    let weather =
        storm::run(&mut card, storm).unwrap_or_else(|e| panic!("seed {}: {e:#}", storm.seed));
    println!("{storm:?}: {} cycles, {weather:?}", card.cycles());
    weather
}

/// Frames without regard to order: nothing is predicted, and connections stay whole.
#[test]
fn a_storm_leaves_connections_whole() {
    let seeds = 16 * number("PENSTOCK_SCALE").unwrap_or(1);
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut sum = Weather::default();
    std::thread::scope(|scope| {
        let worker = || {
            let mut sum = Weather::default();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= seeds {
                    return sum;
                }
                sum += storm_on_card(&Storm { seed, rounds: 60, full_table: false });
            }
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        for worker in workers {
            sum += worker.join().unwrap_or_else(|e| std::panic::resume_unwind(e));
        }
    });
    println!("storms: {sum:?}");
    assert_eq!(sum.never_met(), Vec::<&str>::new(), "{sum:?}");
    // Exceptions must stay what they are.
    assert!(sum.loose_replies * 2 < sum.replies && sum.excused * 50 < sum.replies, "{sum:?}");
}

#[test]
fn a_storm_over_a_full_table_leaves_connections_whole() {
    let weather = storm_on_card(&Storm { seed: 1, rounds: 40, full_table: true });
    assert!(weather.table_full > 0 && weather.replies > 0, "{weather:?}");
}

/// Keys that all fall into the same four buckets: the seventeenth finds no room, and one more when another has gone.
#[test]
fn a_full_bucket_takes_no_more_until_one_leaves() {
    let script = collisions::script(40);
    let run = on_card_with(&script, FlowSecret::BARE);
    let summary = run.unwrap_or_else(|e| panic!("{e}\n{}", script.describe())).0;
    assert!(summary.not_placed > 0, "{summary:?}");
    // 16 pairs at each of three comparisons.
    assert_eq!(summary.flows, 3 * 2 * 16, "{summary:?}");
}

/// Packets of a flow that is deleted while they are in the pipeline count on nobody who comes after it.
#[test]
fn a_reused_slot_begins_with_nothing() {
    const FIN_ACK: u8 = 0x11;
    const SYN: u8 = 0x02;
    let segment = |k: &FlowKey, flags| frame(&tcp(k.sip, k.dip, k.sport, k.dport, flags, &[]));
    let keys = collisions::in_one_bucket(6, 2);
    let mut card = CardDut::new(None).expect("card");
    let mut met = 0;
    card.write(&collisions::tables()).expect("tables");
    for wait in 30..80 {
        card.inject(Ingress::Host(5), &segment(&keys[0], SYN));
        card.drain().expect("drain");
        let (index, ..) = card.flows().expect("flows")[0];
        // One new flow amid segments of the old one, while the host deletes the old one.
        for n in 0..64 {
            let (key, flags) = if n == 20 { (&keys[1], SYN) } else { (&keys[0], FIN_ACK) };
            card.inject(Ingress::Host(5), &segment(key, flags));
            card.inject(Ingress::Host(9), &segment(key, flags));
        }
        card.wait(wait);
        card.write(&[(TableId::Flow, index, Words::default())]).expect("delete");
        card.drain().expect("drain");
        for (index, flow, stats) in card.flows().expect("flows") {
            let new_one = key_of(&flow) == keys[1];
            met += u32::from(new_one && stats.packets > 0);
            assert!(
                !new_one || (stats.packets, stats.tcp) == (1, TCP_SYN),
                "after {wait} cycles: a flow with one SYN has {stats:?}"
            );
            card.write(&[(TableId::Flow, index, Words::default())]).expect("delete");
        }
    }
    assert!(met > 0, "the new flow was never learned");
}
