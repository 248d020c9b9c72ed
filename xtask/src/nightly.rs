//! `cargo xtask nightly`: what takes too long for every change, in jobs that can be shared out and taken up again.
//!
//! A job is a test at a larger scale or the figures. Its result holds as long as what it was made of stays the same: the folders that it names, as
//! they are in the commit. It is a file below `target/nightly/JOB-INPUTS`, so a run that was stopped goes on where it was, and several machines can each
//! take a shard. The results together become one JSON file, which is committed; one that it has from another machine is not found again.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::shell::{cargo, output, run, target};
use crate::{bench, demo, firmware, planted, setup, synth};

/// What one job runs.
enum Work {
    /// A test of a package, with this environment.
    Test {
        package: &'static str,
        test: &'static str,
        name: &'static str,
        scale: (&'static str, u32),
    },
    /// The same, of one that runs the programs in a lab.
    Lab { test: &'static str, name: &'static str, scale: (&'static str, u32) },
    /// `cargo xtask bench`, whose figures become part of the result.
    Bench,
    /// `cargo xtask synth` of every block, likewise.
    Synth,
    /// `cargo xtask synth core`, which takes as long as all blocks.
    SynthWhole,
    /// `cargo xtask rtl-test --planted`.
    Planted,
}

struct Job {
    name: &'static str,
    /// Folders and files that decide the result.
    inputs: &'static [&'static str],
    work: Work,
}

/// What the host's crates are made of.
const HOST: &[&str] = &["Cargo.lock", "Cargo.toml", "drivers", "host"];
/// What a simulated card and all that drives it in the benchmark are made of.
const CARD: &[&str] =
    &["Cargo.lock", "Cargo.toml", "drivers", "firmware", "hdl/rtl", "host", "sim", "tests"];
/// What the comparison of a simulated card with the model is made of.
const SCOREBOARD: &[&str] = &[
    "Cargo.lock",
    "Cargo.toml",
    "drivers",
    "hdl/rtl",
    "sim/card",
    "sim/refmodel",
    "sim/rtl",
    "tests/Cargo.toml",
    "tests/src",
    "tests/tests/churn.rs",
    "tests/tests/collisions",
    "tests/tests/scoreboard.rs",
];
/// What benches with faults in the RTL are made of.
const BENCHES: &[&str] = &[
    "hdl/rtl",
    "hdl/shells",
    "hdl/tb",
    "xtask/src/planted.rs",
    "xtask/src/rtl.rs",
    "xtask/src/setup.rs",
    "xtask/src/tools.rs",
];
/// What the synthesis is made of.
const SYNTHESIS: &[&str] = &["hdl/rtl", "hdl/synth", "xtask/src/synth"];

/// How many times more seeds the comparison of RTL and model takes than for every change: a million packets.
const SCALE: (&str, u32) = ("PENSTOCK_SCALE", 10);
/// The same of connections in a day: 100,000.
const DAY_SCALE: (&str, u32) = ("PENSTOCK_SCALE", 50);
/// How many random histories a property test takes.
const CASES: (&str, u32) = ("PROPTEST_CASES", 2048);

const fn scoreboard(name: &'static str, test: &'static str) -> Job {
    card("scoreboard", name, test, SCALE)
}

/// A test of a simulated card alone.
const fn card(
    test: &'static str,
    name: &'static str,
    function: &'static str,
    scale: (&'static str, u32),
) -> Job {
    let package = "penstock-tests";
    let work = Work::Test { package, test, name: function, scale };
    Job { name, inputs: SCOREBOARD, work }
}

/// All jobs, in the order in which shards deal them out.
const JOBS: &[Job] = &[
    scoreboard("scoreboard-rest", "tables_at_rest"),
    scoreboard("scoreboard-between", "tables_that_change_between_packets"),
    scoreboard("scoreboard-under-traffic", "tables_that_change_under_traffic"),
    scoreboard("scoreboard-new-flows", "more_new_flows_than_the_card_inserts"),
    scoreboard("storm", "a_storm_leaves_connections_whole"),
    card("churn", "day", "a_day_of_connections_leaves_nothing", DAY_SCALE),
    Job {
        name: "short-connections",
        inputs: CARD,
        work: Work::Lab {
            test: "e2e_connections",
            name: "short_connections_beyond_the_flow_table",
            // 210,000 of them.
            scale: ("PENSTOCK_SCALE", 7),
        },
    },
    Job {
        name: "compile-properties",
        inputs: HOST,
        work: Work::Test { package: "penstock-compile", test: "", name: "", scale: CASES },
    },
    Job {
        name: "plan-properties",
        inputs: HOST,
        work: Work::Test { package: "penstock-plan", test: "", name: "", scale: CASES },
    },
    Job { name: "planted-faults", inputs: BENCHES, work: Work::Planted },
    Job { name: "bench", inputs: CARD, work: Work::Bench },
    Job { name: "synthesis", inputs: SYNTHESIS, work: Work::Synth },
    Job { name: "synthesis-whole", inputs: SYNTHESIS, work: Work::SynthWhole },
];

impl Job {
    /// A digest of what decides the result: the inputs, as they are in the commit that is checked out, and the scale.
    fn digest(&self, root: &Path) -> Result<String> {
        let mut hasher = DefaultHasher::new();
        if let Work::Test { scale, .. } | Work::Lab { scale, .. } = self.work {
            scale.hash(&mut hasher);
        }
        for input in self.inputs {
            git(root, &["rev-parse", "--verify", &format!("HEAD:{input}")])?.hash(&mut hasher);
        }
        Ok(format!("{:016x}", hasher.finish()))
    }
}

fn git(root: &Path, arguments: &[&str]) -> Result<String> {
    output(Command::new("git").current_dir(root).args(arguments))
}

/// Where the results that are committed are.
const COMMITTED: &str = "docs/nightly.json";

/// Runs the jobs of a shard that have not passed yet with what they are made of now, and writes what is known of all of them to `file`.
///
/// # Errors
/// The checkout differs from its commit, the shard is not one, or a job failed.
pub(crate) fn nightly(root: &Path, shard: &str, file: Option<&Path>) -> Result<()> {
    let (number, of) = parse_shard(shard)?;
    if !git(root, &["status", "--porcelain", "--untracked-files=no"])?.trim().is_empty() {
        bail!(
            "the checkout differs from its commit; commit first, so that the result names what was run"
        );
    }
    let commit = git(root, &["rev-parse", "HEAD"])?.trim().to_owned();
    setup::run_setup(root)?;
    for job in JOBS.iter().skip(number - 1).step_by(of) {
        let inputs = job.digest(root)?;
        if known(root, job, &inputs)["ok"] == true {
            println!("==> {}: passed before", job.name);
            continue;
        }
        println!("==> {}", job.name);
        let folder = folder(root, job, &inputs);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let start = Instant::now();
        let result = perform(root, &folder, &job.work);
        let minutes = (start.elapsed().as_secs_f64() / 6.0).round() / 10.0;
        println!(
            "==> {}: {} in {minutes} min",
            job.name,
            if result.is_ok() { "done" } else { "FAILED" }
        );
        let mut record =
            json!({ "ok": result.is_ok(), "commit": commit, "inputs": inputs, "minutes": minutes });
        match result {
            Ok(figures) => record["figures"] = figures,
            Err(error) => record["error"] = format!("{error:#}").into(),
        }
        fs::write(folder.join(RESULT), serde_json::to_vec_pretty(&record)?)?;
    }
    summary(root, file)
}

/// A job's result in its folder.
const RESULT: &str = "result.json";

/// What a job leaves while it is made of this.
fn folder(root: &Path, job: &Job, inputs: &str) -> PathBuf {
    target(root).join("nightly").join(format!("{}-{inputs}", job.name))
}

/// A job's result, found here or committed, with what it is made of now; `null` if there is none.
fn known(root: &Path, job: &Job, inputs: &str) -> Value {
    let read =
        |file: PathBuf| -> Option<Value> { serde_json::from_slice(&fs::read(file).ok()?).ok() };
    read(folder(root, job, inputs).join(RESULT))
        .or_else(|| read(root.join(COMMITTED)).map(|mut all| all["jobs"][job.name].take()))
        .filter(|result| result["inputs"] == inputs)
        .unwrap_or_default()
}

/// `k/n`: the k-th of n shares.
fn parse_shard(shard: &str) -> Result<(usize, usize)> {
    let parts = shard.split_once('/').and_then(|(k, n)| Some((k.parse().ok()?, n.parse().ok()?)));
    match parts {
        Some((k, n)) if (1..=n).contains(&k) => Ok((k, n)),
        _ => bail!("`{shard}` is no shard: give k/n with 1 <= k <= n, such as 2/3"),
    }
}

fn perform(root: &Path, folder: &Path, work: &Work) -> Result<Value> {
    match *work {
        Work::Test { package, test, name, scale } => {
            let mut command = cargo(root, &["test", "--quiet", "--package", package]);
            if !test.is_empty() {
                command.args(["--test", test]);
            }
            command.arg(name).env(scale.0, scale.1.to_string());
            run(&mut command).map(|()| Value::Null)
        }
        Work::Lab { test, name, scale } => {
            demo::build_programs(root)?;
            let arguments = ["test", "--quiet", "--workspace", "--test", test, name];
            run(cargo(root, &arguments).env(scale.0, scale.1.to_string())).map(|()| Value::Null)
        }
        // By far the longest; so a run that was stopped goes on at the fault where it was.
        Work::Planted => planted::check(root, "", Some(&target(root).join("nightly/planted")))
            .map(|()| Value::Null),
        Work::Bench => {
            firmware::build(root)?;
            let figures = folder.join("figures.json");
            bench::bench(root, Some(&figures), false)?;
            Ok(serde_json::from_slice(&fs::read(figures)?)?)
        }
        Work::Synth => {
            // What needs the synthesiser is left out of every change's tests. One at a time: each would install it.
            let tests = ["test", "--package", "xtask", "--", "--ignored", "--test-threads", "1"];
            run(&mut cargo(root, &tests))?;
            synthesise(root, folder, synth::Options::of_blocks)
        }
        Work::SynthWhole => synthesise(root, folder, synth::Options::of_core),
    }
}

/// Figures of what is synthesised with the options that write them to a file.
fn synthesise(root: &Path, folder: &Path, options: fn(&Path) -> synth::Options) -> Result<Value> {
    let figures = folder.join("synthesis-figures.json");
    synth::synth(root, &options(&figures))?;
    Ok(serde_json::from_slice(&fs::read(figures)?)?)
}

/// Every job's result with what it is made of now; `null` for those that another shard has or that were not run yet.
fn summary(root: &Path, file: Option<&Path>) -> Result<()> {
    let mut jobs = serde_json::Map::new();
    let mut failed = Vec::new();
    for job in JOBS {
        let record = known(root, job, &job.digest(root)?);
        if record["ok"] == false {
            failed.push(job.name);
        }
        jobs.insert(job.name.to_owned(), record);
    }
    let all = serde_json::to_string_pretty(&json!({ "jobs": jobs }))?;
    match file {
        Some(file) => fs::write(file, all + "\n")
            .with_context(|| format!("cannot write {}", file.display()))?,
        None => println!("{all}"),
    }
    if failed.is_empty() { Ok(()) } else { bail!("failed: {}", failed.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_a_share() {
        assert_eq!(parse_shard("2/3").ok(), Some((2, 3)));
        for wrong in ["", "0/3", "4/3", "1", "1/0", "a/b"] {
            assert!(parse_shard(wrong).is_err(), "{wrong}");
        }
    }

    /// A folder that was moved would fail when the run has begun.
    #[test]
    fn what_decides_a_result_is_there() -> Result<()> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no root")?;
        for job in JOBS {
            for input in job.inputs {
                assert!(root.join(input).exists(), "{}: {input}", job.name);
            }
        }
        Ok(())
    }

    /// What these sources use of this workspace, be it through others, is among what their result is known by.
    #[test]
    fn the_scoreboard_is_made_of_what_it_uses() -> Result<()> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no root")?;
        let mut crates = std::collections::BTreeMap::new();
        for folder in ["drivers", "host", "sim"] {
            for entry in fs::read_dir(root.join(folder))? {
                let manifest = entry?.path().join("Cargo.toml");
                let Ok(text) = fs::read_to_string(&manifest) else { continue };
                let name = text.lines().find_map(|line| line.strip_prefix("name = "));
                let name = name.context("a crate without a name")?.trim_matches('"').to_owned();
                let folder = manifest.parent().context("no folder")?.strip_prefix(root)?;
                crates.insert(name, (folder.to_owned(), text));
            }
        }
        let mut sources =
            vec![root.join("tests/tests/scoreboard.rs"), root.join("tests/tests/churn.rs")];
        for folder in ["tests/src", "tests/src/board", "tests/src/storm", "tests/tests/collisions"]
        {
            let entries = fs::read_dir(root.join(folder))?;
            sources.extend(entries.flatten().map(|entry| entry.path()).filter(|p| p.is_file()));
        }
        let mut texts = String::new();
        for source in sources {
            texts += &fs::read_to_string(source)?;
        }
        let used = |text: &str, name: &str| {
            let word = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
            text.split(|c| !word(c)).any(|other| other == name)
        };
        let mut needed: Vec<&str> = crates
            .keys()
            .map(String::as_str)
            .filter(|name| used(&texts, &name.replace('-', "_")))
            .collect();
        let mut at = 0;
        while let Some(name) = needed.get(at).copied() {
            let (folder, manifest) = &crates[name];
            assert!(SCOREBOARD.iter().any(|input| folder.starts_with(input)), "{name} is missing");
            let manifest = manifest.split("[dev-dependencies]").next().unwrap_or_default();
            for other in crates.keys().filter(|other| used(manifest, other)) {
                if !needed.contains(&other.as_str()) {
                    needed.push(other);
                }
            }
            at += 1;
        }
        assert!(needed.len() > 4, "{needed:?}");
        Ok(())
    }

    #[test]
    fn each_job_is_in_one_shard() {
        for of in 1..=4 {
            let mut seen: Vec<_> = (1..=of)
                .flat_map(|k| JOBS.iter().skip(k - 1).step_by(of).map(|job| job.name))
                .collect();
            seen.sort_unstable();
            let count = seen.len();
            seen.dedup();
            assert_eq!((count, seen.len()), (JOBS.len(), JOBS.len()));
        }
    }
}
