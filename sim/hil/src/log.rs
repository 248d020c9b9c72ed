//! The one log of a scenario: what the card, the virtual machine's console, the guest's commands and the checks said, in the
//! order in which it happened, with the time since the start and who said it.
//!
//! ```text
//!   3.114 card    | ready
//!   6.720 console | [    2.731401] VFIO - User Level meta-driver version: 0.3
//!   7.003 guest   | $ penstock card list
//! ```

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result};

/// Handle of a log; clones write to the same file.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    file: Arc<Mutex<File>>,
    path: PathBuf,
    start: Instant,
}

impl Log {
    /// Starts the log at `path` anew.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let file =
            File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { file: Arc::new(Mutex::new(file)), path: path.to_owned(), start: Instant::now() })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a line.
    pub(crate) fn line(&self, who: &str, text: &str) {
        let seconds = self.start.elapsed().as_secs_f64();
        let text = text.trim_end_matches(['\r', '\n']);
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // A log that cannot be written is no reason to fail what it tells of.
        let _ = writeln!(file, "{seconds:8.3} {who:<7} | {text}");
    }

    /// Adds every line of `stream` from a thread of its own, until it ends; `each` sees them too.
    pub(crate) fn follow(
        &self,
        who: &'static str,
        stream: impl Read + Send + 'static,
        mut each: impl FnMut(&str) + Send + 'static,
    ) {
        let log = self.clone();
        thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while stream.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
                let text = String::from_utf8_lossy(&line);
                log.line(who, &text);
                each(text.trim_end_matches(['\r', '\n']));
                line.clear();
            }
        });
    }
}
