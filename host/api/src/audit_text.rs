//! An audit for people.

use std::fmt;

use crate::types::{Audit, AuditedFlows, Comparison, FlowFault};

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
        self.flows.fmt(f)?;
        let ms = self.ms;
        if self.left_out > 0 {
            let n = self.left_out;
            writeln!(
                f,
                "Earlier plans had left out {n} operations, a defect of the daemon; they were done."
            )?;
        }
        match self.operations {
            _ if self.not_mended => {
                let held = if self.clean {
                    "The card holds what was read from it before"
                } else {
                    "Not mended"
                };
                writeln!(f, "{held}; the sources have not all been read yet ({ms} ms).")
            }
            0 if self.tables.iter().all(|table| table.differing == 0) && self.left_out == 0 => {
                writeln!(f, "The card holds what it should ({ms} ms).")
            }
            n => writeln!(f, "{n} operations made the card what it should be ({ms} ms)."),
        }
    }
}

impl fmt::Display for AuditedFlows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wrong = self.defects.len();
        let miscounted = self.in_use.filter(|count| *count != self.entries);
        write!(f, "{:<12}{:>7} entries, ", "Flow", self.entries)?;
        match (wrong, miscounted) {
            (0, None) => writeln!(f, "all of whole connections")?,
            (0, Some(count)) => writeln!(f, "and the card counts {count}")?,
            (wrong, None) => writeln!(f, "{wrong} of them wrong")?,
            (wrong, Some(count)) => {
                writeln!(f, "{wrong} of them wrong, and the card counts {count}")?;
            }
        }
        for defect in &self.defects {
            let fault = match defect.fault {
                FlowFault::Lone => "the other direction has no entry",
                FlowFault::Twice => "this direction has another entry",
                FlowFault::Crossed => "the other direction's entry is of other packets",
            };
            writeln!(f, "  [{}] {fault}", defect.index)?;
            writeln!(f, "    card:     {}", defect.entry)?;
        }
        if self.stale > 0 {
            writeln!(
                f,
                "  {} connections are of no use any more; they go when they are old",
                self.stale
            )?;
        }
        match self.ended {
            0 if wrong == 0 && self.stale == 0 => Ok(()),
            0 => writeln!(f, "  --fix ends them"),
            ended => writeln!(f, "  {ended} connections were ended"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{AuditedEntry, AuditedTable, FlowDefect};

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
            "Vif               5 entries, same digest\n\
             Flow              0 entries, all of whole connections\n\
             The card holds what it should (3 ms).\n"
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
        let audit =
            Audit { tables: vec![same, other], operations: 2, left_out: 3, ..Audit::default() };
        let text = audit.to_string();
        for line in [
            "Ilm               2 entries, read back, 2 differ",
            "  [25]",
            "    expected: Ilm { nh: 3 }",
            "    card:     nothing",
            "  and 1 more",
            "Earlier plans had left out 3 operations, a defect of the daemon; they were done.",
            "2 operations made the card what it should be (0 ms).",
        ] {
            assert!(text.lines().any(|l| l == line), "{text}");
        }
        let defect = FlowDefect { index: 9, entry: "Flow(..)".to_owned(), fault: FlowFault::Lone };
        let flows =
            AuditedFlows { entries: 7, in_use: Some(8), defects: vec![defect], stale: 2, ended: 0 };
        let found = Audit { flows: flows.clone(), ..Audit::default() }.to_string();
        assert_eq!(
            found,
            "Flow              7 entries, 1 of them wrong, and the card counts 8\n  \
             [9] the other direction has no entry\n    \
             card:     Flow(..)\n  \
             2 connections are of no use any more; they go when they are old\n  \
             --fix ends them\n\
             The card holds what it should (0 ms).\n"
        );
        let ended = AuditedFlows { ended: 3, ..flows }.to_string();
        assert!(ended.ends_with("\n  3 connections were ended\n"), "{ended}");
        let audit = Audit { not_mended: true, operations: 0, left_out: 0, ..audit };
        let text = audit.to_string();
        assert!(
            text.ends_with("Not mended; the sources have not all been read yet (0 ms).\n"),
            "{text}"
        );
    }
}
