//! One suite of checks for every transport: what the driver relies on, run unchanged over vfio-user, over the kernel's VFIO and
//! over cards in memory.
//!
//! A [`Suite`] is given a way to open the function, and runs named checks against it one after the other; a check that fails does
//! not keep the next ones from running. The card's tables are cleared and used. [`Suite::run_removal`] comes last: the card is
//! then taken away under the driver's hands.
//!
//! ```
//! use penstock_device::conformance::Suite;
//! use penstock_device::fake::FakeCard;
//! let fake = FakeCard::new();
//! let mut suite = Suite::new(|| fake.open());
//! assert!(suite.run(&mut |name, outcome| println!("{name}: {outcome:?}")));
//! assert!(suite.run_removal(&mut |_, _| (), || fake.kill()));
//! ```

mod access;
mod digest;
mod dma;
mod irq;
mod lifecycle;
mod raw;
mod ring;

use std::time::{Duration, Instant};

use crate::card::Card;
use crate::error::DeviceError;
use crate::held::HeldFds;
use crate::transport::PciTransport;

/// What a check found: a note for people, or why it failed.
pub type Outcome = Result<String, Failed>;

/// Why a check failed.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// An operation that must succeed did not.
    #[error("{}", chain(.0))]
    Device(#[from] DeviceError),
    /// Something is not as it must be.
    #[error("{0}")]
    Found(String),
}

/// An error with its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}

/// Fails with `what` unless `condition` holds.
fn require(condition: bool, what: impl Into<String>) -> Result<(), Failed> {
    if condition { Ok(()) } else { Err(Failed::Found(what.into())) }
}

/// How long a function may still be occupied after its last owner has closed it.
const RELEASE: Duration = Duration::from_secs(5);

type Check = for<'a, 'b> fn(&'b mut Suite<'a>) -> Outcome;

/// The checks in their order; later ones do not build on earlier ones.
const CHECKS: &[(&str, Check)] = &[
    ("ident", access::ident),
    ("configuration space", access::configuration),
    ("registers by region", access::by_region),
    ("registers by mapping", access::by_mapping),
    ("tables", ring::tables),
    ("ring wraps round", ring::wraps),
    ("digests", digest::digests),
    ("refusals", ring::refusals),
    ("impossible doorbell", ring::impossible_doorbell),
    ("time out", ring::times_out),
    ("dma addresses", dma::addresses),
    ("unmapped address", dma::unmapped),
    ("address unmapped again", dma::unmapped_again),
    ("bus mastering", dma::bus_mastering),
    ("interrupt delivery", irq::delivery),
    ("interrupt masking", irq::masking),
    ("reset", lifecycle::reset),
    ("reopening", lifecycle::reopening),
    ("two owners", lifecycle::two_owners),
    ("adoption", lifecycle::adoption),
];

/// The checks, and the card that they are made on.
pub struct Suite<'a> {
    open: Box<dyn FnMut() -> Opened + 'a>,
    adopt: Option<Box<dyn FnMut(HeldFds) -> Opened + 'a>>,
    card: Option<Card>,
}

/// A transport, or why there is none.
pub type Opened = Result<Box<dyn PciTransport>, DeviceError>;

impl<'a> Suite<'a> {
    /// A suite over the function that `open` opens.
    pub fn new(open: impl FnMut() -> Opened + 'a) -> Self {
        Self { open: Box::new(open), adopt: None, card: None }
    }

    /// Also checks that `adopt` takes the function over from descriptors that were held.
    #[must_use]
    pub fn adopting(mut self, adopt: impl FnMut(HeldFds) -> Opened + 'a) -> Self {
        self.adopt = Some(Box::new(adopt));
        self
    }

    /// Runs all checks, each with a line of `report`: name and outcome. Says whether all passed.
    pub fn run(&mut self, report: &mut dyn FnMut(&str, &Outcome)) -> bool {
        let mut good = true;
        for (name, check) in CHECKS {
            good &= self.one(name, *check, report);
        }
        good
    }

    /// The last check: executes commands, calls `remove` meanwhile, and expects a clear error in time. The card is of no use then;
    /// dropping the suite may take a while, as the kernel tries to reset what is not there.
    pub fn run_removal(
        &mut self,
        report: &mut dyn FnMut(&str, &Outcome),
        remove: impl FnOnce(),
    ) -> bool {
        self.one("removal", move |suite| lifecycle::removal(suite, remove), report)
    }

    fn one(
        &mut self,
        name: &str,
        check: impl FnOnce(&mut Self) -> Outcome,
        report: &mut dyn FnMut(&str, &Outcome),
    ) -> bool {
        let outcome = check(self);
        report(name, &outcome);
        if outcome.is_err() && name != "removal" {
            // The next check shall not suffer from it.
            self.card = None;
        }
        outcome.is_ok()
    }

    /// The card, attached if it is not.
    fn card(&mut self) -> Result<&mut Card, DeviceError> {
        if self.card.is_none() {
            self.card = Some(self.attach()?);
        }
        self.card.as_mut().ok_or_else(|| DeviceError::protocol("there is no card"))
    }

    /// Closes the card.
    fn close(&mut self) {
        self.card = None;
    }

    fn attach(&mut self) -> Result<Card, DeviceError> {
        let deadline = Instant::now() + RELEASE;
        loop {
            match (self.open)().and_then(Card::attach) {
                Err(DeviceError::InUse { .. }) if Instant::now() < deadline => {
                    std::thread::yield_now();
                }
                other => return other,
            }
        }
    }
}

#[cfg(test)]
mod tests;
