//! From a document to objects: their kinds, Lists of them, and what is passed over.
//!
//! Lists are opened as client tools open them: a `List` holds objects of any kind, other Lists too; a `ServiceList` holds
//! Services, whose own kind need not be said. What is of no use here is passed over and counted, so that it can be told.
//!
//! An object that is wrong is refused by its name. If a part of it is, a port or an endpoint, the rest is taken as long as
//! there is a rest. What does not even have a name may be any object: then it cannot be told what the file does *not* hold.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;
use std::sync::Arc;

use penstock_model::Reason;
use serde_yaml_ng::Value;

use super::at::{At, Implied};
use super::{Items, Key, Kind, MAX_FAULTS, Said};
use crate::documents::Document;
use crate::lines::Lines;
use crate::tree::{self, Step};

/// Reads a file's documents.
pub(super) struct Reader<'a> {
    path: &'a Path,
    lines: &'a Lines,
    said: Said,
    items: Items,
    /// Where objects are.
    places: BTreeMap<Key, At<'a>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(path: &'a Path, lines: &'a Lines) -> Self {
        let (said, items, places) = (Said::default(), Items::new(), BTreeMap::new());
        Self { path, lines, said, items, places }
    }

    /// Takes something that does not say what it is.
    pub(super) fn untold(&mut self, reason: Reason) {
        if self.said.untold.len() < MAX_FAULTS {
            self.said.untold.push(reason);
        } else {
            self.said.more_untold += 1;
        }
    }

    /// Takes what is in a document.
    pub(super) fn add(&mut self, document: Document<'a>) {
        let at = At::in_file(self.path, self.lines, document);
        let untold = match tree::tree(&document) {
            // As the templates of charts leave it behind.
            Ok(Value::Null) => return,
            Ok(Value::Sequence(_)) => at.reason(
                "is an array and not an object; write a List (apiVersion: v1, kind: List) with these items",
            ),
            Ok(value @ Value::Mapping(_)) => return self.add_object(&at, value, None),
            Ok(_) => at.reason("is neither an object nor a comment"),
            Err(problem) => at.problem(problem),
        };
        self.untold(untold);
    }

    pub(super) fn finish(mut self) -> Said {
        self.said.items = Arc::new(self.items);
        self.said
    }

    fn add_object(&mut self, at: &At<'a>, value: Value, implied: Implied<'_>) {
        let (version, kind) = match at.version_and_kind(&value, implied) {
            Ok((version, kind)) => (version.to_owned(), kind.to_owned()),
            Err(reason) => return self.untold(reason),
        };
        if let Some(element) = kind.strip_suffix("List")
            && (version == "v1"
                || ["discovery.k8s.io/", "penstock.dev/"].iter().any(|of| version.starts_with(of)))
        {
            let implied = if element.is_empty() { None } else { Some((&*version, element)) };
            return self.add_items(at, value, implied);
        }
        match (version.as_str(), kind.as_str()) {
            ("v1", "Service") => self.put(at, Kind::Service, value),
            ("discovery.k8s.io/v1", "EndpointSlice") => self.put(at, Kind::Slice, value),
            ("v1", "Pod") => self.put(at, Kind::Pod, value),
            ("v1", "Node") => self.put(at, Kind::Node, value),
            ("penstock.dev/v1", "FloatingIP") => self.put(at, Kind::FloatingIp, value),
            _ => {
                self.said.passed_over.entry((version, kind)).or_default().add(full_name(&value));
                self.said.seen += 1;
            }
        }
    }

    fn add_items(&mut self, at: &At<'a>, mut list: Value, implied: Implied<'_>) {
        let items = match list.get_mut("items").map(std::mem::take) {
            // Also what is left of a list that was cut behind its key: no statement.
            None | Some(Value::Null) => return,
            Some(Value::Sequence(items)) => items,
            Some(_) => return self.untold(at.reason("items is not a list")),
        };
        self.said.empty_list |= items.is_empty();
        for (index, item) in items.into_iter().enumerate() {
            let at = at.below([Step::Key("items".to_owned()), Step::Index(index)]);
            match item {
                Value::Mapping(_) => self.add_object(&at, item, implied),
                _ => self.untold(at.reason("is not an object")),
            }
        }
    }

    fn put(&mut self, at: &At<'a>, kind: Kind, mut value: Value) {
        let Some(name) = kind.name(&value) else {
            return self.untold(at.without_name(kind, &value));
        };
        let key = Key { kind, name };
        match self.places.entry(key.clone()) {
            Entry::Occupied(first) => {
                self.said.again.push((key, first.get().place()));
                return;
            }
            Entry::Vacant(entry) => _ = entry.insert(at.clone()),
        }
        match at.read(kind, &mut value) {
            Ok((item, partial)) => {
                if !partial.is_empty() {
                    self.said.partial.insert(key.clone(), partial);
                }
                self.items.insert(key, item);
                self.said.seen += 1;
            }
            Err(wrong) => _ = self.said.refused.insert(key, wrong),
        }
    }
}

/// The name of an object that is not looked into, as far as it has one.
fn full_name(value: &Value) -> String {
    let field = |field| value.get("metadata")?.get(field)?.as_str().filter(|text| !text.is_empty());
    let name = field("name").unwrap_or("(without name)");
    field("namespace").map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}"))
}

#[cfg(test)]
mod tests;
