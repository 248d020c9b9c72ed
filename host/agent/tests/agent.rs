//! An agent and its card: what it does, when it does nothing, how it fails, and that it notices.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use penstock_abi::reason::DropReason;
use penstock_abi::ring::Status as RingStatus;
use penstock_abi::table::{Counter, Ilm, NextHop, NextHopKind, TableId};
use penstock_abi::{fw, regs};
use penstock_agent::engine::Scope;
use penstock_agent::{Defect, Firmware, LinkError, LinkState, State};
use penstock_device::fake::FakeCard;
use penstock_model::Intent;
use penstock_tables::Entry;
use support::{Bench, PATIENCE, intent};

#[tokio::test]
async fn nothing_is_done_before_the_intent_is_complete() {
    let bench = Bench::idle();
    bench.wait("the device", |b| state(b) == State::WaitingForSources).await;
    let whole = intent(&[(3, "web", 25)]);
    for part in [
        Intent { complete: false, ..Intent::clone(&whole) },
        Intent { node: None, ..Intent::clone(&whole) },
    ] {
        let beats = *bench.agent.handle().beats().borrow();
        bench.intent.send_replace(Arc::new(part));
        bench.wait("a look", |b| *b.agent.handle().beats().borrow() > beats + 1).await;
        assert_eq!((bench.fake.writes(), state(&bench)), (0, State::WaitingForSources));
    }
    bench.neighbours.send_replace(None);
    bench.intent.send_replace(whole);
    let beats = *bench.agent.handle().beats().borrow();
    bench.wait("a look", |b| *b.agent.handle().beats().borrow() > beats + 1).await;
    assert_eq!(bench.fake.writes(), 0, "the kernel was not asked for its neighbours yet");
    bench.neighbours.send_replace(Some(Default::default()));
    bench.wait("the tables", |b| state(b) == State::InSync).await;
    assert_eq!(bench.labels(), [25]);
    assert_eq!((bench.fake.register(regs::EPOCH), bench.fake.register(regs::CONTROL) & 1), (1, 1));
}

fn state(bench: &Bench) -> State {
    bench.agent.handle().status().borrow().state
}

#[tokio::test]
async fn nothing_points_to_what_the_card_refused() {
    let bench = Bench::idle();
    bench.fake.refuse_writes(Some((TableId::NextHop, RingStatus::NotPermitted)));
    bench.intent.send_replace(intent(&[(3, "web", 25)]));
    bench.wait("the refusal", |b| state(b) == State::Failing).await;
    assert!(bench.last_error().unwrap().contains("NextHop"), "{:?}", bench.last_error());
    assert_eq!(bench.labels(), [0; 0], "the phase behind the refused one was begun");
    bench.fake.refuse_writes(None);
    bench.wait("the tables", |b| state(b) == State::InSync).await;
    assert_eq!((bench.labels(), bench.last_error()), (vec![25], None));
}

/// A card that can be attached to and read, and refuses each time, is not asked in a loop.
#[tokio::test]
async fn pauses_grow_until_a_reconcile_is_complete() {
    let bench = Bench::idle();
    bench.fake.refuse_writes(Some((TableId::NextHop, RingStatus::NotPermitted)));
    let started = Instant::now();
    bench.intent.send_replace(intent(&[(3, "web", 25)]));
    bench.wait("four attempts", |b| b.seen.adoptions.load(Ordering::SeqCst) >= 4).await;
    let pauses = Duration::from_millis(100 + 200 + 400);
    assert!(started.elapsed() >= pauses, "four attempts in {:?}", started.elapsed());
    bench.fake.refuse_writes(None);
    bench.wait("the tables", |b| state(b) == State::InSync).await;
}

#[tokio::test]
async fn a_panic_of_the_engine_is_the_end_of_the_agent() {
    let mut bench = Bench::new(&[(3, "web", 25)]).await;
    bench.intent.send_replace(intent(&[(3, "web", 25), (4, "poison", 26)]));
    let defect = tokio::time::timeout(PATIENCE, bench.agent.failed()).await.unwrap();
    assert_eq!(defect, Defect::Engine);
    assert_eq!(state(&bench), State::Failing);
    assert!(bench.last_error().unwrap().contains("defect"), "{:?}", bench.last_error());
    assert_eq!(bench.fake.register(regs::CONTROL) & 1, 1, "the card forwards on");
}

#[tokio::test]
async fn the_end_of_the_cards_thread_is_the_end_of_the_agent() {
    let opened = Arc::new(AtomicUsize::new(0));
    let mut bench = Bench::open(FakeCard::new(), Arc::new(|| panic!("on purpose")), opened);
    let defect = tokio::time::timeout(PATIENCE, bench.agent.failed()).await.unwrap();
    assert_eq!(defect, Defect::Thread);
}

#[tokio::test]
async fn a_card_that_was_cleared_is_written_anew() {
    let bench = Bench::new(&[(3, "web", 25)]).await;
    bench.fake.clear();
    bench.wait("the tables", |b| b.labels() == [25] && b.completed() == 2).await;
    assert_eq!(bench.opened.load(Ordering::SeqCst), 1, "there was no need to attach again");
}

#[tokio::test]
async fn a_card_that_was_reset_is_attached_to_anew() {
    let bench = Bench::new(&[(3, "web", 25)]).await;
    for (register, value) in [(regs::FLR_COUNT, 7), (regs::RESET_CAUSE, regs::RESET_POWER_ON)] {
        let opened = bench.opened.load(Ordering::SeqCst);
        // The tables are lost, and whoever did it left the epoch that was there.
        for index in bench.labels() {
            bench.fake.set_entry(index, Ilm::default());
        }
        bench.fake.set_register(register, value);
        bench.wait("the tables", |b| b.labels() == [25] && state(b) == State::InSync).await;
        assert_eq!(bench.opened.load(Ordering::SeqCst), opened + 1, "{register:#x}");
    }
}

#[tokio::test]
async fn a_data_path_that_was_switched_off_is_switched_on() {
    let bench = Bench::new(&[(3, "web", 25)]).await;
    let writes = bench.fake.writes();
    bench.fake.set_register(regs::CONTROL, 0);
    bench.wait("the data path", |b| b.fake.register(regs::CONTROL) & 1 == 1).await;
    bench.wait("the reconcile", |b| b.completed() == 2).await;
    assert_eq!(bench.fake.writes(), writes);
}

#[tokio::test]
async fn a_dead_card_is_told_and_taken_back() {
    let bench = Bench::new(&[(3, "web", 25)]).await;
    bench.fake.kill();
    let lost = |b: &Bench| matches!(b.agent.handle().link(), LinkState::Lost(_));
    bench.wait("the loss", |b| lost(b) && state(b) == State::Failing).await;
    assert!(matches!(bench.agent.handle().tables(), Err(LinkError::Lost(_))));
    bench.wait("the end of readings", |b| b.agent.handle().readings().borrow().is_none()).await;
    bench.intent.send_replace(intent(&[(3, "web", 26)]));
    bench.fake.revive();
    bench.wait("the change", |b| b.labels() == [26] && state(b) == State::InSync).await;
}

/// What a service manager's watchdog lives on.
#[tokio::test]
async fn rounds_come_to_an_end_with_and_without_a_card_unless_something_hangs() {
    let bench = Bench::new(&[(3, "web", 25)]).await;
    let mut beats = bench.agent.handle().beats();
    let mut beat = async || tokio::time::timeout(PATIENCE, beats.changed()).await.unwrap().unwrap();
    beat().await;
    beat().await;
    bench.fake.kill();
    bench.wait("the loss", |b| state(b) == State::Failing).await;
    beat().await;
    beat().await;
}

#[tokio::test]
async fn what_counts_is_read_into_memory_and_a_dead_firmware_shows() {
    let bench = Bench::new(&[(3, "web", 25)]).await;
    let reading = || bench.agent.handle().readings().borrow().clone();
    bench.wait("a reading", |_| reading().is_some()).await;
    assert_eq!(reading().unwrap().firmware, Firmware::Ready);
    let reason = DropReason::Discard as u32;
    bench.fake.set_entry(reason, Entry::DropStats(Counter { count: 7 }));
    bench.fake.set_register(regs::FW_STATUS, fw::STATUS_PANIC | 12);
    bench
        .wait("the firmware's end", |_| {
            reading().is_some_and(|reading| reading.firmware == Firmware::Failed)
        })
        .await;
    bench
        .wait("the drops", |_| {
            let drops = |r: &Arc<penstock_agent::Reading>| r.counters.drop_stats().at(reason).count;
            reading().is_some_and(|reading| drops(&reading) == 7)
        })
        .await;
    // Whoever asks sees what the agent has done.
    bench.intent.send_replace(intent(&[(3, "web", 26)]));
    bench.wait("the change", |b| b.completed() == 2).await;
    let reading = bench.agent.handle().reading().await.unwrap();
    assert_eq!(reading.register(regs::EPOCH), Some(2));
}

#[tokio::test]
async fn neighbours_that_the_card_names_are_good_until_the_kernel_knows_better() {
    use penstock_model::MacAddr;
    let fake = FakeCard::new();
    let tunnel = |dip: [u8; 4], dmac: u64| NextHop {
        valid: true,
        kind: NextHopKind::Tunnel,
        dip: u32::from_be_bytes(dip),
        dmac,
        ..NextHop::default()
    };
    fake.set_entry(40, tunnel([10, 0, 0, 1], 0x0200_0000_0001));
    fake.set_entry(41, tunnel([10, 0, 0, 2], 0x0200_0000_0002));
    let bench = Bench::with(fake, |transport| transport);
    let known = |last: u8| std::net::IpAddr::from([10, 0, 0, last]);
    bench.neighbours.send_replace(Some([(known(1), MacAddr([2; 6]))].into_iter().collect()));
    bench.intent.send_replace(intent(&[]));
    bench.wait("a pass", |b| b.completed() == 1).await;
    let seen = bench.seen.neighbours.lock().unwrap().clone();
    assert_eq!(seen.get(&known(1)), Some(&MacAddr([2; 6])));
    assert_eq!(seen.get(&known(2)), Some(&MacAddr([2, 0, 0, 0, 0, 2])));
}

#[tokio::test]
async fn an_audit_finds_what_differs_and_mends_it() {
    let bench = Bench::new(&[(3, "web", 25), (4, "db", 26)]).await;
    let audit = || async { bench.agent.handle().audit().await.unwrap() };
    let clean = audit().await;
    assert!(clean.is_clean() && clean.tables.iter().all(|table| !table.read_back), "{clean:?}");
    // A label that is gone, one that points elsewhere, one that nobody wrote.
    bench.fake.set_entry(25, Ilm::default());
    bench.fake.set_entry(26, Ilm { valid: true, nh: 9, ..Ilm::default() });
    bench.fake.set_entry(27, Ilm { valid: true, nh: 3, ..Ilm::default() });
    let found = audit().await;
    assert!(!found.is_clean());
    let table = found.tables.iter().find(|table| table.table == TableId::Ilm).unwrap();
    let indices: Vec<u32> = table.differences.iter().map(|d| d.index).collect();
    assert_eq!((table.differing, indices), (3, vec![25, 26, 27]));
    let second = table.differences[1];
    let nh = |entry: Option<Entry>| entry.unwrap().get::<Ilm>().unwrap().nh;
    assert_eq!((nh(second.ours), nh(second.theirs)), (4, 9));
    assert_eq!(found.operations, 3);
    let labels = bench.fake.tables().of::<Ilm>().clone();
    assert_eq!(labels.iter().map(|(i, l)| (i, l.nh)).collect::<Vec<_>>(), [(25, 3), (26, 4)]);
    assert_eq!(bench.seen.passes.lock().unwrap().last(), Some(&Scope::Everything));
    assert!(audit().await.is_clean());
}

#[tokio::test]
async fn a_card_that_makes_no_digests_is_read_back() {
    let fake = FakeCard::new();
    fake.set_register(regs::CAPABILITIES, 0);
    let bench = Bench::with(fake, |transport| transport);
    bench.intent.send_replace(intent(&[(3, "web", 25)]));
    bench.wait("the first reconcile", |b| b.completed() == 1).await;
    let audit = || async { bench.agent.handle().audit().await.unwrap() };
    let clean = audit().await;
    assert!(clean.is_clean() && clean.tables.iter().all(|table| table.read_back), "{clean:?}");
    bench.fake.set_entry(25, Ilm::default());
    assert!(!audit().await.is_clean());
    assert_eq!(bench.labels(), [25]);
}

#[tokio::test]
async fn there_is_no_audit_of_a_card_that_is_gone_and_nobody_waits_for_one() {
    let bench = Bench::new(&[(3, "web", 25)]).await;
    bench.fake.kill();
    bench.wait("the loss", |b| state(b) == State::Failing).await;
    let audit = tokio::time::timeout(PATIENCE, bench.agent.handle().audit()).await.unwrap();
    assert!(audit.unwrap_err().to_string().contains("gone"));
}
