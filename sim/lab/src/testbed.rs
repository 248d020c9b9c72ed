//! A lab with everything to drive it: what the demo and the end-to-end tests are written in.
//!
//! Each call runs a real program (`curl`, `ping`, `penstock`) in a namespace of the lab and returns what it said. Waiting
//! is always for a condition with a deadline ([`wait`]), never for a time.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize as _;
use serde_json::Value;

use crate::client::{Lab, UpOptions};

/// How often [`wait`] looks again.
const POLL: Duration = Duration::from_millis(50);
/// What stands between a node file as the lab wrote it and what was added to it.
const ADDED: &str = "# Added by the lab's user:\n";
/// Kubernetes namespace of the chapter's objects.
pub const NAMESPACE: &str = "ns-user-1";
/// VRF of the chapter's pods.
pub const VRF: u16 = 2;

/// A running lab and the program that shows its cards.
#[derive(Debug)]
pub struct Testbed {
    lab: Lab,
    penstock: PathBuf,
}

/// Calls `look` until it gives a value or `patience` runs out. An error of `look` counts as "not yet" and is shown in
/// the end.
///
/// # Errors
/// There is no value in time.
pub fn wait<T>(
    what: &str,
    patience: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        let found = look();
        if let Ok(Some(value)) = found {
            return Ok(value);
        }
        if Instant::now() > deadline {
            return match found {
                Err(error) => Err(error.context(format!("{what}: not within {patience:?}"))),
                Ok(_) => bail!("{what}: not within {patience:?}"),
            };
        }
        sleep(POLL);
    }
}

impl Testbed {
    /// Brings a lab up with the programs in `folder` (`penstock`, `penstock-lab`, `penstockd`, `penstock-card`) and a firmware image;
    /// without a topology, the chapter's.
    ///
    /// # Errors
    /// A program is missing or the lab does not come up.
    pub fn up(
        name: &str,
        folder: &Path,
        firmware: &Path,
        topology: Option<&Path>,
        tied: bool,
        progress: impl FnMut(&str),
    ) -> Result<Self> {
        for program in ["penstock", "penstock-lab", "penstockd", "penstock-card"] {
            if !folder.join(program).is_file() {
                bail!(
                    "{} is not built (cargo build --workspace --bins)",
                    folder.join(program).display()
                );
            }
        }
        if !firmware.is_file() {
            bail!("{} is not built (cargo xtask build-firmware)", firmware.display());
        }
        let options = UpOptions {
            name: name.to_owned(),
            program: folder.join("penstock-lab"),
            firmware: Some(firmware.to_path_buf()),
            topology: topology.map(Path::to_path_buf),
            tied,
            ..UpOptions::default()
        };
        Ok(Testbed { lab: Lab::up(&options, progress)?, penstock: folder.join("penstock") })
    }

    /// A lab that is up, and the program `penstock` by which to look at its cards.
    #[must_use]
    pub fn new(lab: Lab, penstock: PathBuf) -> Self {
        Testbed { lab, penstock }
    }

    /// The lab itself.
    #[must_use]
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// The lab's program, which can be run in its places as well, to connect or to flood.
    #[must_use]
    pub fn program(&self) -> PathBuf {
        self.penstock.with_file_name("penstock-lab")
    }

    /// Gives the lab back, to end it.
    #[must_use]
    pub fn into_lab(self) -> Lab {
        self.lab
    }

    /// What `penstock ARGUMENTS` prints about the card of `node`.
    ///
    /// # Errors
    /// The program fails; the error has what it said.
    pub fn penstock(&self, node: &str, arguments: &[&str]) -> Result<String> {
        let files =
            self.lab.state().nodes.get(node).with_context(|| format!("no node `{node}`"))?;
        let mut command = Command::new(&self.penstock);
        command.arg("--api").arg(&files.api).args(arguments);
        said(command.stdin(Stdio::null()).output(), &format!("penstock {}", arguments.join(" ")))
    }

    /// The same as JSON.
    ///
    /// # Errors
    /// As [`Testbed::penstock`], or the output is no JSON.
    pub fn json(&self, node: &str, arguments: &[&str]) -> Result<Value> {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["-o", "json"]).collect();
        serde_json::from_str(&self.penstock(node, &arguments)?).context("not JSON")
    }

    /// What `penstock node VERB ARGUMENTS` prints in a node's namespace; its state is kept among the node's files.
    ///
    /// # Errors
    /// The program fails; the error has what it said.
    pub fn node(&self, node: &str, verb: &str, arguments: &[&str]) -> Result<String> {
        let files =
            self.lab.state().nodes.get(node).with_context(|| format!("no node `{node}`"))?;
        let program = fs::canonicalize(&self.penstock).context("cannot find `penstock`")?;
        let (program, state) =
            (program.to_string_lossy(), files.node_file.with_file_name("kernel.json"));
        let state = state.to_string_lossy();
        let argv = [&[&*program, "node", verb, "--state", &*state], arguments].concat();
        let mut command = self.lab.command(node, &argv)?;
        said(command.stdin(Stdio::null()).output(), &format!("penstock node {verb}"))
    }

    /// Runs a command in a pod, on a node or in the underlay.
    ///
    /// # Errors
    /// It cannot be run; that it fails is no error here.
    pub fn exec(&self, place: &str, argv: &[&str]) -> Result<Output> {
        let mut command = self.lab.command(place, argv)?;
        command
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot run {}", argv.join(" ")))
    }

    /// Starts a command in a place, its output piped.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn spawn(&self, place: &str, argv: &[&str]) -> Result<Child> {
        let mut command = self.lab.command(place, argv)?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().with_context(|| format!("cannot run {}", argv.join(" ")))
    }

    /// What a web server answers to a pod, within `seconds`.
    ///
    /// # Errors
    /// There is no answer; the error has curl's reason.
    pub fn curl(&self, pod: &str, url: &str, seconds: u32) -> Result<String> {
        let seconds = seconds.to_string();
        let argv = ["curl", "-sS", "--fail", "--max-time", &seconds, url];
        said(self.lab.command(pod, &argv)?.stdin(Stdio::null()).output(), &format!("curl {url}"))
    }

    /// Puts a manifest under the daemons' eyes, whole at once, as `name`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn apply(&self, name: &str, text: &str) -> Result<()> {
        let folder = &self.lab.state().manifests;
        let hidden = folder.join(format!(".{name}.new"));
        fs::write(&hidden, text).with_context(|| format!("cannot write {}", hidden.display()))?;
        fs::rename(&hidden, folder.join(name)).with_context(|| format!("cannot apply {name}"))
    }

    /// Adds `more` to a node's file, in place of what was added before; its daemon is watching.
    ///
    /// # Errors
    /// There is no such node, or the file cannot be written.
    pub fn configure(&self, node: &str, more: &str) -> Result<()> {
        let files =
            self.lab.state().nodes.get(node).with_context(|| format!("no node `{node}`"))?;
        let (file, new) = (&files.node_file, files.node_file.with_extension("new"));
        let text =
            fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let own = text.split(ADDED).next().unwrap_or_default();
        fs::write(&new, format!("{own}{ADDED}{more}"))
            .and_then(|()| fs::rename(&new, file))
            .with_context(|| format!("cannot write {}", file.display()))
    }

    /// Takes a manifest away.
    ///
    /// # Errors
    /// It is not there.
    pub fn withdraw(&self, name: &str) -> Result<()> {
        let file = self.lab.state().manifests.join(name);
        fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))
    }

    /// Members of a service's first route as the card of `node` has them: where each leads, drained ones left out.
    ///
    /// # Errors
    /// The card does not know the service, or its daemon does not answer.
    pub fn members(&self, node: &str, service: &str) -> Result<Vec<String>> {
        let name = format!("{NAMESPACE}/{service}");
        let value = self.json(node, &["explain", "svc", &name])?;
        let members = value["routes"][0]["members"].as_array().context("no route")?;
        let live = members.iter().filter(|member| member["draining"] != true);
        Ok(live.map(|member| member["to"].as_str().unwrap_or_default().to_owned()).collect())
    }

    /// Waits until the cards of all nodes have `count` members for a service.
    ///
    /// # Errors
    /// They do not in time.
    pub fn wait_members(&self, service: &str, count: usize, patience: Duration) -> Result<()> {
        for node in self.lab.state().nodes.keys() {
            wait(&format!("{count} members of {service} on {node}"), patience, || {
                let members = self.members(node, service)?;
                Ok((members.len() == count).then_some(()))
            })?;
        }
        Ok(())
    }

    /// Waits until every node's card forwards, its firmware is ready and its neighbours are resolved.
    ///
    /// # Errors
    /// Something of it does not happen in time.
    pub fn wait_ready(&self, patience: Duration) -> Result<()> {
        for node in self.lab.state().nodes.keys() {
            wait(&format!("the card of {node}"), patience, || {
                let status = self.json(node, &["status"])?;
                let card = &status["device"]["card"];
                let pending = status["pending_neighbours"].as_array().map_or(1, Vec::len);
                if card["forwarding"] != true || card["firmware"] != "ready" || pending > 0 {
                    bail!("card {card}, {pending} neighbours pending, {}", status["reconcile"]);
                }
                Ok(Some(()))
            })?;
        }
        Ok(())
    }

    /// Waits until the daemons have put their whole intent onto the cards: the cards forward, each has tunnels to the other
    /// nodes that have pods, the sources are good; and, if `firmware`, their firmware is ready.
    ///
    /// # Errors
    /// Something of it does not happen in time; the error says what, and on which node.
    pub fn wait_in_sync(&self, firmware: bool, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        for node in self.lab.state().nodes.keys() {
            let left = deadline.saturating_duration_since(Instant::now());
            wait(&format!("{node} in sync"), left, || {
                self.look_in_sync(node, firmware).map(|()| Some(()))
            })?;
        }
        Ok(())
    }

    fn look_in_sync(&self, node: &str, firmware: bool) -> Result<()> {
        let status = self.json(node, &["status"])?;
        for source in status["sources"].as_array().into_iter().flatten() {
            if source["errors"].as_array().is_some_and(|errors| !errors.is_empty()) {
                bail!("{}: {}", source["name"], source["errors"]);
            }
        }
        let card = &status["device"]["card"];
        if card["forwarding"] != true || (firmware && card["firmware"] != "ready") {
            bail!("card: {card}");
        }
        if status["reconcile"]["completed"] == 0 || !status["reconcile"]["last_error"].is_null() {
            bail!("reconcile: {}", status["reconcile"]);
        }
        let hops = self.json(node, &["nh", "--list"])?;
        let tunnels: Vec<&str> = hops["next_hops"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|hop| hop["dip"].as_str())
            .collect();
        let namespaces = &self.lab.state().namespaces;
        let others = namespaces.values().filter_map(|pod| pod.node.as_deref());
        for other in others.filter(|other| *other != node) {
            let address = namespaces.get(other).and_then(|other| other.address.as_deref());
            if address.is_some_and(|address| !tunnels.contains(&address)) {
                bail!("the card has no tunnel to {other} yet");
            }
        }
        Ok(())
    }

    /// Flows on a card that match an expression of `penstock flow --match`, as JSON.
    ///
    /// # Errors
    /// The daemon does not answer.
    pub fn flows(&self, node: &str, filter: &str) -> Result<Vec<Value>> {
        let value = self.json(node, &["flow", "--match", filter])?;
        Ok(value["flows"].as_array().cloned().unwrap_or_default())
    }

    /// What to read when something went wrong: each node's status and drops, and the ends of all logs.
    #[must_use]
    pub fn diagnostics(&self) -> String {
        let mut text = String::new();
        for node in self.lab.state().nodes.keys() {
            for arguments in [&["status"][..], &["dropstats"], &["flow", "-l"], &["vif", "--list"]]
            {
                let shown =
                    self.penstock(node, arguments).unwrap_or_else(|error| format!("{error:#}\n"));
                text.push_str(&format!("--- {node}: penstock {}\n{shown}", arguments.join(" ")));
            }
        }
        text + &self.lab.logs(25)
    }
}

/// Standard output of a program that succeeded.
fn said(output: std::io::Result<Output>, what: &str) -> Result<String> {
    let output = output.with_context(|| format!("cannot run {what}"))?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        bail!("`{what}` failed ({}): {}", output.status, error.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A manifest without the endpoint of one address: what the API server shows once that pod is gone.
///
/// # Errors
/// The text is not YAML or has no such endpoint.
pub fn without_endpoint(manifest: &str, address: &str) -> Result<String> {
    edit_endpoints(manifest, |list| {
        let before = list.len();
        list.retain(|endpoint| {
            let addresses = endpoint.get("addresses").and_then(|list| list.as_sequence());
            !addresses.is_some_and(|list| list.iter().any(|each| each.as_str() == Some(address)))
        });
        list.len() < before
    })
    .with_context(|| format!("the manifest has no endpoint {address}"))
}

/// A manifest with one ready endpoint more, a pod on a node.
///
/// # Errors
/// The text is not YAML or has no EndpointSlice with an endpoint.
pub fn with_endpoint(manifest: &str, address: &str, node: &str, pod: &str) -> Result<String> {
    let fresh = serde_json::json!({
        "addresses": [address],
        "conditions": { "ready": true },
        "nodeName": node,
        "targetRef": { "kind": "Pod", "namespace": NAMESPACE, "name": pod },
    });
    let fresh = serde_yaml_ng::to_value(fresh)?;
    edit_endpoints(manifest, |list| {
        list.push(fresh.clone());
        true
    })
}

/// Applies `edit` to the endpoints of the EndpointSlices of a manifest; it says whether it changed them.
fn edit_endpoints(
    manifest: &str,
    edit: impl Fn(&mut Vec<serde_yaml_ng::Value>) -> bool,
) -> Result<String> {
    let (mut text, mut edited) = (String::new(), false);
    for document in serde_yaml_ng::Deserializer::from_str(manifest) {
        let mut object = serde_yaml_ng::Value::deserialize(document)?;
        if let Some(list) = object.get_mut("endpoints").and_then(|list| list.as_sequence_mut()) {
            edited |= edit(list);
        }
        text.push_str("---\n");
        text.push_str(&serde_yaml_ng::to_string(&object)?);
    }
    if !edited {
        bail!("no endpoint was changed");
    }
    Ok(text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_removed_and_nothing_else() {
        let path = "../../tests/manifests/chapter/manifests/service-web-clusterip.yaml";
        let whole = fs::read_to_string(path).unwrap();
        let less = without_endpoint(&whole, "10.47.255.236").unwrap();
        assert!(!less.contains("10.47.255.236") && less.contains("10.47.255.238"));
        assert!(less.contains("clusterIP: 10.105.139.153"));
        assert!(without_endpoint(&less, "10.47.255.236").is_err());
        let more = with_endpoint(&less, "10.47.255.234", "cent222", "spare-cent222").unwrap();
        assert!(more.contains("10.47.255.234") && more.contains("10.47.255.238"));
    }

    #[test]
    fn waiting_ends_with_the_last_reason() {
        let error = wait::<()>("it", Duration::ZERO, || bail!("still red")).unwrap_err();
        assert!(format!("{error:#}").contains("still red"));
        assert_eq!(wait("it", Duration::ZERO, || Ok(Some(7))).unwrap(), 7);
    }
}
