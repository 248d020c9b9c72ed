//! The card's firmware as a host sees it: its death, its trace, its statistics, and updates of it.

use std::ops::Range;
use std::time::{Duration, Instant};

use penstock_abi::fw::{self, Death, TraceEntry};
use penstock_abi::image::{self, Crc, HEADER_WORDS};
use penstock_abi::layout::Capability;
use penstock_abi::regs;

use crate::card::Card;
use crate::error::DeviceError;

/// A firmware that was restarted runs within this; a simulated card's on a busy machine takes seconds.
const RESTART_TIMEOUT: Duration = Duration::from_secs(60);

/// Why a file is no firmware image for this card. The caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadImage {
    /// It is no image at all.
    #[error("it is no firmware image (`cargo xtask build-firmware` makes penstock-fw.img)")]
    NoImage,
    /// Its length is not what its header says, or it is too long for the card.
    #[error(
        "it has {bytes} bytes, its header says {said}, and a card takes {} at most",
        fw::IMAGE_BYTES_MAX
    )]
    Length {
        /// Bytes of the file.
        bytes: usize,
        /// Bytes by its header, which it does not count itself.
        said: u64,
    },
    /// Its CRC is another than its header names.
    #[error("it is damaged: its CRC-32 is {found:#010x}, its header says {said:#010x}")]
    Torn {
        /// As computed.
        found: u32,
        /// As said.
        said: u32,
    },
    /// It speaks another major version of the interface.
    #[error("its interface has version {}.{}, this host speaks {}.{}", version >> 16, version & 0xffff, fw::VERSION >> 16, fw::VERSION & 0xffff)]
    Version {
        /// Its version.
        version: u32,
    },
}

/// A firmware image that may be sent to a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirmwareImage {
    words: Vec<u32>,
}

impl FirmwareImage {
    /// Checks a file.
    ///
    /// # Errors
    /// [`BadImage`].
    pub fn new(file: &[u8]) -> Result<Self, BadImage> {
        let (chunks, rest) = file.as_chunks();
        let words: Vec<u32> = chunks.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect();
        let (header, body) = words.split_first_chunk::<HEADER_WORDS>().ok_or(BadImage::NoImage)?;
        if header[0] != fw::IMAGE_MAGIC {
            return Err(BadImage::NoImage);
        }
        let said = u64::from(header[image::BYTES]);
        if !rest.is_empty() || image::length(header).is_none() || said != 4 * body.len() as u64 {
            return Err(BadImage::Length { bytes: file.len(), said });
        }
        let (found, said) = (image::crc(header, body.iter().copied()), header[image::CRC]);
        if found != said {
            return Err(BadImage::Torn { found, said });
        }
        let version = header[image::VERSION];
        if version >> 16 != fw::VERSION >> 16 {
            return Err(BadImage::Version { version });
        }
        Ok(Self { words })
    }

    /// Bytes of it as it is stored.
    #[must_use]
    pub fn bytes(&self) -> usize {
        4 * self.words.len()
    }

    /// The CRC-32 in its header, by which the card tells one from another.
    #[must_use]
    pub fn crc(&self) -> u32 {
        self.words[image::CRC]
    }
}

impl Card {
    fn need_recovery(&self) -> Result<(), DeviceError> {
        let (card, missing) = (self.ident().capabilities, Capability::Recovery.mask());
        if card & missing == 0 {
            Err(DeviceError::MissingCapability { card, missing })
        } else {
            Ok(())
        }
    }

    /// What the firmware died of last; none if it has not died since power-on, or the card does not say.
    ///
    /// # Errors
    /// The transport's.
    pub fn firmware_death(&mut self) -> Result<Option<Death>, DeviceError> {
        loop {
            let deaths = self.read_reg(regs::FW_DEATHS)?;
            if deaths == 0 {
                return Ok(None);
            }
            let death = Death {
                deaths,
                status: self.read_reg(regs::FW_DEATH_STATUS)?,
                info: self.read_reg(regs::FW_DEATH_INFO)?,
                pc: self.read_reg(regs::FW_DEATH_PC)?,
                time_cycles: u64::from(self.read_reg(regs::FW_DEATH_TIME_LO)?)
                    | u64::from(self.read_reg(regs::FW_DEATH_TIME_HI)?) << 32,
            };
            // It may have died anew meanwhile.
            if self.read_reg(regs::FW_DEATHS)? == deaths {
                return Ok(Some(death));
            }
        }
    }

    /// Numbers of the trace's entries that can be read.
    ///
    /// # Errors
    /// [`DeviceError::MissingCapability`], or the transport's.
    pub fn firmware_trace_range(&mut self) -> Result<Range<u32>, DeviceError> {
        self.need_recovery()?;
        let count = self.read_reg(regs::FW_TRACE_COUNT)?;
        Ok(count.saturating_sub(fw::TRACE_ENTRIES)..count)
    }

    /// These entries of the firmware's trace, but those that newer ones have replaced by now. The firmware need not live.
    ///
    /// # Errors
    /// [`DeviceError::MissingCapability`], or the transport's.
    pub fn firmware_trace(&mut self, numbers: Range<u32>) -> Result<Vec<TraceEntry>, DeviceError> {
        self.need_recovery()?;
        let mut entries = Vec::with_capacity(numbers.len());
        for number in numbers {
            self.write_reg(regs::FW_TRACE_AT, number)?;
            let what = self.read_reg(regs::FW_TRACE_EVENT)?;
            entries.push(TraceEntry {
                number,
                time_cycles: u64::from(self.read_reg(regs::FW_TRACE_TIME_LO)?)
                    | u64::from(self.read_reg(regs::FW_TRACE_TIME_HI)?) << 32,
                event: what as u16,
                detail: (what >> 16) as u16,
                arg: self.read_reg(regs::FW_TRACE_ARG)?,
            });
        }
        let still = self.firmware_trace_range()?;
        entries.retain(|entry| still.contains(&entry.number));
        Ok(entries)
    }

    /// A statistic of the firmware's (`fw::STAT_*`), whole: the firmware keeps the high word of the moment at which the low one was
    /// read.
    ///
    /// # Errors
    /// As [`Card::mailbox`].
    pub fn firmware_stat(&mut self, statistic: u32) -> Result<u64, DeviceError> {
        let low = self.mailbox(fw::MBOX_STAT, statistic)?;
        Ok(u64::from(low) | u64::from(self.mailbox(fw::MBOX_STAT_HIGH, 0)?) << 32)
    }

    /// Sends an image into the card's update slot, where the firmware checks it. `progress` is told bytes sent.
    ///
    /// # Errors
    /// [`DeviceError::FirmwareRefused`], [`DeviceError::MissingCapability`], or as [`Card::mailbox`].
    pub fn store_firmware(
        &mut self,
        image: &FirmwareImage,
        mut progress: impl FnMut(usize),
    ) -> Result<(), DeviceError> {
        self.need_recovery()?;
        self.update_step(fw::MBOX_UPDATE_BEGIN, image.bytes() as u32)?;
        let mut crc = Crc::default();
        for (i, &word) in image.words.iter().enumerate() {
            crc.eat(word);
            let reply = self.mailbox(fw::MBOX_UPDATE_WORD, word)?;
            if reply != i as u32 + 1 {
                return Err(refused(reply));
            }
            progress(4 * (i + 1));
        }
        self.update_step(fw::MBOX_UPDATE_END, crc.finish())
    }

    /// Restarts the firmware into the image in the update slot, and waits until it runs. Packets flow meanwhile.
    ///
    /// # Errors
    /// [`DeviceError::FirmwareRefused`], also of an image that is started and does not live; or as [`Card::mailbox`].
    pub fn start_firmware(&mut self) -> Result<(), DeviceError> {
        self.need_recovery()?;
        self.update_step(fw::MBOX_UPDATE_START, fw::MBOX_UPDATE_KEY)?;
        self.wait_restarted()?;
        let boot = self.read_reg(regs::FW_BOOT)?;
        if boot == fw::Boot::Update as u32 {
            return Ok(());
        }
        let what = "it does not run, the card is back with its golden image".to_owned();
        Err(DeviceError::FirmwareRefused { what })
    }

    /// Restarts the firmware, with its golden image if that is wanted, and waits until it runs. It need not live.
    ///
    /// # Errors
    /// [`DeviceError::MissingCapability`], [`DeviceError::Timeout`], or the transport's.
    pub fn restart_firmware(&mut self, golden: bool) -> Result<(), DeviceError> {
        self.need_recovery()?;
        let key = if golden { regs::FW_ROLLBACK_KEY } else { regs::FW_RESTART_KEY };
        self.write_reg(regs::FW_RESTART, key)?;
        self.wait_restarted()
    }

    /// The restart shows in a status that is not ready for some thousand cycles at least.
    fn wait_restarted(&mut self) -> Result<(), DeviceError> {
        let asked = Instant::now();
        let mut began = false;
        while asked.elapsed() < RESTART_TIMEOUT {
            let ready = self.read_reg(regs::FW_STATUS)? == fw::STATUS_READY;
            began |= !ready || asked.elapsed() > Duration::from_secs(1);
            if began && ready {
                return Ok(());
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        Err(DeviceError::Timeout {
            what: "restarting its firmware".to_owned(),
            after: RESTART_TIMEOUT,
        })
    }

    fn update_step(&mut self, request: u32, argument: u32) -> Result<(), DeviceError> {
        match self.mailbox(request, argument)? {
            fw::UPDATE_OK => Ok(()),
            reply => Err(refused(reply)),
        }
    }
}

fn refused(reply: u32) -> DeviceError {
    let what = match reply {
        fw::UPDATE_NOT_BEGUN => "no image was under way".to_owned(),
        fw::UPDATE_LENGTH => "it has not the length that was announced".to_owned(),
        fw::UPDATE_TORN => "what the card stored is not what was sent".to_owned(),
        fw::UPDATE_VERSION => "its interface has another major version than the card's".to_owned(),
        fw::UPDATE_NONE => "there is no whole image in the update slot".to_owned(),
        fw::MBOX_LOST => "the firmware was restarted meanwhile".to_owned(),
        fw::MBOX_UNKNOWN => "the firmware knows no updates".to_owned(),
        reply => format!("reply {reply:#010x}"),
    };
    DeviceError::FirmwareRefused { what }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use penstock_abi::fw::{Boot, TraceEvent};

    use super::*;
    use crate::fake::FakeCard;

    fn file(version: u32) -> Vec<u8> {
        let body = [7, 8, 9];
        let mut header = [fw::IMAGE_MAGIC, 0, 12, version];
        header[image::CRC] = image::crc(&header, body.into_iter());
        header.iter().chain(&body).flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn a_file_that_is_no_image_is_not_sent() {
        let good = file(fw::VERSION);
        assert_eq!(FirmwareImage::new(&good).unwrap().bytes(), 28);
        let bad = |bytes: &[u8]| FirmwareImage::new(bytes).unwrap_err();
        assert_eq!(bad(b""), BadImage::NoImage);
        assert_eq!(bad(&good[4..]), BadImage::NoImage);
        for cut in [good.len() - 4, good.len() - 1] {
            assert_eq!(bad(&good[..cut]), BadImage::Length { bytes: cut, said: 12 });
        }
        assert!(matches!(bad(&[&good[..], &[0; 4]].concat()), BadImage::Length { .. }));
        let mut torn = good.clone();
        torn[20] ^= 1;
        assert!(matches!(bad(&torn), BadImage::Torn { .. }));
        let other = fw::VERSION + 0x1_0000;
        assert_eq!(bad(&file(other)), BadImage::Version { version: other });
    }

    #[test]
    fn an_update_reaches_the_slot_and_is_started() {
        let fake = FakeCard::new();
        let mut card = Card::attach(fake.transport()).unwrap();
        let error = card.start_firmware().unwrap_err();
        assert!(error.to_string().contains("no whole image"), "{error}");
        let image = FirmwareImage::new(&file(fw::VERSION)).unwrap();
        let mut sent = Vec::new();
        card.store_firmware(&image, |bytes| sent.push(bytes)).unwrap();
        assert_eq!(sent, [4, 8, 12, 16, 20, 24, 28]);
        assert_eq!(fake.firmware_slot(), image.words);
        card.start_firmware().unwrap();
        card.restart_firmware(true).unwrap();
        assert_eq!(fake.register(regs::FW_BOOT), Boot::RolledBack as u32);
    }

    #[test]
    fn the_trace_is_read_by_number_and_a_card_without_one_says_so() {
        let fake = FakeCard::new();
        let mut card = Card::attach(fake.transport()).unwrap();
        for number in 0..600 {
            fake.trace(1 << 40 | number, TraceEvent::Frame, 7, number as u32);
        }
        let numbers = card.firmware_trace_range().unwrap();
        assert_eq!(numbers, 88..600);
        let entries = card.firmware_trace(numbers).unwrap();
        let first = TraceEntry {
            number: 88,
            time_cycles: 1 << 40 | 88,
            event: TraceEvent::Frame as u16,
            detail: 7,
            arg: 88,
        };
        assert_eq!((entries.len(), entries[0]), (512, first));
        // Of numbers that newer entries have replaced, nothing is believed.
        assert_eq!(card.firmware_trace(80..90).unwrap().len(), 2);

        fake.set_register(regs::CAPABILITIES, 0);
        let mut card = Card::attach(fake.transport()).unwrap();
        let error = card.firmware_trace_range().unwrap_err();
        assert!(matches!(error, DeviceError::MissingCapability { .. }), "{error}");
    }
}
