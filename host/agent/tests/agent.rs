//! An agent and its card: what it does, when it does nothing, how it fails, and that it notices.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use penstock_abi::hash::FlowSecret;
use penstock_abi::reason::DropReason;
use penstock_abi::ring::Status as RingStatus;
use penstock_abi::table::{Counter, Ilm, NextHop, NextHopKind, TableId};
use penstock_abi::{fw, regs};
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
async fn only_a_card_that_holds_nothing_gets_a_new_secret() {
    let none = FlowSecret::default();
    let first = Bench::new(&[(3, "web", 25)]).await;
    let secret = first.fake.flow_secret();
    assert!(secret.0.iter().all(|&word| word != 0), "drawn, and in force");
    assert_eq!(first.fake.register(regs::HASH_KEY0), 0, "nobody reads it back");
    // Its next owner adopts it as it is.
    let fake = first.fake.clone();
    drop(first);
    let next = Bench::with(fake, |transport| transport);
    next.intent.send_replace(intent(&[(3, "web", 26)]));
    next.wait("the reconcile", |b| b.completed() == 1).await;
    assert!(next.fake.flow_secret() == secret);
    // As is one whose last owner did not get as far as its first epoch.
    let begun = FakeCard::new();
    begun.set_entry(25, Ilm { valid: true, ..Ilm::default() });
    let bench = Bench::with(begun, |transport| transport);
    bench.intent.send_replace(intent(&[(3, "web", 25)]));
    bench.wait("the reconcile", |b| b.completed() == 1).await;
    assert!(bench.fake.flow_secret() == none);
    // Who clears it takes its flows, so there is nothing left to keep the secret for.
    next.fake.clear();
    next.wait("the tables again", |b| b.completed() == 2).await;
    assert!(next.fake.flow_secret() != secret && next.fake.flow_secret() != none);
}

#[tokio::test]
async fn nothing_points_to_what_the_card_refused() {
    let bench = Bench::idle();
    bench.fake.refuse_writes(Some((TableId::NextHop, RingStatus::NotPermitted)));
    bench.intent.send_replace(intent(&[(3, "web", 25)]));
    bench.wait("the refusal", |b| state(b) == State::Failing).await;
    let error = bench.last_error().unwrap();
    assert!(error.contains("NextHop") && error.contains("web"), "neither where nor whose: {error}");
    assert_eq!(bench.labels(), [0; 0], "the phase behind the refused one was begun");
    bench.fake.refuse_writes(None);
    bench.wait("the tables", |b| state(b) == State::InSync).await;
    assert_eq!((bench.labels(), bench.last_error()), (vec![25], None));
}

#[tokio::test]
async fn what_a_plan_did_before_it_was_refused_shows_and_is_forgotten_with_its_inputs() {
    let bench = Bench::idle();
    bench.fake.refuse_writes(Some((TableId::Ilm, RingStatus::NotPermitted)));
    let whole = intent(&[(3, "web", 25)]);
    bench.intent.send_replace(Arc::clone(&whole));
    bench.wait("the refusal", |b| state(b) == State::Failing).await;
    let hops: Vec<u32> = bench.agent.handle().tables().unwrap().of::<NextHop>().indices().collect();
    assert_eq!(hops, [3], "what the card holds is not known any more");
    assert!(bench.agent.handle().status().borrow().changed.is_some());
    bench.intent.send_replace(Arc::new(Intent { complete: false, ..Intent::clone(&whole) }));
    bench.wait("the wait", |b| state(b) == State::WaitingForSources).await;
    assert_eq!(bench.last_error(), None);
}

#[tokio::test]
async fn a_card_that_refuses_is_not_read_whole_each_time() {
    const VIFS: u8 = 200;
    let names: Vec<String> = (0..VIFS).map(|n| format!("pod{n}")).collect();
    let vif = |n: u8| (n + 3, names[usize::from(n)].as_str(), u32::from(n) + 25);
    let mut vifs: Vec<_> = (0..VIFS).map(vif).collect();
    let bench = Bench::new(&vifs).await;
    bench.fake.refuse_writes(Some((TableId::Ilm, RingStatus::NotPermitted)));
    let adoptions = || bench.seen.adoptions.load(Ordering::SeqCst);
    let (before, first) = (bench.fake.register(regs::CMD_CONSUMER), adoptions());
    vifs[0].2 = 1000;
    bench.intent.send_replace(intent(&vifs));
    bench.wait("four attempts", |_| adoptions() >= first + 4).await;
    let commands = bench.fake.register(regs::CMD_CONSUMER) - before;
    // The observer's are among them.
    assert!(commands < 3 * 2 * u32::from(VIFS), "{commands} commands in four attempts");
    bench.fake.refuse_writes(None);
    bench.wait("the tables", |b| state(b) == State::InSync && b.labels().contains(&1000)).await;
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
async fn what_a_card_held_before_it_was_cleared_is_not_shown() {
    let bench = Bench::new(&[(3, "web", 25)]).await;
    bench.fake.clear();
    bench.wait("the notice", |b| state(b) == State::Failing).await;
    assert!(bench.agent.handle().tables().is_err());
    bench.wait("the tables", |b| state(b) == State::InSync).await;
    assert!(bench.agent.handle().tables().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_clearing_that_does_not_end_is_not_waited_for_without_limit() {
    let bench = Bench::idle();
    bench.intent.send_replace(intent(&[(3, "web", 25)]));
    // The card is as quick as ever, so what is waited for here is not a clock that was stopped.
    let until = async |condition: &dyn Fn() -> bool| {
        let deadline = Instant::now() + PATIENCE;
        while !condition() {
            assert!(Instant::now() < deadline, "{:?}", bench.last_error());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    until(&|| state(&bench) == State::InSync).await;
    bench.fake.set_register(regs::STATUS, 1);
    until(&|| state(&bench) == State::WaitingForDevice).await;
    assert!(bench.agent.handle().tables().is_err());
    until(&|| bench.last_error().is_some_and(|error| error.contains("does not come to an end")))
        .await;
    bench.fake.set_register(regs::STATUS, 0);
    until(&|| state(&bench) == State::InSync).await;
    assert!(bench.agent.handle().tables().is_ok());
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

/// Each piece of a long read is a sign of life.
#[tokio::test]
async fn what_takes_long_is_not_taken_for_what_hangs() {
    const LABELS: u32 = 10_000;
    let fake = FakeCard::new();
    (0..LABELS).for_each(|i| fake.set_entry(i, Ilm { valid: true, ..Ilm::default() }));
    let bench = Bench::with(fake, |transport| transport);
    bench.wait("the tables", |b| state(b) == State::WaitingForSources).await;
    let beats = *bench.agent.handle().beats().borrow();
    assert!(beats >= u64::from(LABELS) / 256, "{beats}");
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
