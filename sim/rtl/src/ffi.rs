//! Mirror of `shim/shim.h`.

use std::ffi::{c_char, c_int};

/// One beat of a 512-bit stream: byte 0 of the frame in `data[0]`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Beat {
    /// Payload in little-endian words.
    pub data: [u32; 16],
    /// Bytes that count, contiguous from bit 0.
    pub keep: u64,
    /// The beat is there.
    pub valid: u8,
    /// Last beat of the frame.
    pub last: u8,
    /// vif number (host side).
    pub user: u8,
    #[doc(hidden)]
    pub pad: [u8; 5],
}

/// What the card sees in a cycle. Field names are those of `penstock_core`'s ports.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Inputs {
    pub fab_rx: Beat,
    pub host_rx: Beat,
    pub axi_rdata: [u32; 16],
    pub time_skip: u64,
    pub axil_wdata: u32,
    pub axil_awaddr: u16,
    pub axil_araddr: u16,
    pub rst: u8,
    pub flr: u8,
    pub axil_awvalid: u8,
    pub axil_wvalid: u8,
    pub axil_bready: u8,
    pub axil_arvalid: u8,
    pub axil_rready: u8,
    pub axi_awready: u8,
    pub axi_wready: u8,
    pub axi_bvalid: u8,
    pub axi_bresp: u8,
    pub axi_arready: u8,
    pub axi_rvalid: u8,
    pub axi_rlast: u8,
    pub axi_rresp: u8,
    pub fab_tx_ready: u8,
    pub host_tx_ready: u8,
    #[doc(hidden)]
    pub pad: [u8; 7],
}

/// What the card shows in a cycle, settled before the edge that ends it. Beats keep their last payload while not valid.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Outputs {
    pub fab_tx: Beat,
    pub host_tx: Beat,
    pub axi_wdata: [u32; 16],
    pub axi_wstrb: u64,
    pub axi_awaddr: u64,
    pub axi_araddr: u64,
    pub axil_rdata: u32,
    pub axi_awlen: u8,
    pub axi_awvalid: u8,
    pub axi_wvalid: u8,
    pub axi_wlast: u8,
    pub axi_bready: u8,
    pub axi_arlen: u8,
    pub axi_arvalid: u8,
    pub axi_rready: u8,
    pub axil_awready: u8,
    pub axil_wready: u8,
    pub axil_bvalid: u8,
    pub axil_bresp: u8,
    pub axil_arready: u8,
    pub axil_rvalid: u8,
    pub axil_rresp: u8,
    pub fab_rx_ready: u8,
    pub host_rx_ready: u8,
    pub irq: u8,
    pub idle: u8,
    pub fw_active: u8,
}

const _: () = assert!(size_of::<Beat>() == 80);
const _: () = assert!(size_of::<Inputs>() == 264);
const _: () = assert!(size_of::<Outputs>() == 272);

/// The model; only ever behind a pointer.
#[repr(C)]
pub(crate) struct Sim {
    opaque: [u8; 0],
}

/// The block that speeds are compared with; only ever behind a pointer.
#[repr(C)]
pub(crate) struct Reference {
    opaque: [u8; 0],
}

unsafe extern "C" {
    pub(crate) fn ps_new(
        argc: c_int,
        argv: *const *const c_char,
        trace: *const c_char,
        soft_core: c_int,
    ) -> *mut Sim;
    pub(crate) fn ps_free(sim: *mut Sim);
    pub(crate) fn ps_tick(sim: *mut Sim, inputs: *const Inputs, outputs: *mut Outputs);
    pub(crate) fn ps_failures(sim: *const Sim) -> u64;
    pub(crate) fn ps_first_failure(sim: *const Sim, text: *mut c_char, bytes: u32);
    pub(crate) fn ps_set_assertions(sim: *mut Sim, on: c_int);
    pub(crate) fn ps_trace_flush(sim: *mut Sim);

    pub(crate) fn ps_reference_new() -> *mut Reference;
    pub(crate) fn ps_reference_free(reference: *mut Reference);
    pub(crate) fn ps_reference_run(reference: *mut Reference, cycles: u64) -> u64;
}
