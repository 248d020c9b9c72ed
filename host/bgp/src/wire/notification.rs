//! Why a session ends (RFC 4271 section 4.5).

use std::fmt;

/// Codes and subcodes that this speaker sends or understands.
pub mod code {
    /// Message header error.
    pub const HEADER: u8 = 1;
    /// OPEN message error.
    pub const OPEN: u8 = 2;
    /// UPDATE message error.
    pub const UPDATE: u8 = 3;
    /// Hold timer expired.
    pub const HOLD_TIMER: u8 = 4;
    /// Finite state machine error (RFC 6608).
    pub const STATE_MACHINE: u8 = 5;
    /// Cease (RFC 4486).
    pub const CEASE: u8 = 6;
    /// ROUTE-REFRESH message error (RFC 7313).
    pub const REFRESH: u8 = 7;

    /// Of [`HEADER`]: the marker is not all ones.
    pub const NOT_SYNCHRONIZED: u8 = 1;
    /// Of [`HEADER`].
    pub const BAD_LENGTH: u8 = 2;
    /// Of [`HEADER`].
    pub const BAD_TYPE: u8 = 3;
    /// Of [`OPEN`].
    pub const UNSUPPORTED_VERSION: u8 = 1;
    /// Of [`OPEN`].
    pub const BAD_PEER_AS: u8 = 2;
    /// Of [`OPEN`].
    pub const BAD_IDENTIFIER: u8 = 3;
    /// Of [`OPEN`].
    pub const UNSUPPORTED_PARAMETER: u8 = 4;
    /// Of [`OPEN`].
    pub const UNACCEPTABLE_HOLD_TIME: u8 = 6;
    /// Of [`OPEN`] (RFC 5492).
    pub const UNSUPPORTED_CAPABILITY: u8 = 7;
    /// Of [`UPDATE`].
    pub const MALFORMED_LIST: u8 = 1;
    /// Of [`UPDATE`].
    pub const UNRECOGNIZED_WELL_KNOWN: u8 = 2;
    /// Of [`UPDATE`].
    pub const OPTIONAL_ATTRIBUTE: u8 = 9;
    /// Of [`UPDATE`].
    pub const INVALID_NETWORK: u8 = 10;
    /// Of [`CEASE`].
    pub const SHUTDOWN: u8 = 2;
    /// Of [`CEASE`]: not even a peer that keeps routes for a restart is to keep these (RFC 8538).
    pub const HARD_RESET: u8 = 9;
}

/// A NOTIFICATION, sent or received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// What sort of error.
    pub code: u8,
    /// Which one.
    pub subcode: u8,
    /// What was wrong, octet by octet.
    pub data: Box<[u8]>,
}

impl Notification {
    /// One that says no more than its codes.
    #[must_use]
    pub fn new(code: u8, subcode: u8) -> Self {
        Self::with(code, subcode, &[])
    }

    /// One with data.
    #[must_use]
    pub fn with(code: u8, subcode: u8, data: &[u8]) -> Self {
        Self { code, subcode, data: data.into() }
    }

    /// What follows the header of a received one; the framer saw to its length.
    #[must_use]
    pub fn decode(body: &[u8]) -> Self {
        match body {
            [code, subcode, data @ ..] => Self::with(*code, *subcode, data),
            _ => Self::new(0, 0),
        }
    }

    /// Whether it says that nothing is to be kept, whatever was agreed (RFC 8538 section 3.1).
    #[must_use]
    pub fn is_hard(&self) -> bool {
        (self.code, self.subcode) == (code::CEASE, code::HARD_RESET)
    }
}

impl fmt::Display for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match (self.code, self.subcode) {
            (code::HEADER, code::NOT_SYNCHRONIZED) => "message header: not synchronized",
            (code::HEADER, code::BAD_LENGTH) => "message header: bad length",
            (code::HEADER, code::BAD_TYPE) => "message header: bad type",
            (code::HEADER, _) => "message header",
            (code::OPEN, code::UNSUPPORTED_VERSION) => "OPEN: unsupported version",
            (code::OPEN, code::BAD_PEER_AS) => "OPEN: bad peer AS",
            (code::OPEN, code::BAD_IDENTIFIER) => "OPEN: bad BGP identifier",
            (code::OPEN, code::UNSUPPORTED_PARAMETER) => "OPEN: unsupported parameter",
            (code::OPEN, code::UNACCEPTABLE_HOLD_TIME) => "OPEN: unacceptable hold time",
            (code::OPEN, code::UNSUPPORTED_CAPABILITY) => "OPEN: a capability is missing",
            (code::OPEN, _) => "OPEN",
            (code::UPDATE, code::MALFORMED_LIST) => "UPDATE: malformed attribute list",
            (code::UPDATE, code::UNRECOGNIZED_WELL_KNOWN) => "UPDATE: unknown well-known attribute",
            (code::UPDATE, code::OPTIONAL_ATTRIBUTE) => "UPDATE: optional attribute",
            (code::UPDATE, code::INVALID_NETWORK) => "UPDATE: invalid network",
            (code::UPDATE, _) => "UPDATE",
            (code::HOLD_TIMER, _) => "hold timer expired",
            (code::STATE_MACHINE, _) => "message out of turn",
            (code::CEASE, 1) => "cease: too many prefixes",
            (code::CEASE, code::SHUTDOWN) => "cease: administrative shutdown",
            (code::CEASE, 3) => "cease: peer removed",
            (code::CEASE, 4) => "cease: administrative reset",
            (code::CEASE, 5) => "cease: connection rejected",
            (code::CEASE, 6) => "cease: configuration changed",
            (code::CEASE, 7) => "cease: connections collided",
            (code::CEASE, 8) => "cease: out of resources",
            (code::CEASE, code::HARD_RESET) => "cease: hard reset",
            (code::CEASE, _) => "cease",
            (code::REFRESH, _) => "ROUTE-REFRESH",
            _ => "unknown error",
        };
        write!(f, "{text} ({}/{})", self.code, self.subcode)
    }
}
