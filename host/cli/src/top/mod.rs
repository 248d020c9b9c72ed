//! `penstock top`: what is going on at a card, live.
//!
//! Interfaces, services, flows and drops by what passes a second: the daemon is asked for its counters once an interval, and for the flow table only
//! while something is shown that needs it, as it is read from the card then. The screen waits for nobody: a thread of its own asks.

mod rates;
mod screen;

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;
use penstock_api::client::{self, ClientError};
use penstock_api::paths::{FlowQuery, Resource};
use serde::de::DeserializeOwned;

use crate::output::{self, Output};
use rates::{Sample, between};

/// Arguments of `top`.
#[derive(Debug, Args)]
pub struct TopArgs {
    /// Seconds between two looks.
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub interval: u64,
    /// Prints what happened in one interval, flows included, and ends; also with `-o json`.
    #[arg(long)]
    pub once: bool,
}

/// Whom to ask, and about what.
#[derive(Clone)]
struct Asked {
    api: PathBuf,
    card: Option<String>,
}

impl Asked {
    fn get<T: DeserializeOwned>(&self, resource: &Resource) -> Result<T, ClientError> {
        client::parse(&client::get_json(&self.api, &resource.of(self.card.as_deref()))?)
    }

    fn sample(&self, flows: bool) -> Result<Sample, ClientError> {
        let flows = if flows {
            let table = self.get(&Resource::Flows(FlowQuery::default()))?;
            Some((table, self.get(&Resource::Services)?))
        } else {
            None
        };
        Ok(Sample {
            at: Instant::now(),
            status: self.get(&Resource::Status)?,
            interfaces: self.get(&Resource::Vifs)?,
            drops: self.get(&Resource::Drops)?,
            flows,
        })
    }
}

/// What the thread that asks has to tell: a sample, or why there is none.
type News = Result<Box<Sample>, String>;

/// Shows what is going on, until `q` is pressed or, with `once`, one interval is over.
///
/// # Errors
/// No daemon answers; the output is no terminal; the terminal refuses.
pub(crate) fn top(
    api: &Path,
    card: Option<&str>,
    args: &TopArgs,
    output: Output,
) -> Result<ExitCode> {
    let asked = Asked { api: api.to_owned(), card: card.map(str::to_owned) };
    let interval = Duration::from_secs(args.interval);
    if args.once {
        let before = asked.sample(true)?;
        thread::sleep(interval);
        return output::print(&between(&before, &asked.sample(true)?), output);
    }
    if !io::stdout().is_terminal() {
        bail!("the standard output is no terminal; `penstock top --once` prints one interval");
    }
    // Who cannot be asked at all is told so before the screen is taken.
    let first = asked.sample(false)?;
    let wants_flows = Arc::new(AtomicBool::new(false));
    let (tell, news) = mpsc::channel::<News>();
    let (stop, stopped) = mpsc::channel::<()>();
    let asks = {
        let wants_flows = Arc::clone(&wants_flows);
        thread::Builder::new().name("samples".to_owned()).spawn(move || {
            let mut due = Instant::now() + interval;
            loop {
                let left = due.saturating_duration_since(Instant::now());
                match stopped.recv_timeout(left) {
                    Err(RecvTimeoutError::Timeout) => {}
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
                }
                due = Instant::now() + interval;
                let sample = asked.sample(wants_flows.load(Ordering::Relaxed));
                if tell.send(sample.map(Box::new).map_err(|e| e.to_string())).is_err() {
                    return;
                }
            }
        })?
    };
    let shown = screen::show(first, &news, &wants_flows);
    // It may be asking still; nobody waits for that.
    drop((stop, asks));
    shown.map(|()| ExitCode::SUCCESS)
}
