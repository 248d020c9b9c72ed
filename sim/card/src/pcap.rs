//! Classic capture files (pcap, Ethernet): both byte orders and both time resolutions are read, nanoseconds are written.

use std::io::{self, BufReader, BufWriter, Read, Write};
use std::time::Duration;

const MAGIC_MICROS: u32 = 0xa1b2_c3d4;
const MAGIC_NANOS: u32 = 0xa1b2_3c4d;
const LINKTYPE_ETHERNET: u32 = 1;
const SNAPLEN: u32 = 1 << 18;

/// A captured frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Time stamp since the epoch.
    pub time: Duration,
    /// Bytes captured.
    pub data: Vec<u8>,
    /// Bytes that the frame had; more than `data` when it was cut.
    pub original_bytes: u32,
}

/// Reads a capture.
#[derive(Debug)]
pub struct Reader<R: Read> {
    inner: BufReader<R>,
    swapped: bool,
    nanos: bool,
}

fn invalid(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

impl<R: Read> Reader<R> {
    /// Reads the file's header.
    ///
    /// # Errors
    /// `InvalidData` when it is not a pcap file of Ethernet frames.
    pub fn new(inner: R) -> io::Result<Self> {
        let mut reader = Self { inner: BufReader::new(inner), swapped: false, nanos: false };
        let mut header = [0; 24];
        reader
            .inner
            .read_exact(&mut header)
            .map_err(|e| invalid(format!("no pcap header: {e}")))?;
        let magic = word(&header, 0);
        (reader.swapped, reader.nanos) = match magic {
            MAGIC_MICROS => (false, false),
            MAGIC_NANOS => (false, true),
            m if m.swap_bytes() == MAGIC_MICROS => (true, false),
            m if m.swap_bytes() == MAGIC_NANOS => (true, true),
            _ => {
                return Err(invalid(
                    "not a pcap file (pcapng is not supported; convert it with `editcap -F pcap`)",
                ));
            }
        };
        let link = reader.order(word(&header, 20)) & 0xffff;
        if link == LINKTYPE_ETHERNET {
            Ok(reader)
        } else {
            Err(invalid(format!("link type {link} is not Ethernet")))
        }
    }

    fn order(&self, value: u32) -> u32 {
        if self.swapped { value.swap_bytes() } else { value }
    }

    /// The underlying file.
    pub fn get_ref(&self) -> &R {
        self.inner.get_ref()
    }

    /// The next frame; `None` at the end.
    ///
    /// # Errors
    /// `InvalidData` when the file is cut or damaged.
    pub fn next_packet(&mut self) -> io::Result<Option<Packet>> {
        let mut header = [0; 16];
        let mut have = 0;
        while have < header.len() {
            match self.inner.read(&mut header[have..])? {
                0 if have == 0 => return Ok(None),
                0 => return Err(invalid("the capture ends within a record")),
                bytes => have += bytes,
            }
        }
        let [seconds, fraction, captured, original_bytes] =
            [0, 4, 8, 12].map(|at| self.order(word(&header, at)));
        if captured > SNAPLEN {
            return Err(invalid(format!("a record claims {captured} bytes")));
        }
        let mut data = vec![0; captured as usize];
        self.inner
            .read_exact(&mut data)
            .map_err(|_| invalid("the capture ends within a record"))?;
        let nanos = if self.nanos { fraction } else { fraction.saturating_mul(1000) };
        Ok(Some(Packet { time: Duration::new(seconds.into(), nanos), data, original_bytes }))
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Writes a capture with nanosecond time stamps. Each record is flushed, so that the file is whole at any time.
#[derive(Debug)]
pub struct Writer<W: Write> {
    inner: BufWriter<W>,
}

impl<W: Write> Writer<W> {
    /// Writes the file's header.
    ///
    /// # Errors
    /// The operating system's.
    pub fn new(inner: W) -> io::Result<Self> {
        let mut inner = BufWriter::new(inner);
        for half in [MAGIC_NANOS, 2 | 4 << 16, 0, 0, SNAPLEN, LINKTYPE_ETHERNET] {
            inner.write_all(&half.to_le_bytes())?;
        }
        inner.flush()?;
        Ok(Self { inner })
    }

    /// Appends a frame.
    ///
    /// # Errors
    /// The operating system's.
    pub fn write(&mut self, time: Duration, frame: &[u8]) -> io::Result<()> {
        let bytes = u32::try_from(frame.len()).map_err(|_| invalid("frame too long"))?;
        let seconds = u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        for value in [seconds, time.subsec_nanos(), bytes, bytes] {
            self.inner.write_all(&value.to_le_bytes())?;
        }
        self.inner.write_all(frame)?;
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut file = Vec::new();
        let mut writer = Writer::new(&mut file).unwrap();
        writer.write(Duration::new(5, 7), &[1, 2, 3]).unwrap();
        writer.write(Duration::new(6, 0), &[9; 1500]).unwrap();
        drop(writer);
        let mut reader = Reader::new(&file[..]).unwrap();
        let first = reader.next_packet().unwrap().unwrap();
        assert_eq!(
            first,
            Packet { time: Duration::new(5, 7), data: vec![1, 2, 3], original_bytes: 3 }
        );
        assert_eq!(reader.next_packet().unwrap().unwrap().data.len(), 1500);
        assert_eq!(reader.next_packet().unwrap(), None);
        let mut cut = Reader::new(&file[..file.len() - 1]).unwrap();
        cut.next_packet().unwrap();
        assert!(cut.next_packet().is_err());
        assert!(Reader::new(&b"GIF89a"[..]).is_err());
    }

    #[test]
    fn big_endian_microseconds() {
        let mut file = Vec::new();
        for half in [MAGIC_MICROS, 0, 0, 0, 65535, 1, 1, 500_000, 2, 2] {
            file.extend_from_slice(&u32::to_be_bytes(half));
        }
        file.extend_from_slice(&[0xaa, 0xbb]);
        let packet = Reader::new(&file[..]).unwrap().next_packet().unwrap().unwrap();
        assert_eq!((packet.time, packet.data), (Duration::from_millis(1500), vec![0xaa, 0xbb]));
    }
}
