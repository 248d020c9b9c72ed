//! Taking a card over, and making sure that it is as it was left.

use std::time::Duration;

use penstock_tables::CONFIG_TABLES;
use tokio::time::sleep;
use tracing::info;

use super::{Failure, Held, Reconciler};
use crate::backoff::Backoff;
use crate::device::LinkState;
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
        let left = self.device.run(Look::take).await?;
        if left.clearing {
            return Err(Failure::Changed);
        }
        let tables = read::configuration(&self.device, &self.beat).await?;
        // A clear in between shows in the next look.
        let entries: usize = CONFIG_TABLES.iter().map(|&table| tables.len(table)).sum();
        info!(entries, forwarding = left.forwarding, "tables read back");
        let remembered = read::neighbours(&tables);
        let held = Held { adopt: true, remembered, left, tables, inputs: None };
        self.publish(&held);
        Ok(held)
    }

    /// Makes sure that the card is as it was left; waits until a clearing is over.
    pub(super) async fn check(&self, held: &Held) -> Result<(), Failure> {
        let mut clearing_since = None;
        loop {
            let now = self.device.run(Look::take).await?;
            match held.left.judge(&now) {
                Verdict::AsLeft => {
                    if clearing_since.is_some() {
                        self.publish(held);
                    }
                    return Ok(());
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
}
