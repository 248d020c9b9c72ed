//! A plugin that gives addresses, called in a version that it lists.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::error::{CniError, Code};
use crate::request::{Key, Request};
use crate::result::{Lease, lease};
use crate::version::CniVersion;

/// Who gives addresses.
pub trait Ipam {
    /// Whether there is one, and it speaks a version that is spoken here.
    ///
    /// # Errors
    /// There is none, or it does not.
    fn is_there(&self) -> Result<(), CniError>;
    /// An address for the pod of the request.
    ///
    /// # Errors
    /// The plugin's own, or it does not work.
    fn add(&self, key: &Key, netns: Option<&Path>) -> Result<Lease, CniError>;
    /// Takes an address back; it is no error if there is none.
    ///
    /// # Errors
    /// As [`Ipam::add`].
    fn del(&self, key: &Key, netns: Option<&Path>) -> Result<(), CniError>;
    /// Whether the pod has its address.
    ///
    /// # Errors
    /// As [`Ipam::add`]; it has none.
    fn check(&self, key: &Key, netns: Option<&Path>) -> Result<(), CniError>;
    /// Takes back what nobody has any more. False if the plugin is older than that.
    ///
    /// # Errors
    /// As [`Ipam::add`].
    fn gc(&self) -> Result<bool, CniError>;
    /// Whether it can give addresses, as far as the plugin is new enough to say.
    ///
    /// # Errors
    /// As [`Ipam::add`]; it cannot.
    fn status(&self) -> Result<(), CniError>;
}

/// A program in the folders of plugins.
#[derive(Clone, Debug)]
pub struct Program<'a> {
    request: &'a Request,
}

impl<'a> Program<'a> {
    /// The plugin that the request's configuration names.
    #[must_use]
    pub fn of(request: &'a Request) -> Self {
        Self { request }
    }

    fn find(&self) -> Result<PathBuf, CniError> {
        let name = &self.request.conf.ipam.kind;
        let is_name = !name.is_empty() && !name.contains('/') && !name.starts_with('.');
        let mut files = self.request.path.iter().map(|folder| folder.join(name));
        files.find(|file| is_name && file.is_file()).ok_or_else(|| {
            let text = format!("there is no IPAM plugin `{name}` in CNI_PATH");
            CniError::new(Code::InvalidConfig, text)
        })
    }

    /// The newest version that both speak.
    fn version(&self, program: &Path) -> Result<CniVersion, CniError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Versions {
            supported_versions: Vec<String>,
        }
        let mut command = Command::new(program);
        command.env("CNI_COMMAND", "VERSION");
        let asked = json!({ "cniVersion": self.request.version.as_str() });
        let output = self.call(command, program, &asked.to_string())?;
        let versions: Versions = serde_json::from_slice(&output).map_err(|error| {
            broken(program, &format!("does not say which versions it speaks: {error}"))
        })?;
        let listed = versions.supported_versions.iter().map(String::as_str);
        self.request.version.shared_with(listed).ok_or_else(|| {
            let listed = versions.supported_versions.join(", ");
            let own = self.request.version;
            let text =
                format!("{} speaks {listed}, of which none is up to {own}", program.display());
            CniError::new(Code::IncompatibleVersion, text)
        })
    }

    fn config(&self, version: CniVersion) -> Map<String, Value> {
        let mut config = self.request.raw.clone();
        config.insert("cniVersion".to_owned(), version.as_str().into());
        // What ADD returned is read in the same version; that of this plugin differs by no more.
        if let Some(Value::Object(previous)) = config.get_mut("prevResult") {
            previous.insert("cniVersion".to_owned(), version.as_str().into());
            let ips = previous.get_mut("ips").and_then(Value::as_array_mut);
            for ip in ips.into_iter().flatten().filter_map(Value::as_object_mut) {
                if version < CniVersion::V1_0_0 {
                    ip.insert("version".to_owned(), "4".into());
                }
            }
        }
        config
    }

    /// Runs a command in a version that is known.
    fn run(
        &self,
        program: &Path,
        version: CniVersion,
        name: &str,
        about: Option<(&Key, Option<&Path>)>,
    ) -> Result<Vec<u8>, CniError> {
        let mut command = Command::new(program);
        for (key, value) in self.request.env.variables() {
            command.env(key, value);
        }
        if let Some((key, netns)) = about {
            command.env("CNI_CONTAINERID", &key.container).env("CNI_IFNAME", &key.interface);
            match netns {
                Some(netns) => command.env("CNI_NETNS", netns),
                None => command.env_remove("CNI_NETNS"),
            };
        }
        command.env("CNI_COMMAND", name);
        self.call(command, program, &Value::Object(self.config(version)).to_string())
    }

    fn call(&self, mut command: Command, program: &Path, input: &str) -> Result<Vec<u8>, CniError> {
        let failed = |error: std::io::Error| {
            CniError::new(Code::Io, format!("{} cannot be run: {error}", program.display()))
        };
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that needs no input may have ended.
            let _ = stdin.write_all(input.as_bytes());
        }
        let output = child.wait_with_output().map_err(failed)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        #[derive(Deserialize)]
        struct Theirs {
            code: u32,
            msg: String,
            #[serde(default)]
            details: String,
        }
        Err(match serde_json::from_slice::<Theirs>(&output.stdout) {
            Ok(Theirs { code, msg, details }) => {
                let msg = format!("{}: {msg}", self.request.conf.ipam.kind);
                CniError { code, msg, details }
            }
            Err(_) => {
                let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                broken(program, &format!("ended with {}", output.status)).with(said)
            }
        })
    }

    fn about(&self, name: &str, key: &Key, netns: Option<&Path>) -> Result<Vec<u8>, CniError> {
        let program = self.find()?;
        let version = self.version(&program)?;
        self.run(&program, version, name, Some((key, netns)))
    }

    /// A command that 1.1.0 brought; none if the plugin is older.
    fn newer(&self, name: &str) -> Result<Option<Vec<u8>>, CniError> {
        let program = self.find()?;
        match self.version(&program)? {
            version @ CniVersion::V1_1_0 => self.run(&program, version, name, None).map(Some),
            _ => Ok(None),
        }
    }
}

fn broken(program: &Path, what: &str) -> CniError {
    CniError::new(Code::Ipam, format!("{} {what}", program.display()))
}

impl Ipam for Program<'_> {
    fn is_there(&self) -> Result<(), CniError> {
        self.version(&self.find()?).map(|_| ())
    }

    fn add(&self, key: &Key, netns: Option<&Path>) -> Result<Lease, CniError> {
        lease(&self.about("ADD", key, netns)?)
    }

    fn del(&self, key: &Key, netns: Option<&Path>) -> Result<(), CniError> {
        self.about("DEL", key, netns).map(|_| ())
    }

    fn check(&self, key: &Key, netns: Option<&Path>) -> Result<(), CniError> {
        self.about("CHECK", key, netns).map(|_| ())
    }

    fn gc(&self) -> Result<bool, CniError> {
        Ok(self.newer("GC")?.is_some())
    }

    fn status(&self) -> Result<(), CniError> {
        self.newer("STATUS").map(|_| ())
    }
}
