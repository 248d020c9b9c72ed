//! `penstock node` in network namespaces of its own, with real nftables: what is set up, that all is as before afterwards, whatever
//! happened meanwhile, and that others' rules stay.
//!
//! A test runs itself again within new namespaces, so it needs no privilege where users may make some.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Set in a namespace.
const INSIDE: &str = "PENSTOCK_TEST_NAMESPACE";
const RANGES: [&str; 6] = [
    "--pod-cidr",
    "10.47.0.0/16",
    "--service-cidr",
    "10.96.0.0/12",
    "--node-cidr",
    "10.169.25.0/24",
];

/// Runs a test in namespaces of its own; true in there.
fn inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let there = |program: &str| Command::new(program).arg("--version").output().is_ok();
    assert!(there("nft"), "nft is missing: run `cargo xtask setup`");
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare, of util-linux");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{test} in a namespace:\n{text}\n{errors}");
    assert!(text.contains("1 passed"), "{text}");
    false
}

fn sh(line: &str) -> String {
    let output = Command::new("sh").args(["-c", line]).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// A node with its own interface, and a place for the state.
struct Node {
    dir: tempfile::TempDir,
}

impl Node {
    fn new() -> Self {
        sh(
            "ip link set lo up; ip tuntap add name vhost0 mode tap; ip link set vhost0 up; ip addr add 10.169.25.20/24 dev vhost0",
        );
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("run/state.json")
    }

    fn command(&self, verb: &str, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_penstock"));
        command.args(["node", verb, "--state"]).arg(self.state()).args(more);
        command
    }

    fn run(&self, verb: &str, more: &[&str]) -> String {
        told(self.command(verb, more).output().unwrap())
    }

    /// What it says when it does not work.
    fn fails(&self, verb: &str, more: &[&str]) -> String {
        let output = self.command(verb, more).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// A folder with an `nft` that ends its parent at the n-th call.
    fn deadly(&self, call: u32) -> PathBuf {
        let folder = self.dir.path().join(format!("bin{call}"));
        fs::create_dir_all(&folder).unwrap();
        let real = sh("command -v nft");
        let script = format!(
            "#!/bin/sh\necho >> {0}/calls\n[ $(wc -l < {0}/calls) = {call} ] && kill -9 $PPID && exit 1\nexec {1} \"$@\"\n",
            folder.display(),
            real.trim()
        );
        fs::write(folder.join("nft"), script).unwrap();
        fs::set_permissions(folder.join("nft"), fs::Permissions::from_mode(0o755)).unwrap();
        folder
    }
}

fn told(output: Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn settings(folder: &Path, into: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            settings(&path, into);
        } else if let Ok(text) = fs::read_to_string(&path) {
            into.insert(path.display().to_string(), text);
        }
    }
}

/// All that could have been changed.
fn everything() -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    settings(Path::new("/proc/sys/net/ipv4"), &mut all);
    for command in
        ["ip route show table all", "ip rule", "ip neigh show nud permanent", "nft list ruleset"]
    {
        all.insert(command.to_owned(), sh(command));
    }
    all
}

fn setting(name: &str) -> String {
    fs::read_to_string(Path::new("/proc/sys/net/ipv4").join(name)).unwrap().trim().to_owned()
}

fn is_set_up() {
    let route = sh("ip route get 10.96.0.1");
    assert!(route.contains("via 169.254.1.1 dev vhost0 src 10.169.25.20"), "{route}");
    let neighbours = sh("ip neigh show dev vhost0");
    assert!(neighbours.contains("169.254.1.1 lladdr 00:00:5e:00:01:00 PERMANENT"), "{neighbours}");
    for (name, value) in [
        ("ip_forward", "1"),
        ("conf/vhost0/forwarding", "1"),
        ("conf/vhost0/send_redirects", "0"),
        ("conf/all/send_redirects", "0"),
        ("conf/vhost0/rp_filter", "2"),
    ] {
        assert_eq!(setting(name), value, "{name}");
    }
    let back = sh("ip route get 10.169.25.21 mark 0x2000");
    assert!(back.contains("via 169.254.1.1 dev vhost0"), "{back}");
    let straight = sh("ip route get 10.169.25.21");
    assert!(!straight.contains("via"), "{straight}");
    let rules = sh("nft list table ip penstock");
    for part in [
        "elements = { 10.47.0.0/16, 10.96.0.0/12 }",
        "10.96.0.0/12",
        "10.169.25.0/24",
        "ip saddr @behind ip daddr != @inside counter packets",
        "type nat hook postrouting priority srcnat + 5",
        "masquerade",
        "iifname \"vhost0\" ether saddr 00:00:5e:00:01:00 ct direction original ct mark set ct mark | 0x00002000",
        "type route hook output priority mangle",
    ] {
        assert!(rules.contains(part), "{part}: {rules}");
    }
}

#[test]
fn teardown_restores_every_value() {
    if !inside("teardown_restores_every_value") {
        return;
    }
    let node = Node::new();
    sh("echo 1 > /proc/sys/net/ipv4/conf/vhost0/rp_filter");
    sh("echo 1 > /proc/sys/net/ipv4/conf/lo/forwarding");
    let before = everything();
    let text = node.run("setup", &RANGES);
    assert_eq!(text, "the node is set up\n");
    is_set_up();
    assert_eq!(node.run("teardown", &[]), "the node is as before\n");
    assert_eq!(everything(), before);
    assert!(!node.state().exists());
    assert_eq!(node.run("teardown", &[]), "nothing was set up\n");
    assert_eq!(everything(), before);
}

#[test]
fn a_set_up_that_is_repeated_changes_nothing_and_forgets_nothing() {
    if !inside("a_set_up_that_is_repeated_changes_nothing_and_forgets_nothing") {
        return;
    }
    let node = Node::new();
    let before = everything();
    node.run("setup", &RANGES);
    let once = everything();
    node.run("setup", &RANGES);
    assert_eq!(everything(), once);
    // What is lost comes back; what is no more wanted goes.
    sh(
        "ip route del 10.96.0.0/12; ip neigh del 169.254.1.1 dev vhost0; nft delete table ip penstock; ip rule del priority 112",
    );
    node.run("setup", &RANGES);
    assert_eq!(everything(), once);
    node.run("setup", &["--pod-cidr", "10.48.0.0/16", "--service-cidr", "10.96.0.0/12"]);
    node.run("setup", &["--pod-cidr=10.48.0.0/16", "--service-cidr=10.96.0.0/12", "--mark=0x40"]);
    let rules = sh("ip rule");
    assert!(rules.contains("fwmark 0x40/0x40 lookup 112") && !rules.contains("0x2000"), "{rules}");
    let routes = sh("ip route");
    assert!(routes.contains("10.48.0.0/16") && !routes.contains("10.47.0.0/16"), "{routes}");
    node.run("teardown", &[]);
    assert_eq!(everything(), before);
}

/// Killed at each of its steps, it can be taken back, and gone on with.
#[test]
fn one_that_was_killed_is_taken_back() {
    if !inside("one_that_was_killed_is_taken_back") {
        return;
    }
    let node = Node::new();
    // So that there are calls of nft after all else, too.
    sh("nft add table inet firewall");
    sh(
        "nft 'add chain inet firewall forward { type filter hook forward priority 0; policy drop; }'",
    );
    let before = everything();
    let (mut killed, mut changed) = (0, 0);
    for call in 1.. {
        let path = format!("{}:{}", node.deadly(call).display(), std::env::var("PATH").unwrap());
        let setup = || node.command("setup", &RANGES).env("PATH", &path).output().unwrap();
        let output = setup();
        if output.status.signal().is_none() {
            assert!(output.status.success(), "{output:?}");
            break;
        }
        killed += 1;
        changed += u32::from(everything() != before);
        node.run("teardown", &[]);
        assert_eq!(everything(), before, "after a death at call {call}");
        // And what was begun is gone on with: the count goes on, so this one lives.
        fs::write(node.dir.path().join(format!("bin{call}/calls")), "").unwrap();
        assert!(setup().status.signal().is_some());
        node.run("setup", &RANGES);
        is_set_up();
        node.run("teardown", &[]);
        assert_eq!(everything(), before, "after call {call} and another run");
    }
    assert!(killed >= 4 && changed >= 2, "{killed} {changed}");
    node.run("teardown", &[]);
    assert_eq!(everything(), before);
}

/// Docker's and firewalls' chains drop what is forwarded, and would drop what ours accepts.
#[test]
fn chains_of_others_that_drop_let_pass() {
    if !inside("chains_of_others_that_drop_let_pass") {
        return;
    }
    let node = Node::new();
    sh("nft add table ip filter");
    sh("nft 'add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }'");
    sh("nft add rule ip filter FORWARD iifname docker0 counter accept");
    // As kube-proxy's nftables mode has it: translates, drops nothing.
    sh("nft add table ip kube-proxy");
    sh(
        "nft 'add chain ip kube-proxy nat-postrouting { type nat hook postrouting priority srcnat; }'",
    );
    sh("nft 'add rule ip kube-proxy nat-postrouting meta mark & 0x4000 == 0x4000 masquerade'");
    let before = everything();
    let text = node.run("setup", &RANGES);
    assert!(text.contains("note: the chain ip filter FORWARD drops what is forwarded"), "{text}");
    let chain = sh("nft list chain ip filter FORWARD");
    let at = |part: &str| chain.find(part).unwrap_or_else(|| panic!("{part}: {chain}"));
    assert!(at("iifname \"vhost0\" counter") < at("iifname \"docker0\""), "{chain}");
    at("oifname \"vhost0\" counter");
    if let Ok(output) = Command::new("iptables-nft").args(["-S", "FORWARD"]).output() {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success() && text.contains("-A FORWARD -i vhost0 -j ACCEPT"),
            "{text}"
        );
    }
    // Loaded anew by its owner, it is opened again.
    sh(
        "nft flush chain ip filter FORWARD; nft add rule ip filter FORWARD iifname docker0 counter accept",
    );
    node.run("setup", &RANGES);
    node.run("setup", &RANGES);
    let chain = sh("nft list chain ip filter FORWARD");
    assert_eq!(chain.matches("vhost0").count(), 2, "{chain}");
    assert!(sh("nft list table ip kube-proxy").contains("masquerade"));
    node.run("teardown", &[]);
    assert_eq!(everything(), before);
}

/// Rules that somebody else has for the interface are not ours to take away.
#[test]
fn rules_that_were_there_stay() {
    if !inside("rules_that_were_there_stay") {
        return;
    }
    let node = Node::new();
    sh("nft add table ip filter");
    sh("nft 'add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }'");
    sh("nft add rule ip filter FORWARD iifname vhost0 counter accept");
    sh("nft add rule ip filter FORWARD oifname vhost0 accept");
    let before = everything();
    node.run("setup", &RANGES);
    let chain = sh("nft list chain ip filter FORWARD");
    assert_eq!(chain.matches("vhost0").count(), 2, "{chain}");
    node.run("teardown", &[]);
    assert_eq!(everything(), before);
}

#[test]
fn what_cannot_be_is_said_before_anything_is_changed() {
    if !inside("what_cannot_be_is_said_before_anything_is_changed") {
        return;
    }
    let node = Node::new();
    sh("ip route add 10.96.0.0/12 via 10.169.25.1; ip tuntap add name tap1 mode tap");
    sh("ip neigh add 169.254.1.9 lladdr 02:00:00:00:00:09 nud permanent dev vhost0");
    let before = everything();
    for (more, why) in [
        (&RANGES[..], "another route to 10.96.0.0/12"),
        (&[][..], "no ranges"),
        (&["--pod-cidr", "10.47.0.0/16", "--interface", "vhost9"], "no interface vhost9"),
        (&["--pod-cidr", "10.47.0.0/16", "--interface", "tap1"], "tap1 has no IPv4 address"),
        (&["--pod-cidr", "10.47.0.0/16", "--gateway", "169.254.1.9"], "somebody else's neighbour"),
    ] {
        let text = node.fails("setup", more);
        assert!(text.contains(why), "{why}: {text}");
        assert_eq!(everything(), before, "{more:?}");
        assert!(!node.state().exists(), "{more:?}");
    }
    for wrong in ["--pod-cidr=10.47.0.1/16", "--mark=0", "--mark=bit"] {
        let output = node.command("setup", &[wrong]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong}");
    }
    // Without nftables nothing is done either.
    let output = node
        .command("setup", &["--pod-cidr=10.47.0.0/16"])
        .env("PATH", "/nowhere")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("install the package nftables"), "{text}");
    assert_eq!(everything(), before);
    // Otherwise than it is set up.
    node.run("setup", &["--pod-cidr", "10.47.0.0/16"]);
    let text = node.fails("setup", &["--pod-cidr=10.47.0.0/16", "--gateway=169.254.1.2"]);
    assert!(text.contains("`penstock node teardown` first"), "{text}");
    node.run("teardown", &[]);
    assert_eq!(everything(), before);
}

/// The kernel refuses in the middle: a route over an interface that is down.
#[test]
fn a_first_set_up_that_fails_is_taken_back() {
    if !inside("a_first_set_up_that_fails_is_taken_back") {
        return;
    }
    let node = Node::new();
    sh("ip link set vhost0 down");
    let before = everything();
    let text = node.fails("setup", &RANGES);
    assert!(text.contains("cannot go by 169.254.1.1 on vhost0"), "{text}");
    assert_eq!(everything(), before);
    assert!(!node.state().exists());
    // One that fails later leaves what the first has done, and its state.
    sh("ip link set vhost0 up");
    node.run("setup", &RANGES);
    sh("ip link set vhost0 down");
    node.fails("setup", &RANGES);
    assert!(node.state().exists());
    sh("ip link set vhost0 up");
    node.run("teardown", &[]);
    assert_eq!(setting("ip_forward"), "0");
}

/// The card was started anew, and the interface with it.
#[test]
fn an_interface_that_is_gone_is_passed_over() {
    if !inside("an_interface_that_is_gone_is_passed_over") {
        return;
    }
    let node = Node::new();
    node.run("setup", &RANGES);
    sh("ip tuntap del name vhost0 mode tap");
    node.run("teardown", &[]);
    assert_eq!(setting("ip_forward"), "0");
    assert_eq!(sh("nft list ruleset"), "");
    assert!(!node.state().exists());
}
