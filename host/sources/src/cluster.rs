//! The objects of an API server as a source.
//!
//! Whoever talks to the server tells this what it hears: lists, from their beginning to their end, and single changes between
//! them. It keeps what is in force, and makes the fragment of that by the rules by which manifests are read.
//!
//! * A list counts when it is complete, at once: what is not in it is gone. So nothing of a list that breaks off counts, and what
//!   was deleted while nobody listened goes with the next one. A server says itself when it has said all, so an absence is
//!   believed, unlike that of files.
//! * The source is complete when each kind was listed once, and stays so.
//! * An object that cannot be taken stays what it was, and has a finding; a list in which it stands counts for all others.
//! * A server that does not answer changes nothing: the source is stale, and says why.

use std::collections::{BTreeMap, BTreeSet};

use penstock_model::{Effect, Finding, Findings, Fragment, ObjectId, ObjectName, Reason};
use serde::{Deserialize, Deserializer};
use serde_yaml_ng::Value;

use crate::difference::{changed_keys, combine, set};
pub use crate::kubernetes::Kind;
use crate::kubernetes::{self, Balancers, Item, Key, Read};

/// What this source is called.
pub const SOURCE: &str = "kubernetes";

/// An object as an API server gives it. It can be read whatever it says, so that one that is wrong does not keep others from
/// being read.
#[derive(Clone, Debug)]
pub struct Document(Value);

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self)
    }
}

impl Document {
    /// A text of its metadata: `name`, `namespace`, `resourceVersion`.
    #[must_use]
    pub fn metadata(&self, field: &str) -> Option<&str> {
        self.0.get("metadata")?.get(field)?.as_str()
    }
}

/// What is heard of one kind.
#[derive(Debug, Default)]
struct Listing {
    /// It was listed once.
    complete: bool,
    /// What was said of a list that is not complete yet.
    said: Option<BTreeMap<ObjectName, Read>>,
    /// Why nothing is heard of it.
    trouble: Option<String>,
}

/// What is in force of the objects of an API server.
#[derive(Debug)]
pub struct Cluster {
    /// Which server, for people.
    server: String,
    kinds: BTreeMap<Kind, Listing>,
    /// The objects that there are, and what of them is in force.
    items: BTreeMap<Key, Option<Item>>,
    balancers: Balancers,
    /// What is wrong with objects, and with the server.
    told: Findings,
    fragment: Fragment,
    /// What the findings of the fragment are made of.
    parts: [Findings; 2],
}

impl Cluster {
    /// Nothing was heard of the server yet. `server` is its name for people.
    #[must_use]
    pub fn new(server: impl Into<String>) -> Self {
        Self {
            server: server.into(),
            kinds: Kind::ALL.into_iter().map(|kind| (kind, Listing::default())).collect(),
            items: BTreeMap::new(),
            balancers: Balancers::default(),
            told: Findings::new(),
            fragment: Fragment::empty(SOURCE),
            parts: Default::default(),
        }
    }

    /// The server begins to list all objects of a kind; a list that was begun before is not worth anything any more.
    pub fn begin(&mut self, kind: Kind) {
        self.listing(kind).said = Some(BTreeMap::new());
        // The list says it again, if it is so.
        set(&mut self.told, nameless(kind), Vec::new());
    }

    /// An object of the list.
    pub fn list(&mut self, kind: Kind, document: Document) {
        let Some(name) = self.name(kind, &document) else { return };
        let read = kubernetes::read(kind, document.0);
        if let Some(said) = &mut self.listing(kind).said {
            said.insert(name, read);
        }
    }

    /// The list is complete.
    pub fn end(&mut self, kind: Kind) {
        let listing = self.listing(kind);
        let Some(said) = listing.said.take() else { return };
        listing.complete = true;
        listing.trouble = None;
        let known = self.items.keys().filter(|key| key.kind == kind);
        let gone: Vec<Key> = known.filter(|key| !said.contains_key(&key.name)).cloned().collect();
        let mut changes = BTreeMap::new();
        for key in gone {
            self.drop(&key, &mut changes);
        }
        for (name, read) in said {
            self.take(&Key { kind, name }, read, &mut changes);
        }
        self.balancers.update(changes);
    }

    /// An object is new, or is other than before.
    pub fn put(&mut self, kind: Kind, document: Document) {
        self.listing(kind).trouble = None;
        let Some(name) = self.name(kind, &document) else { return };
        let mut changes = BTreeMap::new();
        self.take(&Key { kind, name }, kubernetes::read(kind, document.0), &mut changes);
        self.balancers.update(changes);
    }

    /// An object is gone.
    pub fn remove(&mut self, kind: Kind, document: &Document) {
        self.listing(kind).trouble = None;
        let Some(name) = self.name(kind, document) else { return };
        let mut changes = BTreeMap::new();
        self.drop(&Key { kind, name }, &mut changes);
        self.balancers.update(changes);
    }

    /// The server answers what it is asked about a kind.
    pub fn answered(&mut self, kind: Kind) {
        self.listing(kind).trouble = None;
    }

    /// Nothing is heard of a kind, for a reason.
    pub fn trouble(&mut self, kind: Kind, why: impl Into<String>) {
        self.listing(kind).trouble = Some(why.into());
    }

    /// All that is in force.
    #[must_use]
    pub fn fragment(&mut self) -> Fragment {
        self.tell_server();
        let fragment = &mut self.fragment;
        fragment.complete = self.kinds.values().all(|listing| listing.complete);
        fragment.stale = self.kinds.values().any(|listing| listing.trouble.is_some());
        fragment.objects = self.balancers.objects().clone();
        let parts = [self.told.clone(), self.balancers.findings().clone()];
        let changed = self.parts.iter().zip(&parts);
        let changed: BTreeSet<ObjectId> =
            changed.flat_map(|(before, after)| changed_keys(before, after)).collect();
        for id in changed {
            combine(&mut fragment.findings, id, &parts);
        }
        self.parts = parts;
        fragment.clone()
    }

    fn listing(&mut self, kind: Kind) -> &mut Listing {
        self.kinds.entry(kind).or_default()
    }

    /// What an object is called. No server has one without a name: if it did, that would be told.
    fn name(&mut self, kind: Kind, document: &Document) -> Option<ObjectName> {
        let name = kind.name(&document.0);
        if name.is_none() {
            let text = format!("gave {} without a name: passed over", kind.as_str());
            set(&mut self.told, nameless(kind), vec![Finding::refused(Reason::Text { text })]);
        }
        name
    }

    /// Takes what is said of an object, if it can be taken.
    fn take(&mut self, key: &Key, read: Read, changes: &mut BTreeMap<Key, Option<Item>>) {
        let before = self.items.entry(key.clone()).or_default();
        let findings = match read {
            Ok((item, partial)) => {
                if before.as_ref() != Some(&item) {
                    *before = Some(item.clone());
                    changes.insert(key.clone(), Some(item));
                }
                partial.into_iter().map(Finding::partial).collect()
            }
            Err(wrong) => {
                let effect = if before.is_some() { Effect::Kept } else { Effect::Refused };
                wrong.into_iter().map(|reason| Finding { effect, reason }).collect()
            }
        };
        set(&mut self.told, key.id(), findings);
    }

    fn drop(&mut self, key: &Key, changes: &mut BTreeMap<Key, Option<Item>>) {
        set(&mut self.told, key.id(), Vec::new());
        if self.items.remove(key).flatten().is_some() {
            changes.insert(key.clone(), None);
        }
    }

    /// Says what keeps the server from being heard.
    fn tell_server(&mut self) {
        let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (kind, listing) in &self.kinds {
            if let Some(why) = &listing.trouble {
                reasons.entry(why).or_default().push(kind.as_str());
            }
        }
        let started = self.fragment.complete;
        let finding = |(why, kinds): (&str, Vec<&str>)| {
            let reason = Reason::Text { text: format!("{why} ({})", kinds.join(", ")) };
            if started { Finding::kept(reason) } else { Finding::refused(reason) }
        };
        let findings = reasons.into_iter().map(finding).collect();
        set(&mut self.told, ObjectId::other("API server", &self.server), findings);
    }
}

/// Stands for objects of a kind that have no name.
fn nameless(kind: Kind) -> ObjectId {
    ObjectId::other("object", kind.as_str())
}

#[cfg(test)]
mod tests;
