//! Compares a compiled state with the card's limits. Nothing is cut to fit.

use std::fmt::Display;

use penstock_abi::limits;
use penstock_model::NodeConfig;

use crate::{CompileError, Desired, RouteTarget, marks};

/// Whether each table can hold what it shall.
pub(crate) fn check(desired: &Desired) -> Result<(), CompileError> {
    let groups = desired.routes.values().filter_map(|target| match target {
        RouteTarget::Group(group) => Some(group),
        RouteTarget::Hop(_) => None,
    });
    let (mut group_count, mut ring_words) = (0, 0);
    for group in groups {
        group_count += 1;
        ring_words += group.members.len() + group.members.iter().filter(|m| !m.draining).count();
    }
    let keys = desired.fip.len() + marks(&desired.fip).len();
    let tables = [
        ("NextHop", desired.next_hops.len() + group_count, limits::NEXT_HOPS),
        ("Ecmp", ring_words, limits::ECMP_WORDS),
        ("HostRoute", desired.routes.len(), limits::HOST_ROUTES),
        ("Prefix", desired.prefixes.len(), limits::PREFIXES),
        ("FipKey", keys, limits::FIP_KEYS),
        // One is kept for keys that name no mapping.
        ("FipMap", desired.fip.len(), limits::FIP_MAPS - 1),
    ];
    for (table, needed, capacity) in tables {
        let capacity = capacity as usize;
        if needed > capacity {
            return Err(CompileError::TableFull { table, needed, capacity });
        }
    }
    Ok(())
}

/// Whether every number of a node is one that the card knows.
pub(crate) fn numbers(node: &NodeConfig) -> Result<(), CompileError> {
    let range = |what, value: u32, owner: &str, first: u32, last: u32| {
        if (first..=last).contains(&value) {
            Ok(())
        } else {
            Err(CompileError::OutOfRange { what, value, owner: owner.to_owned(), first, last })
        }
    };
    let label_bits_last = (1 << 20) - 1;
    for vrf in &node.vrfs {
        range("VRF", vrf.id.0.into(), &vrf.name, 0, limits::VRFS - 1)?;
    }
    for vif in &node.vifs {
        let first = limits::VIF_FIRST_POD.into();
        range("vif", vif.id.0.into(), &vif.name, first, limits::VIFS - 1)?;
        range("label", vif.label.0, &vif.name, limits::LABEL_FIRST, limits::LABELS - 1)?;
        range("VRF", vif.vrf.0.into(), &vif.name, 0, limits::VRFS - 1)?;
        if node.vifs.iter().filter(|other| other.id == vif.id).count() > 1 {
            return Err(duplicate("vif", vif.id, "another pod", &vif.name));
        }
    }
    for remote in &node.remotes {
        for label in remote.labels.values().chain(remote.prefixes.values()) {
            range("label", label.0, &remote.name, limits::LABEL_FIRST, label_bits_last)?;
        }
    }
    Ok(())
}

pub(crate) fn duplicate(
    what: &'static str,
    value: impl Display,
    first: &str,
    second: &str,
) -> CompileError {
    CompileError::Duplicate {
        what,
        value: value.to_string(),
        first: first.to_owned(),
        second: second.to_owned(),
    }
}
