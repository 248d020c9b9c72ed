//! Files as writers leave them behind, step by step; time is what the test says it is.

mod begin;
mod gone;
mod objects;

use std::fs;
use std::path::{Path, PathBuf};

use penstock_model::{Effect, ObjectId};
use tempfile::TempDir;

use super::*;
use crate::manifests::ManifestStore;

fn service(name: &str, last: usize) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{ name: {name}, namespace: shop }}\nspec: {{ clusterIP: 172.20.0.{last}, ports: [ {{ port: 80 }} ] }}\n"
    )
}

/// Services `NAME0`, `NAME1` ...
fn services(name: &str, count: usize) -> String {
    (0..count).map(|i| service(&format!("{name}{i}"), i + 1) + "---\n").collect()
}

/// A statement that there is nothing.
const NO_OBJECTS: &str = "apiVersion: v1\nkind: List\nitems: []\n";

fn follower(directory: &Path) -> Follower<ManifestStore> {
    let directory = directory.to_owned();
    Follower::new(Place::Directory(directory.clone()), ManifestStore::new(directory))
}

/// Names of services in a fragment.
fn served(fragment: &Fragment) -> Vec<String> {
    let names = fragment.objects.keys().filter_map(|id| match id {
        ObjectId::LoadBalancer(name) => Some(name.name.clone()),
        _ => None,
    });
    names.collect()
}

struct Bench {
    dir: TempDir,
    follower: Follower<ManifestStore>,
    now: Instant,
    /// What the last read led to.
    reading: Option<Reading>,
}

impl Bench {
    /// The manifests are at rest and not read yet.
    fn new(manifests: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let directory = dir.path().join("m");
        fs::create_dir(&directory).unwrap();
        let follower = follower(&directory);
        let bench = Self { dir, follower, now: Instant::now(), reading: None };
        for (name, text) in manifests {
            bench.write(name, text);
        }
        bench
    }

    fn directory(&self) -> PathBuf {
        self.dir.path().join("m")
    }

    /// Replaces a file, so that it differs from what was there however coarse the clock of the file system is.
    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let aside = self.dir.path().join("aside");
        fs::write(&aside, text).unwrap();
        fs::rename(aside, self.directory().join(name)).unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.directory().join(name)).unwrap();
    }

    fn step(&mut self, later: Duration) -> Step {
        self.now += later;
        self.follower.step(self.now)
    }

    /// Steps as the task does without events, for so long.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let step = self.follower.step(self.now);
            assert!(step.next > self.now, "a step that is due at once would spin");
            if step.reading.is_some() {
                self.reading = step.reading;
            }
            if step.next > end {
                self.now = end;
                return;
            }
            self.now = step.next;
        }
    }

    /// Until changes were noticed and read.
    fn settle(&mut self) {
        self.pass(POLL + 2 * QUIET);
    }

    fn fragment(&self) -> &Fragment {
        &self.reading.as_ref().expect("files were read").fragment
    }

    fn served(&self) -> Option<Vec<String>> {
        let fragment = &self.reading.as_ref()?.fragment;
        fragment.complete.then(|| served(fragment))
    }

    fn serves(&self, names: &[&str]) {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(self.served(), Some(names), "{}", self.errors());
    }

    /// What was found and is more than worth knowing.
    fn errors(&self) -> String {
        let Some(reading) = &self.reading else { return "not read".to_owned() };
        let all = reading.fragment.findings.iter();
        let all = all.flat_map(|(id, list)| list.iter().map(move |finding| (id, finding)));
        let errors = all.filter(|(_, finding)| finding.effect != Effect::Note);
        errors.map(|(id, finding)| format!("{id}: {finding}")).collect::<Vec<_>>().join("\n")
    }

    /// What is only worth knowing.
    fn notes(&self) -> Vec<String> {
        let all = self.fragment().findings.iter();
        let all = all.flat_map(|(id, list)| list.iter().map(move |finding| (id, finding)));
        let notes = all.filter(|(_, finding)| finding.effect == Effect::Note);
        notes.map(|(id, finding)| format!("{id}: {finding}")).collect()
    }
}

#[test]
fn files_are_read_when_two_looks_are_equal() {
    let mut bench = Bench::new(&[("a.yaml", &service("a", 1))]);
    assert!(bench.step(Duration::ZERO).reading.is_none());
    // Events may come at any time; the files have not been at rest for long enough.
    assert!(bench.step(QUIET / 2).reading.is_none());
    bench.write("a.yaml", service("b", 1));
    assert!(bench.step(QUIET).reading.is_none(), "another file than at the first look");
    bench.reading = bench.step(QUIET).reading;
    bench.serves(&["b"]);
    assert_eq!(bench.errors(), "");
    assert!(bench.step(POLL).reading.is_none(), "what is read is not read again");
}

#[test]
fn a_file_that_never_rests_holds_up_no_other() {
    let mut bench = Bench::new(&[("a.yaml", &service("a", 1)), ("b.yaml", &service("b", 2))]);
    bench.settle();
    bench.serves(&["a", "b"]);
    bench.write("b.yaml", service("b2", 2));
    let start = bench.now;
    bench.reading = None;
    for i in 0.. {
        assert!(bench.now - start <= PATIENCE + 2 * QUIET, "the others must not wait");
        bench.write("a.yaml", service("a", 1) + &"#".repeat(i));
        bench.reading = bench.step(QUIET).reading;
        if bench.reading.is_some() {
            break;
        }
    }
    bench.serves(&["a", "b2"]);
    let errors = bench.errors();
    assert!(errors.contains("a.yaml: is being written; what it was before stays"), "{errors}");
    bench.settle();
    assert_eq!(bench.errors(), "");
}

#[test]
fn a_file_that_changes_while_files_are_read_holds_up_no_other() {
    let mut bench = Bench::new(&[("a.yaml", &service("a", 1)), ("b.yaml", &service("b", 2))]);
    // What was looked at is not what is there any more when it is read.
    let overtaken = |bench: &mut Bench, text: &str| {
        let (place, now) = (bench.follower.place.clone(), bench.now);
        assert!(bench.follower.seen(Look::take(&place), now).reading.is_none());
        let look = Look::take(&place);
        bench.write("a.yaml", text);
        bench.now += QUIET;
        bench.reading = bench.follower.seen(look, bench.now).reading;
    };
    overtaken(&mut bench, &service("a1", 1));
    assert!(bench.reading.is_none(), "a card may serve what is being written");
    bench.settle();
    bench.serves(&["a1", "b"]);
    bench.write("a.yaml", service("between", 1));
    bench.write("b.yaml", service("b2", 2));
    overtaken(&mut bench, &service("a2", 1));
    bench.serves(&["a1", "b2"]);
    assert!(bench.errors().contains("a.yaml: is being written"), "{}", bench.errors());
    bench.settle();
    bench.serves(&["a2", "b2"]);
    assert_eq!(bench.errors(), "");
    // One that is not to be read does not matter before the next look.
    bench.write("b.yaml", service("b3", 2));
    overtaken(&mut bench, &service("a3", 1));
    bench.serves(&["a2", "b3"]);
    assert_eq!(bench.errors(), "");
    bench.settle();
    bench.serves(&["a3", "b3"]);
}

#[test]
fn a_file_without_objects_is_noted_if_it_never_had_any() {
    let mut bench = Bench::new(&[("a.yaml", &service("a", 1)), ("none.yaml", "# later\n")]);
    bench.settle();
    bench.serves(&["a"]);
    assert_eq!(bench.errors(), "");
    let notes = bench.notes();
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].ends_with("none.yaml: holds no object"), "{notes:?}");
}

#[test]
fn files_that_are_too_large_are_refused_alone() {
    let large = |bench: &Bench| {
        let file = fs::File::create(bench.directory().join("large.yaml")).unwrap();
        file.set_len(crate::MAX_FILE_BYTES + 1).unwrap();
    };
    let mut bench = Bench::new(&[("a.yaml", &service("a", 1)), ("large.yaml", &service("b", 2))]);
    bench.settle();
    large(&bench);
    bench.settle();
    bench.serves(&["a", "b"]);
    let limit = format!("more than the {} that a file may have", crate::MAX_FILE_BYTES);
    assert!(bench.errors().contains(&limit), "{}", bench.errors());
}

#[test]
fn a_link_above_the_directory_may_be_swapped() {
    let bench = Bench::new(&[]);
    let root = bench.dir.path();
    for (version, name) in [("1", "a"), ("2", "b")] {
        fs::create_dir_all(root.join(version).join("k8s")).unwrap();
        fs::write(root.join(version).join("k8s/x.yaml"), service(name, 1)).unwrap();
    }
    let point = |to: &str| {
        std::os::unix::fs::symlink(to, root.join("next")).unwrap();
        fs::rename(root.join("next"), root.join("current")).unwrap();
    };
    point("1");
    let mut follower = follower(&root.join("current/k8s"));
    let mut found = |mut now: Instant| {
        let mut last = None;
        let end = now + POLL + 2 * QUIET;
        while now < end {
            let step = follower.step(now);
            last = step.reading.or(last);
            now = step.next;
        }
        (served(&last.unwrap().fragment), end)
    };
    let (names, now) = found(bench.now);
    assert_eq!(names, ["a"]);
    point("2");
    assert_eq!(found(now).0, ["b"]);
}

#[test]
fn links_out_of_the_directory_are_followed() {
    let mut bench = Bench::new(&[]);
    let target = bench.dir.path().join("target");
    fs::write(&target, service("a", 1)).unwrap();
    std::os::unix::fs::symlink(&target, bench.directory().join("a.yaml")).unwrap();
    bench.settle();
    bench.serves(&["a"]);
    fs::write(&target, service("longer", 1)).unwrap();
    bench.settle();
    bench.serves(&["longer"]);
    // A link that leads nowhere is a file that cannot be read, and not one that was removed.
    fs::rename(&target, bench.dir.path().join("elsewhere")).unwrap();
    bench.settle();
    bench.serves(&["longer"]);
    assert!(bench.errors().contains("a.yaml: cannot be read: No such file"), "{}", bench.errors());
    bench.remove("a.yaml");
    bench.settle();
    bench.serves(&[]);
}

#[test]
fn files_that_are_again_what_they_were_are_read_again() {
    let mut bench = Bench::new(&[("a.yaml", &service("a", 1))]);
    bench.settle();
    bench.serves(&["a"]);
    // Another directory takes the place of the first, and one of its files never rests.
    let (away, other) = (bench.dir.path().join("away"), bench.dir.path().join("other"));
    fs::rename(bench.directory(), &away).unwrap();
    fs::create_dir(bench.directory()).unwrap();
    bench.write("b.yaml", service("b", 2));
    bench.reading = None;
    for i in 0.. {
        assert!(i < 100, "the file at rest must not wait");
        bench.write("c.yaml", service("c", 3) + &"#".repeat(i));
        bench.reading = bench.step(QUIET).reading;
        if bench.reading.is_some() {
            break;
        }
    }
    bench.serves(&["b"]);
    // The first one, which nobody touched meanwhile, comes back.
    fs::rename(bench.directory(), other).unwrap();
    fs::rename(away, bench.directory()).unwrap();
    bench.settle();
    bench.serves(&["a"]);
    assert_eq!(bench.errors(), "");
}

#[test]
fn what_the_kernel_refuses_is_tried_again() {
    let mut bench = Bench::new(&[("a.yaml", &service("a", 1))]);
    let link = bench.directory().join("b.yaml");
    std::os::unix::fs::symlink(Path::new("b.yaml"), &link).unwrap();
    bench.settle();
    bench.serves(&["a"]);
    assert!(bench.errors().contains("b.yaml: cannot be read"), "{}", bench.errors());
    bench.reading = None;
    bench.settle();
    assert!(bench.reading.is_some(), "the same file may be readable by now");
}

#[test]
fn what_is_no_file_is_noted() {
    let mut bench = Bench::new(&[("a.yaml", &service("a", 1))]);
    nix::unistd::mkfifo(&bench.directory().join("pipe.yaml"), nix::sys::stat::Mode::S_IRWXU)
        .unwrap();
    fs::create_dir(bench.directory().join("folder.yaml")).unwrap();
    bench.settle();
    bench.serves(&["a"]);
    let notes = bench.notes();
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].contains("pipe.yaml: is no file"), "{notes:?}");
}
