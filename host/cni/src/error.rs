//! Errors in CNI's words.

use std::fmt;

use serde_json::{Value, json};

/// What kind of error it is: numbers below 100 are the specification's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// A version or a command that is not spoken.
    IncompatibleVersion = 1,
    /// A field that is not served, such as an IPv6 address.
    UnsupportedField = 2,
    /// The container is not known, or not there.
    UnknownContainer = 3,
    /// An environment variable is missing or wrong.
    InvalidEnvironment = 4,
    /// Input or output failed.
    Io = 5,
    /// What was read is not JSON of the right shape.
    Decoding = 6,
    /// The network configuration is wrong.
    InvalidConfig = 7,
    /// It may work later.
    TryAgainLater = 11,
    /// STATUS: no pod can be attached at the moment.
    NotAvailable = 50,
    /// STATUS: neither, and those that are attached may be cut off.
    LimitedConnectivity = 51,
    /// All vifs or labels are in use.
    Exhausted = 100,
    /// The container is attached already, or the interface's name is taken.
    Attached = 101,
    /// An interface cannot be made, moved or set up.
    Link = 102,
    /// What CHECK found is not what ADD made.
    NotAsMade = 103,
    /// The daemon refuses.
    Refused = 104,
    /// The IPAM plugin does not work as it should.
    Ipam = 105,
}

/// An error, as the runtime gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CniError {
    /// Its number.
    pub code: u32,
    /// What is wrong, and what to do about it.
    pub msg: String,
    /// What else there is to say.
    pub details: String,
}

impl CniError {
    /// An error of a kind.
    pub fn new(code: Code, msg: impl Into<String>) -> Self {
        Self { code: code as u32, msg: msg.into(), details: String::new() }
    }

    /// The same, with what went wrong besides.
    #[must_use]
    pub fn with(mut self, details: impl fmt::Display) -> Self {
        if !self.details.is_empty() {
            self.details.push_str("; ");
        }
        self.details.push_str(&details.to_string());
        self
    }

    /// What is written for a runtime that speaks `version`.
    #[must_use]
    pub fn render(&self, version: &str) -> Value {
        let mut value = json!({ "cniVersion": version, "code": self.code, "msg": self.msg });
        if !self.details.is_empty() {
            value["details"] = self.details.clone().into();
        }
        value
    }
}

impl fmt::Display for CniError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.msg)?;
        if self.details.is_empty() { Ok(()) } else { write!(f, " ({})", self.details) }
    }
}

impl std::error::Error for CniError {}

/// An error and what caused it, as one text.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
