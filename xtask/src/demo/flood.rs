//! `cargo xtask demo --flood`: what a flood of SYNs does to others, from a pod and from another node, without and with `flowLimits`.
//!
//! A client makes short connections to a service of two backends: first alone, then beside a flood towards a service whose pod never
//! answers, so that all of it stays half-open on the client's card. The simulated card has room for 8,192 connections and serves some hundred a
//! second; the flood brings more than it lets go of. What is checked is what the node file promises; everything else is shown.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use penstock_lab::connect::Connections;
use penstock_lab::testbed::{Testbed, wait};
use serde_json::Value;

use super::report::Report;

/// The testbed of it.
pub(crate) const TOPOLOGY: &str = "sim/lab/topology/flood.yaml";

const CLIENT: &str = "client";
const FLOODER: &str = "flooder";
const FLOODER_IP: &str = "10.47.255.234";
const FLOODER_VIF: &str = "9";
const SILENT: &str = "silent";
/// Where what is tunnelled to [`SILENT`] goes by its own label.
const SILENT_LABEL: &str = "30";
/// The node that is flooded, whose client suffers.
const NODE: &str = "cent222";
const NODE_IP: &str = "10.169.25.20";
/// The node that floods, and a pod of its as the source.
const FAR_NODE: &str = "cent333";
const FAR_NODE_IP: &str = "10.169.25.21";
const FAR_POD_IP: &str = "10.47.255.238";
const SERVICE: &str = "service-web-clusterip";
const WEB: &str = "10.105.139.153:8888";
const SILENT_SERVICE: &str = "silent";
const SILENT_ADDRESS: &str = "10.105.139.202:8888";
/// Name of the process that floods, in the lab.
const PROCESS: &str = "flood";
/// Time for anything that two simulated cards on a busy machine do.
const PATIENCE: Duration = Duration::from_secs(90);

/// Connections of the client in each run.
const CONNECTIONS: &str = "1000";
/// Open at once.
const PARALLEL: &str = "16";
/// Seconds for a connection to open: two SYNs more after the first.
const WITHIN: &str = "5";
/// SYNs a second.
const FLOOD_RATE: &str = "4000";
/// What the node file grants: more than the client needs.
const LIMITS: &str = "\
flowLimits:
  vifs: { pairs: 2000, burst: 1500, perSecond: 500 }
  tunnels: { pairs: 2000, burst: 1500, perSecond: 500 }
";
const PAIRS_LIMIT: u64 = 2000;
/// What is left of a flood goes after a second.
const FORGET: &str = "flowAging: { tcpOpening: 1, tcpClosed: 1 }\n";
/// Entries in use in a table that nobody floods.
const CALM_ENTRIES: u64 = 200;

/// From where a flood comes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Pod,
    Fabric,
}

impl Origin {
    fn name(self) -> &'static str {
        match self {
            Self::Pod => "a pod",
            Self::Fabric => "the fabric",
        }
    }
}

/// What one run came to.
struct Run {
    origin: Option<Origin>,
    limited: bool,
    connections: Connections,
    /// Packets refused of the vif or tunnel that floods, and the connections that it has in the end.
    new_flow_drops: u64,
    pairs: u64,
    evicted: u64,
    table_full: u64,
}

/// The floods with what they need.
pub(crate) struct Floods<'a> {
    manifests: PathBuf,
    program: String,
    bed: &'a Testbed,
    report: &'a mut Report,
}

impl<'a> Floods<'a> {
    /// # Errors
    /// The lab's program is gone.
    pub(crate) fn new(root: &Path, bed: &'a Testbed, report: &'a mut Report) -> Result<Self> {
        let program = fs::canonicalize(bed.program()).context("cannot find penstock-lab")?;
        let program = program.to_string_lossy().into_owned();
        Ok(Floods { manifests: root.join("tests/manifests"), program, bed, report })
    }

    /// Runs all of it. An error means that it makes no sense to go on; a check that fails does not.
    ///
    /// # Errors
    /// The testbed does not work.
    pub(crate) fn tell(mut self) -> Result<()> {
        self.testbed()?;
        let mut runs = vec![self.run(None, false)?];
        for origin in [Origin::Pod, Origin::Fabric] {
            for limited in [false, true] {
                runs.push(self.run(Some(origin), limited)?);
            }
        }
        self.compare(&runs);
        Ok(())
    }

    fn testbed(&mut self) -> Result<()> {
        self.bed.wait_ready(PATIENCE)?;
        for file in [
            "chapter/manifests/pods.yaml",
            "chapter/manifests/service-web-clusterip.yaml",
            "flood/silent.yaml",
        ] {
            let path = self.manifests.join(file);
            let text = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            self.bed.apply(&file.replace('/', "-"), &text)?;
        }
        self.bed.wait_members(SERVICE, 2, PATIENCE)?;
        self.bed.wait_members(SILENT_SERVICE, 1, PATIENCE)?;
        // Packets to an address that its kernel does not have get no answer at all.
        let flushed = self.bed.exec(SILENT, &["ip", "addr", "flush", "dev", "eth0"])?;
        ensure!(flushed.status.success(), "the silent pod keeps its address");
        self.report.say(&format!(
            "{WEB} has two backends, one on each node; {SILENT_ADDRESS} one on {NODE} that never answers"
        ));
        Ok(())
    }

    fn run(&mut self, origin: Option<Origin>, limited: bool) -> Result<Run> {
        let limits = if limited { "with flowLimits" } else { "no limits" };
        let title =
            origin.map_or_else(|| "no flood".to_owned(), |o| format!("a flood from {}", o.name()));
        self.report.chapter(&format!("{CONNECTIONS} connections, {title}, {limits}"));
        self.configure(if limited { LIMITS } else { "" })?;
        let before = Counters::read(self.bed, origin)?;
        if let Some(origin) = origin {
            self.start(origin)?;
            self.wait_for_effect(&before, origin, limited)?;
        }
        let connections = self.connect();
        let after = Counters::read(self.bed, origin);
        if origin.is_some() {
            self.show(&["status"], &["Flow table", "Flow pressure", "New flows refused"])?;
            self.bed.lab().kill(PROCESS, "SIGKILL")?;
        }
        let (connections, after) = (connections?, after?);
        self.report.say(connections.to_string().trim_end());
        self.forget()?;
        Ok(Run {
            origin,
            limited,
            connections,
            new_flow_drops: after.new_flow_drops - before.new_flow_drops,
            pairs: after.pairs,
            evicted: after.evicted - before.evicted,
            table_full: after.table_full - before.table_full,
        })
    }

    /// Gives the daemon its node file with something more in it.
    fn configure(&self, more: &str) -> Result<()> {
        self.bed.configure(NODE, more)?;
        let wanted = more.contains("flowLimits").then_some(PAIRS_LIMIT);
        wait("the limits on the card", PATIENCE, || {
            let (vif, tunnel) = shares(self.bed)?;
            let are = [&vif, &tunnel].map(|share| share["pairs_limit"].as_u64());
            Ok((are == [wanted; 2]).then_some(()))
        })
    }

    fn start(&self, origin: Origin) -> Result<()> {
        let common =
            [&*self.program, "flood", SILENT_ADDRESS, "--per-second", FLOOD_RATE, "--from"];
        let (place, more): (_, &[&str]) = match origin {
            Origin::Pod => (FLOODER, &[FLOODER_IP]),
            Origin::Fabric => {
                (FAR_NODE, &[FAR_POD_IP, "--tunnel", NODE_IP, "--label", SILENT_LABEL])
            }
        };
        let argv = [&common, more].concat();
        let shown = argv[1..].join(" ");
        self.report.shown(place, &format!("penstock-lab {shown} &"), "");
        self.bed.lab().start(PROCESS, place, &argv)
    }

    /// Waits until the flood has all that it can have: the table under pressure, or its limit.
    fn wait_for_effect(&self, before: &Counters, origin: Origin, limited: bool) -> Result<()> {
        wait("the flood's effect", PATIENCE, || {
            let now = Counters::read(self.bed, Some(origin))?;
            let refused = now.new_flow_drops > before.new_flow_drops;
            let crowded = now.evicted > before.evicted || now.table_full > before.table_full;
            Ok((if limited { refused } else { crowded }).then_some(()))
        })
    }

    fn connect(&self) -> Result<Connections> {
        let argv = [&*self.program, "connect", WEB, "--count", CONNECTIONS];
        let argv =
            [&argv[..], &["--parallel", PARALLEL, "--within", WITHIN, "-o", "json"]].concat();
        self.report.shown(CLIENT, &format!("penstock-lab {}", argv[1..].join(" ")), "");
        let output = self.bed.exec(CLIENT, &argv)?;
        serde_json::from_slice(&output.stdout).with_context(|| {
            format!("no result: {}", String::from_utf8_lossy(&output.stderr).trim())
        })
    }

    /// Empties the flow table of what a run has left in it.
    fn forget(&self) -> Result<()> {
        self.configure(FORGET)?;
        wait("a calm table", PATIENCE, || {
            let in_use = fill(self.bed)?["in_use"].as_u64().context("no fill")?;
            Ok((in_use < CALM_ENTRIES).then_some(()))
        })
    }

    /// Shows the lines of a command's output that begin with one of these words.
    fn show(&self, arguments: &[&str], lines: &[&str]) -> Result<()> {
        let output = self.bed.penstock(NODE, arguments)?;
        let mut text = String::new();
        for line in output.lines().filter(|l| lines.iter().any(|w| l.trim().starts_with(w))) {
            let _ = writeln!(text, "{}", line.trim());
        }
        self.report.shown(NODE, &format!("penstock {}", arguments.join(" ")), &text);
        Ok(())
    }

    fn compare(&mut self, runs: &[Run]) {
        self.report.chapter("Side by side");
        let alone = &runs[0].connections;
        self.report.say(
            "flood from   limits   lost  broken   p50 ms   p99 ms  p99/alone  its pairs  New Flow Drops  gave way  table full",
        );
        for run in runs {
            let Run { connections: c, .. } = run;
            let slower = c.all.p99_ms / alone.all.p99_ms.max(1e-3);
            self.report.say(&format!(
                "{:<11}  {:<6}  {:>5}  {:>6}  {:>7.1}  {:>7.1}  {:>9.1}  {:>9}  {:>14}  {:>8}  {:>10}",
                run.origin.map_or("none", Origin::name),
                if run.limited { "yes" } else { "no" },
                c.lost,
                c.broken,
                c.all.p50_ms,
                c.all.p99_ms,
                slower,
                run.pairs,
                run.new_flow_drops,
                run.evicted,
                run.table_full,
            ));
        }
        for run in runs {
            let served = || {
                let Connections { lost, broken, causes, .. } = &run.connections;
                ensure!(lost + broken == 0, "{lost} lost, {broken} broken: {causes:?}");
                Ok(())
            };
            match run.origin {
                None => self.report.check("without a flood every connection is served", served()),
                Some(origin) if run.limited => {
                    let from = origin.name();
                    self.report.check(
                        &format!("beside a flood from {from}, held to its share, every connection is served"),
                        served(),
                    );
                    let held = run.pairs <= PAIRS_LIMIT && run.new_flow_drops > 0;
                    let result =
                        if held { Ok(()) } else { Err(anyhow::anyhow!("it has {}", run.pairs)) };
                    self.report.check(
                        &format!(
                            "the flood from {from} has no more than its {PAIRS_LIMIT} connections"
                        ),
                        result,
                    );
                }
                Some(origin) => {
                    let gave =
                        if run.evicted > 0 { Ok(()) } else { Err(anyhow::anyhow!("none did")) };
                    let from = origin.name();
                    self.report.check(
                        &format!("without limits, half-open connections give way to others beside a flood from {from}"),
                        gave,
                    );
                }
            }
        }
    }
}

/// What counts on the card that is flooded.
#[derive(Default)]
struct Counters {
    new_flow_drops: u64,
    pairs: u64,
    evicted: u64,
    table_full: u64,
}

impl Counters {
    /// `origin`: whose share is looked at.
    fn read(bed: &Testbed, origin: Option<Origin>) -> Result<Self> {
        let (vif, tunnel) = shares(bed)?;
        let share = match origin {
            None => Value::Null,
            Some(Origin::Pod) => vif,
            Some(Origin::Fabric) => tunnel,
        };
        let drops = bed.json(NODE, &["dropstats"])?;
        let count = |list: &str, reason: &str| {
            let named = drops[list].as_array().into_iter().flatten();
            named.filter(|n| n["reason"] == reason).filter_map(|n| n["count"].as_u64()).sum()
        };
        Ok(Counters {
            new_flow_drops: share["new_flow_drops"].as_u64().unwrap_or(0),
            pairs: share["pairs"].as_u64().unwrap_or(0),
            evicted: count("counters", "FlowsEvicted"),
            table_full: count("drops", "FlowTableFull"),
        })
    }
}

/// What the pod that floods and the far node's tunnel have of the flow table.
fn shares(bed: &Testbed) -> Result<(Value, Value)> {
    let vif = bed.json(NODE, &["vif", "--get", FLOODER_VIF])?["interfaces"][0]["flows"].take();
    let tunnels = bed.json(NODE, &["tunnel", "--list"])?;
    let tunnels = tunnels["tunnels"].as_array().into_iter().flatten();
    let tunnel = tunnels.filter(|tunnel| tunnel["source"] == FAR_NODE_IP);
    let tunnel = tunnel.map(|tunnel| tunnel["flows"].clone()).next();
    Ok((vif, tunnel.context("the far node has no tunnel")?))
}

fn fill(bed: &Testbed) -> Result<Value> {
    Ok(bed.json(NODE, &["status"])?["device"]["flow_table"].take())
}
