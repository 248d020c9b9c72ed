//! Frames and beats: a frame is cut into 64-byte beats on its way into the card and put together again on its way out.

use std::collections::VecDeque;

use penstock_abi::limits::BEAT_BYTES;
use penstock_rtl::Beat;

/// Frames that wait for the card on one stream, offered beat by beat.
#[derive(Debug, Default)]
pub(crate) struct Ingress {
    waiting: VecDeque<(u8, Vec<u8>)>,
    offset: usize,
}

impl Ingress {
    /// Queues a frame. An empty one has no beat and is not a frame.
    pub(crate) fn push(&mut self, user: u8, frame: Vec<u8>) {
        debug_assert!(!frame.is_empty());
        self.waiting.push_back((user, frame));
    }

    pub(crate) fn frames(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The beat to offer now; stays the same until [`Ingress::advance`].
    pub(crate) fn beat(&self) -> Option<Beat> {
        let (user, frame) = self.waiting.front()?;
        let rest = &frame[self.offset..];
        let bytes = rest.len().min(BEAT_BYTES);
        let mut beat = Beat {
            valid: 1,
            user: *user,
            last: u8::from(rest.len() <= BEAT_BYTES),
            ..Beat::default()
        };
        beat.keep = u64::MAX >> (BEAT_BYTES - bytes);
        if bytes == BEAT_BYTES {
            for (word, four) in beat.data.iter_mut().zip(rest.chunks_exact(4)) {
                *word = u32::from_le_bytes([four[0], four[1], four[2], four[3]]);
            }
        } else {
            for (i, byte) in rest[..bytes].iter().enumerate() {
                beat.data[i / 4] |= u32::from(*byte) << (8 * (i % 4));
            }
        }
        Some(beat)
    }

    /// The card took the beat.
    pub(crate) fn advance(&mut self) {
        self.offset += BEAT_BYTES;
        if self.waiting.front().is_some_and(|(_, frame)| self.offset >= frame.len()) {
            self.waiting.pop_front();
            self.offset = 0;
        }
    }
}

/// A frame that is arriving from the card.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    frame: Vec<u8>,
    user: u8,
}

impl Assembler {
    /// Takes a beat; the whole frame comes back with its last one. `tuser` counts on the first beat.
    pub(crate) fn push(&mut self, beat: &Beat) -> Option<(u8, Vec<u8>)> {
        if self.frame.is_empty() {
            self.user = beat.user;
        }
        let bytes = beat.keep.trailing_ones() as usize;
        let mut raw = [0; BEAT_BYTES];
        for (four, word) in raw.chunks_exact_mut(4).zip(beat.data) {
            four.copy_from_slice(&word.to_le_bytes());
        }
        self.frame.extend_from_slice(&raw[..bytes]);
        (beat.last != 0).then(|| (self.user, std::mem::take(&mut self.frame)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_the_way_through_beats() {
        let (mut ingress, mut assembler) = (Ingress::default(), Assembler::default());
        let lengths = [1, 13, 60, 63, 64, 65, 127, 128, 129, 1514, 9216];
        for (i, len) in lengths.into_iter().enumerate() {
            ingress.push(i as u8, (0..len).map(|b| (b * 31 + i) as u8).collect());
        }
        let mut seen = Vec::new();
        while let Some(beat) = ingress.beat() {
            assert_eq!(ingress.beat().unwrap().data, beat.data);
            seen.extend(assembler.push(&beat));
            ingress.advance();
        }
        assert_eq!(seen.iter().map(|(_, f)| f.len()).collect::<Vec<_>>(), lengths);
        for (i, (user, frame)) in seen.iter().enumerate() {
            assert_eq!(usize::from(*user), i);
            assert!(frame.iter().enumerate().all(|(b, &v)| v == (b * 31 + i) as u8));
        }
    }
}
