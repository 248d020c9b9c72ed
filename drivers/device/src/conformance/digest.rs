//! Digests: what the card says of a table is what its entries make.

use penstock_abi::digest::Digest;
use penstock_abi::layout::Capability;
use penstock_abi::ring::Status;
use penstock_abi::table::{EcmpSlot, NextHop, TableEntry as _, TableId};

use super::ring::{ENTRIES, entry, fill};
use super::{Failed, Outcome, Suite, require};
use crate::card::Card;
use crate::digest::{part, value};
use crate::error::DeviceError;

/// Entries that a part covers: no divisor of all of them.
const PART: u32 = 700;

fn is(card: &mut Card, table: TableId, expected: u64, what: &str) -> Result<(), Failed> {
    let digest = card.digest(table)?;
    require(
        digest == Some(expected),
        format!("the digest of {what} is {digest:x?}, not {expected:x}"),
    )
}

pub(super) fn digests(suite: &mut Suite<'_>) -> Outcome {
    let card = suite.card()?;
    fill(card)?;
    if !card.ident().has(Capability::Digest) {
        require(card.digest(TableId::NextHop)?.is_none(), "a digest of a card without digests")?;
        return Ok("the card has none".to_owned());
    }
    let filled =
        |count: u32| Digest::of(TableId::NextHop, (0..count).map(|i| (i, entry(i).pack())));
    let whole = filled(ENTRIES);
    is(card, TableId::NextHop, whole, "a table")?;
    let entries = card.ident().shape.next_hops;
    let (mut index, mut digest, mut left) = (0, 0, ENTRIES);
    while left > 0 {
        let done = card.execute(&[part(TableId::NextHop, index, digest, PART)])?[0];
        let covered = left.min(PART);
        let status = if covered == PART { Status::Ok } else { Status::NotFound };
        let next = if covered == PART { index + PART } else { entries };
        let so_far = filled(ENTRIES - left + covered);
        let found = (done.status, done.index, value(&done), done.data[2]);
        let expected = (status as u8, next, so_far, covered);
        require(
            found == expected,
            format!("a part from {index} on is {found:x?}, not {expected:x?}"),
        )?;
        (index, digest, left) = (next, so_far, left - covered);
    }
    // One bit, and then the same entry at another place.
    let last = ENTRIES - 1;
    card.write(last, NextHop { gre: true, ..entry(last) })?;
    let changed = card.digest(TableId::NextHop)?;
    require(changed.is_some_and(|d| d != whole), "the digest does not see a bit")?;
    card.write(last, NextHop::default())?;
    is(card, TableId::NextHop, filled(last), "a table with an entry fewer")?;
    card.write(ENTRIES, entry(last))?;
    let moved = card.digest(TableId::NextHop)?;
    require(moved.is_some_and(|d| d != whole), "the digest does not see where an entry is")?;
    let sparse = [3, 4096, 65_535].map(|i: u32| {
        let slot = EcmpSlot { valid: true, nh: i as u16, slot: 63, ..EcmpSlot::default() };
        (i, slot)
    });
    for (i, slot) in &sparse {
        card.write(*i, *slot)?;
    }
    let expected = Digest::of(TableId::Ecmp, sparse.map(|(i, slot)| (i, slot.pack())));
    is(card, TableId::Ecmp, expected, "a sparse table")?;
    let error = card.digest(TableId::VifStats).err();
    let refused =
        matches!(error, Some(DeviceError::BadStatus { status: Status::NotPermitted, .. }));
    require(refused, format!("a digest of counters gave {error:?}"))?;
    card.clear_all()?;
    is(card, TableId::NextHop, 0, "an empty table")?;
    Ok(format!("of {ENTRIES} entries {whole:016x}"))
}
