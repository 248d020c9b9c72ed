//! What is wrong with a file.

use std::path::PathBuf;

use thiserror::Error;

/// What is wrong with the files; their author, or whoever keeps the machine, has to mend them.
#[derive(Debug, Error)]
pub enum SourceError {
    /// Files cannot be read, or do not say what they should. Every fault found is listed.
    #[error("{}", list(.0))]
    Faults(Vec<Fault>),
}

/// One fault in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub path: PathBuf,
    /// Line, where it is known.
    pub line: Option<usize>,
    /// What is wrong, and with what.
    pub message: String,
}

impl Fault {
    /// A fault of a file as a whole.
    pub(crate) fn of(path: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self { path: path.into(), line: None, message: message.into() }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.path.display(), self.message),
            None => write!(f, "{}: {}", self.path.display(), self.message),
        }
    }
}

fn list(faults: &[Fault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
