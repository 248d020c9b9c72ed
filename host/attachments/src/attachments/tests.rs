#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::time::Duration;

use penstock_model::{Fabric, LabelBlock, Node, ObjectId, Vrf};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::REST;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
}

fn key(container: &str) -> Key {
    Key {
        network: "pods".to_owned(),
        container: container.to_owned(),
        interface: "eth0".to_owned(),
    }
}

fn wish(container: &str, vifs: std::ops::RangeInclusive<u8>) -> Wish {
    Wish {
        key: key(container),
        pod: ObjectName::new("ns", container),
        vrf: "pods".to_owned(),
        vifs: vifs.map(VifId).collect(),
    }
}

fn place(last: u8) -> Place {
    Place { address: Ipv4Addr::new(10, 47, 255, last), mac: MacAddr([2, 0, 10, 47, 255, last]) }
}

/// An intent with one VRF, and these vifs of a node file.
fn intent(vifs: &[(u8, u32)]) -> Intent {
    let vrf = Vrf { id: VrfId(2), name: "pods".to_owned(), ..Vrf::default() };
    let vif = |&(id, label): &(u8, u32)| {
        let vif = PodVif {
            id: VifId(id),
            name: format!("file{id}"),
            pod: ObjectName::new("ns", "file"),
            address: IpAddr::from([10, 0, 0, id]),
            mac: MacAddr([2, 0, 0, 0, 0, id]),
            vrf: VrfId(2),
            label: MplsLabel(label),
            learn: LearnPolicy::Always,
            flow_limit: None,
        };
        (VifId(id), Arc::new(vif))
    };
    Intent {
        complete: true,
        vrfs: [(VrfId(2), Arc::new(vrf))].into_iter().collect(),
        vifs: vifs.iter().map(vif).collect(),
        ..Intent::default()
    }
}

fn open(dir: &TempDir) -> Attachments {
    let store = Arc::new(Store::open(dir.path()).unwrap());
    Attachments::open(store, "card0").unwrap()
}

#[test]
fn a_pod_is_in_the_fragment_from_its_place_to_its_removal() {
    let dir = tempfile::tempdir().unwrap();
    let all = open(&dir);
    let fragments = all.fragments();
    assert!(fragments.borrow().complete);
    let reserved = all.reserve(&wish("a", 3..=4), &intent(&[]), at(0)).unwrap();
    assert_eq!((reserved.vif, reserved.label, &*reserved.name), (VifId(3), MplsLabel(16), "ns/a"));
    assert!(fragments.borrow().objects.is_empty(), "nothing is asked of the card yet");
    // Who was killed and asks again gets the same.
    assert_eq!(all.reserve(&wish("a", 3..=4), &intent(&[]), at(1)).unwrap(), reserved);
    let placed = all.place(&key("a"), place(1)).unwrap();
    let id = ObjectId::Vif("ns/a".to_owned());
    let object = fragments.borrow().objects.get(&id).cloned().unwrap();
    let Object::Vif(vif) = &object else { panic!("{object:?}") };
    assert_eq!((vif.id, vif.label, vif.vrf), (VifId(3), MplsLabel(16), VrfId(2)));
    let again = all.reserve(&wish("a", 3..=4), &intent(&[]), at(2)).unwrap_err();
    assert!(matches!(again, NotReserved::Attached { vif: VifId(3), .. }), "{again}");
    assert_eq!(all.place(&key("a"), place(1)).unwrap(), placed);
    assert!(matches!(all.place(&key("a"), place(2)), Err(NotPlaced::Elsewhere { .. })));
    // All of it outlives the daemon.
    drop((all, fragments));
    let all = open(&dir);
    assert_eq!(all.list(), std::slice::from_ref(&placed));
    assert_eq!(all.fragments().borrow().objects.get(&id), Some(&object));
    assert_eq!(all.remove(&key("a"), at(3)).unwrap(), Some(placed));
    assert_eq!(all.remove(&key("a"), at(4)).unwrap(), None);
    assert!(all.fragments().borrow().objects.is_empty());
}

#[test]
fn what_was_on_the_card_rests_and_what_was_only_reserved_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let all = open(&dir);
    let reserve =
        |all: &Attachments, name: &str, s| all.reserve(&wish(name, 3..=3), &intent(&[]), at(s));
    reserve(&all, "a", 0).unwrap();
    all.remove(&key("a"), at(1)).unwrap();
    reserve(&all, "b", 2).unwrap();
    all.place(&key("b"), place(1)).unwrap();
    let shortage = reserve(&all, "c", 3).unwrap_err().to_string();
    assert_eq!(shortage, "no vif is free: of 1, 1 are in use and 0 rest");
    all.remove(&key("b"), at(10)).unwrap();
    drop(all);
    let all = open(&dir);
    let shortage = reserve(&all, "c", 11).unwrap_err().to_string();
    assert!(shortage.ends_with("0 are in use and 1 rest; the next is free in 299 s"), "{shortage}");
    let c = reserve(&all, "c", 10 + REST.as_secs()).unwrap();
    assert_eq!((c.vif, c.label), (VifId(3), MplsLabel(17)), "label 16 is free for less long");
}

/// Whether one of these has it yet or not; and they rest when the node file gives them up.
#[test]
fn labels_of_floating_ips_are_given_to_no_pod() {
    let dir = tempfile::tempdir().unwrap();
    let all = open(&dir);
    let mut node = intent(&[]);
    let fabric =
        Fabric { address: "10.169.25.20/24".parse().unwrap(), mac: MacAddr([2, 0, 0, 0, 0, 1]) };
    let block = LabelBlock { first: MplsLabel(16), count: 4 };
    node.node = Some(Arc::new(Node {
        name: "cent222".to_owned(),
        fabric,
        vhost: Default::default(),
        service_labels: Some(block),
        flow_aging: Default::default(),
        flow_limits: Default::default(),
    }));
    let a = all.reserve(&wish("a", 3..=5), &node, at(0)).unwrap();
    assert_eq!(a.label, MplsLabel(20));
    let b = all.reserve(&wish("b", 3..=5), &intent(&[]), at(1)).unwrap();
    assert_eq!(b.label, MplsLabel(21));
    let c = all.reserve(&wish("c", 3..=5), &intent(&[]), at(2 + REST.as_secs())).unwrap();
    assert_eq!(c.label, MplsLabel(22), "those that never had one come first");
}

#[test]
fn numbers_of_other_sources_are_avoided_and_rest_when_they_are_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let all = open(&dir);
    let reserve = |name: &str, others: &[(u8, u32)], s| {
        all.reserve(&wish(name, 7..=8), &intent(others), at(s))
    };
    let a = reserve("a", &[(7, 16), (9, 17)], 0).unwrap();
    assert_eq!((a.vif, a.label), (VifId(8), MplsLabel(18)));
    let error = reserve("b", &[], 1).unwrap_err().to_string();
    assert!(error.contains("1 are in use and 1 rest"), "{error}");
    let b = reserve("b", &[], 1 + REST.as_secs()).unwrap();
    assert_eq!(b.vif, VifId(7));
}

#[test]
fn what_makes_no_sense_is_refused_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let all = open(&dir);
    let other = Wish { vrf: "red".to_owned(), ..wish("a", 3..=4) };
    let error = all.reserve(&other, &intent(&[]), at(0)).unwrap_err();
    assert_eq!(error.to_string(), "there is no VRF red here; there are: pods");
    assert!(matches!(all.place(&key("a"), place(1)), Err(NotPlaced::Unknown(_))));
    all.reserve(&wish("a", 3..=4), &intent(&[]), at(0)).unwrap();
    let nobody = Place { mac: MacAddr([1; 6]), ..place(1) };
    let error = all.place(&key("a"), nobody).unwrap_err();
    assert!(error.to_string().contains("is not an interface's"), "{error}");
    assert_eq!(all.get(&key("a")).unwrap().place, None);
}

#[test]
fn a_pod_made_anew_while_the_one_before_goes_has_a_name_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let all = open(&dir);
    let names = ["c1", "c2"].map(|container| {
        let wish = Wish { pod: ObjectName::new("ns", "db-0"), ..wish(container, 3..=9) };
        all.reserve(&wish, &intent(&[]), at(0)).unwrap().name
    });
    assert_eq!(names, ["ns/db-0", "ns/db-0~2"]);
    let mut second = wish("c3", 3..=9);
    second.key.interface = "net1".to_owned();
    assert_eq!(all.reserve(&second, &intent(&[]), at(0)).unwrap().name, "ns/c3/net1");
}

#[derive(Clone, Debug)]
enum Step {
    Reserve(u8),
    Place(u8),
    Remove(u8),
    Pass(u64),
    Restart,
    Others(Vec<u8>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..8u8).prop_map(Step::Reserve),
        3 => (0..8u8).prop_map(Step::Place),
        2 => (0..8u8).prop_map(Step::Remove),
        2 => (1..400u64).prop_map(Step::Pass),
        1 => Just(Step::Restart),
        1 => proptest::collection::vec(3..9u8, 0..3).prop_map(Step::Others),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(16) })]

    /// No number twice at a time, none again that was on the card less than [`REST`] ago, and nothing lost by a restart.
    #[test]
    fn numbers_are_given_once(steps in proptest::collection::vec(step(), 1..60)) {
        let dir = tempfile::tempdir().unwrap();
        let mut all = open(&dir);
        let (mut now, mut others) = (0, Vec::new());
        let mut freed: HashMap<(bool, u32), u64> = HashMap::new();
        for step in steps {
            let before = all.list();
            match step {
                Step::Reserve(n) => {
                    let key = key(&n.to_string());
                    let known = all.get(&key);
                    let intent = intent(&others);
                    let given = all.reserve(&wish(&n.to_string(), 3..=8), &intent, at(now));
                    if let (None, Ok(given)) = (known, given) {
                        for number in [(true, given.vif.0.into()), (false, given.label.0)] {
                            if let Some(freed) = freed.get(&number) {
                                prop_assert!(now >= freed + REST.as_secs(), "{number:?}");
                            }
                        }
                        prop_assert!(!others.contains(&(given.vif.0, given.label.0)));
                    }
                }
                Step::Place(n) => _ = all.place(&key(&n.to_string()), place(n + 1)),
                Step::Remove(n) => {
                    let gone = all.remove(&key(&n.to_string()), at(now)).unwrap();
                    if let Some(gone) = gone.filter(|gone| gone.place.is_some()) {
                        freed.insert((true, gone.vif.0.into()), now);
                        freed.insert((false, gone.label.0), now);
                    }
                }
                Step::Pass(seconds) => now += seconds,
                Step::Restart => {
                    drop(all);
                    all = open(&dir);
                    prop_assert_eq!(all.list(), before);
                }
                Step::Others(vifs) => {
                    // Only where it does not take what is given away, which admission would sort out.
                    let used = all.list();
                    others = vifs.into_iter().map(|vif| (vif, 1000 + u32::from(vif))).collect();
                    others.retain(|(vif, _)| used.iter().all(|own| own.vif.0 != *vif));
                }
            }
            let list = all.list();
            let vifs: BTreeSet<_> = list.iter().map(|one| one.vif).collect();
            let labels: BTreeSet<_> = list.iter().map(|one| one.label).collect();
            prop_assert_eq!((vifs.len(), labels.len()), (list.len(), list.len()));
            let placed = list.iter().filter(|one| one.place.is_some()).count();
            prop_assert_eq!(all.fragments().borrow().objects.len(), placed);
        }
    }
}
