//! The soft core inside the card, with the image that `cargo xtask build-firmware` makes.
//!
//! Without the image these tests say so and do nothing: the image needs a compiler of its own.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::CardProcess;
use penstock_abi::fw::TraceEvent;
use penstock_abi::ring::EventKind;
use penstock_abi::table::{TableId, Vif, VifKind, VifStats};
use penstock_abi::{fw, regs};
use penstock_device::{Card, CardEvent, FirmwareImage, Wanted, open};

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
    // A statistic is read as a whole.
    assert_eq!(card.firmware_stat(fw::STAT_ARP_REPLIES).unwrap(), 0);
    assert_eq!(card.firmware_death().unwrap(), None);
    card.fence().unwrap();
    drop(card);
    process.end();
}

/// The other end of a port, whose frames have their length before them.
fn connect(dir: &Path, name: &str) -> UnixStream {
    let stream = UnixStream::connect(dir.join(name)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

fn send(port: &mut UnixStream, frame: &[u8]) {
    port.write_all(&[&(frame.len() as u32).to_be_bytes(), frame].concat()).unwrap();
}

fn receive(port: &mut UnixStream) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 4];
    port.read_exact(&mut length)?;
    let mut frame = vec![0; u32::from_be_bytes(length) as usize];
    port.read_exact(&mut frame)?;
    Ok(frame)
}

/// who-has 10.105.139.153 tell 10.47.255.237
const WHO_HAS: [u8; 42] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0, 0, 0, 0x01, 0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1,
    0x02, 0, 0, 0, 0, 0x01, 10, 47, 255, 237, 0, 0, 0, 0, 0, 0, 10, 105, 139, 153,
];

/// A process with a fabric, a host and a pod, the first two cross-connected, and its firmware running.
fn connected(image: &str) -> (CardProcess, Card, [UnixStream; 3]) {
    let folder = tempfile::tempdir().unwrap();
    let ports = ["fabric:0", "host:1", "pod:7"];
    let ports = ports.map(|port| {
        let name = port.split(':').next().unwrap();
        format!("{port}=unix:{}", folder.path().join(name).display())
    });
    let args = ["--firmware", image, "--port", &ports[0], "--port", &ports[1], "--port", &ports[2]];
    let process = CardProcess::start(&args);
    let streams = ["fabric", "host", "pod"].map(|name| connect(folder.path(), name));
    let mut card = Card::attach(open(&process.spec()).unwrap()).unwrap();
    for (index, kind) in [(0, VifKind::Fabric), (1, VifKind::Vhost), (7, VifKind::Virtual)] {
        card.write(index, Vif { valid: true, kind, ..Vif::default() }).unwrap();
    }
    card.set_enabled(true).unwrap();
    wait_status(&mut card, fw::STATUS_READY, u32::MAX);
    (process, card, streams)
}

fn wait_status(card: &mut Card, status: u32, mask: u32) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let now = card.read_reg(regs::FW_STATUS).unwrap();
        if now & mask == status {
            return;
        }
        assert!(Instant::now() < deadline, "FW_STATUS is {now:#x}, not {status:#x}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn arp_is_answered(pod: &mut UnixStream) {
    send(pod, &WHO_HAS);
    let answer = receive(pod).unwrap();
    assert_eq!((answer.len(), answer[21]), (42, 2), "{answer:02x?}");
}

#[test]
fn a_firmware_that_panics_is_back_while_packets_flow() {
    let Some(image) = image() else { return };
    let (process, mut card, [mut fabric, mut host, mut pod]) = connected(&image);
    arp_is_answered(&mut pod);
    card.enable_events(Wanted::default()).unwrap();
    assert!(card.take_events().unwrap().events.is_empty());

    // Frames cross all the time, one after another.
    let stop = Arc::new(AtomicBool::new(false));
    let traffic = std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || {
            let mut crossed = 0_u32;
            while !stop.load(Ordering::Relaxed) {
                let mut frame = vec![0x5a; 200];
                frame[12..14].copy_from_slice(&[0x88, 0xb5]);
                frame[100..104].copy_from_slice(&crossed.to_be_bytes());
                send(&mut fabric, &frame);
                assert_eq!(receive(&mut host).unwrap(), frame, "frame {crossed}");
                crossed += 1;
            }
            crossed
        }
    });

    card.write_reg(regs::MBOX_ARG, fw::MBOX_PANIC_KEY).unwrap();
    card.write_reg(regs::MBOX_REQUEST, fw::MBOX_PANIC).unwrap();
    wait_status(&mut card, fw::STATUS_PANIC, 0xffff_0000);
    // What comes meanwhile has no answer.
    send(&mut pod, &WHO_HAS);
    let deadline = Instant::now() + Duration::from_secs(60);
    while card.firmware_death().unwrap().is_none() {
        assert!(Instant::now() < deadline, "nobody restarts it");
        std::thread::sleep(Duration::from_millis(5));
    }
    wait_status(&mut card, fw::STATUS_READY, u32::MAX);
    arp_is_answered(&mut pod);
    stop.store(true, Ordering::Relaxed);
    let crossed = traffic.join().unwrap();
    assert!(crossed > 100, "{crossed} frames crossed");

    let death = card.firmware_death().unwrap().unwrap();
    let hash = fw::file_hash("firmware/core/src/mailbox.rs");
    assert_eq!((death.deaths, death.status >> 16, death.info), (1, fw::STATUS_PANIC >> 16, hash));
    assert_eq!(card.read_reg(regs::MBOX_REPLY).unwrap(), fw::MBOX_LOST);
    // The trace has the panic, what was before it, and that it is back.
    let numbers = card.firmware_trace_range().unwrap();
    let entries = card.firmware_trace(numbers).unwrap();
    let told: Vec<u16> = entries.iter().map(|entry| entry.event).collect();
    let [boot, ready, frame, mailbox, panic] = [
        TraceEvent::Boot,
        TraceEvent::Ready,
        TraceEvent::Frame,
        TraceEvent::Mailbox,
        TraceEvent::Panic,
    ]
    .map(|event| event as u16);
    assert_eq!(told, [boot, ready, frame, mailbox, panic, boot, ready, frame]);
    assert!(entries.is_sorted_by_key(|entry| entry.time_cycles));
    // Each change of its state was announced.
    let status = |event: &CardEvent| match event {
        CardEvent::Other(event) if event.kind == EventKind::Firmware as u8 => event.arg0,
        other => panic!("{other:?}"),
    };
    let statuses: Vec<u32> = card.take_events().unwrap().events.iter().map(status).collect();
    assert_eq!(statuses.first(), Some(&death.status));
    assert_eq!(statuses.last(), Some(&fw::STATUS_READY));
    // Nothing but the frame that came while it was dead was lost, and that was counted.
    let drops: VifStats = card.read(TableId::VifStats, 7).unwrap();
    assert_eq!(drops.drops, 1);
    process.end();
}

#[test]
fn an_update_is_sent_started_and_rolled_back() {
    let Some(image) = image() else { return };
    let file = std::fs::read(Path::new(&image).with_extension("img")).unwrap();
    let (process, mut card, [_fabric, _host, mut pod]) = connected(&image);
    let update = FirmwareImage::new(&file).unwrap();
    let mut sent = 0;
    card.store_firmware(&update, |bytes| sent = bytes).unwrap();
    assert_eq!(sent, file.len());
    assert_eq!(card.mailbox(fw::MBOX_IMAGE, fw::IMAGE_SLOT_CRC).unwrap(), update.crc());
    card.start_firmware().unwrap();
    arp_is_answered(&mut pod);
    assert_eq!(card.read_reg(regs::FW_BOOT).unwrap(), fw::Boot::Update as u32);
    card.restart_firmware(true).unwrap();
    arp_is_answered(&mut pod);
    assert_eq!(card.read_reg(regs::FW_BOOT).unwrap(), fw::Boot::RolledBack as u32);
    assert_eq!(card.firmware_death().unwrap(), None);
    process.end();
}
