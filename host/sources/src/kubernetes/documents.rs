//! From the text of a file to objects: YAML documents, their kinds, and what the API server would refuse of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use penstock_model::ObjectName;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_yaml_ng::Value;

use super::objects::{EndpointSlice, Metadata, Pod, Service};
use super::{Objects, translate};
use crate::Fault;

/// One document of a file.
pub(super) struct Document {
    /// Its text, after as many empty lines as stand before it in the file, so that a parser counts lines right.
    text: String,
    /// Its first line in the file.
    line: usize,
}

/// Splits at lines that begin with `---`, as the API's own tools do.
pub(super) fn split(text: &str) -> Vec<Document> {
    let mut documents = vec![Document { text: String::new(), line: 1 }];
    for (number, line) in text.lines().enumerate() {
        let separator =
            line.strip_prefix("---").filter(|rest| rest.trim_start() != *rest || rest.is_empty());
        if let Some(rest) = separator {
            let text = "\n".repeat(number) + rest;
            documents.push(Document { text, line: number + 1 });
        } else if let Some(document) = documents.last_mut() {
            document.text.push_str(line);
        }
        if let Some(document) = documents.last_mut() {
            document.text.push('\n');
        }
    }
    documents.retain(|d| {
        d.text.lines().any(|l| !l.trim().is_empty() && !l.trim_start().starts_with('#'))
    });
    documents
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    metadata: Option<Metadata>,
    #[serde(default)]
    items: Option<Vec<Value>>,
}

/// Adds what is in a document.
pub(super) fn add(
    objects: &mut Objects,
    path: &Path,
    document: &Document,
) -> Result<(), Vec<Fault>> {
    let at = Place { path, line: document.line };
    let header: Header = at.parse(&document.text)?;
    if header.api_version == "v1" && header.kind == "List" {
        let mut faults = Vec::new();
        for item in header.items.unwrap_or_default() {
            let added = at
                .value::<Header>(item.clone())
                .and_then(|header| add_object(objects, &at, &header, Source::Item(&item)));
            faults.extend(added.err().unwrap_or_default());
        }
        return if faults.is_empty() { Ok(()) } else { Err(faults) };
    }
    add_object(objects, &at, &header, Source::Text(&document.text))
}

/// Where the object itself is.
#[derive(Clone, Copy)]
enum Source<'a> {
    Text(&'a str),
    Item(&'a Value),
}

fn add_object(
    objects: &mut Objects,
    at: &Place<'_>,
    header: &Header,
    source: Source<'_>,
) -> Result<(), Vec<Fault>> {
    match (header.api_version.as_str(), header.kind.as_str()) {
        ("v1", "Service") => {
            let service: Service = at.object(source)?;
            let name = at.name("Service", &service.metadata)?;
            at.refuse("Service", &name, translate::check_service(&service))?;
            at.put(&mut objects.services, "Service", name, service)
        }
        ("discovery.k8s.io/v1", "EndpointSlice") => {
            let slice: EndpointSlice = at.object(source)?;
            let name = at.name("EndpointSlice", &slice.metadata)?;
            at.refuse("EndpointSlice", &name, translate::check_slice(&slice))?;
            at.put(&mut objects.slices, "EndpointSlice", name, slice)
        }
        ("v1", "Pod") => {
            let pod: Pod = at.object(source)?;
            let name = at.name("Pod", &pod.metadata)?;
            at.put(&mut objects.pods, "Pod", name, pod)
        }
        ("", _) => at.fault("apiVersion is missing"),
        (_, "") => at.fault("kind is missing"),
        (version, kind) => {
            let name = header.metadata.as_ref().map_or("", |m| &m.name);
            tracing::debug!(path = %at.path.display(), version, kind, name, "kind passed over");
            Ok(())
        }
    }
}

struct Place<'a> {
    path: &'a Path,
    line: usize,
}

impl Place<'_> {
    fn fault<T>(&self, message: impl Into<String>) -> Result<T, Vec<Fault>> {
        Err(vec![self.new_fault(self.line, message)])
    }

    fn new_fault(&self, line: usize, message: impl Into<String>) -> Fault {
        Fault { path: self.path.to_owned(), line: Some(line), message: message.into() }
    }

    fn parse<T: DeserializeOwned>(&self, text: &str) -> Result<T, Vec<Fault>> {
        serde_yaml_ng::from_str(text).map_err(|error| {
            let line = error.location().map_or(self.line, |at| at.line());
            vec![self.new_fault(line, error.to_string())]
        })
    }

    fn value<T: DeserializeOwned>(&self, value: Value) -> Result<T, Vec<Fault>> {
        serde_yaml_ng::from_value(value)
            .map_err(|error| vec![self.new_fault(self.line, format!("in a List: {error}"))])
    }

    fn object<T: DeserializeOwned>(&self, source: Source<'_>) -> Result<T, Vec<Fault>> {
        match source {
            Source::Text(text) => self.parse(text),
            Source::Item(value) => self.value(value.clone()),
        }
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
        let fault = |what| self.new_fault(self.line, format!("{kind} {name}: {what}"));
        Err(found.into_iter().map(fault).collect())
    }

    fn put<T>(
        &self,
        map: &mut BTreeMap<ObjectName, (PathBuf, T)>,
        kind: &str,
        name: ObjectName,
        object: T,
    ) -> Result<(), Vec<Fault>> {
        if let Some((other, _)) = map.get(&name) {
            return self.fault(format!("{kind} {name} is also in {}", other.display()));
        }
        map.insert(name, (self.path.to_owned(), object));
        Ok(())
    }
}
