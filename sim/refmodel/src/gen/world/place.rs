//! Where the entries of a node stand in the tables, and the writes that put them there.

use penstock_abi::hash::{fip_key, host_route_key, key_hash};
use penstock_abi::limits::{
    FIP_KEY_ROWS_LOG2, FIP_KEY_WAYS, HOST_ROUTE_ROWS_LOG2, HOST_ROUTE_WAYS,
};
use penstock_abi::table::{FipKey, HostRoute, Prefix, TableEntry, TableId, Words};

use super::{World, Write};
use crate::r#gen::Rng;
use crate::tables::bucket_slots;

impl World {
    /// Everything that is configured, as writes into a cleared card.
    #[must_use]
    pub fn dump(&self) -> Vec<Write> {
        self.entries.iter().map(|(&(_, i), &(t, w))| (t, i, w)).collect()
    }

    /// The writes made since this was last asked, in order.
    pub fn take_writes(&mut self) -> Vec<Write> {
        std::mem::take(&mut self.writes)
    }

    /// The words that stand at an index, zeros if none.
    #[must_use]
    pub fn words(&self, table: TableId, index: u32) -> Words {
        self.entries.get(&(table as u8, index)).map(|e| e.1).unwrap_or_default()
    }

    pub(in crate::r#gen) fn put<E: TableEntry>(&mut self, table: TableId, index: u32, entry: &E) {
        let words = entry.pack();
        if words[0] & 1 == 0 {
            self.entries.remove(&(table as u8, index));
        } else {
            self.entries.insert((table as u8, index), (table, words));
        }
        self.writes.push((table, index, words));
    }

    pub(super) fn fip_key(
        &mut self,
        rng: &mut Rng,
        vif: u8,
        proto: u8,
        ip: u32,
        port: u16,
        map: u16,
    ) {
        let key = FipKey { valid: true, vif, proto, ip, port, map };
        let hash = key_hash(fip_key(vif, proto, ip, port));
        let same = |k: &FipKey| (k.vif, k.proto, k.ip, k.port) == (vif, proto, ip, port);
        let (ways, rows_log2) = (FIP_KEY_WAYS, FIP_KEY_ROWS_LOG2);
        self.put_hashed(rng, TableId::FipKey, hash, ways, rows_log2, &key, same);
    }

    pub(in crate::r#gen) fn host_route(
        &mut self,
        rng: &mut Rng,
        vrf: u16,
        ip: u32,
        nh: u16,
        label: Option<u32>,
    ) {
        self.put_host_route(rng, vrf, ip, nh, label, false);
    }

    pub(super) fn put_host_route(
        &mut self,
        rng: &mut Rng,
        vrf: u16,
        ip: u32,
        nh: u16,
        label: Option<u32>,
        own: bool,
    ) {
        let r = HostRoute {
            valid: true,
            vrf,
            ip,
            nh,
            label: label.unwrap_or(0),
            label_valid: label.is_some(),
            own,
        };
        let same = |o: &HostRoute| (o.vrf, o.ip) == (vrf, ip);
        let hash = key_hash(host_route_key(vrf, ip));
        self.put_hashed(
            rng,
            TableId::HostRoute,
            hash,
            HOST_ROUTE_WAYS,
            HOST_ROUTE_ROWS_LOG2,
            &r,
            same,
        );
    }

    /// Puts an entry where its key stands already, else in a random free slot of its buckets.
    #[allow(clippy::too_many_arguments)]
    fn put_hashed<E: TableEntry>(
        &mut self,
        rng: &mut Rng,
        table: TableId,
        hash: u64,
        ways: u32,
        rows_log2: u32,
        entry: &E,
        same: impl Fn(&E) -> bool,
    ) {
        let slots: Vec<u32> = bucket_slots(hash, ways, rows_log2).collect();
        let holds = |w: &Self, i: u32| w.words(table, i)[0] & 1 != 0;
        let present = slots
            .iter()
            .copied()
            .find(|&i| holds(self, i) && same(&E::unpack(&self.words(table, i))));
        let free: Vec<u32> = slots.iter().copied().filter(|&i| !holds(self, i)).collect();
        if let Some(i) = present.or_else(|| rng.pick(&free).copied()) {
            self.put(table, i, entry);
        }
    }

    pub(super) fn prefix(
        &mut self,
        rng: &mut Rng,
        vrf: u16,
        ip: u32,
        len: u8,
        nh: u16,
        label: u32,
    ) {
        let ip = ip & !(u32::MAX >> len);
        let free: Vec<u32> =
            (0..64).filter(|&i| self.words(TableId::Prefix, i)[0] & 1 == 0).collect();
        if let Some(&i) = rng.pick(&free) {
            let entry =
                Prefix { valid: true, vrf, ip, len, nh, label, label_valid: !rng.one_in(8) };
            self.put(TableId::Prefix, i, &entry);
        }
    }
}
