//! The suite over the card in memory: it passes where all is well, and each check fails where something is not.

use penstock_abi::regs;

use super::*;
use crate::fake::FakeCard;

fn failures(suite: &mut Suite<'_>) -> Vec<String> {
    let mut failed = Vec::new();
    suite.run(&mut |name, outcome| {
        if let Err(error) = outcome {
            failed.push(format!("{name}: {error}"));
        }
    });
    failed
}

#[test]
fn a_card_in_memory_conforms() {
    let fake = FakeCard::new();
    let mut suite = Suite::new(|| fake.open());
    assert_eq!(failures(&mut suite), Vec::<String>::new());
    assert!(suite.run_removal(&mut |_, outcome| assert!(outcome.is_ok(), "{outcome:?}"), || {
        fake.kill();
    }));
}

#[test]
fn a_card_without_owners_is_told() {
    let fake = FakeCard::new();
    let mut suite = Suite::new(|| Ok(fake.transport()));
    let failed = failures(&mut suite);
    assert!(failed.iter().any(|f| f.starts_with("two owners: a second owner")), "{failed:?}");
}

#[test]
fn a_card_that_stays_is_told() {
    let fake = FakeCard::new();
    let mut suite = Suite::new(|| fake.open());
    let mut told = String::new();
    let stays = |_: &str, outcome: &Outcome| told = format!("{outcome:?}");
    // Wrong on purpose: an error, but not that the card is gone.
    let mut stays = stays;
    assert!(!suite.run_removal(&mut stays, || fake.set_register(regs::CMD_BASE_HI, 0x3f)));
    assert!(told.contains("was reported as"), "{told}");
}
