//! From a document to a tree of values, and from a tree to the API's types; each refusal with its line in the file.
//!
//! Stricter than the parsers below it, since what they let pass would be read otherwise than it looks: a key that stands
//! twice in a mapping, whichever it is; anchors that are used so often that a small file becomes a large tree; tags of
//! somebody's own. Merge keys (`<<`) are resolved here, as YAML 1.1 says and `kubectl` does: the mapping's own keys win
//! over merged ones, earlier ones of a list over later ones.

use std::cell::Cell;
use std::fmt;

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess,
    Visitor,
};
use serde_path_to_error::{Path, Segment};
use serde_yaml_ng::{Mapping, Value};

use crate::documents::{Document, Format};

/// What anchors may add to a document, in bytes of keys and values: 1 MiB, more than an API server stores of an object.
const MAX_EXPANSION_BYTES: usize = 1 << 20;

const MERGE: &str = "<<";

/// What is wrong with a document.
#[derive(Debug)]
pub(crate) struct Problem {
    /// Line of the file, where it is known.
    pub(crate) line: Option<usize>,
    /// What is wrong.
    pub(crate) message: String,
}

/// The tree of a document, its merge keys resolved.
pub(crate) fn tree(document: &Document<'_>) -> Result<Value, Problem> {
    // A value takes a byte of text at least, and another one that tells it from the next.
    let budget = Cell::new(2 * document.text.len() + MAX_EXPANSION_BYTES);
    let merges = Cell::new(false);
    let builder = Builder { budget: &budget, merges: &merges };
    let mut value = deserialize(document, builder)?;
    if merges.get() {
        resolve(&mut value).map_err(|message| Problem { line: Some(document.line), message })?;
    }
    Ok(value)
}

/// Reads a piece of a document's tree as one of the API's types; `steps` lead to the piece, and `line` says where something
/// stands.
pub(crate) fn typed<T: DeserializeOwned>(
    steps: &[Step],
    value: &Value,
    line: impl FnOnce(&[Step]) -> Option<usize>,
) -> Result<T, Problem> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let mut steps = steps.to_vec();
        steps.extend(path_steps(error.path()));
        let path = path_text(&steps);
        let colon = if path.is_empty() { "" } else { ": " };
        Problem { line: line(&steps), message: format!("{path}{colon}{}", error.inner()) }
    })
}

/// One step from a value to one in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Into a mapping.
    Key(String),
    /// Into a sequence.
    Index(usize),
}

/// Steps as people write them: `items[2].spec`.
pub(crate) fn path_text(steps: &[Step]) -> String {
    let mut text = String::new();
    for step in steps {
        match step {
            Step::Key(key) if text.is_empty() => text.push_str(key),
            Step::Key(key) => text.extend([".", key]),
            Step::Index(index) => text.push_str(&format!("[{index}]")),
        }
    }
    text
}

fn path_steps(path: &Path) -> impl Iterator<Item = Step> {
    path.iter().filter_map(|segment| match segment {
        Segment::Map { key } => Some(Step::Key(key.clone())),
        Segment::Seq { index } => Some(Step::Index(*index)),
        Segment::Enum { .. } | Segment::Unknown => None,
    })
}

/// Parses a document. Positions in messages are counted from the start of the file.
pub(crate) fn deserialize<'de, S: DeserializeSeed<'de>>(
    document: &Document<'de>,
    seed: S,
) -> Result<S::Value, Problem> {
    let problem = |line: Option<usize>, message: String| {
        // Where something is missing at the end, a parser may name the line behind the last one.
        let line = line.unwrap_or(1).clamp(1, document.text.lines().count().max(1));
        let before = document.line - 1;
        Problem { line: Some(before + line), message: shift_lines(&message, before) }
    };
    match document.format {
        Format::Yaml => seed
            .deserialize(serde_yaml_ng::Deserializer::from_str(document.text))
            .map_err(|error| problem(error.location().map(|at| at.line()), error.to_string())),
        Format::Json => {
            let mut json = serde_json::Deserializer::from_str(document.text);
            seed.deserialize(&mut json)
                .and_then(|value| json.end().map(|()| value))
                .map_err(|error| problem(Some(error.line()), error.to_string()))
        }
    }
}

/// Adds to the line numbers that a parser's message names as `line 2 column 3`.
fn shift_lines(message: &str, by: usize) -> String {
    let mut parts = message.split("line ");
    let mut shifted = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, rest) = part.split_at(digits);
        match number.parse::<usize>() {
            Ok(number) if rest.starts_with(" column ") => {
                shifted.push_str(&format!("line {}{rest}", number + by));
            }
            _ => shifted.extend(["line ", part]),
        }
    }
    shifted
}

/// Builds a tree out of what a parser finds.
#[derive(Clone, Copy)]
struct Builder<'a> {
    /// Bytes that the tree may still take.
    budget: &'a Cell<usize>,
    /// Whether a merge key was seen.
    merges: &'a Cell<bool>,
}

impl Builder<'_> {
    fn spend<E: serde::de::Error>(self, bytes: usize) -> Result<(), E> {
        let left = self.budget.get().checked_sub(bytes);
        let left = left.ok_or_else(|| {
            E::custom(format_args!(
                "anchors make more than {MAX_EXPANSION_BYTES} bytes of this document: write them out"
            ))
        })?;
        self.budget.set(left);
        Ok(())
    }

    fn scalar<E: serde::de::Error>(self, value: impl Into<Value>) -> Result<Value, E> {
        self.spend(1)?;
        Ok(value.into())
    }
}

impl<'de> DeserializeSeed<'de> for Builder<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Builder<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Value, E> {
        self.scalar(value)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Value, E> {
        self.scalar(value)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        self.scalar(value)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        self.scalar(value)
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        self.spend(value.len())?;
        self.scalar(value)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Value, E> {
        self.scalar(Value::Null)
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<Value, E> {
        self.scalar(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<Value, A::Error> {
        let (tag, _) = data.variant::<String>()?;
        Err(A::Error::custom(format_args!("the tag {tag:?} means nothing here")))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.spend(1)?;
        let mut sequence = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            sequence.push(item);
        }
        Ok(Value::Sequence(sequence))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        self.spend(1)?;
        let mut mapping = Mapping::new();
        while let Some(key) = entries.next_key_seed(Key { builder: self, mapping: &mapping })? {
            let value = entries.next_value_seed(self)?;
            mapping.insert(key.into(), value);
        }
        Ok(Value::Mapping(mapping))
    }
}

/// Reads a key: a string in the API; numbers and the like are taken as they are written.
struct Key<'a> {
    builder: Builder<'a>,
    /// What the mapping has already.
    mapping: &'a Mapping,
}

impl Key<'_> {
    fn key<E: serde::de::Error>(self, key: String) -> Result<String, E> {
        self.builder.spend(1 + key.len())?;
        if self.mapping.contains_key(&key) {
            return Err(E::custom(format_args!("the key {key:?} is there twice")));
        }
        if key == MERGE {
            self.builder.merges.set(true);
        }
        Ok(key)
    }
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Key<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key of one word")
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<String, E> {
        self.key(value.to_string())
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<String, E> {
        self.key(value.to_string())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<String, E> {
        self.key(value.to_string())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<String, E> {
        self.key(value.to_string())
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<String, E> {
        self.key(value.to_owned())
    }
}

/// Puts what merge keys name into their mappings, the innermost first, as what is merged may have merge keys too.
fn resolve(value: &mut Value) -> Result<(), String> {
    match value {
        Value::Sequence(items) => items.iter_mut().try_for_each(resolve),
        Value::Mapping(mapping) => {
            mapping.values_mut().try_for_each(resolve)?;
            let merged = match mapping.remove(MERGE) {
                None => return Ok(()),
                Some(Value::Sequence(items)) => items,
                Some(one) => vec![one],
            };
            for one in merged {
                let Value::Mapping(entries) = one else {
                    return Err(format!("{MERGE:?} merges something that is no mapping"));
                };
                for (key, value) in entries {
                    mapping.entry(key).or_insert(value);
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}
