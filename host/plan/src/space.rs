//! Numbers that are given out and given back: ids of next hops, indices of mappings.

/// Which of the numbers below a limit are taken. The lowest free one is given out first; one that is given back is free when the
/// round is over, as the card uses it until then.
#[derive(Debug)]
pub(crate) struct NumberSpace {
    taken: Vec<bool>,
    /// None below is free.
    first: usize,
    leaving: Vec<u32>,
}

impl NumberSpace {
    /// Numbers from `first` to below `limit`, of which `taken` are.
    pub(crate) fn new(first: u32, limit: u32, taken: impl Iterator<Item = u32>) -> Self {
        let mut space =
            Self { taken: vec![false; limit as usize], first: first as usize, leaving: Vec::new() };
        for number in taken {
            space.occupy(number);
        }
        space
    }

    /// Takes this number.
    pub(crate) fn occupy(&mut self, number: u32) {
        if let Some(taken) = self.taken.get_mut(number as usize) {
            *taken = true;
        }
    }

    /// Takes the lowest free number.
    pub(crate) fn take(&mut self) -> Option<u32> {
        let free = self.taken.get(self.first..)?.iter().position(|taken| !taken);
        let Some(free) = free else {
            self.first = self.taken.len();
            return None;
        };
        self.first += free;
        self.taken[self.first] = true;
        self.first += 1;
        // Below a limit that is a u32.
        Some((self.first - 1) as u32)
    }

    /// The number that would be taken.
    pub(crate) fn peek(&self) -> Option<u32> {
        let free = self.taken.get(self.first..)?.iter().position(|taken| !taken)?;
        u32::try_from(self.first + free).ok()
    }

    /// Gives back a number that was not used.
    pub(crate) fn put_back(&mut self, number: u32) {
        if let Some(taken) = self.taken.get_mut(number as usize) {
            *taken = false;
            self.first = self.first.min(number as usize);
        }
    }

    /// Gives back a number that is in use until the round is over.
    pub(crate) fn release(&mut self, number: u32) {
        self.leaving.push(number);
    }

    /// The round is over.
    pub(crate) fn end_round(&mut self) {
        for number in std::mem::take(&mut self.leaving) {
            self.put_back(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_number_is_given_out() {
        let mut space = NumberSpace::new(1, 5, [2].into_iter());
        assert_eq!((space.take(), space.take()), (Some(1), Some(3)));
        space.release(1);
        assert_eq!((space.take(), space.take()), (Some(4), None));
        space.end_round();
        assert_eq!((space.take(), space.take()), (Some(1), None));
        space.put_back(3);
        assert_eq!(space.take(), Some(3));
        assert_eq!(NumberSpace::new(1, 0, std::iter::empty()).take(), None);
    }
}
