//! What there is, and what has happened, by version.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

/// Resources by `apiVersion`, `kind` and plural.
const RESOURCES: [(&str, &str, &str); 4] = [
    ("v1", "Service", "services"),
    ("discovery.k8s.io/v1", "EndpointSlice", "endpointslices"),
    ("v1", "Pod", "pods"),
    ("v1", "Node", "nodes"),
];

/// Plural, namespace, name.
type Key = (&'static str, String, String);

/// All that is known.
#[derive(Debug, Default)]
pub(super) struct History {
    pub(super) version: u64,
    /// Changes up to this version are forgotten.
    forgotten: u64,
    objects: BTreeMap<Key, Value>,
    changes: Vec<Change>,
    /// Lists that go on by further pages, by version and resource.
    lists: BTreeMap<(u64, &'static str), Arc<[Value]>>,
}

#[derive(Clone, Debug)]
struct Change {
    version: u64,
    plural: &'static str,
    before: Option<Value>,
    after: Option<Value>,
}

/// Which objects are asked for.
pub(super) type Filter = Arc<dyn Fn(&Value) -> bool + Send + Sync>;

/// The version is not known any more.
pub(super) struct Forgotten;

/// A resource by its group and version, and its plural.
pub(super) fn resource(version: &str, plural: &str) -> Option<&'static str> {
    RESOURCES.iter().find(|(v, _, p)| (*v, *p) == (version, plural)).map(|(_, _, p)| *p)
}

/// What stands in `apiVersion` and `kind` of a resource's objects.
pub(super) fn type_of(plural: &str) -> (&'static str, &'static str) {
    RESOURCES.iter().find(|(_, _, p)| *p == plural).map_or(("", ""), |(v, k, _)| (*v, *k))
}

fn key(object: &Value) -> Key {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
    let plural = RESOURCES.iter().find(|(v, k, _)| (*v, *k) == (version.as_str(), kind.as_str()));
    let plural = plural.map(|(_, _, plural)| *plural);
    let plural = plural.unwrap_or_else(|| panic!("{version} {kind} is not served"));
    let (namespace, name) =
        (text(&object["metadata"]["namespace"]), text(&object["metadata"]["name"]));
    assert!(!name.is_empty(), "{kind} without a name");
    (plural, namespace, name)
}

impl History {
    pub(super) fn put(&mut self, mut object: Value) {
        let key = key(&object);
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        let before = self.objects.insert(key.clone(), object.clone());
        let (version, plural) = (self.version, key.0);
        self.changes.push(Change { version, plural, before, after: Some(object) });
    }

    pub(super) fn delete(&mut self, object: &Value) -> bool {
        let key = key(object);
        let Some(mut before) = self.objects.remove(&key) else { return false };
        self.version += 1;
        before["metadata"]["resourceVersion"] = self.version.to_string().into();
        let (version, plural) = (self.version, key.0);
        self.changes.push(Change { version, plural, before: Some(before), after: None });
        true
    }

    pub(super) fn objects(&self) -> Vec<Value> {
        self.objects.values().cloned().collect()
    }

    pub(super) fn forget(&mut self) {
        self.forgotten = self.version;
        self.changes.clear();
        self.lists.clear();
    }

    /// Some objects from a place on, as of a version, or of now; whether there are more, and the version.
    pub(super) fn list(
        &mut self,
        plural: &'static str,
        filter: &Filter,
        from: Option<(u64, usize)>,
        limit: usize,
    ) -> Result<(Vec<Value>, Option<usize>, u64), Forgotten> {
        let (version, place) = from.unwrap_or((self.version, 0));
        let all = match from {
            Some(_) => self.lists.get(&(version, plural)).cloned().ok_or(Forgotten)?,
            None => {
                let own =
                    self.objects.iter().filter(|(key, object)| key.0 == plural && filter(object));
                own.map(|(_, object)| object.clone()).collect()
            }
        };
        let end = all.len().min(place.saturating_add(limit));
        let mut page = all.get(place..end).unwrap_or_default().to_vec();
        // As the real server: the list says what its items are.
        for object in page.iter_mut().filter_map(Value::as_object_mut) {
            object.remove("apiVersion");
            object.remove("kind");
        }
        let more = (end < all.len()).then_some(end);
        if more.is_some() {
            self.lists.insert((version, plural), all);
        }
        Ok((page, more, version))
    }

    /// The first change of a resource behind a version, as an event, and its version; if there is none, the version up to
    /// which nothing happened.
    pub(super) fn event(
        &self,
        plural: &str,
        filter: &Filter,
        after: u64,
    ) -> Result<(Option<Value>, u64), Forgotten> {
        if after < self.forgotten {
            return Err(Forgotten);
        }
        let first = self.changes.partition_point(|change| change.version <= after);
        for change in self.changes[first..].iter().filter(|change| change.plural == plural) {
            let was = change.before.as_ref().filter(|object| filter(object));
            let is = change.after.as_ref().filter(|object| filter(object));
            let (kind, object) = match (was, is) {
                (None, None) => continue,
                (None, Some(is)) => ("ADDED", is.clone()),
                (Some(_), Some(is)) => ("MODIFIED", is.clone()),
                (Some(was), None) => {
                    let mut was = was.clone();
                    was["metadata"]["resourceVersion"] = change.version.to_string().into();
                    ("DELETED", was)
                }
            };
            return Ok((Some(json!({ "type": kind, "object": object })), change.version));
        }
        Ok((None, self.version.max(after)))
    }
}
