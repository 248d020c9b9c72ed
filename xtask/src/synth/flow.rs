//! Synthesis of one block by yosys, into `target/synth/BLOCK`: `script.ys` (what was run), `log`, `checks`, `netlist.json`.
//!
//! A result stays valid as long as nothing that went into it changed, so that a run that was stopped goes on where it was.
//!
//! Checks run on the whole block, flat and before anything is optimised: later a loop is inside look-up tables and a net with two
//! drivers has lost one of them, and yosys' `check` finds neither.
//!
//! What is most of the card is optimised in parts, each of its modules for itself, and is made flat afterwards: its timing is that of the
//! paths through all of them.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use super::blocks::Block;
use super::tools;
use crate::shell::target;

/// UltraScale+; stops before the timing models of primitives are taken away. UltraRAM is inferred where the sources ask for it,
/// and shift registers stay flip-flops, as a timing path through one is none.
const SYNTHESIS: &str = "synth_xilinx -family xcup -flatten -noiopad -uram -nosrl";

/// In `ibex_top.sv`: a declaration with an initial value that reads nets, which yosys refuses; and what it means.
const INITIALISED: &str = "logic unused_scramble_inputs = ";
const ASSIGNED: &str = "logic unused_scramble_inputs; assign unused_scramble_inputs = ";

/// What became of a block.
pub(crate) struct Synthesised {
    /// File with the netlist.
    pub(crate) netlist: PathBuf,
    /// Complaints of yosys' `check`, a paragraph each; empty if all is well.
    pub(crate) problems: Vec<String>,
    /// Keeps other runs off the folder.
    pub(crate) lock: fs::File,
}

/// Synthesises a block, unless the result is there.
///
/// # Errors
/// The tools are missing, or yosys fails; its messages are part of the error.
pub(crate) fn synthesise(root: &Path, block: &Block) -> Result<Synthesised> {
    let folder = folder(root, block, "")?;
    let lock = fs::File::create(folder.join("lock"))?;
    lock.lock().with_context(|| format!("cannot lock {}", folder.display()))?;
    let (checks, netlist) = (folder.join("checks"), folder.join("netlist.json"));
    let mut script = elaboration(root, block, &folder, &checks)?;
    if block.parts.is_empty() {
        script.push(format!("{SYNTHESIS} -top {} -run prepare:check", block.module));
    } else {
        script.extend(in_parts(root, block, &folder)?);
    }
    script.extend([
        "hierarchy -check".to_owned(),
        "blackbox =A:whitebox".to_owned(),
        format!("select {}", block.module),
        format!("write_json -selected {}", netlist.display()),
    ]);
    let script = script.join("\n");
    let key = key(&script, block)?;
    let stamp = folder.join("stamp");
    if !fs::read_to_string(&stamp).is_ok_and(|text| text == key) || !netlist.exists() {
        let _ = fs::remove_file(&stamp);
        yosys(root, &folder, &script)?;
        fs::write(&stamp, key).context("cannot write the stamp")?;
    }
    let problems = complaints(&fs::read_to_string(&checks)?);
    Ok(Synthesised { netlist, problems, lock })
}

/// Elaborates a block and checks its structure, which takes seconds.
///
/// # Errors
/// As of [`synthesise`].
pub(crate) fn check(root: &Path, block: &Block) -> Result<Vec<String>> {
    let folder = folder(root, block, "-check")?;
    let checks = folder.join("checks");
    let script = elaboration(root, block, &folder, &checks)?;
    yosys(root, &folder, &script.join("\n"))?;
    Ok(complaints(&fs::read_to_string(checks)?))
}

/// The folder of a block's results, or of those of another kind.
pub(crate) fn folder(root: &Path, block: &Block, suffix: &str) -> Result<PathBuf> {
    let folder = target(root).join("synth").join(format!("{}{suffix}", block.name()));
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

/// Passes that read a block, make it flat and check it.
fn elaboration(root: &Path, block: &Block, folder: &Path, checks: &Path) -> Result<Vec<String>> {
    Ok(vec![
        read(root, block, folder, "")?,
        format!("{SYNTHESIS} -top {} -run begin:prepare", block.module),
        "proc".to_owned(),
        "flatten".to_owned(),
        format!("tee -o {} check", word(checks)?),
        // Latches that the sources ask for are no complaint of `check`.
        format!("tee -a {} dump t:$dlatch t:$adlatch t:$dlatchsr t:$sr", word(checks)?),
    ])
}

/// Passes that read a block once more and optimise each of its parts for itself. What is constant or used by nobody across their
/// ports is found before; no logic is moved over them.
fn in_parts(root: &Path, block: &Block, folder: &Path) -> Result<Vec<String>> {
    let run = |labels| format!("{SYNTHESIS} -top {} -run {labels}", block.module);
    let mut passes =
        vec!["design -reset".to_owned(), read(root, block, folder, " --best-effort-hierarchy")?];
    // Each of a module's instances is a module of its own, named after it.
    passes.extend(
        block.parts.iter().map(|part| format!("setattr -mod -set keep_hierarchy 1 {part}$*")),
    );
    passes.push(run("begin:prepare"));
    passes.push(run("prepare:map_dsp"));
    passes.extend(
        ["opt_hier", "opt -nodffe -nosdff", "opt_hier", "opt_clean"].map(ToOwned::to_owned),
    );
    passes.push(run("map_dsp:check"));
    passes.extend(
        ["setattr -mod -unset keep_hierarchy *", "flatten -noscopeinfo", "opt_clean"]
            .map(ToOwned::to_owned),
    );
    Ok(passes)
}

/// The pass that reads a block's sources.
fn read(root: &Path, block: &Block, folder: &Path, options: &str) -> Result<String> {
    let mut read = format!("read_slang{options} -D SYNTHESIS --top {}", block.module);
    if block.soft_core {
        // Third-party sources: their assertions and initial blocks are for simulation.
        read += " --ignore-initial --ignore-assertions";
        read += &soft_core(root, folder)?;
    }
    for source in &block.sources {
        // Relative, so that the netlist's source lines are.
        read += &format!(" {}", word(source.strip_prefix(root).unwrap_or(source))?);
    }
    Ok(read)
}

/// A file's name as a word of a script, which has no way to quote a space.
pub(crate) fn word(file: &Path) -> Result<&str> {
    match file.to_str() {
        Some(text) if !text.contains(char::is_whitespace) => Ok(text),
        _ => bail!("yosys cannot read {}: there is a space in its name", file.display()),
    }
}

/// The soft core's sources from its list, with one line of one file rewritten.
fn soft_core(root: &Path, folder: &Path) -> Result<String> {
    let sources = std::env::var("IBEX_ROOT").unwrap_or_else(|_| {
        root.join(".tools/ibex/pythondata_cpu_ibex/system_verilog").display().to_string()
    });
    let list = fs::read_to_string(root.join("hdl/rtl/fw/ibex.f"))?;
    let mut words = String::new();
    for line in list.lines().map(|line| line.replace("${IBEX_ROOT}", &sources)) {
        if let Some(include) = line.strip_prefix("+incdir+") {
            words += &format!(" -I {include}");
        } else if line.ends_with("/ibex_top.sv") {
            let text = fs::read_to_string(&line).with_context(|| format!("cannot read {line}"))?;
            if text.matches(INITIALISED).count() != 1 {
                bail!("{line} is not the version whose line can be rewritten for synthesis");
            }
            let copy = folder.join("ibex_top.sv");
            fs::write(&copy, text.replace(INITIALISED, ASSIGNED))?;
            words += &format!(" {}", word(&copy)?);
        } else if line.ends_with(".sv") {
            words += &format!(" {line}");
        }
    }
    Ok(words)
}

/// What a result depends on: the tools, the script, and every source that it names.
fn key(script: &str, block: &Block) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    (tools::VERSION, script).hash(&mut hasher);
    for source in &block.sources {
        fs::read(source)?.hash(&mut hasher);
    }
    Ok(format!("{:016x}", hasher.finish()))
}

/// Runs passes of yosys, with script and log in `folder`.
pub(crate) fn yosys(root: &Path, folder: &Path, script: &str) -> Result<()> {
    let (file, log) = (folder.join("script.ys"), folder.join("log"));
    fs::write(&file, script)?;
    let output = fs::File::create(&log)?;
    let status = Command::new("python3")
        .current_dir(root)
        .arg(root.join("hdl/synth/yosys.py"))
        .arg(&file)
        .arg(tools::folder(root))
        .stdin(Stdio::null())
        .stderr(output.try_clone()?)
        .stdout(output)
        .status()
        .context("cannot run python3: run `cargo xtask setup`")?;
    if !status.success() {
        let text = fs::read_to_string(&log).unwrap_or_default();
        let errors: Vec<_> = text.lines().filter(|line| line.contains("ERROR: ")).collect();
        let last: Vec<_> =
            text.lines().rev().take(5).collect::<Vec<_>>().into_iter().rev().collect();
        let shown = if errors.is_empty() { last } else { errors };
        bail!("yosys failed ({status}, all of it in {}):\n{}", log.display(), shown.join("\n"));
    }
    Ok(())
}

/// The warnings of `check` with the lines that explain them, and the latches that were listed after it.
fn complaints(checks: &str) -> Vec<String> {
    let mut complaints: Vec<String> = Vec::new();
    let mut checked = false;
    for line in checks.lines() {
        if checked {
            if let Some(source) = line.trim().strip_prefix("attribute \\src ") {
                complaints.push(format!("latch: {source}"));
            }
        } else if line.starts_with("Warning: ") {
            complaints.push(line.to_owned());
        } else if line.starts_with("Found and reported ") {
            checked = true;
        } else if line.starts_with(' ')
            && let Some(last) = complaints.last_mut()
        {
            *last += &format!("\n{line}");
        }
    }
    if !checked {
        complaints.push("yosys did not check the block".to_owned());
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clean_check_has_no_complaint() {
        let text = "\n5. Executing CHECK pass (checking for obvious problems).\nChecking module m...\nFound and reported 0 problems.\n\n";
        assert!(complaints(text).is_empty());
    }

    #[test]
    fn complaints_keep_what_explains_them() {
        let text = "Checking module m...\nWarning: found logic loop in module m:\n    cell $2 ($and) source: m.sv:4.14\n      A[0] --> Y[0]\nWarning: multiple conflicting drivers for m.\\w:\n    port Y[0] of cell $7\nFound and reported 2 problems.\n\n  attribute \\src \"m.sv:2.3\"\n  cell $dlatch $4\n    parameter \\WIDTH 1\n";
        let found = complaints(text);
        assert_eq!(found.len(), 3);
        assert!(found[0].contains("logic loop") && found[0].contains("m.sv:4.14"));
        assert!(found[1].contains("multiple conflicting drivers"));
        assert_eq!(found[2], "latch: \"m.sv:2.3\"");
    }

    #[test]
    fn a_check_that_did_not_end_is_a_complaint() {
        assert_eq!(complaints("").len(), 1);
    }

    /// Runs yosys: each of these is found by the check, as it would be in the card.
    #[test]
    #[ignore = "needs the synthesiser, which `cargo xtask nightly` installs"]
    fn what_must_not_be_is_found() -> Result<()> {
        let root = crate::root();
        tools::install(&root)?;
        let cases = [
            ("wrong_latch", "latch: ", "always_latch if (a) q = b;"),
            ("wrong_incomplete", "logic loop", "always_comb if (a) q = b;"),
            ("wrong_loop", "logic loop", "wrong_sub x (.a(q), .y(y)); assign q = y ^ b;"),
            (
                "wrong_drivers",
                "multiple conflicting drivers",
                "wrong_sub x (.a(a), .y(y)); wrong_sub z (.a(b), .y(y)); assign q = y;",
            ),
            ("right", "", "wrong_sub x (.a(a), .y(y)); assign q = y & b;"),
        ];
        for (module, complaint, body) in cases {
            let block = |sources| Block {
                module: module.to_owned(),
                sources,
                soft_core: false,
                parts: vec![],
            };
            let file = folder(&root, &block(vec![]), "-check")?.join("source.sv");
            let sub = "module wrong_sub (input wire a, output wire y); assign y = !a; endmodule\n";
            let ports = "input logic a, input logic b, output logic q";
            let text = format!("{sub}module {module} ({ports}); wire y; {body} endmodule\n");
            fs::write(&file, text)?;
            let found = check(&root, &block(vec![file]))?;
            if complaint.is_empty() {
                assert!(found.is_empty(), "{module}: {found:?}");
            } else {
                assert!(found.iter().any(|c| c.contains(complaint)), "{module}: {found:?}");
            }
        }
        Ok(())
    }

    #[test]
    #[ignore = "needs the synthesiser, which `cargo xtask nightly` installs"]
    fn what_yosys_refuses_is_told() -> Result<()> {
        let root = crate::root();
        tools::install(&root)?;
        let block = |sources| Block {
            module: "refused".to_owned(),
            sources,
            soft_core: false,
            parts: vec![],
        };
        let file = folder(&root, &block(vec![]), "-check")?.join("source.sv");
        fs::write(&file, "module refused; assign x = unheard_of; endmodule\n")?;
        let error = check(&root, &block(vec![file])).expect_err("nobody knows the name");
        assert!(format!("{error:#}").contains("unheard_of"), "{error:#}");
        Ok(())
    }
}
