//! Faults planted in the RTL, each of which its bench must find: so what a bench checks is shown to be able to fail.
//!
//! `hdl/tb/planted/*.txt` lists them, in blocks of
//!
//! ```text
//! fault NAME: what goes wrong
//! in FILE
//! red BENCH
//! - text that stands in FILE once
//! + text in its place
//! ```
//!
//! Text of several lines has a mark on each. Other pairs of texts may follow; lines with `#` before the first block are comments.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result, bail, ensure};

use crate::rtl;

/// Seconds in which a bench ends, or has noticed that nothing moves; the longest takes a minute on an idle machine.
const PATIENCE: &str = "900";

/// One fault, and where it must be seen.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Fault {
    name: String,
    file: String,
    bench: String,
    /// Texts, and what comes in their places.
    changes: Vec<(String, String)>,
}

/// Plants each fault whose name or bench contains `filter` in a copy of the RTL, and runs its bench; and each of those benches without one.
/// Faults that are found leave a file in the folder `known`, if there is one, and those that have one there are not planted again while
/// all that its bench is made of stays the same.
///
/// # Errors
/// A list cannot be read, a text is not in its file, a bench does not build or fails without a fault, or passes with one.
pub(crate) fn check(root: &Path, filter: &str, known: Option<&Path>) -> Result<()> {
    let mut faults = listed(root)?;
    faults.retain(|fault| fault.name.contains(filter) || fault.bench.contains(filter));
    faults.sort_by(|a, b| a.bench.cmp(&b.bench));
    ensure!(!faults.is_empty(), "no planted fault has `{filter}` in its name");
    let all = faults.len();
    let known = known.map(|folder| Known::open(root, folder)).transpose()?;
    if let Some(known) = &known {
        faults = known.without(faults)?;
    }
    let known = known.as_ref();

    // Each on one core, in a tree of its own.
    let workers = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let next = AtomicUsize::new(0);
    let left: Vec<Vec<&str>> = std::thread::scope(|scope| {
        let worker = |number: usize| {
            let tree = root.join("target/planted").join(number.to_string());
            let (next, faults) = (&next, &faults);
            scope.spawn(move || {
                let faults =
                    std::iter::from_fn(|| faults.get(next.fetch_add(1, Ordering::Relaxed)));
                plant_all(root, &tree, faults, known).inspect_err(|_| {
                    next.store(usize::MAX / 2, Ordering::Relaxed);
                })
            })
        };
        let workers: Vec<_> = (0..workers).map(worker).collect();
        let ended = workers.into_iter().map(|worker| worker.join());
        ended
            .map(|result| result.unwrap_or_else(|_| bail!("a worker panicked")))
            .collect::<Result<_>>()
    })?;
    let left = left.concat();
    ensure!(left.is_empty(), "planted faults that nobody found: {}", left.join(", "));
    println!("planted: all {all} found");
    Ok(())
}

/// Plants faults in `tree`, one after the other. Returns the names of those that were not found.
fn plant_all<'a>(
    root: &Path,
    tree: &Path,
    faults: impl Iterator<Item = &'a Fault>,
    known: Option<&Known<'_>>,
) -> Result<Vec<&'a str>> {
    let mut left = Vec::new();
    let mut bench = "";
    for fault in faults {
        // A bench that fails anyway shows nothing.
        if fault.bench != bench {
            bench = &fault.bench;
            copy(&root.join("hdl"), &tree.join("hdl"))?;
            if let Some(why) = run(root, tree, bench)? {
                bail!("{bench} fails without a fault:\n{why}");
            }
        }
        let file = tree.join(&fault.file);
        let sound = fs::read_to_string(root.join(&fault.file))
            .with_context(|| format!("fault {}", fault.name))?;
        fs::write(&file, plant(&sound, fault)?)?;
        let found = run(root, tree, bench).with_context(|| format!("fault {}", fault.name))?;
        fs::write(&file, sound)?;
        match found {
            Some(why) => {
                let first = why.lines().find(|l| l.contains("FAIL") || l.contains("ssert"));
                println!("planted {} ... found by {bench}: {}", fault.name, first.unwrap_or(&why));
                if let Some(known) = known {
                    fs::write(known.file(fault)?, &why)?;
                }
            }
            None => {
                println!("planted {} ... NOT FOUND by {bench}", fault.name);
                left.push(fault.name.as_str());
            }
        }
    }
    Ok(left)
}

/// Faults that were found, with what their benches were made of then.
struct Known<'a> {
    root: &'a Path,
    folder: &'a Path,
    /// The RTL, by the name of the module or package that a file holds, which is the file's: what it is, and which others it names.
    sources: HashMap<String, (String, Vec<String>)>,
}

impl<'a> Known<'a> {
    fn open(root: &'a Path, folder: &'a Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let mut files = Vec::new();
        for part in ["hdl/rtl", "hdl/shells", "hdl/tb/gen", "hdl/tb/shells"] {
            files_below(&root.join(part), &mut files)?;
        }
        let mut texts = HashMap::new();
        for file in files.iter().filter(|file| file.extension().is_some_and(|e| e == "sv")) {
            let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let text = fs::read_to_string(file).with_context(|| format!("{}", file.display()))?;
            texts.insert(name, text);
        }
        let named = |text: &str| {
            let known = words(text).filter(|word| texts.contains_key(*word));
            known.map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect()
        };
        let sources =
            texts.iter().map(|(name, text)| (name.clone(), (text.clone(), named(text)))).collect();
        Ok(Self { root, folder, sources })
    }

    /// Where it says that a fault was found.
    fn file(&self, fault: &Fault) -> Result<PathBuf> {
        let mut hasher = DefaultHasher::new();
        fault.hash(&mut hasher);
        let bench = self.bench(fault)?;
        self.needed(bench.iter().map(|(_, text)| text.as_str())).hash(&mut hasher);
        bench.hash(&mut hasher);
        Ok(self.folder.join(format!("{}-{:016x}", fault.name, hasher.finish())))
    }

    /// A fault's bench: its files, with their names.
    fn bench(&self, fault: &Fault) -> Result<Vec<(String, String)>> {
        let mut files = Vec::new();
        for ending in ["sv", "cpp"] {
            included(&self.root.join("hdl/tb"), &format!("{}.{ending}", fault.bench), &mut files)?;
        }
        Ok(files)
    }

    /// Sources that these texts name, and those that they name in turn: nothing else can be part of a bench.
    fn needed<'t>(&'t self, texts: impl Iterator<Item = &'t str>) -> BTreeMap<&'t str, &'t str> {
        let mut needed = BTreeMap::new();
        let mut unread: Vec<&str> = texts.flat_map(words).collect();
        while let Some(word) = unread.pop() {
            if let Some((name, (source, named))) = self.sources.get_key_value(word)
                && needed.insert(name.as_str(), source.as_str()).is_none()
            {
                unread.extend(named.iter().map(String::as_str));
            }
        }
        needed
    }

    fn without(&self, faults: Vec<Fault>) -> Result<Vec<Fault>> {
        let mut left = Vec::new();
        for fault in faults {
            if !self.file(&fault)?.exists() {
                left.push(fault);
            }
        }
        Ok(left)
    }
}

/// Identifiers and keywords.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
}

/// A file of a folder and those of it that it includes, directly or not, each once; nothing if there is no such file.
fn included(folder: &Path, name: &str, files: &mut Vec<(String, String)>) -> Result<()> {
    let path = folder.join(name);
    if !path.is_file() || files.iter().any(|(known, _)| known == name) {
        return Ok(());
    }
    let text = fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
    files.push((name.to_owned(), text.clone()));
    for line in text.lines() {
        let line = line.trim_start();
        let rest = line.strip_prefix("`include").or_else(|| line.strip_prefix("#include"));
        if let Some(other) = rest.and_then(|rest| rest.split('"').nth(1)) {
            // Verilog's are named from the root, C++'s from the folder.
            included(folder, other.trim_start_matches("hdl/tb/"), files)?;
        }
    }
    Ok(())
}

/// All files below a folder, in order.
fn files_below(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let mut entries: Vec<PathBuf> = entries.collect::<Result<_>>()?;
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            files_below(&entry, files)?;
        } else {
            files.push(entry);
        }
    }
    Ok(())
}

/// The faults of all lists.
fn listed(root: &Path) -> Result<Vec<Fault>> {
    let mut faults = Vec::new();
    let folder = root.join("hdl/tb/planted");
    let mut lists: Vec<PathBuf> = fs::read_dir(&folder)
        .with_context(|| format!("cannot list {}", folder.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    lists.sort();
    for list in lists {
        let context = || format!("{}", list.display());
        faults.extend(
            parse(&fs::read_to_string(&list).with_context(context)?).with_context(context)?,
        );
    }
    Ok(faults)
}

/// Builds and runs a bench of `tree`; says why it failed, if it did.
fn run(root: &Path, tree: &Path, name: &str) -> Result<Option<String>> {
    let bench = tree.join("hdl/tb").join(format!("{name}.sv"));
    let build = tree.join("build").join(name);
    rtl::build_bench(root, tree, &bench, name, &build)?;
    let output = Command::new("timeout")
        .arg(PATIENCE)
        .arg(build.join(format!("V{name}")))
        .current_dir(tree)
        .output()?;
    Ok(rtl::verdict(&bench, &output).err().map(|error| match output.status.code() {
        Some(124) => "FAIL: it does not end".to_owned(),
        _ => format!("{error:#}"),
    }))
}

/// A file's text with the fault in it.
fn plant(text: &str, fault: &Fault) -> Result<String> {
    fault.changes.iter().try_fold(text.to_owned(), |text, (from, to)| {
        let count = text.matches(from.as_str()).count();
        ensure!(
            count == 1,
            "fault {}: its text stands {count} times in {}",
            fault.name,
            fault.file
        );
        Ok(text.replace(from.as_str(), to))
    })
}

fn parse(text: &str) -> Result<Vec<Fault>> {
    let mut faults: Vec<Fault> = Vec::new();
    let mut replaced = true;
    for (number, line) in text.lines().enumerate() {
        let wrong = || format!("line {}: `{line}`", number + 1);
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        if word == "fault" {
            let name = rest.split(':').next().unwrap_or_default().to_owned();
            faults.push(Fault {
                name,
                file: String::new(),
                bench: String::new(),
                changes: Vec::new(),
            });
            replaced = true;
            continue;
        }
        if line.is_empty() || (faults.is_empty() && word == "#") {
            continue;
        }
        let fault = faults.last_mut().with_context(wrong)?;
        match word {
            "in" => rest.clone_into(&mut fault.file),
            "red" => rest.clone_into(&mut fault.bench),
            "-" if replaced => {
                fault.changes.push((rest.to_owned(), String::new()));
                replaced = false;
            }
            "-" => add(&mut fault.changes.last_mut().with_context(wrong)?.0, rest),
            "+" => {
                let to = &mut fault.changes.last_mut().with_context(wrong)?.1;
                if replaced {
                    add(to, rest);
                } else {
                    rest.clone_into(to);
                }
                replaced = true;
            }
            _ => bail!("{}", wrong()),
        }
    }
    for fault in &faults {
        let whole = !fault.file.is_empty() && !fault.bench.is_empty() && !fault.changes.is_empty();
        ensure!(whole, "fault {} is not whole", fault.name);
    }
    Ok(faults)
}

fn add(text: &mut String, line: &str) {
    text.push('\n');
    text.push_str(line);
}

/// Makes `to` what `from` is, file by file; what is equal stays untouched, so that it is not built again.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let (from, name) = {
            let entry = entry?;
            (entry.path(), entry.file_name())
        };
        let to = to.join(name);
        if from.is_dir() {
            copy(&from, &to)?;
        } else {
            let bytes = fs::read(&from)?;
            if fs::read(&to).ok().as_deref() != Some(&bytes) {
                fs::write(&to, bytes)?;
            }
        }
    }
    for entry in fs::read_dir(to)? {
        let entry = entry?;
        if !from.join(entry.file_name()).exists() {
            if entry.path().is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "# Window.\n\nfault one: it goes wrong\nin a.sv\nred a_tb\n- x <= y;\n+ x <= z;\n- if (a)\n-   b;\n+ b;\n\nfault two: all\nin b.sv\nred b_tb\n- c\n+ \n";

    #[test]
    fn a_list_is_read_and_planted() {
        let faults = parse(LIST).expect("a list");
        assert_eq!(faults.len(), 2);
        assert_eq!((faults[0].name.as_str(), faults[0].bench.as_str()), ("one", "a_tb"));
        let planted = plant("if (a)\n  b;\nx <= y;\n", &faults[0]).expect("planted");
        assert_eq!(planted, "b;\nx <= z;\n");
        assert_eq!(plant("acd", &faults[1]).expect("planted"), "ad");
        for wrong in ["", "cc"] {
            assert!(plant(wrong, &faults[1]).is_err(), "{wrong}");
        }
    }

    /// The benches run rarely with faults: a text that a change of the RTL has left behind must not wait for that.
    #[test]
    fn every_fault_fits_the_sources() -> Result<()> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no root")?;
        let folder = tempfile::tempdir()?;
        let known = Known::open(root, folder.path())?;
        for fault in listed(root)? {
            plant(&fs::read_to_string(root.join(&fault.file))?, &fault)?;
            assert!(root.join(format!("hdl/tb/{}.sv", fault.bench)).exists(), "{}", fault.name);
            // Its bench is made of it, as far as names tell.
            let name = Path::new(&fault.file).file_stem().unwrap_or_default().to_string_lossy();
            let bench = known.bench(&fault)?;
            let needed = known.needed(bench.iter().map(|(_, text)| text.as_str()));
            assert!(needed.contains_key(&*name), "{}: {}", fault.name, fault.file);
        }
        Ok(())
    }

    #[test]
    fn what_is_known_of_a_fault_is_forgotten_with_its_bench() -> Result<()> {
        let tree = tempfile::tempdir()?;
        let known = tempfile::tempdir()?;
        let write = |file: &str, text: &str| {
            let file = tree.path().join(file);
            fs::create_dir_all(file.parent().context("no folder")?)?;
            Ok::<_, anyhow::Error>(fs::write(file, text)?)
        };
        let empty = ["rtl/host/ps_low.sv", "rtl/ps_other.sv", "shells/b.sv", "tb/b.h"];
        for file in empty.into_iter().chain(["tb/shells/d.sv", "tb/planted/a.txt"]) {
            write(&format!("hdl/{file}"), "")?;
        }
        write("hdl/rtl/ps_a.sv", "import ps_pkg::*;\n  ps_low #(.Depth(2)) u_low (.*);\n")?;
        write("hdl/tb/gen/ps_pkg.sv", "package ps_pkg;\n")?;
        write("hdl/tb/b_tb.sv", "ps_other dut (.*), import ps_pkg::*;\n")?;
        write("hdl/tb/a_tb.sv", "module a;\n  `include \"hdl/tb/a.svh\"\n  ps_a dut (.*);\n")?;
        write("hdl/tb/a.svh", "`include \"hdl/tb/a.svh\"\n")?;
        let left = || {
            let known = Known::open(tree.path(), known.path())?;
            let left = known.without(parse(LIST)?)?;
            for fault in &left {
                fs::write(known.file(fault)?, "")?;
            }
            Ok::<_, anyhow::Error>(left.into_iter().map(|fault| fault.name).collect::<Vec<_>>())
        };
        assert_eq!(left()?, ["one", "two"]);
        write("hdl/tb/planted/a.txt", "another list")?;
        assert!(left()?.is_empty());
        write("hdl/tb/b_tb.cpp", "another bench")?;
        assert_eq!(left()?, ["two"]);
        write("hdl/tb/a.svh", "another task of a bench")?;
        assert_eq!(left()?, ["one"]);
        write("hdl/rtl/host/ps_low.sv", "what its card is made of")?;
        assert_eq!(left()?, ["one"]);
        write("hdl/rtl/ps_other.sv", "another card")?;
        assert_eq!(left()?, ["two"]);
        write("hdl/tb/gen/ps_pkg.sv", "what both know")?;
        assert_eq!(left()?, ["one", "two"]);
        write("hdl/rtl/ps_new.sv", "what nobody names")?;
        assert!(left()?.is_empty());
        Ok(())
    }

    #[test]
    fn a_list_that_is_not_whole_is_refused() {
        for wrong in ["in a.sv", "fault a: b\nin c\nred d", "fault a: b\n+ c", "fault a: b\nwhat"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
