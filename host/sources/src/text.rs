//! From the bytes of a file to its text: a limit on its size, and the encodings that editors on other systems leave.
//!
//! UTF-8 with or without a byte order mark, UTF-16 with one. Other bytes are a fault, never guessed at.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::fcntl::OFlag;

use crate::error::Fault;
use crate::look::Stamp;

/// Bytes of the largest file that is read, a manifest or a node file: 64 MiB.
pub const MAX_FILE_BYTES: u64 = 64 << 20;

/// Why a file's text could not be had.
#[derive(Debug)]
pub(crate) enum Unread {
    /// It is another file than was looked at, or gone, or changed while it was read: it has to be looked at again.
    Moved,
    /// The kernel refuses; the same file may be readable later.
    Refused(Fault),
    /// It holds what will be wrong until it is written anew.
    Wrong(Fault),
}

/// Reads the file that had this stamp when it was looked at.
pub(crate) fn read(path: &Path, stamp: &Stamp) -> Result<String, Unread> {
    let fault = |line, message| Fault { path: path.to_owned(), line, message };
    let refused = |error: std::io::Error| {
        Unread::Refused(fault(None, format!("cannot be read: {}", plain(&error))))
    };
    if stamp.bytes > MAX_FILE_BYTES {
        let message = format!(
            "has {} bytes, more than the {MAX_FILE_BYTES} that a file may have: split it",
            stamp.bytes
        );
        return Err(Unread::Wrong(fault(None, message)));
    }
    // What was a file a moment ago may be a pipe by now, which would be waited for.
    let opened = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path);
    let file = opened.map_err(|error| match error.kind() {
        ErrorKind::NotFound => Unread::Moved,
        _ => refused(error),
    })?;
    let unmoved = || {
        let now = Stamp::of(&file.metadata().map_err(refused)?);
        if now == *stamp { Ok(()) } else { Err(Unread::Moved) }
    };
    unmoved()?;
    let mut bytes = Vec::new();
    (&file).take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(refused)?;
    unmoved()?;
    decode(bytes).map_err(|(line, message)| Unread::Wrong(fault(line, message)))
}

/// What an I/O error says, without the number.
pub(crate) fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split_once(" (os error").map_or(text.as_str(), |(text, _)| text).to_owned()
}

/// The text of a file, without a byte order mark at its start. The error has the line, as far as there is one.
pub(crate) fn decode(bytes: Vec<u8>) -> Result<String, (Option<usize>, String)> {
    match bytes.as_slice() {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => {
            Err((None, "is UTF-32; write it as UTF-8".to_owned()))
        }
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ => {
            let mut text = String::from_utf8(bytes).map_err(|error| {
                let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
                (Some(1 + newlines(good)), "is not UTF-8".to_owned())
            })?;
            if text.starts_with('\u{feff}') {
                text.drain(..'\u{feff}'.len_utf8());
            }
            Ok(text)
        }
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, (Option<usize>, String)> {
    let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    let mut text = String::with_capacity(bytes.len() / 2);
    for character in char::decode_utf16(units) {
        let Ok(character) = character else {
            let line = 1 + newlines(text.as_bytes());
            return Err((Some(line), "is UTF-16 with half a character".to_owned()));
        };
        text.push(character);
    }
    if bytes.len() % 2 == 1 {
        return Err((None, "is UTF-16 with half a character at its end".to_owned()));
    }
    Ok(text)
}

fn newlines(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn the_encodings_of_other_systems_are_read() {
        let text = "a: \u{e9}\n\u{1f600}\n";
        for bytes in [
            text.as_bytes().to_vec(),
            format!("\u{feff}{text}").into_bytes(),
            encoded(&format!("\u{feff}{text}"), u16::to_le_bytes),
            encoded(&format!("\u{feff}{text}"), u16::to_be_bytes),
        ] {
            assert_eq!(decode(bytes).unwrap(), text);
        }
        assert_eq!(decode(Vec::new()).unwrap(), "");
        assert_eq!(decode(vec![0xff, 0xfe]).unwrap(), "");
    }

    #[test]
    fn other_bytes_are_a_fault_with_a_line() {
        let fault = |bytes: &[u8]| decode(bytes.to_vec()).unwrap_err();
        assert_eq!(fault(b"a\nb\n\xff"), (Some(3), "is not UTF-8".to_owned()));
        assert!(fault(b"\xff\xfea\0\n\0\x00\xd8b\0").1.contains("half a character"));
        assert_eq!(fault(b"\xff\xfea\0\n\0\x00\xd8b\0").0, Some(2));
        assert!(fault(b"\xfe\xff\0a\0").1.contains("at its end"));
        assert!(fault(b"\xff\xfe\0\0a\0\0\0").1.contains("UTF-32"));
    }
}
