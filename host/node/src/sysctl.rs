//! Settings of the kernel's IPv4, of the namespace that the process is in.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::NodeError;
use crate::state::Setting;

const ROOT: &str = "/proc/sys/net/ipv4";
const FORWARD: &str = "ip_forward";

fn path(name: &str) -> PathBuf {
    Path::new(ROOT).join(name)
}

/// Reads a setting; none if there is none, as of an interface that is gone.
pub(crate) fn read(name: &str) -> Result<Option<String>, NodeError> {
    match fs::read_to_string(path(name)) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(NodeError::Setting { path: path(name), what: "read", source }),
    }
}

/// Writes a setting unless it has the value: to write `ip_forward` changes others, even to what it is.
pub(crate) fn write(name: &str, value: &str) -> Result<bool, NodeError> {
    if read(name)?.is_none_or(|now| now == value) {
        return Ok(false);
    }
    match fs::write(path(name), value) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(NodeError::Setting { path: path(name), what: "written", source }),
    }
}

/// What is to be set for an interface. The kernel ORs `send_redirects` of `all` to the interface's, and takes the stricter (greater) of the two
/// `rp_filter`: 2 is loose.
pub(crate) fn wanted(interface: &str) -> Vec<(String, &'static str)> {
    let of = |scope: &str, name: &str| format!("conf/{scope}/{name}");
    vec![
        (FORWARD.to_owned(), "1"),
        (of("all", "send_redirects"), "0"),
        (of(interface, "send_redirects"), "0"),
        (of(interface, "rp_filter"), "2"),
    ]
}

/// What stands now in all that [`wanted`] changes, by itself or beside it, in the order in which it is to be restored. When forwarding is
/// turned on or off, the kernel sets `forwarding` of every interface, and whether redirects are accepted.
pub(crate) fn snapshot(interface: &str) -> Result<Vec<Setting>, NodeError> {
    let mut names: Vec<String> = wanted(interface).into_iter().map(|(name, _)| name).collect();
    if read(FORWARD)?.as_deref() == Some("0") {
        names.push("conf/all/accept_redirects".to_owned());
        let conf = path("conf");
        let failed = |source| NodeError::Setting { path: conf.clone(), what: "read", source };
        for entry in fs::read_dir(&conf).map_err(failed)? {
            let scope = entry.map_err(failed)?.file_name();
            // `all` is `ip_forward` by another name.
            if let Some(scope) = scope.to_str().filter(|scope| *scope != "all") {
                names.push(format!("conf/{scope}/forwarding"));
            }
        }
    }
    let mut settings = Vec::new();
    for name in names {
        if let Some(value) = read(&name)? {
            settings.push(Setting { name, value });
        }
    }
    Ok(settings)
}
