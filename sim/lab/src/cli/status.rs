//! `penstock lab status`.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use crate::client::Lab;
use crate::paths::{self, LabPaths};
use crate::state::ProcessState;

/// Shows the lab of that name, or all that are up; as JSON, an array of them.
pub(super) fn status(name: Option<&String>, json: bool, program: &Path) -> Result<ExitCode> {
    let names = name.map_or_else(paths::list, |name| Ok(vec![name.clone()]))?;
    let mut shown = 0;
    let mut labs = Vec::new();
    for each in names {
        let paths = LabPaths::new(&each)?;
        match paths.alive_or_coming_up() {
            Ok(true) => shown += 1,
            Ok(false) => continue,
            // Of the others one is as good as none.
            Err(error) if name.is_some() => return Err(error.into()),
            Err(_) => continue,
        }
        if !paths.state().exists() {
            if json {
                labs.push(json!({ "lab": { "name": each }, "coming_up": true }));
            } else {
                println!("lab `{each}` is coming up");
            }
            continue;
        }
        let lab = Lab::attach(&each, program)?;
        let processes = lab.processes()?;
        if json {
            labs.push(json!({ "lab": lab.state(), "processes": processes }));
        } else {
            show(&lab, &processes)?;
        }
    }
    if json {
        writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&labs)?)?;
    } else if shown == 0 {
        println!("no lab is up");
    }
    Ok(if shown == 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn show(lab: &Lab, processes: &[ProcessState]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let state = lab.state();
    let (name, supervisor) = (&state.name, state.supervisor);
    writeln!(
        out,
        "lab `{name}` (supervisor {supervisor}), manifests {}",
        state.manifests.display()
    )?;
    for (name, namespace) in &state.namespaces {
        let address = namespace.address.as_deref().unwrap_or("-");
        let node = namespace.node.as_deref().map(|node| format!(" on {node}")).unwrap_or_default();
        writeln!(out, "  {:<8} {name:<28} {address:<16}{node}", namespace.kind)?;
    }
    for process in processes {
        let how = process.pid.map_or_else(
            || process.exit.clone().unwrap_or_default(),
            |pid| format!("runs as {pid}"),
        );
        writeln!(out, "  process  {:<28} {how:<16} {}", process.name, process.log.display())?;
    }
    Ok(())
}
