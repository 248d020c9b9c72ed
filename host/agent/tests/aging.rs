//! From the node's times to the card's registers.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use penstock_abi::age::{self, Ages, State as Seen};
use penstock_abi::evict::Evictions;
use penstock_abi::layout::Capability;
use penstock_abi::limits;
use penstock_abi::regs;
use penstock_agent::State;
use penstock_device::fake::FakeCard;
use penstock_model::{FlowAging, Intent, Node, PortAging, Protocol};
use support::{Bench, intent, node};

fn wanted(flow_aging: FlowAging) -> Arc<Intent> {
    let mut wanted = Intent::clone(&intent(&[(8, "web", 25)]));
    wanted.node = Some(Arc::new(Node { flow_aging, ..node() }));
    Arc::new(wanted)
}

/// What the card's registers say.
fn ages(fake: &FakeCard) -> Ages {
    let words: Vec<u32> =
        Ages::default().registers().map(|(register, _)| fake.register(register)).collect();
    Ages::from_words(&words.try_into().unwrap())
}

fn evictions(fake: &FakeCard) -> Evictions {
    let words: Vec<u32> =
        Evictions::default().registers().map(|(register, _)| fake.register(register)).collect();
    Evictions::from_words(&words.try_into().unwrap())
}

fn seconds(fake: &FakeCard, seconds: u32) -> u32 {
    age::units(seconds, fake.register(regs::CLOCK_KHZ))
}

#[tokio::test]
async fn a_card_is_told_how_long_flows_may_rest() {
    let fake = FakeCard::new();
    let bench = Bench::shipped(fake.clone());
    bench.intent.send_replace(wanted(FlowAging::default()));
    bench.wait("the tables", |b| b.agent.handle().status().borrow().state == State::InSync).await;
    let usual = ages(&fake);
    let of = |ages: &Ages, state: Seen| ages.states[state as usize];
    assert_eq!(of(&usual, Seen::Closed), seconds(&fake, 10));
    assert_eq!(of(&usual, Seen::Established), seconds(&fake, 7440));
    assert_eq!(usual.find(17, 53).map(|n| usual.by_port[usize::from(n)]), Some(seconds(&fake, 5)));
    let evictions = evictions(&fake);
    assert_eq!(evictions.above, [24, 26, 28].map(|parts| limits::FLOWS / 32 * parts));
    let established = evictions.states[Seen::Established as usize];
    assert_eq!((established.yields, established.time), (false, seconds(&fake, 60)));
    // Changed while it works; what is no longer said is as usual.
    let mut other = FlowAging::default();
    other.set(Seen::Established, 900);
    other.ports = vec![PortAging { protocol: Protocol::Tcp, port: 5432, seconds: 0 }];
    bench.intent.send_replace(wanted(other));
    bench.wait("other times", |b| ages(&b.fake).find(6, 5432) == Some(0)).await;
    let changed = ages(&fake);
    assert_eq!(of(&changed, Seen::Established), seconds(&fake, 900));
    assert_eq!((changed.by_port[0], changed.find(17, 53)), (0, None));
    assert_eq!(of(&changed, Seen::Closed), of(&usual, Seen::Closed));
}

#[tokio::test]
async fn times_come_back_after_a_reset() {
    let fake = FakeCard::new();
    let bench = Bench::shipped(fake.clone());
    bench.intent.send_replace(wanted(FlowAging::default()));
    bench.wait("times", |b| ages(&b.fake) != Ages::default()).await;
    let usual = ages(&fake);
    fake.kill();
    for (register, _) in usual.registers() {
        fake.set_register(register, 0);
    }
    fake.revive();
    bench.wait("times after it", |b| ages(&b.fake) == usual).await;
}

#[tokio::test]
async fn a_card_that_cannot_is_told_nothing() {
    let fake = FakeCard::new();
    let can = fake.register(regs::CAPABILITIES);
    let neither = Capability::Ageing.mask() | Capability::Eviction.mask();
    fake.set_register(regs::CAPABILITIES, can & !neither);
    let bench = Bench::shipped(fake.clone());
    bench.intent.send_replace(wanted(FlowAging::default()));
    bench.wait("the tables", |b| b.agent.handle().status().borrow().state == State::InSync).await;
    assert_eq!((ages(&fake), evictions(&fake)), (Ages::default(), Evictions::default()));
}
