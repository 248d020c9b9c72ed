//! Kernel network stacks on both sides of the card: two network namespaces that reach each other only through its TAP ports.
#![allow(clippy::unwrap_used)]

mod common;

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::CardProcess;
use penstock_abi::table::{TableId, Vif, VifKind, VifStats};
use penstock_device::{Card, open};

/// A namespace, kept alive by a process that sleeps in it.
struct Namespace {
    child: Child,
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn in_namespace(pid: u32, words: &[&str]) -> Command {
    let mut command = Command::new("nsenter");
    command
        .args(["--preserve-credentials", "--user", "--net", "--target", &pid.to_string(), "--"])
        .args(words);
    command
}

fn must(pid: u32, line: &str) {
    let words: Vec<&str> = line.split(' ').collect();
    let output = in_namespace(pid, &words).output().unwrap();
    assert!(output.status.success(), "`{line}`: {}", String::from_utf8_lossy(&output.stderr));
}

/// A network namespace beside that of `pid`, in the same user namespace.
fn namespace_beside(pid: u32) -> Namespace {
    let own = |pid: u32| std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
    let mut command = in_namespace(pid, &["unshare", "--net", "sleep", "600"]);
    let child = command.stdout(Stdio::null()).spawn().unwrap();
    let namespace = Namespace { child };
    let deadline = Instant::now() + Duration::from_secs(10);
    let here = own(std::process::id());
    // nsenter and unshare replace themselves by what they start: the process is in the end in a namespace of its own.
    while [here.clone(), own(pid)].contains(&own(namespace.child.id())) {
        assert!(Instant::now() < deadline, "no second namespace");
        std::thread::sleep(Duration::from_millis(5));
    }
    namespace
}

#[test]
fn two_kernels_ping_each_other_through_the_card() {
    let process = CardProcess::start_under(
        &["unshare", "--user", "--map-root-user", "--net"],
        &["--port", "fabric0:0=tap:fab0", "--port", "vhost0:1=tap:vhost0"],
    );
    let near = process.pid() as u32;
    let far = namespace_beside(near);
    let far_pid = far.child.id();
    must(near, &format!("ip link set vhost0 netns {far_pid}"));
    must(near, "ip addr add 10.9.0.1/24 dev fab0");
    must(near, "ip link set fab0 up");
    must(far_pid, "ip addr add 10.9.0.2/24 dev vhost0");
    must(far_pid, "ip link set vhost0 up");

    let mut card = Card::attach(open(&process.spec()).unwrap()).unwrap();
    let vif = |kind| Vif { valid: true, kind, ..Vif::default() };
    card.write(0, vif(VifKind::Fabric)).unwrap();
    card.write(1, vif(VifKind::Vhost)).unwrap();

    let ping = |count: &str, bytes: &str| {
        let words =
            ["ping", "-q", "-n", "-c", count, "-i", "0.02", "-W", "5", "-s", bytes, "10.9.0.1"];
        in_namespace(far_pid, &words).stdout(Stdio::null()).status().unwrap().success()
    };
    assert!(!ping("1", "56"), "a card that is not enabled forwards");
    card.set_enabled(true).unwrap();
    for bytes in ["0", "56", "1472"] {
        assert!(ping("20", bytes), "{bytes} bytes");
    }
    let stats: VifStats = card.read(TableId::VifStats, 1).unwrap();
    assert!(stats.rx_packets >= 60 && stats.tx_packets >= 60, "{stats:?}");
    // The host leaves: the data path goes on.
    drop(card);
    assert!(ping("5", "56"), "without a host");
    process.end();
}
