//! An audit for people.

use std::fmt;

use crate::types::{Audit, Comparison};

impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for table in &self.tables {
            let by = match table.by {
                Comparison::Digest => "same digest".to_owned(),
                Comparison::ReadBack if table.differing == 0 => "read back, the same".to_owned(),
                Comparison::ReadBack => format!("read back, {} differ", table.differing),
            };
            writeln!(f, "{:<12}{:>7} entries, {by}", table.table, table.entries)?;
            let nothing = || "nothing".to_owned();
            for entry in &table.differences {
                writeln!(f, "  [{}]", entry.index)?;
                writeln!(f, "    expected: {}", entry.ours.clone().unwrap_or_else(nothing))?;
                writeln!(f, "    card:     {}", entry.theirs.clone().unwrap_or_else(nothing))?;
            }
            let shown = table.differences.len() as u64;
            if table.differing > shown {
                writeln!(f, "  and {} more", table.differing - shown)?;
            }
        }
        match (self.clean, self.operations) {
            (true, _) => writeln!(f, "The card holds what it should ({} ms).", self.ms),
            (false, n) => {
                writeln!(f, "{n} operations made the card what it should be ({} ms).", self.ms)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{AuditedEntry, AuditedTable};

    #[test]
    fn what_differs_is_named() {
        let same = AuditedTable {
            table: "Vif".to_owned(),
            entries: 5,
            by: Comparison::Digest,
            ..AuditedTable::default()
        };
        let clean = Audit { clean: true, ms: 3, tables: vec![same.clone()], ..Audit::default() };
        assert_eq!(
            clean.to_string(),
            "Vif               5 entries, same digest\nThe card holds what it should (3 ms).\n"
        );
        let entry =
            AuditedEntry { index: 25, ours: Some("Ilm { nh: 3 }".to_owned()), theirs: None };
        let other = AuditedTable {
            table: "Ilm".to_owned(),
            entries: 2,
            differing: 2,
            differences: vec![entry],
            ..AuditedTable::default()
        };
        let audit = Audit { tables: vec![same, other], operations: 2, ..Audit::default() };
        let text = audit.to_string();
        for line in [
            "Ilm               2 entries, read back, 2 differ",
            "  [25]",
            "    expected: Ilm { nh: 3 }",
            "    card:     nothing",
            "  and 1 more",
            "2 operations made the card what it should be (0 ms).",
        ] {
            assert!(text.lines().any(|l| l == line), "{text}");
        }
    }
}
