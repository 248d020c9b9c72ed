//! The command `penstock`: views of a card through its daemon, and cards as PCI functions.
//!
//! The command line is thin: the daemon reads the card and builds the values of `penstock-views`, this crate prints them.
//! Only `card` opens a card itself. What needs more is a program of its own, see [`external`].

pub mod args;
pub mod card;
pub mod external;
pub mod flow;
pub mod node;
pub mod output;
pub mod top;

use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use penstock_api::client::{self, ClientError};
use penstock_api::paths::{AddressQuery, AuditQuery, LookupQuery, OfCard, Resource};
use penstock_api::types::{Audit, Status};
use penstock_views::{address, drops, mpls, next_hop, overlay, route, service, trace, tunnel, vif};
use serde::Serialize;
use serde::de::DeserializeOwned;

use args::{Cli, Command, Explained};
use output::Output;

/// Exit code when no daemon answers.
pub const EXIT_NO_DAEMON: u8 = 3;
/// Exit code of an audit that found something.
pub const EXIT_DIFFERED: u8 = 4;

/// Runs a parsed command line.
///
/// # Errors
/// What failed, for people.
pub fn run(cli: Cli) -> Result<ExitCode> {
    let Cli { api, card, output, command } = cli;
    let daemon = Daemon { api, card, output };
    match command {
        Command::Card(args) => {
            card::run(args, output, || daemon.show::<trace::Trace>(&Resource::FirmwareTrace))
        }
        Command::Node(args) => node::run(args),
        Command::External(words) => external::run(&words, &daemon.api, output),
        Command::Flow(args) => flow::run(&daemon, args),
        Command::Nh(args) => {
            let resource = args.get.map_or(Resource::NextHops, |id| Resource::NextHop { id });
            daemon.show::<next_hop::Hops>(&resource)
        }
        Command::Vif(args) => {
            let resource = args.get.map_or(Resource::Vifs, |id| Resource::Vif { id });
            daemon.show::<vif::Interfaces>(&resource)
        }
        Command::Rt(args) => {
            let resource = match (args.dump, args.get, args.vrf) {
                (_, Some((address, prefix_len)), Some(vrf)) => {
                    Resource::Lookup { vrf, query: LookupQuery { address, prefix_len, card: None } }
                }
                (dump, _, _) => Resource::Routes { vrf: dump.context("a VRF is needed")? },
            };
            daemon.show::<route::Routes>(&resource)
        }
        Command::Mpls(args) => {
            let resource = args.get.map_or(Resource::Labels, |label| Resource::Label { label });
            daemon.show::<mpls::LabelMap>(&resource)
        }
        Command::Vrf(_) => daemon.show::<overlay::Vrfs>(&Resource::Vrfs),
        Command::Svc(_) => daemon.show::<overlay::Listeners>(&Resource::Listeners),
        Command::Source(args) => {
            let resource = args.get.map_or(Resource::Sources, |set| Resource::Source { set });
            daemon.show::<overlay::SourceSets>(&resource)
        }
        Command::Fip(_) => daemon.show::<overlay::PlainFips>(&Resource::PlainFips),
        Command::Tunnel(_) => daemon.show::<tunnel::Tunnels>(&Resource::Tunnels),
        Command::Dropstats => daemon.show::<drops::DropStats>(&Resource::Drops),
        Command::Status => daemon.show::<Status>(&Resource::Status),
        Command::Audit(args) => daemon.audit(args.fix),
        Command::Top(args) => top::top(&daemon.api, daemon.card.as_deref(), &args, daemon.output),
        Command::Explain(args) => match args.object {
            Explained::Svc { name } => {
                let (namespace, name) = name.split_once('/').unwrap_or(("default", &name));
                let (namespace, name) = (namespace.to_owned(), name.to_owned());
                daemon.show::<service::Service>(&Resource::Service { namespace, name })
            }
            Explained::Ip { address, vrf } => {
                let query = AddressQuery { vrf, card: None };
                daemon.show::<address::Address>(&Resource::Address { address, query })
            }
        },
    }
}

/// The daemon, and how its answers are printed.
struct Daemon {
    api: PathBuf,
    /// Name of the card, if there are several.
    card: Option<String>,
    output: Output,
}

impl Daemon {
    /// The resource of the card that is meant.
    fn of<'a>(&'a self, resource: &'a Resource) -> OfCard<'a> {
        resource.of(self.card.as_deref())
    }

    /// Prints what the resource, which is a `T`, says.
    fn show<T: DeserializeOwned + Serialize + Display>(
        &self,
        resource: &Resource,
    ) -> Result<ExitCode> {
        let body = client::get_json(&self.api, &self.of(resource))?;
        self.print::<T>(&body)
    }

    /// Has the card compared with what it should hold, and says what came of it.
    fn audit(&self, fix: bool) -> Result<ExitCode> {
        let resource = Resource::Audit(AuditQuery { fix, card: None });
        let body = client::post_json(&self.api, &self.of(&resource))?;
        let audit: Audit = client::parse(&body)?;
        let printed = self.print::<Audit>(&body)?;
        Ok(if audit.clean { printed } else { ExitCode::from(EXIT_DIFFERED) })
    }

    /// Prints an answer, which is a `T`.
    fn print<T: DeserializeOwned + Serialize + Display>(&self, body: &[u8]) -> Result<ExitCode> {
        match self.output {
            Output::Json => {
                let text = output::pretty(body);
                output::write(&text.map_err(|error| ClientError::Protocol(error.to_string()))?)
            }
            form => output::print(&client::parse::<T>(body)?, form),
        }
    }
}

/// The exit code for an error.
#[must_use]
pub fn exit_code(error: &anyhow::Error) -> ExitCode {
    match error.downcast_ref::<ClientError>() {
        Some(ClientError::NoDaemon { .. }) => ExitCode::from(EXIT_NO_DAEMON),
        _ => ExitCode::FAILURE,
    }
}
