//! A real runtime: Debian's containerd starts and ends containers with the plugin, by its own libcni.
//!
//! Its packages are looked for where `cargo xtask test` unpacks them, then on the machine itself; without them nothing is checked.
//! It calls ADD and DEL; the other commands are in `plugin.rs`.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use support::{Node, host_local};

/// Namespaces in which containerd is root, and sees no process but its own.
const NAMESPACES: [&str; 6] =
    ["--map-root-user", "--net", "--mount", "--pid", "--fork", "--mount-proc"];

/// The root of containerd's packages.
fn packages() -> Option<PathBuf> {
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/hil/cni");
    let has = |root: &PathBuf| {
        ["bin/containerd", "bin/ctr", "sbin/runc"].iter().all(|p| root.join("usr").join(p).exists())
    };
    [unpacked, "/".into()].into_iter().find(has)
}

#[test]
fn containers_are_attached_by_containerd() {
    if packages().is_none() {
        eprintln!("containerd is not installed; not checked");
        return;
    }
    let possible = Command::new("unshare").args(NAMESPACES).arg("true").status();
    if !possible.is_ok_and(|status| status.success()) {
        eprintln!("no /proc can be mounted in a namespace here; not checked");
        return;
    }
    let done = Command::new("unshare")
        .args(NAMESPACES)
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "by_containerd", "--nocapture"])
        .output()
        .unwrap();
    let text =
        String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && text.contains("1 passed"), "{text}");
}

struct Containerd {
    child: Child,
    socket: PathBuf,
}

/// A program of containerd's packages.
fn program(name: &str) -> Command {
    let root = packages().unwrap().join("usr");
    let path = std::env::var("PATH").unwrap();
    let mut command = Command::new(root.join(name));
    command
        .env("PATH", format!("{0}/bin:{0}/sbin:{path}", root.display()))
        .env("LD_LIBRARY_PATH", root.join("lib/x86_64-linux-gnu"));
    command
}

impl Containerd {
    fn start(node: &Node) -> Self {
        let config = node.path("containerd.toml");
        let text = "version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n";
        std::fs::write(&config, text).unwrap();
        let socket = node.path("containerd.sock");
        let child = program("bin/containerd")
            .arg("--config")
            .arg(config)
            .arg("--address")
            .arg(&socket)
            .arg("--root")
            .arg(node.path("containerd/root"))
            .arg("--state")
            .arg(node.path("containerd/state"))
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(node.path("containerd.log")).unwrap())
            .spawn()
            .unwrap();
        let containerd = Self { child, socket };
        node.wait("containerd", |_| containerd.said(&["version"]).map(|_| ()));
        containerd
    }

    fn ctr(&self, arguments: &[&str]) -> Command {
        let mut command = program("bin/ctr");
        command.arg("--address").arg(&self.socket).args(arguments);
        command
    }

    fn said(&self, arguments: &[&str]) -> Result<String, String> {
        let done = self.ctr(arguments).output().unwrap();
        let text = String::from_utf8_lossy(&done.stdout).into_owned()
            + &String::from_utf8_lossy(&done.stderr);
        if done.status.success() { Ok(text) } else { Err(text) }
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn sh(line: &str) {
    let done = Command::new("sh").args(["-ec", line]).output().unwrap();
    assert!(done.status.success(), "{line}: {}", String::from_utf8_lossy(&done.stderr));
}

/// What a container is made of: this machine's `/usr`, and a shell that tells its network and waits until it may end.
fn bundle(node: &Node) -> String {
    let root = node.path("bundle/rootfs");
    sh(&format!(
        "mkdir -p {0}/usr {0}/proc {0}/dev {0}/mnt {1}; cd {0}; ln -s usr/bin usr/sbin usr/lib usr/lib64 .",
        root.display(),
        node.path("shared").display(),
    ));
    let made =
        program("sbin/runc").args(["spec", "--rootless"]).current_dir(node.path("bundle")).output();
    assert!(made.unwrap().status.success());
    let config = node.path("bundle/config.json");
    let mut spec: Value = serde_json::from_slice(&std::fs::read(&config).unwrap()).unwrap();
    let script = "ip -o -4 addr show eth0; ip route; until [ -e /mnt/end ]; do sleep 0.05; done";
    spec["process"]["terminal"] = false.into();
    spec["process"]["args"] = json!(["sh", "-c", script]);
    spec["root"] = json!({ "path": root, "readonly": true });
    let linux = spec["linux"].as_object_mut().unwrap();
    for needless in ["uidMappings", "gidMappings", "resources"] {
        linux.remove(needless);
    }
    // It is root of a user namespace already.
    let namespaces = linux["namespaces"].as_array_mut().unwrap();
    namespaces.retain(|namespace| namespace["type"] != "user");
    namespaces.push(json!({ "type": "network" }));
    let mounts = spec["mounts"].as_array_mut().unwrap();
    mounts.retain(|mount| !mount["destination"].as_str().unwrap().starts_with("/sys"));
    for (source, destination) in [(Path::new("/usr"), "/usr"), (&node.path("shared"), "/mnt")] {
        mounts.push(json!({ "type": "bind", "source": source, "destination": destination,
            "options": ["rbind", "ro"] }));
    }
    std::fs::write(&config, spec.to_string()).unwrap();
    config.display().to_string()
}

#[test]
#[ignore = "needs namespaces, and containerd"]
fn by_containerd() {
    let node = Node::new();
    // ctr has its networks and plugins at fixed places, which are these in this mount namespace.
    let places = node.path("places").display().to_string();
    sh(&format!(
        "mkdir {places}; mount -t tmpfs places {places}; cd {places}; mkdir etc etc.work opt opt.work; \
         mount -t overlay etc -o lowerdir=/etc,upperdir={places}/etc,workdir={places}/etc.work /etc; \
         mount -t overlay opt -o lowerdir=/opt,upperdir={places}/opt,workdir={places}/opt.work /opt; \
         mount -t tmpfs run /run; mkdir -p /etc/cni/net.d /opt/cni/bin; \
         cp {plugin} {ipam} /opt/cni/bin",
        plugin = env!("CARGO_BIN_EXE_penstock-cni"),
        ipam = host_local().display(),
    ));
    let network = |vrf: &str| {
        let mut conf = node.conf.clone();
        conf["vrf"] = vrf.into();
        let list = json!({ "cniVersion": "1.0.0", "name": "pods", "plugins": [conf] });
        std::fs::write("/etc/cni/net.d/10-pods.conflist", list.to_string()).unwrap();
    };
    let containerd = Containerd::start(&node);
    let config = bundle(&node);
    let run = |name| ["run", "--rm", "--cni", "--config", &config, name].map(str::to_owned);

    network("red");
    let arguments = run("red");
    let said = containerd.said(&arguments.each_ref().map(String::as_str)).unwrap_err();
    assert!(said.contains("there is no VRF red here; there are: pods"), "{said}");
    node.assert_untouched();

    network("pods");
    let arguments = run("web");
    let arguments = arguments.each_ref().map(String::as_str);
    let container =
        containerd.ctr(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut container = container.unwrap();
    node.wait("the container", |node| match &node.attached()[..] {
        [one] if one == "default-web" => Ok(()),
        other => Err(format!("attached: {other:?}")),
    });
    assert_eq!(container.try_wait().unwrap(), None, "it runs until it may end");
    std::fs::write(node.path("shared/end"), "").unwrap();
    let done = container.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{text}{}", String::from_utf8_lossy(&done.stderr));
    assert!(text.contains("inet 10.47.0.") && text.contains("/32 "), "{text}");
    assert!(text.contains("default via 10.47.0.254 dev eth0"), "{text}");
    // DEL came when the container was gone, and its interface with it.
    assert_eq!((node.attached(), node.leases()), (Vec::new(), Vec::new()));
}
