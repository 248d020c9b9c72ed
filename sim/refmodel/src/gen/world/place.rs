//! Where the entries of a node stand in the tables, and the writes that put them there.

use penstock_abi::table::{DefaultRoute, FipKey, HostRoute, Prefix, PrefixLength, ServiceAddress};
use penstock_tables::prefix::{PREFIX_LENGTHS, prefix_parts};
use penstock_tables::{CONFIG_TABLES, Keyed, Stored};

use super::{World, Write};
use crate::r#gen::Rng;

impl World {
    /// Everything that is configured, as writes into a cleared card.
    #[must_use]
    pub fn dump(&self) -> Vec<Write> {
        let of =
            |&table| self.entries.words(table).map(move |(index, words)| (table, index, words));
        CONFIG_TABLES.iter().flat_map(of).collect()
    }

    /// The writes made since this was last asked, in order.
    pub fn take_writes(&mut self) -> Vec<Write> {
        std::mem::take(&mut self.writes)
    }

    /// What stands at an index, all zeros if nothing valid does.
    pub(in crate::r#gen) fn at<E: Stored>(&self, index: u32) -> E {
        self.entries.of::<E>().at(index)
    }

    pub(in crate::r#gen) fn put<E: Stored>(&mut self, index: u32, entry: E) {
        let words = entry.pack();
        // What is not valid counts as nothing.
        let kept = if words[0] & 1 == 0 { E::default() } else { E::unpack(&words) };
        self.entries.put(index, kept);
        self.writes.push((E::TABLE, index, words));
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
        self.put_keyed(rng, key);
    }

    pub(in crate::r#gen) fn host_route(
        &mut self,
        rng: &mut Rng,
        vrf: u16,
        ip: u32,
        nh: u16,
        label: Option<u32>,
    ) {
        let sources = self.some_sources(rng, None);
        self.put_host_route(rng, (vrf, ip), (nh, label), ServiceAddress::No, sources);
    }

    pub(super) fn put_host_route(
        &mut self,
        rng: &mut Rng,
        (vrf, ip): (u16, u32),
        (nh, label): (u16, Option<u32>),
        service: ServiceAddress,
        sources: u16,
    ) {
        let r = HostRoute {
            valid: true,
            vrf,
            ip,
            nh,
            label: label.unwrap_or(0),
            label_valid: label.is_some(),
            service,
            sources,
        };
        self.put_keyed(rng, r);
    }

    /// Puts an entry where its key stands already, else in a random free slot of its buckets.
    pub(in crate::r#gen) fn put_keyed<E: Keyed>(&mut self, rng: &mut Rng, entry: E) {
        let places: Vec<u32> = E::places(entry.key(), self.entries.shape()).collect();
        let present = self.entries.find::<E>(entry.key()).map(|(index, _)| index);
        let there = self.entries.of::<E>();
        let free: Vec<u32> = places.into_iter().filter(|&i| !there.contains(i)).collect();
        if let Some(i) = present.or_else(|| rng.pick(&free).copied()) {
            self.put(i, entry);
        }
    }

    pub(super) fn prefix(
        &mut self,
        rng: &mut Rng,
        vrf: u16,
        ip: u32,
        len: u8,
        (nh, label): (u16, u32),
        sources: u16,
    ) {
        let label_valid = !rng.one_in(8);
        if len == 0 {
            self.put(vrf.into(), DefaultRoute { valid: true, nh, label, label_valid, sources });
            return;
        }
        for (rank, len) in (0..).zip(PREFIX_LENGTHS) {
            self.put(rank, PrefixLength { valid: true, len });
        }
        for part in prefix_parts(vrf, ip, len) {
            let shape = self.entries.shape();
            let there = self.entries.of::<Prefix>();
            let present = self.entries.find_part(part).map(|(index, word)| (index, word.len));
            let free: Vec<u32> = part.places(shape).filter(|&i| !there.contains(i)).collect();
            let ip = part.ip;
            let entry = Prefix { valid: true, vrf, ip, len, nh, label, label_valid, sources };
            match present {
                Some((_, other)) if other > len => {}
                Some((index, _)) => self.put(index, entry),
                None => {
                    if let Some(&index) = rng.pick(&free) {
                        self.put(index, entry);
                    }
                }
            }
        }
    }
}
