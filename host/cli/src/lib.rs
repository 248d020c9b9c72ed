//! The command `penstock`: views of a card through its daemon, and cards as PCI functions.
//!
//! The command line is thin: the daemon reads the card and builds the values of `penstock-views`, this crate prints them.
//! Only `card` opens a card itself. What needs more is a program of its own, see [`external`].

pub mod args;
pub mod card;
pub mod client;
pub mod external;
pub mod output;

use std::fmt::Display;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use penstock_views::api::{Op, Status};
use penstock_views::{drops, flow, mpls, next_hop, route, service, vif};
use serde::Serialize;
use serde::de::DeserializeOwned;

use args::{Cli, Command, Explained};
use client::ClientError;
use output::Output;

/// Exit code when no daemon answers.
pub const EXIT_NO_DAEMON: u8 = 3;

/// Runs a parsed command line.
///
/// # Errors
/// What failed, for people.
pub fn run(cli: Cli) -> Result<ExitCode> {
    let op = match cli.command {
        Command::Card(args) => return card::run(args, cli.output),
        Command::External(words) => return external::run(&words, &cli.api, cli.output),
        Command::Flow(args) => match args.get {
            Some(index) => Op::Flow { index },
            None => Op::Flows { filter: args.filter },
        },
        Command::Nh(args) => args.get.map_or(Op::NextHops, |id| Op::NextHop { id }),
        Command::Vif(args) => Op::Vifs { index: args.get },
        Command::Rt(args) => match (args.dump, args.get, args.vrf) {
            (_, Some((address, prefix_len)), Some(vrf)) => Op::Route { vrf, address, prefix_len },
            (dump, _, _) => Op::Routes { vrf: dump.context("a VRF is needed")? },
        },
        Command::Mpls(args) => Op::Labels { label: args.get },
        Command::Dropstats => Op::DropStats,
        Command::Status => Op::Status,
        Command::Explain(args) => {
            let Explained::Svc { name } = args.object;
            let (namespace, name) = name.split_once('/').unwrap_or(("default", &name));
            Op::Service { namespace: namespace.to_owned(), name: name.to_owned() }
        }
    };
    let (api, output) = (&cli.api, cli.output);
    match &op {
        Op::Flows { .. } => show::<flow::FlowTable>(api, op, output),
        Op::Flow { .. } => show::<flow::FlowEntry>(api, op, output),
        Op::NextHops | Op::NextHop { .. } => show::<next_hop::Hops>(api, op, output),
        Op::Vifs { .. } => show::<vif::Interfaces>(api, op, output),
        Op::Routes { .. } | Op::Route { .. } => show::<route::Routes>(api, op, output),
        Op::Labels { .. } => show::<mpls::LabelMap>(api, op, output),
        Op::DropStats => show::<drops::DropStats>(api, op, output),
        Op::Status => show::<Status>(api, op, output),
        Op::Service { .. } => show::<service::Service>(api, op, output),
    }
}

fn show<T: DeserializeOwned + Serialize + Display>(
    api: &std::path::Path,
    op: Op,
    output: Output,
) -> Result<ExitCode> {
    let value: T = client::ask(api, op)?;
    output::print(&value, output)
}

/// The exit code for an error.
#[must_use]
pub fn exit_code(error: &anyhow::Error) -> ExitCode {
    match error.downcast_ref::<ClientError>() {
        Some(ClientError::NoDaemon { .. }) => ExitCode::from(EXIT_NO_DAEMON),
        _ => ExitCode::FAILURE,
    }
}
