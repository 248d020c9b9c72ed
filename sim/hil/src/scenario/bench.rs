//! Figures of the kernel's VFIO, by the same program that measures the other transports.

use anyhow::{Context as _, Result};

use super::{Site, bind_by_hand};
use crate::guest::{FUNCTION, Guest, Plan};

/// Where the figures go, beside the log.
const FIGURES: &str = "bench.json";

pub(super) fn run(site: &Site<'_>) -> Result<()> {
    let card = site.card(&[])?;
    let mut plan = Plan::new(site.guest, card.socket());
    plan.programs = vec![site.program("penstock-bench", "/usr/bin/penstock-bench")];
    let mut guest = Guest::boot(&plan, site.folder, site.log)?;
    guest.run(&bind_by_hand())?;
    let figures = guest.run(&format!("penstock-bench --transport kernel_vfio=pci:{FUNCTION}"))?;
    let path = site.log.path().with_file_name(FIGURES);
    std::fs::write(&path, &figures).with_context(|| format!("cannot write {}", path.display()))
}
