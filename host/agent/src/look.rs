//! Whether the card is as it was left: a few registers, looked at each second and before each pass.
//!
//! Tables can vanish without the card ever being gone (somebody clears it, a shell loads another image, a reset of the whole
//! board between two looks). What gives that away are the epoch, which a clear sets to 0, and which is this host's own mark;
//! the number of function-level resets, after which the rings are no longer set up; and the cause of the last reset.
//!
//! Beside that a look tells of entries that packets have met with the wrong parity. They are no sign of another owner: whoever
//! looks writes them again.

use penstock_abi::regs;
use penstock_device::{Card, DeviceError, ParityErrors};

/// What a card says at a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    /// The mark of the last complete reconcile.
    pub(crate) epoch: u32,
    /// Function-level resets since power-on.
    pub(crate) resets: u32,
    /// Cause of the last reset.
    pub(crate) cause: u32,
    /// The data path is on.
    pub(crate) forwarding: bool,
    /// Tables are being cleared.
    pub(crate) clearing: bool,
    /// Entries with the wrong parity that were met so far, if any were.
    pub(crate) parity: Option<ParityErrors>,
}

/// What a look that differs from what was left asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing: it is as it was left.
    AsLeft,
    /// To look again when the clearing is over.
    Clearing,
    /// To read its tables again.
    Changed,
    /// To attach to it anew.
    Reset,
}

impl Look {
    /// Takes a look.
    pub(crate) fn take(card: &mut Card) -> Result<Self, DeviceError> {
        Ok(Self {
            epoch: card.read_reg(regs::EPOCH)?,
            resets: card.read_reg(regs::FLR_COUNT)?,
            cause: card.read_reg(regs::RESET_CAUSE)?,
            forwarding: card.is_enabled()?,
            clearing: card.status()?.clearing(),
            parity: card.parity_errors()?,
        })
    }

    /// What `now` means for a card that was left as `self`.
    pub(crate) fn judge(&self, now: &Self) -> Verdict {
        if (now.resets, now.cause) != (self.resets, self.cause) {
            Verdict::Reset
        } else if now.clearing {
            Verdict::Clearing
        } else if (Self { parity: self.parity, ..*now }) == *self {
            Verdict::AsLeft
        } else {
            Verdict::Changed
        }
    }
}

#[cfg(test)]
mod tests {
    use penstock_abi::table::TableId;

    use super::*;

    #[test]
    fn every_way_to_lose_the_tables_is_noticed() {
        let left = Look {
            epoch: 7,
            resets: 3,
            cause: regs::RESET_FLR,
            forwarding: true,
            clearing: false,
            parity: None,
        };
        let parity = Some(ParityErrors { count: 1, table: TableId::Ilm, index: 25 });
        for (now, verdict) in [
            (left, Verdict::AsLeft),
            (Look { parity, ..left }, Verdict::AsLeft),
            (Look { epoch: 0, ..left }, Verdict::Changed),
            (Look { epoch: 8, ..left }, Verdict::Changed),
            (Look { forwarding: false, ..left }, Verdict::Changed),
            (Look { clearing: true, epoch: 0, ..left }, Verdict::Clearing),
            (Look { resets: 4, ..left }, Verdict::Reset),
            (Look { cause: regs::RESET_POWER_ON, ..left }, Verdict::Reset),
            (Look { resets: 0, clearing: true, ..left }, Verdict::Reset),
        ] {
            assert_eq!(left.judge(&now), verdict, "{now:?}");
        }
    }
}
