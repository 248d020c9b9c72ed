//! The same checks of a card over any transport: `conformance vfio-user:PATH` or `conformance pci:BDF`.
//!
//! Prints one line a check and `CONFORMANCE PASS` at the end; the exit code is 0 only then. The card's tables are cleared.

use std::time::{Duration, Instant};

use penstock_abi::regs;
use penstock_abi::ring::{Command, FLAG_IRQ, Opcode, Status};
use penstock_abi::table::{EcmpSlot, NextHop, TableEntry, TableId};
use penstock_device::{Card, DeviceError, TableOp, open};

type Outcome = Result<String, Box<dyn std::error::Error>>;
type Check = fn(&mut Card) -> Outcome;

fn entry(i: u32) -> NextHop {
    NextHop {
        valid: true,
        dip: i.wrapping_mul(0x9e37_79b9),
        smac: u64::from(i) << 9,
        ..NextHop::default()
    }
}

fn require(condition: bool, what: &str) -> Result<(), String> {
    if condition { Ok(()) } else { Err(what.to_owned()) }
}

fn ident(card: &mut Card) -> Outcome {
    Ok(format!("{:?}", card.ident()))
}

fn registers(card: &mut Card) -> Outcome {
    let started = Instant::now();
    for i in 0..200u32 {
        card.write_reg(regs::SCRATCH, i ^ 0xa5a5_0000)?;
        require(
            card.read_reg(regs::SCRATCH)? == i ^ 0xa5a5_0000,
            "scratch does not hold what was written",
        )?;
    }
    require(card.read_reg(0xff0)? == 0, "an address without a register is not 0")?;
    Ok(format!("{} us an access", started.elapsed().as_micros() / 400))
}

fn tables(card: &mut Card) -> Outcome {
    card.clear_all()?;
    let ops: Vec<TableOp> = (0..3000)
        .map(|i| TableOp::Write { table: TableId::NextHop, index: i, words: entry(i).pack() })
        .collect();
    let started = Instant::now();
    card.apply(&ops)?;
    let written = started.elapsed();
    let dump = card.dump(TableId::NextHop)?;
    require(dump.len() == ops.len(), "dump is not whole")?;
    require(dump.iter().all(|(i, w)| *w == entry(*i).pack()), "entries differ")?;
    let sparse = [3, 4096, 65_535];
    for i in sparse {
        card.write(TableId::Ecmp, i, &EcmpSlot { valid: true, ..EcmpSlot::default() })?;
    }
    let found: Vec<u32> = card.dump(TableId::Ecmp)?.into_iter().map(|(i, _)| i).collect();
    require(found == sparse, "sparse entries are not found")?;
    Ok(format!("3000 writes in {} ms", written.as_millis()))
}

fn refusals(card: &mut Card) -> Outcome {
    let err = card.write(TableId::Vif, 256, &NextHop::default()).err();
    let refused = matches!(err, Some(DeviceError::BadStatus { status: Status::BadIndex, .. }));
    require(refused, "a write beyond the table is not refused")?;
    let unknown = Command { opcode: 99, cookie: 77, ..Command::default() };
    let done = card.execute(&[unknown])?;
    require(done[0].status == Status::BadOpcode as u8 && done[0].cookie == 77, "unknown opcode")?;
    Ok(String::new())
}

fn interrupts(card: &mut Card) -> Outcome {
    let irq = card.irqs()[regs::IRQ_COMPLETION as usize].try_clone()?;
    // Empties the counter.
    let _ = irq.read();
    let nop = Command { opcode: Opcode::Nop as u8, flags: FLAG_IRQ, ..Command::default() };
    let started = Instant::now();
    for _ in 0..20 {
        card.execute(&[nop])?;
    }
    Ok(format!("{} us a command, waiting for its interrupt", started.elapsed().as_micros() / 20))
}

fn bus_error(card: &mut Card) -> Outcome {
    card.write_reg(regs::CMD_BASE_HI, 0x3f)?;
    let started = Instant::now();
    let err = card.fence().err();
    require(
        matches!(err, Some(DeviceError::RingFault { .. })),
        &format!("unmapped ring gave {err:?}"),
    )?;
    require(started.elapsed() < Duration::from_secs(5), "the fault took long")?;
    card.fence()?;
    Ok(String::new())
}

fn reset(card: &mut Card) -> Outcome {
    card.write_reg(regs::SCRATCH, 5)?;
    let before = card.ident().flr_count;
    card.reset()?;
    require(card.read_reg(regs::SCRATCH)? == 0, "scratch survived a function-level reset")?;
    require(card.ident().flr_count > before, "reset is not counted")?;
    require(card.ident().reset_cause == regs::RESET_FLR, "reset cause")?;
    require(card.dump(TableId::NextHop)?.len() == 3000, "tables did not survive")?;
    Ok(format!("{} resets so far", card.ident().flr_count))
}

fn main() {
    let spec = std::env::args().nth(1).unwrap_or_default();
    let checks: [(&str, Check); 7] = [
        ("ident", ident),
        ("registers", registers),
        ("tables", tables),
        ("refusals", refusals),
        ("interrupts", interrupts),
        ("bus error", bus_error),
        ("reset", reset),
    ];
    let mut good = true;
    // Twice: a second owner finds the tables as the first one left them.
    for round in 1..=2 {
        let mut card = match open(&spec).and_then(Card::attach) {
            Ok(card) => card,
            Err(error) => {
                println!("attach: FAIL {error}");
                std::process::exit(1);
            }
        };
        if round == 2 {
            let kept = card.dump(TableId::NextHop).is_ok_and(|d| d.len() == 3000);
            println!("tables kept for the next owner: {}", if kept { "ok" } else { "FAIL" });
            good &= kept;
        }
        for (name, check) in checks {
            match check(&mut card) {
                Ok(note) => println!("{name}: ok {note}"),
                Err(error) => {
                    println!("{name}: FAIL {error}");
                    good = false;
                }
            }
        }
    }
    println!("CONFORMANCE {}", if good { "PASS" } else { "FAIL" });
    std::process::exit(i32::from(!good));
}
