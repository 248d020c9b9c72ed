//! Connections that are there and carry nothing any more.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use penstock_kube::Timing;
use penstock_kube::fake::{Fake, Mute};
use support::{Bench, findings, service, timing};

/// Watches that are short, and little patience.
fn impatient() -> Timing {
    Timing { watch: Duration::from_secs(1), answer: Duration::from_secs(2), ..timing() }
}

#[tokio::test]
async fn a_watch_that_says_nothing_any_more_is_given_up_and_listed_anew() {
    let mut bench = Bench::complete(impatient(), [service("a", 1), service("b", 2)]).await;
    // Until then watches were resumed, not listed.
    let lists = bench.fake.lists();
    bench.fake.set_mute(Some(Mute::Requests));
    bench.fake.delete(&service("b", 2));
    bench.fake.put(service("c", 3));
    let fragment = bench.until(|f| f.stale).await;
    assert!(findings(&fragment)[0].contains("the server has said nothing for"), "{fragment:?}");
    assert!(fragment.complete, "what it was before stays in force");
    // Its old connections stay as they are. News comes by new ones, and by a list: who was mute may be another server now.
    bench.fake.set_mute(None);
    bench.serves(&[("a", &[]), ("c", &[])]).await;
    let fragment = bench.until(|f| !f.stale).await;
    assert!(findings(&fragment).is_empty());
    assert!(bench.fake.lists() > lists);
}

#[tokio::test]
async fn a_watch_that_went_mute_alone_is_given_up_too() {
    let mut bench = Bench::complete(impatient(), [service("a", 1)]).await;
    // What is told after the list comes by the watch: that one is there.
    bench.fake.put(service("c", 3));
    bench.serves(&[("a", &[]), ("c", &[])]).await;
    let lists = bench.fake.lists();
    // As after a firewall has forgotten the connections: new ones work.
    bench.fake.set_mute(Some(Mute::Bodies));
    bench.fake.set_mute(None);
    bench.fake.put(service("b", 2));
    bench.serves(&[("a", &[]), ("b", &[]), ("c", &[])]).await;
    bench.until(|f| !f.stale).await;
    assert!(bench.fake.lists() > lists);
}

#[tokio::test]
async fn a_list_that_stops_in_the_middle_is_asked_for_again() {
    for mute in [Mute::Requests, Mute::Bodies] {
        let fake = Fake::start().unwrap();
        fake.put(service("a", 1));
        fake.set_mute(Some(mute));
        let mut bench = Bench::of(fake, impatient());
        let fragment = bench.until(|f| f.stale).await;
        assert!(!fragment.complete && fragment.objects.is_empty());
        assert!(
            findings(&fragment)[0].contains("said nothing for 2 s"),
            "{:?}",
            findings(&fragment)
        );
        bench.fake.set_mute(None);
        bench.serves(&[("a", &[])]).await;
    }
}

#[tokio::test]
async fn a_quiet_server_is_not_a_mute_one() {
    let mut bench = Bench::complete(impatient(), [service("a", 1)]).await;
    let lists = bench.fake.lists();
    // Not even versions are told: watches end as they were told to, and are resumed.
    for plural in ["services", "endpointslices", "pods", "nodes"] {
        bench.fake.hold(plural, true);
    }
    let watches = bench.fake.watches();
    let resumed = async {
        while bench.fake.watches() < watches + 12 {
            assert!(!bench.fragments.borrow().stale, "{:?}", bench.fragments.borrow());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), resumed).await.unwrap();
    assert_eq!(bench.fake.lists(), lists);
    assert_eq!(findings(&bench.until(|_| true).await), [""; 0]);
}
