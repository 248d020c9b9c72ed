//! Random back-pressure.

use super::options::BackPressure;

/// Says when a handshake pauses; never without [`BackPressure`].
#[derive(Debug)]
pub(super) struct Pauses(Option<(u64, u8)>);

impl Pauses {
    pub(super) fn new(options: Option<BackPressure>) -> Self {
        Self(options.map(|b| (b.seed | 1, b.of_256)))
    }

    /// Whether this one does. xorshift64: cheap, seeded, good enough.
    pub(super) fn next(&mut self) -> bool {
        let Some((x, of_256)) = &mut self.0 else { return false };
        *x ^= *x << 13;
        *x ^= *x >> 7;
        *x ^= *x << 17;
        ((*x >> 32) & 0xff) < u64::from(*of_256)
    }
}
