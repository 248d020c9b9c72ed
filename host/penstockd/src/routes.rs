//! The daemon's resources: which answer each of them gives, and what HTTP calls a refusal.

use std::net::Ipv4Addr;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use penstock_agent::{AuditError, LinkError, chain};
use penstock_api::attachments::{Attachment, Attachments, Placed, Removed, Reserve};
use penstock_api::paths::{
    self, AddressQuery, AuditQuery, CardQuery, EventQuery, FlowQuery, LookupQuery,
};
use penstock_api::server::{Body, Path, Problem, Query};
use penstock_api::types::{Audit, Status};
use penstock_attachments::Key;
use penstock_model::ObjectName;
use penstock_views::{
    address, drops, flow, mpls, next_hop, overlay, route, service, trace, tunnel, vif,
};

use crate::answer::{Answers, Card, Refusal};
use crate::status as statuses;

/// What a resource answers.
type Answer<T> = Result<Json<T>, Problem>;
/// Which card a request is about.
type OfCard = Query<CardQuery>;

/// All resources of [`paths`].
pub fn router(answers: Answers) -> Router {
    Router::new()
        .route(paths::STATUS, get(status))
        .route(paths::FLOWS, get(flows))
        .route(paths::FLOW, get(flow).delete(end_flow))
        .route(paths::EVENTS, get(events))
        .route(paths::NEXT_HOPS, get(next_hops))
        .route(paths::NEXT_HOP, get(next_hop))
        .route(paths::VIFS, get(vifs))
        .route(paths::VIF, get(vif))
        .route(paths::ROUTES, get(routes))
        .route(paths::LOOKUP, get(lookup))
        .route(paths::LABELS, get(labels))
        .route(paths::LABEL, get(label))
        .route(paths::VRFS, get(vrfs))
        .route(paths::LISTENERS, get(listeners))
        .route(paths::SOURCES, get(sources))
        .route(paths::SOURCE, get(source))
        .route(paths::PLAIN_FIPS, get(plain_fips))
        .route(paths::TUNNELS, get(tunnels))
        .route(paths::ADDRESS, get(address))
        .route(paths::DROPS, get(drops))
        .route(paths::FIRMWARE_TRACE, get(firmware_trace))
        .route(paths::SERVICES, get(services))
        .route(paths::SERVICE, get(service))
        .route(paths::AUDIT, post(audit))
        .route(paths::ATTACHMENTS, get(attachments).post(reserve))
        .route(paths::ATTACHMENT, get(attachment).put(place).delete(detach))
        .with_state(answers)
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = match &refusal {
            Refusal::Absent(_) => StatusCode::NOT_FOUND,
            Refusal::Misread(_) => StatusCode::BAD_REQUEST,
            Refusal::NotReady(_)
            | Refusal::Card(LinkError::Lost(_))
            | Refusal::Audit(AuditError::Unavailable(_) | AuditError::Ended) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            // The card answered, but not as it should.
            Refusal::Card(LinkError::Device(_)) => StatusCode::BAD_GATEWAY,
            Refusal::Unwritten(_) | Refusal::Unkept(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Refusal::Conflict(_) => StatusCode::CONFLICT,
            Refusal::Exhausted(_) => StatusCode::INSUFFICIENT_STORAGE,
        };
        Problem::new(status, chain(&refusal))
    }
}

impl Answers {
    /// The card that a request names.
    fn of(&self, query: &CardQuery) -> Result<&Card, Refusal> {
        self.card(query.card.as_deref())
    }
}

async fn status(State(answers): State<Answers>, Query(card): OfCard) -> Answer<Status> {
    Ok(Json(statuses::status(&answers, answers.of(&card)?).await))
}

async fn flows(
    State(answers): State<Answers>,
    Query(query): Query<FlowQuery>,
) -> Result<impl IntoResponse, Problem> {
    let body = answers.card(query.card.as_deref())?.flows(&query).await?;
    Ok(([(CONTENT_TYPE, "application/json")], body))
}

async fn flow(
    State(answers): State<Answers>,
    Path(index): Path<u32>,
    Query(card): OfCard,
) -> Answer<flow::FlowEntry> {
    Ok(Json(answers.of(&card)?.flow(index).await?))
}

async fn end_flow(
    State(answers): State<Answers>,
    Path(index): Path<u32>,
    Query(card): OfCard,
) -> Answer<flow::FlowEntry> {
    Ok(Json(answers.of(&card)?.end_flow(index).await?))
}

async fn events(
    State(answers): State<Answers>,
    Query(query): Query<EventQuery>,
) -> Result<impl IntoResponse, Problem> {
    let events = answers.card(query.card.as_deref())?.events(&query).await?;
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], axum::body::Body::from_stream(events)))
}

async fn next_hops(State(answers): State<Answers>, Query(card): OfCard) -> Answer<next_hop::Hops> {
    Ok(Json(answers.of(&card)?.next_hops()?))
}

async fn next_hop(
    State(answers): State<Answers>,
    Path(id): Path<u32>,
    Query(card): OfCard,
) -> Answer<next_hop::Hops> {
    Ok(Json(answers.of(&card)?.next_hop(id)?))
}

async fn vifs(State(answers): State<Answers>, Query(card): OfCard) -> Answer<vif::Interfaces> {
    Ok(Json(answers.of(&card)?.vifs(None).await?))
}

async fn vif(
    State(answers): State<Answers>,
    Path(id): Path<u32>,
    Query(card): OfCard,
) -> Answer<vif::Interfaces> {
    Ok(Json(answers.of(&card)?.vifs(Some(id)).await?))
}

async fn routes(
    State(answers): State<Answers>,
    Path(vrf): Path<u16>,
    Query(card): OfCard,
) -> Answer<route::Routes> {
    Ok(Json(answers.of(&card)?.routes(vrf)?))
}

async fn lookup(
    State(answers): State<Answers>,
    Path(vrf): Path<u16>,
    Query(query): Query<LookupQuery>,
) -> Answer<route::Routes> {
    Ok(Json(answers.card(query.card.as_deref())?.lookup(vrf, &query)?))
}

async fn labels(State(answers): State<Answers>, Query(card): OfCard) -> Answer<mpls::LabelMap> {
    Ok(Json(answers.of(&card)?.labels(None)?))
}

async fn label(
    State(answers): State<Answers>,
    Path(label): Path<u32>,
    Query(card): OfCard,
) -> Answer<mpls::LabelMap> {
    Ok(Json(answers.of(&card)?.labels(Some(label))?))
}

async fn vrfs(State(answers): State<Answers>, Query(card): OfCard) -> Answer<overlay::Vrfs> {
    Ok(Json(overlay::vrfs(&answers.of(&card)?.state()?)))
}

async fn listeners(
    State(answers): State<Answers>,
    Query(card): OfCard,
) -> Answer<overlay::Listeners> {
    Ok(Json(overlay::listeners(&answers.of(&card)?.state()?)))
}

async fn sources(
    State(answers): State<Answers>,
    Query(card): OfCard,
) -> Answer<overlay::SourceSets> {
    Ok(Json(overlay::sources(&answers.of(&card)?.state()?, None)))
}

async fn source(
    State(answers): State<Answers>,
    Path(set): Path<u16>,
    Query(card): OfCard,
) -> Answer<overlay::SourceSets> {
    Ok(Json(overlay::sources(&answers.of(&card)?.state()?, Some(set))))
}

async fn plain_fips(
    State(answers): State<Answers>,
    Query(card): OfCard,
) -> Answer<overlay::PlainFips> {
    Ok(Json(overlay::plain_fips(&answers.of(&card)?.state()?)))
}

async fn tunnels(State(answers): State<Answers>, Query(card): OfCard) -> Answer<tunnel::Tunnels> {
    Ok(Json(answers.of(&card)?.tunnels().await?))
}

async fn address(
    State(answers): State<Answers>,
    Path(address): Path<Ipv4Addr>,
    Query(query): Query<AddressQuery>,
) -> Answer<address::Address> {
    let card = answers.card(query.card.as_deref())?;
    if let Some(vrf) = query.vrf {
        card.check_vrf(vrf)?;
    }
    Ok(Json(address::view(&card.state()?, address, query.vrf)))
}

async fn drops(State(answers): State<Answers>, Query(card): OfCard) -> Answer<drops::DropStats> {
    Ok(Json(answers.of(&card)?.drops().await?))
}

async fn firmware_trace(
    State(answers): State<Answers>,
    Query(card): OfCard,
) -> Answer<trace::Trace> {
    Ok(Json(answers.of(&card)?.firmware_trace().await?))
}

async fn services(
    State(answers): State<Answers>,
    Query(card): OfCard,
) -> Answer<service::Services> {
    Ok(Json(answers.of(&card)?.services()?))
}

async fn service(
    State(answers): State<Answers>,
    Path((namespace, name)): Path<(String, String)>,
    Query(card): OfCard,
) -> Answer<service::Service> {
    Ok(Json(answers.of(&card)?.service(&ObjectName::new(namespace, name))?))
}

async fn audit(State(answers): State<Answers>, Query(query): Query<AuditQuery>) -> Answer<Audit> {
    let (audit, flows) = answers.of(&CardQuery { card: query.card })?.audit(query.fix).await?;
    Ok(Json(statuses::audit(&audit, &flows)))
}

async fn attachments(State(answers): State<Answers>, Query(card): OfCard) -> Answer<Attachments> {
    Ok(Json(answers.of(&card)?.attachments()?))
}

async fn reserve(
    State(answers): State<Answers>,
    Query(card): OfCard,
    Body(request): Body<Reserve>,
) -> Answer<Attachment> {
    Ok(Json(answers.of(&card)?.reserve(request).await?))
}

/// Path of an attachment.
#[derive(serde::Deserialize)]
struct AttachmentPath {
    network: String,
    container: String,
    interface: String,
}

impl From<AttachmentPath> for Key {
    fn from(AttachmentPath { network, container, interface }: AttachmentPath) -> Self {
        Self { network, container, interface }
    }
}

async fn attachment(
    State(answers): State<Answers>,
    Path(path): Path<AttachmentPath>,
    Query(card): OfCard,
) -> Answer<Attachment> {
    Ok(Json(answers.of(&card)?.attachment(&path.into())?))
}

async fn place(
    State(answers): State<Answers>,
    Path(path): Path<AttachmentPath>,
    Query(card): OfCard,
    Body(placed): Body<Placed>,
) -> Answer<Attachment> {
    Ok(Json(answers.of(&card)?.place(path.into(), placed).await?))
}

async fn detach(
    State(answers): State<Answers>,
    Path(path): Path<AttachmentPath>,
    Query(card): OfCard,
) -> Answer<Removed> {
    let removed = answers.of(&card)?.detach(path.into()).await?;
    Ok(Json(Removed { removed }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::net::UnixStream;
    use std::path::Path;
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, Instant};

    use penstock_abi::regs;
    use penstock_abi::table::Flow;
    use penstock_agent::engine::CardEngine;
    use penstock_agent::keep::ServiceManager;
    use penstock_agent::{Agent, Config, LinkState};
    use penstock_api::server::{Limits, Server, listen};
    use penstock_device::fake::{FakeCard, before_doorbell};
    use penstock_model::Intent;
    use tokio::sync::watch;

    use super::*;
    use crate::answer::Shared;

    const CLIENTS: usize = 200;
    /// So many that a dump is more than the looks at counters that a slow machine takes meanwhile.
    const FLOWS: u32 = 50_000;

    fn ask_for_flows(api: &Path) -> UnixStream {
        let mut stream = UnixStream::connect(api).unwrap();
        write!(stream, "GET {} HTTP/1.1\r\nHost: x\r\n\r\n", paths::FLOWS).unwrap();
        stream
    }

    async fn until(what: &str, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !condition() {
            assert!(Instant::now() < deadline, "{what} did not happen");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    // The card waits at the gate, no task does.
    #[allow(clippy::await_holding_lock)]
    async fn what_is_asked_for_by_clients_that_hang_up_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let api = dir.path().join("api.sock");
        let fake = FakeCard::new();
        (0..FLOWS).for_each(|i| fake.set_entry(i, Flow { valid: true, ..Flow::default() }));
        let opened = fake.clone();
        // Whoever holds the gate keeps the card from doing anything.
        let gate = Arc::new(Mutex::new(()));
        let gated = Arc::clone(&gate);
        let (_intent, intent) = watch::channel(Arc::new(Intent::default()));
        let (_neighbours, neighbours) = watch::channel(None);
        let config = Config {
            name: "card".to_owned(),
            spec: "fake".to_owned(),
            opener: Arc::new(move || {
                let gate = Arc::clone(&gated);
                Ok(before_doorbell(opened.transport(), move || drop(gate.lock().unwrap())))
            }),
            keeper: Arc::new(ServiceManager::new(String::new(), Vec::new())),
            engine: Box::new(CardEngine::default()),
            audit_every: Duration::from_secs(3600),
        };
        let agent = Agent::start(config, intent.clone(), neighbours.clone()).unwrap();
        let handle = agent.handle().clone();
        until("a reading", || handle.readings().borrow().is_some()).await;
        let card = Card {
            agent: handle.clone(),
            intent,
            sources: watch::channel(Arc::default()).1,
            attachments: None,
        };
        let shared = Shared {
            inputs: watch::channel(Vec::new()).1,
            wanted: watch::channel(None).1,
            neighbours,
        };
        let server = Server::new(Limits { clients: CLIENTS, ..Limits::default() });
        let (serving, listener) = (server.clone(), listen(&api).unwrap());
        let router = router(Answers::new(vec![card], shared));
        tokio::spawn(async move { serving.serve(listener, router).await });

        let held = gate.lock().unwrap();
        let clients: Vec<_> = (0..CLIENTS).map(|_| ask_for_flows(&api)).collect();
        until("all clients", || server.clients() == CLIENTS).await;
        drop(clients);
        until("all ends", || server.clients() == 0).await;
        let before = fake.register(regs::CMD_CONSUMER);
        assert!(matches!(handle.link(), LinkState::Attached(_)));
        drop(held);
        // Comes behind all that was queued.
        handle.flow(0).await.unwrap();
        let read = fake.register(regs::CMD_CONSUMER) - before;
        assert!(read < FLOWS / 2, "{read} commands, and one dump takes {FLOWS}");
    }
}
