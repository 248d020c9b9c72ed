//! What is tried, one virtual machine each.

mod bench;
mod cni;
mod conformance;
mod node;
mod peer;
mod refusals;
mod service;
mod survival;
mod unit;

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::card::Card;
use crate::guest::FUNCTION;
use crate::log::Log;

/// Something to try.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// Whether it is run when none is named.
    pub(crate) is_check: bool,
    pub(crate) run: fn(&Site<'_>) -> Result<()>,
}

/// All scenarios, in the order in which they are run.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "conformance",
        about: "the transport conformance suite through the kernel's VFIO",
        is_check: true,
        run: conformance::run,
    },
    Scenario {
        name: "service",
        about: "the chapter's service by the shipped daemon and command",
        is_check: true,
        run: service::run,
    },
    Scenario {
        name: "unit",
        about: "the shipped units under systemd, and the neighbours that the daemon learns there",
        is_check: true,
        run: unit::run,
    },
    Scenario {
        name: "cni",
        about: "pods by the shipped CNI plugin, and links under service tags",
        is_check: true,
        run: cni::run,
    },
    Scenario {
        name: "survival",
        about: "what the data path survives, and what clears it",
        is_check: true,
        run: survival::run,
    },
    Scenario {
        name: "peer",
        about: "TCP across Linux's own MPLS over UDP and over GRE",
        is_check: true,
        run: peer::run,
    },
    Scenario {
        name: "refusals",
        about: "what an operator is told when a machine or a function will not do",
        is_check: true,
        run: refusals::run,
    },
    Scenario {
        name: "bench",
        about: "figures of the kernel's VFIO",
        is_check: false,
        run: bench::run,
    },
];

/// Where a scenario finds its things.
pub(crate) struct Site<'a> {
    /// QEMU and the guest's packages.
    pub(crate) guest: &'a Path,
    /// The built programs.
    pub(crate) programs: &'a Path,
    /// The firmware's image.
    pub(crate) firmware: &'a Path,
    /// An empty folder, removed at the end.
    pub(crate) folder: &'a Path,
    /// The log.
    pub(crate) log: &'a Log,
}

impl Site<'_> {
    /// Starts a card with a port for each `(name, vif)`.
    fn card(&self, ports: &[(&str, u8)]) -> Result<Card> {
        Card::start(
            &self.programs.join("penstock-card"),
            self.firmware,
            self.folder,
            ports,
            self.log,
        )
    }

    /// A built program, to be put at `path` in the guest.
    fn program(&self, name: &str, path: &'static str) -> (PathBuf, &'static str) {
        (self.programs.join(name), path)
    }

    /// A check that held: on the terminal and in the log.
    fn held(&self, what: &str) {
        println!("  ok: {what}");
        self.log.line("host", &format!("ok: {what}"));
    }
}

/// Binds the card's function to vfio-pci with nothing but sysfs.
fn bind_by_hand() -> String {
    format!(
        "echo vfio-pci > /sys/bus/pci/devices/{FUNCTION}/driver_override && echo {FUNCTION} > /sys/bus/pci/drivers_probe"
    )
}
