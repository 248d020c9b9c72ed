//! `penstock flow`: the flow table, what becomes of connections, and their ends.

use std::fmt;
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Args;
use jiff::{Timestamp, Unit};
use penstock_api::client;
use penstock_api::paths::{EventQuery, FlowQuery, Resource};
use penstock_api::types::Status;
use penstock_views::event::{Event, Kind};
use penstock_views::flow::{Action, FlowEntry, FlowFill, FlowTable};
use serde::Serialize;

use crate::Daemon;
use crate::output::{self, Output};

/// Arguments of `flow`.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("what").args(["list", "get", "delete", "follow", "rate", "stats"])))]
pub struct FlowArgs {
    /// Lists the flows (default).
    #[arg(short, long)]
    pub list: bool,
    /// Lists, or follows, those that match: `ip[:port][,ip[:port]] & vrf N & proto tcp|udp|icmp|sctp`.
    #[arg(long = "match", value_name = "EXPRESSION", conflicts_with_all = ["get", "delete", "rate", "stats"])]
    pub filter: Option<String>,
    /// Shows the entry with this index.
    #[arg(long, value_name = "INDEX")]
    pub get: Option<u32>,
    /// Ends the connection of which an entry stands at this index, both its entries, and shows what stood there. Its next packet is decided anew.
    #[arg(
        short,
        long,
        value_name = "INDEX",
        visible_short_alias = 'i',
        visible_alias = "invalidate"
    )]
    pub delete: Option<u32>,
    /// Shows what becomes of connections as it happens, a line each; with `-o json`, a line of JSON each.
    #[arg(short, long)]
    pub follow: bool,
    /// Follows these events only.
    #[arg(long, value_name = "EVENT", value_delimiter = ',', requires = "follow")]
    pub event: Vec<Kind>,
    /// Follows one connection in N, a power of two; the same ones from beginning to end.
    #[arg(long, value_name = "N", requires = "follow")]
    pub sample: Option<u32>,
    /// Shows each second how many entries there are, and how many are made and go.
    #[arg(short, long)]
    pub rate: bool,
    /// Shows each second how many entries there are by what they do, and how fast that changes. Reads the whole table each time.
    #[arg(short, long)]
    pub stats: bool,
    /// Seconds between two looks of `--rate` and `--stats`.
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub interval: u64,
    /// Ends `--rate` and `--stats` after so many intervals, and `--follow` after so many events.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
}

/// Does what the arguments say.
///
/// # Errors
/// The daemon's; the output cannot be written.
pub(crate) fn run(daemon: &Daemon, args: FlowArgs) -> Result<ExitCode> {
    if let Some(index) = args.get {
        return daemon.show::<FlowEntry>(&Resource::Flow { index });
    }
    if let Some(index) = args.delete {
        let body = client::delete_json(&daemon.api, &daemon.of(&Resource::Flow { index }))?;
        return daemon.print::<FlowEntry>(&body);
    }
    if args.follow {
        return follow(daemon, args);
    }
    let interval = Duration::from_secs(args.interval);
    let count = args.count.unwrap_or(u64::MAX);
    if args.rate {
        return samples(daemon, interval, count, || rate_sample(daemon), Rate::between);
    }
    if args.stats {
        return samples(daemon, interval, count, || stats_sample(daemon), Stats::between);
    }
    daemon.show::<FlowTable>(&Resource::Flows(FlowQuery { filter: args.filter, card: None }))
}

/// Prints events as they come.
fn follow(daemon: &Daemon, args: FlowArgs) -> Result<ExitCode> {
    let words = args.event.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let query = EventQuery {
        events: (!words.is_empty()).then_some(words),
        sample: args.sample,
        filter: args.filter,
        card: None,
    };
    let mut left = args.count.unwrap_or(u64::MAX);
    let mut printed = Ok(ExitCode::SUCCESS);
    client::follow(&daemon.api, &daemon.of(&Resource::Events(query)), |line| {
        let line = String::from_utf8_lossy(line);
        let text = match daemon.output {
            Output::Json => line.into_owned(),
            // One of a later daemon is shown as it is.
            Output::Text | Output::Wide => serde_json::from_str::<Event>(&line)
                .map_or_else(|_| line.into_owned(), |event| event.to_string()),
        };
        left -= 1;
        match output::line(&text) {
            Ok(ControlFlow::Continue(())) if left > 0 => ControlFlow::Continue(()),
            Ok(_) => ControlFlow::Break(()),
            Err(error) => {
                printed = Err(error);
                ControlFlow::Break(())
            }
        }
    })?;
    printed
}

/// Looks at something again and again, and prints what happened between two looks.
fn samples<S, T: Serialize + fmt::Display>(
    daemon: &Daemon,
    interval: Duration,
    count: u64,
    look: impl Fn() -> Result<S>,
    between: impl Fn(&S, &S) -> T,
) -> Result<ExitCode> {
    let mut before = look()?;
    for _ in 0..count {
        thread::sleep(interval);
        let now = look()?;
        let seen = between(&before, &now);
        let text = match daemon.output {
            Output::Json => serde_json::to_string(&seen).context("cannot be written as JSON")?,
            Output::Text | Output::Wide => seen.to_string(),
        };
        if output::line(&text)?.is_break() {
            break;
        }
        before = now;
    }
    Ok(ExitCode::SUCCESS)
}

fn now() -> Timestamp {
    let now = Timestamp::now();
    now.round(Unit::Second).unwrap_or(now)
}

/// How many a second.
fn per_second(before: u64, after: u64, seconds: f64) -> u64 {
    // Counters of a card that was cleared begin anew.
    let rate = after.saturating_sub(before) as f64 / seconds.max(1e-3);
    rate.round() as u64
}

/// What is needed of a look at counters.
struct RateSample {
    /// When the daemon has read them.
    at: Instant,
    fill: FlowFill,
}

fn rate_sample(daemon: &Daemon) -> Result<RateSample> {
    let status: Status = client::get(&daemon.api, &daemon.of(&Resource::Status))?;
    let device = status.device;
    let why = device.error.unwrap_or_else(|| "the card was not read yet".to_owned());
    let fill = device.flow_table.with_context(|| why)?;
    let at = Instant::now();
    let age = Duration::from_millis(device.age_ms.unwrap_or(0));
    Ok(RateSample { at: at.checked_sub(age).unwrap_or(at), fill })
}

/// Entries, and how fast they come and go: a line of `flow -r`.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Rate {
    /// When.
    time: Timestamp,
    /// Entries in use.
    entries: u64,
    /// Forward entries made a second.
    forward: u64,
    /// Reverse entries made a second: as many, as they are made in pairs.
    reverse: u64,
    /// Entries that went a second.
    deleted: u64,
}

impl Rate {
    fn between(before: &RateSample, after: &RateSample) -> Self {
        let seconds = after.at.duration_since(before.at).as_secs_f64();
        let gone = |fill: &FlowFill| fill.created.saturating_sub(fill.in_use);
        let made = per_second(before.fill.created / 2, after.fill.created / 2, seconds);
        Self {
            time: now(),
            entries: after.fill.in_use,
            forward: made,
            reverse: made,
            deleted: per_second(gone(&before.fill), gone(&after.fill), seconds),
        }
    }
}

impl fmt::Display for Rate {
    /// No entry waits for a decision of the host, so none is on hold.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { time, entries, forward, reverse, deleted } = self;
        write!(
            f,
            "{time} Entries: {entries} Rate: {} (Fwd: {forward} Rev: {reverse} Del: {deleted}) Hold: 0 Free Burst Tokens: 0 Total Hold Entries: 0",
            forward + reverse
        )
    }
}

struct StatsSample {
    at: Instant,
    table: FlowTable,
}

fn stats_sample(daemon: &Daemon) -> Result<StatsSample> {
    let table = client::get(&daemon.api, &daemon.of(&Resource::Flows(FlowQuery::default())))?;
    Ok(StatsSample { at: Instant::now(), table })
}

/// Entries by what they do: a block of `flow -s`.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Stats {
    /// When.
    time: Timestamp,
    /// Entries in use.
    total: u64,
    /// Entries made since the last look.
    new: u64,
    /// Those that forward.
    forward: u64,
    /// Those that translate.
    nat: u64,
    /// By how much the entries in use became more in a second.
    rate: i64,
    /// Entries made a second.
    setup_rate: u64,
    /// Entries that went a second.
    teardown_rate: u64,
}

impl Stats {
    fn between(before: &StatsSample, after: &StatsSample) -> Self {
        let seconds = after.at.duration_since(before.at).as_secs_f64();
        let (old, new) = (&before.table, &after.table);
        let nat = new.flows.iter().filter(|flow| flow.action == Action::Nat).count() as u64;
        let setup_rate = per_second(old.created, new.created, seconds);
        let teardown_rate = per_second(old.deleted, new.deleted, seconds);
        Self {
            time: now(),
            total: new.used,
            new: new.created.saturating_sub(old.created),
            forward: new.flows.len() as u64 - nat,
            nat,
            rate: setup_rate.cast_signed() - teardown_rate.cast_signed(),
            setup_rate,
            teardown_rate,
        }
    }
}

impl fmt::Display for Stats {
    /// Without the end of its last line. A card has no entries on hold, and none that drop.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { time, total, new, forward, nat, rate, setup_rate, teardown_rate } = self;
        writeln!(f, "{time}\nFlow Statistics\n---------------")?;
        writeln!(f, "    Total  Entries  --- Total = {total:8}, new = {new:8}")?;
        writeln!(f, "    Active Entries  --- Total = {total:8}, new = {new:8}")?;
        writeln!(f, "    Hold   Entries  --- Total = {:8}, new = {:8}", 0, 0)?;
        writeln!(f, "    Fwd flow Entries  - Total = {forward:8}")?;
        writeln!(f, "    drop flow Entries - Total = {:8}", 0)?;
        writeln!(f, "    NAT flow Entries  - Total = {nat:8}\n")?;
        writeln!(f, "    Rate of change of Active Entries\n    --------------------------------")?;
        writeln!(f, "        current rate      = {rate:8}")?;
        writeln!(f, "        Avg setup rate    = {setup_rate:8}")?;
        writeln!(f, "        Avg teardown rate = {teardown_rate:8}")?;
        writeln!(f, "    Rate of change of Flow Entries\n    ------------------------------")?;
        writeln!(f, "        current rate      = {rate:8}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_by_the_second_and_begin_anew_with_the_card() {
        let at = Instant::now();
        let sample = |ms, created, in_use| RateSample {
            at: at + Duration::from_millis(ms),
            fill: FlowFill { created, in_use, ..FlowFill::default() },
        };
        let rate = Rate::between(&sample(0, 1_000, 400), &sample(2_000, 1_200, 300));
        let Rate { entries, forward, reverse, deleted, .. } = rate;
        assert_eq!((entries, forward, reverse, deleted), (300, 50, 50, 150));
        let text = rate.to_string();
        assert!(
            text.contains("Entries: 300 Rate: 100 (Fwd: 50 Rev: 50 Del: 150) Hold: 0"),
            "{text}"
        );
        let cleared = Rate::between(&sample(0, 1_000, 400), &sample(1_000, 8, 8));
        assert_eq!((cleared.forward, cleared.deleted), (0, 0));
    }

    #[test]
    fn entries_are_told_apart_by_what_they_do() {
        let at = Instant::now();
        let sample = |seconds, created, used| StatsSample {
            at: at + Duration::from_secs(seconds),
            table: FlowTable {
                size_bytes: 0,
                entries: 64,
                created,
                deleted: created - used,
                changed: 0,
                used,
                overflows: 0,
                matching: None,
                flows: Vec::new(),
            },
        };
        let stats = Stats::between(&sample(0, 100, 40), &sample(2, 120, 30));
        assert_eq!((stats.total, stats.new, stats.rate), (30, 20, -5));
        assert_eq!((stats.setup_rate, stats.teardown_rate), (10, 15));
        let stats = Stats { forward: 26, nat: 4, ..stats };
        let text = stats.to_string();
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        assert_eq!(lines[3], "    Total  Entries  --- Total =       30, new =       20");
        assert_eq!(lines[6], "    Fwd flow Entries  - Total =       26");
        assert_eq!(lines[8], "    NAT flow Entries  - Total =        4");
        assert_eq!(lines[12], "        current rate      =       -5");
        assert_eq!(lines[14], "        Avg teardown rate =       15");
    }
}
