//! A slow card: what is asked for at length does not hold up what matters.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use penstock_abi::regs;
use penstock_abi::table::{Flow, Ilm};
use penstock_device::fake::{FakeCard, before_doorbell};
use support::{Bench, PATIENCE, intent};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_is_done_while_dumps_run() {
    const FLOWS: u32 = 20_000;
    let fake = FakeCard::new();
    // A card that had an owner: an empty one would be cleared first.
    fake.set_register(regs::EPOCH, 1);
    for index in 0..FLOWS {
        fake.set_entry(index, Flow { valid: true, ..Flow::default() });
    }
    let bench = Bench::with(fake, |transport| {
        before_doorbell(transport, || std::thread::sleep(Duration::from_millis(2)))
    });
    bench.intent.send_replace(intent(&[(3, "web", 25)]));
    bench.wait("the first reconcile", |b| b.completed() == 1).await;

    let dumps: Vec<_> = (0..10)
        .map(|_| {
            let handle = bench.agent.handle().clone();
            tokio::spawn(async move { handle.flows().await.unwrap().tables.of::<Flow>().len() })
        })
        .collect();
    let commands = bench.fake.register(regs::CMD_CONSUMER);
    bench.wait("the dumps", |b| b.fake.register(regs::CMD_CONSUMER) > commands + 1000).await;
    let before = bench.fake.register(regs::CMD_CONSUMER);
    bench.intent.send_replace(intent(&[(3, "web", 26)]));
    bench.wait("the change", |b| b.completed() == 2).await;
    let meanwhile = bench.fake.register(regs::CMD_CONSUMER) - before;
    // Each of the plan's few jobs waits behind one piece.
    assert!(meanwhile < 8 * 256, "the plan waited for {meanwhile} commands of a dump");
    assert!(!dumps[0].is_finished());
    assert_eq!(bench.fake.tables().of::<Ilm>().indices().collect::<Vec<_>>(), [26]);
    for dump in dumps.into_iter().take(1) {
        assert_eq!(dump.await.unwrap(), FLOWS as usize);
    }
}

#[tokio::test]
async fn who_has_flows_in_hand_is_the_only_one() {
    let bench = Bench::new(&[(3, "web", 25)]).await;
    let flows = bench.agent.handle().flows().await.unwrap();
    let mut next = Box::pin(bench.agent.handle().flows());
    // The table is empty: a dump is over in milliseconds.
    let early = tokio::time::timeout(Duration::from_millis(200), &mut next).await;
    assert!(early.is_err());
    drop(flows);
    tokio::time::timeout(PATIENCE, next).await.unwrap().unwrap();
}
