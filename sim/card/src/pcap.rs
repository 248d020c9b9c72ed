//! Capture files (classic pcap of Ethernet frames): either byte order and both time resolutions are read, nanoseconds are
//! written.
//!
//! The crate `pcap-file` knows the form; this says which files are taken, and names the record at fault. A fraction of a
//! second that is none, a length that contradicts another, or a file that ends within a record is damage. A frame that is
//! longer than the snap length of the file's header, or of which the capture holds only a part, is not.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::Duration;

use byteorder::LittleEndian;
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapReader};
use pcap_file::{DataLink, Endianness, PcapError, TsResolution};

/// Longest frame written whole.
const SNAP_BYTES: u32 = 1 << 18;
/// Last time that the form can hold: in the year 2106.
pub const TIME_MAX: Duration = Duration::new(u32::MAX as u64, 999_999_999);
/// Of the header's word with the link type the lower half; the upper one is about check sums.
const LINK_TYPE_MASK: u32 = 0xffff;

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
pub struct Reader {
    inner: PcapReader<File>,
    /// The same open file.
    file: File,
    nanos_per_unit: u64,
    /// Records read.
    records: u64,
}

fn invalid(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

impl Reader {
    /// Opens a capture and reads its header.
    ///
    /// # Errors
    /// The operating system's; `InvalidData` when it is not a pcap file of Ethernet frames.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let inner = PcapReader::new(file.try_clone()?).map_err(|error| match error {
            PcapError::IoError(error) if error.kind() != io::ErrorKind::UnexpectedEof => error,
            PcapError::InvalidField(_) => {
                invalid("not a pcap file (convert pcapng with `editcap -F pcap`)")
            }
            error => invalid(format!("no pcap header: {error}")),
        })?;
        let header = inner.header();
        if DataLink::from(u32::from(header.datalink) & LINK_TYPE_MASK) != DataLink::ETHERNET {
            return Err(invalid(format!("link type {:?} is not Ethernet", header.datalink)));
        }
        let nanos_per_unit = match header.ts_resolution {
            TsResolution::MicroSecond => 1_000,
            TsResolution::NanoSecond => 1,
        };
        Ok(Self { inner, file, nanos_per_unit, records: 0 })
    }

    /// The next frame; `None` at the end.
    ///
    /// # Errors
    /// `InvalidData` when the file is cut or damaged.
    pub fn next_packet(&mut self) -> io::Result<Option<Packet>> {
        // The crate's own checks refuse a frame that was longer than the snap length, which is no fault of the file.
        let Some(record) = self.inner.next_raw_packet() else { return Ok(None) };
        self.records += 1;
        let damaged = |why: String| invalid(format!("record {} is damaged: {why}", self.records));
        let record = record.map_err(|error| match error {
            PcapError::IoError(error) if error.kind() != io::ErrorKind::UnexpectedEof => error,
            PcapError::IoError(_) => damaged("the file ends within it".to_owned()),
            error => damaged(error.to_string()),
        })?;
        let (seconds, bytes, original_bytes) = (record.ts_sec, record.incl_len, record.orig_len);
        let nanos = u64::from(record.ts_frac) * self.nanos_per_unit;
        if nanos >= 1_000_000_000 {
            return Err(damaged(format!("its time stamp is {seconds} s and {nanos} ns")));
        }
        if bytes > original_bytes {
            return Err(damaged(format!("it holds {bytes} bytes of {original_bytes}")));
        }
        let time = Duration::from_secs(seconds.into()) + Duration::from_nanos(nanos);
        Ok(Some(Packet { time, data: record.data.into_owned(), original_bytes }))
    }
}

impl AsFd for Reader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Writes a capture with nanosecond time stamps.
#[derive(Debug)]
pub struct Writer {
    inner: BufWriter<File>,
}

impl Writer {
    /// Makes a file, anew if there is one, and writes its header.
    ///
    /// # Errors
    /// The operating system's.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut inner = BufWriter::new(File::create(path)?);
        let header = PcapHeader {
            snaplen: SNAP_BYTES,
            datalink: DataLink::ETHERNET,
            ts_resolution: TsResolution::NanoSecond,
            endianness: Endianness::Little,
            ..PcapHeader::default()
        };
        header.write_to(&mut inner).map_err(plain)?;
        inner.flush()?;
        Ok(Self { inner })
    }

    /// Appends a frame; times after [`TIME_MAX`] count as that.
    ///
    /// # Errors
    /// The operating system's; `InvalidData` if the frame is longer than any.
    pub fn write(&mut self, time: Duration, frame: &[u8]) -> io::Result<()> {
        let bytes = u32::try_from(frame.len()).map_err(|_| invalid("frame too long"))?;
        let packet = PcapPacket::new(time.min(TIME_MAX), bytes, frame);
        let (inner, resolution) = (&mut self.inner, TsResolution::NanoSecond);
        packet.write_to::<_, LittleEndian>(inner, resolution, SNAP_BYTES).map_err(plain)?;
        Ok(())
    }

    /// Brings the frames written so far into the file, which is whole then.
    ///
    /// # Errors
    /// The operating system's.
    pub fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn plain(error: PcapError) -> io::Error {
    match error {
        PcapError::IoError(error) => error,
        error => invalid(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.pcap");
        let mut writer = Writer::create(&path).unwrap();
        writer.write(Duration::new(5, 7), &[1, 2, 3]).unwrap();
        writer.write(TIME_MAX + Duration::from_nanos(1), &[9; 1500]).unwrap();
        writer.flush().unwrap();
        let mut reader = Reader::open(&path).unwrap();
        let first = reader.next_packet().unwrap().unwrap();
        assert_eq!(
            first,
            Packet { time: Duration::new(5, 7), data: vec![1, 2, 3], original_bytes: 3 }
        );
        let second = reader.next_packet().unwrap().unwrap();
        assert_eq!((second.time, second.data.len()), (TIME_MAX, 1500));
        assert_eq!(reader.next_packet().unwrap(), None);
        let file = fs::read(&path).unwrap();
        fs::write(&path, &file[..file.len() - 1]).unwrap();
        let mut cut = Reader::open(&path).unwrap();
        cut.next_packet().unwrap();
        let error = cut.next_packet().unwrap_err().to_string();
        assert_eq!(error, "record 2 is damaged: the file ends within it");
    }

    #[test]
    fn other_files_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.pcap");
        let mut token_ring = [0; 24];
        token_ring[..4].copy_from_slice(&0xa1b2_c3d4_u32.to_be_bytes());
        token_ring[23] = 6;
        for (bytes, why) in [
            (&b"GIF89a"[..], "no pcap header"),
            (&[0x0a, 0x0d, 0x0d, 0x0a].repeat(8), "editcap"),
            (&token_ring, "not Ethernet"),
        ] {
            fs::write(&path, bytes).unwrap();
            let error = Reader::open(&path).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn big_endian_microseconds() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.pcap");
        let mut file = Vec::new();
        // Frames with check sums of four bytes, as the upper half of the link type says.
        for half in [0xa1b2_c3d4, 0, 0, 0, 65535, 0x5000_0001, 1, 500_000, 2, 2] {
            file.extend_from_slice(&u32::to_be_bytes(half));
        }
        file.extend_from_slice(&[0xaa, 0xbb]);
        fs::write(&path, file).unwrap();
        let packet = Reader::open(&path).unwrap().next_packet().unwrap().unwrap();
        assert_eq!((packet.time, packet.data), (Duration::from_millis(1500), vec![0xaa, 0xbb]));
    }
}
