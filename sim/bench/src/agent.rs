//! A change's way from the intent to the last table write, through a whole agent, on a card in memory.
//!
//! The card answers at once, so what is measured is the host: compiler, planner, the card's thread, the ring and its completions.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use penstock_agent::engine::CardEngine;
use penstock_agent::keep::ServiceManager;
use penstock_agent::{Agent, Config, Opener};
use penstock_device::fake::FakeCard;
use tokio::sync::watch;

use crate::host::Cluster;
use crate::report::Report;

/// Changes of which the median and the 99th percentile are taken.
const CHANGES: u32 = 500;
/// How long the first reconcile, and a change, may take before the measurement is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Measures changes of one endpoint among 10,000 services.
///
/// # Errors
/// The agent does not do what it is asked for.
pub(crate) fn run(report: &mut Report) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let took = runtime.block_on(changes(Cluster::small(10_000)))?;
    runtime.shutdown_background();
    let at = |share: f64| took.get((took.len() as f64 * share) as usize).copied();
    let name = "host.change.10000_services.to_last_write";
    for (what, share) in [("p50", 0.5), ("p99", 0.99)] {
        let value = at(share).context("nothing was measured")?;
        report.add(format!("{name}.{what}"), value, "ms");
    }
    Ok(())
}

/// How long each change took, in milliseconds, the shortest first.
async fn changes(cluster: Cluster) -> Result<Vec<f64>> {
    let (mut intent, neighbours) = cluster.intent()?;
    let fake = FakeCard::new();
    let opener: Opener = Arc::new(move || Ok(fake.transport()));
    let config = Config {
        name: "bench".to_owned(),
        spec: "memory".to_owned(),
        opener,
        keeper: Arc::new(ServiceManager::new(String::new(), Vec::new())),
        engine: Box::new(CardEngine::default()),
        audit_every: Duration::from_secs(3600),
    };
    let (intents, followed) = watch::channel(Arc::new(intent.clone()));
    let (_neighbours, known) = watch::channel(Some(neighbours));
    let agent = Agent::start(config, followed, known)?;
    let mut status = agent.handle().status();
    let mut took = Vec::new();
    for round in 0..=CHANGES {
        let done = status.borrow().completed;
        let started = Instant::now();
        if round > 0 {
            // To another endpoint, and back in the next round.
            cluster.change(&mut intent, round.div_ceil(2) * 37, round % 2);
            intents.send_replace(Arc::new(intent.clone()));
        }
        let after = if round > 0 { done } else { 0 };
        let wait =
            status.wait_for(|status| status.completed > after || status.last_error.is_some());
        let error = tokio::time::timeout(PATIENCE, wait)
            .await
            .context("a change does not reach the card")??
            .last_error
            .clone();
        if let Some(error) = error {
            bail!("the agent fails: {error}");
        }
        if round > 0 {
            took.push(started.elapsed().as_secs_f64() * 1e3);
        }
    }
    took.sort_by(f64::total_cmp);
    Ok(took)
}
