//! The soft core inside the card, with the image that `cargo xtask build-firmware` makes.
//!
//! Without the image these tests say so and do nothing: the image needs a compiler of its own.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::{Duration, Instant};

use common::CardProcess;
use penstock_abi::ring::EventKind;
use penstock_abi::{fw, regs};
use penstock_device::{Card, CardEvent, Wanted, open};

fn image() -> Option<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/firmware/penstock-fw.hex");
    let there = std::fs::exists(path).unwrap();
    if !there {
        eprintln!(
            "no firmware image at {path}: run `cargo xtask build-firmware`; nothing is tested"
        );
    }
    there.then(|| path.to_owned())
}

#[test]
fn firmware_lives_and_answers() {
    let Some(image) = image() else { return };
    let process = CardProcess::start(&["--firmware", &image]);
    let mut card = Card::attach(open(&process.spec()).unwrap()).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while card.read_reg(regs::FW_STATUS).unwrap() != fw::STATUS_READY {
        assert!(
            Instant::now() < deadline,
            "FW_STATUS is {:#x}",
            card.read_reg(regs::FW_STATUS).unwrap()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(card.mailbox(fw::MBOX_PING, 0x1234).unwrap(), !0x1234);
    assert!(card.mailbox(fw::MBOX_STAT, fw::STAT_STACK_BYTES).unwrap() > 0);
    // The heart beats about ten times a second of card time, which is the wall clock's, though the card is idle.
    let (before, started) = (card.read_reg(regs::FW_HEARTBEAT).unwrap(), Instant::now());
    std::thread::sleep(Duration::from_secs(2));
    let beats = card.read_reg(regs::FW_HEARTBEAT).unwrap().wrapping_sub(before);
    let expected = started.elapsed().as_millis() as u32 / 100;
    assert!((expected / 2..=expected + 3).contains(&beats), "{beats} beats, {expected} expected");
    // A panic is readable and announced, and the card goes on.
    card.enable_events(Wanted::default()).unwrap();
    assert!(card.take_events().unwrap().events.is_empty());
    card.write_reg(regs::MBOX_ARG, fw::MBOX_PANIC_KEY).unwrap();
    card.write_reg(regs::MBOX_REQUEST, fw::MBOX_PANIC).unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while card.read_reg(regs::FW_STATUS).unwrap() & 0xffff_0000 != fw::STATUS_PANIC {
        assert!(
            Instant::now() < deadline,
            "FW_STATUS is {:#x}",
            card.read_reg(regs::FW_STATUS).unwrap()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut events = Vec::new();
    while events.is_empty() {
        assert!(Instant::now() < deadline, "no event");
        events = card.take_events().unwrap().events;
    }
    let CardEvent::Other(event) = events[0] else { panic!("{events:?}") };
    let status = card.read_reg(regs::FW_STATUS).unwrap();
    let info = card.read_reg(regs::FW_INFO).unwrap();
    assert_eq!((event.kind, event.arg0, event.arg1), (EventKind::Firmware as u8, status, info));
    assert!(event.time_cycles > 0 && event.time_cycles <= card.time_cycles().unwrap());
    card.fence().unwrap();
    drop(card);
    process.end();
}
