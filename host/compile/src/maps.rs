//! Work on persistent maps that costs what changes.

use imbl::ordmap::DiffItem;
use penstock_model::OrdMap;

/// Entries of a map.
pub(crate) type Entries<K, V> = Vec<(K, V)>;

/// What left a map and what came to it since `known`, which becomes `now`; what changed is in both.
pub(crate) fn changes<K: Ord + Clone, V: PartialEq + Clone>(
    known: &mut OrdMap<K, V>,
    now: &OrdMap<K, V>,
) -> (Entries<K, V>, Entries<K, V>) {
    let (mut gone, mut came) = (Vec::new(), Vec::new());
    if known.ptr_eq(now) {
        return (gone, came);
    }
    let entry = |(key, value): (&K, &V)| (key.clone(), value.clone());
    for item in known.diff(now) {
        match item {
            DiffItem::Add(key, value) => came.push(entry((key, value))),
            DiffItem::Remove(key, value) => gone.push(entry((key, value))),
            DiffItem::Update { old, new } => {
                gone.push(entry(old));
                came.push(entry(new));
            }
        }
    }
    *known = now.clone();
    (gone, came)
}

/// A map that equals `now` and has in common with `before` what is in both.
pub(crate) fn sharing<K: Ord + Clone, V: PartialEq + Clone>(
    before: &OrdMap<K, V>,
    now: &OrdMap<K, V>,
) -> OrdMap<K, V> {
    let mut map = before.clone();
    for item in before.diff(now) {
        match item {
            DiffItem::Add(key, value) | DiffItem::Update { new: (key, value), .. } => {
                map.insert(key.clone(), value.clone());
            }
            DiffItem::Remove(key, _) => {
                map.remove(key);
            }
        }
    }
    map
}

/// Makes `map` hold `value` at `key`, or nothing. What is so already is not touched, and stays shared with older states.
pub(crate) fn put<K: Ord + Clone, V: PartialEq + Clone>(
    map: &mut OrdMap<K, V>,
    key: K,
    value: Option<V>,
) {
    match value {
        Some(value) if map.get(&key) != Some(&value) => {
            map.insert(key, value);
        }
        None if map.contains_key(&key) => {
            map.remove(&key);
        }
        _ => {}
    }
}
