//! Tells the service manager in one line how the daemon is (`systemctl status`).

use penstock_views::api::ReconcileStatus;
use sd_notify::NotifyState;
use tokio::sync::watch;
use tracing::debug;

/// Follows the reconcile loop until it ends. Without a service manager nobody is told.
pub async fn tell(mut reconcile: watch::Receiver<ReconcileStatus>) {
    let mut told = String::new();
    loop {
        let now = line(&reconcile.borrow_and_update());
        if told != now {
            notify(&[NotifyState::Status(&now)]);
            told = now;
        }
        if reconcile.changed().await.is_err() {
            return;
        }
    }
}

/// Tells a change of state. A service manager that does not listen is no reason to do anything else.
pub fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        debug!(%error, "the service manager was not told");
    }
}

fn line(status: &ReconcileStatus) -> String {
    let text = match &status.last_error {
        Some(error) => format!("{}: {error}", status.state),
        None => status.state.to_string(),
    };
    // A message to the service manager is made of lines.
    text.replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use penstock_views::api::ReconcileState;

    use super::*;

    #[test]
    fn an_error_stands_in_the_line() {
        let mut status =
            ReconcileStatus { state: ReconcileState::InSync, ..ReconcileStatus::default() };
        assert_eq!(line(&status), "in sync");
        status.state = ReconcileState::Failing;
        status.last_error = Some("the card is gone\n(unplugged)".to_owned());
        assert_eq!(line(&status), "failing: the card is gone (unplugged)");
    }
}
