//! What captures hold and what is sent of it.
//!
//! Frames of one capture keep the file's order: a time stamp before that of the frame before counts as that one's. Captures are
//! merged by time. Any difference between two time stamps is a pause, be it of years. A damaged record is an error that names
//! file and record.
//!
//! A frame that the capture holds only in part (its snap length cut it) is another frame than the one that was on the wire: it
//! is left out and counted, as are records without bytes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use penstock_card::pcap::{Reader, Writer};

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

/// What captures hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Captured {
    /// Frames in the order in which they are sent.
    pub(crate) frames: Vec<Frame>,
    /// Frames that are not whole and therefore not among them.
    pub(crate) cut: u64,
    /// What was left out or changed, a line each, for people.
    pub(crate) notes: Vec<String>,
}

/// Records of one file that are not as they should be: how many, and the first one.
#[derive(Default)]
struct Odd {
    count: u64,
    first: String,
}

impl Odd {
    fn add(&mut self, first: impl FnOnce() -> String) {
        if self.count == 0 {
            self.first = first();
        }
        self.count += 1;
    }

    fn note(&self, path: &Path, what: &str, notes: &mut Vec<String>) {
        if self.count > 0 {
            let Self { count, first } = self;
            notes.push(format!("{}: {count} {what} (first: {first})", path.display()));
        }
    }
}

/// Reads captures and merges them by time; at equal times in the order of the files.
///
/// # Errors
/// A file cannot be read, is no capture of Ethernet, or is damaged.
pub(crate) fn read_all(inputs: &[(u8, PathBuf)]) -> Result<Captured> {
    let mut captured = Captured::default();
    for (vif, path) in inputs {
        read(path, *vif, &mut captured)
            .with_context(|| format!("cannot read {}", path.display()))?;
    }
    captured.frames.sort_by_key(|frame: &Frame| frame.time);
    Ok(captured)
}

fn read(path: &Path, vif: u8, captured: &mut Captured) -> Result<()> {
    let mut reader = Reader::open(path)?;
    let (mut cut, mut empty, mut early) = (Odd::default(), Odd::default(), Odd::default());
    let mut last = Duration::ZERO;
    for number in 1_u64.. {
        let Some(packet) = reader.next_packet()? else { break };
        let (bytes, wire_bytes) = (packet.data.len(), packet.original_bytes);
        if packet.time < last {
            early.add(|| format!("record {number}, {:?} back", last - packet.time));
        }
        last = last.max(packet.time);
        if bytes < wire_bytes as usize {
            cut.add(|| format!("record {number}, {bytes} of {wire_bytes} bytes"));
        } else if bytes == 0 {
            empty.add(|| format!("record {number}"));
        } else {
            captured.frames.push(Frame { time: last, vif, data: packet.data });
        }
    }
    captured.cut += cut.count;
    let notes = &mut captured.notes;
    cut.note(
        path,
        "frames were cut by the capture's snap length and not sent; capture with `tcpdump -s 0`",
        notes,
    );
    empty.note(path, "records without bytes were not sent", notes);
    early.note(
        path,
        "time stamps go back; these frames were sent at the time of the one before",
        notes,
    );
    Ok(())
}

/// Writes a capture with nanosecond time stamps.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write<'a>(path: &Path, mut frames: impl Iterator<Item = &'a Frame>) -> Result<()> {
    Writer::create(path)
        .and_then(|mut writer| {
            frames.try_for_each(|frame| writer.write(frame.time, &frame.data))?;
            writer.flush()
        })
        .with_context(|| format!("cannot write {}", path.display()))
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
        let captured = read_all(&[(3, a), (0, b)]).unwrap();
        assert_eq!((captured.cut, &captured.notes[..]), (0, &[][..]));
        let merged = captured.frames;
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

    /// A little-endian capture with microseconds: seconds, microseconds, bytes on the wire, bytes held.
    fn raw(path: &Path, snap_bytes: u32, records: &[(u32, u32, u32, &[u8])]) {
        let mut file = Vec::new();
        for word in [0xa1b2_c3d4, 2 | 4 << 16, 0, 0, snap_bytes, 1] {
            file.extend_from_slice(&u32::to_le_bytes(word));
        }
        for &(seconds, micros, wire_bytes, data) in records {
            for word in [seconds, micros, data.len() as u32, wire_bytes] {
                file.extend_from_slice(&u32::to_le_bytes(word));
            }
            file.extend_from_slice(data);
        }
        std::fs::write(path, file).unwrap();
    }

    #[test]
    fn frames_that_are_not_whole_are_left_out_and_counted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("short.pcap");
        // The first and the last are longer than the snap length that the file's header names.
        raw(
            &path,
            96,
            &[(1, 0, 1514, &[1; 96]), (1, 1, 60, &[2; 60]), (1, 2, 0, &[]), (1, 3, 200, &[3; 96])],
        );
        let captured = read_all(&[(3, path)]).unwrap();
        let sent: Vec<u8> = captured.frames.iter().map(|f| f.data[0]).collect();
        assert_eq!((sent, captured.cut), (vec![2], 2));
        assert_eq!(captured.notes.len(), 2, "{:?}", captured.notes);
        assert!(captured.notes[0].contains("short.pcap: 2 frames were cut"));
        assert!(captured.notes[0].ends_with("(first: record 1, 96 of 1514 bytes)"));
        assert!(captured.notes[1].contains("1 records without bytes"));
    }

    #[test]
    fn time_stamps_that_go_back_keep_the_order_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("clock.pcap");
        let (a, b, c, d) = (&[1; 60][..], &[2; 60][..], &[3; 60][..], &[4; 60][..]);
        raw(
            &path,
            262_144,
            &[(100, 5, 60, a), (0, 0, 60, b), (99, 0, 60, c), (u32::MAX, 0, 60, d)],
        );
        let captured = read_all(&[(3, path)]).unwrap();
        let sent: Vec<_> = captured.frames.iter().map(|f| (f.data[0], f.time.as_secs())).collect();
        assert_eq!(sent, [(1, 100), (2, 100), (3, 100), (4, u32::MAX.into())]);
        assert_eq!(captured.notes.len(), 1);
        assert!(captured.notes[0].contains("2 time stamps go back"), "{:?}", captured.notes);
    }

    #[test]
    fn damaged_records_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bad.pcap");
        let fine = (1, 0, 60, &[1; 60][..]);
        for (bad, why) in [
            ((1, 1_000_000, 60, &[2; 60][..]), "time stamp"),
            ((1, u32::MAX, 60, &[2; 60]), "time stamp"),
            ((1, 0, 10, &[2; 60]), "60 bytes of 10"),
        ] {
            raw(&path, 262_144, &[fine, bad]);
            let error = format!("{:#}", read_all(&[(0, path.clone())]).unwrap_err());
            assert!(error.contains("bad.pcap: record 2") && error.contains(why), "{error}");
        }
        raw(&path, 262_144, &[fine, fine]);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        let error = format!("{:#}", read_all(&[(0, path)]).unwrap_err());
        assert!(error.contains("record 2 is damaged"), "{error}");
    }
}
