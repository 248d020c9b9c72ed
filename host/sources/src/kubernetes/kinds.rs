//! From a document to objects: their kinds, Lists of them, what the API server would refuse, and what is passed over.
//!
//! Lists are opened as client tools open them: a `List` holds objects of any kind, other Lists too; a `ServiceList` holds
//! Services, whose own kind need not be said. What is of no use here is passed over and counted, so that it can be told.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use penstock_model::ObjectName;
use serde::de::DeserializeOwned;
use serde_yaml_ng::Value;

use super::documents::Document;
use super::objects::{EndpointSlice, Metadata, Pod, Service};
use super::tree::{self, Problem, Step};
use super::{Found, Objects, translate};
use crate::Fault;

/// Adds what is in a document.
pub(super) fn add(
    objects: &mut Objects,
    path: &Arc<Path>,
    document: &Document<'_>,
) -> Result<(), Vec<Fault>> {
    let at = Place { path, document, steps: Vec::new() };
    match tree::tree(document).map_err(|problem| vec![at.problem(problem)])? {
        // As the templates of charts leave it behind.
        Value::Null => Ok(()),
        Value::Sequence(_) => at.fault(
            "is an array and not an object; write a List (apiVersion: v1, kind: List) with these items",
        ),
        value @ Value::Mapping(_) => at.add(objects, &value, None),
        _ => at.fault("is neither an object nor a comment"),
    }
}

/// Version and kind that the items of a List have if they do not say.
type Implied<'a> = Option<(&'a str, &'a str)>;

/// An object's place in a document.
struct Place<'a> {
    path: &'a Arc<Path>,
    document: &'a Document<'a>,
    steps: Vec<Step>,
}

impl Place<'_> {
    fn add(
        &self,
        objects: &mut Objects,
        value: &Value,
        implied: Implied<'_>,
    ) -> Result<(), Vec<Fault>> {
        let version = self.word(value, "apiVersion")?.or(implied.map(|(version, _)| version));
        let kind = self.word(value, "kind")?.or(implied.map(|(_, kind)| kind));
        let (version, kind) = match (version, kind) {
            (None, _) => return self.fault("apiVersion is missing"),
            (_, None) => return self.fault("kind is missing"),
            (Some(version), Some(kind)) => (version, kind),
        };
        if let Some(element) = kind.strip_suffix("List")
            && (version == "v1" || version.starts_with("discovery.k8s.io/"))
        {
            let implied = if element.is_empty() { None } else { Some((version, element)) };
            return self.add_items(objects, value.get("items"), implied);
        }
        match (version, kind) {
            ("v1", "Service") => {
                let service: Service = self.object(value)?;
                let name = self.name("Service", &service.metadata)?;
                self.refuse("Service", &name, translate::check_service(&service))?;
                self.put(&mut objects.services, "Service", name, service)?;
            }
            ("discovery.k8s.io/v1", "EndpointSlice") => {
                let slice: EndpointSlice = self.object(value)?;
                let name = self.name("EndpointSlice", &slice.metadata)?;
                self.refuse("EndpointSlice", &name, translate::check_slice(&slice))?;
                self.put(&mut objects.slices, "EndpointSlice", name, slice)?;
            }
            ("v1", "Pod") => {
                let pod: Pod = self.object(value)?;
                let name = self.name("Pod", &pod.metadata)?;
                self.put(&mut objects.pods, "Pod", name, pod)?;
            }
            (version, kind) => {
                let key = (Arc::clone(self.path), version.to_owned(), kind.to_owned());
                objects.passed_over.entry(key).or_default().add(full_name(value));
            }
        }
        objects.seen += 1;
        Ok(())
    }

    fn add_items(
        &self,
        objects: &mut Objects,
        items: Option<&Value>,
        implied: Implied<'_>,
    ) -> Result<(), Vec<Fault>> {
        let items = match items {
            // Also what is left of a list that was cut behind its key: no statement.
            None | Some(Value::Null) => return Ok(()),
            Some(Value::Sequence(items)) => items,
            Some(_) => return self.fault("items is not a list"),
        };
        objects.empty_list |= items.is_empty();
        let mut faults = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let mut steps = self.steps.clone();
            steps.extend([Step::Key("items".to_owned()), Step::Index(index)]);
            let place = Place { steps, ..*self };
            let added = match item {
                Value::Mapping(_) => place.add(objects, item, implied),
                _ => place.fault("is not an object"),
            };
            faults.extend(added.err().unwrap_or_default());
            if faults.len() >= super::MAX_FAULTS {
                break;
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }

    /// A field that is a word; none if it is absent or empty.
    fn word<'v>(&self, value: &'v Value, field: &str) -> Result<Option<&'v str>, Vec<Fault>> {
        match value.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => self.fault(format!("{field} is not a string")),
        }
    }

    fn problem(&self, problem: Problem) -> Fault {
        let Problem { line, message } = problem;
        Fault { path: self.path.to_path_buf(), line: Some(line), message }
    }

    /// Faults of the object as a whole, which stand where it begins.
    fn faults(&self, messages: impl IntoIterator<Item = String>) -> Vec<Fault> {
        let (line, prefix) = if self.steps.is_empty() {
            (self.document.line, String::new())
        } else {
            let place = tree::path_text(&self.steps);
            (tree::line_of(self.document, &self.steps), format!("{place}: "))
        };
        let fault = |message| self.problem(Problem { line, message: format!("{prefix}{message}") });
        messages.into_iter().map(fault).collect()
    }

    fn fault<T>(&self, message: impl Into<String>) -> Result<T, Vec<Fault>> {
        Err(self.faults([message.into()]))
    }

    fn object<T: DeserializeOwned>(&self, value: &Value) -> Result<T, Vec<Fault>> {
        tree::typed(self.document, &self.steps, value)
            .map_err(|problem| vec![self.problem(problem)])
    }

    fn name(&self, kind: &str, metadata: &Metadata) -> Result<ObjectName, Vec<Fault>> {
        if metadata.name.is_empty() {
            return self.fault(format!("{kind} without metadata.name"));
        }
        Ok(translate::object_name(metadata))
    }

    fn refuse(&self, kind: &str, name: &ObjectName, found: Vec<String>) -> Result<(), Vec<Fault>> {
        if found.is_empty() {
            return Ok(());
        }
        Err(self.faults(found.into_iter().map(|what| format!("{kind} {name}: {what}"))))
    }

    fn put<T>(
        &self,
        map: &mut BTreeMap<ObjectName, Found<T>>,
        kind: &str,
        name: ObjectName,
        object: T,
    ) -> Result<(), Vec<Fault>> {
        if let Some((other, _)) = map.get(&name) {
            return self.fault(format!("{kind} {name} is also in {}", other.display()));
        }
        map.insert(name, (Arc::clone(self.path), Arc::new(object)));
        Ok(())
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
