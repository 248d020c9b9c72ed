//! Registers and configuration space, by each way that leads to them.

use std::time::Instant;

use penstock_abi::regs;

use super::{Outcome, Suite, require};
use crate::error::DeviceError;
use crate::transport::{PciTransport, Region};

/// Register accesses in a loop.
const ROUNDS: u32 = 100;

pub(super) fn ident(suite: &mut Suite<'_>) -> Outcome {
    let card = suite.card()?;
    let ident = *card.ident();
    require(ident.clock_khz > 0, "the card has no clock")?;
    let before = card.time_cycles()?;
    let time = card.time_cycles()?;
    require(time >= before, format!("card time runs back from {before} to {time}"))?;
    let version = |v: u32| format!("{}.{}", v >> 16, v & 0xffff);
    Ok(format!(
        "{}: layout {} {:#018x}, firmware {}, resets {}",
        card.describe(),
        version(ident.layout_version),
        ident.layout_hash,
        version(ident.firmware_version),
        ident.flr_count
    ))
}

pub(super) fn configuration(suite: &mut Suite<'_>) -> Outcome {
    let transport = suite.card()?.transport();
    let function = transport.function()?;
    let mut ids = [0; 4];
    transport.read_region(Region::Config, 0, &mut ids)?;
    let ids = u32::from_le_bytes(ids);
    require(
        ids == u32::from(regs::PCI_DEVICE_ID) << 16 | u32::from(regs::PCI_VENDOR_ID),
        format!("the identification reads as {ids:#010x}"),
    )?;
    // Identification cannot be written.
    transport.write_region(Region::Config, 0, &[0; 2])?;
    require(transport.function()? == function, "the vendor id can be written")?;
    Ok(format!("BAR 0 {} bytes, MSI-X {} vectors", function.bar0_bytes, function.msix_vectors))
}

fn read(transport: &mut dyn PciTransport, offset: u32) -> Result<u32, DeviceError> {
    let mut word = [0; 4];
    transport.read_region(Region::Bar0, offset.into(), &mut word)?;
    Ok(u32::from_le_bytes(word))
}

fn write(transport: &mut dyn PciTransport, offset: u32, value: u32) -> Result<(), DeviceError> {
    transport.write_region(Region::Bar0, offset.into(), &value.to_le_bytes())
}

pub(super) fn by_region(suite: &mut Suite<'_>) -> Outcome {
    let transport = suite.card()?.transport();
    let started = Instant::now();
    for i in 0..ROUNDS {
        let value = i ^ 0xa5a5_0000;
        write(transport, regs::SCRATCH, value)?;
        require(read(transport, regs::SCRATCH)? == value, "scratch does not keep what is written")?;
    }
    let micros = started.elapsed().as_micros() / u128::from(2 * ROUNDS);
    read_only(transport, read, write)?;
    Ok(format!("{micros} us an access"))
}

pub(super) fn by_mapping(suite: &mut Suite<'_>) -> Outcome {
    let transport = suite.card()?.transport();
    let started = Instant::now();
    for i in 0..ROUNDS {
        let value = i ^ 0x5a5a_0000;
        transport.write32(regs::SCRATCH, value)?;
        let back = transport.read32(regs::SCRATCH)?;
        require(back == value, "scratch does not keep what is written")?;
    }
    let micros = started.elapsed().as_micros() / u128::from(2 * ROUNDS);
    // Both ways lead to the same register.
    write(transport, regs::SCRATCH, 0x1234_5678)?;
    require(transport.read32(regs::SCRATCH)? == 0x1234_5678, "two ways, two registers")?;
    transport.write32(regs::SCRATCH, 0x8765_4321)?;
    require(read(transport, regs::SCRATCH)? == 0x8765_4321, "two ways, two registers")?;
    read_only(transport, |t, o| t.read32(o), |t, o, v| t.write32(o, v))?;
    if transport.maps_bar0() {
        Ok(format!("{micros} us an access"))
    } else {
        Ok(format!("not mapped by this transport; {micros} us an access by request"))
    }
}

/// What must not change, and an address where there is nothing.
fn read_only(
    transport: &mut dyn PciTransport,
    read: fn(&mut dyn PciTransport, u32) -> Result<u32, DeviceError>,
    write: fn(&mut dyn PciTransport, u32, u32) -> Result<(), DeviceError>,
) -> Result<(), super::Failed> {
    write(transport, regs::MAGIC, 0)?;
    require(read(transport, regs::MAGIC)? == regs::MAGIC_VALUE, "a read-only register changed")?;
    write(transport, 0xff0, 0xffff_ffff)?;
    require(read(transport, 0xff0)? == 0, "an address without a register is not 0")
}
