//! A request: what the environment and the standard input say. Pure.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Map, Value};

use crate::config::NetConf;
use crate::error::{CniError, Code};
use crate::version::CniVersion;

/// The environment, as far as it is CNI's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Env(BTreeMap<String, String>);

impl Env {
    /// Variables whose names begin with `CNI_`.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(variables.into_iter().filter(|(key, _)| key.starts_with("CNI_")).collect())
    }

    /// A variable that is set and not empty.
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// All of them.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    fn required(&self, name: &str) -> Result<&str, CniError> {
        self.get(name).ok_or_else(|| invalid(name, "is not set"))
    }
}

fn invalid(name: &str, what: &str) -> CniError {
    CniError::new(Code::InvalidEnvironment, format!("{name} {what}"))
}

/// What identifies an attachment.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Name of the network.
    pub network: String,
    /// Id of the container.
    pub container: String,
    /// Name of the interface in it.
    pub interface: String,
}

/// What a runtime asks for.
#[derive(Clone, Debug)]
pub enum Command {
    /// A pod gets an interface.
    Add(Target),
    /// It gives it back.
    Del(Target),
    /// It has it as it should.
    Check(Target),
    /// All others than these give theirs back.
    Gc,
    /// Whether ADD would work.
    Status,
}

/// The interface of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Which attachment.
    pub key: Key,
    /// Its network namespace; DEL may come when it is gone.
    pub netns: Option<PathBuf>,
    /// Namespace of the pod.
    pub pod_namespace: String,
    /// Name of the pod.
    pub pod_name: String,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// What is asked for.
    pub command: Command,
    /// In which version.
    pub version: CniVersion,
    /// For which network.
    pub conf: NetConf,
    /// The same as it came, for the IPAM plugin.
    pub raw: Map<String, Value>,
    /// The environment as it came, for the IPAM plugin.
    pub env: Env,
    /// Folders of plugins.
    pub path: Vec<PathBuf>,
}

/// What is asked for: a question about versions, or a request.
#[derive(Debug)]
pub enum Asked {
    /// Which versions are spoken.
    Version,
    /// Anything else.
    Request(Box<Request>),
}

/// The version in which to answer, whatever the question is.
#[must_use]
pub fn answer_version(stdin: &[u8]) -> String {
    let version = serde_json::from_slice::<Value>(stdin).ok();
    let version = version.and_then(|value| Some(value.get("cniVersion")?.as_str()?.to_owned()));
    version.unwrap_or_else(|| CniVersion::V1_1_0.to_string())
}

/// Reads a request.
///
/// # Errors
/// It is none, or none that is served; the runtime, or whoever wrote the configuration.
pub fn parse(env: Env, stdin: &[u8]) -> Result<Asked, CniError> {
    let command = env.required("CNI_COMMAND")?.to_owned();
    if command == "VERSION" {
        return Ok(Asked::Version);
    }
    let raw: Map<String, Value> = serde_json::from_slice(stdin).map_err(|error| {
        CniError::new(
            Code::Decoding,
            format!("the network configuration is no JSON object: {error}"),
        )
    })?;
    let version = version(&raw)?;
    let conf: NetConf = serde_json::from_value(Value::Object(raw.clone())).map_err(|error| {
        CniError::new(Code::InvalidConfig, format!("the network configuration is wrong: {error}"))
    })?;
    if !is_id(&conf.name) {
        let text = format!("`{}` is no name of a network", conf.name);
        return Err(CniError::new(Code::InvalidConfig, text));
    }
    let since_1_1 = |command: Command| {
        if version >= CniVersion::V1_1_0 {
            return Ok(command);
        }
        let text = format!("version {version} has no such command; 1.1.0 has");
        Err(CniError::new(Code::IncompatibleVersion, text))
    };
    let command = match &*command {
        "ADD" => {
            if conf.prev_result.is_some() {
                let text = "there is an interface already (prevResult): penstock-cni comes first in a list of plugins";
                return Err(CniError::new(Code::InvalidConfig, text));
            }
            Command::Add(target(&env, &conf, true)?)
        }
        "DEL" => Command::Del(target(&env, &conf, false)?),
        "CHECK" => {
            if conf.prev_result.is_none() {
                let text = "CHECK needs what ADD returned (prevResult)";
                return Err(CniError::new(Code::InvalidConfig, text));
            }
            Command::Check(target(&env, &conf, true)?)
        }
        "GC" => since_1_1(Command::Gc)?,
        "STATUS" => since_1_1(Command::Status)?,
        other => return Err(invalid("CNI_COMMAND", &format!("is `{other}`, which is no command"))),
    };
    if matches!(command, Command::Gc) && conf.valid_attachments.is_none() {
        let text = "GC needs the list of attachments that are to stay (cni.dev/valid-attachments)";
        return Err(CniError::new(Code::InvalidConfig, text));
    }
    let path = env.get("CNI_PATH").unwrap_or_default();
    let path = path.split(':').filter(|folder| !folder.is_empty()).map(PathBuf::from).collect();
    Ok(Asked::Request(Box::new(Request { command, version, conf, raw, env, path })))
}

fn version(raw: &Map<String, Value>) -> Result<CniVersion, CniError> {
    let text = raw.get("cniVersion").map_or(Some("0.1.0"), Value::as_str).unwrap_or_default();
    text.parse().map_err(|()| {
        let known = CniVersion::ALL.map(CniVersion::as_str).join(", ");
        let text = format!("version `{text}` is not spoken; these are: {known}");
        CniError::new(Code::IncompatibleVersion, text)
    })
}

fn target(env: &Env, conf: &NetConf, needs_netns: bool) -> Result<Target, CniError> {
    let container = env.required("CNI_CONTAINERID")?;
    if !is_id(container) {
        return Err(invalid("CNI_CONTAINERID", &format!("is {container:?}, which is no id")));
    }
    let interface = env.required("CNI_IFNAME")?;
    let is_interface = interface.len() < 16
        && ![".", ".."].contains(&interface)
        && !interface.chars().any(|c| c == '/' || c == ':' || c.is_whitespace() || c.is_control());
    if !is_interface {
        return Err(invalid(
            "CNI_IFNAME",
            &format!("is {interface:?}, which is no interface's name"),
        ));
    }
    let netns = if needs_netns { Some(env.required("CNI_NETNS")?) } else { env.get("CNI_NETNS") };
    let args = args(env.get("CNI_ARGS").unwrap_or_default())?;
    // Runtimes that know of no pods have containers alone.
    let (pod_namespace, pod_name) = match (args.get("K8S_POD_NAMESPACE"), args.get("K8S_POD_NAME"))
    {
        (Some(namespace), Some(name)) if is_id(namespace) && is_id(name) => {
            (namespace.clone(), name.clone())
        }
        (None, None) => (conf.name.clone(), container.to_owned()),
        _ => return Err(invalid("CNI_ARGS", "names no pod by K8S_POD_NAMESPACE and K8S_POD_NAME")),
    };
    let key = Key {
        network: conf.name.clone(),
        container: container.to_owned(),
        interface: interface.to_owned(),
    };
    Ok(Target { key, netns: netns.map(PathBuf::from), pod_namespace, pod_name })
}

fn args(text: &str) -> Result<BTreeMap<String, String>, CniError> {
    let pairs = text.split(';').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (key, value) = pair.split_once('=').ok_or_else(|| {
                invalid("CNI_ARGS", &format!("has {pair:?}, which is no KEY=VALUE"))
            })?;
            Ok((key.to_owned(), value.to_owned()))
        })
        .collect()
}

/// Whether a text is an id or a name as CNI wants them.
fn is_id(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(inner)
        && text.len() <= 128
}

#[cfg(test)]
mod tests;
