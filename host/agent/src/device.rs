//! The card's owner: one thread that alone touches it, and the handle by which async code asks it to.
//!
//! In: closures over a [`Card`]. Out: their results. An error that leaves the card's state unknown (it is gone, did not
//! answer, met a bus error, broke the protocol) makes the thread drop the card: from then on every request fails with
//! [`LinkError::Lost`] until [`Device::attach`] succeeds again, after which everything must be read back.
//!
//! Jobs are done in the order in which they were asked for, each whole: who has much to ask asks in pieces of at most
//! [`JOB_COMMANDS`] commands, so that nobody waits long. A job that panics ends the thread, which [`Device::ended`] tells.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread;

use penstock_device::{Card, DeviceError, Ident, PciTransport};
use tokio::sync::{oneshot, watch};

use crate::error::{LinkError, chain};
use crate::keep::{Keeper, tell_failure};

/// Most commands that one job should put to the card.
pub const JOB_COMMANDS: usize = 256;

/// Makes a transport; called on the card's thread for each attempt to attach.
pub type Opener = Arc<dyn Fn() -> Result<Box<dyn PciTransport>, DeviceError> + Send + Sync>;

/// Whether there is a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// Attached.
    Attached(Ident),
    /// Lost, or not attached yet.
    Lost(String),
}

type Job = Box<dyn FnOnce(&mut Option<Card>) + Send>;

/// Handle of the card's thread.
#[derive(Clone)]
pub struct Device {
    jobs: mpsc::Sender<Job>,
    state: watch::Receiver<LinkState>,
    publish: Arc<watch::Sender<LinkState>>,
    opener: Opener,
    keeper: Arc<dyn Keeper>,
    /// Its sender lives on the thread.
    alive: watch::Receiver<()>,
}

impl Device {
    /// Starts the thread; no card is attached yet.
    ///
    /// # Errors
    /// The operating system refuses a thread.
    pub fn start(opener: Opener, keeper: Arc<dyn Keeper>) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let (publish, state) = watch::channel(LinkState::Lost("not attached yet".to_owned()));
        let (living, alive) = watch::channel(());
        thread::Builder::new().name("card".to_owned()).spawn(move || {
            let _living = living;
            let mut card = None;
            while let Ok(job) = queue.recv() {
                job(&mut card);
            }
        })?;
        Ok(Self { jobs, state, publish: Arc::new(publish), opener, keeper, alive })
    }

    /// Waits until the card's thread has ended, which it does only if a job panicked.
    pub async fn ended(&self) {
        // Nothing is ever sent: this is the end of the sender.
        while self.alive.clone().changed().await.is_ok() {}
    }

    /// Whether there is a card; changes can be awaited.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<LinkState> {
        self.state.clone()
    }

    /// Drops the card, if there is one, and attaches to it anew.
    ///
    /// # Errors
    /// The transport cannot be opened, or what is there is no card of this layout.
    pub async fn attach(&self) -> Result<Ident, LinkError> {
        let (opener, publish) = (Arc::clone(&self.opener), Arc::clone(&self.publish));
        let keeper = Arc::clone(&self.keeper);
        self.submit(move |slot| {
            if slot.take().is_some() {
                tell_failure(keeper.forget());
            }
            let attached = opener().and_then(Card::attach);
            tell_failure(match &attached {
                Ok(card) => card.held_fds().map_or(Ok(()), |held| keeper.keep(&held)),
                // What was adopted is no card any more.
                Err(_) => keeper.forget(),
            });
            let result = attached.map(|card| {
                let ident = *card.ident();
                *slot = Some(card);
                ident
            });
            publish.send_replace(match &result {
                Ok(ident) => LinkState::Attached(*ident),
                Err(error) => LinkState::Lost(chain(error)),
            });
            result.map_err(LinkError::from)
        })
        .await
    }

    /// Runs `work` on the card.
    ///
    /// # Errors
    /// [`LinkError::Lost`] without a card; what `work` returns.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Card) -> Result<T, DeviceError> + Send + 'static,
    ) -> Result<T, LinkError> {
        let (publish, state) = (Arc::clone(&self.publish), self.state.clone());
        let keeper = Arc::clone(&self.keeper);
        self.submit(move |slot| {
            let Some(card) = slot.as_mut() else {
                let why = match &*state.borrow() {
                    LinkState::Lost(why) => why.clone(),
                    LinkState::Attached(_) => "it is being attached".to_owned(),
                };
                return Err(LinkError::Lost(why));
            };
            let result = work(card);
            if let Err(error) = &result
                && leaves_unknown(error)
            {
                *slot = None;
                tell_failure(keeper.forget());
                publish.send_replace(LinkState::Lost(chain(error)));
            }
            result.map_err(LinkError::from)
        })
        .await
    }

    /// Drops the card, if there is one, because of `why`: it is lost from now on.
    ///
    /// # Errors
    /// The thread has ended.
    pub async fn give_up(&self, why: String) -> Result<(), LinkError> {
        let (publish, keeper) = (Arc::clone(&self.publish), Arc::clone(&self.keeper));
        self.submit(move |slot| {
            if slot.take().is_some() {
                tell_failure(keeper.forget());
            }
            publish.send_replace(LinkState::Lost(why));
            Ok(())
        })
        .await
    }

    async fn submit<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Option<Card>) -> Result<T, LinkError> + Send + 'static,
    ) -> Result<T, LinkError> {
        let (reply, answer) = oneshot::channel();
        let ended = || LinkError::Lost("its thread has ended; restart the daemon".to_owned());
        // What nobody waits for any more is not begun.
        let job: Job = Box::new(move |slot| {
            if !reply.is_closed() {
                let _ = reply.send(job(slot));
            }
        });
        self.jobs.send(job).map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }
}

/// Whether the card's state is unknown after `error`. A refused command is an answer; anything else is not.
fn leaves_unknown(error: &DeviceError) -> bool {
    !matches!(
        error,
        DeviceError::BadStatus { .. }
            | DeviceError::Overflow(_)
            | DeviceError::MissingCapability { .. }
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use penstock_device::fake::FakeCard;

    use super::*;
    use crate::keep::ServiceManager;

    fn device(fake: &FakeCard) -> Device {
        let fake = fake.clone();
        let nobody = ServiceManager::new(String::new(), Vec::new());
        Device::start(Arc::new(move || Ok(fake.transport())), Arc::new(nobody)).unwrap()
    }

    #[tokio::test]
    async fn a_card_that_dies_is_lost_until_it_is_attached_again() {
        let fake = FakeCard::new();
        let device = device(&fake);
        assert!(matches!(device.run(|c| c.time_cycles()).await, Err(LinkError::Lost(_))));
        device.attach().await.unwrap();
        device.run(|c| c.time_cycles()).await.unwrap();
        fake.kill();
        assert!(matches!(device.run(|c| c.time_cycles()).await, Err(LinkError::Device(_))));
        assert!(
            matches!(&*device.state().borrow(), LinkState::Lost(why) if why.contains("all ones"))
        );
        assert!(device.attach().await.is_err());
        fake.revive();
        device.attach().await.unwrap();
        device.run(|c| c.time_cycles()).await.unwrap();
    }

    #[tokio::test]
    async fn a_job_that_panics_is_the_end_of_the_thread_and_is_told() {
        let fake = FakeCard::new();
        let device = device(&fake);
        device.attach().await.unwrap();
        let told = tokio::spawn({
            let device = device.clone();
            async move { device.ended().await }
        });
        let died = device.run(|_| -> Result<(), DeviceError> { panic!("on purpose") }).await;
        assert!(matches!(&died, Err(LinkError::Lost(why)) if why.contains("thread")), "{died:?}");
        tokio::time::timeout(std::time::Duration::from_secs(20), told).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_refused_command_does_not_lose_the_card() {
        use penstock_abi::table::{FlowStats, TableId};
        let fake = FakeCard::new();
        let device = device(&fake);
        device.attach().await.unwrap();
        let refused = device.run(|c| c.read::<FlowStats>(TableId::FlowStats, 1 << 30)).await;
        assert!(
            matches!(refused, Err(LinkError::Device(DeviceError::BadStatus { .. }))),
            "{refused:?}"
        );
        device.run(|c| c.time_cycles()).await.unwrap();
    }
}
