//! An update: the host sends an image word by word into the update slot, has it checked there, and has it started.
//!
//! Begin forgets what the slot held: its first word, without which there is no image, is written last, once all is checked. So a
//! transfer that breaks off leaves an empty slot. What is checked is what stands in the slot, not what came by the mailbox.

use crate::Hw;
use penstock_abi::fw::{self, Boot};
use penstock_abi::image::{self, Crc, HEADER_WORDS};

/// State of an update.
#[derive(Debug, Default)]
pub(crate) struct Update {
    /// Words announced and words that came, while an image is under way.
    under_way: Option<(u32, u32)>,
    /// The image's first word, as long as it does not stand in the slot.
    first: u32,
    start: bool,
}

impl Update {
    /// The reply to one of its requests.
    pub(crate) fn answer<H: Hw>(&mut self, (code, arg): (u32, u32), hw: &mut H) -> u32 {
        match code {
            fw::MBOX_UPDATE_BEGIN => self.begin(arg, hw),
            fw::MBOX_UPDATE_WORD => self.word(arg, hw),
            fw::MBOX_UPDATE_END => self.end(arg, hw),
            fw::MBOX_UPDATE_START if arg == fw::MBOX_UPDATE_KEY => self.start(hw),
            _ => fw::MBOX_UNKNOWN,
        }
    }

    pub(crate) fn start_wanted(&self) -> bool {
        self.start
    }

    fn begin<H: Hw>(&mut self, bytes: u32, hw: &mut H) -> u32 {
        self.under_way = None;
        if bytes <= fw::IMAGE_HEADER_BYTES
            || bytes > fw::IMAGE_BYTES_MAX
            || !bytes.is_multiple_of(4)
        {
            return fw::UPDATE_LENGTH;
        }
        hw.set_slot_word(0, 0);
        self.under_way = Some((bytes / 4, 0));
        fw::UPDATE_OK
    }

    fn word<H: Hw>(&mut self, word: u32, hw: &mut H) -> u32 {
        match &mut self.under_way {
            None => fw::UPDATE_NOT_BEGUN,
            Some((words, came)) if came == words => fw::UPDATE_LENGTH,
            Some((_, came)) => {
                if *came == 0 {
                    self.first = word;
                } else {
                    hw.set_slot_word(*came as usize, word);
                }
                *came += 1;
                *came
            }
        }
    }

    fn end<H: Hw>(&mut self, expected: u32, hw: &mut H) -> u32 {
        let Some((words, came)) = self.under_way.take() else { return fw::UPDATE_NOT_BEGUN };
        if came != words {
            return fw::UPDATE_LENGTH;
        }
        let mut crc = Crc::default();
        crc.eat(self.first);
        (1..words as usize).for_each(|i| crc.eat(hw.slot_word(i)));
        let mut header: [u32; HEADER_WORDS] = core::array::from_fn(|i| hw.slot_word(i));
        header[0] = self.first;
        let all_came = image::length(&header) == Some(4 * words - fw::IMAGE_HEADER_BYTES);
        let body = (HEADER_WORDS..words as usize).map(|i| hw.slot_word(i));
        if crc.finish() != expected || !all_came || image::crc(&header, body) != header[image::CRC]
        {
            return fw::UPDATE_TORN;
        }
        if header[image::VERSION] >> 16 != fw::VERSION >> 16 {
            return fw::UPDATE_VERSION;
        }
        hw.set_slot_word(0, self.first);
        fw::UPDATE_OK
    }

    fn start<H: Hw>(&mut self, hw: &mut H) -> u32 {
        if hw.slot_word(0) != fw::IMAGE_MAGIC {
            return fw::UPDATE_NONE;
        }
        hw.set_boot(Boot::Update);
        self.start = true;
        fw::UPDATE_OK
    }
}
