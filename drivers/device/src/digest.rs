//! The digest of a table, as the card says it: some commands instead of the whole table.

use penstock_abi::digest::Digest;
use penstock_abi::layout::Capability;
use penstock_abi::ring::{Command, Completion, Opcode, Status};
use penstock_abi::table::{TableId, Words};

use crate::card::Card;
use crate::error::DeviceError;
use crate::tables::{command, expect_ok};

impl Card {
    /// The digest of what the card holds in a table ([`penstock_abi::digest`]); `None` if the card cannot say it, as it is of a
    /// minor version before 2.1 or an entry has the wrong parity: then only [`Card::dump`] tells what the table holds. Of a table
    /// that changes meanwhile (flows may at any time) it means nothing.
    ///
    /// # Errors
    /// [`DeviceError::BadStatus`] for a table without valid bits (counters), [`DeviceError::Protocol`] for a card whose answers
    /// lead nowhere, or as [`Card::execute`]. A table that the card lacks is empty.
    pub fn digest(&mut self, table: TableId) -> Result<Option<u64>, DeviceError> {
        if !self.ident().has(Capability::Digest) {
            return Ok(None);
        }
        let entries = self.ident().shape.capacity(table);
        if entries == 0 {
            return Ok(Some(Digest::of(table, [])));
        }
        let ask = |command: &Command| {
            let done = self.execute(std::slice::from_ref(command))?;
            done.first()
                .copied()
                .ok_or_else(|| DeviceError::protocol("a command has no completion"))
        };
        match walk(table, entries, ask) {
            Err(DeviceError::BadStatus { status: Status::Parity, .. }) => Ok(None),
            digest => digest.map(Some),
        }
    }
}

/// A command that goes on at `index` behind the entries whose digest is `before`, for at most so many entries; 0 = as many as
/// the card covers at once.
pub(crate) fn part(table: TableId, index: u32, before: u64, entries: u32) -> Command {
    let mut data = Words::default();
    data[..3].copy_from_slice(&[entries, before as u32, (before >> 32) as u32]);
    command(Opcode::Digest, table, index, data)
}

/// The digest that a completion holds.
pub(crate) fn value(completion: &Completion) -> u64 {
    u64::from(completion.data[0]) | u64::from(completion.data[1]) << 32
}

/// Asks for part after part until the table of so many entries ends.
fn walk(
    table: TableId,
    entries: u32,
    mut ask: impl FnMut(&Command) -> Result<Completion, DeviceError>,
) -> Result<u64, DeviceError> {
    let (mut index, mut digest) = (0, 0);
    loop {
        let asked = part(table, index, digest, 0);
        let done = ask(&asked)?;
        if done.status == Status::NotFound as u8 {
            return Ok(value(&done));
        }
        expect_ok(&asked, &done)?;
        if done.index <= index || done.index > entries {
            return Err(DeviceError::protocol(format!(
                "a digest of {table:?} from {index} on goes on at {}",
                done.index
            )));
        }
        (index, digest) = (done.index, value(&done));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn done(status: Status, index: u32, digest: u64) -> Completion {
        let mut done = Completion { status: status as u8, index, ..Completion::default() };
        (done.data[0], done.data[1]) = (digest as u32, (digest >> 32) as u32);
        done
    }

    #[test]
    fn each_part_goes_on_where_the_last_ended() {
        let mut parts = vec![
            (0, 0, done(Status::Ok, 41, 0x1111_2222_3333_4444)),
            (41, 0x1111_2222_3333_4444, done(Status::Ok, 64, 5)),
            (64, 5, done(Status::NotFound, 64, 6)),
        ]
        .into_iter();
        let digest = walk(TableId::Prefix, 64, |asked| {
            let (index, before, done) = parts.next().unwrap();
            assert_eq!(*asked, part(TableId::Prefix, index, before, 0));
            Ok(done)
        });
        assert_eq!(digest.unwrap(), 6);
        assert!(parts.next().is_none());
    }

    #[test]
    fn a_card_that_leads_nowhere_is_told() {
        for (first, second) in [(0, 0), (41, 41), (41, 40), (65, 0), (u32::MAX, 0)] {
            let mut parts = [first, second].into_iter();
            let error =
                walk(TableId::Prefix, 64, |_| Ok(done(Status::Ok, parts.next().unwrap(), 1)));
            assert!(matches!(error, Err(DeviceError::Protocol { .. })), "{first}, {second}");
        }
    }
}
