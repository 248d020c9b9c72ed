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

fn balancers(state: &State) -> usize {
    state.snapshot.as_ref().map_or(0, |snapshot| snapshot.load_balancers.len())
}

/// Members of the chapter's service; none if it is not there.
fn members(state: &State) -> Option<usize> {
    let balancer = state.snapshot.as_ref()?.load_balancers.first()?;
    Some(balancer.listeners[0].pool.members.len())
}

#[tokio::test]
async fn changes_come_as_whole_snapshots() {
    let directory = tempfile::tempdir().unwrap();
    let paths = chapter(directory.path());
    let watch = Watch::start(paths.clone());
    let mut states = watch.states();
    until(&mut states, |state| members(state) == Some(2)).await;

    edit(&service(&paths), "ready: true, serving: true", "ready: false, serving: false");
    until(&mut states, |state| members(state) == Some(0)).await;

    // Replaced by renaming, as editors do.
    let aside = directory.path().join("aside");
    fs::copy(service(&paths), &aside).unwrap();
    edit(&aside, "ready: false", "ready: true");
    fs::rename(&aside, service(&paths)).unwrap();
    until(&mut states, |state| members(state) == Some(2)).await;

    fs::remove_file(service(&paths)).unwrap();
    until(&mut states, |state| members(state).is_none()).await;

    edit(&paths.node, "name: spare-cent222\n    pod", "name: renamed\n    pod");
    let renamed = |state: &State| {
        state.snapshot.as_ref().is_some_and(|snapshot| snapshot.node.vifs[2].name == "renamed")
    };
    until(&mut states, renamed).await;
}

#[tokio::test]
async fn a_bad_manifest_keeps_what_it_last_gave() {
    let directory = tempfile::tempdir().unwrap();
    let paths = chapter(directory.path());
    let watch = Watch::start(paths.clone());
    let mut states = watch.states();
    let good = until(&mut states, |state| state.snapshot.is_some()).await.snapshot;

    edit(&service(&paths), "port: 8888", "port: eighty");
    let state = until(&mut states, |state| state.error.is_some()).await;
    assert_eq!(state.snapshot, good);
    let error = state.error.expect("just seen").to_string();
    assert!(error.contains("service-web-clusterip.yaml:"), "{error}");

    // The other files go on.
    fs::remove_file(paths.manifests.join("pods.yaml")).unwrap();
    let pods = |state: &State| state.snapshot.as_ref().is_some_and(|s| s.pods.is_empty());
    let state = until(&mut states, pods).await;
    assert_eq!((members(&state), state.error.is_some()), (Some(2), true));

    edit(&service(&paths), "port: eighty", "port: 8889");
    let state = until(&mut states, |state| state.error.is_none()).await;
    let snapshot = state.snapshot.expect("there was one");
    assert_eq!(snapshot.load_balancers[0].listeners[0].port, 8889);
}

#[tokio::test]
async fn a_directory_that_is_replaced_is_followed() {
    let directory = tempfile::tempdir().unwrap();
    let paths = chapter(directory.path());
    let watch = Watch::start(paths.clone());
    let mut states = watch.states();
    until(&mut states, |state| balancers(state) == 1).await;
    let away = directory.path().join("away");
    fs::rename(&paths.manifests, &away).unwrap();
    let state = until(&mut states, |state| state.error.is_some()).await;
    assert_eq!(balancers(&state), 1, "what is gone by accident stays in force");

    fs::create_dir(&paths.manifests).unwrap();
    edit(&away.join("service-web-clusterip.yaml"), "port: 8888", "port: 8889");
    copy_manifests(&away, &paths.manifests);
    let port = |state: &State| {
        let balancer = state.snapshot.as_ref()?.load_balancers.first()?;
        Some(balancer.listeners[0].port)
    };
    until(&mut states, |state| state.error.is_none() && port(state) == Some(8889)).await;
}

#[test]
fn one_read_refuses_a_directory_with_any_fault() {
    let directory = tempfile::tempdir().unwrap();
    let paths = chapter(directory.path());
    fs::write(paths.manifests.join("bad.yaml"), "kind: [").unwrap();
    assert!(load(&paths).unwrap_err().to_string().contains("bad.yaml:1: "));
    fs::remove_dir_all(&paths.manifests).unwrap();
    let error = load(&paths).unwrap_err().to_string();
    assert!(error.contains("manifests: cannot be read: No such file"), "{error}");
}
