//! A daemon that is a pod: its service account's files, and the environment, say all.
//!
//! The files have fixed places, so the pod's part runs this test again in user and mount namespaces of its own, and says what
//! it is told on its standard output.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::io::{BufRead as _, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use penstock_kube::fake::Fake;
use penstock_kube::fake::tls::{Authority, Server};
use penstock_kube::{Access, watch};
use support::{NODE, findings, named, service, services, timing};

const INSIDE: &str = "PENSTOCK_TEST_POD";
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const DEADLINE: Duration = Duration::from_secs(60);

#[test]
fn a_pods_service_account_is_all_that_it_takes() {
    if let Some(account) = std::env::var_os(INSIDE) {
        return be_a_pod(Path::new(&account));
    }
    let (old, new) = (Authority::new("old").unwrap(), Authority::new("new").unwrap());
    let server = |by: &Authority| Server::new(&by.server(&["127.0.0.1"]).unwrap(), None).unwrap();
    let mut fake = Fake::start_tls(server(&old)).unwrap();
    fake.put(service("a", 1));
    let account = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        fs::write(account.path().join("new"), text).unwrap();
        fs::rename(account.path().join("new"), account.path().join(name)).unwrap();
    };
    write("namespace", "penstock-system");
    write("ca.crt", &old.certificate());
    write("token", "a-token");
    let pod = Pod::start(account.path(), fake.address().port());
    pod.wait_for("[a]");
    // Tokens are replaced each hour.
    write("token", "another");
    fake.set_token("another");
    fake.end_watches();
    fake.put(service("b", 2));
    pod.wait_for("[a b]");
    // And authorities once in a while.
    fake.set_tls(server(&new));
    fake.come_back().unwrap();
    pod.wait_for("UnknownIssuer");
    fake.delete(&service("a", 1));
    write("ca.crt", &new.certificate());
    pod.wait_for("[b]");
}

/// The other side, in namespaces of its own.
fn be_a_pod(account: &Path) {
    let run = |program: &str, arguments: &[&str]| {
        let status = Command::new(program).args(arguments).status().unwrap();
        assert!(status.success(), "{program} {arguments:?}");
    };
    run("mount", &["-t", "tmpfs", "none", "/var/run/"]);
    run("mkdir", &["-p", ACCOUNT]);
    run("mount", &["--bind", account.to_str().unwrap(), ACCOUNT]);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (_node, node) = tokio::sync::watch::channel(named(NODE));
        let watch = watch(Access::InCluster, node, timing());
        let mut fragments = watch.fragments();
        while fragments.changed().await.is_ok() {
            let fragment = fragments.borrow_and_update().clone();
            let names: Vec<String> =
                services(&fragment).into_iter().map(|(name, _)| name).collect();
            println!("\npod: [{}] {:?}", names.join(" "), findings(&fragment));
        }
    });
}

struct Pod {
    child: Child,
    said: mpsc::Receiver<String>,
}

impl Pod {
    fn start(account: &Path, port: u16) -> Self {
        let mut command = Command::new("unshare");
        command.args(["-Urm", "--propagation", "private"]).arg(std::env::current_exe().unwrap());
        command.args(["a_pods_service_account_is_all_that_it_takes", "--exact", "--nocapture"]);
        command.env(INSIDE, account).env("KUBERNETES_SERVICE_HOST", "127.0.0.1");
        command.env("KUBERNETES_SERVICE_PORT", port.to_string());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines: Lines<BufReader<ChildStdout>> =
            BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, said) = mpsc::channel();
        std::thread::spawn(move || lines.map_while(Result::ok).all(|l| sender.send(l).is_ok()));
        Self { child, said }
    }

    #[track_caller]
    fn wait_for(&self, text: &str) {
        let mut all = Vec::new();
        loop {
            match self.said.recv_timeout(DEADLINE) {
                Ok(line) if line.starts_with("pod: ") && line.contains(text) => return,
                Ok(line) => all.push(line),
                Err(error) => panic!("{text}: {error}: {all:#?}"),
            }
        }
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
