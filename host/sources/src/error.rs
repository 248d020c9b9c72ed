//! What is wrong with files.

use std::fmt;
use std::path::{Path, PathBuf};

use penstock_model::{Finding, ObjectId, Reason};
use thiserror::Error;

/// What is wrong with the files; their author, or whoever keeps the machine, has to mend them.
#[derive(Debug, Error)]
pub enum SourceError {
    /// Files cannot be read, or objects do not say what they should. All that was found is listed.
    #[error("{}", list(.0))]
    Findings(Vec<(ObjectId, Finding)>),
}

/// One fault in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The file.
    pub(crate) path: PathBuf,
    /// Line, where it is known.
    pub(crate) line: Option<usize>,
    /// What is wrong, and with what.
    pub(crate) message: String,
}

impl Fault {
    /// A fault of a file as a whole.
    pub(crate) fn of(path: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self { path: path.into(), line: None, message: message.into() }
    }

    pub(crate) fn reason(&self) -> Reason {
        Reason::invalid(place(&self.path, self.line), &self.message)
    }
}

/// File and line, as compilers write them.
pub(crate) fn place(path: &Path, line: Option<usize>) -> String {
    match line {
        Some(line) => format!("{}:{line}", path.display()),
        None => path.display().to_string(),
    }
}

/// What stands for a file among objects.
pub(crate) fn file_id(path: &Path) -> ObjectId {
    ObjectId::other("file", path.display().to_string())
}

fn list(findings: &[(ObjectId, Finding)]) -> String {
    findings
        .iter()
        .map(|(id, finding)| Line(id, finding).to_string())
        .collect::<Vec<_>>()
        .join("\n")
}

/// A finding with the place first, as far as there is one.
struct Line<'a>(&'a ObjectId, &'a Finding);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(id, finding) = self;
        match (id, &finding.reason) {
            (ObjectId::Other { .. }, Reason::Invalid { place, text }) => {
                write!(f, "{place}: {text}")
            }
            (_, Reason::Invalid { place, text }) if !place.is_empty() => {
                write!(f, "{place}: {id}: {text}")
            }
            (_, reason) => write!(f, "{id}: {reason}"),
        }
    }
}
