//! Tells the service manager that the daemon lives, as long as it does.
//!
//! Every agent must have come round once more, each time: an agent that hangs (its card's thread, a lock, a call that does not
//! return) is not covered by tasks that do not. A card that is gone hangs nothing: each attempt to attach is a round.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

/// Feeds the watchdog that the service manager has set for this process, if it has; otherwise waits for ever.
pub async fn watch(beats: Vec<watch::Receiver<u64>>) {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return std::future::pending().await;
    };
    feed(beats, limit, || crate::tell::notify(&[sd_notify::NotifyState::Watchdog])).await;
}

/// Calls `tell` whenever all have made a beat, at most some times within `limit`. Ends with the first agent.
async fn feed(mut beats: Vec<watch::Receiver<u64>>, limit: Duration, mut tell: impl FnMut()) {
    loop {
        for beat in &mut beats {
            if beat.changed().await.is_err() {
                return;
            }
        }
        tell();
        sleep(limit / 8).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_that_hangs_is_not_covered_by_one_that_does_not() {
        let (well, a) = watch::channel(0);
        let (ill, b) = watch::channel(0);
        let told = Cell::new(0);
        let fed = feed(vec![a, b], Duration::from_secs(8), || told.set(told.get() + 1));
        let work = async {
            for round in 1..=10 {
                well.send_replace(round);
                if round <= 5 {
                    ill.send_replace(round);
                }
                sleep(Duration::from_secs(2)).await;
            }
        };
        tokio::select! { () = fed => {}, () = work => {} }
        assert_eq!(told.get(), 5);
    }
}
