//! The attachments of one card.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use penstock_abi::limits;
use penstock_model::{
    Fragment, Intent, LearnPolicy, MacAddr, MplsLabel, Object, ObjectName, PodVif, Reason, VifId,
    VrfId, check,
};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::numbers::Shortage;
use crate::store::{Change, Kept, Kind, Store, StoreError};

/// What this source is called.
pub const SOURCE: &str = "CNI registrations";

/// What identifies an attachment, in CNI's words.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    /// Name of the network configuration.
    pub network: String,
    /// Id of the container, or of a pod's sandbox.
    pub container: String,
    /// Name of the interface in it.
    pub interface: String,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.network, self.container, self.interface)
    }
}

/// What a plugin asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Which attachment.
    pub key: Key,
    /// The pod.
    pub pod: ObjectName,
    /// Name of its VRF.
    pub vrf: String,
    /// vif numbers that would do.
    pub vifs: BTreeSet<VifId>,
}

/// Where a pod is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Its address.
    pub address: Ipv4Addr,
    /// The MAC address of its interface.
    pub mac: MacAddr,
}

/// A pod's interface on a card, or what will become one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Which.
    pub key: Key,
    /// The pod.
    pub pod: ObjectName,
    /// Name of the vif; no other has it.
    pub name: String,
    /// Name of its VRF.
    pub vrf: String,
    /// Number of that when it was reserved.
    pub vrf_id: VrfId,
    /// Its vif.
    pub vif: VifId,
    /// The label under which this node accepts packets for it.
    pub label: MplsLabel,
    /// Where it is; none as long as it is only reserved.
    pub place: Option<Place>,
}

impl Attachment {
    /// What is asked of the card.
    fn object(&self) -> Option<Object> {
        let place = self.place?;
        Some(Object::Vif(Arc::new(PodVif {
            id: self.vif,
            name: self.name.clone(),
            pod: self.pod.clone(),
            address: IpAddr::V4(place.address),
            mac: place.mac,
            vrf: self.vrf_id,
            label: self.label,
            learn: LearnPolicy::Always,
            flow_limit: None,
        })))
    }
}

/// What other sources have given away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Others {
    /// vif numbers.
    pub vifs: BTreeSet<VifId>,
    /// Labels.
    pub labels: BTreeSet<MplsLabel>,
    /// Names of vifs.
    pub names: BTreeSet<String>,
}

/// Why nothing is reserved.
#[derive(Debug, thiserror::Error)]
pub enum NotReserved {
    /// It is attached already; the runtime's, who has to ask for its removal first.
    #[error("{key} is attached as vif {vif}")]
    Attached {
        /// Which.
        key: Key,
        /// Its vif.
        vif: VifId,
    },
    /// The node has no such VRF; whoever wrote the network configuration, or the node file.
    #[error("there is no VRF {wanted} here; there are: {known}")]
    NoVrf {
        /// Its name.
        wanted: String,
        /// Those that there are.
        known: String,
    },
    /// All vif numbers that would do are in use or rest.
    #[error("no vif is free: {0}")]
    NoVif(Shortage),
    /// All labels are in use or rest.
    #[error("no label is free: {0}")]
    NoLabel(Shortage),
    /// The disk's.
    #[error("it cannot be kept")]
    Store(#[from] StoreError),
}

/// Why an attachment has no place.
#[derive(Debug, thiserror::Error)]
pub enum NotPlaced {
    /// It was not reserved, or removed meanwhile.
    #[error("{0} is not reserved")]
    Unknown(Key),
    /// Its address or MAC address is none that a pod can have.
    #[error("{}", list(.0))]
    Wrong(Vec<Reason>),
    /// It is at another place already.
    #[error("{key} is at {address} already")]
    Elsewhere {
        /// Which.
        key: Key,
        /// Its address.
        address: Ipv4Addr,
    },
    /// The disk's.
    #[error("it cannot be kept")]
    Store(#[from] StoreError),
}

fn list(reasons: &[Reason]) -> String {
    reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// The attachments of one card. Clones share them.
#[derive(Clone, Debug)]
pub struct Attachments {
    card: Arc<str>,
    store: Arc<Store>,
    inner: Arc<Mutex<Inner>>,
    fragments: watch::Sender<Fragment>,
}

#[derive(Debug)]
struct Inner {
    kept: Kept,
    /// As seen last.
    others: Others,
}

impl Attachments {
    /// Those that the disk has of a card.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(store: Arc<Store>, card: &str) -> Result<Self, StoreError> {
        let kept = store.load(card)?;
        let objects = kept.attachments.values().filter_map(Attachment::object);
        let objects = objects.map(|object| (object.id(), object)).collect();
        let fragment = Fragment { objects, complete: true, ..Fragment::empty(SOURCE) };
        let inner = Arc::new(Mutex::new(Inner { kept, others: Others::default() }));
        Ok(Self { card: card.into(), store, inner, fragments: watch::channel(fragment).0 })
    }

    /// What they come to, for a merger.
    #[must_use]
    pub fn fragments(&self) -> watch::Receiver<Fragment> {
        self.fragments.subscribe()
    }

    /// All of them.
    #[must_use]
    pub fn list(&self) -> Vec<Attachment> {
        self.lock().kept.attachments.values().cloned().collect()
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Attachment> {
        self.lock().kept.attachments.get(key).cloned()
    }

    /// Takes note of what the other sources have given away in an intent that all of them have made: what they give up rests.
    ///
    /// # Errors
    /// The disk does not take it; it is taken note of at the next call.
    pub fn observe(&self, intent: &Intent, now: SystemTime) -> Result<(), StoreError> {
        self.lock().observe(self, intent, seconds(now))
    }

    /// Reserves a vif number and a label. What is reserved already stays as it is, as long as its vif still would do.
    ///
    /// # Errors
    /// [`NotReserved`].
    pub fn reserve(
        &self,
        wish: &Wish,
        intent: &Intent,
        now: SystemTime,
    ) -> Result<Attachment, NotReserved> {
        let now = seconds(now);
        let mut inner = self.lock();
        inner.observe(self, intent, now)?;
        let Inner { kept, others } = &mut *inner;
        if let Some(there) = kept.attachments.get(&wish.key) {
            if there.place.is_some() {
                return Err(NotReserved::Attached { key: wish.key.clone(), vif: there.vif });
            }
            if wish.vifs.contains(&there.vif) && there.vrf == wish.vrf && there.pod == wish.pod {
                return Ok(there.clone());
            }
        }
        let vrf = intent.vrfs.values().find(|vrf| vrf.name == wish.vrf);
        let vrf = vrf.ok_or_else(|| {
            let known: Vec<&str> = intent.vrfs.values().map(|vrf| vrf.name.as_str()).collect();
            NotReserved::NoVrf { wanted: wish.vrf.clone(), known: known.join(", ") }
        })?;
        kept.vifs.settle(now);
        kept.labels.settle(now);
        let has = |what: &dyn Fn(&Attachment) -> bool| {
            kept.attachments.iter().any(|(key, other)| *key != wish.key && what(other))
        };
        let vif = kept.vifs.pick(
            wish.vifs.iter().map(|vif| u32::from(vif.0)),
            |n| {
                others.vifs.iter().any(|vif| u32::from(vif.0) == n)
                    || has(&|other| u32::from(other.vif.0) == n)
            },
            now,
        );
        let vif = VifId(vif.map_err(NotReserved::NoVif)?.try_into().unwrap_or(u8::MAX));
        let label = kept.labels.pick(
            limits::LABEL_FIRST..limits::LABELS,
            |n| others.labels.contains(&MplsLabel(n)) || has(&|other| other.label.0 == n),
            now,
        );
        let label = MplsLabel(label.map_err(NotReserved::NoLabel)?);
        let name =
            free_name(wish, |name| others.names.contains(name) || has(&|other| other.name == name));
        let attachment = Attachment {
            key: wish.key.clone(),
            pod: wish.pod.clone(),
            name,
            vrf: vrf.name.clone(),
            vrf_id: vrf.id,
            vif,
            label,
            place: None,
        };
        self.store.commit(&self.card, &[Change::Put(&attachment)])?;
        kept.attachments.insert(wish.key.clone(), attachment.clone());
        Ok(attachment)
    }

    /// Gives an attachment that is reserved its place, and asks the card for it.
    ///
    /// # Errors
    /// [`NotPlaced`].
    pub fn place(&self, key: &Key, place: Place) -> Result<Attachment, NotPlaced> {
        let mut inner = self.lock();
        let known = inner.kept.attachments.get(key);
        let mut attachment = known.ok_or_else(|| NotPlaced::Unknown(key.clone()))?.clone();
        match attachment.place {
            Some(now) if now == place => return Ok(attachment),
            Some(now) => {
                return Err(NotPlaced::Elsewhere { key: key.clone(), address: now.address });
            }
            None => attachment.place = Some(place),
        }
        let wrong = attachment.object().map(|object| check(&object)).unwrap_or_default();
        if !wrong.is_empty() {
            return Err(NotPlaced::Wrong(wrong));
        }
        self.store.commit(&self.card, &[Change::Put(&attachment)])?;
        inner.kept.attachments.insert(key.clone(), attachment.clone());
        self.publish(None, Some(&attachment));
        Ok(attachment)
    }

    /// Removes an attachment, and gives it back if there was one.
    ///
    /// # Errors
    /// The disk's; nothing is removed then.
    pub fn remove(&self, key: &Key, now: SystemTime) -> Result<Option<Attachment>, StoreError> {
        let mut inner = self.lock();
        let Some(attachment) = inner.kept.attachments.get(key).cloned() else { return Ok(None) };
        let mut changes = vec![Change::Remove(key)];
        let now = seconds(now);
        let (vif, label) = (attachment.vif.0.into(), attachment.label.0);
        if attachment.place.is_some() {
            changes.push(Change::Freed(Kind::Vif, vif, now));
            changes.push(Change::Freed(Kind::Label, label, now));
        }
        self.store.commit(&self.card, &changes)?;
        inner.kept.attachments.remove(key);
        if attachment.place.is_some() {
            inner.kept.vifs.set(vif, now);
            inner.kept.labels.set(label, now);
        }
        self.publish(Some(&attachment), None);
        Ok(Some(attachment))
    }

    fn publish(&self, gone: Option<&Attachment>, new: Option<&Attachment>) {
        self.fragments.send_modify(|fragment| {
            if let Some(object) = gone.and_then(Attachment::object) {
                fragment.objects.remove(&object.id());
            }
            if let Some(object) = new.and_then(Attachment::object) {
                fragment.objects.insert(object.id(), object);
            }
        });
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // What is behind it changes after the disk did, and then in one step.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn observe(&mut self, of: &Attachments, intent: &Intent, now: u64) -> Result<(), StoreError> {
        let own: BTreeMap<&str, &Attachment> =
            self.kept.attachments.values().map(|own| (own.name.as_str(), own)).collect();
        // One of its own that was removed just now may still be there: it counts as another's until it is gone.
        let is_own = |vif: &PodVif| {
            let own = own.get(vif.name.as_str());
            own.is_some_and(|own| (own.vif, own.label) == (vif.id, vif.label))
        };
        let mut others = Others::default();
        for vif in intent.vifs.values().filter(|vif| !is_own(vif)) {
            others.vifs.insert(vif.id);
            others.labels.insert(vif.label);
            others.names.insert(vif.name.clone());
        }
        // What floating IPs are to have is no pod's, whether one has it yet or not.
        let block = intent.node.as_ref().and_then(|node| node.service_labels);
        let block = block.map_or(0..0, |block| block.below(limits::LABELS));
        others.labels.extend(block.map(MplsLabel));
        let gone_vifs = self.others.vifs.difference(&others.vifs).map(|vif| u32::from(vif.0));
        let gone_labels = self.others.labels.difference(&others.labels).map(|label| label.0);
        let (gone_vifs, gone_labels): (Vec<_>, Vec<_>) =
            (gone_vifs.collect(), gone_labels.collect());
        let vifs = gone_vifs.iter().map(|&vif| Change::Freed(Kind::Vif, vif, now));
        let labels = gone_labels.iter().map(|&label| Change::Freed(Kind::Label, label, now));
        let changes: Vec<Change<'_>> = vifs.chain(labels).collect();
        if !changes.is_empty() {
            of.store.commit(&of.card, &changes)?;
        }
        gone_vifs.iter().for_each(|&vif| self.kept.vifs.set(vif, now));
        gone_labels.iter().for_each(|&label| self.kept.labels.set(label, now));
        self.others = others;
        Ok(())
    }
}

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A name for a vif: the pod's, and its interface's if that is not the usual one. A pod that is made anew while the one before
/// it is still going has another.
fn free_name(wish: &Wish, is_taken: impl Fn(&str) -> bool) -> String {
    let mut name = wish.pod.to_string();
    if wish.key.interface != "eth0" {
        name = format!("{name}/{}", wish.key.interface);
    }
    let mut names = std::iter::once(name.clone()).chain((2..).map(|n: u32| format!("{name}~{n}")));
    names.find(|name| !is_taken(name)).unwrap_or(name)
}

#[cfg(test)]
mod tests;
