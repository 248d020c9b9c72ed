//! A node of the tests: the plugin as a runtime calls it (as libcni does, by the specification), the whole daemon over a card in
//! memory, interfaces and namespaces of a real kernel.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use penstock_agent::keep::ServiceManager;
use penstock_api::attachments::Attachments;
use penstock_api::client;
use penstock_api::paths::Resource;
use penstock_api::types::Status;
use penstock_device::fake::FakeCard;
use penstock_model::Policy;
use penstockd::{Card, Config, Daemon};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const NODE: &str = r#"
name: cent222
fabric: { address: 10.169.25.20/24, mac: "02:00:0a:a9:19:14" }
vrfs:
  - { id: 2, name: pods }
vifs:
  - { id: 3, name: by-hand, pod: { namespace: ns, name: by-hand }, address: 10.47.0.99, mac: "02:00:0a:2f:00:63", vrf: 2, label: 16 }
"#;

/// Runs one of the tests of this file as root of new user, network and mount namespaces.
pub fn in_namespaces(test: &str) {
    let own = std::env::current_exe().unwrap();
    let done = Command::new("unshare")
        .args(["--map-root-user", "--net", "--mount"])
        .arg(own)
        .args(["--ignored", "--exact", test, "--nocapture"])
        .output()
        .unwrap();
    let text =
        String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && text.contains("1 passed"), "{text}");
}

/// Runs `ip`, in the namespace of a process if one is given, and says what it printed.
pub fn ip(pid: Option<u32>, arguments: &str) -> Result<String, String> {
    let mut command = Command::new("nsenter");
    match pid {
        Some(pid) => command.args(["--target", &pid.to_string(), "--net", "ip"]),
        None => {
            command = Command::new("ip");
            &mut command
        }
    };
    let done = command.args(arguments.split(' ')).output().unwrap();
    if done.status.success() {
        Ok(String::from_utf8(done.stdout).unwrap())
    } else {
        Err(String::from_utf8(done.stderr).unwrap())
    }
}

/// A pod: a network namespace that lives as long as this.
pub struct Pod(Child);

impl Pod {
    pub fn new() -> Self {
        let mut child = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo ready; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        Self(child)
    }

    pub fn netns(&self) -> String {
        format!("/proc/{}/ns/net", self.0.id())
    }

    pub fn ip(&self, arguments: &str) -> String {
        ip(Some(self.0.id()), arguments).unwrap_or_else(|error| panic!("ip {arguments}: {error}"))
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the plugin answered.
#[derive(Debug)]
pub struct Said {
    pub ended: std::process::ExitStatus,
    pub output: Value,
}

impl Said {
    pub fn code(&self) -> u64 {
        assert_eq!(self.ended.code(), Some(1), "{self:?}");
        self.output["code"].as_u64().unwrap_or_else(|| panic!("{self:?}"))
    }

    pub fn msg(&self) -> &str {
        self.output["msg"].as_str().unwrap_or_else(|| panic!("{self:?}"))
    }
}

/// A node.
pub struct Node {
    pub dir: TempDir,
    pub fake: FakeCard,
    pub conf: Value,
    runtime: Runtime,
    daemon: Option<Daemon>,
}

impl Node {
    /// With interfaces `tap3` to `tap6`, and the daemon running.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("manifests")).unwrap();
        let empty = "{apiVersion: v1, kind: List, items: []}\n";
        std::fs::write(dir.path().join("manifests/none.yaml"), empty).unwrap();
        std::fs::write(dir.path().join("node.yaml"), NODE).unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        let conf = json!({
            "name": "pods", "type": "penstock-cni", "vrf": "pods", "mtu": 1400,
            "provider": { "type": "existing", "interface": "tap{vif}" },
            "socket": path("api.sock"), "queue": path("queue"),
            "ipam": {
                "type": "host-local", "dataDir": path("leases"),
                "ranges": [[{ "subnet": "10.47.0.0/24", "gateway": "10.47.0.254" }]],
                "routes": [{ "dst": "0.0.0.0/0" }],
            },
        });
        for vif in 3..=6 {
            ip(None, &format!("link add tap{vif} type veth peer name wire{vif}")).unwrap();
            ip(None, &format!("link set wire{vif} up")).unwrap();
        }
        let runtime = Runtime::new().unwrap();
        let mut node = Self { dir, fake: FakeCard::new(), conf, runtime, daemon: None };
        node.start();
        node
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Starts the daemon, and waits until the card is as it wants it.
    pub fn start(&mut self) {
        let fake = self.fake.clone();
        let card = Card {
            name: "card0".to_owned(),
            spec: "fake".to_owned(),
            node: self.path("node.yaml"),
            opener: Arc::new(move || Ok(fake.transport())),
            keeper: Arc::new(ServiceManager::new(String::new(), Vec::new())),
        };
        let config = Config {
            cards: vec![card],
            manifests: Some(self.path("manifests")),
            kubernetes: None,
            health_checks: None,
            ipfix: None,
            api: self.path("api.sock"),
            state: Some(self.path("state")),
            static_neighbours: penstockd::neighbour::Known4::new(),
            policy: Policy::default(),
            overlay: penstock_model::Overlay::default(),
            audit_every: Duration::from_secs(3600),
        };
        let _guard = self.runtime.enter();
        self.daemon = Some(Daemon::start(config).unwrap());
        self.wait("a reconcile", |node| {
            let status: Status = client::get(&node.path("api.sock"), &Resource::Status)
                .map_err(|e| e.to_string())?;
            if status.reconcile.completed > 0 { Ok(()) } else { Err(format!("{status:?}")) }
        });
    }

    /// As a crash.
    pub fn stop(&mut self) {
        self.daemon = None;
        let old = std::mem::replace(&mut self.runtime, Runtime::new().unwrap());
        old.shutdown_timeout(Duration::from_secs(5));
    }

    pub fn wait(&self, what: &str, condition: impl Fn(&Self) -> Result<(), String>) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while let Err(why) = condition(self) {
            assert!(Instant::now() < deadline, "{what} did not happen: {why}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Calls the plugin.
    pub fn call(&self, command: &str, version: &str, about: &[(&str, &str)], more: &Value) -> Said {
        let mut conf = self.conf.clone();
        conf["cniVersion"] = version.into();
        for (key, value) in more.as_object().unwrap() {
            conf[key] = value.clone();
        }
        let path = [vec![self.path("bin")], folders().to_vec()].concat();
        let path = std::env::join_paths(path).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_penstock-cni"))
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap())
            .env("CNI_COMMAND", command)
            .env("CNI_PATH", path)
            .envs(about.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(conf.to_string().as_bytes()).unwrap();
        let done = child.wait_with_output().unwrap();
        let output = match &done.stdout[..] {
            [] => Value::Null,
            text => serde_json::from_slice(text).unwrap(),
        };
        Said { ended: done.status, output }
    }

    pub fn about(
        &self,
        command: &str,
        name: &str,
        netns: &str,
        version: &str,
        more: &Value,
    ) -> Said {
        let args = format!("IgnoreUnknown=1;K8S_POD_NAMESPACE=ns;K8S_POD_NAME={name}");
        let about = [
            ("CNI_CONTAINERID", name),
            ("CNI_NETNS", netns),
            ("CNI_IFNAME", "eth0"),
            ("CNI_ARGS", &args),
        ];
        self.call(command, version, &about, more)
    }

    /// ADD that works.
    pub fn add(&self, name: &str, pod: &Pod) -> Value {
        let said = self.about("ADD", name, &pod.netns(), "1.1.0", &json!({}));
        assert!(said.ended.success(), "{said:?}");
        said.output
    }

    /// DEL that works.
    pub fn del(&self, name: &str, netns: &str) {
        let said = self.about("DEL", name, netns, "1.1.0", &json!({}));
        assert!(said.ended.success() && said.output.is_null(), "{said:?}");
    }

    pub fn check(&self, name: &str, pod: &Pod, result: &Value) -> Said {
        self.about("CHECK", name, &pod.netns(), "1.1.0", &json!({ "prevResult": result }))
    }

    pub fn gc(&self, valid: &[&str]) -> Said {
        let valid: Vec<_> =
            valid.iter().map(|name| json!({ "containerID": name, "ifname": "eth0" })).collect();
        self.call("GC", "1.1.0", &[], &json!({ "cni.dev/valid-attachments": valid }))
    }

    /// Names of the daemon's attachments.
    pub fn attached(&self) -> Vec<String> {
        let all: Attachments = client::get(&self.path("api.sock"), &Resource::Attachments).unwrap();
        all.attachments.into_iter().map(|one| one.container).collect()
    }

    /// Addresses that host-local has given.
    pub fn leases(&self) -> Vec<String> {
        let Ok(files) = std::fs::read_dir(self.path("leases/pods")) else { return Vec::new() };
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| name.starts_with("10.")).collect();
        names.sort();
        names
    }

    /// Nothing is attached, and all interfaces are where they were, as they were.
    #[track_caller]
    pub fn assert_untouched(&self) {
        assert_eq!((self.attached(), self.leases()), (Vec::new(), Vec::new()));
        for vif in 3..=6 {
            let link = ip(None, &format!("-d link show tap{vif}")).unwrap();
            assert!(!link.contains("penstock:") && link.contains("state DOWN"), "{link}");
        }
    }

    /// Puts an IPAM plugin of the test's own before all others.
    pub fn script(&self, name: &str, text: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let file = self.path("bin").join(name);
        std::fs::create_dir_all(self.path("bin")).unwrap();
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// Folders of other plugins: where `cargo xtask test` unpacks them, then the machine's own.
fn folders() -> [PathBuf; 3] {
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/hil/cni/usr/lib/cni");
    [unpacked, "/usr/lib/cni".into(), "/opt/cni/bin".into()]
}

/// The real host-local.
pub fn host_local() -> PathBuf {
    let mut files = folders().into_iter().map(|folder| folder.join("host-local"));
    files.find(|file| file.is_file()).expect(
        "there is no host-local: `cargo xtask setup` installs it (Debian: containernetworking-plugins)",
    )
}
