//! All peers together: what the node tells each, and what comes of what all have told.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::select_all;
use imbl::OrdMap;
use penstock_bgp::{Exporter, Imported, Importer, Policy, Session, Status, VpnPrefix};
use penstock_model::Advertisement;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::peering::{Heard, Peer, Told, run};

/// The node's own part.
#[derive(Clone, Debug, PartialEq)]
pub struct Local {
    /// Which routes go where. It must be one that [`Policy::check`] lets pass.
    pub policy: Policy,
    /// What the node advertises.
    pub advertisements: OrdMap<Advertisement, ()>,
    /// That is all: every source of it is complete.
    pub complete: bool,
    /// The card's tables are those that were there before this speaker was started.
    pub preserved: bool,
}

/// What is known of others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Routes {
    /// What has become of each prefix that a peer has told.
    pub routes: OrdMap<VpnPrefix, Arc<Imported>>,
    /// Each peer has told all its routes, or is not waited for any longer. Before that, what is missing may come yet, and nothing
    /// may be taken away for being missing.
    pub settled: bool,
    /// How the sessions are, by the peers' names.
    pub peers: BTreeMap<Arc<str>, Status>,
}

/// Speaks to peers, until the sender of `local` is gone; then connections are closed without a word, so that peers keep the
/// node's routes for as long as was agreed on.
///
/// Nobody is spoken to before there is a `local` part: a peer that hears of no targets has nothing to tell, and what it then
/// calls all its routes would be none.
pub async fn speak(
    peers: Vec<Peer>,
    mut local: watch::Receiver<Option<Local>>,
    routes: watch::Sender<Routes>,
) {
    let (mut exporter, mut importer) = (Exporter::default(), Importer::default());
    let Ok(Some(first)) = local.wait_for(Option::is_some).await.map(|local| local.clone()) else {
        return;
    };
    importer.set_policy(&first.policy);
    let (told, _) = watch::channel(tell(&mut exporter, &first));
    let mut tasks = JoinSet::new();
    let mut heard = Vec::new();
    let now = std::time::Instant::now();
    for peer in peers {
        let name = peer.name.clone();
        let status = Session::new(peer.session.clone(), peer.restarted, now).status();
        let (sender, receiver) =
            watch::channel(Heard { learned: OrdMap::new(), settled: false, status });
        tasks.spawn(run(peer, told.subscribe(), sender));
        heard.push((name, receiver));
    }
    loop {
        publish(&mut importer, &mut heard, &routes);
        tokio::select! {
            changed = local.changed() => {
                if changed.is_err() {
                    return;
                }
                if let Some(local) = &*local.borrow_and_update() {
                    importer.set_policy(&local.policy);
                    told.send_replace(tell(&mut exporter, local));
                }
            }
            () = any(&mut heard) => {}
        }
    }
}

fn tell(exporter: &mut Exporter, local: &Local) -> Arc<Told> {
    exporter.update(&local.policy, &local.advertisements);
    Arc::new(Told {
        routes: exporter.routes().clone(),
        complete: local.complete,
        targets: local.policy.imported(),
        preserved: local.preserved,
    })
}

/// Waits until one of the peers has something new. One whose task has ended has not.
async fn any(heard: &mut [(Arc<str>, watch::Receiver<Heard>)]) {
    if heard.is_empty() {
        return std::future::pending().await;
    }
    let changes = heard.iter_mut().map(|(_, heard)| {
        Box::pin(async {
            if heard.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    });
    select_all(changes).await;
}

fn publish(
    importer: &mut Importer,
    heard: &mut [(Arc<str>, watch::Receiver<Heard>)],
    routes: &watch::Sender<Routes>,
) {
    let mut new = Routes { settled: true, ..Routes::default() };
    for (name, heard) in heard {
        let heard = heard.borrow_and_update().clone();
        importer.update(name, &heard.learned);
        new.settled &= heard.settled;
        new.peers.insert(name.clone(), heard.status);
    }
    new.routes = importer.routes().clone();
    routes.send_if_modified(|old| {
        let changed = *old != new;
        if changed {
            *old = new;
        }
        changed
    });
}
