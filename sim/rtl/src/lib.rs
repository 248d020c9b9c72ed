//! The card's RTL, Verilated, as a safe Rust value.
//!
//! [`Rtl::tick`] is one cycle of the core clock: what the card sees goes in, what it shows before the edge comes out, one
//! foreign call. There is no notion of frames, registers or time here; that is `penstock-card`. A model belongs to no thread
//! and several run side by side, which is the way to use more than one processor.
//!
//! A failed assertion does not end the process: it is counted. Dropping a model with failures that nobody took
//! ([`Rtl::take_failure`]) panics, so that no test passes over one.

mod ffi;
mod reference;

use std::ffi::{CString, c_char};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;

pub use ffi::{Beat, Inputs, Outputs};
pub use reference::Reference;

/// Rows of one way of the flow table of this model, as a power of two.
pub const FLOW_ROWS_LOG2: u32 = match u32::from_str_radix(env!("PENSTOCK_FLOW_ROWS_LOG2"), 10) {
    Ok(rows) => rows,
    Err(_) => panic!("the build script has a number of rows"),
};

/// Rows of one way of its table of clients, likewise.
pub const AFFINITY_ROWS_LOG2: u32 =
    match u32::from_str_radix(env!("PENSTOCK_AFFINITY_ROWS_LOG2"), 10) {
        Ok(rows) => rows,
        Err(_) => panic!("the build script has a number of rows"),
    };

/// Why a model could not be made.
#[derive(Debug, thiserror::Error)]
pub enum RtlError {
    /// The firmware image cannot be read. The caller's.
    #[error("cannot read the firmware image {}", path.display())]
    Firmware {
        /// Its path.
        path: PathBuf,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
    /// The waveform file cannot be written, or waveforms are not compiled in.
    #[error("cannot trace to {}: build with the feature `trace`, and check that the folder exists", path.display())]
    Trace {
        /// Its path.
        path: PathBuf,
    },
    /// A path with a zero byte. The caller's.
    #[error("a path contains a zero byte")]
    Path(#[from] std::ffi::NulError),
}

/// How a model is set up.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Image of the soft core, 32-bit words in hexadecimal, one a line. Without one the soft core stands still.
    pub firmware: Option<PathBuf>,
    /// Waveform file (FST); needs the feature `trace`.
    pub trace: Option<PathBuf>,
    /// Does not evaluate the RTL's assertions: for measurements.
    pub unchecked: bool,
}

/// Assertions that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How many.
    pub count: u64,
    /// Where the first was (file, line, scope) and what it said.
    pub first: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} assertion failure(s) in the RTL, the first at {}", self.count, self.first)
    }
}

/// A Verilated card.
#[derive(Debug)]
pub struct Rtl {
    sim: NonNull<ffi::Sim>,
    cycles: u64,
    taken: u64,
    /// What the world around the card found it to break: how often, and the first.
    reported: u64,
    first_reported: Option<String>,
}

// SAFETY: the model keeps no thread-local state between calls, and `Rtl` is its only owner.
unsafe impl Send for Rtl {}

impl Rtl {
    /// A card before its power-on reset.
    ///
    /// # Errors
    /// [`RtlError`].
    pub fn new(options: &Options) -> Result<Self, RtlError> {
        let mut args = vec![CString::new("penstock")?];
        if let Some(path) = &options.firmware {
            std::fs::metadata(path)
                .map_err(|source| RtlError::Firmware { path: path.clone(), source })?;
            args.push(CString::new(format!("+firmware={}", path.display()))?);
        }
        let pointers: Vec<*const c_char> = args.iter().map(|a| a.as_ptr()).collect();
        let trace = options.trace.as_deref().map(path_string).transpose()?;
        let trace_pointer = trace.as_ref().map_or(std::ptr::null(), |t| t.as_ptr());
        let soft_core = i32::from(options.firmware.is_some());
        // SAFETY: all pointers are to zero-terminated strings that live until after the call, which copies them.
        let sim = unsafe {
            ffi::ps_new(pointers.len() as i32, pointers.as_ptr(), trace_pointer, soft_core)
        };
        let sim = NonNull::new(sim)
            .ok_or_else(|| RtlError::Trace { path: options.trace.clone().unwrap_or_default() })?;
        let rtl = Self { sim, cycles: 0, taken: 0, reported: 0, first_reported: None };
        if options.unchecked {
            // SAFETY: `sim` is a live model.
            unsafe { ffi::ps_set_assertions(rtl.sim.as_ptr(), 0) };
        }
        Ok(rtl)
    }

    /// One cycle.
    #[inline]
    pub fn tick(&mut self, inputs: &Inputs, outputs: &mut Outputs) {
        self.cycles += 1;
        // SAFETY: `sim` is a live model; both structures have the layout that the shim asserts.
        unsafe { ffi::ps_tick(self.sim.as_ptr(), inputs, outputs) };
    }

    /// Cycles so far.
    #[must_use]
    pub fn cycles(&self) -> u64 {
        self.cycles
    }

    /// Assertions that failed so far, those of the world around the card ([`Rtl::report`]) included.
    #[must_use]
    pub fn failures(&self) -> u64 {
        // SAFETY: `sim` is a live model.
        self.reported + unsafe { ffi::ps_failures(self.sim.as_ptr()) }
    }

    /// Counts something that the card did against the protocol of a port, as if an assertion of its own had failed: `what` says it.
    /// For models of what the card is connected to; unlike its own assertions this is never switched off.
    pub fn report(&mut self, what: impl Into<String>) {
        self.reported += 1;
        self.first_reported.get_or_insert_with(|| what.into());
    }

    /// Assertions that failed since the last call, if any. A failure that was taken does not make `drop` panic.
    pub fn take_failure(&mut self) -> Option<Failure> {
        let count = self.failures() - self.taken;
        if count == 0 {
            return None;
        }
        self.taken += count;
        if let Some(first) = self.first_reported.take() {
            return Some(Failure { count, first });
        }
        let mut text = [0u8; 512];
        // SAFETY: `sim` is a live model; the shim writes at most `text.len()` bytes, zero included.
        unsafe {
            ffi::ps_first_failure(self.sim.as_ptr(), text.as_mut_ptr().cast(), text.len() as u32);
        };
        let end = text.iter().position(|&b| b == 0).unwrap_or(text.len());
        Some(Failure { count, first: String::from_utf8_lossy(&text[..end]).into_owned() })
    }

    /// Writes what the waveform file still lacks.
    pub fn flush_trace(&mut self) {
        // SAFETY: `sim` is a live model.
        unsafe { ffi::ps_trace_flush(self.sim.as_ptr()) };
    }
}

impl Drop for Rtl {
    fn drop(&mut self) {
        let failure = self.take_failure();
        // SAFETY: `sim` is a live model, and this is its end.
        unsafe { ffi::ps_free(self.sim.as_ptr()) };
        if let Some(failure) = failure
            && !std::thread::panicking()
        {
            panic!("{failure}");
        }
    }
}

fn path_string(path: &Path) -> Result<CString, RtlError> {
    Ok(CString::new(path.as_os_str().as_encoded_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_world_reports_counts_like_an_assertion() {
        let mut rtl = Rtl::new(&Options { unchecked: true, ..Options::default() }).unwrap();
        rtl.report("first");
        rtl.report("second");
        assert_eq!(rtl.failures(), 2);
        assert_eq!(rtl.take_failure(), Some(Failure { count: 2, first: "first".to_owned() }));
        assert_eq!(rtl.take_failure(), None);
    }

    #[test]
    #[should_panic(expected = "the burst")]
    fn a_report_that_nobody_took_is_no_passing_test() {
        Rtl::new(&Options::default()).unwrap().report("the burst");
    }
}
