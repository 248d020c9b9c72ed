//! Session affinity as Kubernetes means it: upstream's cases of `[sig-network] Services`, under their names, through two simulated cards.

#![allow(clippy::unwrap_used)]

mod e2e;

use e2e::{CLIENT, LOCAL, NODE_A, PATIENCE, REMOTE, SERVICE, WEB, lab, manifest};
use penstock_lab::testbed::{Testbed, wait};

const FILE: &str = "service-web-clusterip.yaml";
/// Connections after which a client that goes anywhere has met both pods, all but surely.
const CONNECTIONS: usize = 20;
/// Seconds after which a client is forgotten.
const TIMEOUT_S: u64 = 10;

/// Gives the service affinity, or takes it away.
fn change(lab: &Testbed, timeout_s: Option<u64>) {
    let service = manifest(&format!("chapter/manifests/{FILE}"));
    let text = match timeout_s {
        None => service,
        Some(seconds) => service.replacen(
            "  type: ClusterIP\n",
            &format!(
                "  type: ClusterIP\n  sessionAffinity: ClientIP\n  sessionAffinityConfig: {{ clientIP: {{ timeoutSeconds: {seconds} }} }}\n"
            ),
            1,
        ),
    };
    lab.apply(FILE, &text).unwrap();
    let shown = timeout_s.map(|seconds| format!("{seconds} s"));
    wait("the service as it is asked for", PATIENCE, || {
        let text = lab.penstock(NODE_A, &["explain", "svc", &format!("ns-user-1/{SERVICE}")])?;
        let has = match &shown {
            Some(shown) => text.contains(shown),
            None => !text.contains("ffinity"),
        };
        Ok(has.then_some(()))
    })
    .unwrap();
}

/// Which pod answers a new connection.
fn pod(lab: &Testbed) -> &'static str {
    let page = lab.curl(CLIENT, &format!("http://{WEB}/"), 30).unwrap();
    [LOCAL, REMOTE].iter().find(|pod| page.contains(**pod)).unwrap_or_else(|| panic!("{page}"))
}

/// Whether connections come to one pod only.
fn is_sticky(lab: &Testbed) -> bool {
    let first = pod(lab);
    (1..CONNECTIONS).all(|_| pod(lab) == first)
}

/// Seconds of card time.
fn card_time(lab: &Testbed) -> anyhow::Result<u64> {
    let card = &lab.json(NODE_A, &["status"])?["device"]["card"];
    let number = |name: &str| card[name].as_u64().unwrap_or_default();
    Ok(number("time_cycles") / (1000 * number("clock_khz")).max(1))
}

#[test]
fn should_have_session_affinity_work_for_service_with_type_cluster_ip() {
    let lab = lab();
    change(&lab, Some(10_800));
    assert!(is_sticky(&lab), "connections of one client come to both pods");
    change(&lab, None);
}

#[test]
fn should_be_able_to_switch_session_affinity_for_service_with_type_cluster_ip() {
    let lab = lab();
    change(&lab, None);
    assert!(!is_sticky(&lab), "all connections come to one pod, without affinity");
    change(&lab, Some(10_800));
    assert!(is_sticky(&lab), "connections of one client come to both pods");
    change(&lab, None);
    assert!(!is_sticky(&lab), "all connections come to one pod, again without affinity");
}

#[test]
fn should_have_session_affinity_timeout_work_for_service_with_type_cluster_ip() {
    let lab = lab();
    change(&lab, Some(TIMEOUT_S));
    assert!(is_sticky(&lab), "connections of one client come to both pods");
    // Each time that it was forgotten it is sent anywhere: twenty times to the same pod is once in a million.
    let before = pod(&lab);
    let moved = (0..20).any(|_| {
        let at = card_time(&lab).unwrap();
        wait("the client's time-out", PATIENCE, || {
            Ok((card_time(&lab)? > at + TIMEOUT_S + 1).then_some(()))
        })
        .unwrap();
        pod(&lab) != before
    });
    assert!(moved, "the client is never forgotten");
    change(&lab, None);
}
