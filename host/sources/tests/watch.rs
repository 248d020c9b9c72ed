//! Files change, snapshots follow.

// Helpers outside of test functions unwrap too.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use penstock_sources::{Paths, State, Watch, load};
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

async fn until(states: &mut Receiver<State>, condition: impl Fn(&State) -> bool) -> State {
    let found = timeout(DEADLINE, states.wait_for(|state| condition(state))).await;
    found.expect("the state must come").expect("the watch must live").clone()
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
    let snapshot = load(&chapter(directory.path())).unwrap();
    assert_eq!(snapshot.node.name, "cent222");
    assert_eq!(snapshot.load_balancers.len(), 1);
    assert_eq!(snapshot.pods.len(), 3);
    assert_eq!(snapshot.notes, []);
}

#[test]
fn a_pod_elsewhere_than_its_vif_is_noted() {
    let directory = tempfile::tempdir().unwrap();
    let paths = chapter(directory.path());
    edit(&paths.manifests.join("pods.yaml"), "podIP: 10.47.255.237", "podIP: 10.47.255.99");
    let notes = load(&paths).unwrap().notes;
    assert_eq!(notes.len(), 1);
    assert!(notes[0].to_string().contains("has address 10.47.255.99, but vif 7 has 10.47.255.237"));
}

#[tokio::test]
async fn changes_come_as_whole_snapshots() {
    let directory = tempfile::tempdir().unwrap();
    let paths = chapter(directory.path());
    let watch = Watch::start(paths.clone()).unwrap();
    let mut states = watch.states();
    let members = |state: &State| {
        let balancer = state.snapshot.load_balancers.first();
        balancer.map_or(0, |b| b.listeners[0].pool.members.len())
    };
    assert_eq!(members(&states.borrow()), 2);

    edit(&service(&paths), "ready: true, serving: true", "ready: false, serving: false");
    until(&mut states, |state| members(state) == 0).await;

    // Replaced by renaming, as editors do.
    let aside = directory.path().join("aside");
    fs::copy(service(&paths), &aside).unwrap();
    edit(&aside, "ready: false", "ready: true");
    fs::rename(&aside, service(&paths)).unwrap();
    until(&mut states, |state| members(state) == 2).await;

    fs::remove_file(service(&paths)).unwrap();
    until(&mut states, |state| state.snapshot.load_balancers.is_empty()).await;

    edit(&paths.node, "name: spare-cent222\n    pod", "name: renamed\n    pod");
    until(&mut states, |state| state.snapshot.node.vifs[2].name == "renamed").await;
}

#[tokio::test]
async fn a_bad_manifest_keeps_the_last_good_snapshot() {
    let directory = tempfile::tempdir().unwrap();
    let paths = chapter(directory.path());
    let watch = Watch::start(paths.clone()).unwrap();
    let mut states = watch.states();
    let good = states.borrow().snapshot.clone();

    edit(&service(&paths), "port: 8888", "port: eighty");
    let state = until(&mut states, |state| state.error.is_some()).await;
    assert_eq!(state.snapshot, good);
    let error = state.error.expect("just seen").to_string();
    assert!(error.contains("service-web-clusterip.yaml:"), "{error}");

    edit(&service(&paths), "port: eighty", "port: 8889");
    let state = until(&mut states, |state| state.error.is_none()).await;
    assert_eq!(state.snapshot.load_balancers[0].listeners[0].port, 8889);
}

#[tokio::test]
async fn a_directory_that_is_replaced_is_followed() {
    let directory = tempfile::tempdir().unwrap();
    let paths = chapter(directory.path());
    let watch = Watch::start(paths.clone()).unwrap();
    let mut states = watch.states();
    let away = directory.path().join("away");
    fs::rename(&paths.manifests, &away).unwrap();
    let state = until(&mut states, |state| state.error.is_some()).await;
    assert_eq!(state.snapshot.load_balancers.len(), 1, "what is gone by accident stays in force");

    fs::create_dir(&paths.manifests).unwrap();
    until(&mut states, |s| s.error.is_none() && s.snapshot.load_balancers.is_empty()).await;
    copy_manifests(&away, &paths.manifests);
    until(&mut states, |s| s.error.is_none() && s.snapshot.load_balancers.len() == 1).await;
}
