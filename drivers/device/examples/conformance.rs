//! The conformance suite over any transport: `conformance vfio-user:PATH` or `conformance pci:BDF`.
//!
//! Prints one line a check, `NAME: ok NOTE` or `NAME: FAIL WHY`, and `CONFORMANCE PASS` or `CONFORMANCE FAIL` at the end; the exit
//! code is 0 only if all passed. The card's tables are cleared. With `--removal` a last check prints a line `@remove` when the card
//! shall be taken away, and expects a clear error.

use std::io::Write;

use penstock_device::conformance::{Outcome, Suite};
use penstock_device::{KernelVfio, open};

fn report(name: &str, outcome: &Outcome) {
    match outcome {
        Ok(note) => println!("{name}: ok {note}"),
        Err(error) => println!("{name}: FAIL {error}"),
    }
    // Whoever reads along shall not wait for the next line. A reader that left is its own business.
    let _ = std::io::stdout().flush();
}

fn main() {
    let (mut removal, mut spec) = (false, None);
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--removal" => removal = true,
            _ if spec.is_none() && !argument.starts_with('-') => spec = Some(argument),
            _ => {
                eprintln!("usage: conformance vfio-user:PATH|pci:BDF [--removal]");
                std::process::exit(2);
            }
        }
    }
    let spec = spec.unwrap_or_default();
    let mut suite = Suite::new(|| open(&spec));
    if let Some(bdf) = spec.strip_prefix("pci:") {
        suite = suite.adopting(|held| Ok(Box::new(KernelVfio::adopt(bdf, held)?)));
    }
    let mut good = suite.run(&mut report);
    if removal {
        good &= suite.run_removal(&mut report, || {
            println!("@remove");
            let _ = std::io::stdout().flush();
        });
    }
    println!("CONFORMANCE {}", if good { "PASS" } else { "FAIL" });
    let _ = std::io::stdout().flush();
    // Without closing a card that is gone: the kernel may wait for it for a minute.
    std::process::exit(i32::from(!good));
}
