//! The daemon's status for people.

use std::fmt;

use penstock_views::flow::PRESSURE_MAX;

use crate::types::Status;

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |f: &mut fmt::Formatter<'_>, label: &str, value: &str| {
            writeln!(f, "{label:<22}{value}")
        };
        line(f, "Node:", &self.node)?;
        if self.cards.len() > 1 {
            line(f, "Card:", &format!("{} (there are: {})", self.card, self.cards.join(", ")))?;
        }
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
            if let Some(pressure) = flows.pressure {
                let pressure = match pressure {
                    0 => "none".to_owned(),
                    level => format!("{level} of {PRESSURE_MAX}"),
                };
                let gone = match flows.evicted {
                    0 => String::new(),
                    1 => "; 1 connection has given way".to_owned(),
                    n => format!("; {n} connections have given way"),
                };
                line(f, "  Flow pressure:", &format!("{pressure}{gone}"))?;
            }
            for refused in &flows.refused {
                line(f, "  New flows refused:", &format!("{} {}", refused.count, refused.label))?;
            }
            for passed in &flows.not_learned {
                let text = format!("{} {}", passed.count, passed.label);
                line(f, "  Flows not learned:", &text)?;
            }
        }
        let events = self.device.events;
        if events.followers > 0 || events.lost > 0 {
            let text = format!(
                "{} taken, {} lost, {} followers",
                events.taken, events.lost, events.followers
            );
            line(f, "  Events:", &text)?;
        }
        for table in &self.device.tables {
            let fill = format!("{} of {} entries in use", table.used, table.capacity);
            line(f, &format!("  Table {}:", table.table), &fill)?;
        }
        let refused = match self.reconcile.refused {
            0 => String::new(),
            1 => ", 1 object is refused".to_owned(),
            n => format!(", {n} objects are refused"),
        };
        line(f, "Reconcile:", &format!("{}{refused}", self.reconcile.state))?;
        let done =
            format!("{} ({} without a change)", self.reconcile.completed, self.reconcile.empty);
        line(f, "  Completed:", &done)?;
        let last = format!(
            "{} operations in {} ms",
            self.reconcile.last_operations, self.reconcile.last_ms
        );
        line(f, "  Last change:", &last)?;
        if let Some(audit) = &self.reconcile.last_audit {
            let found = match (audit.differing, audit.operations) {
                (0, 0) => "the card holds what it should".to_owned(),
                (differing, operations) => {
                    format!("{differing} entries differed, {operations} operations mended it")
                }
            };
            line(f, "  Last audit:", &found)?;
        }
        if let Some(error) = &self.reconcile.last_error {
            line(f, "  Error:", error)?;
        }
        for note in &self.reconcile.notes {
            line(f, "  Note:", note)?;
        }
        if self.reconcile.more_notes > 0 {
            line(f, "  Note:", &format!("and {} more", self.reconcile.more_notes))?;
        }
        for source in &self.sources {
            let objects: String =
                source.objects.iter().map(|(kind, count)| format!(", {count} {kind}")).collect();
            line(f, "Source:", &format!("{} ({}){objects}", source.name, source.state()))?;
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

#[cfg(test)]
mod tests {
    use penstock_views::drops::NamedCount;
    use penstock_views::flow::FlowFill;

    use super::*;
    use crate::types::{DeviceStatus, EventCounts};

    #[test]
    fn what_did_not_get_into_the_flow_table_is_told_by_reason() {
        let count = |reason: &str, label: &str, count| NamedCount {
            reason: reason.to_owned(),
            label: label.to_owned(),
            count,
        };
        let fill = FlowFill {
            in_use: 49_200,
            created: 0,
            capacity: 65_536,
            translated_max: 49_152,
            pressure: Some(2),
            evicted: 812,
            refused: vec![
                count("FlowTableFull", "Flow Table Full", 4),
                count("FlowClash", "Flow NAT no rflow", 5),
            ],
            not_learned: vec![count("FlowTableFull", "Flow Table Full", 3)],
        };
        let events = EventCounts { taken: 90, lost: 2, followers: 1, ..EventCounts::default() };
        let device = DeviceStatus { flow_table: Some(fill), events, ..DeviceStatus::default() };
        let text = Status { device, ..Status::default() }.to_string();
        for line in [
            "  Flow table:         49200 of 65536 entries in use; above 49152 new translated flows are dropped",
            "  Flow pressure:      2 of 3; 812 connections have given way",
            "  New flows refused:  4 Flow Table Full",
            "  New flows refused:  5 Flow NAT no rflow",
            "  Flows not learned:  3 Flow Table Full",
            "  Events:             90 taken, 2 lost, 1 followers",
        ] {
            assert!(text.lines().any(|l| l == line), "{text}");
        }
    }
}
