//! The handshakes of a register access over AXI4-Lite, one at a time.
//!
//! An access is begun, then looked at after each cycle until it is answered, or given up.

use penstock_rtl::{Inputs, Outputs};

/// Asks for the register at `offset`.
pub(super) fn begin_read(inputs: &mut Inputs, offset: u32) {
    inputs.axil_araddr = (offset & 0xfffc) as u16;
    inputs.axil_arvalid = 1;
    inputs.axil_rready = 1;
}

/// The register's value, if it is there.
pub(super) fn poll_read(inputs: &mut Inputs, outputs: &Outputs) -> Option<u32> {
    if outputs.axil_arready != 0 {
        inputs.axil_arvalid = 0;
    }
    if outputs.axil_rvalid == 0 {
        return None;
    }
    inputs.axil_rready = 0;
    Some(outputs.axil_rdata)
}

/// The card does not answer.
pub(super) fn give_up_read(inputs: &mut Inputs) {
    inputs.axil_arvalid = 0;
}

/// Hands the register at `offset` its value.
pub(super) fn begin_write(inputs: &mut Inputs, offset: u32, value: u32) {
    inputs.axil_awaddr = (offset & 0xfffc) as u16;
    inputs.axil_wdata = value;
    inputs.axil_awvalid = 1;
    inputs.axil_wvalid = 1;
    inputs.axil_bready = 1;
}

/// Whether the write is answered.
pub(super) fn poll_write(inputs: &mut Inputs, outputs: &Outputs) -> bool {
    if outputs.axil_awready != 0 {
        inputs.axil_awvalid = 0;
    }
    if outputs.axil_wready != 0 {
        inputs.axil_wvalid = 0;
    }
    if outputs.axil_bvalid == 0 {
        return false;
    }
    inputs.axil_bready = 0;
    true
}

/// The card does not answer.
pub(super) fn give_up_write(inputs: &mut Inputs) {
    inputs.axil_awvalid = 0;
    inputs.axil_wvalid = 0;
}
