//! `cargo xtask demo`: the chapter's story, told on the terminal with real output and checked on the way. `--flood`: another one, of
//! what a flood of SYNs does to others.
//!
//! A client pod's real TCP connections reach two backend pods on two nodes through two Verilated cards. Every claim is a
//! [`Report::check`]; the exit code is 0 only if all of them held. Waiting is for conditions with deadlines, so a slow
//! machine takes longer but comes to the same result.

mod flood;
mod report;
mod story;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use penstock_lab::testbed::Testbed;

use crate::shell::{cargo, run, step, target};
use crate::{firmware, setup};
use flood::Floods;
use report::Report;
use story::Story;

/// Builds all that a lab needs: the programs, whose folder is returned, and the firmware, whose image is.
///
/// # Errors
/// Something does not build.
pub(crate) fn build_programs(root: &Path) -> Result<(PathBuf, PathBuf)> {
    // The whole workspace, as the tests do: other features would build the same crates again.
    run(&mut cargo(root, &["build", "--quiet", "--workspace", "--bins"]))?;
    let image = firmware::build(root)?;
    Ok((target(root).join("debug"), image))
}

/// Which story to tell.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tale {
    /// The chapter's.
    Service,
    /// That of a flood.
    Flood,
}

/// Tells a story; `keep` leaves the lab running at the end.
///
/// # Errors
/// Something cannot be built, or a check did not hold.
pub(crate) fn demo(
    root: &Path,
    tale: Tale,
    keep: bool,
    name: &str,
    programs: Option<PathBuf>,
) -> Result<()> {
    setup::run_setup(root)?;
    setup::check_lab()?;
    let (folder, image) = match programs {
        Some(folder) => (folder, firmware::image(root)),
        None => step("build (the first time takes some minutes)", || build_programs(root))?,
    };
    let mut report = Report::new();
    report.chapter("The testbed: two nodes, each with a Verilated card, on one underlay");
    let topology = (tale == Tale::Flood).then(|| root.join(flood::TOPOLOGY));
    let tell = |line: &str| println!("  {line}");
    let bed = Testbed::up(name, &folder, &image, topology.as_deref(), !keep, tell)?;
    let told = match tale {
        Tale::Service => Story::new(root, &bed, &mut report).tell(),
        Tale::Flood => Floods::new(root, &bed, &mut report).and_then(Floods::tell),
    };
    if let Err(error) = &told {
        report.fail("the story goes on to its end", error);
    }
    let held = report.summary();
    if !held {
        println!("\nDiagnostics\n{}", bed.diagnostics());
    }
    if keep {
        println!("\nThe lab `{name}` keeps running. Try:");
        let penstock = folder.join("penstock");
        let penstock = penstock.display();
        println!("  {penstock} lab status");
        println!("  {penstock} lab exec --name {name} client -- curl http://10.105.139.153:8888");
        for (node, files) in &bed.lab().state().nodes {
            println!("  {penstock} --api {} flow -l        # {node}", files.api.display());
        }
        println!("  {penstock} lab down --name {name}");
    } else {
        bed.into_lab().down()?;
    }
    if !held {
        bail!("not everything held");
    }
    Ok(())
}
