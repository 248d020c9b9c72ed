//! Fragments of tunnel packets, as far as they are remembered (section 3).

use std::collections::VecDeque;

/// First fragments that are remembered.
const FRAGMENTS: usize = 8;

/// What fragments of one outer packet have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentId {
    /// Source address.
    pub sip: u32,
    /// Identification.
    pub id: u16,
    /// Protocol.
    pub proto: u8,
}

/// The last first fragments of tunnel packets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OuterFragments(VecDeque<FragmentId>);

impl OuterFragments {
    /// A fragment belongs to one of them.
    #[must_use]
    pub fn contains(&self, id: &FragmentId) -> bool {
        self.0.contains(id)
    }

    /// Another one; the oldest is forgotten.
    pub fn remember(&mut self, id: FragmentId) {
        self.0.push_back(id);
        if self.0.len() > FRAGMENTS {
            self.0.pop_front();
        }
    }
}
