//! Publishes fragments, and logs what sources find.

use penstock_model::{Effect, Findings, Fragment};
use tokio::sync::watch;

use crate::difference::changed_keys;

/// New findings that are logged one by one.
const LOGGED: usize = 20;

/// Publishes what a source has to say, if it is news, and logs what was not found before.
pub fn publish(sender: &watch::Sender<Fragment>, fragment: Fragment) {
    sender.send_if_modified(|before| {
        let news = *before != fragment;
        if news {
            log(&before.findings, &fragment);
            *before = fragment;
        }
        news
    });
}

/// Logs what was not found before; a part of it, if it is much.
fn log(before: &Findings, fragment: &Fragment) {
    let changed = changed_keys(before, &fragment.findings);
    let found = changed.iter().filter_map(|id| Some((id, fragment.findings.get(id)?)));
    let found = found.flat_map(|(id, list)| list.iter().map(move |finding| (id, finding)));
    let wrong: Vec<_> = found.filter(|(_, finding)| finding.effect != Effect::Note).collect();
    let source = &fragment.source;
    for (id, finding) in wrong.iter().take(LOGGED) {
        tracing::warn!(%source, "{id}: {finding}");
    }
    if let Some(more) = wrong.len().checked_sub(LOGGED + 1) {
        tracing::warn!(%source, "and {} further findings: see the status", more + 1);
    }
}
