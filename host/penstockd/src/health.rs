//! How the daemon's inputs are: for people and in the API, one entry each.

use penstock_api::types::SourceStatus;
use penstock_model::{Effect, Finding, Findings, ObjectId, ObjectKind};
use tokio::sync::watch;

/// Complaints of one source that a status holds.
const COMPLAINTS_MAX: usize = 100;

/// States of inputs that all cards share; the task that follows an input replaces its entry. Clones share them.
#[derive(Clone, Debug)]
pub struct Health(watch::Sender<Vec<SourceStatus>>);

impl Default for Health {
    fn default() -> Self {
        Self(watch::channel(Vec::new()).0)
    }
}

impl Health {
    /// Replaces the entry of the same name; says whether it changed.
    pub fn set(&self, status: SourceStatus) -> bool {
        self.0.send_if_modified(|all| {
            match all.binary_search_by(|other| other.name.cmp(&status.name)) {
                Ok(at) if all[at] == status => return false,
                Ok(at) => all[at] = status,
                Err(at) => all.insert(at, status),
            }
            true
        })
    }

    /// Follows all entries, which are sorted by name.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Vec<SourceStatus>> {
        self.0.subscribe()
    }
}

/// Sources of intent as the API has them: what they refuse, or have only an older version of, are their errors.
#[must_use]
pub fn statuses(sources: &[penstock_sources::SourceStatus]) -> Vec<SourceStatus> {
    let status = |source: &penstock_sources::SourceStatus| SourceStatus {
        name: source.name.to_string(),
        read: source.complete,
        stale: source.stale,
        objects: source
            .objects
            .iter()
            .map(|(&kind, &n)| (word(kind).to_owned(), n as u64))
            .collect(),
        errors: texts(&source.findings, |finding| {
            matches!(finding.effect, Effect::Refused | Effect::Kept)
        })
        .take(COMPLAINTS_MAX)
        .collect(),
    };
    sources.iter().map(status).collect()
}

/// What the API calls objects of a kind.
fn word(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Node => "nodes",
        ObjectKind::Vrf => "vrfs",
        ObjectKind::Vif => "vifs",
        ObjectKind::Peer => "remotes",
        ObjectKind::Route => "routes",
        ObjectKind::LoadBalancer => "services",
        ObjectKind::Pod => "pods",
        ObjectKind::Zone => "zones",
        ObjectKind::FloatingIp => "floating-ips",
        ObjectKind::Other => "others",
    }
}

/// Findings as text, each with its object.
pub fn texts<'a>(
    findings: &'a Findings,
    which: impl Fn(&Finding) -> bool + 'a,
) -> impl Iterator<Item = String> + 'a {
    let with_object = |(object, list): (&'a ObjectId, &'a std::sync::Arc<[Finding]>)| {
        list.iter().map(move |finding| (object, finding))
    };
    findings
        .iter()
        .flat_map(with_object)
        .filter(move |(_, finding)| which(finding))
        .map(|(object, finding)| format!("{object}: {finding}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_input_has_one_entry() {
        let health = Health::default();
        let status =
            |name: &str, read| SourceStatus { name: name.into(), read, ..Default::default() };
        assert!(health.set(status("neighbours", false)));
        assert!(health.set(status("files", true)));
        assert!(health.set(status("neighbours", true)));
        assert!(!health.set(status("neighbours", true)), "nothing changed");
        assert_eq!(
            *health.subscribe().borrow(),
            [status("files", true), status("neighbours", true)]
        );
    }
}
