//! Commands over parts in memory, of which any step may fail, or be the last one of its process.
#![allow(clippy::unwrap_used)]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use penstock_api::attachments::Attachment;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::result::Lease;

/// What happens at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// The process is killed before it is done.
    KilledBefore,
    /// And after it is done.
    KilledAfter,
    /// It is refused.
    Fails,
}

/// Where an interface is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Node,
    Pod(String),
}

/// A machine with TAP devices for vifs 3 to 6, which outlives the plugin's processes.
#[derive(Clone, Debug, Default, PartialEq)]
struct Machine {
    /// The daemon's.
    attachments: BTreeMap<Key, Attachment>,
    /// The IPAM plugin's.
    leases: BTreeMap<Key, Ipv4Addr>,
    /// Of each vif where its interface is, whose mark it has, and whether it is set up.
    links: BTreeMap<u8, (Place, Option<Key>, bool)>,
    /// The disk's.
    queue: BTreeSet<Key>,
    next_address: u8,
    daemon_is_down: bool,
}

struct World {
    machine: RefCell<Machine>,
    /// Steps until something happens.
    fate: RefCell<Option<(u32, Fate)>>,
}

/// How a killed process is told from a defect.
struct Killed;

impl World {
    fn new() -> Self {
        let links = (3..=6).map(|vif| (vif, (Place::Node, None, false))).collect();
        let machine = Machine { links, ..Machine::default() };
        Self { machine: machine.into(), fate: None.into() }
    }

    /// Does a step, or what fate has for it.
    fn step<T>(
        &self,
        work: impl FnOnce(&mut Machine) -> Result<T, CniError>,
    ) -> Result<T, CniError> {
        let mut fate = self.fate.borrow_mut();
        let now = match &mut *fate {
            Some((0, what)) => {
                let what = *what;
                *fate = None;
                Some(what)
            }
            Some((left, _)) => {
                *left -= 1;
                None
            }
            None => None,
        };
        drop(fate);
        match now {
            Some(Fate::Fails) => Err(CniError::new(Code::Io, "fate")),
            Some(Fate::KilledBefore) => std::panic::resume_unwind(Box::new(Killed)),
            Some(Fate::KilledAfter) => {
                let _ = work(&mut self.machine.borrow_mut());
                std::panic::resume_unwind(Box::new(Killed))
            }
            None => work(&mut self.machine.borrow_mut()),
        }
    }

    fn daemon<T>(
        &self,
        work: impl FnOnce(&mut Machine) -> Result<T, CniError>,
    ) -> Result<T, DaemonError> {
        if self.machine.borrow().daemon_is_down {
            return Err(DaemonError::Away("it is down".to_owned()));
        }
        self.step(work).map_err(DaemonError::Refused)
    }

    /// Runs a command in a process of its own; none if that was killed.
    fn process<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        match catch_unwind(AssertUnwindSafe(work)) {
            Ok(value) => Some(value),
            Err(cause) if cause.is::<Killed>() => None,
            Err(defect) => std::panic::resume_unwind(defect),
        }
    }

    fn attachment(&self, key: &Key) -> Option<Attachment> {
        self.machine.borrow().attachments.get(key).cloned()
    }

    /// Whether there is nothing left of an attachment but what the queue knows.
    fn is_clean(&self, key: &Key) -> bool {
        let machine = self.machine.borrow();
        let marked = machine.links.values().any(|(_, mark, _)| mark.as_ref() == Some(key));
        let away = Place::Pod(key.container.clone());
        let moved = machine.links.values().any(|(place, _, _)| *place == away);
        let known = machine.attachments.contains_key(key) && !machine.queue.contains(key);
        !marked && !moved && !known && !machine.leases.contains_key(key)
    }
}

impl Daemon for World {
    fn reserve(&self, request: &Reserve) -> Result<Attachment, DaemonError> {
        let key = Key {
            network: request.network.clone(),
            container: request.container.clone(),
            interface: request.interface.clone(),
        };
        self.daemon(|machine| {
            if let Some(known) = machine.attachments.get(&key) {
                return match known.placed {
                    Some(_) => Err(CniError::new(Code::Attached, "attached")),
                    None => Ok(known.clone()),
                };
            }
            let used: Vec<u8> = machine.attachments.values().map(|one| one.vif).collect();
            let vif = request.vifs.iter().find(|vif| !used.contains(vif));
            let vif = *vif.ok_or_else(|| CniError::new(Code::Exhausted, "exhausted"))?;
            let attachment = Attachment {
                network: key.network.clone(),
                container: key.container.clone(),
                interface: key.interface.clone(),
                pod_namespace: request.pod_namespace.clone(),
                pod_name: request.pod_name.clone(),
                name: key.container.clone(),
                vrf: request.vrf.clone(),
                vif,
                label: 16,
                placed: None,
                forwarding: false,
                why: None,
            };
            machine.attachments.insert(key.clone(), attachment.clone());
            Ok(attachment)
        })
    }

    fn place(&self, key: &Key, placed: &Placed) -> Result<Attachment, DaemonError> {
        self.daemon(|machine| {
            let taken = machine.attachments.iter().any(|(other, one)| {
                other != key && one.placed.as_ref().map(|p| p.address) == Some(placed.address)
            });
            assert!(!taken, "two pods have {}", placed.address);
            let attachment = machine.attachments.get_mut(key).unwrap();
            (attachment.placed, attachment.forwarding) = (Some(placed.clone()), true);
            Ok(attachment.clone())
        })
    }

    fn get(&self, key: &Key) -> Result<Option<Attachment>, DaemonError> {
        self.daemon(|machine| Ok(machine.attachments.get(key).cloned()))
    }

    fn list(&self) -> Result<Vec<Attachment>, DaemonError> {
        self.daemon(|machine| Ok(machine.attachments.values().cloned().collect()))
    }

    fn remove(&self, key: &Key) -> Result<(), DaemonError> {
        self.daemon(|machine| {
            machine.attachments.remove(key);
            Ok(())
        })
    }

    fn ready(&self) -> Result<(), CniError> {
        Ok(self.list().map(|_| ())?)
    }
}

impl Ipam for World {
    fn is_there(&self) -> Result<(), CniError> {
        self.step(|_| Ok(()))
    }

    fn add(&self, key: &Key, _: Option<&Path>) -> Result<Lease, CniError> {
        self.step(|machine| {
            assert!(!machine.leases.contains_key(key), "{key:?} has a lease");
            // As soon as an address is free, it is given away again.
            let free = (2..=20u8).map(|last| Ipv4Addr::new(10, 1, 0, last));
            let mut free = free.filter(|address| machine.leases.values().all(|a| a != address));
            let address = free.next().unwrap();
            machine.leases.insert(key.clone(), address);
            let gateway = Some(Ipv4Addr::new(10, 1, 0, 1));
            Ok(Lease { address, gateway, routes: Vec::new(), dns: None })
        })
    }

    fn del(&self, key: &Key, _: Option<&Path>) -> Result<(), CniError> {
        self.step(|machine| {
            machine.leases.remove(key);
            Ok(())
        })
    }

    fn check(&self, key: &Key, _: Option<&Path>) -> Result<(), CniError> {
        self.step(|machine| {
            let no = || CniError::new(Code::NotAsMade, "no lease");
            machine.leases.get(key).map(|_| ()).ok_or_else(no)
        })
    }

    fn gc(&self) -> Result<bool, CniError> {
        Ok(false)
    }

    fn status(&self) -> Result<(), CniError> {
        Ok(())
    }
}

fn container(netns: &Path) -> String {
    netns.display().to_string()
}

impl Links for World {
    fn offered(&self, wanted: &BTreeSet<u8>, key: &Key) -> Result<BTreeSet<u8>, CniError> {
        self.step(|machine| {
            let free = machine.links.iter().filter(|(vif, (place, mark, _))| {
                wanted.contains(vif)
                    && *place == Place::Node
                    && mark.as_ref().is_none_or(|mark| mark == key)
            });
            Ok(free.map(|(vif, _)| *vif).collect())
        })
    }

    fn is_there(&self, netns: &Path, _: &str) -> Result<bool, CniError> {
        let pod = Place::Pod(container(netns));
        self.step(|machine| Ok(machine.links.values().any(|(place, _, _)| *place == pod)))
    }

    fn prepare(&self, mark: &Mark) -> Result<(), CniError> {
        self.step(|machine| {
            let link = machine.links.get_mut(&mark.vif).unwrap();
            assert_eq!(link.0, Place::Node);
            link.1 = Some(mark.key.clone());
            Ok(())
        })
    }

    fn hand_over(&self, mark: &Mark, netns: &Path) -> Result<(), CniError> {
        self.step(|machine| {
            let link = machine.links.get_mut(&mark.vif).unwrap();
            assert_eq!((&link.0, &link.1), (&Place::Node, &Some(mark.key.clone())));
            link.0 = Place::Pod(container(netns));
            Ok(())
        })
    }

    fn set_up(&self, netns: &Path, _: &str, _: &Setup) -> Result<u32, CniError> {
        let pod = Place::Pod(container(netns));
        self.step(|machine| {
            machine.links.values_mut().find(|link| link.0 == pod).unwrap().2 = true;
            Ok(1500)
        })
    }

    fn compare(&self, netns: &Path, _: &str, _: &Setup) -> Result<Vec<String>, CniError> {
        let pod = Place::Pod(container(netns));
        self.step(|machine| {
            let good = machine.links.values().any(|link| link.0 == pod && link.2);
            Ok(if good { Vec::new() } else { vec!["no link".to_owned()] })
        })
    }

    fn take_back(&self, key: &Key, _: Option<u8>, netns: Option<&Path>) -> Result<(), CniError> {
        let pod = netns.map(|netns| Place::Pod(container(netns)));
        // Two steps: it is moved, and loses its mark.
        self.step(|machine| {
            let own = |link: &&mut (Place, Option<Key>, bool)| {
                link.1.as_ref() == Some(key) && Some(&link.0) == pod.as_ref()
            };
            machine.links.values_mut().filter(own).for_each(|link| {
                (link.0, link.2) = (Place::Node, false);
            });
            Ok(())
        })?;
        self.step(|machine| {
            let links = machine.links.values_mut();
            links
                .filter(|link| link.0 == Place::Node && link.1.as_ref() == Some(key))
                .for_each(|link| link.1 = None);
            Ok(())
        })
    }

    fn marked(&self, _: &str) -> Result<Vec<Key>, CniError> {
        self.step(|machine| {
            let here = machine.links.values().filter(|link| link.0 == Place::Node);
            Ok(here.filter_map(|link| link.1.clone()).collect())
        })
    }
}

impl Queue for World {
    fn put(&self, key: &Key) -> Result<(), CniError> {
        self.step(|machine| {
            machine.queue.insert(key.clone());
            Ok(())
        })
    }

    fn all(&self, _: &str) -> Result<Vec<Key>, CniError> {
        self.step(|machine| Ok(machine.queue.iter().cloned().collect()))
    }

    fn done(&self, key: &Key) -> Result<(), CniError> {
        self.step(|machine| {
            machine.queue.remove(key);
            Ok(())
        })
    }
}

fn conf(more: &serde_json::Value) -> NetConf {
    let mut conf = json!({
        "name": "pods", "vrf": "pods", "ipam": { "type": "host-local" },
        "provider": { "type": "existing", "interface": "tap{vif}" },
    });
    for (key, value) in more.as_object().unwrap() {
        conf[key] = value.clone();
    }
    serde_json::from_value(conf).unwrap()
}

fn parts<'a>(world: &'a World, conf: &'a NetConf) -> Parts<'a> {
    Parts { conf, daemon: world, ipam: world, links: world, queue: world }
}

fn target(n: u8) -> Target {
    let container = format!("c{n}");
    let key = Key {
        network: "pods".to_owned(),
        container: container.clone(),
        interface: "eth0".to_owned(),
    };
    let netns = Some(container.clone().into());
    Target { key, netns, pod_namespace: "ns".to_owned(), pod_name: container }
}

/// Whether CHECK finds what ADD has made.
fn check(world: &World, made: &Network, of: &Target) -> Result<(), CniError> {
    let previous = made.render(crate::version::CniVersion::V1_1_0);
    let conf = conf(&json!({ "prevResult": previous }));
    parts(world, &conf).check(of)
}

#[test]
fn a_pod_comes_is_checked_and_goes() {
    let (world, conf) = (World::new(), conf(&json!({})));
    let parts = parts(&world, &conf);
    let made = parts.add(&target(1)).unwrap();
    assert_eq!(made.mac.to_string(), "02:00:0a:01:00:02");
    assert_eq!(made.routes, [Route { to: (Ipv4Addr::UNSPECIFIED, 0) }], "the way out");
    check(&world, &made, &target(1)).unwrap();
    let again = parts.add(&target(1)).unwrap_err();
    assert_eq!(again.code, Code::Attached as u32);
    check(&world, &made, &target(1)).unwrap();
    parts.del(&target(1)).unwrap();
    parts.del(&target(1)).unwrap();
    parts.del(&target(9)).unwrap();
    assert_eq!(*world.machine.borrow(), *World::new().machine.borrow());
    assert_eq!(check(&world, &made, &target(1)).unwrap_err().code, Code::NotAsMade as u32);
}

#[test]
fn what_the_daemon_could_not_be_told_it_is_told_by_the_next_call() {
    let (world, conf) = (World::new(), conf(&json!({})));
    let parts = parts(&world, &conf);
    parts.add(&target(1)).unwrap();
    world.machine.borrow_mut().daemon_is_down = true;
    assert_eq!(parts.add(&target(2)).unwrap_err().code, Code::TryAgainLater as u32);
    assert_eq!(parts.status().unwrap_err().code, Code::TryAgainLater as u32);
    parts.del(&target(1)).unwrap();
    parts.del(&target(1)).unwrap();
    assert!(world.attachment(&target(1).key).is_some() && world.is_clean(&target(1).key));
    world.machine.borrow_mut().daemon_is_down = false;
    // It gets the address that the first one had.
    parts.add(&target(2)).unwrap();
    assert!(world.attachment(&target(1).key).is_none());
    assert!(world.machine.borrow().queue.is_empty());
}

#[test]
fn the_last_interface_is_given_and_then_none() {
    let (world, conf) = (World::new(), conf(&json!({})));
    let parts = parts(&world, &conf);
    (0..4).for_each(|n| _ = parts.add(&target(n)).unwrap());
    let before = world.machine.borrow().clone();
    assert_eq!(parts.add(&target(4)).unwrap_err().code, Code::Exhausted as u32);
    assert_eq!(*world.machine.borrow(), before);
}

/// Each step of ADD once failing, and once the last one of its process, before and after it is done.
#[test]
fn an_add_that_is_broken_off_anywhere_leaves_nothing_that_del_does_not_find() {
    for fate in [Fate::Fails, Fate::KilledBefore, Fate::KilledAfter] {
        for at in 0.. {
            let (world, conf) = (World::new(), conf(&json!({})));
            let parts = parts(&world, &conf);
            *world.fate.borrow_mut() = Some((at, fate));
            let result = world.process(|| parts.add(&target(1)));
            if world.fate.borrow_mut().take().is_some() {
                assert!(matches!(result, Some(Ok(_))) && at > 8, "{fate:?} at {at}");
                break;
            }
            match result {
                Some(Ok(made)) => panic!("{fate:?} at {at}: {made:?}"),
                // It has undone all itself.
                Some(Err(error)) => {
                    assert_eq!(error.msg, "fate");
                    assert!(world.is_clean(&target(1).key), "{fate:?} at {at}");
                }
                None => {}
            }
            parts.del(&target(1)).unwrap();
            assert!(world.is_clean(&target(1).key), "{fate:?} at {at}");
            let made = parts.add(&target(1)).unwrap();
            check(&world, &made, &target(1)).unwrap();
        }
    }
}

#[derive(Clone, Debug)]
enum Do {
    Add(u8),
    Del(u8),
    Gc,
    Daemon(bool),
}

fn does() -> impl Strategy<Value = (Do, Option<(u32, Fate)>)> {
    let what = prop_oneof![
        4 => (0..4u8).prop_map(Do::Add),
        3 => (0..4u8).prop_map(Do::Del),
        1 => Just(Do::Gc),
        1 => any::<bool>().prop_map(Do::Daemon),
    ];
    let fate = prop_oneof![Just(Fate::KilledBefore), Just(Fate::KilledAfter), Just(Fate::Fails)];
    (what, proptest::option::of((0..14u32, fate)))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    /// Whatever happens to processes and daemon: a pod that was attached stays so, what DEL was done for is gone, and a last GC
    /// leaves what is valid and no more.
    #[test]
    fn nothing_is_lost_and_nothing_stays(steps in proptest::collection::vec(does(), 1..40)) {
        let (world, plain) = (World::new(), conf(&json!({})));
        let parts = parts(&world, &plain);
        let mut attached: BTreeMap<u8, Network> = BTreeMap::new();
        // A runtime that does not know how an ADD ended has to ask for its DEL before the next.
        let mut unsure: BTreeSet<u8> = BTreeSet::new();
        for (what, fate) in steps {
            *world.fate.borrow_mut() = fate;
            match what {
                Do::Add(n) if !attached.contains_key(&n) && !unsure.contains(&n) => {
                    match world.process(|| parts.add(&target(n))) {
                        Some(Ok(made)) => _ = attached.insert(n, made),
                        Some(Err(_)) | None => _ = unsure.insert(n),
                    }
                }
                Do::Add(_) => {}
                Do::Del(n) => {
                    attached.remove(&n);
                    match world.process(|| parts.del(&target(n))) {
                        Some(Ok(())) => {
                            prop_assert!(world.is_clean(&target(n).key));
                            unsure.remove(&n);
                        }
                        Some(Err(_)) | None => _ = unsure.insert(n),
                    }
                }
                // Those that may still be there have a namespace, and are valid.
                Do::Gc => {
                    let all = attached.keys().chain(&unsure);
                    let valid: Vec<_> = all
                        .map(|n| json!({ "containerID": format!("c{n}"), "ifname": "eth0" }))
                        .collect();
                    let conf = conf(&json!({ "cni.dev/valid-attachments": valid }));
                    let _ = world.process(|| self::parts(&world, &conf).gc());
                }
                Do::Daemon(down) => world.machine.borrow_mut().daemon_is_down = down,
            }
            *world.fate.borrow_mut() = None;
            if !world.machine.borrow().daemon_is_down {
                for (n, made) in &attached {
                    prop_assert_eq!(check(&world, made, &target(*n)), Ok(()));
                }
            }
        }
        world.machine.borrow_mut().daemon_is_down = false;
        for n in unsure {
            parts.del(&target(n)).unwrap();
        }
        let valid: Vec<_> = attached
            .keys()
            .map(|n| json!({ "containerID": format!("c{n}"), "ifname": "eth0" }))
            .collect();
        let last = conf(&json!({ "cni.dev/valid-attachments": valid }));
        self::parts(&world, &last).gc().unwrap();
        let machine = world.machine.borrow();
        let keys: BTreeSet<Key> = attached.keys().map(|n| target(*n).key).collect();
        prop_assert_eq!(machine.attachments.keys().cloned().collect::<BTreeSet<_>>(), keys.clone());
        prop_assert_eq!(machine.leases.keys().cloned().collect::<BTreeSet<_>>(), keys);
        prop_assert!(machine.queue.is_empty());
    }
}
