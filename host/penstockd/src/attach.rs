//! Attachments of a card as its API has them: what a CNI plugin asks for, and whether the card forwards for it yet.

use std::time::{Duration, SystemTime};

use penstock_abi::table::Ilm;
use penstock_agent::{State, Status};
use penstock_api::attachments::{self as api, Placed, Reserve};
use penstock_attachments::{
    Attachment, Attachments, Key, NotPlaced, NotReserved, Place, StoreError, Wish,
};
use penstock_model::{AddrError, Effect, ObjectId, ObjectName, VifId};
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use crate::answer::{Card, Refusal};

/// How long a card may take to forward for a pod. A plugin waits for longer.
const FORWARDS_WITHIN: Duration = Duration::from_secs(20);
/// How long a refusal may stand that somebody else's departure ends, as the end of whoever had the address before.
const REFUSED_WITHIN: Duration = Duration::from_secs(3);
/// Longest text that names something.
const NAME_MAX_BYTES: usize = 253;

/// Whether a card forwards for a pod.
enum Look {
    Forwards,
    NotYet(String),
    Refused(String),
}

impl Card {
    /// Reserves a vif and a label.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn reserve(&self, request: Reserve) -> Result<api::Attachment, Refusal> {
        let wish = wish(request)?;
        let intent = self.intent()?;
        let work = move |all: Attachments| all.reserve(&wish, &intent, SystemTime::now());
        let attachment = self.on_disk(work).await?.map_err(|error| match error {
            NotReserved::Attached { .. } => Refusal::Conflict(error.to_string()),
            NotReserved::NoVrf { .. } => Refusal::Misread(error.to_string()),
            NotReserved::NoVif(_) | NotReserved::NoLabel(_) => {
                Refusal::Exhausted(error.to_string())
            }
            NotReserved::Store(error) => Refusal::Unkept(error),
        })?;
        Ok(self.show(&attachment))
    }

    /// Gives an attachment its place, and waits until the card forwards for it.
    ///
    /// # Errors
    /// [`Refusal`]; the attachment has its place all the same unless that is refused.
    pub async fn place(&self, key: Key, placed: Placed) -> Result<api::Attachment, Refusal> {
        let mac = placed.mac.parse();
        let mac = mac.map_err(|error: AddrError| Refusal::Misread(error.to_string()))?;
        let place = Place { address: placed.address, mac };
        let work = move |all: Attachments| all.place(&key, place);
        let attachment = self.on_disk(work).await?.map_err(|error| match error {
            NotPlaced::Unknown(_) => Refusal::Absent(error.to_string()),
            NotPlaced::Wrong(_) => Refusal::Misread(error.to_string()),
            NotPlaced::Elsewhere { .. } => Refusal::Conflict(error.to_string()),
            NotPlaced::Store(error) => Refusal::Unkept(error),
        })?;
        self.forwards(&attachment).await?;
        Ok(self.show(&attachment))
    }

    /// Removes an attachment; says whether there was one.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn detach(&self, key: Key) -> Result<bool, Refusal> {
        let work = move |all: Attachments| all.remove(&key, SystemTime::now());
        let removed = self.on_disk(work).await?.map_err(Refusal::Unkept)?;
        Ok(removed.is_some())
    }

    /// An attachment.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn attachment(&self, key: &Key) -> Result<api::Attachment, Refusal> {
        let attachment = self.kept()?.get(key);
        let attachment =
            attachment.ok_or_else(|| Refusal::Absent(format!("there is no attachment {key}")))?;
        Ok(self.show(&attachment))
    }

    /// All attachments.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn attachments(&self) -> Result<api::Attachments, Refusal> {
        let all = self.kept()?.list();
        Ok(api::Attachments { attachments: all.iter().map(|one| self.show(one)).collect() })
    }

    fn kept(&self) -> Result<&Attachments, Refusal> {
        self.attachments.as_ref().ok_or_else(|| {
            Refusal::NotReady(
                "this daemon keeps no attachments: it was started without --state".to_owned(),
            )
        })
    }

    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(Attachments) -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let all = self.kept()?.clone();
        let work = tokio::task::spawn_blocking(move || work(all));
        work.await.map_err(|error| Refusal::Unwritten(error.to_string()))
    }

    /// Waits until the card forwards for a pod.
    async fn forwards(&self, attachment: &Attachment) -> Result<(), Refusal> {
        let deadline = Instant::now() + FORWARDS_WITHIN;
        let mut refused_until = None;
        let mut status = self.agent.status();
        loop {
            status.borrow_and_update();
            if self.kept()?.get(&attachment.key).as_ref() != Some(attachment) {
                return Err(Refusal::Absent(format!("{} was removed", attachment.key)));
            }
            let (why, until) = match self.look(attachment) {
                Look::Forwards => return Ok(()),
                Look::NotYet(why) => {
                    refused_until = None;
                    (why, deadline)
                }
                Look::Refused(why) => {
                    let until =
                        *refused_until.get_or_insert_with(|| Instant::now() + REFUSED_WITHIN);
                    (why, until.min(deadline))
                }
            };
            match timeout_at(until, status.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Err(Refusal::NotReady(why)),
            }
        }
    }

    fn look(&self, attachment: &Attachment) -> Look {
        let Some(place) = attachment.place else {
            return Look::NotYet("it is reserved, and has no address yet".to_owned());
        };
        let status = self.agent.status();
        let status: &Status = &status.borrow();
        let findings = status.findings.get(&ObjectId::Vif(attachment.name.clone()));
        let mut findings = findings.into_iter().flat_map(|list| list.iter());
        if let Some(refused) = findings.find(|finding| finding.effect == Effect::Refused) {
            return Look::Refused(format!("vif {} is {refused}", attachment.name));
        }
        let not_yet = || {
            let error = status.last_error.as_deref().map(|e| format!(": {e}")).unwrap_or_default();
            Look::NotYet(format!("the card does not forward yet, it is {}{error}", status.state))
        };
        let desired = &status.compiled.desired;
        let vif = desired.vifs.get(&attachment.vif).is_some_and(|vif| {
            (vif.mac, vif.vrf) == (place.mac, attachment.vrf_id)
                && vif.address == Some(place.address.into())
        });
        // In sync, the card has confirmed what it was last compiled to.
        if status.state != State::InSync || !vif {
            return not_yet();
        }
        match self.agent.tables() {
            Ok(tables) if tables.get::<Ilm>(attachment.label.0).is_some_and(|ilm| ilm.valid) => {
                Look::Forwards
            }
            _ => not_yet(),
        }
    }

    fn show(&self, attachment: &Attachment) -> api::Attachment {
        let why = match self.look(attachment) {
            Look::Forwards => None,
            Look::NotYet(why) | Look::Refused(why) => Some(why),
        };
        let Attachment { key, pod, name, vrf, vrf_id: _, vif, label, place } = attachment.clone();
        api::Attachment {
            network: key.network,
            container: key.container,
            interface: key.interface,
            pod_namespace: pod.namespace,
            pod_name: pod.name,
            name,
            vrf,
            vif: vif.0,
            label: label.0,
            placed: place
                .map(|place| Placed { address: place.address, mac: place.mac.to_string() }),
            forwarding: why.is_none(),
            why,
        }
    }
}

fn wish(request: Reserve) -> Result<Wish, Refusal> {
    let Reserve { network, container, interface, pod_namespace, pod_name, vrf, vifs } = request;
    for (what, text) in [
        ("network", &network),
        ("container", &container),
        ("interface", &interface),
        ("pod_namespace", &pod_namespace),
        ("pod_name", &pod_name),
    ] {
        let is_name = !text.is_empty()
            && text.len() <= NAME_MAX_BYTES
            && !text.chars().any(|c| c.is_control() || c == '/');
        if !is_name {
            return Err(Refusal::Misread(format!("{what} {text:?} is no name")));
        }
    }
    if let Some(own) = vifs.iter().find(|vif| **vif < VifId::FIRST_POD.0) {
        return Err(Refusal::Misread(format!("vif {own} is the card's own")));
    }
    Ok(Wish {
        key: Key { network, container, interface },
        pod: ObjectName::new(pod_namespace, pod_name),
        vrf,
        vifs: vifs.into_iter().map(VifId).collect(),
    })
}

/// Lets attachments follow what other sources give away, until the intent ends.
pub(crate) async fn observe(card: Card) {
    let Some(all) = card.attachments else { return std::future::pending().await };
    let mut intent = card.intent;
    let mut told: Option<StoreError> = None;
    loop {
        let now = intent.borrow_and_update().clone();
        if now.complete {
            let all = all.clone();
            let work = move || all.observe(&now, SystemTime::now());
            match tokio::task::spawn_blocking(work).await {
                Ok(Ok(())) => told = None,
                Ok(Err(error)) if told.is_none() => {
                    warn!(%error, "numbers that were given up are not kept");
                    told = Some(error);
                }
                Ok(Err(_)) => {}
                Err(_) => return,
            }
        }
        if intent.changed().await.is_err() {
            return;
        }
    }
}
