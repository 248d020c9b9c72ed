//! What a node file may not say, although it parses.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::net::Ipv4Addr;

use penstock_abi::limits;

use super::{NodeFile, RemoteFile, VifFile};

const LABEL_LAST: u32 = (1 << 20) - 1;

/// All faults, each with its place in the file.
pub(super) fn validate(file: &NodeFile) -> Vec<String> {
    let mut faults = Faults::default();
    if file.name.is_empty() {
        faults.add("name", "is empty");
    }
    let fabric = file.fabric.address.address;
    if !is_host(fabric) {
        faults.add("fabric.address", format_args!("{fabric} is not a host's address"));
    }
    if !file.fabric.mac.is_unicast() {
        faults.add("fabric.mac", format_args!("{} is not an interface's address", file.fabric.mac));
    }
    let vrfs = check_vrfs(file, &mut faults);
    // Who has an address, over the whole file.
    let mut owners = BTreeMap::from([(fabric, "fabric.address".to_owned())]);
    check_vifs(&file.vifs, &vrfs, &mut owners, &mut faults);
    check_remotes(&file.remotes, &vrfs, &mut owners, &mut faults);
    faults.0
}

#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn add(&mut self, place: impl Display, what: impl Display) {
        self.0.push(format!("{place}: {what}"));
    }

    /// Claims `value` for `place`; says who has it already.
    fn claim<K: Ord + Display>(
        &mut self,
        claims: &mut BTreeMap<K, String>,
        value: K,
        what: &str,
        place: &str,
    ) {
        if let Some(other) = claims.get(&value) {
            self.add(place, format_args!("{what} {value} is already that of {other}"));
        } else {
            claims.insert(value, place.to_owned());
        }
    }
}

fn check_vrfs(file: &NodeFile, faults: &mut Faults) -> BTreeSet<u16> {
    let (mut ids, mut names) = (BTreeMap::new(), BTreeMap::new());
    for (i, vrf) in file.vrfs.iter().enumerate() {
        let place = format!("vrfs[{i}] ({})", vrf.name);
        if vrf.id == 0 || u32::from(vrf.id) >= limits::VRFS {
            faults.add(&place, format_args!("id {} is not in 1..{}", vrf.id, limits::VRFS));
        }
        faults.claim(&mut ids, vrf.id, "id", &place);
        faults.claim(&mut names, vrf.name.clone(), "name", &place);
    }
    let ids: BTreeSet<u16> = ids.into_keys().collect();
    for (i, vrf) in file.vrfs.iter().enumerate() {
        known_vrfs(&format!("vrfs[{i}].imports"), &vrf.imports, &ids, faults);
    }
    ids
}

fn known_vrfs(place: &str, used: &[u16], known: &BTreeSet<u16>, faults: &mut Faults) {
    for id in used.iter().filter(|id| !known.contains(id)) {
        faults.add(place, format_args!("there is no VRF {id} in vrfs"));
    }
}

fn check_vifs(
    vifs: &[VifFile],
    vrfs: &BTreeSet<u16>,
    owners: &mut BTreeMap<Ipv4Addr, String>,
    faults: &mut Faults,
) {
    let (mut ids, mut names, mut labels) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for name in ["fabric0", "vhost0", "pkt0"] {
        names.insert(name.to_owned(), "the card itself".to_owned());
    }
    for (i, vif) in vifs.iter().enumerate() {
        let place = format!("vifs[{i}] ({})", vif.name);
        if vif.id < limits::VIF_FIRST_POD {
            faults.add(
                &place,
                format_args!("id {} is kept, pods start at {}", vif.id, limits::VIF_FIRST_POD),
            );
        }
        if vif.label < limits::LABEL_FIRST {
            faults.add(
                &place,
                format_args!(
                    "label {} is reserved, use {} or more",
                    vif.label,
                    limits::LABEL_FIRST
                ),
            );
        } else if vif.label >= limits::LABELS {
            faults.add(
                &place,
                format_args!("label {} is not below the card's {}", vif.label, limits::LABELS),
            );
        }
        if !is_host(vif.address) {
            faults.add(&place, format_args!("address {} is not a host's", vif.address));
        }
        if !vif.mac.is_unicast() {
            faults.add(&place, format_args!("mac {} is not an interface's", vif.mac));
        }
        if vif.name.is_empty() {
            faults.add(&place, "name is empty");
        }
        known_vrfs(&place, &[vif.vrf], vrfs, faults);
        faults.claim(&mut ids, vif.id, "id", &place);
        faults.claim(&mut names, vif.name.clone(), "name", &place);
        faults.claim(&mut labels, vif.label, "label", &place);
        faults.claim(owners, vif.address, "address", &place);
    }
}

fn check_remotes(
    remotes: &[RemoteFile],
    vrfs: &BTreeSet<u16>,
    owners: &mut BTreeMap<Ipv4Addr, String>,
    faults: &mut Faults,
) {
    let mut names = BTreeMap::new();
    for (i, remote) in remotes.iter().enumerate() {
        let place = format!("remotes[{i}] ({})", remote.name);
        if !is_host(remote.address) {
            faults.add(&place, format_args!("address {} is not a host's", remote.address));
        }
        known_vrfs(&place, &remote.vrfs, vrfs, faults);
        faults.claim(&mut names, remote.name.clone(), "name", &place);
        faults.claim(owners, remote.address, "address", &place);
        let mut labels = BTreeMap::new();
        for (address, label) in &remote.labels {
            let place = format!("{place}.labels.{address}");
            check_remote_label(&place, *label, faults);
            faults.claim(&mut labels, *label, "label", &place);
            faults.claim(owners, *address, "address", &place);
        }
        for (prefix, label) in &remote.prefixes {
            let place = format!("{place}.prefixes.{prefix}");
            check_remote_label(&place, *label, faults);
            if prefix.len > 31 {
                faults.add(&place, "a single address belongs into labels");
            }
            if prefix.network() != *prefix {
                faults.add(&place, format_args!("has host bits, is {} meant?", prefix.network()));
            }
        }
    }
}

fn check_remote_label(place: &str, label: u32, faults: &mut Faults) {
    if !(limits::LABEL_FIRST..=LABEL_LAST).contains(&label) {
        faults.add(
            place,
            format_args!("label {label} is not in {}..={LABEL_LAST}", limits::LABEL_FIRST),
        );
    }
}

/// Whether one host can have the address.
fn is_host(address: Ipv4Addr) -> bool {
    let first = address.octets()[0];
    first != 0 && first < 224 && first != 127
}
