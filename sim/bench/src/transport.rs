//! Table operations a second and register latency through a transport, against the simulated card.
//!
//! The card's simulation runs in another process but for `in_process`, so the figures include its speed: compare transports
//! within one run, not runs.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use penstock_abi::regs;
use penstock_abi::table::NextHop;
use penstock_device::{Card, open};
use penstock_tables::Op;

use crate::report::Report;

/// Operations an `apply`.
const BATCHES: [u32; 3] = [1, 32, 2048];
/// Operations measured at each batch size.
const OPERATIONS: u32 = 4096;
/// Register accesses measured.
const ACCESSES: u32 = 501;

/// Measures a card, whatever it is reached through; `name` becomes part of the figures' names.
pub(crate) fn measure(report: &mut Report, name: &str, card: &mut Card) -> Result<()> {
    for batch in BATCHES {
        let entry = |i| NextHop { valid: true, dip: i, ..NextHop::default() };
        let ops: Vec<Op> = (0..batch).map(|i| Op::write(20_000 + i, entry(i))).collect();
        let rounds = (OPERATIONS / batch).min(512);
        let started = Instant::now();
        for _ in 0..rounds {
            card.apply(&ops)?;
        }
        let rate = f64::from(batch * rounds) / started.elapsed().as_secs_f64();
        report.add(format!("transport.{name}.table_write.batch_{batch}"), rate, "ops/s");
    }
    let mut reads = Vec::new();
    let mut writes = Vec::new();
    for i in 0..ACCESSES {
        let started = Instant::now();
        card.write_reg(regs::SCRATCH, i)?;
        writes.push(started.elapsed());
        let started = Instant::now();
        ensure!(card.read_reg(regs::SCRATCH)? == i, "the scratch register does not hold");
        reads.push(started.elapsed());
    }
    for (kind, mut times) in [("read", reads), ("write", writes)] {
        times.sort_unstable();
        let median = times[times.len() / 2].as_secs_f64() * 1e6;
        report.add(format!("transport.{name}.register_{kind}.median"), median, "us");
    }
    Ok(())
}

/// Opens the card at `spec` and measures it.
pub(crate) fn measure_at(report: &mut Report, name: &str, spec: &str) -> Result<()> {
    let mut card = Card::attach(open(spec)?)?;
    measure(report, name, &mut card)
}

/// Measures a card process over its socket.
pub(crate) fn measure_vfio_user(report: &mut Report) -> Result<()> {
    let own = std::env::current_exe()?;
    let program = own.with_file_name("penstock-card");
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("card.sock");
    let card = Process::start(&program, &socket)?;
    let measured = measure_at(report, "vfio_user", &format!("vfio-user:{}", socket.display()));
    drop(card);
    measured
}

/// A card process that ends with this value.
struct Process(Child);

impl Process {
    fn start(program: &Path, socket: &Path) -> Result<Self> {
        let mut command = Command::new(program);
        command.arg("--socket").arg(socket).arg("--unchecked").env("PENSTOCK_LOG", "warn");
        let child = command
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", program.display()))?;
        let mut process = Self(child);
        let output = process.0.stdout.take().context("no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        ensure!(line.trim() == "ready", "the card did not start");
        Ok(process)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
