//! The hardware as vectors, for tests.

use crate::{Hw, Region, RxMeta};
use penstock_abi::fw::{Boot, TraceEvent};
use std::collections::{BTreeMap, VecDeque};

/// Base addresses of the regions, as on the card.
pub(crate) const RAM: u32 = 0xc000;
pub(crate) const RECEIVE: u32 = 0x8000_1000;
pub(crate) const TRANSMIT: u32 = 0x8000_2000;

#[derive(Default)]
pub(crate) struct Fake {
    pub(crate) status: Vec<u32>,
    pub(crate) info: u32,
    pub(crate) version: u32,
    pub(crate) heartbeat: u32,
    pub(crate) request: Option<(u32, u32)>,
    pub(crate) replies: Vec<u32>,
    pub(crate) time: u64,
    pub(crate) alarm: u64,
    pub(crate) queue: VecDeque<(RxMeta, Vec<u8>)>,
    pub(crate) busy: bool,
    pub(crate) sent: Vec<(u8, Vec<u8>)>,
    pub(crate) memory: BTreeMap<u32, u32>,
    /// (address, mask of bits that read as 1)
    pub(crate) stuck: Option<(u32, u32)>,
    /// Address bits that the decoder ignores.
    pub(crate) deaf: u32,
    pub(crate) feeds: u32,
    pub(crate) well: u32,
    pub(crate) restarts: u32,
    pub(crate) boot: u32,
    pub(crate) trace: Vec<(TraceEvent, u16, u32)>,
    pub(crate) golden: Vec<u32>,
    pub(crate) slot: BTreeMap<usize, u32>,
}

impl Fake {
    pub(crate) fn trap(&mut self, reason: u8, vif: u8, frame: &[u8]) {
        let bytes = frame.len() as u16;
        self.queue.push_back((RxMeta { reason, vif, bytes }, frame.to_vec()));
    }
}

impl Hw for Fake {
    fn set_status(&mut self, status: u32) {
        self.status.push(status);
    }
    fn set_info(&mut self, info: u32) {
        self.info = info;
    }
    fn set_version(&mut self, version: u32) {
        self.version = version;
    }
    fn set_heartbeat(&mut self, count: u32) {
        self.heartbeat = count;
    }
    fn mailbox_request(&mut self) -> Option<(u32, u32)> {
        self.request
    }
    fn mailbox_reply(&mut self, reply: u32) {
        self.request = None;
        self.replies.push(reply);
    }
    fn time(&mut self) -> u64 {
        self.time
    }
    fn set_alarm(&mut self, time: u64) {
        self.alarm = time;
    }
    fn rx_frames(&mut self) -> u32 {
        self.queue.len() as u32
    }
    fn rx_meta(&mut self) -> RxMeta {
        self.queue[0].0
    }
    fn rx_word(&mut self, index: usize) -> u32 {
        assert!(index < 64, "beyond the receive window");
        let mut word = [0; 4];
        for (i, byte) in self.queue[0].1.iter().skip(4 * index).take(4).enumerate() {
            word[i] = *byte;
        }
        u32::from_le_bytes(word)
    }
    fn rx_pop(&mut self) {
        self.queue.pop_front();
    }
    fn tx_free(&mut self) -> bool {
        !self.busy
    }
    fn tx_word(&mut self, index: usize, word: u32) {
        assert!(!self.busy, "the window is not free");
        self.memory.insert(TRANSMIT + 4 * index as u32, word);
    }
    fn tx_send(&mut self, bytes: usize, vif: u8) {
        let words = (0..bytes.div_ceil(4)).map(|i| self.memory[&(TRANSMIT + 4 * i as u32)]);
        let mut frame: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
        frame.truncate(bytes);
        self.sent.push((vif, frame));
    }
    fn region(&mut self, region: Region) -> (u32, usize) {
        match region {
            Region::Ram => (RAM, 500),
            Region::Receive => (RECEIVE, 64),
            Region::Transmit => (TRANSMIT, 64),
        }
    }
    fn region_read(&mut self, address: u32) -> u32 {
        let word = self.memory[&(address & !self.deaf)];
        match self.stuck {
            Some((stuck, mask)) if stuck == address => word | mask,
            _ => word,
        }
    }
    fn region_write(&mut self, address: u32, word: u32) {
        self.memory.insert(address & !self.deaf, word);
    }
    fn feed(&mut self, well: bool) {
        self.feeds += 1;
        self.well += u32::from(well);
    }
    fn restart(&mut self) {
        self.restarts += 1;
    }
    fn boot(&mut self) -> u32 {
        self.boot
    }
    fn set_boot(&mut self, boot: Boot) {
        self.boot = boot as u32;
    }
    fn trace(&mut self, event: TraceEvent, detail: u16, arg: u32) {
        self.trace.push((event, detail, arg));
    }
    fn golden_word(&mut self, index: usize) -> u32 {
        self.golden.get(index).copied().unwrap_or(0)
    }
    fn slot_word(&mut self, index: usize) -> u32 {
        self.slot.get(&index).copied().unwrap_or(0)
    }
    fn set_slot_word(&mut self, index: usize, word: u32) {
        self.slot.insert(index, word);
    }
    fn stack_bytes(&mut self) -> u32 {
        496
    }
}
