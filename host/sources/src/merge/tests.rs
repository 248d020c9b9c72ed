//! Two sources that know nothing of each other.

use std::sync::Arc;

use penstock_model::{
    Effect, Encapsulation, Fabric, LoadBalancer, MacAddr, MplsLabel, Node, ObjectName, Path, Peer,
    Pod, Reason, Route, Vrf, VrfId,
};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const NAMES: [&str; 3] = ["node file", "manifests", "third"];

fn merger() -> Merger {
    Merger::new(NAMES.map(SourceName::from).to_vec(), Policy::default())
}

fn vrf(name: &str, id: u16) -> Object {
    Object::Vrf(Arc::new(Vrf { id: VrfId(id), name: name.to_owned(), ..Vrf::default() }))
}

fn balancer(name: &str, created: i64) -> Object {
    Object::LoadBalancer(Arc::new(LoadBalancer {
        name: ObjectName::new("shop", name),
        created: Some(created),
        ..LoadBalancer::default()
    }))
}

fn fragment(source: usize, complete: bool, objects: impl IntoIterator<Item = Object>) -> Fragment {
    Fragment {
        objects: objects.into_iter().map(|object| (object.id(), object)).collect(),
        complete,
        ..Fragment::empty(NAMES[source])
    }
}

fn said(findings: &Findings) -> Vec<String> {
    let lists = findings.iter();
    lists
        .flat_map(|(id, list)| list.iter().map(move |finding| format!("{id}: {finding}")))
        .collect()
}

#[test]
fn nothing_is_complete_before_all_sources_are_and_stays_so() {
    let mut merger = merger();
    let mut merge = |fragments: &[Fragment]| merger.merge(fragments);
    assert!(!merge(&[]).complete);
    assert!(!merge(&[fragment(0, true, []), fragment(1, false, [balancer("a", 1)])]).complete);
    assert!(!merge(&[fragment(1, true, [balancer("a", 1)])]).complete, "one has said nothing");
    let intent = merge(&[fragment(2, true, [])]);
    assert!(intent.complete);
    // A source that begins anew has what it had until it knows better.
    let again = merge(&[fragment(1, false, [])]);
    assert_eq!((again.complete, again.balancers.len()), (true, 1));
    let status = merger.status();
    assert!(status[1].complete && status[1].stale);
    assert_eq!(status[1].objects, BTreeMap::from([(ObjectKind::LoadBalancer, 1)]));
    let intent = merger.merge(&[fragment(1, true, [])]);
    assert!(intent.balancers.is_empty() && !merger.status()[1].stale);
    assert_eq!(merger.status()[1].objects, BTreeMap::new());
}

#[test]
fn the_first_source_has_an_object() {
    let mut merger = merger();
    let intent = merger.merge(&[
        fragment(1, true, [balancer("a", 1), balancer("b", 1)]),
        fragment(2, true, [balancer("a", 2), balancer("b", 1), balancer("c", 1)]),
    ]);
    assert_eq!(intent.balancers[&ObjectName::new("shop", "a")].created, Some(1));
    assert_eq!(intent.balancers.len(), 3);
    // Two that say the same need not be told apart.
    assert_eq!(said(&intent.findings), ["Service shop/a: is also in manifests"]);
    let finding = &intent.findings.values().next().unwrap()[0];
    assert_eq!(finding.effect, Effect::Note);
    assert!(matches!(finding.reason, Reason::Defined { .. }));
    let intent = merger.merge(&[fragment(1, true, [])]);
    assert_eq!(intent.balancers[&ObjectName::new("shop", "a")].created, Some(2));
    assert!(intent.findings.is_empty());
}

#[test]
fn conflicts_between_sources_harm_one_object() {
    let mut merger = merger();
    let intent =
        merger.merge(&[fragment(0, true, [vrf("b", 3)]), fragment(1, true, [vrf("a", 3)])]);
    assert_eq!(intent.vrfs[&VrfId(3)].name, "a");
    assert_eq!(said(&intent.findings), ["VRF b: refused: id 3 is that of VRF a"]);
    // What sources say themselves is told along with it.
    let mut told = fragment(0, true, [vrf("b", 3)]);
    told.findings.insert(ObjectId::Vrf("b".to_owned()), [Finding::note("so")].into());
    let intent = merger.merge(&[told]);
    assert_eq!(said(&intent.findings), ["VRF b: refused: id 3 is that of VRF a", "VRF b: so"]);
}

fn object() -> impl Strategy<Value = Object> {
    let name = || prop_oneof![Just("a"), Just("b"), Just("c")];
    prop_oneof![
        (1_u8..4).prop_map(|last| Object::Node(Arc::new(Node {
            name: "na".to_owned(),
            fabric: Fabric {
                address: format!("192.0.2.{last}/24").parse().unwrap(),
                mac: MacAddr([2; 6]),
            },
            vhost: Default::default(),
            service_labels: None,
            flow_aging: Default::default(),
            flow_limits: Default::default(),
        }))),
        (name(), 1_u16..4).prop_map(|(name, id)| vrf(name, id)),
        (name(), 0_i64..3).prop_map(|(name, created)| balancer(name, created)),
        (name(), 1_u8..5).prop_map(|(name, last)| Object::Peer(Arc::new(Peer {
            name: name.to_owned(),
            address: [192, 0, 2, last].into(),
        }))),
        (name(), 1_u8..4, 15_u32..18).prop_map(|(name, last, label)| Object::Route(Arc::new(
            Route {
                prefix: format!("10.0.0.{last}/32").parse().unwrap(),
                vrfs: Vec::new(),
                path: Path {
                    next_hop: [192, 0, 2, 9].into(),
                    label: MplsLabel(label),
                    encapsulation: Encapsulation::MplsOverUdp,
                    preference: Path::PREFERENCE,
                    announcer: name.into(),
                },
            }
        ))),
        (name(), 1_u8..4).prop_map(|(name, last)| Object::Pod(Arc::new(Pod {
            name: ObjectName::new("shop", name),
            address: [10, 0, 0, last].into(),
            node: String::new(),
        }))),
    ]
}

#[derive(Clone, Debug)]
enum Edit {
    Put(usize, Object),
    Remove(usize, Object),
    Note(usize, Object, bool),
    State(usize, bool, bool),
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        4 => (0_usize..3, object()).prop_map(|(source, object)| Edit::Put(source, object)),
        3 => (0_usize..3, object()).prop_map(|(source, object)| Edit::Remove(source, object)),
        2 => (0_usize..3, object(), any::<bool>()).prop_map(|(s, o, on)| Edit::Note(s, o, on)),
        1 => (0_usize..3, any::<bool>(), any::<bool>()).prop_map(|(s, c, f)| Edit::State(s, c, f)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Ten thousand steps of one to three edits each.
    #[test]
    fn what_changes_comes_to_the_same_as_everything_anew(steps in vec(vec(edit(), 1..4), 50)) {
        let mut incremental = merger();
        let mut fragments = NAMES.map(Fragment::empty);
        for step in steps {
            for edit in step {
                match edit {
                    Edit::Put(s, object) => _ = fragments[s].objects.insert(object.id(), object),
                    Edit::Remove(s, object) => _ = fragments[s].objects.remove(&object.id()),
                    Edit::Note(s, object, true) => {
                        let note: Arc<[Finding]> = [Finding::note(NAMES[s])].into();
                        fragments[s].findings.insert(object.id(), note);
                    }
                    Edit::Note(s, object, false) => _ = fragments[s].findings.remove(&object.id()),
                    Edit::State(s, complete, stale) => {
                        fragments[s].complete |= complete;
                        fragments[s].stale = stale;
                    }
                }
            }
            let intent = incremental.merge(&fragments);
            let mut anew = merger();
            prop_assert_eq!(&intent, &anew.merge(&fragments));
            prop_assert_eq!(incremental.status(), anew.status());
        }
    }
}
