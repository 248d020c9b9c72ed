//! `penstock card` on a made-up machine and on a card in memory.
#![allow(clippy::unwrap_used)]

use penstock::card::{bind, clear, firmware, info, list};
use penstock_abi::regs::{PCI_DEVICE_ID, PCI_VENDOR_ID};
use penstock_abi::table::{FipMap, NextHop};
use penstock_device::Card;
use penstock_device::fake::FakeCard;
use penstock_pci::fake::{CARD, FakeMachine};

const CARD_IDS: u32 = (PCI_VENDOR_ID as u32) << 16 | PCI_DEVICE_ID as u32;
const ETHERNET: u32 = 0x02_0000;

/// A machine with two cards, one of them bound, and a disk controller.
fn machine() -> (tempfile::TempDir, FakeMachine) {
    let dir = tempfile::tempdir().unwrap();
    let machine = FakeMachine::new(dir.path());
    machine.add("0000:00:1f.2", 0x8086_2922, 0x01_0601, Some("ahci"));
    for (address, group) in [(CARD, 12), ("0000:5e:00.0", 31)] {
        machine.add(address, CARD_IDS, ETHERNET, None);
        machine.put_in_group(address, group);
    }
    machine.set_numa_node("0000:5e:00.0", 1);
    machine.set_driver(CARD, Some("vfio-pci"));
    (dir, machine)
}

#[test]
fn the_list_says_which_cards_are_ready_and_what_to_type_for_the_others() {
    let (_dir, machine) = machine();
    let cards = list::cards(&machine.sysfs()).unwrap();
    insta::assert_snapshot!(cards.to_string(), @r"
    Address       Driver      Group  Node  Ready
    0000:3b:00.0  vfio-pci       12     -  yes
    0000:5e:00.0  -              31     1  no

    0000:5e:00.0 is not bound to vfio-pci but without a driver; type `sudo penstock card bind 0000:5e:00.0 --group penstock`
    ");
    let json = serde_json::to_value(&cards).unwrap();
    assert_eq!(json["cards"][0]["address"], CARD);
    assert_eq!(json["cards"][0]["why_not"], serde_json::Value::Null);
    assert_eq!(
        (&json["cards"][1]["ready"], &json["cards"][1]["numa_node"]),
        (&false.into(), &1.into())
    );
}

#[test]
fn a_machine_without_cards_says_what_it_looked_for() {
    let dir = tempfile::tempdir().unwrap();
    let text = list::cards(&FakeMachine::new(dir.path()).sysfs()).unwrap().to_string();
    assert_eq!(text, "No PCI function has a card's ids (1e55:5053).\n");
}

#[test]
fn a_card_is_bound_and_unbound_and_other_functions_are_left_alone() {
    let (dir, machine) = machine();
    let sysfs = machine.sysfs();
    let dev = dir.path().join("dev").display().to_string();
    let bound = bind::bind(&sysfs, "5e:00.0", None).unwrap();
    assert_eq!(
        bound.to_string().replace(&dev, "/dev"),
        "0000:5e:00.0 is bound to vfio-pci; /dev/vfio/31 is for those who may open it already (see `ls -l`)\n"
    );
    let own = rustix::process::getgid().as_raw();
    let own = nix::unistd::Group::from_gid(own.into()).unwrap().unwrap().name;
    let bound = bind::bind(&sysfs, "5e:00.0", Some(&own)).unwrap();
    assert!(bound.to_string().ends_with(&format!("is for members of group {own}\n")), "{bound}");
    let unbound = bind::unbind(&sysfs, "5e:00.0").unwrap();
    assert_eq!(unbound.to_string(), "0000:5e:00.0 has no driver\n");

    for result in [bind::bind(&sysfs, "0000:00:1f.2", None), bind::unbind(&sysfs, "0000:00:1f.2")] {
        let error = result.unwrap_err().to_string();
        assert!(error.contains("is 8086:2922, a card is 1e55:5053"), "{error}");
    }
    assert_eq!(sysfs.function("0000:00:1f.2").unwrap().driver.as_deref(), Some("ahci"));
}

#[test]
fn info_shows_registers_and_pci() {
    let (dir, machine) = machine();
    let fake = FakeCard::new();
    let card = Card::attach(fake.transport()).unwrap();
    let facts = info::PciFacts::of(&machine.sysfs(), "pci:3b:00.0");
    let shown = info::info(card, "pci:3b:00.0", facts).unwrap();
    assert_eq!(shown.card.layout_hash, format!("{:016x}", penstock_abi::layout::hash()));
    assert_eq!(shown.card.capabilities, penstock_abi::layout::CAPABILITIES);
    let text = shown
        .to_string()
        .replace(&shown.card.layout_hash, "HASH")
        .replace(&format!("{} hash", shown.card.layout_version), "X.Y hash")
        .replace(&format!("version {}", shown.card.firmware_version), "version X.Y")
        .replace(&format!("capabilities {:#x}", shown.card.capabilities), "capabilities BITS")
        .replace(&format!("{} cycles", shown.card.time_cycles), "N cycles")
        .replace(&dir.path().join("dev").display().to_string(), "/dev");
    let (text, memory) = text.split_at(text.find("Memory:").unwrap());
    insta::assert_snapshot!(text, @r"
    Card:                 pci:3b:00.0
      Layout:             X.Y hash HASH, capabilities BITS
      Forwarding:         no
      Epoch:              0
      Last reset:         power-on, 0 function-level resets
      Card time:          N cycles at 322266 kHz
      Parity errors:      0
      Firmware:           ready, version X.Y, heartbeat 0
      Command ring:       runs, 0 faults, 0 events dropped
    PCI function:         0000:3b:00.0 (1e55:5053)
      Driver:             vfio-pci
      IOMMU group:        12 (/dev/vfio/12)
      NUMA node:          the only one
    ");
    assert!(memory.contains("no huge pages needed"), "{memory}");
    assert!(info::PciFacts::of(&machine.sysfs(), "vfio-user:/run/card.sock").is_none());
}

#[test]
fn clear_empties_the_card_and_says_what_was_there() {
    let fake = FakeCard::new();
    let mut card = Card::attach(fake.transport()).unwrap();
    for index in 1..4 {
        let hop = NextHop { valid: true, ..NextHop::default() };
        card.write(index, hop).unwrap();
    }
    card.write(9, FipMap { valid: true, ..FipMap::default() }).unwrap();
    card.set_enabled(true).unwrap();
    let cleared = clear::clear(card, "fake").unwrap();
    assert!(cleared.forwarding);
    insta::assert_snapshot!(cleared.to_string(), @r"
    Cleared fake: all flows, counters and tables
      NextHop            3 entries
      FipMap             1 entry
    A daemon that starts now writes what its sources want.
    ");
    let again = clear::clear(Card::attach(fake.transport()).unwrap(), "fake").unwrap();
    assert_eq!(again.tables, []);
    assert!(again.to_string().contains("they were empty"));
}

#[test]
fn a_card_that_cannot_be_read_is_cleared() {
    let fake = FakeCard::new();
    let mut card = Card::attach(fake.transport()).unwrap();
    card.write(1, NextHop { valid: true, ..NextHop::default() }).unwrap();
    card.set_timeout(std::time::Duration::from_millis(1));
    fake.stall(true);
    let cleared = clear::clear(card, "fake").unwrap();
    assert_eq!((cleared.tables, cleared.unread.contains(&"NextHop")), (vec![], true));
    assert!(fake.tables().of::<NextHop>().is_empty());
}

#[test]
fn the_trace_has_the_last_death_on_top() {
    use penstock_abi::fw::{STATUS_PANIC, TraceEvent, file_hash};
    use penstock_abi::regs;
    let fake = FakeCard::new();
    let hash = file_hash("firmware/core/src/mailbox.rs");
    fake.trace(1_000, TraceEvent::Boot, 0x0001, 0xabcd_0123);
    fake.trace(322_266_000, TraceEvent::Ready, 0, 2);
    fake.trace(322_266_000 * 2, TraceEvent::Frame, 0x0107, 42);
    fake.trace(322_266_000 * 2 + 322, TraceEvent::Panic, 53, hash);
    for (register, value) in [
        (regs::FW_DEATHS, 1),
        (regs::FW_DEATH_STATUS, STATUS_PANIC | 53),
        (regs::FW_DEATH_INFO, hash),
        (regs::FW_DEATH_PC, 0x94f2),
        (regs::FW_DEATH_TIME_LO, 322_266_000 * 3),
    ] {
        fake.set_register(register, value);
    }
    let card = Card::attach(fake.transport()).unwrap();
    let trace = firmware::trace(card, "fake").unwrap();
    insta::assert_snapshot!(trace.to_string().replace(&format!("{hash:#010x}"), "HASH"), @r"
    Firmware:   ready; image: golden
    Last death: panicked in line 53 of the file with hash HASH; pc 0x94f2, restarted at 3.000000 s; 1 since power-on

        Number     Card time [s]  What
             0          0.000003  starts image abcd0123 (golden), after power-on
             1          1.000000  runs, version 0.2
             2          2.000000  takes 42 bytes of vif 7, trapped for Arp
             3          2.000000  panics in line 53 of the file with hash HASH
    ");
    let json = serde_json::to_value(&trace).unwrap();
    assert_eq!(
        (&json["last_death"]["pc"], &json["entries"][3]["event"]),
        (&0x94f2.into(), &"Panic".into())
    );
}

#[test]
fn an_update_shows_what_runs_then_and_a_bad_file_says_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("other.img");
    std::fs::write(&file, [0; 64]).unwrap();
    let error = format!("{:#}", firmware::read_image(&file).unwrap_err());
    assert!(error.contains("other.img cannot be used: it is no firmware image"), "{error}");

    let mut header = [penstock_abi::fw::IMAGE_MAGIC, 0, 4, penstock_abi::fw::VERSION];
    header[1] = penstock_abi::image::crc(&header, [5].into_iter());
    let bytes: Vec<u8> = header.iter().chain(&[5]).flat_map(|word| word.to_le_bytes()).collect();
    std::fs::write(&file, bytes).unwrap();
    let fake = FakeCard::new();
    let mut card = Card::attach(fake.transport()).unwrap();
    let image = firmware::read_image(&file).unwrap();
    let shown = firmware::update(&mut card, "fake", &image).unwrap();
    assert!(shown.to_string().contains("\nImage:          update\n"), "{shown}");
    let shown = firmware::restart(&mut card, "fake", true).unwrap();
    assert_eq!(shown.image, "golden, as the host rolled the update back");
}
