//! Audits: what they find, what they mend, what they take for whose fault, and who hears of them.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::{Arc, Mutex};

use penstock_abi::reason::CardCounter;
use penstock_abi::regs;
use penstock_abi::table::{Counter, Flow, Ilm, TableId, Vif};
use penstock_agent::engine::Scope;
use penstock_agent::{FlowFault, State};
use penstock_device::fake::{FakeCard, before_doorbell};
use penstock_tables::{CONFIG_TABLES, Entry};
use support::{Bench, PATIENCE, intent};
use tokio::sync::mpsc;

fn state(bench: &Bench) -> State {
    bench.agent.handle().status().borrow().state
}

type Work = Box<dyn FnOnce() + Send>;

/// Something to be done on the card's thread, at the doorbell after this many others.
#[derive(Clone, Default)]
struct Hook(Arc<Mutex<Option<(usize, Work)>>>);

impl Hook {
    /// At the doorbell after this many others.
    fn set(&self, after: usize, work: impl FnOnce() + Send + 'static) {
        *self.0.lock().unwrap() = Some((after, Box::new(work)));
    }

    fn doorbell(&self) {
        let mut hook = self.0.lock().unwrap();
        match hook.take() {
            Some((0, work)) => {
                drop(hook);
                work();
            }
            Some((after, work)) => *hook = Some((after - 1, work)),
            None => {}
        }
    }

    /// Now, if it was not done yet.
    fn now(&self) {
        let hook = self.0.lock().unwrap().take();
        hook.into_iter().for_each(|(_, work)| work());
    }
}

/// A card in sync, of which something was just read: the next doorbells are an audit's.
async fn hooked(vifs: &[(u8, &str, u32)]) -> (Bench, Hook) {
    let hook = Hook::default();
    let on_doorbell = hook.clone();
    let bench = Bench::with(FakeCard::new(), move |transport| {
        let hook = on_doorbell.clone();
        before_doorbell(transport, move || hook.doorbell())
    });
    bench.intent.send_replace(intent(vifs));
    bench.wait("the first reconcile", |bench| bench.completed() == 1).await;
    just_read(&bench).await;
    (bench, hook)
}

async fn just_read(bench: &Bench) {
    let mut readings = bench.agent.handle().readings();
    tokio::time::timeout(PATIENCE, readings.changed()).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_change_that_coincides_is_no_defect() {
    let (bench, hook) = hooked(&[(3, "web", 25)]).await;
    for after in 0..=CONFIG_TABLES.len() {
        let label = 26 + after as u32;
        let intents = bench.intent.clone();
        hook.set(after, move || drop(intents.send_replace(intent(&[(3, "web", label)]))));
        let audit = bench.agent.handle().audit().await.unwrap();
        assert!(audit.is_clean(), "a change after {after} tables: {audit:?}");
        hook.now();
        bench.wait("the change", |b| b.labels() == [label]).await;
    }
}

#[tokio::test]
async fn repairs_are_counted_whatever_breaks_in() {
    let (bench, hook) = hooked(&[(3, "web", 25)]).await;
    for after in 0..=CONFIG_TABLES.len() {
        let label = 26 + after as u32;
        bench.fake.set_entry(25, Ilm { valid: true, nh: 9, ..Ilm::default() });
        let intents = bench.intent.clone();
        let more = move || intent(&[(3, "web", 25), (4, "db", label)]);
        hook.set(after, move || drop(intents.send_replace(more())));
        let audit = bench.agent.handle().audit().await.unwrap();
        assert!(!audit.is_clean());
        assert_eq!((audit.repairs, audit.left_out), (1, 0), "after {after} tables: {audit:?}");
        hook.now();
        bench.wait("the change", |b| b.labels() == [25, label]).await;
    }
}

#[tokio::test]
async fn nothing_is_mended_before_anybody_has_said_what_is_right() {
    let bench = Bench::idle();
    bench.wait("the device", |b| state(b) == State::WaitingForSources).await;
    bench.fake.set_entry(27, Ilm { valid: true, nh: 3, ..Ilm::default() });
    let audit = bench.agent.handle().audit().await.unwrap();
    assert_eq!((audit.is_clean(), audit.mended, audit.repairs), (false, false, 0), "{audit:?}");
    assert_eq!((bench.labels(), bench.fake.writes()), (vec![27], 0));
    bench.intent.send_replace(intent(&[(3, "web", 25)]));
    bench.wait("the tables", |b| b.labels() == [25]).await;
}

#[tokio::test]
async fn who_asks_while_an_audit_runs_hears_of_the_next() {
    let (bench, hook) = hooked(&[(3, "web", 25)]).await;
    let (reached, mut at_gate) = mpsc::unbounded_channel();
    let (open, gate) = std::sync::mpsc::channel::<()>();
    hook.set(2, move || {
        let _ = reached.send(());
        let _ = gate.recv();
    });
    let handle = bench.agent.handle().clone();
    let first = tokio::spawn(async move { handle.audit().await });
    at_gate.recv().await.unwrap();
    // Of a table that was looked at already.
    assert_eq!(CONFIG_TABLES[0], TableId::Vif);
    bench.fake.set_entry(9, Vif { valid: true, ..Vif::default() });
    let mut second = Box::pin(bench.agent.handle().audit());
    tokio::select! {
        biased;
        _ = &mut second => panic!("the card waits at the gate"),
        () = std::future::ready(()) => {}
    }
    open.send(()).unwrap();
    assert!(first.await.unwrap().unwrap().is_clean());
    let second = tokio::time::timeout(PATIENCE, second).await.unwrap().unwrap();
    assert!(!second.is_clean(), "what was wrong when it was asked for is not in it");
}

#[tokio::test]
async fn who_waits_for_an_audit_that_breaks_off_is_told_why() {
    let (bench, hook) = hooked(&[(3, "web", 25)]).await;
    let fake = bench.fake.clone();
    hook.set(2, move || fake.kill());
    let audit = tokio::time::timeout(PATIENCE, bench.agent.handle().audit()).await.unwrap();
    let error = audit.unwrap_err().to_string();
    assert!(error.contains("gone") || error.contains("lost"), "{error}");
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
    assert_eq!((found.repairs, found.left_out, found.mended), (3, 0, true));
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

#[tokio::test]
async fn an_entry_that_a_packet_finds_broken_is_written_again() {
    let bench = Bench::new(&[(3, "web", 25)]).await;
    let writes = bench.fake.writes();
    bench.fake.damage(TableId::Ilm, 25);
    assert!(bench.fake.meet(TableId::Ilm, 25));
    bench.wait("the entry", |b| b.fake.writes() == writes + 1).await;
    assert!(!bench.fake.meet(TableId::Ilm, 25));
    // What nothing is to stand at is cleared.
    bench.fake.damage(TableId::Ilm, 26);
    assert!(bench.fake.meet(TableId::Ilm, 26));
    bench.wait("the hole", |b| b.fake.writes() == writes + 2).await;
    assert!(!bench.fake.meet(TableId::Ilm, 26));
    assert_eq!(bench.labels(), [25]);
}

#[tokio::test]
async fn an_audit_finds_what_no_packet_has_met() {
    let bench = Bench::new(&[(3, "web", 25)]).await;
    let writes = bench.fake.writes();
    bench.fake.damage(TableId::Ilm, 25);
    let audit = bench.agent.handle().audit().await.unwrap();
    let labels = audit.tables.iter().find(|t| t.table == TableId::Ilm).unwrap();
    let odd: Vec<u32> = labels.odd.iter().map(|(index, _)| *index).collect();
    assert_eq!((labels.differing, odd, audit.repairs), (1, vec![25], 1), "{labels:?}");
    assert!(!bench.fake.meet(TableId::Ilm, 25));
    assert!(bench.fake.writes() > writes);
    assert_eq!(bench.labels(), [25]);
    let again = bench.agent.handle().audit().await.unwrap();
    assert!(again.is_clean(), "{again:?}");
}

#[tokio::test]
async fn a_card_is_adopted_without_the_entries_that_are_broken() {
    let fake = {
        let bench = Bench::new(&[(3, "web", 25), (4, "db", 26)]).await;
        bench.fake.clone()
    };
    fake.damage(TableId::Ilm, 25);
    let bench = Bench::with(fake, |transport| transport);
    bench.intent.send_replace(intent(&[(3, "web", 25), (4, "db", 26)]));
    bench.wait("the reconcile", |b| b.completed() >= 1).await;
    assert!(!bench.fake.meet(TableId::Ilm, 25));
    assert_eq!(bench.labels(), [25, 26]);
}

/// A pair of flow entries, and where its two entries stand.
fn pair(pair: u32, nh: u16, at: [u32; 2]) -> [(u32, Flow); 2] {
    let forward = Flow {
        valid: true,
        pair,
        nh,
        proto: 6,
        sip: pair,
        dip: 2,
        sport: 1000,
        dport: 80,
        ..Flow::default()
    };
    let Flow { sip, dip, sport, dport, .. } = forward;
    let reverse = Flow { reverse: true, sip: dip, dip: sip, sport: dport, dport: sport, ..forward };
    [(at[0], forward), (at[1], reverse)]
}

#[tokio::test]
async fn flows_are_audited_and_what_is_not_whole_ends_if_asked_for() {
    let fake = FakeCard::new();
    let card = fake.clone();
    let bench = Bench::with(fake.clone(), |transport| transport);
    bench.intent.send_replace(intent(&[(3, "web", 25)]));
    bench.wait("the first reconcile", |bench| bench.completed() == 1).await;
    let set = |(index, flow): (u32, Flow)| card.set_entry(index, flow);
    // Two connections, one of them by an interface that has gone; one of which a half is left; one twice.
    let [lone, _] = pair(3, 3, [77, 0]);
    let twice = pair(4, 3, [800, 4000]);
    pair(1, 3, [8, 5000]).into_iter().chain(pair(2, 9, [16, 24])).for_each(set);
    twice.into_iter().chain([lone, (900, twice[0].1)]).for_each(set);
    card.set_entry(CardCounter::FlowsInUse as u32, Entry::CardStats(Counter { count: 8 }));
    let handle = bench.agent.handle();
    let found = handle.audit_flows(false).await.unwrap();
    let faults: Vec<_> = found.defects.iter().map(|d| (d.index, d.fault)).collect();
    let (lone, twice) = (FlowFault::Lone, FlowFault::Twice);
    assert_eq!(faults, [(77, lone), (800, twice), (900, twice), (4000, twice)]);
    assert_eq!((found.entries, found.stale, found.ended), (8, 1, 0));
    assert!(!found.is_clean());
    assert_eq!(handle.audit_flows(false).await.unwrap(), found, "nothing was asked to be ended");
    let fixed = handle.audit_flows(true).await.unwrap();
    assert_eq!(fixed.defects, found.defects);
    let left: Vec<u32> = card.tables().of::<Flow>().indices().collect();
    assert_eq!(left, [8, 5000]);
    assert!(handle.audit_flows(false).await.unwrap().defects.is_empty());
}
