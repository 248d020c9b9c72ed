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
        if let Some(flows) = &self.device.flow_table {
            let fill = format!(
                "{} of {} entries in use; above {} new translated flows are dropped",
                flows.in_use, flows.capacity, flows.translated_max
            );
            line(f, "  Flow table:", &fill)?;
            for refused in &flows.refused {
                line(f, "  New flows refused:", &format!("{} {}", refused.count, refused.label))?;
            }
            for passed in &flows.not_learned {
                let text = format!("{} {}", passed.count, passed.label);
                line(f, "  Flows not learned:", &text)?;
            }
        }
        line(f, "Reconcile:", &self.reconcile.state.to_string())?;
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
            let state = match (source.read, source.errors.is_empty()) {
                (true, true) => "read",
                (true, false) => "in error, what is wrong stays as it was",
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
