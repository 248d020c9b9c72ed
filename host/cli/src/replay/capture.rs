//! Capture files: pcap of Ethernet frames, microsecond or nanosecond time stamps, either byte order.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapReader, PcapWriter};
use pcap_file::{DataLink, PcapError, TsResolution};

/// Longest frame written whole.
const SNAP_BYTES: u32 = 1 << 18;

/// A frame and where and when it passed the card's edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Time stamp.
    pub(crate) time: Duration,
    /// vif; 0 = fabric.
    pub(crate) vif: u8,
    /// Its bytes.
    pub(crate) data: Vec<u8>,
}

/// Reads captures and merges them by time; at equal times in the order of the files.
///
/// # Errors
/// A file cannot be read or is no capture of Ethernet.
pub(crate) fn read_all(inputs: &[(u8, PathBuf)]) -> Result<Vec<Frame>> {
    let mut frames = Vec::new();
    for (vif, path) in inputs {
        read(path, *vif, &mut frames).with_context(|| format!("cannot read {}", path.display()))?;
    }
    frames.sort_by_key(|frame: &Frame| frame.time);
    Ok(frames)
}

fn read(path: &Path, vif: u8, frames: &mut Vec<Frame>) -> Result<()> {
    let mut reader = match PcapReader::new(BufReader::new(File::open(path)?)) {
        Ok(reader) => reader,
        Err(PcapError::InvalidField(_)) => {
            bail!("not a pcap file (convert pcapng with `editcap -F pcap`)")
        }
        Err(error) => return Err(error.into()),
    };
    let link = reader.header().datalink;
    if link != DataLink::ETHERNET {
        bail!("link type {link:?} is not Ethernet");
    }
    while let Some(packet) = reader.next_packet() {
        let packet = packet.with_context(|| format!("record {} is damaged", frames.len() + 1))?;
        frames.push(Frame { time: packet.timestamp, vif, data: packet.data.into_owned() });
    }
    Ok(())
}

/// Writes a capture with nanosecond time stamps.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write<'a>(path: &Path, frames: impl Iterator<Item = &'a Frame>) -> Result<()> {
    let context = || format!("cannot write {}", path.display());
    let file = BufWriter::new(File::create(path).with_context(context)?);
    let header = PcapHeader {
        snaplen: SNAP_BYTES,
        datalink: DataLink::ETHERNET,
        ts_resolution: TsResolution::NanoSecond,
        ..PcapHeader::default()
    };
    let mut writer = PcapWriter::with_header(file, header).with_context(context)?;
    for frame in frames {
        let bytes = u32::try_from(frame.data.len()).with_context(context)?;
        writer
            .write_packet(&PcapPacket::new(frame.time, bytes, &frame.data))
            .with_context(context)?;
    }
    writer.into_writer().flush().with_context(context)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn captures_merge_by_time() {
        let dir = tempfile::tempdir().unwrap();
        let frame =
            |ms, vif, byte| Frame { time: Duration::from_millis(ms), vif, data: vec![byte; 60] };
        let (a, b) = (dir.path().join("a.pcap"), dir.path().join("b.pcap"));
        write(&a, [frame(1, 3, 0xa1), frame(5, 3, 0xa2)].iter()).unwrap();
        write(&b, [frame(3, 0, 0xb1), frame(5, 0, 0xb2)].iter()).unwrap();
        let merged = read_all(&[(3, a), (0, b)]).unwrap();
        let order: Vec<u8> = merged.iter().map(|f| f.data[0]).collect();
        assert_eq!(order, [0xa1, 0xb1, 0xa2, 0xb2]);
        assert_eq!(merged[1], frame(3, 0, 0xb1));
    }

    #[test]
    fn other_files_are_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.pcap");
        std::fs::write(&path, [0x0a, 0x0d, 0x0d, 0x0a].repeat(8)).unwrap();
        let error = format!("{:#}", read_all(&[(0, path)]).unwrap_err());
        assert!(error.contains("x.pcap") && error.contains("editcap"), "{error}");
    }
}
