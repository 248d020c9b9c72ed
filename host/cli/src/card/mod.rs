//! `penstock card`: cards as PCI functions of this machine, without a daemon.
//!
//! `list`, `bind` and `unbind` look at and change what the kernel's sysfs shows; `info` and `clear` open a card and so are
//! refused while it has an owner, as does `firmware`; `trace` opens one too, or asks the daemon that has it; `hold` runs a daemon and keeps its card from being reset when it dies.

pub mod bind;
pub mod clear;
pub mod firmware;
pub mod hold;
pub mod info;
pub mod list;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use penstock_device::{Card, DeviceError};
use penstock_pci::Sysfs;

use crate::output::{Output, print};

/// Arguments of `card`.
#[derive(Debug, Args)]
pub struct CardArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: CardCommand,
}

/// What to do with cards.
#[derive(Debug, Subcommand)]
pub enum CardCommand {
    /// Lists the cards of this machine, and whether VFIO may open them.
    #[command(after_help = "Example: penstock card list -o json")]
    List,
    /// Gives a card to vfio-pci, so that programs can open it; needs root.
    #[command(after_help = "Example: sudo penstock card bind 0000:3b:00.0 --group penstock")]
    Bind {
        /// Its PCI address.
        address: String,
        /// Unix group whose members may open the card; without one, only root.
        #[arg(long, value_name = "GROUP")]
        group: Option<String>,
    },
    /// Takes a card from vfio-pci; needs root.
    #[command(after_help = "Example: sudo penstock card unbind 0000:3b:00.0")]
    Unbind {
        /// Its PCI address.
        address: String,
    },
    /// Opens a card that nobody else has open and shows what it says of itself.
    #[command(after_help = "Example: penstock card info pci:0000:3b:00.0\n\n\
            The kernel resets a card (function-level reset) when it is opened or closed through VFIO. Its tables and its \
            forwarding survive that; only the count of resets changes. A card that a daemon has open is shown by \
            `penstock status` instead.")]
    Info {
        /// The card: `pci:DDDD:BB:DD.F` or `vfio-user:SOCKET`.
        device: String,
    },
    /// Clears all tables, flows and counters of a card. Nothing else does, but power.
    #[command(
        after_help = "Example: sudo systemctl stop penstockd && penstock card clear pci:0000:3b:00.0\n\n\
            Refused while the card has an owner, who would be left with a wrong idea of it."
    )]
    Clear {
        /// The card: `pci:DDDD:BB:DD.F` or `vfio-user:SOCKET`.
        device: String,
    },
    /// Shows what the card's firmware did last, and what it died of. The firmware need not live.
    #[command(
        after_help = "Example: penstock card trace\n         penstock card trace pci:0000:3b:00.0 -o json"
    )]
    Trace {
        /// The card, if no daemon has it: `pci:DDDD:BB:DD.F` or `vfio-user:SOCKET`; without one, the daemon is asked.
        device: Option<String>,
    },
    /// The firmware on the card's soft core: shows it, updates it, restarts it. Packets flow meanwhile.
    Firmware {
        /// What to do.
        #[command(subcommand)]
        command: FirmwareCommand,
    },
    /// Runs a daemon, starts it again whenever it ends, and keeps its card's descriptors meanwhile, so that the card is not
    /// reset.
    #[command(
        after_help = "Example: penstock card hold -- penstockd --node node.yaml --manifests manifests --device pci:0000:3b:00.0\n\n\
            For machines without systemd, whose service manager does the same (packaging/systemd). SIGTERM and SIGINT are \
            passed on and end both."
    )]
    Hold {
        /// Socket by which the daemon reaches this process; by default one in a new directory.
        #[arg(long, value_name = "SOCKET")]
        socket: Option<PathBuf>,
        /// Program and arguments.
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
    /// Becomes the command, as the process for which the descriptors are.
    #[command(hide = true)]
    Become {
        /// Program and arguments.
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
}

/// What to do with a card's firmware. Refused while the card has an owner: stop its daemon first, packets flow on without it.
#[derive(Debug, Subcommand)]
pub enum FirmwareCommand {
    /// Shows which image runs, and its statistics.
    #[command(after_help = "Example: penstock card firmware show pci:0000:3b:00.0")]
    Show {
        /// The card: `pci:DDDD:BB:DD.F` or `vfio-user:SOCKET`.
        device: String,
    },
    /// Sends an image into the card's update slot and starts it. Power-on always starts the golden image again.
    #[command(
        after_help = "Example: penstock card firmware update target/firmware/penstock-fw.img pci:0000:3b:00.0"
    )]
    Update {
        /// The image: `penstock-fw.img` of `cargo xtask build-firmware`.
        file: PathBuf,
        /// The card.
        device: String,
    },
    /// Restarts the firmware with the golden image, the one that is part of the FPGA's.
    #[command(after_help = "Example: penstock card firmware rollback pci:0000:3b:00.0")]
    Rollback {
        /// The card.
        device: String,
    },
    /// Restarts the firmware as it is.
    #[command(after_help = "Example: penstock card firmware restart pci:0000:3b:00.0")]
    Restart {
        /// The card.
        device: String,
    },
}

fn run_firmware(command: FirmwareCommand, output: Output) -> Result<ExitCode> {
    let open = |device: &str| {
        open(
            device,
            "stop its daemon (`sudo systemctl stop penstockd`); packets flow on without it",
        )
    };
    let shown = match command {
        FirmwareCommand::Show { device } => firmware::show(&mut open(&device)?, &device),
        FirmwareCommand::Update { file, device } => {
            // What is wrong with the file is said before the card is touched.
            let image = firmware::read_image(&file)?;
            firmware::update(&mut open(&device)?, &device, &image)
        }
        FirmwareCommand::Rollback { device } => {
            firmware::restart(&mut open(&device)?, &device, true)
        }
        FirmwareCommand::Restart { device } => {
            firmware::restart(&mut open(&device)?, &device, false)
        }
    };
    print(&shown?, output)
}

/// Runs a subcommand of `card`; `ask` asks the daemon for the trace.
///
/// # Errors
/// What failed, for people.
pub fn run(
    args: CardArgs,
    output: Output,
    ask: impl FnOnce() -> Result<ExitCode>,
) -> Result<ExitCode> {
    let sysfs = Sysfs::default();
    match args.command {
        CardCommand::List => print(&list::cards(&sysfs)?, output),
        CardCommand::Bind { address, group } => {
            bind::need_root(&format!("bind {address}"))?;
            print(&bind::bind(&sysfs, &address, group.as_deref())?, output)
        }
        CardCommand::Unbind { address } => {
            bind::need_root(&format!("unbind {address}"))?;
            print(&bind::unbind(&sysfs, &address)?, output)
        }
        CardCommand::Info { device } => {
            let facts = info::PciFacts::of(&sysfs, &device);
            let card = open(&device, "`penstock status` shows it through its daemon")?;
            print(&info::info(card, &device, facts)?, output)
        }
        CardCommand::Clear { device } => {
            let card = open(
                &device,
                "stop its daemon (`sudo systemctl stop penstockd`), then clear it and start the daemon again",
            )?;
            print(&clear::clear(card, &device)?, output)
        }
        CardCommand::Trace { device: None } => ask(),
        CardCommand::Trace { device: Some(device) } => {
            let card = open(&device, "`penstock card trace` without it asks its daemon")?;
            print(&firmware::trace(card, &device)?, output)
        }
        CardCommand::Firmware { command } => run_firmware(command, output),
        CardCommand::Hold { socket, command } => hold::hold(socket, &command),
        CardCommand::Become { command } => Ok(hold::become_command(&command)),
    }
}

/// Attaches to a card; `instead` says what to do if somebody else has it.
fn open(device: &str, instead: &str) -> Result<Card> {
    match penstock_device::open(device).and_then(Card::attach) {
        Err(DeviceError::InUse { .. }) => bail!("{device} has another owner; {instead}"),
        card => card.with_context(|| format!("cannot open {device}")),
    }
}
