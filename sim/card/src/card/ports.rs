//! The ports of the card's vifs: what is read from them and what is handed to them.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::BorrowedFd;

use super::streams::{Egress, Streams};
use crate::port::{Port, PortStats};

/// Frames that may wait for a stream before its ports are no longer read.
const QUEUE_FRAMES: usize = 64;
/// Largest frame read from a port: longer than the card takes, so that it is the card that counts it.
const PORT_FRAME_BYTES: usize = 1 << 16;

struct Attached {
    name: String,
    port: Box<dyn Port>,
    stats: PortStats,
}

/// Ports by vif.
pub(super) struct Ports {
    attached: BTreeMap<u8, Attached>,
    buffer: Vec<u8>,
}

impl Ports {
    pub(super) fn new() -> Self {
        Self { attached: BTreeMap::new(), buffer: vec![0; PORT_FRAME_BYTES] }
    }

    /// Attaches a port to a vif, in place of the one it had.
    pub(super) fn attach(&mut self, vif: u8, name: String, port: Box<dyn Port>) {
        self.attached.insert(vif, Attached { name, port, stats: PortStats::default() });
    }

    /// Takes a port off.
    pub(super) fn detach(&mut self, vif: u8) -> Option<Box<dyn Port>> {
        self.attached.remove(&vif).map(|attached| attached.port)
    }

    /// Name, vif and counters.
    pub(super) fn stats(&self) -> impl Iterator<Item = (&str, u8, PortStats)> {
        self.attached.iter().map(|(vif, a)| (a.name.as_str(), *vif, a.stats))
    }

    /// Descriptors that become readable when a frame arrives for which there is room.
    pub(super) fn fds<'a>(&'a self, streams: &'a Streams) -> impl Iterator<Item = BorrowedFd<'a>> {
        let room = |vif: u8| streams.frames(vif) < QUEUE_FRAMES;
        self.attached.iter().filter(move |(vif, _)| room(**vif)).filter_map(|(_, a)| a.port.fd())
    }

    /// Reads what arrived, as far as there is room. Says whether anything did.
    pub(super) fn receive(&mut self, streams: &mut Streams) -> bool {
        let mut any = false;
        let share = (QUEUE_FRAMES / self.attached.len().max(1)).max(4);
        for (&vif, attached) in &mut self.attached {
            for _ in 0..share {
                if streams.frames(vif) >= QUEUE_FRAMES {
                    break;
                }
                match attached.port.receive(&mut self.buffer) {
                    Ok(None) => break,
                    Ok(Some(0)) => attached.stats.rx_errors += 1,
                    Ok(Some(bytes)) => {
                        attached.stats.rx_frames += 1;
                        attached.stats.rx_bytes += bytes as u64;
                        streams.push(vif, self.buffer[..bytes].to_vec());
                        any = true;
                    }
                    Err(error) => {
                        attached.stats.rx_errors += 1;
                        tracing::debug!(port = attached.name, %error, "cannot receive");
                        break;
                    }
                }
            }
        }
        any
    }

    /// Hands frames that had left the card by a cycle to their ports; later ones, and those for which there is none, stay.
    pub(super) fn deliver(&mut self, egress: &mut VecDeque<Egress>, by: u64) {
        if self.attached.is_empty() {
            return;
        }
        let mut kept = VecDeque::new();
        for left in egress.drain(..) {
            let attached = self.attached.get_mut(&left.vif).filter(|_| left.cycle <= by);
            let Some(attached) = attached else {
                kept.push_back(left);
                continue;
            };
            match attached.port.send(&left.frame) {
                Ok(()) => {
                    attached.stats.tx_frames += 1;
                    attached.stats.tx_bytes += left.frame.len() as u64;
                }
                Err(error) => {
                    attached.stats.tx_dropped += 1;
                    tracing::debug!(port = attached.name, bytes = left.frame.len(), %error, "frame dropped by the port");
                }
            }
        }
        *egress = kept;
    }
}
