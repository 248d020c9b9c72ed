//! What the end-to-end tests share: one lab a test program, used by one test at a time.
//!
//! The lab is the chapter's: client and one backend on `cent222`, another backend on `cent333`, all through Verilated cards.
//! The programs and the firmware must have been built (`cargo build --workspace --bins`, `cargo xtask build-firmware`;
//! `cargo xtask test` does both).

// Each test program uses a part of this.
#![allow(dead_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use penstock_lab::testbed::Testbed;

pub(crate) const CLIENT: &str = "client";
pub(crate) const CLIENT_IP: &str = "10.47.255.237";
pub(crate) const NODE_A: &str = "cent222";
pub(crate) const NODE_B: &str = "cent333";
pub(crate) const LOCAL: &str = "webserver-846c9ccb8b-xkjpw";
pub(crate) const REMOTE: &str = "webserver-846c9ccb8b-g27dj";
pub(crate) const LOCAL_IP: &str = "10.47.255.236";
pub(crate) const REMOTE_IP: &str = "10.47.255.238";
pub(crate) const SERVICE: &str = "service-web-clusterip";
pub(crate) const WEB: &str = "10.105.139.153:8888";
/// Time for anything that two simulated cards on a busy machine do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// A lab for the time of one test; prints diagnostics if the test fails.
pub(crate) struct Guard(MutexGuard<'static, Testbed>);

impl std::ops::Deref for Guard {
    type Target = Testbed;

    fn deref(&self) -> &Testbed {
        &self.0
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.0.diagnostics());
        }
    }
}

/// The lab of this test program, with the chapter's service on both cards.
pub(crate) fn lab() -> Guard {
    static LAB: OnceLock<Mutex<Testbed>> = OnceLock::new();
    let lab = LAB.get_or_init(|| Mutex::new(up()));
    // A test that failed has not necessarily harmed the lab.
    Guard(lab.lock().unwrap_or_else(PoisonError::into_inner))
}

fn up() -> Testbed {
    let own = std::env::current_exe().unwrap();
    // target/debug/deps/e2e_traffic-0123 -> target/debug
    let folder = own.parent().and_then(Path::parent).unwrap();
    let image = root().join("target/firmware/penstock-fw.hex");
    let name = format!("e2e-{}", std::process::id());
    let bed = Testbed::up(&name, folder, &image, None, true, |_| {}).unwrap();
    let ready = bed.wait_ready(PATIENCE).and_then(|()| {
        for file in ["pods.yaml", "service-web-clusterip.yaml"] {
            bed.apply(file, &manifest(&format!("chapter/manifests/{file}")))?;
        }
        bed.apply("services.yaml", &manifest("e2e/services.yaml"))?;
        bed.wait_members(SERVICE, 2, PATIENCE)?;
        bed.wait_members("echo", 2, PATIENCE)?;
        bed.wait_members("myself", 1, PATIENCE)
    });
    if let Err(error) = ready {
        panic!("the lab does not get ready: {error:#}\n{}", bed.diagnostics());
    }
    bed
}

/// Folder of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// A committed manifest.
pub(crate) fn manifest(path: &str) -> String {
    fs::read_to_string(root().join("tests/manifests").join(path)).unwrap()
}

/// Runs a command in a place of the lab: whether it succeeded, and all it said.
pub(crate) fn run(lab: &Testbed, place: &str, argv: &[&str]) -> (bool, String) {
    let output = lab.exec(place, argv).unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}
