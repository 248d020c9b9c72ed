//! Where one message ends and the next begins (RFC 4271 section 4.1).

use super::encode::MAX_MESSAGE;
use super::notification::{Notification, code};

/// Octets of a header: marker, length, type.
const HEADER: usize = 19;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// OPEN.
    Open,
    /// UPDATE.
    Update,
    /// NOTIFICATION.
    Notification,
    /// KEEPALIVE.
    Keepalive,
    /// ROUTE-REFRESH (RFC 2918).
    Refresh,
}

impl Kind {
    /// The least octets of one, with the header.
    fn shortest(self) -> usize {
        match self {
            Self::Open => 29,
            Self::Update => 23,
            Self::Notification => 21,
            Self::Keepalive => HEADER,
            Self::Refresh => 23,
        }
    }

    fn longest(self) -> usize {
        if self == Self::Keepalive { HEADER } else { MAX_MESSAGE }
    }
}

/// Cuts a stream of bytes into messages. It never holds more than one message that is not whole yet, and what it was given
/// last.
#[derive(Debug, Default)]
pub struct Framer {
    bytes: Vec<u8>,
    /// How many of them have been taken.
    taken: usize,
}

impl Framer {
    /// Takes what arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole message: its kind, and what follows its header.
    ///
    /// # Errors
    /// What has arrived is no message of BGP; the connection cannot be used any longer.
    pub fn next_message(&mut self) -> Result<Option<(Kind, &[u8])>, Notification> {
        let rest = &self.bytes[self.taken..];
        let marker = &rest[..rest.len().min(16)];
        if marker.iter().any(|&octet| octet != 0xff) {
            return Err(Notification::new(code::HEADER, code::NOT_SYNCHRONIZED));
        }
        let Some(&[high, low, kind]) = rest.get(16..HEADER) else { return Ok(None) };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let kind = match kind {
            1 => Kind::Open,
            2 => Kind::Update,
            3 => Kind::Notification,
            4 => Kind::Keepalive,
            5 => Kind::Refresh,
            _ => return Err(Notification::with(code::HEADER, code::BAD_TYPE, &[kind])),
        };
        if !(kind.shortest()..=kind.longest()).contains(&length) {
            return Err(Notification::with(code::HEADER, code::BAD_LENGTH, &[high, low]));
        }
        let Some(message) = rest.get(HEADER..length) else { return Ok(None) };
        self.taken += length;
        Ok(Some((kind, message)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEPALIVE: [u8; 19] = {
        let mut bytes = [0xff; 19];
        (bytes[16], bytes[17], bytes[18]) = (0, 19, 4);
        bytes
    };

    #[test]
    fn messages_are_found_wherever_the_stream_is_cut() {
        let stream: Vec<u8> = KEEPALIVE.repeat(3);
        for cut in 0..stream.len() {
            let mut framer = Framer::default();
            let mut found = 0;
            for part in [&stream[..cut], &stream[cut..]] {
                framer.push(part);
                while let Some((kind, body)) = framer.next_message().unwrap() {
                    assert_eq!((kind, body.len()), (Kind::Keepalive, 0));
                    found += 1;
                }
            }
            assert_eq!(found, 3, "cut at {cut}");
        }
    }

    #[test]
    fn what_is_no_message_is_refused_as_early_as_it_shows() {
        let mut framer = Framer::default();
        framer.push(b"GET / HTTP/1.1");
        assert_eq!(framer.next_message().unwrap_err().subcode, code::NOT_SYNCHRONIZED);
        let refused = |change: fn(&mut [u8; 19])| {
            let (mut bytes, mut framer) = (KEEPALIVE, Framer::default());
            change(&mut bytes);
            framer.push(&bytes);
            framer.next_message().unwrap_err().subcode
        };
        assert_eq!(refused(|b| b[17] = 18), code::BAD_LENGTH);
        assert_eq!(refused(|b| b[17] = 20), code::BAD_LENGTH);
        assert_eq!(refused(|b| (b[16], b[18]) = (0x10, 2)), code::BAD_LENGTH);
        assert_eq!(refused(|b| b[18] = 6), code::BAD_TYPE);
    }
}
