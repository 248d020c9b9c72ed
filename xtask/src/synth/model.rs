//! The delays that the estimate is made of, in picoseconds: primitives of an UltraScale+ device, and three guesses of what a net
//! costs that nobody has placed.
//!
//! Delays of primitives are those that AMD publishes with RapidWright (`timing/ultrascaleplus/intrasite_delay_terms.txt`; the model
//! of "An Open-source Lightweight Timing Model for RapidWright", FPT 2019). Nets are from the same model's hop formula: about one
//! tile at best, five typically, thirty at worst, with a term for the loads, as a net with many loads is spread over the device.
//! The file does not say for which speed grade it is, and nothing here was compared with Vivado (decision 55).

/// What a net is thought to cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Wires {
    /// Source and load are neighbours.
    Best,
    /// As in a block that was placed well.
    Typical,
    /// As in a full device.
    Worst,
}

/// All of them, best first.
pub(crate) const WIRES: [Wires; 3] = [Wires::Best, Wires::Typical, Wires::Worst];

impl Wires {
    /// Its name in figures.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Best => "best",
            Self::Typical => "typ",
            Self::Worst => "worst",
        }
    }

    /// What a net with so many loads costs.
    pub(crate) fn net(self, loads: u32) -> f64 {
        let doublings = f64::from(loads.max(1)).log2();
        match self {
            Self::Best => 160.0,
            Self::Typical => 240.0 + 45.0 * doublings,
            Self::Worst => 380.0 + 90.0 * doublings,
        }
    }
}

/// From the inputs of a LUT, slowest pin first; the input that comes last gets the fastest.
pub(crate) const LUT: [f64; 6] = [150.0, 125.0, 100.0, 90.0, 50.0, 35.0];
/// From any input of an F7, F8 or F9 multiplexer. Its data come from LUTs of the same slice, by no net.
pub(crate) const WIDE_MUX: f64 = 75.0;
/// From the carry of the slice below to the carry of this one, with the hop.
pub(crate) const CARRY_TO_CARRY: f64 = 49.0;
/// From the carry of the slice below to a sum.
pub(crate) const CARRY_TO_SUM: f64 = 116.0;
/// From the slice's first carry input, by a net.
pub(crate) const CARRY_INIT: f64 = 100.0;
/// From the LUT before the chain, in the same slice, to the carry.
pub(crate) const PROPAGATE_TO_CARRY: f64 = 199.0;
/// From the LUT before the chain, in the same slice, to a sum.
pub(crate) const PROPAGATE_TO_SUM: f64 = 241.0;
/// From the chain's data inputs, by a net.
pub(crate) const CARRY_DATA: f64 = 150.0;
/// From a LUT's address to what its memory holds there.
pub(crate) const LUTRAM_READ: f64 = 150.0;

/// From a flip-flop's clock; also when an input port of the block is thought to change.
pub(crate) const FF_LAUNCH: f64 = 77.0;
/// From the clock to what was written into a LUT's memory.
pub(crate) const LUTRAM_LAUNCH: f64 = 312.0;
/// From a block RAM's clock, without its output register.
pub(crate) const BRAM_LAUNCH: f64 = 1003.0;
/// From an UltraRAM's clock, without its output register.
pub(crate) const URAM_LAUNCH: f64 = 1292.0;
/// Through a DSP slice without registers, from what is multiplied. AMD's file has no such delay; this is what DSP slices of this
/// family need for a product between two of their own registers, about 500 MHz.
pub(crate) const DSP_MULTIPLY: f64 = 2000.0;
/// Likewise, from what is added.
pub(crate) const DSP_ADD: f64 = 1000.0;
/// From a DSP slice's clock.
pub(crate) const DSP_LAUNCH: f64 = 700.0;

/// Before a flip-flop's clock, from a LUT of the same slice that has no other load.
pub(crate) const FF_CAPTURE_IN_SLICE: f64 = 75.0;
/// Before a flip-flop's clock, after a net; also when an output port of the block must be stable.
pub(crate) const FF_CAPTURE: f64 = 125.0;
/// Before the clock of a LUT's memory or a DSP slice, after a net.
pub(crate) const LUTRAM_CAPTURE: f64 = 100.0;
/// Before a block RAM's clock, after a net.
pub(crate) const BRAM_CAPTURE: f64 = 300.0;
/// Before an UltraRAM's clock, after a net.
pub(crate) const URAM_CAPTURE: f64 = 500.0;
