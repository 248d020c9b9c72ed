//! What an operator is told when a machine or a function will not do: no IOMMU, another vendor's function, not bound, no
//! rights.

use anyhow::{Result, ensure};

use super::Site;
use super::node::UNPRIVILEGED;
use crate::guest::{FUNCTION, Guest, Plan};

/// A device of QEMU's that is none of ours.
const STRANGER: &str = "0000:02:00.0";

pub(super) fn run(site: &Site<'_>) -> Result<()> {
    without_iommu(site)?;
    with_strangers(site)
}

fn plan<'a>(site: &'a Site<'_>, socket: &'a std::path::Path) -> Plan<'a> {
    let mut plan = Plan::new(site.guest, socket);
    plan.programs = vec![
        site.program("penstock", "/usr/bin/penstock"),
        ("/usr/bin/setpriv".into(), "/usr/bin/setpriv"),
    ];
    plan
}

fn without_iommu(site: &Site<'_>) -> Result<()> {
    let card = site.card(&[])?;
    let mut plan = plan(site, card.socket());
    plan.iommu = false;
    let mut guest = Guest::boot(&plan, site.folder, site.log)?;
    ensure!(guest.run("penstock card list")?.contains("IOMMU"), "the list does not name the IOMMU");
    for command in ["bind 0000:01:00.0", "info pci:0000:01:00.0"] {
        refused(&mut guest, &format!("penstock card {command}"), "intel_iommu=on")?;
    }
    site.held("without an IOMMU: bind and info refuse and name the kernel's options");
    Ok(())
}

fn with_strangers(site: &Site<'_>) -> Result<()> {
    let card = site.card(&[])?;
    let mut plan = plan(site, card.socket());
    let stranger = "pcie-root-port,id=port2,chassis=2,slot=2";
    plan.extra = ["-device", stranger, "-device", "edu,bus=port2"].map(ToOwned::to_owned).into();
    let mut guest = Guest::boot(&plan, site.folder, site.log)?;

    let info = format!("penstock card info pci:{FUNCTION}");
    refused(&mut guest, &info, &format!("penstock card bind {FUNCTION}"))?;
    site.held("a function that is not bound: info says how to bind it");

    guest.run(&format!(
        "echo vfio-pci >/sys/bus/pci/devices/{STRANGER}/driver_override && echo {STRANGER} >/sys/bus/pci/drivers_probe"
    ))?;
    refused(&mut guest, &format!("penstock card info pci:{STRANGER}"), "1234:11e8")?;
    site.held("another vendor's function: info names its vendor and device");

    guest.run(&format!("penstock card bind {FUNCTION}"))?;
    refused(&mut guest, &format!("{UNPRIVILEGED} {info}"), "--group")?;
    site.held("no rights to the group's device file: info says how to give them");

    guest.run(&format!("penstock card bind {FUNCTION} --group penstock"))?;
    guest.run(&format!("{UNPRIVILEGED} {info}"))?;
    site.held("with them it opens the card, as an unprivileged user");
    Ok(())
}

/// Runs a command that must fail and say `reason`.
fn refused(guest: &mut Guest, command: &str, reason: &str) -> Result<()> {
    let (code, text) = guest.attempt(command)?;
    ensure!(code == 1, "`{command}` ended with {code}:\n{text}");
    ensure!(text.contains(reason), "`{command}` does not say `{reason}`:\n{text}");
    Ok(())
}
