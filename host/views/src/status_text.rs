//! The daemon's status for people.

use std::fmt;

use crate::api::Status;

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |f: &mut fmt::Formatter<'_>, label: &str, value: &str| {
            writeln!(f, "{label:<22}{value}")
        };
        line(f, "Node:", &self.node)?;
        line(f, "Daemon:", &self.daemon_version)?;
        line(f, "Device:", &format!("{} ({})", self.device.spec, self.device.state))?;
        if let Some(error) = &self.device.error {
            line(f, "  Error:", error)?;
        }
        if let Some(card) = &self.device.card {
            write!(f, "{card}")?;
        }
        line(f, "Reconcile:", &self.reconcile.state)?;
        let done =
            format!("{} ({} without a change)", self.reconcile.completed, self.reconcile.empty);
        line(f, "  Completed:", &done)?;
        let last = format!(
            "{} operations in {} ms",
            self.reconcile.last_operations, self.reconcile.last_ms
        );
        line(f, "  Last change:", &last)?;
        if let Some(error) = &self.reconcile.last_error {
            line(f, "  Error:", error)?;
        }
        for note in &self.reconcile.notes {
            line(f, "  Note:", note)?;
        }
        for source in &self.sources {
            let state = match (source.synced, source.errors.is_empty()) {
                (true, true) => "in sync",
                (true, false) => "in error, its last good state is in force",
                (false, _) => "not read yet",
            };
            line(f, "Source:", &format!("{} ({state})", source.name))?;
            for error in &source.errors {
                line(f, "  Error:", error)?;
            }
        }
        for (address, mac) in &self.neighbours {
            line(f, "Neighbour:", &format!("{address} is {mac}"))?;
        }
        for address in &self.pending_neighbours {
            line(f, "Neighbour:", &format!("{address} is not resolved yet"))?;
        }
        Ok(())
    }
}
