//! What can be synthesised: the modules of the card, each with the files that it needs.
//!
//! A module is in the file of its name, so that a file needs those whose names it mentions outside of comments.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::shell::output;
use crate::tools::sources;

/// The whole card.
const CORE: &str = "penstock_core";
/// How it is called in figures, and by who asks for it.
pub(crate) const CORE_NAME: &str = "core";
/// Modules that are most of the card, and take as long: synthesised as part of it, or by name.
const HALVES: [&str; 3] = ["ps_match", "ps_datapath", "ps_flow"];
/// The soft core's wrapper; what mentions it needs the soft core's sources.
const SOFT_CORE: &str = "ps_fw_cpu";
/// What the soft core's sources need of ours.
const CLOCK_GATE: &str = "prim_clock_gating";
/// The clock that ports are thought to belong to.
pub(crate) const MAIN_CLOCK: &str = "clk_i";

/// A module to synthesise.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    /// Name of the module.
    pub(crate) module: String,
    /// Files of ours that it needs, each after those that it needs itself.
    pub(crate) sources: Vec<PathBuf>,
    /// Whether it needs the soft core's sources as well.
    pub(crate) soft_core: bool,
    /// Modules within, if it is most of the card, each of which is optimised apart.
    pub(crate) parts: Vec<String>,
}

impl Block {
    /// How it is called in figures and budgets.
    pub(crate) fn name(&self) -> &str {
        if self.module == CORE { CORE_NAME } else { &self.module }
    }
}

/// All modules and what they need.
pub(crate) struct Catalogue {
    files: BTreeMap<String, PathBuf>,
    needs: BTreeMap<String, BTreeSet<String>>,
}

/// A memory of ours that is optimised apart, as those that hold it are: it has hundreds of RAMs, and registers around them.
const DEEP_MEMORY: &str = "ps_ram_deep";

/// What of the catalogue is wanted.
pub(crate) enum Choice<'a> {
    /// Every block.
    All,
    /// Those with these names.
    Named(&'a [String]),
    /// Those that a change since this revision can have touched.
    Changed(&'a str),
}

impl Catalogue {
    /// Reads the sources below `root`.
    ///
    /// # Errors
    /// A source cannot be read.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut texts = BTreeMap::new();
        let mut files = BTreeMap::new();
        for file in sources(root)? {
            let name = file.file_stem().context("a source has a name")?.to_string_lossy();
            let text = std::fs::read_to_string(&file)
                .with_context(|| format!("cannot read {}", file.display()))?;
            texts.insert(name.to_string(), text);
            files.insert(name.into_owned(), file);
        }
        let names: BTreeSet<_> = files.keys().cloned().collect();
        let needs = texts.iter().map(|(name, text)| (name.clone(), mentioned(text, name, &names)));
        Ok(Self { needs: needs.collect(), files })
    }

    /// The blocks; with `whole` the card itself comes after them.
    ///
    /// # Errors
    /// A name is no module's, or git does not know the revision.
    pub(crate) fn choose(
        &self,
        root: &Path,
        choice: &Choice<'_>,
        whole: bool,
    ) -> Result<Vec<Block>> {
        let mut modules: Vec<&str> =
            self.files.keys().map(String::as_str).filter(|name| is_block(name)).collect();
        if whole {
            modules.push(CORE);
        }
        match choice {
            Choice::All => {}
            Choice::Named(names) => {
                let module = |name: &String| {
                    let module = if name == CORE_NAME { CORE } else { name };
                    let found = self.files.get_key_value(module);
                    found
                        .map(|(module, _)| module.as_str())
                        .with_context(|| format!("there is no module {module} below hdl/rtl"))
                };
                let named = names.iter().map(module).collect::<Result<Vec<_>>>()?;
                modules.retain(|module| whole && !is_block(module) && !named.contains(module));
                modules.splice(0..0, named);
            }
            Choice::Changed(revision) => {
                let changed = changed_files(root, revision)?;
                if changed.iter().any(|file| is_flow(file)) {
                    return Ok(modules.into_iter().map(|module| self.block(module)).collect());
                }
                let touched = |module: &&str| {
                    let block = self.block(module);
                    changed.iter().any(|file| block.sources.contains(&root.join(file)))
                        || (block.soft_core && changed.iter().any(|file| file.ends_with("ibex.f")))
                };
                modules.retain(touched);
            }
        }
        Ok(modules.into_iter().map(|module| self.block(module)).collect())
    }

    /// The card.
    pub(crate) fn core(&self) -> Block {
        self.block(CORE)
    }

    /// Whether `name` is a block's or the card's, as budgets have it.
    pub(crate) fn knows(&self, name: &str) -> bool {
        name == CORE_NAME || (name != CORE && self.files.contains_key(name))
    }

    fn block(&self, module: &str) -> Block {
        let mut order = Vec::new();
        self.visit(module, &mut order);
        let soft_core = order.iter().any(|name| name == SOFT_CORE);
        if soft_core {
            self.visit(CLOCK_GATE, &mut order);
        }
        let sources = order.iter().filter_map(|name| self.files.get(name).cloned()).collect();
        let is_whole = module == CORE || HALVES.contains(&module);
        let parts = order
            .into_iter()
            .filter(|name| is_whole && name != module && self.is_part(name))
            .collect();
        Block { module: module.to_owned(), sources, soft_core, parts }
    }

    /// Whether a module is optimised apart in what is most of the card: primitives are part of what uses them.
    fn is_part(&self, name: &str) -> bool {
        let primitive = self
            .files
            .get(name)
            .is_some_and(|file| file.parent().is_some_and(|folder| folder.ends_with("prim")));
        name == DEEP_MEMORY
            || (name.starts_with("ps_")
                && !name.ends_with("_pkg")
                && !name.ends_with("_sva")
                && !primitive)
    }

    fn visit(&self, name: &str, order: &mut Vec<String>) {
        if order.iter().any(|seen| seen == name) {
            return;
        }
        for need in self.needs.get(name).into_iter().flatten() {
            self.visit(need, order);
        }
        order.push(name.to_owned());
    }
}

/// Whether a file is a block, and not a package, a checker, a part of the soft core or most of the card.
fn is_block(name: &str) -> bool {
    name.starts_with("ps_")
        && !name.ends_with("_pkg")
        && !name.ends_with("_sva")
        && !HALVES.contains(&name)
}

/// Whether a file can change every figure.
fn is_flow(file: &str) -> bool {
    file.starts_with("xtask/src/synth/") || file == "hdl/synth/yosys.py"
}

/// The names of other files that a text mentions outside of line comments.
fn mentioned(text: &str, own: &str, names: &BTreeSet<String>) -> BTreeSet<String> {
    let code = text.lines().map(|line| line.split_once("//").map_or(line, |(code, _)| code));
    code.flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'))
        .filter(|word| *word != own && names.contains(*word))
        .map(ToOwned::to_owned)
        .collect()
}

/// Files that differ from a revision, in the checkout too.
fn changed_files(root: &Path, revision: &str) -> Result<Vec<String>> {
    if revision.starts_with('-') {
        bail!("`{revision}` is no revision");
    }
    let git = |arguments: &[&str]| output(Command::new("git").current_dir(root).args(arguments));
    let tracked = git(&["diff", "--name-only", "--no-renames", revision, "--"])?;
    let fresh = git(&["ls-files", "--others", "--exclude-standard", "hdl/rtl"])?;
    Ok(tracked.lines().chain(fresh.lines()).map(ToOwned::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue(files: &[(&str, &str)]) -> Catalogue {
        let names: BTreeSet<_> = files.iter().map(|(name, _)| (*name).to_owned()).collect();
        let need =
            |(name, text): &(&str, &str)| ((*name).to_owned(), mentioned(text, name, &names));
        Catalogue {
            needs: files.iter().map(need).collect(),
            files: files.iter().map(|(name, _)| ((*name).to_owned(), (*name).into())).collect(),
        }
    }

    #[test]
    fn a_file_comes_after_what_it_needs() {
        let all = catalogue(&[
            ("ps_a", "module ps_a; import ps_p_pkg::*; ps_b u_b (); // like ps_c\nendmodule"),
            ("ps_b", "module ps_b; import ps_p_pkg::x;"),
            ("ps_c", "module ps_c;"),
            ("ps_p_pkg", "package ps_p_pkg;"),
        ]);
        let block = all.block("ps_a");
        let names: Vec<_> = block.sources.iter().map(|file| file.to_string_lossy()).collect();
        assert_eq!(names, ["ps_p_pkg", "ps_b", "ps_a"]);
        assert!(!block.soft_core);
    }

    #[test]
    fn what_holds_the_soft_core_needs_its_sources() {
        let all = catalogue(&[
            ("penstock_core", "ps_fw_cpu u_cpu ();"),
            ("prim_clock_gating", ""),
            ("ps_fw_cpu", "ibex_top u_core ();"),
        ]);
        let block = all.core();
        assert!(block.soft_core);
        assert_eq!(block.sources.last().map(|file| file.as_path()), Some(Path::new(CLOCK_GATE)));
    }

    #[test]
    fn only_what_is_most_of_the_card_is_optimised_in_parts() {
        let mut all = catalogue(&[
            ("penstock_core", "ps_match u_match (); ps_fw_cpu u_cpu ();"),
            ("ps_match", "import ps_p_pkg::*; ps_flow u_flow (); ps_a u_a ();"),
            ("ps_a", "ps_b u_b (); ps_fifo u_fifo (); ps_ram_deep u_ram ();"),
            ("ps_b", ""),
            ("ps_fifo", ""),
            ("ps_flow", ""),
            ("ps_fw_cpu", ""),
            ("ps_p_pkg", ""),
            ("ps_ram_deep", ""),
        ]);
        for name in ["ps_fifo", "ps_ram_deep"] {
            all.files.insert(name.to_owned(), format!("hdl/rtl/prim/{name}.sv").into());
        }
        assert_eq!(all.block("ps_match").parts, ["ps_b", "ps_ram_deep", "ps_a", "ps_flow"]);
        assert!(all.core().parts.contains(&"ps_match".to_owned()));
        assert!(all.block("ps_a").parts.is_empty());
    }

    #[test]
    fn the_card_is_chosen_by_its_name_in_figures() -> Result<()> {
        let all = catalogue(&[
            ("penstock_core", ""),
            ("ps_a", ""),
            ("ps_match", ""),
            ("ps_datapath", ""),
            ("ps_flow", ""),
        ]);
        let names = |choice: &Choice<'_>, whole| -> Result<Vec<String>> {
            let blocks = all.choose(Path::new("."), choice, whole)?;
            Ok(blocks.iter().map(|block| block.name().to_owned()).collect())
        };
        assert_eq!(names(&Choice::All, false)?, ["ps_a"]);
        assert_eq!(names(&Choice::All, true)?, ["ps_a", "core"]);
        let named = ["core".to_owned()];
        assert_eq!(names(&Choice::Named(&named), false)?, ["core"]);
        assert!(names(&Choice::Named(&["ps_x".to_owned()]), false).is_err());
        Ok(())
    }

    #[test]
    fn a_change_touches_what_needs_it() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let root = folder.path();
        let rtl = root.join("hdl/rtl");
        std::fs::create_dir_all(rtl.join("gen"))?;
        std::fs::create_dir_all(rtl.join("prim"))?;
        let write = |name: &str, text: &str| std::fs::write(rtl.join(name), text);
        write("gen/ps_abi_pkg.sv", "package ps_abi_pkg; endpackage")?;
        write("ps_types_pkg.sv", "package ps_types_pkg; endpackage")?;
        write("prim/ps_ram_deep_pkg.sv", "package ps_ram_deep_pkg; endpackage")?;
        write("ps_leaf.sv", "module ps_leaf; endmodule")?;
        write("ps_user.sv", "module ps_user; ps_leaf u_leaf (); endmodule")?;
        write("ps_other.sv", "module ps_other; import ps_types_pkg::*; endmodule")?;
        let git = |arguments: &[&str]| {
            let who = ["-c", "user.name=t", "-c", "user.email=t@t.example"];
            output(Command::new("git").current_dir(root).args(who).args(arguments))
        };
        git(&["init", "--quiet"])?;
        git(&["add", "."])?;
        git(&["commit", "--quiet", "-m", "first"])?;
        let changed = || -> Result<Vec<String>> {
            let blocks = Catalogue::read(root)?.choose(root, &Choice::Changed("HEAD"), false)?;
            Ok(blocks.into_iter().map(|block| block.module).collect())
        };
        assert!(changed()?.is_empty());
        write("ps_leaf.sv", "module ps_leaf; /* new */ endmodule")?;
        assert_eq!(changed()?, ["ps_leaf", "ps_user"]);
        write("ps_fresh.sv", "module ps_fresh; endmodule")?;
        assert_eq!(changed()?, ["ps_fresh", "ps_leaf", "ps_user"]);
        write("ps_types_pkg.sv", "package ps_types_pkg; /* new */ endpackage")?;
        assert_eq!(changed()?, ["ps_fresh", "ps_leaf", "ps_other", "ps_user"]);
        std::fs::create_dir_all(root.join("xtask/src/synth"))?;
        std::fs::write(root.join("xtask/src/synth/model.rs"), "")?;
        git(&["add", "."])?;
        git(&["commit", "--quiet", "-m", "second"])?;
        assert!(changed()?.is_empty());
        std::fs::write(root.join("xtask/src/synth/model.rs"), "// new")?;
        assert_eq!(changed()?, ["ps_fresh", "ps_leaf", "ps_other", "ps_user"]);
        let unknown = Catalogue::read(root)?.choose(root, &Choice::Changed("unheard-of"), false);
        assert!(unknown.is_err());
        Ok(())
    }
}
