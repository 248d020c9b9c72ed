//! The whole daemon over cards in memory.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub)]

use std::io::{Read as _, Write as _};
use std::net::Ipv4Addr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use penstock_abi::table::{FipKey, HostRoute};
use penstock_agent::keep::ServiceManager;
use penstock_device::fake::FakeCard;
use penstock_model::Policy;
use penstockd::{Card, Config, Daemon};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(20);
pub const SERVICE: &str = "/v1/services/ns-user-1/service-web-clusterip";
pub const NODE: &str = r#"
name: cent222
fabric: { address: 10.169.25.20/24, mac: "02:00:0a:a9:19:14" }
vrfs:
  - { id: 2, name: k8s-default-pod-network }
vifs:
  - { id: 7, name: client, pod: { namespace: ns-user-1, name: client }, address: 10.47.255.237, mac: "02:00:0a:2f:ff:ed", vrf: 2, label: 25 }
  - { id: 8, name: web, pod: { namespace: ns-user-1, name: web-1 }, address: 10.47.255.236, mac: "02:00:0a:2f:ff:ec", vrf: 2, label: 28 }
remotes:
  - { name: cent333, address: 10.169.25.21, labels: { 10.47.255.238: 43 } }
"#;

/// The chapter's service, at a port.
pub fn manifests(port: u16) -> String {
    format!(
        r#"
apiVersion: v1
kind: Service
metadata: {{ name: service-web-clusterip, namespace: ns-user-1 }}
spec:
  clusterIP: 10.105.139.153
  ports: [ {{ name: port1, port: {port}, targetPort: 80, protocol: TCP }} ]
  selector: {{ app: webserver }}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: service-web-clusterip-1
  namespace: ns-user-1
  labels: {{ kubernetes.io/service-name: service-web-clusterip }}
addressType: IPv4
ports: [ {{ name: port1, port: 80, protocol: TCP }} ]
endpoints:
  - {{ addresses: [ 10.47.255.236 ], nodeName: cent222, conditions: {{ ready: true }} }}
  - {{ addresses: [ 10.47.255.238 ], nodeName: cent333, conditions: {{ ready: true }} }}
"#
    )
}

pub struct Bench {
    pub dir: TempDir,
    /// The cards, by name.
    pub fakes: Vec<(String, FakeCard)>,
    pub runtime: Runtime,
    pub daemon: Option<Daemon>,
    pub policy: Policy,
    /// Folder of attachments, if there is one.
    pub state: Option<PathBuf>,
    /// The API server that there is instead of manifests.
    pub kubernetes: Option<penstock_kube::Access>,
    /// Where health checks are answered, if they are.
    pub health_checks: Option<std::net::IpAddr>,
    /// Where connections that ended are told, if anywhere.
    pub ipfix: Option<std::net::SocketAddr>,
}

impl Bench {
    /// A daemon of one card, which is not started yet.
    pub fn new() -> Self {
        Self::of(&["card0"])
    }

    /// A daemon of these cards. The node file of each is `NAME.yaml`.
    pub fn of(names: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("manifests")).unwrap();
        let bench = Self {
            dir,
            fakes: names.iter().map(|name| ((*name).to_owned(), FakeCard::new())).collect(),
            runtime: Runtime::new().unwrap(),
            daemon: None,
            policy: Policy::default(),
            state: None,
            kubernetes: None,
            health_checks: None,
            ipfix: None,
        };
        names.iter().for_each(|name| bench.write_node(name, NODE));
        bench.write(&manifests(8888));
        bench
    }

    /// The first card.
    pub fn fake(&self) -> &FakeCard {
        &self.fakes[0].1
    }

    /// Writes the manifests.
    pub fn write(&self, text: &str) {
        self.write_file("web.yaml", text);
    }

    pub fn write_file(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join("manifests").join(name), text).unwrap();
    }

    pub fn write_node(&self, card: &str, text: &str) {
        std::fs::write(self.node(card), text).unwrap();
    }

    fn node(&self, card: &str) -> PathBuf {
        self.dir.path().join(format!("{card}.yaml"))
    }

    pub fn api(&self) -> PathBuf {
        self.dir.path().join("api.sock")
    }

    pub fn config(&self) -> Config {
        let cards = self.fakes.iter().map(|(name, fake)| {
            let fake = fake.clone();
            Card {
                name: name.clone(),
                spec: format!("fake:{name}"),
                node: self.node(name),
                opener: Arc::new(move || Ok(fake.transport())),
                keeper: Arc::new(ServiceManager::new(String::new(), Vec::new())),
            }
        });
        Config {
            cards: cards.collect(),
            manifests: self.kubernetes.is_none().then(|| self.dir.path().join("manifests")),
            kubernetes: self.kubernetes.clone(),
            health_checks: self.health_checks,
            ipfix: self.ipfix,
            api: self.api(),
            state: self.state.clone(),
            static_neighbours: [(
                "10.169.25.21".parse().unwrap(),
                "02:00:0a:a9:19:15".parse().unwrap(),
            )]
            .into(),
            policy: self.policy.clone(),
            overlay: penstock_model::Overlay::default(),
            audit_every: Duration::from_secs(3600),
        }
    }

    pub fn start(&mut self) {
        let _guard = self.runtime.enter();
        self.daemon = Some(Daemon::start(self.config()).unwrap());
    }

    /// As a crash: all tasks end where they are.
    pub fn stop(&mut self) {
        self.daemon = None;
        let old = std::mem::replace(&mut self.runtime, Runtime::new().unwrap());
        old.shutdown_timeout(Duration::from_secs(5));
    }

    /// Status code and body.
    pub fn ask(&self, method: &str, path: &str) -> (u16, Value) {
        let mut stream = UnixStream::connect(self.api()).unwrap();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap())
    }

    pub fn get(&self, path: &str) -> Value {
        let (status, value) = self.ask("GET", path);
        assert_eq!(status, 200, "{path}: {value}");
        value
    }

    /// The code and text of a refusal.
    pub fn refused(&self, path: &str) -> (u16, String) {
        let (status, value) = self.ask("GET", path);
        (status, value["error"].as_str().unwrap_or_else(|| panic!("{path}: {value}")).to_owned())
    }

    pub fn status(&self) -> Value {
        self.get("/v1/status")
    }

    pub fn wait(&self, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        self.wait_at("/v1/status", what, condition)
    }

    pub fn wait_at(&self, path: &str, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = self.get(path);
            if condition(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "{what} did not happen: {status:#}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn wait_in_sync(&self, completed: u64) -> Value {
        self.wait("a reconcile", |s| {
            s["reconcile"]["state"] == "in sync"
                && s["reconcile"]["completed"].as_u64() >= Some(completed)
        })
    }

    /// Ports at which the first card has the chapter's service.
    pub fn fip_ports(&self) -> Vec<u16> {
        let tables = self.fake().tables();
        // Others only mark the backend.
        let vip = u32::from(Ipv4Addr::new(10, 105, 139, 153));
        let keys = tables.of::<FipKey>().values().filter(|key| key.valid && key.ip == vip);
        let mut ports: Vec<u16> = keys.map(|key| key.port).collect();
        ports.sort_unstable();
        ports
    }

    /// Routes of the first card to an address.
    pub fn routes_to(&self, address: &str) -> usize {
        let address = u32::from(address.parse::<Ipv4Addr>().unwrap());
        let tables = self.fake().tables();
        tables.of::<HostRoute>().values().filter(|r| r.valid && r.ip == address).count()
    }
}

/// A source in a status.
pub fn source<'a>(status: &'a Value, name: &str) -> &'a Value {
    let sources = status["sources"].as_array().unwrap();
    sources.iter().find(|source| source["name"] == name).unwrap_or(&Value::Null)
}

/// What the manifests are complained of, as one text.
pub fn complaints(status: &Value) -> String {
    source(status, "manifests")["errors"].to_string()
}
