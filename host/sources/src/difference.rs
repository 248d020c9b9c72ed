//! What differs between two persistent maps.

use std::collections::BTreeMap;

use imbl::ordmap::DiffItem;
use penstock_model::{Finding, Findings, ObjectId, OrdMap};

/// The keys under which the maps have other values, or only one of them has any; in time proportional to their number.
pub(crate) fn changed_keys<K, V>(before: &OrdMap<K, V>, after: &OrdMap<K, V>) -> Vec<K>
where
    K: Ord + Clone,
    V: Clone + PartialEq,
{
    let items = before.diff(after).map(|item| match item {
        DiffItem::Add(key, _)
        | DiffItem::Update { new: (key, _), .. }
        | DiffItem::Remove(key, _) => key.clone(),
    });
    items.collect()
}

/// Makes an entry of a map this one, and leaves the map as it is if it has it.
pub(crate) fn put<K: Ord + Clone, V: Clone + PartialEq>(
    map: &mut OrdMap<K, V>,
    key: K,
    value: Option<V>,
) {
    match value {
        Some(value) if map.get(&key) != Some(&value) => _ = map.insert(key, value),
        Some(_) => {}
        None if map.contains_key(&key) => _ = map.remove(&key),
        None => {}
    }
}

/// Makes the findings of an object these.
pub(crate) fn set(all: &mut Findings, id: ObjectId, mut findings: Vec<Finding>) {
    findings.sort();
    findings.dedup();
    put(all, id, (!findings.is_empty()).then(|| findings.into()));
}

/// Makes all findings these. What stays the same stays shared.
pub(crate) fn set_all(all: &mut Findings, findings: BTreeMap<ObjectId, Vec<Finding>>) {
    let gone: Vec<ObjectId> = all.keys().filter(|id| !findings.contains_key(id)).cloned().collect();
    for id in gone {
        all.remove(&id);
    }
    for (id, findings) in findings {
        set(all, id, findings);
    }
}
