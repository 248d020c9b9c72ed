//! The RTL's own checks: lint of every module, and the self-checking benches in `hdl/tb`.

use std::num::NonZeroUsize;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use anyhow::{Context as _, Result, bail};

use crate::shells;
use crate::tools::{sources, sources_below, verilator, wrappers};

/// Builds and runs each bench `hdl/tb/**/*_tb.sv` whose name contains `filter`, and the card in its shells.
///
/// # Errors
/// A bench does not build, or does not print `PASS`.
pub(crate) fn benches(root: &Path, filter: &str) -> Result<()> {
    let mut benches = Vec::new();
    sources_below(&root.join("hdl/tb"), &mut benches)?;
    benches
        .retain(|bench| name_of(bench).is_some_and(|n| n.ends_with("_tb") && n.contains(filter)));
    let (mut passed, mut failed) = (0, 0);
    let mut count = |name: &str, result: Result<()>| match result {
        Ok(()) => {
            println!("bench {name} ... ok");
            passed += 1;
        }
        Err(error) => {
            println!("bench {name} ... FAILED: {error:#}");
            failed += 1;
        }
    };
    // Each runs on one core: as many at once as there are cores, told in the order in which they end.
    let next = AtomicUsize::new(0);
    let (ended, results) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, NonZeroUsize::get) {
            let (next, benches, ended) = (&next, &benches, ended.clone());
            scope.spawn(move || {
                while let Some(bench) = benches.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let name = name_of(bench).unwrap_or_default();
                    let result = run_bench(root, bench, &name);
                    if ended.send((name, result)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(ended);
        results.iter().for_each(|(name, result)| count(&name, result));
    });
    if shells::SMOKE.contains(filter) {
        count(shells::SMOKE, shells::smoke(root, None));
    }
    println!("rtl: {passed} passed, {failed} failed");
    if failed > 0 {
        bail!("{failed} RTL benches failed");
    }
    Ok(())
}

/// What a bench must not have, loosely as it may be written otherwise: an input that nobody ties is random, a word that does not fit
/// loses its upper bits, a name that nobody declared is one bit.
const BENCH_ERRORS: [&str; 4] =
    ["-Werror-PINMISSING", "-Werror-WIDTHTRUNC", "-Werror-SELRANGE", "-Werror-IMPLICIT"];

/// Its module's name.
pub(crate) fn name_of(bench: &Path) -> Option<String> {
    Some(bench.file_stem()?.to_string_lossy().into_owned())
}

/// A bench checks itself: it prints `PASS`, or, driven by a C++ program beside it (`<name>.cpp`), ends with success.
fn run_bench(root: &Path, bench: &Path, name: &str) -> Result<()> {
    let build = root.join("target/rtl-tb").join(name);
    build_bench(root, root, bench, name, &build)?;
    let output = Command::new(build.join(format!("V{name}"))).current_dir(root).output()?;
    verdict(bench, &output)
}

/// Builds a bench of the sources in `tree` as `build/V<name>`.
///
/// # Errors
/// It does not build.
pub(crate) fn build_bench(
    root: &Path,
    tree: &Path,
    bench: &Path,
    name: &str,
    build: &Path,
) -> Result<()> {
    std::fs::create_dir_all(build)?;
    let driver = bench.with_extension("cpp");
    let mut command = Command::new(verilator(root));
    command.current_dir(tree).args(["--assert", "-j", "2", "-Wno-fatal", "-Wno-lint", "-O3"]);
    command.args(BENCH_ERRORS);
    command.args(["--x-assign", "unique", "--x-initial", "unique", "--top-module", name, "-Mdir"]);
    command.arg(build);
    if driver.exists() {
        let include = format!("-O1 -std=c++17 -I{}", tree.join("hdl/tb").display());
        command.args(["--cc", "--exe", "--build", "-fno-ico-change-detect", "-CFLAGS", &include]);
        command.arg(driver);
    } else {
        // Benches run for seconds; optimising their tasks, which Verilator inlines, would take minutes.
        command.args(["--binary", "--timing", "-MAKEFLAGS", "OPT_FAST=-O0 OPT_SLOW=-O0"]);
    }
    for source in sources(tree)?.into_iter().chain(wrappers(tree)?) {
        // The soft core brings third-party sources; its bench is `cargo xtask firmware-test`.
        let soft_core = source.components().any(|c| c.as_os_str() == "fw");
        if !soft_core && !source.ends_with("penstock_core.sv") {
            command.arg(source);
        }
    }
    let output =
        command.arg(bench).output().context("cannot run verilator: run `cargo xtask setup`")?;
    if !output.status.success() {
        bail!("does not build:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// What a bench that has ended says.
///
/// # Errors
/// It has not passed.
pub(crate) fn verdict(bench: &Path, output: &Output) -> Result<()> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    let driven = bench.with_extension("cpp").exists();
    if !output.status.success() || !(driven || text.lines().any(|l| l.starts_with("PASS"))) {
        bail!("{text}");
    }
    Ok(())
}
