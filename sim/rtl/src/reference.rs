//! What the card's speed is measured against.

use std::ptr::NonNull;

use crate::ffi;

/// A small block of RTL that never changes, Verilated and compiled as the card is (`reference/sim_reference.sv`).
///
/// Cycles a second say as much about the machine as about the card. Those of this block, taken in the same run, say what the
/// machine does; the card's divided by them can be compared between machines, and between runs on a busy one.
#[derive(Debug)]
pub struct Reference(NonNull<ffi::Reference>);

// SAFETY: the model keeps no thread-local state between calls, and `Reference` is its only owner.
unsafe impl Send for Reference {}

impl Reference {
    /// The block after its reset.
    #[must_use]
    pub fn new() -> Self {
        // SAFETY: takes nothing and never returns null: `new` in C++ throws instead, which ends the process.
        Self(unsafe { NonNull::new_unchecked(ffi::ps_reference_new()) })
    }

    /// Runs it for as many cycles; returns a digest of its state, which depends on the cycles since its reset alone.
    pub fn run(&mut self, cycles: u64) -> u64 {
        // SAFETY: the pointer is to a live model.
        unsafe { ffi::ps_reference_run(self.0.as_ptr(), cycles) }
    }
}

impl Default for Reference {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        // SAFETY: the pointer is to a live model, and this is its end.
        unsafe { ffi::ps_reference_free(self.0.as_ptr()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block that computes something else is no reference any more, nor is one that the compiler has thrown out.
    #[test]
    fn the_reference_is_what_it_was() {
        let mut reference = Reference::new();
        assert_eq!(reference.run(1000), 0x25a0634ca78021cc);
        let mut other = Reference::new();
        other.run(400);
        assert_eq!(other.run(600), reference.run(0));
    }
}
