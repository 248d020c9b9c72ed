//! How the daemon's inputs are: one entry each, which the task that follows the input replaces. Readers see them all, sorted
//! by name (`penstock status`, the line for the service manager).

use penstock_api::types::SourceStatus;
use tokio::sync::watch;

/// The inputs' states; clones share them.
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

    /// Follows all entries.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Vec<SourceStatus>> {
        self.0.subscribe()
    }
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
