//! `penstock card hold` over real processes: what its child stores outlives the child, which is killed.
#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use sd_notify::NotifyState;

const LONG: Duration = Duration::from_secs(20);

/// Not a test by itself: the command that a holder runs. It stores a pipe with a byte in it, or finds one and reads on.
#[test]
fn stand_in() {
    if std::env::var_os("PENSTOCK_STAND_IN").is_none() {
        return;
    }
    let mut inherited = penstock_device::inherited_fds().unwrap();
    let names: Vec<String> = inherited.iter().map(|(name, _)| name.clone()).collect();
    let mut note = String::new();
    if names.is_empty() {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"abc").unwrap();
        for (name, fd) in [("pipe-out", reader.as_fd()), ("pipe-in", writer.as_fd())] {
            sd_notify::notify_with_fds(&[NotifyState::FdStore, NotifyState::FdName(name)], &[fd])
                .unwrap();
        }
        std::mem::forget((reader, writer));
    } else if names[0] == "pipe-out" {
        let mut byte = [0];
        File::from(inherited.remove(0).1).read_exact(&mut byte).unwrap();
        note = format!(" read {}", char::from(byte[0]));
        if byte == *b"c" {
            let forget = [NotifyState::FdStoreRemove, NotifyState::FdName("pipe-out")];
            sd_notify::notify(&forget).unwrap();
        }
    }
    // The harness has the standard output.
    eprintln!("up {} with {}{note}", std::process::id(), names.join(","));
    let mut line = String::new();
    // Ends by a signal only: the holder's test keeps this open.
    io::stdin().read_line(&mut line).unwrap();
}

struct Holder {
    child: Child,
    lines: Receiver<String>,
}

impl Holder {
    fn start(command: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_penstock"))
            .args(["card", "hold", "--"])
            .args(command)
            .env("PENSTOCK_STAND_IN", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr: ChildStderr = child.stderr.take().unwrap();
        let (to, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = to.send(line);
            }
        });
        Self { child, lines }
    }

    fn stand_in() -> Self {
        let own = std::env::current_exe().unwrap();
        Self::start(&[own.to_str().unwrap(), "--exact", "stand_in", "--nocapture"])
    }

    /// The next line that contains `part`.
    fn line(&self, part: &str) -> String {
        let end = Instant::now() + LONG;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).unwrap_or_else(|e| panic!("no `{part}`: {e}"));
            if line.contains(part) {
                return line;
            }
        }
    }

    /// The number of the stand-in that reports, and the rest of what it says.
    fn up(&self) -> (Pid, String) {
        let line = self.line("up ");
        let words = line.split_once("up ").unwrap().1;
        let (pid, rest) = words.split_once(' ').unwrap();
        (Pid::from_raw(pid.parse().unwrap()).unwrap(), rest.to_owned())
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
    }
}

#[test]
fn what_is_stored_outlives_a_kill_and_ends_with_the_holder() {
    let mut holder = Holder::stand_in();
    let (mut pid, first) = holder.up();
    assert_eq!(first, "with ");
    for byte in ["a", "b", "c"] {
        kill_process(pid, Signal::KILL).unwrap();
        holder.line("(signal: 9 (SIGKILL)); starting it again in");
        let (next, rest) = holder.up();
        assert_ne!(next, pid);
        assert_eq!(rest, format!("with pipe-out,pipe-in read {byte}"), "not the same pipe");
        pid = next;
    }
    // The last one had one of them removed.
    kill_process(pid, Signal::KILL).unwrap();
    let (pid, rest) = holder.up();
    assert_eq!(rest, "with pipe-in");
    kill_process(Pid::from_child(&holder.child), Signal::TERM).unwrap();
    assert!(holder.child.wait().unwrap().success());
    assert!(rustix::process::test_kill_process(pid).is_err(), "the command outlived its holder");
}

#[test]
fn a_command_that_ends_at_once_is_started_at_growing_intervals() {
    let holder = Holder::start(&["false"]);
    for ms in [100, 200, 400] {
        let line = holder.line("ended");
        assert!(
            line.contains(&format!("(exit status: 1); starting it again in {ms} ms")),
            "{line}"
        );
    }
}

#[test]
fn a_command_that_is_not_there_ends_the_holder() {
    let mut holder = Holder::start(&["/nonexistent/penstockd"]);
    holder.line("/nonexistent/penstockd: No such file or directory");
    holder.line("error: /nonexistent/penstockd cannot be started");
    assert_eq!(holder.child.wait().unwrap().code(), Some(1));
}

#[test]
fn a_signal_is_passed_on_and_ends_both() {
    // The shell would be restarted if its end were not asked for.
    let mut holder = Holder::start(&[
        "sh",
        "-c",
        "trap 'echo got TERM >&2; exit 3' TERM; echo up >&2; while :; do sleep 0.05; done",
    ]);
    holder.line("up");
    kill_process(Pid::from_child(&holder.child), Signal::TERM).unwrap();
    holder.line("got TERM");
    assert!(holder.child.wait().unwrap().success());
}

#[test]
fn the_command_takes_signals_as_usual() {
    let holder = Holder::start(&["dd", "status=none", "if=/proc/self/status", "of=/dev/stderr"]);
    assert_eq!(holder.line("SigBlk:"), "SigBlk:\t0000000000000000");
}
