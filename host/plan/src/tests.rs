//! Random sequences of desired states. After each operation of each plan the card must be sound; at the end it must mean exactly
//! what was desired.

mod affinity;
mod departed;
mod depends;
mod found;
mod history;
mod large;
mod listeners;
mod machine;
mod moved;
mod outside;
mod plain;
mod prefixes;
mod refused;
mod shares;
mod shortage;
mod sound;
mod steps;
mod world;

use std::net::IpAddr;

use penstock_compile::Desired;
use penstock_tables::{Op, Tables};

use proptest::prelude::ProptestConfig;

use crate::plan;

/// An address as it stands in a word.
fn bits(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => panic!("{address} in a test of IPv4"),
    }
}

/// What a daemon that starts reads from a card: valid entries, and the holes of groups.
fn reread(card: &Tables) -> Tables {
    let read = Tables::read::<()>(
        card.shape(),
        |table| Ok(card.words(table).filter(|(_, words)| words[0] & 1 == 1).collect()),
        |table, index| Ok(card.entry(table, index).map(|entry| entry.pack()).unwrap_or_default()),
    );
    read.unwrap()
}

/// The steps of a plan from nothing that refuses nothing.
fn ops(desired: &Desired, card: &Tables) -> Vec<Op> {
    let planned = plan(desired, card);
    assert_eq!(planned.refused, []);
    planned.plan.ops().copied().collect()
}

/// How many random histories a property test takes, unless PROPTEST_CASES says otherwise.
fn cases(usual: u32) -> ProptestConfig {
    let config = ProptestConfig::default();
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => config,
        None => ProptestConfig { cases: usual, ..config },
    }
}
