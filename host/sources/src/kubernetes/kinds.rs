//! From a document to objects: their kinds, Lists of them, what the API server would refuse, and what is passed over.
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

use penstock_model::{ObjectName, Reason};
use serde::de::DeserializeOwned;
use serde_yaml_ng::Value;

use super::checks::{self, Checked};
use super::objects::{EndpointSlice, Metadata, Pod, Service};
use super::{Item, Items, Key, Kind, MAX_FAULTS, Said};
use crate::documents::Document;
use crate::error::place;
use crate::tree::{self, Problem, Step};

/// Reads a file's documents.
pub(super) struct Reader<'a> {
    path: &'a Path,
    said: Said,
    items: Items,
    /// The lines on which objects begin.
    lines: BTreeMap<Key, usize>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(path: &'a Path) -> Self {
        let (said, items, lines) = (Said::default(), Items::new(), BTreeMap::new());
        Self { path, said, items, lines }
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
    pub(super) fn add(&mut self, document: &Document<'_>) {
        let at = At { path: self.path, document, steps: Vec::new() };
        let untold = match tree::tree(document) {
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

    fn add_object(&mut self, at: &At<'_>, value: Value, implied: Implied<'_>) {
        let (version, kind) = match at.version_and_kind(&value, implied) {
            Ok((version, kind)) => (version.to_owned(), kind.to_owned()),
            Err(reason) => return self.untold(reason),
        };
        if let Some(element) = kind.strip_suffix("List")
            && (version == "v1" || version.starts_with("discovery.k8s.io/"))
        {
            let implied = if element.is_empty() { None } else { Some((&*version, element)) };
            return self.add_items(at, value, implied);
        }
        match (version.as_str(), kind.as_str()) {
            ("v1", "Service") => self.put(at, Kind::Service, value),
            ("discovery.k8s.io/v1", "EndpointSlice") => self.put(at, Kind::Slice, value),
            ("v1", "Pod") => self.put(at, Kind::Pod, value),
            _ => {
                self.said.passed_over.entry((version, kind)).or_default().add(full_name(&value));
                self.said.seen += 1;
            }
        }
    }

    fn add_items(&mut self, at: &At<'_>, mut list: Value, implied: Implied<'_>) {
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

    fn put(&mut self, at: &At<'_>, kind: Kind, mut value: Value) {
        let Some(name) = name(&value) else { return self.untold(at.without_name(kind, &value)) };
        let key = Key { kind, name };
        match self.lines.entry(key.clone()) {
            Entry::Occupied(first) => {
                let first = place(self.path, Some(*first.get()));
                self.said.again.push((key, first));
                return;
            }
            Entry::Vacant(entry) => _ = entry.insert(at.line()),
        }
        let read = match kind {
            Kind::Service => at.service(&mut value),
            Kind::Slice => at.slice(&mut value),
            Kind::Pod => at.pod(&value),
        };
        match read {
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

/// Version and kind that the items of a List have if they do not say.
type Implied<'a> = Option<(&'a str, &'a str)>;

/// An object's place in a document.
struct At<'a> {
    path: &'a Path,
    document: &'a Document<'a>,
    steps: Vec<Step>,
}

impl<'a> At<'a> {
    fn below(&self, steps: impl IntoIterator<Item = Step>) -> At<'a> {
        let steps = self.steps.iter().cloned().chain(steps).collect();
        At { steps, ..*self }
    }

    fn line(&self) -> usize {
        if self.steps.is_empty() {
            return self.document.line;
        }
        tree::line_of(self.document, &self.steps)
    }

    fn problem(&self, problem: Problem) -> Reason {
        Reason::invalid(place(self.path, Some(problem.line)), problem.message)
    }

    /// What is wrong with the object as a whole stands where it begins.
    fn reason(&self, message: impl Into<String>) -> Reason {
        let mut message = message.into();
        if !self.steps.is_empty() {
            message = format!("{}: {message}", tree::path_text(&self.steps));
        }
        self.problem(Problem { line: self.line(), message })
    }

    fn version_and_kind<'v>(
        &self,
        value: &'v Value,
        implied: Implied<'v>,
    ) -> Result<(&'v str, &'v str), Reason> {
        let version = self.word(value, "apiVersion")?.or(implied.map(|(version, _)| version));
        let kind = self.word(value, "kind")?.or(implied.map(|(_, kind)| kind));
        let version = version.ok_or_else(|| self.reason("apiVersion is missing"))?;
        Ok((version, kind.ok_or_else(|| self.reason("kind is missing"))?))
    }

    /// A field that is a word; none if it is absent or empty.
    fn word<'v>(&self, value: &'v Value, field: &str) -> Result<Option<&'v str>, Reason> {
        match value.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.reason(format!("{field} is not a string"))),
        }
    }

    /// Why an object has no name.
    fn without_name(&self, kind: Kind, value: &Value) -> Reason {
        let steps = [Step::Key("metadata".to_owned())];
        let metadata = value.get("metadata").unwrap_or(&Value::Null);
        let read =
            tree::typed::<Option<Metadata>>(self.document, &self.below(steps).steps, metadata);
        let what =
            if kind == Kind::Slice { "EndpointSlice".to_owned() } else { format!("{kind:?}") };
        match read {
            Err(problem) => self.problem(problem),
            Ok(_) => self.reason(format!("{what} without metadata.name")),
        }
    }

    fn typed<T: DeserializeOwned>(&self, value: &Value) -> Result<T, Reason> {
        tree::typed(self.document, &self.steps, value).map_err(|problem| self.problem(problem))
    }

    fn service(&self, value: &mut Value) -> Result<(Item, Vec<Reason>), Vec<Reason>> {
        let ports = match value.get_mut("spec") {
            Some(spec) => self.parts(spec, &["spec"], "ports"),
            None => Vec::new(),
        };
        let mut service: Service = self.typed(value).map_err(|reason| vec![reason])?;
        service.metadata.trim();
        let checked = checks::service(&mut service, ports);
        self.judge(Item::Service(Arc::new(service)), checked)
    }

    fn slice(&self, value: &mut Value) -> Result<(Item, Vec<Reason>), Vec<Reason>> {
        let ports = self.parts(value, &[], "ports");
        let endpoints = self.parts(value, &[], "endpoints");
        let mut slice: EndpointSlice = self.typed(value).map_err(|reason| vec![reason])?;
        slice.metadata.trim();
        let checked = checks::slice(&mut slice, ports, endpoints);
        self.judge(Item::Slice(Arc::new(slice)), checked)
    }

    fn pod(&self, value: &Value) -> Result<(Item, Vec<Reason>), Vec<Reason>> {
        let mut pod: Pod = self.typed(value).map_err(|reason| vec![reason])?;
        pod.metadata.trim();
        Ok((Item::Pod(Arc::new(pod)), Vec::new()))
    }

    /// An object, and what is wrong with a part of it; or what is wrong with all of it.
    fn judge(&self, item: Item, checked: Checked) -> Result<(Item, Vec<Reason>), Vec<Reason>> {
        let Checked { mut unread, faults, whole } = checked;
        unread.extend(faults.into_iter().map(|fault| {
            let at = self.below(fault.steps);
            let list = if self.steps.is_empty() {
                String::new()
            } else {
                format!("{}: ", tree::path_text(&self.steps))
            };
            self.problem(Problem { line: at.line(), message: format!("{list}{}", fault.text) })
        }));
        if whole { Err(unread) } else { Ok((item, unread)) }
    }

    /// Takes the items of a list out of the object, and reads each for itself.
    fn parts<T: DeserializeOwned>(
        &self,
        holder: &mut Value,
        path: &[&str],
        field: &str,
    ) -> Vec<Result<T, Reason>> {
        let Some(list @ Value::Sequence(_)) = holder.get_mut(field) else { return Vec::new() };
        let Value::Sequence(items) = std::mem::take(list) else { return Vec::new() };
        let path = path.iter().chain([&field]).map(|key| Step::Key((*key).to_owned()));
        let mut at = self.below(path);
        let parts = items.into_iter().enumerate().map(|(index, item)| {
            at.steps.push(Step::Index(index));
            let part = at.typed(&item);
            at.steps.pop();
            part
        });
        parts.collect()
    }
}

/// Namespace and name of an object, if it has a name.
fn name(value: &Value) -> Option<ObjectName> {
    let metadata = value.get("metadata")?;
    let name = metadata.get("name")?.as_str().filter(|name| !name.is_empty())?;
    let namespace = match metadata.get("namespace") {
        None | Some(Value::Null) => "",
        Some(namespace) => namespace.as_str()?,
    };
    Some(ObjectName::new(if namespace.is_empty() { "default" } else { namespace }, name))
}

/// The name of an object that is not looked into, as far as it has one.
fn full_name(value: &Value) -> String {
    let field = |field| value.get("metadata")?.get(field)?.as_str().filter(|text| !text.is_empty());
    let name = field("name").unwrap_or("(without name)");
    field("namespace").map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}"))
}

#[cfg(test)]
mod tests;
