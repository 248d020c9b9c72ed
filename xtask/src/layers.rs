//! Which folders may depend on which: the software that runs on nodes and cards needs nothing of the simulation.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::shell::{cargo, output};

/// A folder of crates and the folders that they may depend on, in tests too.
const LAYERS: [(&str, &[&str]); 3] = [
    ("drivers", &["drivers"]),
    ("firmware", &["firmware", "drivers"]),
    ("host", &["host", "drivers"]),
];

/// Checks the dependencies of the workspace's crates on each other.
///
/// # Errors
/// A crate depends on one in a folder that its own must not know.
pub(crate) fn check(root: &Path) -> Result<()> {
    let text = output(&mut cargo(root, &["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata = serde_json::from_str(&text).context("cargo's metadata is not understood")?;
    let wrong = wrong(root, &metadata);
    if wrong.is_empty() { Ok(()) } else { bail!("{}", wrong.join("\n")) }
}

/// A line for each dependency that must not be.
fn wrong(root: &Path, metadata: &Value) -> Vec<String> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let inside = |path: &Value| -> Option<PathBuf> {
        Some(Path::new(path.as_str()?).strip_prefix(root).ok()?.to_path_buf())
    };
    let mut wrong = Vec::new();
    for package in list(&metadata["packages"]) {
        let Some(manifest) = inside(&package["manifest_path"]) else { continue };
        let layer = LAYERS.iter().find(|(folder, _)| manifest.starts_with(folder));
        let Some((folder, allowed)) = layer else { continue };
        for dependency in list(&package["dependencies"]) {
            let Some(path) = inside(&dependency["path"]) else { continue };
            if !allowed.iter().any(|folder| path.starts_with(folder)) {
                wrong.push(format!(
                    "{} depends on {}: crates in {folder}/ may only depend on {}/",
                    manifest.display(),
                    path.display(),
                    allowed.join("/, ")
                ));
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_arrow_up_is_found() {
        let package = |at: &str, on: &[&str]| {
            let dependencies: Vec<_> =
                on.iter().map(|path| json!({ "path": format!("/w/{path}") })).collect();
            json!({ "manifest_path": format!("/w/{at}/Cargo.toml"), "dependencies": dependencies })
        };
        let metadata = json!({ "packages": [
            package("host/cli", &["host/views", "drivers/device", "sim/card"]),
            package("sim/card", &["host/views", "drivers/device"]),
            package("drivers/device", &["drivers/abi", "host/model"]),
            { "manifest_path": "/w/host/x/Cargo.toml", "dependencies": [{ "name": "serde" }] },
        ] });
        let wrong = wrong(Path::new("/w"), &metadata);
        assert_eq!(wrong.len(), 2, "{wrong:?}");
        assert!(wrong[0].starts_with("host/cli/Cargo.toml depends on sim/card:"));
        assert!(wrong[1].starts_with("drivers/device/Cargo.toml depends on host/model:"));
    }
}
