//! Why sessions end.

use std::fmt;

use crate::wire::Notification;

/// Why a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It could not connect; what the system said.
    NotConnected(String),
    /// The connection broke; what the system said.
    Broken(String),
    /// The peer closed the connection.
    Closed,
    /// The peer did not answer.
    Silent,
    /// This speaker ended it.
    Sent(Notification),
    /// The peer ended it.
    Received(Notification),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConnected(why) => write!(f, "cannot connect: {why}"),
            Self::Broken(why) => write!(f, "the connection broke: {why}"),
            Self::Closed => f.write_str("the peer closed the connection"),
            Self::Silent => f.write_str("the peer does not answer"),
            Self::Sent(notification) => write!(f, "ended from here: {notification}"),
            Self::Received(notification) => write!(f, "ended by the peer: {notification}"),
        }
    }
}
