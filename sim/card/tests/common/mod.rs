//! A card in a process of its own, ended with the test.
#![allow(unreachable_pub)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

/// Longest start-up accepted, on a machine that is busy with other tests.
const START: Duration = Duration::from_secs(60);

pub struct CardProcess {
    child: Child,
    dir: tempfile::TempDir,
}

impl CardProcess {
    #[allow(dead_code)]
    pub fn start(args: &[&str]) -> Self {
        Self::start_under(&[], args)
    }

    /// Starts the card as the last argument of `wrapper`, which must replace itself by it.
    pub fn start_under(wrapper: &[&str], args: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("card.sock");
        let card = env!("CARGO_BIN_EXE_penstock-card");
        let words: Vec<&str> = wrapper.iter().copied().chain([card]).collect();
        let mut child = Command::new(words[0])
            .args(&words[1..])
            .arg("--socket")
            .arg(&socket)
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (to, from) = channel();
        std::thread::spawn(move || {
            lines.find_map(|l| l.ok().filter(|l| l == "ready")).map(|l| to.send(l))
        });
        let ready = from.recv_timeout(START);
        if ready.is_err() {
            let _ = child.kill();
            panic!("the card did not become ready");
        }
        Self { child, dir }
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("card.sock")
    }

    #[allow(dead_code)]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    #[allow(dead_code)]
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    pub fn spec(&self) -> String {
        format!("vfio-user:{}", self.socket().display())
    }

    /// SIGKILL, as a crash.
    #[allow(dead_code)]
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; the card must end in good order, which includes that no assertion of the RTL failed.
    pub fn end(mut self) {
        let pid = nix::unistd::Pid::from_raw(self.child.id() as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "the card ended with {status}");
    }
}

impl Drop for CardProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
