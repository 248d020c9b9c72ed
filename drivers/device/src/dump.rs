//! Which commands find every valid entry of a table in few round trips: pure, the card is somewhere else.
//!
//! A search (`GetNext`) returns one entry and must be over before the next can start behind it, so a plain loop costs a round
//! trip an entry. Two ways are quicker, and the density of what was just found decides between them, window by window:
//!
//! * dense: read the next entries whether valid or not, and search once behind them;
//! * sparse: cut the window into stretches that hold a few entries each, and search in all of them side by side.
//!
//! Worked example, sparse: entries at 5, 100, 130 and 900, stretches of 64 from 0. First batch: searches from 0, 64, 128, 192,
//! which find 5, 100, 130 and 900. The last lies behind the window (256) and says where the next one starts. Second batch: from 6,
//! 101 and 131, which find 100, 130 and 900: nothing more in their own stretches, the window is done.

use std::collections::BTreeSet;

use penstock_abi::table::{TableId, Words};
use penstock_tables::Shape;

/// Entries of the first window, read whole.
const FIRST_WINDOW: u32 = 16;
/// Most entries read whole in one batch.
const DENSE_WINDOW_MAX: u32 = 128;
/// Searches side by side.
const STRETCHES: u32 = 32;
/// Entries that a stretch should hold.
const ENTRIES_PER_STRETCH: u32 = 4;
/// Counters read in one batch.
const COUNTERS: u32 = 256;
/// Denser than one entry in this many: reading is cheaper than searching.
const DENSE_GAP: u32 = 3;

/// One question to the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    /// The entry at this index, valid or not.
    Read(u32),
    /// The first valid entry at or after this index.
    Search(u32),
}

/// Its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// An entry and its index.
    Entry(u32, Words),
    /// An entry with the wrong parity, whose words are not to be believed.
    Odd(u32),
    /// No valid entry from there on.
    NotFound,
}

#[derive(Debug)]
struct Stretch {
    next: u32,
    end: u32,
}

#[derive(Debug)]
enum Window {
    /// Entries `start..end` are read; the search behind them says where the next window starts.
    Dense { start: u32, end: u32 },
    /// Stretches that still hold something to be found.
    Sparse { start: u32, end: u32, stretches: Vec<Stretch> },
}

/// A dump of one table in progress, see [`crate::Card::dump_on`].
#[derive(Debug)]
pub struct TableDump {
    pub(crate) table: TableId,
    way: Way,
    odd: BTreeSet<u32>,
}

#[derive(Debug)]
enum Way {
    /// Entries with a valid bit are searched.
    Search(Dump),
    /// Counters are read one after the other: the next index, how many there are, and what was read.
    Count(u32, u32, Vec<(u32, Words)>),
}

impl TableDump {
    /// A dump of `table` of a card of this shape, of which nothing was read yet.
    #[must_use]
    pub fn new(table: TableId, shape: Shape) -> Self {
        let depth = shape.capacity(table);
        let way = if table.desc().has_valid {
            Way::Search(Dump::new(depth))
        } else {
            Way::Count(0, depth, Vec::new())
        };
        Self { table, way, odd: BTreeSet::new() }
    }

    /// What to ask next; nothing when every entry is found.
    pub(crate) fn probes(&self) -> Vec<Probe> {
        match &self.way {
            Way::Search(dump) => dump.probes(),
            Way::Count(next, depth, _) => {
                let end = next.saturating_add(COUNTERS).min(*depth);
                (*next..end).map(Probe::Read).collect()
            }
        }
    }

    /// Takes the answers to [`TableDump::probes`], in the same order. Says `false` when one of them is impossible.
    pub(crate) fn absorb(&mut self, answers: &[Answer]) -> bool {
        // One with the wrong parity is found and says nothing: as if it were not valid.
        let read = |answer: &Answer| match *answer {
            Answer::Odd(index) => Answer::Entry(index, Words::default()),
            other => other,
        };
        let odd = answers.iter().filter_map(|answer| match *answer {
            Answer::Odd(index) => Some(index),
            Answer::Entry(..) | Answer::NotFound => None,
        });
        self.odd.extend(odd);
        let answers: Vec<Answer> = answers.iter().map(read).collect();
        match &mut self.way {
            Way::Search(dump) => dump.absorb(&answers),
            Way::Count(next, _, found) => answers.iter().all(|answer| match answer {
                Answer::Entry(index, words) if index == next => {
                    if !self.odd.contains(index) {
                        found.push((*index, *words));
                    }
                    *next += 1;
                    true
                }
                _ => false,
            }),
        }
    }

    /// Entries that stand with the wrong parity, in order of index; they are not among those found.
    pub fn odd(&self) -> impl Iterator<Item = u32> {
        self.odd.iter().copied()
    }

    /// The entries found, in order of index.
    #[must_use]
    pub fn finish(self) -> Vec<(u32, Words)> {
        match self.way {
            Way::Search(dump) => dump.finish(),
            Way::Count(_, _, found) => found,
        }
    }
}

/// A search in progress.
#[derive(Debug)]
pub(crate) struct Dump {
    depth: u32,
    window: Window,
    /// Where the window after this one starts, as far as is known.
    resume: u32,
    found_in_window: u32,
    found: Vec<(u32, Words)>,
}

impl Dump {
    pub(crate) fn new(depth: u32) -> Self {
        // An empty window with a search behind it: an empty table costs one command.
        let window = Window::Dense { start: 0, end: 0 };
        Self { depth, window, resume: 0, found_in_window: 0, found: Vec::new() }
    }

    /// What to ask next; nothing when every entry is found.
    pub(crate) fn probes(&self) -> Vec<Probe> {
        match &self.window {
            Window::Dense { start, end } => {
                let search = (*end < self.depth).then_some(Probe::Search(*end));
                (*start..*end).map(Probe::Read).chain(search).collect()
            }
            Window::Sparse { stretches, .. } => {
                stretches.iter().map(|s| Probe::Search(s.next)).collect()
            }
        }
    }

    /// Takes the answers to [`Dump::probes`], in the same order. Says `false` when one of them is impossible.
    pub(crate) fn absorb(&mut self, answers: &[Answer]) -> bool {
        match &mut self.window {
            Window::Dense { start, end } => {
                let (start, end) = (*start, *end);
                self.resume = self.depth;
                for (i, answer) in answers.iter().enumerate() {
                    let at = start + i as u32;
                    match answer {
                        Answer::Entry(index, words) if at < end => {
                            if *index != at {
                                return false;
                            }
                            if words[0] & 1 == 1 {
                                self.found.push((at, *words));
                                self.found_in_window += 1;
                            }
                        }
                        Answer::Entry(index, _) if *index < end || *index >= self.depth => {
                            return false;
                        }
                        Answer::Entry(index, _) => self.resume = *index,
                        Answer::Odd(_) | Answer::NotFound => {}
                    }
                }
                self.next_window(end - start);
            }
            Window::Sparse { start, end, stretches } => {
                let size = *end - *start;
                for (stretch, answer) in stretches.iter_mut().zip(answers) {
                    match answer {
                        Answer::Entry(index, _)
                            if *index < stretch.next || *index >= self.depth =>
                        {
                            return false;
                        }
                        Answer::Entry(index, words) if *index < stretch.end => {
                            if words[0] & 1 == 1 {
                                self.found.push((*index, *words));
                                self.found_in_window += 1;
                            }
                            stretch.next = index + 1;
                        }
                        beyond => {
                            if stretch.end == *end {
                                self.resume = if let Answer::Entry(index, _) = beyond {
                                    *index
                                } else {
                                    self.depth
                                };
                            }
                            stretch.next = stretch.end;
                        }
                    }
                }
                stretches.retain(|s| s.next < s.end);
                if stretches.is_empty() {
                    self.next_window(size);
                }
            }
        }
        true
    }

    /// Starts the next window; `size` is that of the one that ended.
    fn next_window(&mut self, size: u32) {
        let start = self.resume;
        let left = self.depth - start;
        // Entries a valid one, on average; after an empty window at least its size.
        let gap = if size == 0 { 1 } else { size / self.found_in_window.max(1) };
        self.found_in_window = 0;
        if gap <= DENSE_GAP {
            let bytes = if size == 0 { FIRST_WINDOW } else { (2 * size).min(DENSE_WINDOW_MAX) };
            self.window = Window::Dense { start, end: start + bytes.min(left) };
            return;
        }
        let stretch = gap.saturating_mul(ENTRIES_PER_STRETCH);
        let end = start + stretch.saturating_mul(STRETCHES).min(left);
        let stretches = (start..end)
            .step_by(stretch as usize)
            .map(|next| Stretch { next, end: next.saturating_add(stretch).min(end) })
            .collect();
        self.window = Window::Sparse { start, end, stretches };
        // Known better once the last stretch has looked behind the window.
        self.resume = end;
    }

    /// The entries, in order of index.
    pub(crate) fn finish(mut self) -> Vec<(u32, Words)> {
        self.found.sort_unstable_by_key(|(index, _)| *index);
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(index: u32) -> Words {
        let mut words = Words::default();
        (words[0], words[1]) = (1, index);
        words
    }

    /// Runs a dump over `table`; returns round trips and commands.
    fn run(depth: u32, table: &BTreeSet<u32>) -> (usize, usize) {
        let mut dump = Dump::new(depth);
        let (mut trips, mut commands) = (0, 0);
        loop {
            let probes = dump.probes();
            if probes.is_empty() {
                break;
            }
            trips += 1;
            commands += probes.len();
            let answers: Vec<Answer> = probes
                .iter()
                .map(|probe| match *probe {
                    Probe::Read(i) => Answer::Entry(
                        i,
                        if table.contains(&i) { words(i) } else { Words::default() },
                    ),
                    Probe::Search(i) => table
                        .range(i..)
                        .next()
                        .map_or(Answer::NotFound, |&i| Answer::Entry(i, words(i))),
                })
                .collect();
            assert!(dump.absorb(&answers));
            assert!(trips < 100_000, "no end");
        }
        let found = dump.finish();
        assert_eq!(
            found.iter().map(|(i, _)| *i).collect::<Vec<_>>(),
            table.iter().copied().collect::<Vec<_>>()
        );
        assert!(found.iter().all(|(i, w)| *w == words(*i)));
        (trips, commands)
    }

    /// A cheap hash, so that entries lie about as in a hash table.
    fn scatter(i: u32) -> u32 {
        i.wrapping_mul(0x9e37_79b9) ^ (i.wrapping_mul(0x85eb_ca6b) >> 7)
    }

    #[test]
    fn empty_table_costs_one_command() {
        assert_eq!(run(65536, &BTreeSet::new()), (1, 1));
    }

    #[test]
    fn every_shape_is_found_whole() {
        let depth = 4096;
        for count in [1, 2, 3, 10, 100, 1000, 3000, 4096] {
            run(depth, &(0..count).collect());
            run(depth, &(depth - count..depth).collect());
            run(depth, &(0..count).map(|i| scatter(i) % depth).collect());
            run(depth, &(0..count).map(|i| (i / 7 * 50 + i % 7) % depth).collect());
            run(depth, &(0..count / 2).chain([depth - 1]).collect());
        }
        for depth in [1, 2, 15, 16, 17, 64] {
            run(depth, &(0..depth).collect());
            run(depth, &BTreeSet::from([depth - 1]));
        }
    }

    #[test]
    fn scattered_entries_take_few_round_trips() {
        let table: BTreeSet<u32> = (0..2000).map(|i| scatter(i) % 65536).collect();
        let (trips, commands) = run(65536, &table);
        assert!(trips < table.len() / 10, "{trips} round trips for {} entries", table.len());
        assert!(commands < table.len() * 3, "{commands} commands for {} entries", table.len());
    }

    #[test]
    fn adjacent_entries_are_read_in_large_batches() {
        let (trips, commands) = run(32768, &(0..10_000).collect());
        assert!(trips < 100 && commands < 10_400, "{trips} round trips, {commands} commands");
    }

    #[test]
    fn impossible_answers_are_noticed() {
        let mut dump = Dump::new(100);
        assert!(!dump.absorb(&[Answer::Entry(100, words(100))]));
        let mut dump = Dump::new(100);
        assert!(dump.absorb(&[Answer::Entry(50, words(50))]));
        assert_eq!(dump.probes()[0], Probe::Read(50));
        assert!(!dump.absorb(&[Answer::Entry(49, words(49))]));
    }
}
