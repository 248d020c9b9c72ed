//! What a card tells by itself, and who hears of it.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::{Duration, SystemTime};

use penstock_abi::regs;
use penstock_abi::ring::{Event, EventKind, FlowEnd, FlowEvent};
use penstock_agent::{Follower, News};
use penstock_device::{CardEvent, Kinds, Wanted};
use support::{Bench, PATIENCE};

const ENDS: [EventKind; 1] = [EventKind::FlowEnded];

fn wanted(kinds: &[EventKind], sample_log2: u8) -> Wanted {
    Wanted { kinds: Kinds::of(kinds), sample_log2 }
}

fn flow(kind: EventKind, pair: u32, time_cycles: u64) -> CardEvent {
    let reason = if kind == EventKind::FlowEnded { FlowEnd::Aged as u8 } else { 0 };
    let kind = kind as u8;
    CardEvent::Flow(FlowEvent { kind, pair, reason, time_cycles, ..Default::default() })
}

async fn news(follower: &mut Follower) -> News {
    tokio::time::timeout(PATIENCE, follower.next()).await.expect("news").unwrap()
}

fn pairs(news: &News) -> Vec<u32> {
    let pair = |event: CardEvent| match event {
        CardEvent::Flow(event) => event.pair,
        CardEvent::Other(event) => panic!("{event:?}"),
    };
    news.events.iter().map(|told| pair(told.event)).collect()
}

#[tokio::test]
async fn the_card_tells_what_somebody_follows_and_no_more() {
    let bench = Bench::new(&[]).await;
    let asked = |kind| move |bench: &Bench| bench.fake.is_asked_for(kind);
    bench.wait("its own kinds", asked(EventKind::Firmware)).await;
    assert!(bench.fake.is_asked_for(EventKind::FlowPressure));
    assert!(!bench.fake.is_asked_for(EventKind::FlowEnded));
    let handle = bench.agent.handle();
    let mut all = handle.follow(wanted(&ENDS, 0)).await;
    // The beginning, for how long it lived.
    assert!(asked(EventKind::FlowEnded)(&bench) && asked(EventKind::FlowMade)(&bench));
    let sampled = handle.follow(wanted(&[EventKind::FlowRefused], 3)).await;
    assert!(asked(EventKind::FlowRefused)(&bench));
    assert_eq!(bench.fake.register(regs::EVT_SAMPLE), 0);
    let khz = bench.fake.register(regs::CLOCK_KHZ);
    bench.fake.set_register(regs::TIME_LO, 5 * khz);
    bench.fake.tell(flow(EventKind::FlowMade, 7, khz.into()));
    bench.fake.tell(flow(EventKind::FlowEnded, 7, 3 * u64::from(khz)));
    let mut told = Vec::new();
    while told.is_empty() {
        let news = news(&mut all).await;
        assert_eq!(news.lost, 0);
        told.extend(news.events);
    }
    let age = SystemTime::now().duration_since(told[0].at).unwrap();
    assert!(age >= Duration::from_millis(2) && age < PATIENCE, "{age:?}");
    let lived = told[0].at.duration_since(told[0].began.unwrap()).unwrap();
    assert_eq!((told.len(), lived), (1, Duration::from_millis(2)));
    drop(all);
    bench
        .wait("the end of following", |bench| !bench.fake.is_asked_for(EventKind::FlowEnded))
        .await;
    assert_eq!(bench.fake.register(regs::EVT_SAMPLE), 3);
    drop(sampled);
    bench.wait("the end of all", |bench| !bench.fake.is_asked_for(EventKind::FlowRefused)).await;
    assert!(bench.fake.is_asked_for(EventKind::FlowPressure));
}

#[tokio::test]
async fn each_follower_has_its_own_kinds_and_sample() {
    let bench = Bench::new(&[]).await;
    let handle = bench.agent.handle();
    let mut ends = handle.follow(wanted(&ENDS, 2)).await;
    let mut beginnings = handle.follow(wanted(&[EventKind::FlowMade], 0)).await;
    for pair in 0..8 {
        bench.fake.tell(flow(EventKind::FlowMade, pair, 0));
        bench.fake.tell(flow(EventKind::FlowEnded, pair, 0));
    }
    let (mut made, mut ended) = (Vec::new(), Vec::new());
    while made.len() < 8 || ended.len() < 2 {
        if made.len() < 8 {
            made.extend(pairs(&news(&mut beginnings).await));
        }
        if ended.len() < 2 {
            ended.extend(pairs(&news(&mut ends).await));
        }
    }
    assert_eq!(made, (0..8).collect::<Vec<_>>());
    assert_eq!(ended, [0, 4]);
}

/// Whoever is slow loses, and knows how many; the others and the card's thread do not wait.
#[tokio::test]
async fn what_a_slow_follower_misses_is_counted() {
    const ROUNDS: u32 = 400;
    let bench = Bench::new(&[]).await;
    let handle = bench.agent.handle();
    let mut slow = handle.follow(wanted(&ENDS, 0)).await;
    let mut quick = handle.follow(wanted(&ENDS, 0)).await;
    for pair in 0..ROUNDS {
        bench.fake.tell(flow(EventKind::FlowEnded, pair, 0));
        assert_eq!(pairs(&news(&mut quick).await), [pair]);
    }
    let first = news(&mut slow).await;
    let mut had = pairs(&first);
    assert!(first.lost > 0 && had[0] == first.lost as u32, "{first:?}");
    while had.last() != Some(&(ROUNDS - 1)) {
        let more = news(&mut slow).await;
        assert_eq!(more.lost, 0);
        had.extend(pairs(&more));
    }
    assert_eq!(had.len() as u64 + first.lost, u64::from(ROUNDS));
}

#[tokio::test]
async fn what_the_card_loses_is_told_and_counted() {
    let bench = Bench::new(&[]).await;
    let mut follower = bench.agent.handle().follow(wanted(&ENDS, 0)).await;
    bench.fake.set_register(regs::EVT_DROPPED, 9);
    assert_eq!(news(&mut follower).await, News { events: Vec::new(), lost: 9 });
    assert_eq!(bench.agent.handle().event_counts().lost, 9);
    // It begins anew, with a card that is attached to anew.
    bench.fake.kill();
    bench
        .wait("the loss of the card", |bench| {
            matches!(bench.agent.handle().link(), penstock_agent::LinkState::Lost(_))
        })
        .await;
    bench.fake.revive();
    bench.wait("the same question", |bench| bench.fake.is_asked_for(EventKind::FlowEnded)).await;
    bench.fake.tell(flow(EventKind::FlowEnded, 3, 0));
    let after = news(&mut follower).await;
    assert_eq!((pairs(&after), after.lost), (vec![3], 0));
}

#[tokio::test]
async fn the_agents_own_events_are_counted() {
    let bench = Bench::new(&[]).await;
    bench.wait("its own kinds", |bench| bench.fake.is_asked_for(EventKind::FlowPressure)).await;
    let other = |kind: EventKind| Event { kind: kind as u8, arg0: 2, ..Event::default() };
    for kind in [EventKind::FlowPressure, EventKind::FlowTableFull, EventKind::Firmware] {
        bench.fake.tell(CardEvent::Other(other(kind)));
    }
    // Of a later card.
    bench.fake.tell(CardEvent::Other(Event { kind: 30, ..Event::default() }));
    bench.wait("three events", |bench| bench.agent.handle().event_counts().taken == 3).await;
    let counts = bench.agent.handle().event_counts();
    assert_eq!((counts.pressure, counts.table_full, counts.firmware), (1, 1, 1));
}

#[tokio::test]
async fn a_pair_is_ended_by_either_of_its_entries() {
    use penstock_abi::table::{Flow, TableId};
    let bench = Bench::new(&[]).await;
    let flow = Flow { valid: true, pair: 5, proto: 6, ..Flow::default() };
    bench.fake.set_entry(40, flow);
    bench.fake.set_entry(72, Flow { reverse: true, ..flow });
    bench.fake.set_entry(80, Flow { pair: 6, ..flow });
    let handle = bench.agent.handle();
    let (gone, _) = handle.delete_flow(72).await.unwrap().unwrap();
    assert_eq!((gone.pair, gone.reverse), (5, true));
    assert_eq!(bench.fake.table(TableId::Flow).len(), 1);
    assert_eq!(handle.delete_flow(72).await.unwrap(), None);
}
