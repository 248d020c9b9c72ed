//! What a lab's daemons find in their folder of manifests when they start.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

/// A file: name and content.
pub type File = (String, String);

/// The chapter's pods and services, as the demo applies them one after the other.
const CHAPTER: [(&str, &str); 3] = [
    ("pods.yaml", include_str!("../../../tests/manifests/chapter/manifests/pods.yaml")),
    (
        "service-web-clusterip.yaml",
        include_str!("../../../tests/manifests/chapter/manifests/service-web-clusterip.yaml"),
    ),
    (
        "service-web-clusterip-mp.yaml",
        include_str!(
            "../../../tests/manifests/chapter-two-ports/manifests/service-web-clusterip-mp.yaml"
        ),
    ),
];

/// The chapter's manifests.
#[must_use]
pub fn chapter() -> Vec<File> {
    CHAPTER.map(|(name, text)| (name.to_owned(), text.to_owned())).into()
}

/// No service, said so: an empty folder might be an accident to a daemon that starts.
#[must_use]
pub fn none() -> Vec<File> {
    vec![("none.yaml".to_owned(), "apiVersion: v1\nkind: List\nitems: []\n".to_owned())]
}

/// The files of a folder; those whose names start with a dot, and folders in it, are left out.
///
/// # Errors
/// Something cannot be read as text.
pub fn read(folder: &Path) -> Result<Vec<File>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_file() && !name.starts_with('.') {
            let text = fs::read_to_string(&path);
            files.push((name, text.with_context(|| format!("cannot read {}", path.display()))?));
        }
    }
    files.sort();
    Ok(files)
}
