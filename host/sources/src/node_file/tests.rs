//! Node files with one thing wrong, alone and after a good one.

use std::path::Path;
use std::time::{Duration, Instant};

use penstock_model::{
    Fragment, LearnPolicy, MplsLabel, Object, ObjectId, Policy, SourceName, VifId, VrfId,
};

use super::*;
use crate::Merger;
use crate::absence::CONFIRM;
use crate::error::Fault;
use crate::follow::Store as _;
use crate::gather::{Gathered, Trouble, Unreadable};

const CENT222: &str = include_str!("../../../../tests/manifests/chapter/cent222.yaml");

/// A node file whose text changes.
struct Bench {
    store: NodeStore,
    now: Instant,
    /// When the last reading wants to be repeated.
    again: Option<Instant>,
}

impl Bench {
    fn new() -> Self {
        let store = NodeStore::new("cent222.yaml".into());
        Self { store, now: Instant::now(), again: None }
    }

    /// Begins with a good file.
    fn good() -> Self {
        let mut bench = Self::new();
        assert_eq!(said(&bench.read(CENT222)), [""; 0]);
        bench
    }

    fn read(&mut self, text: &str) -> Fragment {
        self.weigh(Ok(NodeStore::parse(Path::new("cent222.yaml"), text)))
    }

    fn weigh(
        &mut self,
        said: Result<<NodeStore as crate::follow::Store>::Said, Unreadable>,
    ) -> Fragment {
        let gathered = Gathered {
            identity: Ok((0, 0)),
            files: [("cent222.yaml".into(), said)].into(),
            others: Vec::new(),
            trouble: Trouble::default(),
        };
        let reading = self.store.weigh(gathered, self.now);
        self.again = reading.again;
        reading.fragment
    }
}

fn said(fragment: &Fragment) -> Vec<String> {
    let lists = fragment.findings.iter();
    lists
        .flat_map(|(id, list)| list.iter().map(move |finding| format!("{id}: {finding}")))
        .collect()
}

/// The chapter's node file with one thing changed.
fn changed(from: &str, to: &str) -> String {
    assert!(CENT222.contains(from), "the test must change something");
    CENT222.replacen(from, to, 1)
}

/// What is said of a file that is the first; it is refused as a whole.
#[track_caller]
fn refused(text: &str) -> String {
    let fragment = Bench::new().read(text);
    assert!(!fragment.complete && fragment.objects.is_empty(), "{:?}", said(&fragment));
    // The same after a good one changes nothing.
    let mut bench = Bench::good();
    let before = bench.read(CENT222).objects;
    let fragment = bench.read(text);
    assert!(fragment.complete && !fragment.stale && fragment.objects == before);
    let found = said(&fragment).join("\n");
    assert!(found.contains("what it was before stays in force"), "{found}");
    found
}

/// What is said of a file that is the first, but for which all objects of the chapter's are there.
#[track_caller]
fn without(missing: &[&str], text: &str) -> String {
    let all = Bench::good().read(CENT222).objects;
    let fragment = Bench::new().read(text);
    assert!(fragment.complete, "{:?}", said(&fragment));
    let gone: Vec<String> = all
        .keys()
        .filter(|id| !fragment.objects.contains_key(*id))
        .map(ToString::to_string)
        .collect();
    assert_eq!(gone, missing);
    // After a good one, all are there.
    let mut bench = Bench::good();
    let after = bench.read(text);
    assert!(all.keys().all(|id| after.objects.contains_key(id)), "{:?}", said(&after));
    for (id, object) in &all {
        if missing.contains(&id.to_string().as_str()) {
            assert_eq!(after.objects[id], *object, "what was right stays");
        }
    }
    said(&fragment).join("\n")
}

#[test]
fn the_chapters_node_is_read() {
    let fragment = Bench::good().read(CENT222);
    let merged = Merger::new(vec![SourceName::from(SOURCE)], Policy::default()).merge(&[fragment]);
    let node = merged.node.unwrap();
    assert_eq!(node.name, "cent222");
    assert_eq!(node.fabric.address.to_string(), "10.169.25.20/24");
    let client = &merged.vifs[&VifId(7)];
    assert_eq!(
        (client.address.to_string().as_str(), client.vrf, client.label),
        ("10.47.255.237", VrfId(2), MplsLabel(25))
    );
    assert_eq!(merged.vrfs[&VrfId(2)].networks, [penstock_model::NetworkName::services()]);
    let path = &merged.rib[&(VrfId(2), "10.47.255.238/32".parse().unwrap())][0];
    assert_eq!((path.next_hop.to_string().as_str(), path.label), ("10.169.25.21", MplsLabel(43)));
    assert_eq!((path.preference, &*path.announcer), (100, "cent333"));
    assert_eq!(merged.rib.len(), 2);
    assert!(merged.complete && merged.findings.is_empty());
}

#[test]
fn networks_and_preferences_may_be_named() {
    let text = changed("pod-network\" }", "pod-network\", networks: [blue, services] }")
        .replace("address: 10.169.25.21", "address: 10.169.25.21\n    preference: 7");
    let fragment = Bench::new().read(&text);
    let vrf = fragment.objects.values().find_map(|object| match object {
        Object::Vrf(vrf) => Some(vrf.networks.clone()),
        _ => None,
    });
    assert_eq!(vrf.unwrap(), ["blue".into(), "services".into()]);
    let preference = fragment.objects.values().find_map(|object| match object {
        Object::Route(route) => Some(route.path.preference),
        _ => None,
    });
    assert_eq!(preference, Some(7));
}

#[test]
fn what_does_not_say_what_there_is_is_refused_as_a_whole() {
    assert!(refused("name: [").contains("cent222.yaml:"));
    assert!(refused("").contains("says nothing"));
    assert!(refused("- 1\n").contains("is not a mapping"));
    assert!(
        refused(&changed("name: cent222", "nam: cent222"))
            .contains("cent222.yaml:2: unknown field `nam`")
    );
    let unknown = refused(&changed("fabric:", "colour: red\nfabric:"));
    assert!(unknown.contains("cent222.yaml:3: unknown field `colour`"), "{unknown}");
    assert!(refused(&changed("name: cent222\n", "")).contains("missing field `name`"));
    assert!(refused("name: x\nvrfs: []\n").contains("missing field `fabric`"));
    let vifs = CENT222.split("vifs:").next().unwrap().to_owned() + "vifs: 7\n";
    assert!(refused(&vifs).contains("vifs is not a list"));
    let twice = refused(&changed("10.47.255.235: 44", "10.47.255.238: 44"));
    assert!(twice.contains("\"10.47.255.238\" is there twice"), "{twice}");
    // The node itself is what everything hangs on.
    let mac = refused(&changed("02:00:0a:a9:19:14", "03:00:0a:a9:19:14"));
    assert!(
        mac.contains("the node: cent222.yaml:") && mac.contains("is not an interface's"),
        "{mac}"
    );
    assert!(refused(&changed("10.169.25.20/24", "10.169.25.20")).contains("fabric.address"));
}

#[test]
fn a_vif_says_who_makes_flows() {
    let learn = |text: &str| -> Vec<LearnPolicy> {
        let fragment = Bench::new().read(text);
        let vifs = fragment.objects.values().filter_map(|o| match o {
            Object::Vif(vif) => Some((vif.id, vif.learn)),
            _ => None,
        });
        vifs.collect::<BTreeMap<_, _>>().into_values().collect()
    };
    use LearnPolicy::{Always, Never, Translated};
    assert_eq!(learn(CENT222), [Always; 3]);
    assert_eq!(
        learn(&changed("id: 8", "id: 8\n    learn: translated")),
        [Always, Translated, Always]
    );
    assert_eq!(learn(&changed("id: 8", "id: 8\n    learn: never")), [Always, Never, Always]);
}

#[test]
fn a_fault_of_one_object_is_its_own() {
    let webserver = "vif webserver-846c9ccb8b-xkjpw";
    for (from, to, why) in [
        ("label: 28", "label: 3", "label 3 is not in 16..=1048575"),
        ("label: 28", "label: 1048576", "label 1048576 is not in 16..=1048575"),
        ("id: 8", "id: 2", "id 2 is not in 3..=255"),
        ("id: 8", "id: 300", "vifs[1].id: invalid value: integer `300`, expected u8"),
        ("id: 8", "id: 8\n    colour: red", "unknown field `colour`"),
        ("id: 8", "id: 8\n    learn: seldom", "vifs[1].learn: unknown variant `seldom`"),
        ("02:00:0a:2f:ff:ec", "03:00:0a:2f:ff:ec", "is not an interface's"),
        ("address: 10.47.255.236", "address: 10.47.255.536", "vifs[1].address"),
    ] {
        let found = without(&[webserver], &changed(from, to));
        assert!(found.contains(why) && found.lines().count() == 1, "{found}");
    }
    let line = CENT222.lines().position(|line| line.contains("id: 8")).unwrap() + 1;
    let found = without(&[webserver], &changed("id: 8", "id: 300"));
    assert!(found.contains(&format!("cent222.yaml:{line}: ")), "{found}");
    let found = without(
        &["VRF default-domain:k8s-default:k8s-default-pod-network"],
        &changed("id: 2,", "id: 4096,"),
    );
    assert!(found.contains("id 4096 is not in 1..=4095"), "{found}");
    let route = "route 10.47.255.235/32 of cent333";
    let found = without(&[route], &changed("10.47.255.235: 44", "10.47.255.235: 43"));
    assert!(found.contains("label 43 is that of route 10.47.255.238/32 of cent333"), "{found}");
    let found = without(&[route], &changed("10.47.255.235: 44", "10.47.255.235: x"));
    assert!(found.contains("remotes[0].labels.10.47.255.235: invalid type"), "{found}");
    let found = without(&[route], &changed("10.47.255.235: 44", "10.47.255.235.1: 44"));
    assert!(
        found.starts_with("remote cent333: ") && found.contains("not an IP address"),
        "{found}"
    );
    let all = [
        "remote cent333",
        "route 10.47.255.235/32 of cent333",
        "route 10.47.255.238/32 of cent333",
    ];
    for (from, to) in [
        ("    labels:\n", "    colour: red\n    labels:\n"),
        ("10.169.25.21", "224.0.0.1"),
        ("10.169.25.21", "x"),
    ] {
        without(&all, &changed(from, to));
    }
}

#[test]
fn an_entry_without_a_name_may_be_any() {
    let webserver = "vif webserver-846c9ccb8b-xkjpw";
    let text = changed("    name: webserver-846c9ccb8b-xkjpw\n", "");
    let found = without(&[webserver], &text);
    assert!(
        found.starts_with("file cent222.yaml: ") && found.contains("vifs[1]: has no name"),
        "{found}"
    );
}

#[test]
fn two_with_one_name_are_one() {
    let text = changed("name: spare-cent222\n    pod", "name: client\n    pod");
    let fragment = Bench::new().read(&text);
    assert_eq!(said(&fragment), ["vif client: is also in vifs[0]"]);
    let id = ObjectId::Vif("client".to_owned());
    let Object::Vif(client) = &fragment.objects[&id] else { panic!("no vif") };
    assert_eq!(client.id, VifId(7));
}

#[test]
fn a_file_that_cannot_be_seen_changes_nothing() {
    let mut bench = Bench::good();
    let before = bench.read(CENT222).objects;
    let fault = Fault::of("cent222.yaml", "cannot be read: No such file or directory");
    let fragment = bench.weigh(Err(Unreadable { fault, unseen: true }));
    assert!(fragment.complete && fragment.stale && fragment.objects == before);
    assert!(said(&fragment)[0].contains("cannot be read"), "{:?}", said(&fragment));
    let fragment = bench.read(CENT222);
    assert!(!fragment.stale && fragment.findings.is_empty());
}

#[test]
fn what_is_gone_from_a_good_file_goes_when_that_is_confirmed() {
    let mut bench = Bench::good();
    let before = bench.read(CENT222).objects;
    let text = changed("      10.47.255.235: 44\n", "");
    let fragment = bench.read(&text);
    assert!(fragment.objects == before);
    assert!(said(&fragment)[0].contains("1 of 8 objects are gone"), "{:?}", said(&fragment));
    // Another one has its own time, what comes does not wait.
    bench.now += CONFIRM - Duration::from_secs(1);
    let more = text.replace("10.47.255.238: 43", "10.47.255.239: 45");
    let fragment = bench.read(&more);
    assert_eq!(fragment.objects.len(), before.len() + 1);
    let first = bench.again.unwrap();
    assert_eq!(first, bench.now + Duration::from_secs(1));
    bench.now = first;
    assert_eq!(bench.read(&more).objects.len(), before.len());
    bench.now = bench.again.unwrap();
    let fragment = bench.read(&more);
    assert_eq!((fragment.objects.len() + 1, said(&fragment)), (before.len(), vec![]));
    assert_eq!(bench.again, None);
    // The time counts anew when it was there, or could not be told, meanwhile.
    for between in [CENT222, "name: ["] {
        let mut bench = Bench::good();
        bench.read(&text);
        bench.now += CONFIRM - Duration::from_secs(1);
        bench.read(between);
        bench.read(&text);
        assert_eq!(bench.again, Some(bench.now + CONFIRM), "{between}");
    }
}

/// A writer that pauses, or a disk that is full, leaves the beginning of a file behind.
#[test]
fn a_file_that_was_cut_withdraws_nothing_at_once() {
    let all = Bench::good().read(CENT222).objects;
    let mut sound = 0;
    for end in 1..CENT222.len() {
        let cut = &CENT222[..end];
        let mut bench = Bench::good();
        let has_all = |fragment: &Fragment| all.keys().all(|id| fragment.objects.contains_key(id));
        assert!(has_all(&bench.read(cut)), "{cut}");
        // A fault tells a file that was cut from one that says less.
        bench.now += CONFIRM;
        let fragment = bench.read(cut);
        if has_all(&fragment) {
            assert_eq!(bench.again, None);
        } else {
            assert_eq!(said(&fragment), [""; 0], "{cut}");
            sound += 1;
        }
    }
    assert!(sound > 3, "some ends are as good as the whole");
}

/// What stays for now must not keep from its place what has come to it.
#[test]
fn what_is_replaced_goes_at_once() {
    let text = changed("name: client\n    pod", "name: client2\n    pod")
        .replace("10.47.255.238: 43", "10.47.255.239: 43")
        .replace("name: cent333", "name: cent334")
        .replace("name: default-domain:k8s-default:k8s-default-pod-network", "name: a");
    let mut bench = Bench::good();
    let count = bench.read(CENT222).objects.len();
    let fragment = bench.read(&text);
    let fresh = Bench::new().read(&text);
    assert_eq!(said(&fragment), [""; 0]);
    assert!(fragment.objects == fresh.objects && fresh.objects.len() == count);
    // Nor may a pod that moved to another node draw its packets here.
    let away = CENT222.find("  - id: 9").unwrap()..CENT222.find("remotes:").unwrap();
    let mut text = CENT222.to_owned();
    text.replace_range(away, "");
    text.push_str("      10.47.255.234: 45\n");
    let mut bench = Bench::good();
    let fragment = bench.read(&text);
    assert!(fragment.objects == Bench::new().read(&text).objects, "{:?}", said(&fragment));
}

#[test]
fn the_node_says_where_it_is_in_the_overlay() {
    let at = "vrfs:\n";
    let vhost = |fields: &str| changed(at, &format!("vhost0: {{ {fields} }}\n{at}"));
    let node = |fragment: &Fragment| match fragment.objects.get(&ObjectId::Node) {
        Some(Object::Node(node)) => Some(node.vhost),
        _ => None,
    };
    let mut bench = Bench::good();
    assert_eq!(node(&bench.read(CENT222)), Some(Default::default()));
    let fragment = bench.read(&vhost("vrf: 2, label: 24, outside: true"));
    let said_so =
        penstock_model::Vhost { vrf: Some(VrfId(2)), label: Some(MplsLabel(24)), outside: true };
    assert_eq!((node(&fragment), said(&fragment)), (Some(said_so), vec![]));
    for (fields, why) in [
        ("label: 3", "vhost0.label 3 is not in 16..=1048575"),
        ("vrf: 4096", "vhost0.vrf 4096 is not in 1..=4095"),
        ("vrf: two", "vhost0.vrf: invalid type: string \"two\""),
        ("lable: 24", "vhost0.lable: unknown field `lable`"),
    ] {
        let fragment = bench.read(&vhost(fields));
        let text = said(&fragment).join("\n");
        assert!(text.starts_with("the node: ") && text.contains(why), "{fields}: {text}");
        assert_eq!(node(&fragment), Some(said_so), "what it was stays in force");
    }
    let fragment = bench.read(&changed("{ id: 2,", "{ id: 2, sourceCheck: loose,"));
    let vrf = fragment.objects.values().find_map(|object| match object {
        Object::Vrf(vrf) => Some(vrf.source_check),
        _ => None,
    });
    assert_eq!(vrf, Some(penstock_model::SourceCheck::Loose));
    let text = said(&bench.read(&changed("{ id: 2,", "{ id: 2, sourceCheck: lax,"))).join("\n");
    assert!(text.contains("sourceCheck: unknown variant `lax`"), "{text}");
}

#[test]
fn the_node_has_labels_for_floating_ips() {
    let at = "vrfs:\n";
    let labels = |fields: &str| changed(at, &format!("serviceLabels: {fields}\n{at}"));
    let node = |fragment: &Fragment| match fragment.objects.get(&ObjectId::Node) {
        Some(Object::Node(node)) => node.service_labels,
        _ => None,
    };
    let mut bench = Bench::good();
    assert_eq!(node(&bench.read(CENT222)), None);
    let fragment = bench.read(&labels("{ first: 4096, count: 1024 }"));
    let block = penstock_model::LabelBlock { first: MplsLabel(4096), count: 1024 };
    assert_eq!((node(&fragment), said(&fragment)), (Some(block), vec![]));
    for (fields, why) in [
        ("{ first: 3, count: 2 }", "serviceLabels.first 3 is not in 16..=1048575"),
        ("{ first: 16, count: 0 }", "serviceLabels.count 0 is not in 1..=1048560"),
        ("{ first: 1048575, count: 2 }", "serviceLabels.count 2 is not in 1..=1"),
        ("{ first: 4294967295, count: 4294967295 }", "serviceLabels.first 4294967295 is not in"),
        ("{ first: 16 }", "serviceLabels: missing field `count`"),
        ("4096", "serviceLabels: invalid type"),
        ("{ first: 16, count: 2, last: 17 }", "unknown field `last`"),
    ] {
        let fragment = bench.read(&labels(fields));
        let text = said(&fragment).join("\n");
        assert!(text.starts_with("the node: ") && text.contains(why), "{fields}: {text}");
        assert_eq!(node(&fragment), Some(block), "what it was stays in force");
    }
}

#[test]
fn the_committed_schema_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/node-schema.json");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, schema()).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == schema(),
        "docs/node-schema.json is stale: UPDATE=1 cargo test -p penstock-sources"
    );
}

#[test]
fn the_node_says_how_long_flows_may_rest() {
    use penstock_abi::age::State;
    use penstock_model::{FlowAging, PortAging, Protocol};

    let at = "vrfs:\n";
    let aging = |fields: &str| changed(at, &format!("flowAging: {fields}\n{at}"));
    let node = |fragment: &Fragment| match fragment.objects.get(&ObjectId::Node) {
        Some(Object::Node(node)) => Some(node.flow_aging.clone()),
        _ => None,
    };
    let mut bench = Bench::good();
    assert_eq!(node(&bench.read(CENT222)), Some(FlowAging::default()));
    let fragment = bench.read(&aging(
        "{ tcpEstablished: 600, icmp: 0, guaranteed: 5, ports: [{ protocol: TCP, port: 22, seconds: 60 }] }",
    ));
    let mut wanted = FlowAging::default();
    wanted.set(State::Established, 600);
    wanted.set(State::Icmp, 0);
    wanted.guaranteed = 5;
    wanted.ports = vec![PortAging { protocol: Protocol::Tcp, port: 22, seconds: 60 }];
    assert_eq!((node(&fragment), said(&fragment)), (Some(wanted.clone()), vec![]));
    let nine = ["{ protocol: UDP, port: 1, seconds: 1 }"; 9].join(", ");
    for (fields, why) in [
        ("{ tcpClosed: 604801 }", "flowAging.tcpClosed 604801 is not in 0..=604800"),
        ("{ udpOneWay: -1 }", "flowAging.udpOneWay: invalid value"),
        ("{ tcp: 5 }", "unknown field `tcp`"),
        ("{ guaranteed: 86401 }", "flowAging.guaranteed 86401 is not in 0..=86400"),
        ("7200", "flowAging: invalid type"),
        ("{ ports: [{ protocol: UDP, port: 0, seconds: 5 }] }", "ports[0].port 0 is not in 1..="),
        ("{ ports: [{ protocol: ICMP, port: 1, seconds: 5 }] }", "unknown variant `ICMP`"),
        (
            "{ ports: [{ protocol: UDP, port: 9, seconds: 5 }, { protocol: UDP, port: 9, seconds: 6 }] }",
            "flowAging.ports[1] is about UDP port 9 again",
        ),
        (&format!("{{ ports: [{nine}] }}"), "flowAging.ports has 9 entries, and there can be 8"),
    ] {
        let fragment = bench.read(&aging(fields));
        let text = said(&fragment).join("\n");
        assert!(text.starts_with("the node: ") && text.contains(why), "{fields}: {text}");
        assert_eq!(node(&fragment), Some(wanted.clone()), "what it was stays in force");
    }
}

#[test]
fn the_node_and_its_vifs_say_what_each_may_have_of_the_flow_table() {
    use penstock_model::{FlowLimit, FlowLimits};

    let at = "vrfs:\n";
    let limits = |fields: &str| changed(at, &format!("flowLimits: {fields}\n{at}"));
    let node = |fragment: &Fragment| match fragment.objects.get(&ObjectId::Node) {
        Some(Object::Node(node)) => Some(node.flow_limits),
        _ => None,
    };
    let mut bench = Bench::good();
    assert_eq!(node(&bench.read(CENT222)), Some(FlowLimits::default()));
    let fragment = bench.read(&limits(
        "{ vifs: { pairs: 1000 }, tunnels: { pairs: 2, burst: 300, perSecond: 40 } }",
    ));
    let wanted = FlowLimits {
        vifs: FlowLimit { pairs: 1000, ..FlowLimit::default() },
        tunnels: FlowLimit { pairs: 2, burst: 300, per_second: 40 },
    };
    assert_eq!((node(&fragment), said(&fragment)), (Some(wanted), vec![]));
    for (fields, why) in [
        ("{ vifs: { pairs: 1048576 } }", "flowLimits.vifs.pairs 1048576 is not in 0..=1048575"),
        ("{ tunnels: { perSecond: 5 } }", "flowLimits.tunnels says perSecond and not burst"),
        ("{ tunnels: { burst: 5 } }", "flowLimits.tunnels says burst and not perSecond"),
        ("{ vif: {} }", "unknown field `vif`"),
        ("{ vifs: { pairs: -1 } }", "flowLimits.vifs.pairs: invalid value"),
        ("5", "flowLimits: invalid type"),
    ] {
        let fragment = bench.read(&limits(fields));
        let text = said(&fragment).join("\n");
        assert!(text.starts_with("the node: ") && text.contains(why), "{fields}: {text}");
        assert_eq!(node(&fragment), Some(wanted), "what it was stays in force");
    }
    let own = |fields: &str| changed("id: 8", &format!("id: 8\n    flowLimits: {fields}"));
    let fragment = bench.read(&own("{ pairs: 7 }"));
    let vifs = fragment.objects.values().filter_map(|object| match object {
        Object::Vif(vif) => Some(vif.flow_limit),
        _ => None,
    });
    let said_so = FlowLimit { pairs: 7, ..FlowLimit::default() };
    assert_eq!(vifs.flatten().collect::<Vec<_>>(), [said_so]);
    let text = said(&bench.read(&own("{ burst: 7 }"))).join("\n");
    assert!(text.contains("flowLimits says burst and not perSecond"), "{text}");
}
