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
            line(f, "  Layout:", &format!("{} hash {}", card.layout_version, card.layout_hash))?;
            line(f, "  Forwarding:", if card.forwarding { "yes" } else { "no" })?;
            line(f, "  Epoch:", &card.epoch.to_string())?;
            let resets = format!("{}, {} function-level resets", card.reset_cause, card.flr_count);
            line(f, "  Last reset:", &resets)?;
            let time = format!("{} cycles at {} kHz", card.time_cycles, card.clock_khz);
            line(f, "  Card time:", &time)?;
            let firmware = format!(
                "{}, version {}, heartbeat {}",
                card.firmware, card.firmware_version, card.firmware_heartbeat
            );
            line(f, "  Firmware:", &firmware)?;
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
