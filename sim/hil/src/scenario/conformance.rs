//! The suite that every transport must pass, through `/dev/vfio`; its last check is the card's sudden end.

use std::ops::ControlFlow;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::{Site, bind_by_hand};
use crate::guest::{FUNCTION, Guest, Plan};

/// For the whole suite.
const TIMEOUT: Duration = Duration::from_secs(90);

pub(super) fn run(site: &Site<'_>) -> Result<()> {
    let card = site.card(&[])?;
    let mut plan = Plan::new(site.guest, card.socket());
    plan.programs = vec![site.program("examples/conformance", "/usr/bin/conformance")];
    let mut guest = Guest::boot(&plan, site.folder, site.log)?;
    guest.run(&bind_by_hand())?;
    let mut passed = false;
    let command = format!("conformance pci:{FUNCTION} --removal");
    let code = guest.watch(&command, TIMEOUT, |line| {
        if line == "@remove" {
            card.pull_out()?;
        } else if let Some(verdict) = line.strip_prefix("CONFORMANCE ") {
            passed = verdict == "PASS";
            // The program's end would take a minute: the kernel waits for the card that is gone.
            return Ok(ControlFlow::Break(()));
        } else if line.contains(": ok") || line.contains(": FAIL") {
            println!("  {line}");
        }
        Ok(ControlFlow::Continue(()))
    })?;
    ensure!(passed, "the suite did not pass (exit code {code:?})");
    Ok(())
}
