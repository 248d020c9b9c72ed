//! What differs between two persistent maps.

use imbl::ordmap::DiffItem;
use penstock_model::OrdMap;

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
