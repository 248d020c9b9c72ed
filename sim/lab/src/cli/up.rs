//! `penstock lab up`: from the arguments to a lab that works.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::Parts;
use crate::client::{Lab, Manifests, UpOptions};
use crate::manifests;
use crate::parts::Settings;
use crate::paths::LabPaths;
use crate::supervisor::read_topology;
use crate::testbed::Testbed;

/// Time for two simulated cards on a busy machine to be as their daemons want them.
const SYNC_PATIENCE: Duration = Duration::from_secs(120);

/// Brings the lab up and waits until it works.
pub(super) fn up(parts: Parts, program: PathBuf) -> Result<()> {
    let name = match &parts.name {
        Some(name) => name.clone(),
        None => read_topology(parts.topology.as_ref())?.name,
    };
    let Some(_announced) = LabPaths::new(&name)?.announce()? else {
        bail!("a lab called `{name}` is coming up already");
    };
    let firmware = firmware(parts.firmware.clone())?;
    if firmware.is_empty() {
        println!("without firmware (cargo xtask build-firmware): no pod gets an answer to ARP");
    }
    // By which the cards are looked at.
    let penstock = if parts.no_daemon { None } else { Some(find("penstock", None)?) };
    let options = UpOptions {
        name,
        program,
        topology: parts.topology,
        manifests: match (parts.manifests, parts.no_manifests) {
            (Some(folder), _) => Manifests::Folder(folder),
            (None, true) => Manifests::None,
            (None, false) => Manifests::Chapter,
        },
        card: parts.card,
        firmware: parts.firmware,
        card_arguments: parts.card_arguments,
        daemon: parts.daemon,
        no_daemon: parts.no_daemon,
        tied: false,
    };
    let mut lab = Lab::up(&options, |line| println!("{line}"))?;
    if let Some(penstock) = penstock {
        let bed = Testbed::new(lab, penstock);
        bed.wait_in_sync(!firmware.is_empty(), SYNC_PATIENCE).with_context(|| {
            format!("lab `{0}` is up, but does not work (`penstock lab status --name {0}`, `penstock lab down --name {0}`)", options.name)
        })?;
        lab = bed.into_lab();
    }
    println!("lab `{}` is up; manifests go to {}", options.name, lab.state().manifests.display());
    for (node, files) in &lab.state().nodes {
        println!("  on {node}: penstock --api {} flow -l", files.api.display());
    }
    Ok(())
}

/// What the supervisor of these parts is started with.
pub(super) fn settings(parts: Parts, tied: bool) -> Result<Settings> {
    let topology = read_topology(parts.topology.as_ref())?;
    let manifests = match (&parts.manifests, &parts.topology) {
        (Some(folder), _) => Some(manifests::read(folder)?).filter(|files| !files.is_empty()),
        (None, None) if !parts.no_manifests => Some(manifests::chapter()),
        _ => None,
    }
    .unwrap_or_else(manifests::none);
    let daemon = if parts.no_daemon { None } else { Some(find("penstockd", parts.daemon)?) };
    Ok(Settings {
        name: parts.name.unwrap_or_else(|| topology.name.clone()),
        topology,
        manifests,
        card: find("penstock-card", parts.card)?,
        card_arguments: firmware(parts.firmware)?.into_iter().chain(parts.card_arguments).collect(),
        daemon,
        tied,
    })
}

/// The cards' arguments for their firmware: as given, else the image built last, else none.
fn firmware(given: Option<PathBuf>) -> Result<Vec<String>> {
    let built = || {
        let own = std::env::current_exe().ok()?;
        let image = own.parent()?.parent()?.join("firmware/penstock-fw.hex");
        image.is_file().then_some(image)
    };
    let Some(image) = given.or_else(built) else { return Ok(Vec::new()) };
    let image =
        std::path::absolute(&image).with_context(|| format!("cannot find {}", image.display()))?;
    Ok(vec!["--firmware".to_owned(), image.to_string_lossy().into_owned()])
}

/// A program: as given, else beside this one, else on the path.
fn find(program: &str, given: Option<PathBuf>) -> Result<PathBuf> {
    if let Some(given) = given {
        return std::path::absolute(&given)
            .with_context(|| format!("cannot find {}", given.display()));
    }
    let beside = std::env::current_exe()
        .ok()
        .and_then(|own| own.parent().map(|folder| folder.join(program)));
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let candidates = beside
        .into_iter()
        .chain(std::env::split_paths(&on_path).map(|folder| folder.join(program)));
    match candidates.into_iter().find(|path| Path::is_file(path)) {
        Some(found) => Ok(found),
        None => bail!(
            "cannot find `{program}` beside this program or on the path (build it: cargo build -p {program})"
        ),
    }
}
