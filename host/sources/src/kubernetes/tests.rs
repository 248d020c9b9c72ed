//! The API's rules, one by one.

mod near;
mod parts;

use super::*;
use penstock_model::{
    Affinity, FloatingIpKind, LoadBalancer, MemberState, Object, Protocol, Scope,
};

const CHAPTER: &str =
    include_str!("../../../../tests/manifests/chapter/manifests/service-web-clusterip.yaml");
const TWO_PORTS: &str = include_str!(
    "../../../../tests/manifests/chapter-two-ports/manifests/service-web-clusterip-mp.yaml"
);

/// What a text says, and what that comes to.
pub(super) struct Told {
    pub(super) said: Said,
    pub(super) balancers: Vec<LoadBalancer>,
    pub(super) pods: Vec<penstock_model::Pod>,
    /// On objects that are right.
    pub(super) findings: Vec<String>,
}

pub(super) fn told(text: &str) -> Told {
    let said = Said::read(Path::new("m.yaml"), text);
    let mut all = Balancers::default();
    all.update(said.items.iter().map(|(key, item)| (key.clone(), Some(item.clone()))));
    let (mut balancers, mut pods) = (Vec::new(), Vec::new());
    for object in all.objects().values() {
        match object {
            Object::LoadBalancer(balancer) => balancers.push((**balancer).clone()),
            Object::Pod(pod) => pods.push((**pod).clone()),
            _ => panic!("{object:?}"),
        }
    }
    let lists = all.findings().iter();
    let findings =
        lists.flat_map(|(id, list)| list.iter().map(move |finding| format!("{id}: {finding}")));
    Told { said, balancers, pods, findings: findings.collect() }
}

fn balancers(text: &str) -> (Vec<LoadBalancer>, String) {
    let told = told(text);
    assert_eq!(faults_of(&told.said), [""; 0]);
    (told.balancers, told.findings.join("\n"))
}

fn only(text: &str) -> LoadBalancer {
    let (mut balancers, notes) = balancers(text);
    assert_eq!(balancers.len(), 1, "{notes}");
    balancers.remove(0)
}

/// Everything that is wrong with a text, the place first.
pub(super) fn faults_of(said: &Said) -> Vec<String> {
    let objects = said.refused.iter().chain(&said.partial);
    let objects = objects.flat_map(|(key, reasons)| {
        reasons.iter().map(move |reason| (reason.to_string(), format!(" ({})", key.id())))
    });
    let untold = said.untold.iter().map(|reason| (reason.to_string(), String::new()));
    objects.chain(untold).map(|(reason, of)| reason + &of).collect()
}

fn faults(text: &str) -> String {
    let faults = faults_of(&told(text).said);
    assert!(!faults.is_empty(), "must be refused");
    faults.join("\n")
}

fn changed(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "the test must change something");
    text.replacen(from, to, 1)
}

/// Addresses and states of a listener's members.
fn members(balancer: &LoadBalancer, listener: usize) -> Vec<(String, u16, MemberState)> {
    let members = &balancer.listeners[listener].pool.members;
    members.iter().map(|m| (m.address.to_string(), m.port, m.state)).collect()
}

#[test]
fn the_chapters_service() {
    let balancer = only(CHAPTER);
    assert_eq!(balancer.name.to_string(), "ns-user-1/service-web-clusterip");
    assert_eq!(balancer.floating_ips[0].address.to_string(), "10.105.139.153");
    let listener = &balancer.listeners[0];
    assert_eq!((listener.protocol, listener.port), (Protocol::Tcp, 8888));
    let both = ["10.47.255.236", "10.47.255.238"];
    assert_eq!(members(&balancer, 0), both.map(|a| (a.to_owned(), 80, MemberState::Active)));
}

#[test]
fn ports_match_by_name() {
    let balancer = only(TWO_PORTS);
    let ports = balancer.listeners.iter().map(|l| (l.port, l.pool.members[0].port));
    assert_eq!(ports.collect::<Vec<_>>(), [(8888, 80), (9999, 90)]);
    // A slice whose port has another name is not this port's.
    let balancer =
        only(&changed(TWO_PORTS, "- name: port2\n    port: 90", "- name: other\n    port: 90"));
    assert_eq!(
        (balancer.listeners[0].pool.members.len(), balancer.listeners[1].pool.members.len()),
        (2, 0)
    );
}

#[test]
fn same_number_on_two_protocols_is_two_listeners() {
    let two = changed(
        CHAPTER,
        "    - port: 8888\n      targetPort: 80\n      protocol: TCP\n",
        "    - { name: a, port: 53, protocol: TCP }\n    - { name: b, port: 53, protocol: UDP }\n",
    );
    let two = changed(
        &two,
        "- name: \"\"\n    port: 80\n    protocol: TCP\n",
        "- { name: a, port: 53 }\n  - { name: b, port: 53, protocol: UDP }\n",
    );
    let balancer = only(&two);
    let protocols = balancer.listeners.iter().map(|l| (l.protocol, l.pool.members.len()));
    assert_eq!(protocols.collect::<Vec<_>>(), [(Protocol::Tcp, 2), (Protocol::Udp, 2)]);
    assert!(
        faults(&changed(&two, "protocol: UDP", "protocol: TCP")).contains("spec.ports[0] again")
    );
}

#[test]
fn conditions_that_are_absent_mean_ready() {
    let with = |conditions: &str| {
        let text =
            changed(CHAPTER, "{ ready: true, serving: true, terminating: false }", conditions);
        members(&only(&text), 0).into_iter().find(|m| m.0 == "10.47.255.236").map(|m| m.2)
    };
    assert_eq!(with("{}"), Some(MemberState::Active));
    assert_eq!(with("null"), Some(MemberState::Active));
    assert_eq!(with("{ ready: null }"), Some(MemberState::Active));
    assert_eq!(with("{ ready: false }"), None);
    assert_eq!(with("{ ready: false, terminating: true }"), Some(MemberState::Draining));
    assert_eq!(with("{ ready: false, serving: false, terminating: true }"), None);
    // publishNotReadyAddresses is folded into ready, also for pods that terminate.
    assert_eq!(with("{ ready: true, terminating: true }"), Some(MemberState::Active));
}

#[test]
fn services_that_are_not_ours_are_passed_over() {
    let none = |text: String| assert_eq!(balancers(&text).0, []);
    none(changed(CHAPTER, "clusterIP: 10.105.139.153", "clusterIP: None"));
    none(changed(CHAPTER, "type: ClusterIP\n  clusterIP: 10.105.139.153", "type: ExternalName"));
    let labelled = |label: &str| {
        changed(
            CHAPTER,
            "  namespace: ns-user-1\nspec",
            &format!("  namespace: ns-user-1\n  labels: {{ {label} }}\nspec"),
        )
    };
    none(labelled("service.kubernetes.io/headless: \"\""));
    none(labelled("service.kubernetes.io/service-proxy-name: other"));
    assert_eq!(
        balancers(&labelled("service.kubernetes.io/service-proxy-name: penstock")).0.len(),
        1
    );
}

#[test]
fn an_endpoint_in_two_slices_counts_once() {
    let slice = CHAPTER.split("---\n").nth(1).unwrap();
    let other = changed(slice, "service-web-clusterip-7x2lq", "service-web-clusterip-other");
    let other = changed(&other, "ready: true, serving: true", "ready: false, serving: false");
    let balancer = only(&format!("{CHAPTER}---\n{other}"));
    assert_eq!(members(&balancer, 0).len(), 2);
    assert!(members(&balancer, 0).iter().all(|m| m.2 == MemberState::Active));
}

#[test]
fn further_addresses_are_floating_ips() {
    let text = changed(
        CHAPTER,
        "  selector:",
        "  internalTrafficPolicy: Local\n  externalIPs: [101.101.101.1]\n  selector:",
    );
    let text = changed(
        &text,
        "---\n",
        "status:\n  loadBalancer:\n    ingress:\n      - ip: 101.101.101.252\n      - { ip: 101.101.101.253, ipMode: Proxy }\n      - hostname: a.example\n---\n",
    );
    let ips = only(&text).floating_ips;
    let ips: Vec<_> = ips.iter().map(|ip| (ip.address.to_string(), ip.kind, ip.scope)).collect();
    let expected = [
        ("10.105.139.153".to_owned(), FloatingIpKind::Cluster, Scope::Local),
        ("101.101.101.1".to_owned(), FloatingIpKind::External, Scope::Cluster),
        ("101.101.101.252".to_owned(), FloatingIpKind::Ingress, Scope::Cluster),
    ];
    assert_eq!(ips, expected);
}

#[test]
fn an_ipv6_service_has_no_ipv4_address() {
    let with = |spec: &str| {
        let text = changed(CHAPTER, "  clusterIP: 10.105.139.153\n", spec);
        let text = changed(
            &text,
            "---\n",
            "status: { loadBalancer: { ingress: [ { ip: 101.101.101.252 } ] } }\n---\n",
        );
        let (found, notes) = balancers(&text);
        (found.into_iter().flat_map(|b| b.floating_ips).count(), notes)
    };
    let (served, notes) = with("  clusterIP: \"fd00::1\"\n  ipFamilies: [IPv6]\n");
    assert!(served == 1 && notes.contains("its IPv4 address 101.101.101.252"), "{notes}");
    let (served, notes) = with("  clusterIPs: [\"fd00::1\"]\n");
    assert!(served == 1 && notes.contains("its IPv4 address 101.101.101.252"), "{notes}");
    assert_eq!(with("  clusterIPs: [\"fd00::1\", 10.105.139.153]\n").0, 3);
    assert_eq!(with("  clusterIP: 10.105.139.153\n  ipFamilies: [IPv4]\n").0, 2);
}

#[test]
fn age_and_place_are_read() {
    assert_eq!(only(CHAPTER).created, None);
    let with = |time: &str| {
        let metadata = format!("  namespace: ns-user-1\n  creationTimestamp: {time}\nspec");
        changed(CHAPTER, "  namespace: ns-user-1\nspec", &metadata)
    };
    let seconds = |time: &str| only(&with(time)).created;
    assert_eq!(seconds("2026-11-29T11:30:00Z"), Some(1_795_951_800));
    assert_eq!(seconds("\"2026-11-29T12:30:00+01:00\""), seconds("2026-11-29T11:30:00Z"));
    assert_eq!(seconds("null"), None);
    let found = faults(&with("yesterday"));
    assert!(found.contains("metadata.creationTimestamp"), "{found}");
    let nodes = |text: &str| {
        let members = only(text).listeners.remove(0).pool.members;
        members.into_iter().map(|member| member.node).collect::<Vec<_>>()
    };
    assert_eq!(nodes(CHAPTER), ["cent222", "cent333"]);
    assert_eq!(nodes(&changed(CHAPTER, "    nodeName: cent222\n", "")), ["", "cent333"]);
}

#[test]
fn source_ranges_are_read_wherever_they_stand() {
    let spec = |ranges: &str| {
        let ranges = format!("  loadBalancerSourceRanges: {ranges}\n  selector:");
        only(&changed(CHAPTER, "  selector:", &ranges)).source_ranges
    };
    assert_eq!(spec("[ 192.0.2.0/24, \" 198.51.100.0/24\" ]"), ["192.0.2.0/24", "198.51.100.0/24"]);
    assert_eq!(spec("[ 192.0.2.0/24, 0.0.0.0/0 ]"), [""; 0], "everybody");
    assert_eq!(spec("[]"), [""; 0]);
    // What cannot be understood does not let anybody in.
    assert_eq!(spec("[ \"2001:db8::/32\", nonsense ]"), ["2001:db8::/32", "nonsense"]);
    let annotation = "service.beta.kubernetes.io/load-balancer-source-ranges: 192.0.2.0/24,";
    let text = format!("  namespace: ns-user-1\n  annotations: {{ {annotation} }}\nspec");
    let text = changed(CHAPTER, "  namespace: ns-user-1\nspec", &text);
    assert_eq!(only(&text).source_ranges, ["192.0.2.0/24"]);
}

#[test]
fn cluster_ips_of_other_proxies_services_are_theirs() {
    let label = "  namespace: ns-user-1\n  labels: { service.kubernetes.io/service-proxy-name: x }";
    let theirs = changed(CHAPTER, "  namespace: ns-user-1", label);
    let ours = "apiVersion: v1
kind: Service
metadata: { name: ours, namespace: evil }
spec:
  clusterIP: 10.105.139.154
  externalIPs: [10.105.139.153]
  ports: [ { port: 1 } ]
";
    let (found, notes) = balancers(&format!("{theirs}---\n{ours}"));
    assert_eq!(found.len(), 1, "{notes}");
    assert_eq!(found[0].floating_ips.len(), 1, "{notes}");
    let said = "Service evil/ours: 10.105.139.153 is the cluster IP of Service \
                ns-user-1/service-web-clusterip";
    assert!(notes.contains(said), "{notes}");
}

#[test]
fn dual_stack_services_have_addresses_of_both_families() {
    let text =
        changed(CHAPTER, "  selector:", "  clusterIPs: [10.105.139.153, \"fd00::1\"]\n  selector:");
    let (found, notes) = balancers(&text);
    assert_eq!((found[0].floating_ips.len(), notes.as_str()), (2, ""));
    let slice = CHAPTER.split("---\n").nth(1).unwrap();
    let slice = slice
        .replace("service-web-clusterip-7x2lq", "v6")
        .replace("addressType: IPv4", "addressType: IPv6")
        .replace("10.47.255.23", "fd00::23");
    let balancer = only(&format!("{text}---\n{slice}"));
    let addresses = balancer.listeners[0].pool.members.iter().map(|m| m.address.to_string());
    let expected = ["10.47.255.236", "10.47.255.238", "fd00::236", "fd00::238"];
    assert_eq!(addresses.collect::<Vec<_>>(), expected);
    let named = changed(CHAPTER, "addressType: IPv4", "addressType: FQDN");
    let (found, notes) = balancers(&named);
    assert_eq!(found[0].listeners[0].pool.members, []);
    assert!(notes.contains("addressType FQDN"), "{notes}");
}

#[test]
fn affinity_has_a_default_time_out() {
    let text = changed(CHAPTER, "  selector:", "  sessionAffinity: ClientIP\n  selector:");
    assert_eq!(only(&text).affinity, Affinity::ClientIp { timeout_seconds: 10_800 });
    let bad = changed(
        CHAPTER,
        "  selector:",
        "  sessionAffinityConfig: { clientIP: { timeoutSeconds: 86401 } }\n  selector:",
    );
    assert!(faults(&bad).contains("timeoutSeconds 86401"));
}

#[test]
fn other_kinds_unknown_fields_and_lists_are_accepted() {
    let item = |text: &str| text.lines().map(|l| format!("    {l}\n")).collect::<String>();
    let documents: Vec<&str> = CHAPTER.split("---\n").collect();
    let list = format!(
        "apiVersion: v1\nkind: List\nitems:\n  -\n{}  -\n{}",
        item(documents[0]),
        item(documents[1])
    );
    assert_eq!(only(&list).listeners[0].pool.members.len(), 2);
    let text = format!(
        "# a comment alone\n---\n{CHAPTER}---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{ name: web }}\nspec: {{}}\n---\n"
    );
    assert_eq!(
        only(&changed(&text, "spec:", "extra: 1\nspec:\n  unheardOf: [1]")).listeners.len(),
        1
    );
}

#[test]
fn faults_have_the_line_in_the_file() {
    let text = format!("# first\n---\n{}", changed(CHAPTER, "port: 8888", "port: eighty"));
    let line = text.lines().position(|l| l.contains("eighty")).unwrap() + 1;
    let found = faults(&text);
    assert!(found.starts_with(&format!("m.yaml:{line}: ")), "{found}");
    assert!(found.contains("spec.ports[0].port"), "{found}");
    assert!(faults("kind: Service\n").contains("apiVersion is missing"));
    assert!(
        faults(&changed(CHAPTER, "clusterIP: 10.105.139.153", "clusterIP: 10.105.139.453"))
            .contains("is not an IP address")
    );
    assert!(faults("a: [").contains("m.yaml:"));
    let twice = told(&format!("{CHAPTER}---\n{CHAPTER}")).said;
    let again: Vec<_> =
        twice.again.iter().map(|(key, first)| format!("{} {first}", key.id())).collect();
    assert_eq!(again.len(), 2);
    assert_eq!(again[0], "Service ns-user-1/service-web-clusterip m.yaml:2");
}

#[test]
fn pods_have_names() {
    let pods = told(include_str!("../../../../tests/manifests/chapter/manifests/pods.yaml")).pods;
    let client = pods.iter().find(|pod| pod.address.to_string() == "10.47.255.237").unwrap();
    assert_eq!(
        (client.name.to_string().as_str(), client.node.as_str()),
        ("ns-user-1/client", "cent222")
    );
}
