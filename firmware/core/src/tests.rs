//! The firmware on hardware made of vectors; expected bytes are written out, not computed by the code under test.

use crate::fake::{Fake, RAM, RECEIVE};
use crate::{Firmware, HEARTBEAT_TICKS, Next, PAINT, SelfTestFailed, VERSION, WELL_HEARTBEATS};
use penstock_abi::{fw, image};

const ARP: u8 = 1;
const REJECT: u8 = 2;

/// who-has 10.105.139.153 tell 10.47.255.237
const WHO_HAS: [u8; 42] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0, 0, 0, 0x01, 0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1,
    0x02, 0, 0, 0, 0, 0x01, 10, 47, 255, 237, 0, 0, 0, 0, 0, 0, 10, 105, 139, 153,
];
/// 10.105.139.153 is-at 00:00:5e:00:01:00
const IS_AT: [u8; 42] = [
    0x02, 0, 0, 0, 0, 0x01, 0, 0, 0x5e, 0, 1, 0, 0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 2, 0, 0, 0x5e, 0,
    1, 0, 10, 105, 139, 153, 0x02, 0, 0, 0, 0, 0x01, 10, 47, 255, 237,
];
/// SYN of 10.47.255.237:40000 to 10.105.139.153:8888, sequence number 0x01020304, with one option word.
const SYN: [u8; 58] = [
    0, 0, 0x5e, 0, 1, 0, 0x02, 0, 0, 0, 0, 0x01, 0x08, 0, 0x45, 0, 0, 44, 0x12, 0x34, 0x40, 0, 64,
    6, 0, 0, 10, 47, 255, 237, 10, 105, 139, 153, 0x9c, 0x40, 0x22, 0xb8, 1, 2, 3, 4, 0, 0, 0, 0,
    0x60, 0x02, 0xfa, 0xf0, 0, 0, 0, 0, 2, 4, 5, 0xb4,
];

fn booted() -> (Fake, Firmware) {
    let mut hw = Fake { time: 1_000, ..Fake::default() };
    let firmware = Firmware::boot(&mut hw).expect("good memory");
    (hw, firmware)
}

/// The one frame sent in answer to `frame`, if any.
fn answer(reason: u8, vif: u8, frame: &[u8]) -> Option<(u8, Vec<u8>)> {
    let (mut hw, mut firmware) = booted();
    hw.trap(reason, vif, frame);
    assert_eq!(firmware.poll(&mut hw), Next::Poll);
    assert!(hw.queue.is_empty());
    assert_eq!(firmware.poll(&mut hw), Next::Sleep);
    assert!(hw.sent.len() <= 1);
    let stats = firmware.stats();
    assert_eq!(stats.rx_dropped as usize, 1 - hw.sent.len());
    assert_eq!((stats.arp_replies + stats.reject_replies) as usize, hw.sent.len());
    hw.sent.pop()
}

/// One's complement sum over big-endian words, folded: 0xffff if a checksum among them is right.
fn sum(bytes: &[u8]) -> u32 {
    let mut sum: u32 =
        bytes.chunks(2).map(|c| u32::from(c[0]) << 8 | u32::from(*c.get(1).unwrap_or(&0))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum
}

#[test]
fn boot_tests_then_declares_ready() {
    let (hw, _) = booted();
    assert_eq!(hw.status, [fw::STATUS_SELF_TEST, fw::STATUS_READY]);
    assert_eq!(hw.version, VERSION);
    assert_eq!(hw.heartbeat, 1);
    assert_eq!(hw.alarm, 1_000 + HEARTBEAT_TICKS);
    assert!(hw.memory.values().all(|word| *word == PAINT), "the stack's paint is left behind");
}

#[test]
fn a_stuck_bit_fails_the_self_test() {
    for (address, mask) in
        [(RAM, 1), (RAM + 4 * 499, 0x8000_0000), (RECEIVE + 4, 0x100), (RECEIVE + 4, 0x1000)]
    {
        let mut hw = Fake { stuck: Some((address, mask)), ..Fake::default() };
        assert_eq!(Firmware::boot(&mut hw).err(), Some(SelfTestFailed { address }));
        assert_eq!(hw.status, [fw::STATUS_SELF_TEST, fw::STATUS_SELF_TEST_FAILED]);
        assert_eq!(hw.info, address);
    }
}

#[test]
fn an_address_bit_that_is_not_decoded_fails_the_self_test() {
    for bit in 2..8 {
        let mut hw = Fake { deaf: 1 << bit, ..Fake::default() };
        assert!(Firmware::boot(&mut hw).is_err(), "bit {bit}");
    }
}

#[test]
fn the_heart_beats_by_card_time_and_does_not_catch_up() {
    let (mut hw, mut firmware) = booted();
    hw.time += HEARTBEAT_TICKS - 1;
    assert_eq!(firmware.poll(&mut hw), Next::Sleep);
    assert_eq!(hw.heartbeat, 1);
    hw.time += 1;
    firmware.poll(&mut hw);
    assert_eq!(hw.heartbeat, 2);
    hw.time += 1_000 * HEARTBEAT_TICKS;
    firmware.poll(&mut hw);
    firmware.poll(&mut hw);
    assert_eq!(hw.heartbeat, 3);
    assert_eq!(hw.alarm, hw.time + HEARTBEAT_TICKS);
}

#[test]
fn the_heart_beats_ten_times_a_second() {
    let seconds = ((10 * HEARTBEAT_TICKS) << fw::TIME_SHIFT) as f64 / 322.266e6;
    assert!((0.99..1.01).contains(&seconds), "{seconds}");
}

#[test]
fn mailbox_answers() {
    for (request, reply) in [
        ((fw::MBOX_PING, 0x1234_5678), 0xedcb_a987),
        ((fw::MBOX_STAT, fw::STAT_STACK_BYTES), 496),
        ((fw::MBOX_STAT, fw::STAT_ARP_REPLIES), 0),
        ((fw::MBOX_STAT, 99), fw::MBOX_UNKNOWN),
        ((fw::MBOX_PANIC, 0), fw::MBOX_UNKNOWN),
        ((77, 0), fw::MBOX_UNKNOWN),
    ] {
        let (mut hw, mut firmware) = booted();
        hw.request = Some(request);
        assert_eq!(firmware.poll(&mut hw), Next::Poll);
        assert_eq!(hw.replies, [reply], "{request:?}");
    }
}

#[test]
#[should_panic(expected = "asked to by the host")]
fn mailbox_panics_on_demand() {
    let (mut hw, mut firmware) = booted();
    hw.request = Some((fw::MBOX_PANIC, fw::MBOX_PANIC_KEY));
    firmware.poll(&mut hw);
}

#[test]
fn statistics_count_what_happened() {
    let (mut hw, mut firmware) = booted();
    for vif in [3, 4, 1] {
        hw.trap(ARP, vif, &WHO_HAS);
        firmware.poll(&mut hw);
    }
    hw.request = Some((fw::MBOX_STAT, fw::STAT_ARP_REPLIES));
    firmware.poll(&mut hw);
    hw.request = Some((fw::MBOX_STAT, fw::STAT_RX_DROPPED));
    firmware.poll(&mut hw);
    assert_eq!(hw.replies, [2, 1]);
}

#[test]
fn arp_is_answered_by_the_gateway_to_the_vif_it_came_from() {
    assert_eq!(answer(ARP, 7, &WHO_HAS), Some((7, IS_AT.to_vec())));
}

#[test]
fn arp_padding_is_not_sent_back() {
    let mut frame = WHO_HAS.to_vec();
    frame.resize(60, 0xee);
    assert_eq!(answer(ARP, 7, &frame), Some((7, IS_AT.to_vec())));
}

#[test]
fn tagged_arp_is_answered_with_the_same_tag() {
    let tag = |frame: &[u8]| [&frame[..12], &[0x81, 0x00, 0x20, 0x64], &frame[12..]].concat();
    assert_eq!(answer(ARP, 7, &tag(&WHO_HAS)), Some((7, tag(&IS_AT))));
}

#[test]
fn arp_that_must_not_be_answered() {
    let change = |at: usize, bytes: &[u8]| {
        let mut frame = WHO_HAS.to_vec();
        frame[at..at + bytes.len()].copy_from_slice(bytes);
        frame
    };
    for (what, vif, frame) in [
        ("announcement", 7, change(38, &[10, 47, 255, 237])),
        ("probe", 7, change(28, &[0, 0, 0, 0])),
        ("reply", 7, change(20, &[0, 2])),
        ("not IPv4", 7, change(16, &[0x86, 0xdd])),
        ("not Ethernet", 7, change(14, &[0, 6])),
        ("hardware bytes", 7, change(18, &[8])),
        ("group source", 7, change(6, &[0x03])),
        ("not ARP", 7, change(12, &[0x08, 0x00])),
        ("cut", 7, WHO_HAS[..41].to_vec()),
        ("empty", 7, Vec::new()),
        ("fabric", 0, WHO_HAS.to_vec()),
        ("vhost", 1, WHO_HAS.to_vec()),
    ] {
        assert_eq!(answer(ARP, vif, &frame), None, "{what}");
    }
    assert_eq!(answer(9, 7, &WHO_HAS), None, "unknown reason");
}

#[test]
fn a_frame_waits_at_the_head_until_its_answer_can_be_sent() {
    let (mut hw, mut firmware) = booted();
    hw.busy = true;
    hw.trap(ARP, 3, &WHO_HAS);
    for _ in 0..3 {
        assert_eq!(firmware.poll(&mut hw), Next::Poll);
        assert_eq!((hw.queue.len(), hw.sent.len()), (1, 0));
    }
    hw.request = Some((fw::MBOX_PING, 0));
    firmware.poll(&mut hw);
    assert_eq!(hw.replies, [!0], "the mailbox is served meanwhile");
    hw.busy = false;
    firmware.poll(&mut hw);
    assert_eq!((hw.queue.len(), hw.sent.len()), (0, 1));
}

#[test]
fn rejected_syn_gets_a_reset() {
    let (vif, frame) = answer(REJECT, 9, &SYN).expect("answered");
    assert_eq!(vif, 9);
    assert_eq!(frame.len(), 54);
    assert_eq!(frame[..14], [0x02, 0, 0, 0, 0, 1, 0, 0, 0x5e, 0, 1, 0, 8, 0]);
    let (ip, tcp) = frame[14..].split_at(20);
    assert_eq!(ip[..4], [0x45, 0, 0, 40]);
    assert_eq!(ip[8..10], [64, 6]);
    assert_eq!(ip[12..], [10, 105, 139, 153, 10, 47, 255, 237]);
    assert_eq!(sum(ip), 0xffff);
    assert_eq!(tcp[..4], [0x22, 0xb8, 0x9c, 0x40]);
    assert_eq!(tcp[4..14], [0, 0, 0, 0, 1, 2, 3, 5, 0x50, 0x14]);
    assert_eq!(sum(&[&ip[12..], &[0, 6, 0, 20], tcp].concat()), 0xffff);
}

#[test]
fn rejected_segment_with_ack_is_reset_at_its_acknowledgement() {
    let mut frame = SYN;
    frame[42..46].copy_from_slice(&[9, 8, 7, 6]);
    frame[47] = 0x10;
    let (_, frame) = answer(REJECT, 9, &frame).expect("answered");
    assert_eq!(frame[38..48], [9, 8, 7, 6, 0, 0, 0, 0, 0x50, 0x04]);
}

#[test]
fn a_segment_longer_than_the_window_is_acknowledged_by_its_header() {
    let mut frame = SYN.to_vec();
    frame[16..18].copy_from_slice(&1_044_u16.to_be_bytes());
    frame[47] = 0x09; // FIN, PSH
    frame.resize(14 + 1_044, 0x55);
    let (_, frame) = answer(REJECT, 9, &frame).expect("answered");
    assert_eq!(frame[42..46], (0x0102_0304_u32 + 1_000 + 1).to_be_bytes());
}

#[test]
fn rejected_datagram_gets_port_unreachable() {
    let mut frame = SYN.to_vec();
    frame[17] = 33;
    frame[23] = 17;
    frame[34..42].copy_from_slice(&[0x9c, 0x40, 0, 53, 0, 13, 0, 0]);
    frame.truncate(47);
    let (vif, answer) = answer(REJECT, 5, &frame).expect("answered");
    assert_eq!(vif, 5);
    assert_eq!(answer.len(), 14 + 20 + 8 + 28);
    let (ip, icmp) = answer[14..].split_at(20);
    assert_eq!((ip[3], ip[9]), (56, 1));
    assert_eq!(ip[12..], [10, 105, 139, 153, 10, 47, 255, 237]);
    assert_eq!(sum(ip), 0xffff);
    assert_eq!(icmp[..2], [3, 3]);
    assert_eq!(sum(icmp), 0xffff);
    assert_eq!(icmp[8..], frame[14..42]);
}

/// An echo request of 10.47.255.237 to 10.105.139.153: identifier 0x1234, sequence number 7, 4 bytes of data.
fn echo(kind: u8) -> Vec<u8> {
    let mut frame = SYN[..34].to_vec();
    frame[17] = 32;
    frame[23] = 1;
    frame.extend([kind, 0, 0, 0, 0x12, 0x34, 0, 7, b'p', b'i', b'n', b'g']);
    frame
}

#[test]
fn a_rejected_ping_is_unreachable_by_port() {
    for kind in [8, 0, 13] {
        let frame = echo(kind);
        let (vif, answer) = answer(REJECT, 5, &frame).expect("answered");
        assert_eq!((vif, answer.len()), (5, 14 + 20 + 8 + 28));
        let (ip, icmp) = answer[14..].split_at(20);
        assert_eq!(ip[12..], [10, 105, 139, 153, 10, 47, 255, 237]);
        assert_eq!((ip[9], sum(ip), sum(icmp)), (1, 0xffff, 0xffff));
        assert_eq!((&icmp[..2], &icmp[8..]), (&[3, 3][..], &frame[14..42]));
    }
}

#[test]
fn icmp_errors_are_never_answered() {
    for kind in [3, 4, 5, 11, 12, 19, 41, 253] {
        assert_eq!(answer(REJECT, 5, &echo(kind)), None, "type {kind}");
    }
    // Not even those whose type is cut off.
    let mut cut = echo(8);
    cut[17] = 20;
    assert_eq!(answer(REJECT, 5, &cut), None);
}

#[test]
fn a_rejected_packet_of_any_other_protocol_is_unreachable_by_port() {
    for protocol in [47, 50, 132, 255] {
        let mut frame = SYN.to_vec();
        frame[23] = protocol;
        let (_, answer) = answer(REJECT, 5, &frame).expect("answered");
        let icmp = &answer[34..];
        assert_eq!((&icmp[..2], &icmp[8..]), (&[3, 3][..], &frame[14..42]), "protocol {protocol}");
    }
    // Of one without a payload the header is all there is.
    let mut frame = SYN[..34].to_vec();
    (frame[17], frame[23]) = (20, 47);
    let (_, answer) = answer(REJECT, 5, &frame).expect("answered");
    assert_eq!((answer.len(), &answer[42..]), (14 + 20 + 8 + 20, &frame[14..]));
}

#[test]
fn the_node_itself_is_answered() {
    assert!(answer(REJECT, 1, &SYN).is_some_and(|(vif, _)| vif == 1));
}

#[test]
fn rejected_packets_that_must_not_be_answered() {
    let change = |at: usize, byte: u8| {
        let mut frame = SYN.to_vec();
        frame[at] = byte;
        frame
    };
    for (what, vif, frame) in [
        ("reset", 7, change(47, 0x04)),
        ("as a broadcast of the link", 7, change(0, 0xff)),
        ("from a group of the link", 7, change(6, 0x03)),
        ("from a loopback address", 7, change(26, 127)),
        ("later fragment", 7, change(21, 1)),
        ("to a group", 7, change(30, 224)),
        ("from a group", 7, change(26, 240)),
        ("header too short", 7, change(14, 0x44)),
        ("version", 7, change(14, 0x65)),
        ("total length below the header", 7, change(17, 19)),
        ("TCP offset", 7, change(46, 0x40)),
        ("TCP header cut by the total length", 7, change(17, 39)),
        ("cut", 7, SYN[..40].to_vec()),
        ("fabric", 0, SYN.to_vec()),
    ] {
        assert_eq!(answer(REJECT, vif, &frame), None, "{what}");
    }
}

#[test]
fn each_round_of_the_loop_feeds_the_watchdog_and_a_minute_makes_it_well() {
    let (mut hw, mut firmware) = booted();
    assert_eq!(hw.feeds, 0, "the boot does not");
    firmware.poll(&mut hw);
    assert_eq!(hw.feeds, 1);
    for beat in 2..=WELL_HEARTBEATS {
        assert_eq!(hw.well, 0, "beat {beat}");
        hw.time = hw.alarm;
        firmware.poll(&mut hw);
    }
    assert_eq!(hw.well, 1);
    assert_eq!(hw.trace.last(), Some(&(fw::TraceEvent::Well, 0, WELL_HEARTBEATS)));
    hw.time = hw.alarm;
    firmware.poll(&mut hw);
    assert_eq!(hw.well, 1);
}

#[test]
fn the_trace_says_what_was_taken_and_what_became_of_it() {
    use fw::TraceEvent::{Dropped, Frame, Mailbox, Ready};
    let (mut hw, mut firmware) = booted();
    hw.trap(ARP, 7, &WHO_HAS);
    firmware.poll(&mut hw);
    hw.trap(ARP, 1, &WHO_HAS);
    firmware.poll(&mut hw);
    hw.request = Some((fw::MBOX_PING, 5));
    firmware.poll(&mut hw);
    let (seven, one) = (u16::from(ARP) << 8 | 7, u16::from(ARP) << 8 | 1);
    assert_eq!(
        hw.trace,
        [
            (Ready, 0, VERSION),
            (Frame, seven, 42),
            (Frame, one, 42),
            (Dropped, one, 42),
            (Mailbox, 1, 5)
        ]
    );
}

fn ask(hw: &mut Fake, firmware: &mut Firmware, request: u32, arg: u32) -> u32 {
    hw.request = Some((request, arg));
    firmware.poll(hw);
    *hw.replies.last().expect("each request has a reply")
}

#[test]
fn a_statistic_is_read_whole_though_it_counts_on() {
    let (mut hw, mut firmware) = booted();
    firmware.stats.arp_replies = 0x1_ffff_ffff;
    assert_eq!(ask(&mut hw, &mut firmware, fw::MBOX_STAT, fw::STAT_ARP_REPLIES), 0xffff_ffff);
    hw.trap(ARP, 7, &WHO_HAS);
    firmware.poll(&mut hw);
    assert_eq!(ask(&mut hw, &mut firmware, fw::MBOX_STAT_HIGH, 0), 1);
    assert_eq!(ask(&mut hw, &mut firmware, fw::MBOX_STAT, fw::STAT_ARP_REPLIES), 0);
    assert_eq!(ask(&mut hw, &mut firmware, fw::MBOX_STAT_HIGH, 0), 2);
}

/// An image as it is stored, and the CRC-32 of all of it.
fn stored(version: u32) -> (Vec<u32>, u32) {
    let body = [1, 2, 3, 4, 5];
    let mut header = [fw::IMAGE_MAGIC, 0, 20, version];
    header[image::CRC] = image::crc(&header, body.into_iter());
    let words = [&header[..], &body].concat();
    let mut crc = image::Crc::default();
    words.iter().for_each(|word| crc.eat(*word));
    (words, crc.finish())
}

fn send(hw: &mut Fake, firmware: &mut Firmware, words: &[u32]) {
    let bytes = 4 * words.len() as u32;
    assert_eq!(ask(hw, firmware, fw::MBOX_UPDATE_BEGIN, bytes), fw::UPDATE_OK);
    for (i, word) in words.iter().enumerate() {
        assert_eq!(ask(hw, firmware, fw::MBOX_UPDATE_WORD, *word), i as u32 + 1);
    }
}

#[test]
fn an_update_is_stored_checked_and_started_after_its_reply() {
    let (mut hw, mut firmware) = booted();
    let (words, crc) = stored(VERSION);
    assert_eq!(
        ask(&mut hw, &mut firmware, fw::MBOX_UPDATE_START, fw::MBOX_UPDATE_KEY),
        fw::UPDATE_NONE
    );
    send(&mut hw, &mut firmware, &words);
    assert_eq!(hw.slot[&0], 0, "no image before it is checked");
    assert_eq!(ask(&mut hw, &mut firmware, fw::MBOX_UPDATE_END, crc), fw::UPDATE_OK);
    assert_eq!(hw.slot.values().copied().collect::<Vec<_>>(), words);
    assert_eq!(ask(&mut hw, &mut firmware, fw::MBOX_IMAGE, fw::IMAGE_SLOT_CRC), words[1]);
    assert_eq!(ask(&mut hw, &mut firmware, fw::MBOX_IMAGE, fw::IMAGE_SLOT_BYTES), 36);
    assert_eq!(ask(&mut hw, &mut firmware, fw::MBOX_UPDATE_START, 0), fw::MBOX_UNKNOWN);
    let start = ask(&mut hw, &mut firmware, fw::MBOX_UPDATE_START, fw::MBOX_UPDATE_KEY);
    assert_eq!((start, hw.boot, hw.restarts), (fw::UPDATE_OK, fw::Boot::Update as u32, 0));
    firmware.poll(&mut hw);
    assert_eq!(hw.restarts, 1);
}

#[test]
fn an_update_that_is_not_whole_is_refused_and_leaves_an_empty_slot() {
    let (mut hw, mut firmware) = booted();
    let (words, crc) = stored(VERSION);
    for bytes in [0, 16, 22, fw::IMAGE_BYTES_MAX + 4, !3] {
        let reply = ask(&mut hw, &mut firmware, fw::MBOX_UPDATE_BEGIN, bytes);
        assert_eq!(reply, fw::UPDATE_LENGTH, "{bytes}");
    }
    assert_eq!(ask(&mut hw, &mut firmware, fw::MBOX_UPDATE_WORD, 1), fw::UPDATE_NOT_BEGUN);
    assert_eq!(ask(&mut hw, &mut firmware, fw::MBOX_UPDATE_END, crc), fw::UPDATE_NOT_BEGUN);
    // Too few words, one too many.
    ask(&mut hw, &mut firmware, fw::MBOX_UPDATE_BEGIN, 36);
    assert_eq!(ask(&mut hw, &mut firmware, fw::MBOX_UPDATE_END, crc), fw::UPDATE_LENGTH);
    send(&mut hw, &mut firmware, &words);
    assert_eq!(ask(&mut hw, &mut firmware, fw::MBOX_UPDATE_WORD, 1), fw::UPDATE_LENGTH);
    // A word that is another in the slot than it was sent, in header and body; another CRC; no image at all.
    for at in [2, 3, 8] {
        send(&mut hw, &mut firmware, &words);
        *hw.slot.get_mut(&at).expect("it was sent") ^= 1 << 7;
        let reply = ask(&mut hw, &mut firmware, fw::MBOX_UPDATE_END, crc);
        assert_eq!(reply, fw::UPDATE_TORN, "{at}");
    }
    send(&mut hw, &mut firmware, &words);
    assert_eq!(ask(&mut hw, &mut firmware, fw::MBOX_UPDATE_END, !crc), fw::UPDATE_TORN);
    let mut other = words.clone();
    other[0] = 7;
    let mut sum = image::Crc::default();
    other.iter().for_each(|word| sum.eat(*word));
    send(&mut hw, &mut firmware, &other);
    assert_eq!(ask(&mut hw, &mut firmware, fw::MBOX_UPDATE_END, sum.finish()), fw::UPDATE_TORN);
    // Another major version.
    let (foreign, crc) = stored(VERSION + 0x1_0000);
    send(&mut hw, &mut firmware, &foreign);
    assert_eq!(ask(&mut hw, &mut firmware, fw::MBOX_UPDATE_END, crc), fw::UPDATE_VERSION);
    assert_eq!(hw.slot[&0], 0);
    assert_eq!(ask(&mut hw, &mut firmware, fw::MBOX_IMAGE, fw::IMAGE_SLOT_BYTES), 0);
}
