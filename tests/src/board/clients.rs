//! What card and model say of clients that are kept at their members.

use std::collections::{BTreeMap, BTreeSet};

use penstock_abi::table::{Affinity, TableId, Words};
use penstock_refmodel::clients::now;

use super::{Board, Failure};
use crate::clients::Made;

/// Entries by index.
type Entries = BTreeMap<u32, Affinity>;

impl Board<'_> {
    /// Card time in the units of clients.
    fn clients_now(&self) -> u32 {
        now(self.model.flows().now())
    }

    /// What card and model have that has not expired.
    fn clients(&mut self) -> Result<(Entries, Entries), Failure> {
        let card = self.dut.clients();
        let card = self.device("reading clients", card)?;
        let now = self.clients_now();
        let counts = |(_, entry): &(u32, Affinity)| !entry.has_expired(now);
        let model = self.model.clients().iter().map(|(index, entry)| (index, *entry));
        Ok((card.into_iter().filter(counts).collect(), model.filter(counts).collect()))
    }

    /// They are the same.
    pub(super) fn check_clients(&mut self) -> Result<(), Failure> {
        let (card, model) = self.clients()?;
        self.summary.clients += card.len() as u64;
        match differing(&card, &model).first() {
            Some(index) => self.fail(format!(
                "client {index}\n  card  {:?}\n  model {:?}",
                card.get(index),
                model.get(index)
            )),
            None => Ok(()),
        }
    }

    /// The model goes on with the card's, after so many requests were not executed as in the model.
    pub(super) fn adopt_clients(&mut self, requests: u64) -> Result<(), Failure> {
        let (card, model) = self.clients()?;
        let differ = differing(&card, &model);
        // The entry of a request, and that whose place it would have taken.
        if differ.len() as u64 > 2 * requests {
            return self.fail(format!(
                "{requests} pairs were put off or found no place, but clients differ at {differ:?}"
            ));
        }
        self.model.clients_mut().restore(card);
        Ok(())
    }

    /// Likewise after tables changed under traffic: what is new some packet made.
    pub(crate) fn adopt_made_clients(&mut self, made: &Made) -> Result<(), Failure> {
        let (card, model) = self.clients()?;
        let now = self.clients_now();
        for index in differing(&card, &model) {
            let entry = card.get(&index);
            if !entry.is_some_and(|e| made.allow(self.model.clients(), index, e, now)) {
                return self.fail(format!(
                    "under traffic: a client that no outcome makes\n  card {entry:?}\n  was  {:?}",
                    model.get(&index)
                ));
            }
        }
        self.model.clients_mut().restore(card);
        Ok(())
    }

    /// The host deletes a client, this one of all.
    pub(super) fn forget(&mut self, pick: u64) -> Result<(), Failure> {
        self.flush()?;
        let indices: Vec<u32> = self.model.clients().iter().map(|(index, _)| index).collect();
        if indices.is_empty() {
            return Ok(());
        }
        let index = indices[(pick % indices.len() as u64) as usize];
        let write = (TableId::Affinity, index, Words::default());
        self.model.write(write.0, write.1, &write.2);
        let deleted = self.dut.write(&[write]);
        self.device("deleting a client", deleted)
    }
}

/// Where two differ.
fn differing(one: &Entries, other: &Entries) -> Vec<u32> {
    let all: BTreeSet<u32> = one.keys().chain(other.keys()).copied().collect();
    all.into_iter().filter(|index| one.get(index) != other.get(index)).collect()
}
