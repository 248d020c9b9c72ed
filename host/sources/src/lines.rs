//! The lines that messages name.
//!
//! A parser says a line only where it stops, so that each one costs another parse of its document: a large List in which
//! each item is wrong would cost the square of its size. So they are found as long as what that costs is in proportion to the
//! file; a message that comes after that has to say by its path what it is about.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::documents::Document;
use crate::tree::{Step, deserialize};

/// Bytes that are parsed again to find lines, however small a file is: 1 MiB.
const LINES_BYTES: usize = 1 << 20;

/// How often a file may be parsed again to find lines.
const LINES_TIMES: usize = 4;

/// Finds lines.
#[derive(Debug)]
pub(crate) struct Lines {
    /// Bytes that may still be parsed for it.
    left: Cell<usize>,
}

impl Lines {
    /// For the documents of a file with this text.
    pub(crate) fn of_file(text: &str) -> Self {
        Self { left: Cell::new(LINES_BYTES + LINES_TIMES * text.len()) }
    }

    /// The line of the file on which the value stands to which the steps lead; that of the document if it came by an anchor.
    /// None if it would cost too much to know.
    pub(crate) fn find(&self, document: &Document<'_>, steps: &[Step]) -> Option<usize> {
        if steps.is_empty() {
            return Some(document.line);
        }
        self.left.set(self.left.get().checked_sub(document.text.len())?);
        let found = Cell::new(false);
        match deserialize(document, Finder { steps, found: &found }) {
            Err(problem) if found.get() => problem.line,
            _ => Some(document.line),
        }
    }
}

/// Follows steps into what a parser finds, and fails where they end: the parser adds to the failure where that is.
#[derive(Clone, Copy)]
struct Finder<'a> {
    steps: &'a [Step],
    found: &'a Cell<bool>,
}

impl<'de> DeserializeSeed<'de> for Finder<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.steps.is_empty() {
            self.found.set(true);
            return deserializer.deserialize_any(Stop);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Finder<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping or a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Some((Step::Index(index), steps)) = self.steps.split_first() else {
            return Err(A::Error::custom("not here"));
        };
        for _ in 0..*index {
            items.next_element::<serde::de::IgnoredAny>()?;
        }
        items.next_element_seed(Finder { steps, found: self.found })?;
        Err(A::Error::custom("not here"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let Some((Step::Key(wanted), steps)) = self.steps.split_first() else {
            return Err(A::Error::custom("not here"));
        };
        while let Some(key) = entries.next_key::<String>()? {
            if key == *wanted {
                entries.next_value_seed(Finder { steps, found: self.found })?;
                break;
            }
            entries.next_value::<serde::de::IgnoredAny>()?;
        }
        Err(A::Error::custom("not here"))
    }
}

/// Takes nothing, so that whatever stands there is an error in its place.
struct Stop;

impl Visitor<'_> for Stop {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing")
    }
}
