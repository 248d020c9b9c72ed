//! One call of the plugin: from environment and standard input to what is written and how it ends.

use serde_json::{Value, json};

use crate::commands::Parts;
use crate::daemon::Socket;
use crate::error::CniError;
use crate::ipam::Program;
use crate::links::Kernel;
use crate::queue::Folder;
use crate::request::{Asked, Command, Env, Request, answer_version, parse};
use crate::version::CniVersion;

/// What is written, if anything, and whether it is an error.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// What is written to standard output.
    pub output: Option<Value>,
    /// Whether the command failed.
    pub failed: bool,
}

/// Does what is asked for.
#[must_use]
pub fn run(env: Env, stdin: &[u8]) -> Answer {
    let version = answer_version(stdin);
    let result = parse(env, stdin).and_then(|asked| match asked {
        Asked::Version => Ok(Some(json!({
            "cniVersion": version,
            "supportedVersions": CniVersion::ALL.map(CniVersion::as_str),
        }))),
        Asked::Request(request) => serve(&request),
    });
    match result {
        Ok(output) => Answer { output, failed: false },
        Err(error) => Answer { output: Some(error.render(&version)), failed: true },
    }
}

fn serve(request: &Request) -> Result<Option<Value>, CniError> {
    let conf = &request.conf;
    let daemon = Socket { socket: conf.socket.clone(), card: conf.card.clone() };
    let parts = Parts {
        conf,
        daemon: &daemon,
        ipam: &Program::of(request),
        links: &Kernel::new(&conf.provider),
        queue: &Folder(conf.queue.clone()),
    };
    match &request.command {
        Command::Add(target) => Ok(Some(parts.add(target)?.render(request.version))),
        Command::Del(target) => parts.del(target).map(|()| None),
        Command::Check(target) => parts.check(target).map(|()| None),
        Command::Gc => parts.gc().map(|()| None),
        Command::Status => parts.status().map(|()| None),
    }
}
