//! What is wrong with a file.

use std::path::PathBuf;

use thiserror::Error;

/// What is wrong with the files; their author has to mend them, unless a variant says otherwise.
#[derive(Debug, Error)]
pub enum SourceError {
    /// A file or directory cannot be read: it is missing, or its permissions are wrong.
    #[error("{path}: cannot be read")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the kernel says.
        #[source]
        source: std::io::Error,
    },
    /// A file does not say what it should. Every fault found is listed.
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
