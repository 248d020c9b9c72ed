//! Files change, intents follow.

// Helpers outside of test functions unwrap too.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use penstock_model::{Fragment, Intent, ObjectId, Policy, VifId};
use penstock_sources::{Paths, SourceStatus, Sources, load, load_node};
use tokio::sync::watch::Receiver;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(20);

/// A copy of the chapter's files.
fn chapter(directory: &Path) -> Paths {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/manifests/chapter");
    let paths = Paths { node: directory.join("node.yaml"), manifests: directory.join("manifests") };
    fs::create_dir(&paths.manifests).unwrap();
    fs::copy(from.join("cent222.yaml"), &paths.node).unwrap();
    copy_manifests(&from.join("manifests"), &paths.manifests);
    paths
}

fn copy_manifests(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

async fn until<T: Clone>(states: &mut Receiver<T>, condition: impl Fn(&T) -> bool) -> T {
    let found = timeout(DEADLINE, states.wait_for(|state| condition(state))).await;
    found.expect("the state must come").expect("the sources must live").clone()
}

/// Waits until a source says this of an object, or nothing.
async fn told(status: &mut Receiver<Arc<[SourceStatus]>>, source: usize, text: &str) {
    let said = |status: &Arc<[SourceStatus]>| {
        let mut all = status[source].findings.values().flat_map(|list| list.iter());
        if text.is_empty() {
            all.next().is_none()
        } else {
            all.any(|one| one.to_string().contains(text))
        }
    };
    until(status, said).await;
}

fn service(paths: &Paths) -> PathBuf {
    paths.manifests.join("service-web-clusterip.yaml")
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "the test must change something");
    fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn the_chapter_is_loaded() {
    let directory = tempfile::tempdir().unwrap();
    let intent = load(&chapter(directory.path()), Policy::default()).unwrap();
    assert!(intent.complete);
    assert_eq!(intent.node.unwrap().name, "cent222");
    assert_eq!((intent.balancers.len(), intent.pods.len(), intent.vifs.len()), (1, 3, 3));
    assert!(intent.findings.is_empty(), "{:?}", intent.findings);
}

#[test]
fn a_pod_elsewhere_than_its_vif_is_noted() {
    let directory = tempfile::tempdir().unwrap();
    let paths = chapter(directory.path());
    edit(&paths.manifests.join("pods.yaml"), "podIP: 10.47.255.237", "podIP: 10.47.255.99");
    let findings = load(&paths, Policy::default()).unwrap().findings;
    let (id, list) = findings.iter().next().unwrap();
    assert_eq!((findings.len(), id.to_string().as_str()), (1, "Pod ns-user-1/client"));
    assert!(list[0].to_string().contains("has address 10.47.255.99, but vif 7 has 10.47.255.237"));
}

/// Members of the chapter's service; none if it is not there.
fn members(intent: &Intent) -> Option<usize> {
    let balancer = intent.balancers.values().next()?;
    Some(balancer.listeners[0].pool.members.len())
}

#[tokio::test]
async fn changes_come_as_whole_intents() {
    let directory = tempfile::tempdir().unwrap();
    let paths = chapter(directory.path());
    let sources = Sources::of_files(&paths, Policy::default());
    let mut intents = sources.intents();
    let first = until(&mut intents, |intent| intent.complete).await;
    assert_eq!(members(&first), Some(2));

    edit(&service(&paths), "ready: true, serving: true", "ready: false, serving: false");
    until(&mut intents, |intent| members(intent) == Some(0)).await;

    // Replaced by renaming, as editors do.
    let aside = directory.path().join("aside");
    fs::copy(service(&paths), &aside).unwrap();
    edit(&aside, "ready: false", "ready: true");
    fs::rename(&aside, service(&paths)).unwrap();
    until(&mut intents, |intent| members(intent) == Some(2)).await;

    fs::remove_file(service(&paths)).unwrap();
    until(&mut intents, |intent| members(intent).is_none()).await;

    edit(&paths.node, "name: spare-cent222\n    pod", "name: renamed\n    pod");
    let last = until(&mut intents, |intent| intent.vifs[&VifId(9)].name == "renamed").await;
    // What did not change is the same allocation.
    assert!(Arc::ptr_eq(&last.vifs[&VifId(7)], &first.vifs[&VifId(7)]));
}

#[tokio::test]
async fn a_bad_manifest_keeps_what_it_last_gave() {
    let directory = tempfile::tempdir().unwrap();
    let paths = chapter(directory.path());
    let sources = Sources::of_files(&paths, Policy::default());
    let (mut intents, mut status) = (sources.intents(), sources.status());
    let good = until(&mut intents, |intent| intent.complete).await;

    edit(&service(&paths), "port: 8888", "port: eighty");
    told(&mut status, 1, "service-web-clusterip.yaml:").await;
    let found = until(&mut intents, |intent| !intent.findings.is_empty()).await;
    assert_eq!((&found.balancers, found.complete), (&good.balancers, true));
    let id = found.findings.keys().next().unwrap();
    assert!(matches!(id, ObjectId::LoadBalancer(_)), "{id}");

    // The other files go on.
    fs::remove_file(paths.manifests.join("pods.yaml")).unwrap();
    let found = until(&mut intents, |intent| intent.pods.is_empty()).await;
    assert_eq!((members(&found), found.findings.len()), (Some(2), 1));

    edit(&service(&paths), "port: eighty", "port: 8889");
    let found = until(&mut intents, |intent| intent.findings.is_empty()).await;
    assert_eq!(found.balancers.values().next().unwrap().listeners[0].port, 8889);
    told(&mut status, 1, "").await;
}

#[tokio::test]
async fn nothing_is_complete_before_both_sources_are() {
    let directory = tempfile::tempdir().unwrap();
    let paths = chapter(directory.path());
    let away = directory.path().join("away");
    fs::rename(&paths.node, &away).unwrap();
    let sources = Sources::of_files(&paths, Policy::default());
    let (mut intents, mut status) = (sources.intents(), sources.status());
    told(&mut status, 0, "node.yaml: cannot be read").await;
    until(&mut status, |status| status[0].stale && status[1].complete).await;
    until(&mut intents, |intent| members(intent).is_some() && !intent.complete).await;
    fs::rename(&away, &paths.node).unwrap();
    until(&mut intents, |intent| intent.complete && intent.node.is_some()).await;
    until(&mut status, |status| !status[0].stale && status[0].complete).await;
}

#[tokio::test]
async fn a_directory_that_is_replaced_is_followed() {
    let directory = tempfile::tempdir().unwrap();
    let paths = chapter(directory.path());
    let sources = Sources::of_files(&paths, Policy::default());
    let (mut intents, mut status) = (sources.intents(), sources.status());
    until(&mut intents, |intent| intent.complete).await;
    let away = directory.path().join("away");
    fs::rename(&paths.manifests, &away).unwrap();
    until(&mut status, |status| status[1].stale).await;
    assert_eq!(members(&intents.borrow()), Some(2), "what is gone by accident stays in force");

    fs::create_dir(&paths.manifests).unwrap();
    edit(&away.join("service-web-clusterip.yaml"), "port: 8888", "port: 8889");
    copy_manifests(&away, &paths.manifests);
    let port = |intent: &Arc<Intent>| Some(intent.balancers.values().next()?.listeners[0].port);
    until(&mut intents, |intent| intent.findings.is_empty() && port(intent) == Some(8889)).await;
}

#[test]
fn one_read_refuses_a_directory_with_any_fault() {
    let directory = tempfile::tempdir().unwrap();
    let paths = chapter(directory.path());
    let error = |paths: &Paths| load(paths, Policy::default()).unwrap_err().to_string();
    fs::write(paths.manifests.join("bad.yaml"), "kind: [").unwrap();
    assert!(error(&paths).contains("bad.yaml:1: "), "{}", error(&paths));
    // One object is enough, or one that is there twice.
    let text = fs::read_to_string(service(&paths)).unwrap();
    fs::write(paths.manifests.join("bad.yaml"), text.replace("port: 8888", "port: x")).unwrap();
    assert!(error(&paths).contains("bad.yaml:"), "{}", error(&paths));
    assert!(
        error(&paths).contains("Service ns-user-1/service-web-clusterip: "),
        "{}",
        error(&paths)
    );
    fs::write(paths.manifests.join("bad.yaml"), text).unwrap();
    assert!(error(&paths).contains("is also in"), "{}", error(&paths));
    fs::remove_dir_all(&paths.manifests).unwrap();
    let error = error(&paths);
    assert!(error.contains("manifests: cannot be read: No such file"), "{error}");
}

#[test]
fn a_node_file_alone_is_read_strictly() {
    let directory = tempfile::tempdir().unwrap();
    let paths = chapter(directory.path());
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/etc/node.yaml");
    assert!(load_node(&example).unwrap().complete);
    let intent = load_node(&paths.node).unwrap();
    assert_eq!((intent.complete, intent.vifs.len(), intent.rib.len()), (true, 3, 2));
    edit(&paths.node, "label: 28", "label: 25");
    let error = load_node(&paths.node).unwrap_err().to_string();
    assert!(error.contains("label 25 is that of vif client"), "{error}");
}

#[tokio::test]
async fn the_end_of_a_source_is_told() {
    let (sender, fragments) = tokio::sync::watch::channel(Fragment::empty("x"));
    let sources = Sources::start(vec![fragments], Policy::default());
    let (mut intents, status) = (sources.intents(), sources.status());
    sender.send_modify(|fragment| fragment.complete = true);
    until(&mut intents, |intent| intent.complete).await;
    assert!(status.borrow()[0].complete);
    drop(sender);
    let ended = async { while intents.changed().await.is_ok() {} };
    timeout(DEADLINE, ended).await.expect("nobody may go by what was published for ever");
}
