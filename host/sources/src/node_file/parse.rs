//! From the text of a node file to objects, one entry at a time.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use penstock_model::{
    Encapsulation, Fabric, IpNet, LabelBlock, LearnPolicy, MplsLabel, NetworkName, Node, Object,
    ObjectId, ObjectName, Peer, PodVif, Reason, Route, SourceCheck, Vhost, VifId, Vrf, VrfId,
    check,
};
use serde::de::DeserializeOwned;
use serde_yaml_ng::{Mapping, Value};

use super::{
    EncapsulationFile, FabricFile, FlowAgingFile, FlowLimitsFile, LabelBlockFile, LearnFile,
    RemoteFile, SourceCheckFile, VhostFile, VifFile, VrfFile,
};
use crate::documents::{Document, Format};
use crate::error::{Fault, place};
use crate::lines::Lines;
use crate::tree::{self, Problem, Step};

/// Fields of the file as a whole.
const FIELDS: [&str; 9] = [
    "name",
    "fabric",
    "vhost0",
    "serviceLabels",
    "flowAging",
    "flowLimits",
    "vrfs",
    "vifs",
    "remotes",
];

/// What a node file says.
#[derive(Debug, Default)]
pub(crate) struct Said {
    /// Objects with which nothing is wrong, each once.
    pub(super) objects: BTreeMap<ObjectId, Object>,
    /// What is wrong with others.
    pub(super) refused: BTreeMap<ObjectId, Vec<Reason>>,
    /// Objects that are there again, and where they are first.
    pub(super) again: Vec<(ObjectId, String)>,
    /// Entries that do not say what they are about.
    pub(super) untold: Vec<Reason>,
    /// Those among what a remote announces.
    pub(super) untold_routes: BTreeMap<String, Vec<Reason>>,
}

impl Said {
    /// Whether nothing of it is wrong. What is there twice is not: it was not lost.
    pub(super) fn is_sound(&self) -> bool {
        self.refused.is_empty() && self.untold.is_empty() && self.untold_routes.is_empty()
    }
}

/// Reads a node file. A file that does not say what there is is refused as a whole.
pub(super) fn parse(path: &Path, text: &str) -> Result<Said, Fault> {
    let document = Document { text, line: 1, format: Format::Yaml };
    let lines = Lines::of_file(text);
    let mut reader =
        Reader { path, lines, document, said: Said::default(), places: BTreeMap::new() };
    reader.read().map_err(|problem| Fault {
        path: path.to_owned(),
        line: problem.line,
        message: problem.message,
    })?;
    Ok(reader.said)
}

struct Reader<'a> {
    path: &'a Path,
    lines: Lines,
    document: Document<'a>,
    said: Said,
    /// Where objects are.
    places: BTreeMap<ObjectId, String>,
}

impl Reader<'_> {
    fn read(&mut self) -> Result<(), Problem> {
        let file = match tree::tree(&self.document)? {
            Value::Mapping(file) => file,
            Value::Null => return Err(self.problem(&[], "says nothing")),
            _ => return Err(self.problem(&[], "is not a mapping")),
        };
        for key in file.keys().filter_map(Value::as_str) {
            if !FIELDS.contains(&key) {
                let message =
                    format!("unknown field `{key}`, expected one of {}", FIELDS.join(", "));
                return Err(self.problem(&[Step::Key(key.to_owned())], message));
            }
        }
        let missing = |field| format!("missing field `{field}`");
        let name = file.get("name").ok_or_else(|| self.problem(&[], missing("name")))?;
        let name: String =
            tree::typed(&[key("name")], name, |steps| self.lines.find(&self.document, steps))?;
        let fabric = file.get("fabric").ok_or_else(|| self.problem(&[], missing("fabric")))?;
        self.node(name, fabric, &file);
        let vrfs = self.list(&file, "vrfs")?.ok_or_else(|| self.problem(&[], missing("vrfs")))?;
        self.entries("vrfs", vrfs, Self::vrf);
        self.entries("vifs", self.list(&file, "vifs")?.unwrap_or_default(), Self::vif);
        self.entries("remotes", self.list(&file, "remotes")?.unwrap_or_default(), Self::remote);
        Ok(())
    }

    fn list<'v>(&self, file: &'v Mapping, field: &str) -> Result<Option<&'v [Value]>, Problem> {
        match file.get(field) {
            None => Ok(None),
            Some(Value::Sequence(items)) => Ok(Some(items)),
            Some(_) => Err(self.problem(&[key(field)], format!("{field} is not a list"))),
        }
    }

    /// Reads the entries of a list. One without a name does not say what it is about.
    fn entries(
        &mut self,
        field: &str,
        items: &[Value],
        read: fn(&mut Self, &[Step], &str, &Value) -> Result<(), ()>,
    ) {
        for (index, item) in items.iter().enumerate() {
            let steps = [key(field), Step::Index(index)];
            match item.get("name").and_then(Value::as_str) {
                // Why not is with the objects.
                Some(name) => _ = read(self, &steps, name, item),
                None => {
                    let message = format!("{}: has no name", tree::path_text(&steps));
                    let problem = self.problem(&steps, message);
                    self.said.untold.push(self.reason(problem));
                }
            }
        }
    }

    fn node(&mut self, name: String, fabric: &Value, file: &Mapping) {
        let steps = [key("fabric")];
        let Ok(place) = self.typed::<FabricFile>(&ObjectId::Node, &steps, fabric) else { return };
        let fabric = Fabric { address: place.address, mac: place.mac };
        let vhost = match file.get("vhost0") {
            Some(vhost) => self.typed::<VhostFile>(&ObjectId::Node, &[key("vhost0")], vhost),
            None => Ok(VhostFile::default()),
        };
        let Ok(VhostFile { vrf, label, outside }) = vhost else { return };
        let vhost = Vhost { vrf: vrf.map(VrfId), label: label.map(MplsLabel), outside };
        let block = match file.get("serviceLabels") {
            None | Some(Value::Null) => None,
            Some(block) => {
                let steps = [key("serviceLabels")];
                match self.typed::<LabelBlockFile>(&ObjectId::Node, &steps, block) {
                    Ok(block) => Some(block),
                    Err(()) => return,
                }
            }
        };
        let service_labels =
            block.map(|block| LabelBlock { first: MplsLabel(block.first), count: block.count });
        let aging = match file.get("flowAging") {
            None | Some(Value::Null) => Ok(FlowAgingFile::default()),
            Some(aging) => self.typed(&ObjectId::Node, &[key("flowAging")], aging),
        };
        let Ok(aging) = aging else { return };
        let limits = match file.get("flowLimits") {
            None | Some(Value::Null) => Ok(FlowLimitsFile::default()),
            Some(limits) => self.typed(&ObjectId::Node, &[key("flowLimits")], limits),
        };
        let Ok(limits) = limits else { return };
        let (flow_aging, flow_limits) = (aging.into(), limits.into());
        let node = Node { name, fabric, vhost, service_labels, flow_aging, flow_limits };
        self.add(&steps, Object::Node(Arc::new(node)));
    }

    fn vrf(&mut self, steps: &[Step], name: &str, value: &Value) -> Result<(), ()> {
        let file: VrfFile = self.typed(&ObjectId::Vrf(name.to_owned()), steps, value)?;
        let vrf = Vrf {
            id: VrfId(file.id),
            name: file.name,
            imports: vrf_ids(file.imports),
            networks: file.networks.into_iter().map(NetworkName::from).collect(),
            source_check: file.source_check.into(),
        };
        self.add(steps, Object::Vrf(Arc::new(vrf)));
        Ok(())
    }

    fn vif(&mut self, steps: &[Step], name: &str, value: &Value) -> Result<(), ()> {
        let file: VifFile = self.typed(&ObjectId::Vif(name.to_owned()), steps, value)?;
        let vif = PodVif {
            id: VifId(file.id),
            name: file.name,
            pod: ObjectName { namespace: file.pod.namespace, name: file.pod.name },
            address: file.address,
            mac: file.mac,
            vrf: VrfId(file.vrf),
            label: MplsLabel(file.label),
            learn: file.learn.into(),
            flow_limit: file.flow_limits.map(Into::into),
        };
        self.add(steps, Object::Vif(Arc::new(vif)));
        Ok(())
    }

    fn remote(&mut self, steps: &[Step], name: &str, value: &Value) -> Result<(), ()> {
        let file: RemoteFile = self.typed(&ObjectId::Peer(name.to_owned()), steps, value)?;
        let peer = Peer { name: file.name.clone(), address: file.address };
        if !self.add(steps, Object::Peer(Arc::new(peer))) {
            return Err(());
        }
        let announcer: Arc<str> = file.name.as_str().into();
        let vrfs = vrf_ids(file.vrfs);
        let route = |prefix, label| Route {
            prefix,
            vrfs: vrfs.clone(),
            path: penstock_model::Path {
                next_hop: file.address,
                label: MplsLabel(label),
                encapsulation: file.encapsulation.into(),
                preference: file.preference,
                announcer: Arc::clone(&announcer),
            },
        };
        // A label is that of one pod; prefixes may share one.
        let mut labels: BTreeMap<u32, ObjectId> = BTreeMap::new();
        for (text, label) in entries(&file.labels) {
            let steps = [steps, &[key("labels"), key(text)]].concat();
            let Ok(address) = text.parse::<IpAddr>() else {
                self.untold_route(name, &steps, &format!("{text:?} is not an IP address"));
                continue;
            };
            let id = ObjectId::Route { announcer: name.to_owned(), prefix: address.into() };
            let Ok(label) = self.typed(&id, &steps, label) else { continue };
            if let Some(holder) = labels.get(&label) {
                let (what, value) = ("label".to_owned(), label.to_string());
                self.refuse(id, Reason::Taken { what, value, holder: holder.clone() });
            } else if self.add(&steps, Object::Route(Arc::new(route(address.into(), label)))) {
                labels.insert(label, id);
            }
        }
        for (text, label) in entries(&file.prefixes) {
            let steps = [steps, &[key("prefixes"), key(text)]].concat();
            let Ok(prefix) = text.parse::<IpNet>() else {
                self.untold_route(name, &steps, &format!("{text:?} is not a prefix"));
                continue;
            };
            let id = ObjectId::Route { announcer: name.to_owned(), prefix };
            let Ok(label) = self.typed(&id, &steps, label) else { continue };
            self.add(&steps, Object::Route(Arc::new(route(prefix, label))));
        }
        Ok(())
    }

    /// Takes an object, unless something is wrong with it or it is there already. Says whether it was taken.
    fn add(&mut self, steps: &[Step], object: Object) -> bool {
        let id = object.id();
        if let Some(first) = self.places.get(&id) {
            self.said.again.push((id, first.clone()));
            return false;
        }
        self.places.insert(id.clone(), tree::path_text(steps));
        let wrong = check(&object);
        if wrong.is_empty() {
            self.said.objects.insert(id, object);
            return true;
        }
        let line = self.lines.find(&self.document, steps);
        for reason in wrong {
            let reason = match reason {
                Reason::Invalid { text, .. } => {
                    // Without a line, the way through the file leads there.
                    let text = match line {
                        Some(_) => text,
                        None => format!("{}: {text}", tree::path_text(steps)),
                    };
                    self.reason(Problem { line, message: text })
                }
                other => other,
            };
            self.refuse(id.clone(), reason);
        }
        false
    }

    fn refuse(&mut self, id: ObjectId, reason: Reason) {
        self.said.refused.entry(id).or_default().push(reason);
    }

    fn untold_route(&mut self, announcer: &str, steps: &[Step], why: &str) {
        let problem = self.problem(steps, format!("{}: {why}", tree::path_text(steps)));
        let reason = self.reason(problem);
        self.said.untold_routes.entry(announcer.to_owned()).or_default().push(reason);
    }

    /// Reads a piece of the file that is an object, or a part of one.
    fn typed<T: DeserializeOwned>(
        &mut self,
        id: &ObjectId,
        steps: &[Step],
        value: &Value,
    ) -> Result<T, ()> {
        let line = |steps: &[Step]| self.lines.find(&self.document, steps);
        tree::typed(steps, value, line).map_err(|problem| {
            let reason = self.reason(problem);
            self.refuse(id.clone(), reason);
        })
    }

    fn problem(&self, steps: &[Step], message: impl Into<String>) -> Problem {
        Problem { line: self.lines.find(&self.document, steps), message: message.into() }
    }

    fn reason(&self, problem: Problem) -> Reason {
        Reason::invalid(place(self.path, problem.line), problem.message)
    }
}

fn key(text: &str) -> Step {
    Step::Key(text.to_owned())
}

fn vrf_ids(ids: Vec<u16>) -> Vec<VrfId> {
    ids.into_iter().map(VrfId).collect()
}

/// Entries of a mapping, whose keys are text.
fn entries(mapping: &Mapping) -> impl Iterator<Item = (&str, &Value)> {
    mapping.iter().filter_map(|(key, value)| Some((key.as_str()?, value)))
}

impl From<LearnFile> for LearnPolicy {
    fn from(file: LearnFile) -> Self {
        match file {
            LearnFile::Always => Self::Always,
            LearnFile::Translated => Self::Translated,
            LearnFile::Never => Self::Never,
        }
    }
}

impl From<SourceCheckFile> for SourceCheck {
    fn from(file: SourceCheckFile) -> Self {
        match file {
            SourceCheckFile::Strict => Self::Strict,
            SourceCheckFile::Loose => Self::Loose,
            SourceCheckFile::Off => Self::Off,
        }
    }
}

impl From<EncapsulationFile> for Encapsulation {
    fn from(file: EncapsulationFile) -> Self {
        match file {
            EncapsulationFile::MplsOverUdp => Self::MplsOverUdp,
            EncapsulationFile::MplsOverGre => Self::MplsOverGre,
        }
    }
}
