//! A server, and a watch of it.

#![allow(clippy::unwrap_used, dead_code, missing_docs, unreachable_pub)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use penstock_kube::fake::Fake;
use penstock_kube::{Access, Timing, Watch, watch};
use penstock_model::{Fabric, Fragment, MacAddr, Node, Object, ObjectId};
use serde_json::{Value, json};
use tokio::sync::watch;

/// What is waited for comes sooner.
const DEADLINE: Duration = Duration::from_secs(60);

pub const NODE: &str = "cent222";

pub struct Bench {
    pub fake: Fake,
    pub dir: tempfile::TempDir,
    pub node: watch::Sender<Fragment>,
    pub watch: Watch,
    pub fragments: watch::Receiver<Fragment>,
}

/// Attempts follow one another quickly.
pub fn timing() -> Timing {
    Timing {
        first_pause: Duration::from_millis(10),
        last_pause: Duration::from_millis(100),
        // Whatever the machine does meanwhile.
        relist_after: Duration::from_secs(3600),
        watch: Duration::from_secs(120),
        answer: Duration::from_secs(60),
        files: Duration::from_millis(50),
    }
}

impl Bench {
    /// A server with these objects, and a watch that has only begun.
    pub fn start(timing: Timing, objects: impl IntoIterator<Item = Value>) -> Self {
        let fake = Fake::start().unwrap();
        objects.into_iter().for_each(|object| fake.put(object));
        Self::of(fake, timing)
    }

    pub fn of(fake: Fake, timing: Timing) -> Self {
        let text = fake.kubeconfig();
        Self::by(fake, timing, |_| text)
    }

    /// A watch by the kubeconfig that comes of its folder.
    pub fn by(fake: Fake, timing: Timing, kubeconfig: impl FnOnce(&Path) -> String) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kubeconfig");
        std::fs::write(&path, kubeconfig(dir.path())).unwrap();
        let (node, named) = watch::channel(named(NODE));
        let watch = watch(Access::Kubeconfig(path), named, timing);
        let fragments = watch.fragments();
        Self { fake, dir, node, watch, fragments }
    }

    /// The same, and all was listed.
    pub async fn complete(timing: Timing, objects: impl IntoIterator<Item = Value>) -> Self {
        let mut bench = Self::start(timing, objects);
        bench.until(|fragment| fragment.complete).await;
        bench
    }

    pub fn write_kubeconfig(&self, text: &str) {
        std::fs::write(self.dir.path().join("kubeconfig"), text).unwrap();
    }

    /// Waits for a fragment.
    pub async fn until(&mut self, is: impl Fn(&Fragment) -> bool) -> Fragment {
        let found = tokio::time::timeout(DEADLINE, self.fragments.wait_for(|f| is(f))).await;
        let found = found.map(|fragment| fragment.unwrap().clone());
        found.unwrap_or_else(|_| panic!("in vain: {:#?}", self.fragments.borrow()))
    }

    /// Waits until these services are in force, by name, each with the last octets of its members.
    pub async fn serves(&mut self, expected: &[(&str, &[u8])]) -> Fragment {
        let expected: Vec<(String, Vec<u8>)> =
            expected.iter().map(|(name, pods)| ((*name).to_owned(), pods.to_vec())).collect();
        self.until(|fragment| fragment.complete && services(fragment) == expected).await
    }
}

/// A source that says which node this is.
pub fn named(name: &str) -> Fragment {
    let fabric = Fabric {
        address: "10.169.25.20/24".parse().unwrap(),
        mac: MacAddr([2, 0, 10, 169, 25, 20]),
    };
    let mut fragment = Fragment::empty("node file");
    let node = Object::Node(Arc::new(Node {
        name: name.to_owned(),
        fabric,
        vhost: Default::default(),
        service_labels: None,
        flow_aging: Default::default(),
        flow_limits: Default::default(),
    }));
    fragment.objects.insert(ObjectId::Node, node);
    fragment.complete = true;
    fragment
}

/// Services of a fragment, each with the last octets of its first listener's members.
pub fn services(fragment: &Fragment) -> Vec<(String, Vec<u8>)> {
    let of = |object: &Object| match object {
        Object::LoadBalancer(lb) => {
            let members = lb.listeners.first().map_or(&[][..], |l| &l.pool.members);
            let last = |address: &std::net::IpAddr| match address {
                std::net::IpAddr::V4(v4) => v4.octets()[3],
                std::net::IpAddr::V6(_) => 0,
            };
            Some((lb.name.name.clone(), members.iter().map(|m| last(&m.address)).collect()))
        }
        _ => None,
    };
    fragment.objects.values().filter_map(of).collect()
}

/// All that was found, but for notes.
pub fn findings(fragment: &Fragment) -> Vec<String> {
    let all = fragment.findings.iter();
    let all = all.flat_map(|(id, list)| list.iter().map(move |one| (id, one)));
    let all = all.filter(|(_, one)| one.effect != penstock_model::Effect::Note);
    all.map(|(id, one)| format!("{id}: {one}")).collect()
}

pub fn service(name: &str, last: u8) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": name, "namespace": "x", "creationTimestamp": "2026-11-29T11:30:00Z" },
        "spec": { "clusterIP": format!("10.96.0.{last}"), "ports": [ { "port": 80 } ] },
    })
}

pub fn slice(name: &str, service: &str, pods: &[u8]) -> Value {
    let endpoint = |last: &u8| json!({ "addresses": [ format!("10.47.255.{last}") ] });
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "name": name, "namespace": "x", "labels": { "kubernetes.io/service-name": service },
        },
        "addressType": "IPv4",
        "ports": [ { "name": "", "port": 8080 } ],
        "endpoints": pods.iter().map(endpoint).collect::<Vec<_>>(),
    })
}

pub fn pod(name: &str, node: &str, last: u8) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name, "namespace": "x" },
        "spec": { "nodeName": node }, "status": { "podIP": format!("10.47.255.{last}") },
    })
}

pub fn node(name: &str, zone: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": { "name": name, "labels": { "topology.kubernetes.io/zone": zone } },
    })
}
