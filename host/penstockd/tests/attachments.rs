//! Pods that a CNI plugin registers: the whole daemon over a card in memory.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;

use penstock_abi::regs;
use penstock_abi::table::Ilm;
use penstock_api::attachments::{Attachment, Attachments, Placed, Removed, Reserve};
use penstock_api::client::{self, ClientError};
use penstock_api::paths::{self, Resource};
use support::{Bench, source};

fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.state = Some(bench.dir.path().join("state"));
    bench.start();
    bench.wait_in_sync(1);
    bench
}

fn request(container: &str) -> Reserve {
    Reserve {
        network: "pods".to_owned(),
        container: container.to_owned(),
        interface: "eth0".to_owned(),
        pod_namespace: "ns-user-1".to_owned(),
        pod_name: container.to_owned(),
        vrf: "k8s-default-pod-network".to_owned(),
        vifs: (7..=12).collect(),
    }
}

fn reserve(api: &Path, request: &Reserve) -> Result<Attachment, ClientError> {
    client::post(api, paths::ATTACHMENTS, request)
}

fn resource(container: &str) -> Resource {
    Resource::Attachment {
        network: "pods".to_owned(),
        container: container.to_owned(),
        interface: "eth0".to_owned(),
    }
}

fn place(api: &Path, container: &str, address: &str) -> Result<Attachment, ClientError> {
    let mac = "02:00:0a:2f:ff:0a".to_owned();
    client::put(api, &resource(container), &Placed { address: address.parse().unwrap(), mac })
}

fn refused<T: std::fmt::Debug>(result: Result<T, ClientError>) -> (u16, String) {
    match result.unwrap_err() {
        ClientError::Refused { status, why } => (status, why),
        error => panic!("{error}"),
    }
}

#[test]
fn a_pod_is_on_the_card_when_its_place_is_answered_and_stays_over_a_restart() {
    let mut bench = bench();
    let api = bench.api();
    let given = reserve(&api, &request("web-2")).unwrap();
    // 7 and 8, 25 and 28 are the node file's.
    assert_eq!((given.vif, given.label, given.forwarding), (9, 16, false));
    assert_eq!(bench.routes_to("10.47.255.10"), 0);
    let placed = place(&api, "web-2", "10.47.255.10").unwrap();
    assert!(placed.forwarding, "{placed:?}");
    assert_eq!(bench.routes_to("10.47.255.10"), 1);
    assert!(bench.fake().tables().get::<Ilm>(16).is_some_and(|ilm| ilm.valid));
    let status = bench.status();
    assert_eq!(source(&status, "CNI registrations")["objects"]["vifs"], 1, "{status:#}");
    assert_eq!(bench.get("/v1/vifs/9")["interfaces"][0]["name"], "ns-user-1/web-2");

    let (writes, epoch) = (bench.fake().writes(), bench.fake().register(regs::EPOCH));
    bench.stop();
    bench.start();
    bench.wait_in_sync(1);
    assert_eq!((bench.fake().writes(), bench.fake().register(regs::EPOCH)), (writes, epoch));
    let all: Attachments = client::get(&api, &Resource::Attachments).unwrap();
    assert_eq!(all.attachments, [placed]);

    let gone: Removed = client::delete(&api, &resource("web-2")).unwrap();
    assert!(gone.removed);
    bench.wait("the end of the pod", |_| bench.routes_to("10.47.255.10") == 0);
    let again: Removed = client::delete(&api, &resource("web-2")).unwrap();
    assert!(!again.removed);
    // The numbers rest.
    let next = reserve(&api, &request("web-3")).unwrap();
    assert_eq!((next.vif, next.label), (10, 17));
}

#[test]
fn refusals_say_what_kind_they_are() {
    let bench = bench();
    let api = bench.api();
    let with = |change: &dyn Fn(&mut Reserve)| {
        let mut request = request("web-2");
        change(&mut request);
        refused(reserve(&api, &request))
    };
    assert_eq!(with(&|r| r.vifs = vec![7, 8]).0, 507);
    assert!(with(&|r| r.vifs = vec![7, 8]).1.contains("of 2, 2 are in use"));
    let (status, why) = with(&|r| r.vrf = "red".to_owned());
    assert_eq!(
        (status, &*why),
        (400, "there is no VRF red here; there are: k8s-default-pod-network")
    );
    assert_eq!(with(&|r| r.vifs = vec![1]).0, 400);
    assert_eq!(with(&|r| r.pod_name = "a\nb".to_owned()).0, 400);
    assert_eq!(with(&|r| r.container = String::new()).0, 400);
    assert_eq!(refused(place(&api, "web-2", "10.47.255.10")).0, 404);
    let all: Attachments = client::get(&api, &Resource::Attachments).unwrap();
    assert_eq!(all, Attachments::default());

    // An address that another pod has is refused, and told; what was there stays.
    reserve(&api, &request("web-2")).unwrap();
    let (status, why) = refused(place(&api, "web-2", "10.47.255.236"));
    assert_eq!(status, 503, "{why}");
    assert!(
        why.contains("ns-user-1/web-2 is refused: address 10.47.255.236 is that of vif web"),
        "{why}"
    );
    assert_eq!(refused(reserve(&api, &request("web-2"))).0, 409);
    let one: Attachment = client::get(&api, &resource("web-2")).unwrap();
    assert!(!one.forwarding && one.why.is_some(), "{one:?}");
}

#[test]
fn without_a_state_nothing_can_be_registered() {
    let mut bench = Bench::new();
    bench.start();
    bench.wait_in_sync(1);
    let (status, why) = refused(reserve(&bench.api(), &request("web-2")));
    assert_eq!(status, 503);
    assert!(why.contains("--state"), "{why}");
}
