//! What the demo prints: chapters, commands with their real output, and checks that are counted.

use std::io::IsTerminal as _;

use anyhow::{Error, Result};

/// The checks so far.
pub(crate) struct Report {
    checks: Vec<(String, bool)>,
    colour: bool,
}

impl Report {
    pub(crate) fn new() -> Self {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Report { checks: Vec::new(), colour }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Begins a chapter of the story.
    pub(crate) fn chapter(&self, title: &str) {
        println!("\n{}", self.paint("1", &format!("== {title}")));
    }

    /// Says something between outputs.
    pub(crate) fn say(&self, text: &str) {
        println!("{text}");
    }

    /// Shows a command and what it printed.
    pub(crate) fn shown(&self, place: &str, command: &str, output: &str) {
        println!("{}", self.paint("36", &format!("[{place}]$ {command}")));
        for line in output.trim_end().lines() {
            println!("  {line}");
        }
    }

    /// Records a check that held.
    pub(crate) fn pass(&mut self, what: &str) {
        println!("{} {what}", self.paint("32", "ok:"));
        self.checks.push((what.to_owned(), true));
    }

    /// Records a check that did not hold.
    pub(crate) fn fail(&mut self, what: &str, why: &Error) {
        println!("{} {what}: {why:#}", self.paint("31", "FAILED:"));
        self.checks.push((what.to_owned(), false));
    }

    /// Records a check; the story goes on either way.
    pub(crate) fn check(&mut self, what: &str, result: Result<()>) {
        match result {
            Ok(()) => self.pass(what),
            Err(why) => self.fail(what, &why),
        }
    }

    /// Prints the list of checks; true if all held.
    pub(crate) fn summary(&self) -> bool {
        self.chapter("What was checked");
        for (what, held) in &self.checks {
            let mark = if *held { self.paint("32", "ok    ") } else { self.paint("31", "FAILED") };
            println!("  {mark} {what}");
        }
        let failed = self.checks.iter().filter(|(_, held)| !held).count();
        println!("{} of {} checks held", self.checks.len() - failed, self.checks.len());
        failed == 0 && !self.checks.is_empty()
    }
}
