//! An object and its place: in a document of a file, or at an API server, where there are no lines.
//!
//! Whoever gives it, it is read by the same rules: what the API server would refuse of it is refused, of the whole or of a part.

use std::path::Path;
use std::sync::Arc;

use penstock_model::{ObjectName, Reason};
use serde::de::DeserializeOwned;
use serde_yaml_ng::Value;

use super::checks::{self, Checked};
use super::floating_ip::FloatingIp;
use super::objects::{EndpointSlice, Metadata, Node, Pod, Service};
use super::{Item, Kind, translate};
use crate::documents::Document;
use crate::error::place;
use crate::lines::Lines;
use crate::tree::{self, Problem, Step};

/// Version and kind that the items of a List have if they do not say.
pub(super) type Implied<'a> = Option<(&'a str, &'a str)>;

/// Who gives an object.
#[derive(Clone, Copy)]
enum Origin<'a> {
    /// A document of a file.
    File { path: &'a Path, lines: &'a Lines, document: Document<'a> },
    /// An API server: the object's name says all.
    Server,
}

impl Origin<'_> {
    pub(super) fn line(&self, steps: &[Step]) -> Option<usize> {
        match self {
            Self::File { lines, document, .. } => lines.find(document, steps),
            Self::Server => None,
        }
    }

    pub(super) fn place(&self, line: Option<usize>) -> String {
        match self {
            Self::File { path, .. } => place(path, line),
            Self::Server => String::new(),
        }
    }
}

/// What came of an object: it, and what is wrong with a part of it; or what is wrong with all of it.
pub(crate) type Read = Result<(Item, Vec<Reason>), Vec<Reason>>;

/// An object's place.
#[derive(Clone)]
pub(super) struct At<'a> {
    origin: Origin<'a>,
    steps: Vec<Step>,
}

impl<'a> At<'a> {
    /// A document.
    pub(super) fn in_file(path: &'a Path, lines: &'a Lines, document: Document<'a>) -> Self {
        Self { origin: Origin::File { path, lines, document }, steps: Vec::new() }
    }

    /// An object of an API server.
    pub(super) fn at_server() -> Self {
        Self { origin: Origin::Server, steps: Vec::new() }
    }

    /// Reads an object of a kind.
    pub(super) fn read(&self, kind: Kind, value: &mut Value) -> Read {
        match kind {
            Kind::Service => self.service(value),
            Kind::Slice => self.slice(value),
            Kind::Pod => self.pod(value),
            Kind::Node => self.node(value),
            Kind::FloatingIp => self.floating_ip(value),
        }
    }

    pub(super) fn below(&self, steps: impl IntoIterator<Item = Step>) -> At<'a> {
        let steps = self.steps.iter().cloned().chain(steps).collect();
        At { steps, origin: self.origin }
    }

    pub(super) fn line(&self) -> Option<usize> {
        self.origin.line(&self.steps)
    }

    /// What leads to it from elsewhere: the line, or the way through the document.
    pub(super) fn place(&self) -> String {
        match self.line() {
            Some(line) => self.origin.place(Some(line)),
            None => format!("{}: {}", self.origin.place(None), tree::path_text(&self.steps)),
        }
    }

    pub(super) fn problem(&self, problem: Problem) -> Reason {
        Reason::invalid(self.origin.place(problem.line), problem.message)
    }

    /// What is wrong with the object as a whole stands where it begins.
    pub(super) fn reason(&self, message: impl Into<String>) -> Reason {
        let mut message = message.into();
        if !self.steps.is_empty() {
            message = format!("{}: {message}", tree::path_text(&self.steps));
        }
        self.problem(Problem { line: self.line(), message })
    }

    pub(super) fn version_and_kind<'v>(
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
    pub(super) fn without_name(&self, kind: Kind, value: &Value) -> Reason {
        let steps = [Step::Key("metadata".to_owned())];
        let metadata = value.get("metadata").unwrap_or(&Value::Null);
        match self.below(steps).typed::<Option<Metadata>>(metadata) {
            Err(reason) => reason,
            Ok(_) => self.reason(format!("{} without metadata.name", kind.as_str())),
        }
    }

    fn typed<T: DeserializeOwned>(&self, value: &Value) -> Result<T, Reason> {
        tree::typed(&self.steps, value, |steps| self.origin.line(steps))
            .map_err(|problem| self.problem(problem))
    }

    fn service(&self, value: &mut Value) -> Read {
        let ports = match value.get_mut("spec") {
            Some(spec) => self.parts(spec, &["spec"], "ports"),
            None => Vec::new(),
        };
        let mut service: Service = self.typed(value).map_err(|reason| vec![reason])?;
        service.metadata.trim();
        let checked = checks::service(&mut service, ports);
        self.judge(Item::Service(Arc::new(service)), checked)
    }

    fn slice(&self, value: &mut Value) -> Read {
        let ports = self.parts(value, &[], "ports");
        let endpoints = self.parts(value, &[], "endpoints");
        let mut slice: EndpointSlice = self.typed(value).map_err(|reason| vec![reason])?;
        slice.metadata.trim();
        let checked = checks::slice(&mut slice, ports, endpoints);
        self.judge(Item::Slice(Arc::new(slice)), checked)
    }

    fn pod(&self, value: &Value) -> Read {
        let mut pod: Pod = self.typed(value).map_err(|reason| vec![reason])?;
        pod.metadata.trim();
        Ok((Item::Pod(Arc::new(pod)), Vec::new()))
    }

    fn node(&self, value: &Value) -> Read {
        let mut node: Node = self.typed(value).map_err(|reason| vec![reason])?;
        node.metadata.trim();
        Ok((Item::Node(Arc::new(node)), Vec::new()))
    }

    fn floating_ip(&self, value: &Value) -> Read {
        let file: FloatingIp = self.typed(value).map_err(|reason| vec![reason])?;
        let name = name(value).unwrap_or_default();
        let created = translate::created(&file.metadata)
            .map_err(|error| vec![self.reason(format!("metadata.creationTimestamp: {error}"))])?;
        let ip = Arc::new(file.spec.floating_ip(name, created));
        let wrong = penstock_model::check(&penstock_model::Object::FloatingIp(ip.clone()));
        let placed = |reason| match reason {
            Reason::Invalid { text, .. } => self.reason(text),
            other => self.reason(other.to_string()),
        };
        if wrong.is_empty() {
            Ok((Item::FloatingIp(ip), Vec::new()))
        } else {
            Err(wrong.into_iter().map(placed).collect())
        }
    }

    /// An object, and what is wrong with a part of it; or what is wrong with all of it.
    fn judge(&self, item: Item, checked: Checked) -> Read {
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

impl Kind {
    /// Namespace and name of an object, if it has a name. Nodes have no namespace.
    pub(crate) fn name(self, value: &Value) -> Option<ObjectName> {
        let name = name(value)?;
        Some(if self == Self::Node { ObjectName::new("", name.name) } else { name })
    }
}

fn name(value: &Value) -> Option<ObjectName> {
    let metadata = value.get("metadata")?;
    let name = metadata.get("name")?.as_str().filter(|name| !name.is_empty())?;
    let namespace = match metadata.get("namespace") {
        None | Some(Value::Null) => "",
        Some(namespace) => namespace.as_str()?,
    };
    Some(ObjectName::new(if namespace.is_empty() { "default" } else { namespace }, name))
}
