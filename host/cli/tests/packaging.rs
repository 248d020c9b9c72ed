//! The files of packaging/ against the programs that they start: commands parse, names and ids agree.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::{CommandFactory as _, Parser as _};
use penstock::args::Cli;
use penstock::card::{CardArgs, CardCommand};
use penstock_abi::regs::{PCI_DEVICE_ID, PCI_VENDOR_ID};
use penstockd::args::Args;

const ADDRESS: &str = "0000:3b:00.0";

fn packaging() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging")
}

fn read(file: &str) -> String {
    fs::read_to_string(packaging().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

/// The assignments of a unit, a list each: some keys come several times.
fn unit(file: &str) -> BTreeMap<String, Vec<String>> {
    let mut keys: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in read(file).lines().filter(|line| !line.starts_with(['#', '['])) {
        if let Some((key, value)) = line.split_once('=') {
            keys.entry(key.to_owned()).or_default().push(value.to_owned());
        }
    }
    keys
}

fn environment() -> BTreeMap<String, String> {
    let text = read("etc/penstockd.env");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|l| l.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

/// The words of a unit's command, its instance and variables filled in as the service manager would.
fn command(unit: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let environment = environment();
    let [line] = &unit["ExecStart"][..] else { panic!("one command expected") };
    line.split_whitespace()
        .map(|word| match word.strip_prefix("${").and_then(|w| w.strip_suffix('}')) {
            Some(name) => environment[name].clone(),
            None => word.replace("%i", ADDRESS),
        })
        .collect()
}

#[test]
fn the_bind_unit_binds_the_card_of_its_instance_for_the_daemons_group() {
    let words = command(&unit("systemd/penstock-bind@.service"));
    assert_eq!(words[0], "/usr/bin/penstock");
    let penstock::args::Command::Card(CardArgs { command: CardCommand::Bind { address, group } }) =
        Cli::try_parse_from(&words).unwrap().command
    else {
        panic!("{words:?} does not bind");
    };
    let daemon = unit("systemd/penstockd.service");
    assert_eq!(address, ADDRESS);
    assert_eq!(group.as_ref(), daemon["Group"].first());
    let user = &daemon["User"][0];
    assert_eq!(group.as_ref(), Some(user), "sysusers makes one group, that of the user");
    assert!(read("sysusers.d/penstock.conf").lines().any(|l| l.starts_with(&format!("u {user} "))));
}

#[test]
fn the_daemons_unit_starts_it_with_the_files_that_are_here() {
    let unit = unit("systemd/penstockd.service");
    assert_eq!(unit["EnvironmentFile"], ["/etc/penstock/penstockd.env"]);
    let words = command(&unit);
    assert_eq!(words[0], "/usr/bin/penstockd");
    // What the command does not name, the daemon takes from its environment.
    let environment = environment();
    let program = Args::command();
    let of_environment = program.get_arguments().filter_map(|arg| {
        let value = environment.get(arg.get_env()?.to_str()?)?;
        Some(format!("--{}={value}", arg.get_long()?))
    });
    let words: Vec<String> = words.into_iter().chain(of_environment).collect();
    let args = Args::try_parse_from(&words).unwrap();
    assert_eq!(args.manifests.as_deref(), Some(Path::new("/etc/penstock/manifests")));
    let cards = args.cards();
    let [card] = &cards[..] else { panic!("one card expected: {cards:?}") };
    assert_eq!(card.device, format!("pci:{ADDRESS}"));
    assert_eq!(card.node, Path::new("/etc/penstock/node.yaml"));
    assert_eq!(args.api, Path::new(penstock_api::paths::DEFAULT_SOCKET));
    assert!(args.api.starts_with(Path::new("/run").join(&unit["RuntimeDirectory"][0])));
    let state = Path::new("/var/lib").join(&unit["StateDirectory"][0]);
    assert_eq!(args.state.as_deref(), Some(&*state));
    let node = penstock_sources::load_node(&packaging().join("etc/node.yaml")).unwrap();
    assert!(!node.vifs.is_empty() && !node.peers.is_empty());
}

#[test]
fn the_daemon_may_use_the_card_and_nothing_else() {
    let unit = unit("systemd/penstockd.service");
    let value = |key: &str| unit[key].join(" ");
    assert_eq!(
        (value("CapabilityBoundingSet"), value("NoNewPrivileges")),
        (String::new(), "yes".into())
    );
    assert_eq!(unit["DeviceAllow"], ["/dev/vfio/vfio rw", "char-vfio rw"]);
    assert_eq!((value("DevicePolicy"), value("ProtectSystem")), ("closed".into(), "strict".into()));
    assert_eq!((value("Type"), value("Restart")), ("notify".into(), "always".into()));
    // Longer than a card may take to answer (an attach waits 30 s for tables that are being cleared), and not for ever.
    let watchdog: u64 = value("WatchdogSec").strip_suffix('s').unwrap().parse().unwrap();
    assert!((45..=120).contains(&watchdog), "{watchdog}");
    // Its socket, the API server, the kernel's neighbours, and the datagrams that make the kernel resolve them. Whether it then does,
    // `cargo xtask hil unit` shows.
    let families = value("RestrictAddressFamilies");
    for family in ["AF_UNIX", "AF_NETLINK", "AF_INET", "AF_INET6"] {
        assert!(families.split(' ').any(|allowed| allowed == family), "{family}: {families}");
    }
    assert!(!unit.contains_key("IPAddressDeny"), "the nodes' addresses are not known here");
    let names = penstock_device::HeldFds::names(ADDRESS);
    assert!(value("FileDescriptorStoreMax").parse::<usize>().unwrap() >= names.len());
    assert!(value("LimitMEMLOCK").ends_with('M'), "a card needs up to 64 KiB");
}

#[test]
fn the_udev_rule_knows_a_card_and_its_unit() {
    let text = read("udev/60-penstock.rules");
    let rules: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let [rule] = rules[..] else { panic!("one rule expected: {rules:?}") };
    let parts: Vec<&str> = rule.split(", ").collect();
    for part in [
        format!("ATTR{{vendor}}==\"{PCI_VENDOR_ID:#06x}\""),
        format!("ATTR{{device}}==\"{PCI_DEVICE_ID:#06x}\""),
        "SUBSYSTEM==\"pci\"".to_owned(),
        "TAG+=\"systemd\"".to_owned(),
        "ENV{SYSTEMD_WANTS}+=\"penstock-bind@%k.service\"".to_owned(),
    ] {
        assert!(parts.contains(&part.as_str()), "{part} is missing in {rule}");
    }
    assert!(packaging().join("systemd/penstock-bind@.service").exists());
    assert!(read("modules-load.d/penstock.conf").lines().any(|line| line == "vfio-pci"));
}

#[test]
fn the_nodes_unit_sets_up_and_takes_back_by_one_state() {
    use penstock::node::{NodeArgs, NodeCommand};
    let unit = unit("systemd/penstock-node.service");
    let parse = |line: &str| {
        let words = line.split_whitespace().chain(["--state", penstock_node::STATE]);
        match Cli::try_parse_from(words).unwrap().command {
            penstock::args::Command::Node(NodeArgs { command }) => command,
            other => panic!("{other:?}"),
        }
    };
    let NodeCommand::Setup(setup) = parse(&unit["ExecStart"][0]) else { panic!("sets up") };
    assert!(matches!(parse(&unit["ExecStop"][0]), NodeCommand::Teardown(_)));
    assert_eq!((&unit["Type"][0][..], &unit["RemainAfterExit"][0][..]), ("oneshot", "yes"));
    // The state outlives the unit, where the unit may write.
    let folder = Path::new("/run").join(&unit["RuntimeDirectory"][0]);
    assert_eq!(Path::new(penstock_node::STATE).parent(), Some(&*folder));
    assert_eq!(unit["RuntimeDirectoryPreserve"], ["yes"]);
    let device = format!("sys-subsystem-net-devices-{}.device", setup.interface);
    assert_eq!((&unit["BindsTo"][0], &unit["WantedBy"][0]), (&device, &device));
    // What the command does not name it takes from the file of the daemon's options, which has an example of each.
    let text = read("etc/penstockd.env");
    let program = Cli::command();
    let node = program.find_subcommand("node").unwrap().find_subcommand("setup").unwrap();
    for name in ["pod_cidr", "service_cidr", "node_cidr", "mark"] {
        let argument = node.get_arguments().find(|a| a.get_id() == name).unwrap();
        let variable = argument.get_env().unwrap().to_str().unwrap();
        let example = text.lines().find_map(|l| l.strip_prefix(&format!("#{variable}=")));
        let words = ["penstock", "node", "setup", &format!("--{}", name.replace('_', "-"))];
        Cli::try_parse_from(words.into_iter().chain(example)).unwrap();
        assert!(example.is_some(), "{variable}");
    }
    // Settings of the kernel are what it is for.
    assert!(!unit.contains_key("ProtectKernelTunables") && !unit.contains_key("PrivateNetwork"));
    assert_eq!(unit["CapabilityBoundingSet"], ["CAP_NET_ADMIN"]);
}

/// Where systemd is installed it judges the units itself, with the programs of this build in the place of installed ones.
#[test]
fn systemd_accepts_the_units() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("systemd-analyze is not installed; not checked");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for file in ["penstockd.service", "penstock-bind@.service", "penstock-node.service"] {
        let text = read(&format!("systemd/{file}"));
        let program = env!("CARGO_BIN_EXE_penstock");
        let text = text
            .replace("/usr/bin/penstockd ", &format!("{program} "))
            .replace("/usr/bin/penstock ", &format!("{program} "));
        fs::write(dir.path().join(file), text).unwrap();
        files.push(dir.path().join(file));
    }
    let output = Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--recursive-errors=no"])
        .args(&files)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    let ours: Vec<&str> = text.lines().filter(|line| line.contains("penstock")).collect();
    assert!(output.status.success() && ours.is_empty(), "{text}");
}
