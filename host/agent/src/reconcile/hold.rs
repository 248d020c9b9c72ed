//! Taking a card over, and making sure that it is as it was left.

use std::time::Duration;

use penstock_abi::hash::FlowSecret;
use penstock_device::{Card, ParityErrors};
use penstock_tables::CONFIG_TABLES;
use tokio::time::sleep;
use tracing::{info, warn};

use super::{Failure, Held, Reconciler};
use crate::aging;
use crate::audit;
use crate::backoff::Backoff;
use crate::device::LinkState;
use crate::engine::Inputs;
use crate::look::{Look, Verdict};
use crate::read;
use crate::status::State;

/// How long tables may take to be cleared.
pub(super) const CLEARING_MAX: Duration = Duration::from_secs(30);

impl Reconciler {
    /// Attaches, if need be, and reads back what the card holds.
    pub(super) async fn take_over(&mut self) -> Result<Held, Failure> {
        let attached = matches!(&*self.device.state().borrow(), LinkState::Attached(_));
        if !attached {
            self.tables.send_replace(None);
            self.beat.beat();
            let ident = self.device.attach().await?;
            self.beat.beat();
            info!(
                epoch = ident.epoch,
                layout = format!("{:#010x}", ident.layout_version),
                "card attached"
            );
        }
        let mut left = self.device.run(Look::take).await?;
        if left.clearing {
            return Err(Failure::Changed);
        }
        let tables = read::configuration(&self.device, &self.beat).await?;
        // A clear in between shows in the next look.
        let entries: usize = CONFIG_TABLES.iter().map(|&table| tables.len(table)).sum();
        info!(entries, forwarding = left.forwarding, "tables read back");
        if left.epoch == 0 && entries == 0 {
            left = self.begin_anew().await?;
        }
        let remembered = read::neighbours(&tables);
        let held = Held { adopt: true, remembered, left, tables, inputs: None, aging: None };
        self.publish(&held);
        Ok(held)
    }

    /// Lets flows age as the node's owner wants it.
    pub(super) async fn let_age(&self, held: &mut Held, inputs: &Inputs) -> Result<(), Failure> {
        let Some(aging) = inputs.intent.node.as_ref().map(|node| &node.flow_aging) else {
            return Ok(());
        };
        if held.aging.as_ref() != Some(aging) {
            let wanted = aging.clone();
            self.device.run(move |card| aging::tell(card, &wanted)).await?;
            held.aging = Some(aging.clone());
        }
        Ok(())
    }

    /// Gives a card that holds nothing a secret of its own for the hash of its flows. That counts from a clear on, which would take
    /// the flows of a card that is adopted: such a card keeps its secret.
    async fn begin_anew(&mut self) -> Result<Look, Failure> {
        let mut secret = FlowSecret::default();
        for word in &mut secret.0 {
            *word = getrandom::u32().map_err(|error| Failure::Random(error.to_string()))?;
        }
        let begin = move |card: &mut Card| {
            card.set_flow_secret(secret)?;
            card.begin_clear()
        };
        self.device.run(begin).await?;
        let since = tokio::time::Instant::now();
        loop {
            self.beat.beat();
            let now = self.device.run(Look::take).await?;
            if !now.clearing {
                info!("an empty card: its flows are placed by a new secret");
                return Ok(now);
            }
            if since.elapsed() >= CLEARING_MAX {
                return Err(Failure::Clearing);
            }
            sleep(Backoff::MIN).await;
        }
    }

    /// Makes sure that the card is as it was left; waits until a clearing is over. An entry that was met with the wrong parity is
    /// written again.
    pub(super) async fn check(&self, held: &mut Held) -> Result<(), Failure> {
        let mut clearing_since = None;
        loop {
            let now = self.device.run(Look::take).await?;
            match held.left.judge(&now) {
                Verdict::AsLeft => {
                    if clearing_since.is_some() {
                        self.publish(held);
                    }
                    return self.mend(held, now.parity).await;
                }
                Verdict::Clearing => {
                    let now = tokio::time::Instant::now();
                    if now - *clearing_since.get_or_insert(now) >= CLEARING_MAX {
                        return Err(Failure::Clearing);
                    }
                    self.tables.send_replace(None);
                    self.set_state(State::WaitingForDevice);
                    self.beat.beat();
                    sleep(Backoff::MIN).await;
                }
                Verdict::Changed => return Err(Failure::Changed),
                Verdict::Reset => {
                    self.device.give_up(Failure::Reset.to_string()).await?;
                    return Err(Failure::Reset);
                }
            }
        }
    }

    /// Writes the entry again that was met with the wrong parity last, as the card has confirmed it: packets that need it are
    /// dropped until then. Others that were met before it are met again. Of tables that were just read back nobody knows yet what
    /// is to stand in them; the plan does.
    async fn mend(&self, held: &mut Held, met: Option<ParityErrors>) -> Result<(), Failure> {
        let Some(met) = met.filter(|_| met != held.left.parity) else { return Ok(()) };
        let ParityErrors { count, table, index } = met;
        if CONFIG_TABLES.contains(&table) {
            if held.adopt || held.inputs.is_none() {
                return Ok(());
            }
            audit::rewrite(&self.device, table, &held.tables, &[index]).await?;
            warn!(
                ?table,
                index, count, "an entry of the card had the wrong parity and was written again"
            );
        } else {
            warn!(?table, index, count, "an entry that only the card knows had the wrong parity");
        }
        held.left.parity = Some(met);
        Ok(())
    }
}
