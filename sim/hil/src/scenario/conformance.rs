//! The suite that every transport must pass, through `/dev/vfio`; its last check is the card's sudden end.

use std::time::Duration;

use anyhow::{Result, bail};

use super::{Site, bind_by_hand};
use crate::guest::{FUNCTION, Guest, Plan};

/// For the whole suite.
const TIMEOUT: Duration = Duration::from_secs(90);

pub(super) fn run(site: &Site<'_>) -> Result<()> {
    let mut card = site.card(&[])?;
    let mut plan = Plan::new(site.guest, card.socket());
    plan.programs = vec![site.program("examples/conformance", "/usr/bin/conformance")];
    let mut guest = Guest::boot(&plan, site.folder, site.log)?;
    guest.run(&bind_by_hand())?;
    let mut verdict = None;
    let command = format!("conformance pci:{FUNCTION} --removal");
    let (code, _) = guest.watch(&command, TIMEOUT, |line| {
        if line == "@remove" {
            card.kill()?;
        } else if let Some(word) = line.strip_prefix("CONFORMANCE ") {
            verdict = Some(word == "PASS");
        } else if line.contains(": ok") || line.contains(": FAIL") {
            println!("  {line}");
        }
        Ok(())
    })?;
    match verdict {
        Some(true) if code == 0 => Ok(()),
        _ => bail!("the suite did not pass (exit code {code})"),
    }
}
