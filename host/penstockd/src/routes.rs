//! The daemon's resources: which answer each of them gives, and what HTTP calls a refusal.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use penstock_api::paths::{self, FlowQuery, LookupQuery};
use penstock_api::server::{Path, Problem, Query};
use penstock_api::types::Status;
use penstock_model::ObjectName;
use penstock_views::{drops, flow, mpls, next_hop, route, service, vif};

use crate::answer::{Answers, Refusal};
use crate::device::{LinkError, chain};

/// What a resource answers.
type Answer<T> = Result<Json<T>, Problem>;

/// All resources of [`paths`].
pub fn router(answers: Answers) -> Router {
    Router::new()
        .route(paths::STATUS, get(status))
        .route(paths::FLOWS, get(flows))
        .route(paths::FLOW, get(flow))
        .route(paths::NEXT_HOPS, get(next_hops))
        .route(paths::NEXT_HOP, get(next_hop))
        .route(paths::VIFS, get(vifs))
        .route(paths::VIF, get(vif))
        .route(paths::ROUTES, get(routes))
        .route(paths::LOOKUP, get(lookup))
        .route(paths::LABELS, get(labels))
        .route(paths::LABEL, get(label))
        .route(paths::DROPS, get(drops))
        .route(paths::SERVICES, get(services))
        .route(paths::SERVICE, get(service))
        .with_state(answers)
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = match &refusal {
            Refusal::Absent(_) => StatusCode::NOT_FOUND,
            Refusal::Misread(_) => StatusCode::BAD_REQUEST,
            Refusal::NotReady(_) | Refusal::Card(LinkError::Lost(_)) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            // The card answered, but not as it should.
            Refusal::Card(LinkError::Device(_)) => StatusCode::BAD_GATEWAY,
        };
        Problem::new(status, chain(&refusal))
    }
}

async fn status(State(answers): State<Answers>) -> Json<Status> {
    Json(answers.status().await)
}

async fn flows(
    State(answers): State<Answers>,
    Query(query): Query<FlowQuery>,
) -> Answer<flow::FlowTable> {
    Ok(Json(answers.flows(query).await?))
}

async fn flow(State(answers): State<Answers>, Path(index): Path<u32>) -> Answer<flow::FlowEntry> {
    Ok(Json(answers.flow(index).await?))
}

async fn next_hops(State(answers): State<Answers>) -> Answer<next_hop::Hops> {
    Ok(Json(answers.next_hops().await?))
}

async fn next_hop(State(answers): State<Answers>, Path(id): Path<u32>) -> Answer<next_hop::Hops> {
    Ok(Json(answers.next_hop(id).await?))
}

async fn vifs(State(answers): State<Answers>) -> Answer<vif::Interfaces> {
    Ok(Json(answers.vifs(None).await?))
}

async fn vif(State(answers): State<Answers>, Path(id): Path<u32>) -> Answer<vif::Interfaces> {
    Ok(Json(answers.vifs(Some(id)).await?))
}

async fn routes(State(answers): State<Answers>, Path(vrf): Path<u16>) -> Answer<route::Routes> {
    Ok(Json(answers.routes(vrf).await?))
}

async fn lookup(
    State(answers): State<Answers>,
    Path(vrf): Path<u16>,
    Query(query): Query<LookupQuery>,
) -> Answer<route::Routes> {
    Ok(Json(answers.lookup(vrf, query).await?))
}

async fn labels(State(answers): State<Answers>) -> Answer<mpls::LabelMap> {
    Ok(Json(answers.labels(None).await?))
}

async fn label(State(answers): State<Answers>, Path(label): Path<u32>) -> Answer<mpls::LabelMap> {
    Ok(Json(answers.labels(Some(label)).await?))
}

async fn drops(State(answers): State<Answers>) -> Answer<drops::DropStats> {
    Ok(Json(answers.drops().await?))
}

async fn services(State(answers): State<Answers>) -> Answer<service::Services> {
    Ok(Json(answers.services()?))
}

async fn service(
    State(answers): State<Answers>,
    Path((namespace, name)): Path<(String, String)>,
) -> Answer<service::Service> {
    Ok(Json(answers.service(&ObjectName::new(namespace, name)).await?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;
    use std::path::PathBuf;
    use std::sync::{Arc, mpsc};
    use std::time::{Duration, Instant};

    use penstock_abi::regs;
    use penstock_api::server::{Limits, Server, listen};
    use penstock_device::fake::FakeCard;
    use tokio::runtime::Runtime;
    use tokio::sync::watch;

    use super::*;
    use crate::answer::Knowledge;
    use crate::device::Device;
    use crate::keep::ServiceManager;

    struct Bench {
        dir: tempfile::TempDir,
        fake: FakeCard,
        device: Device,
        server: Server,
        runtime: Runtime,
    }

    impl Bench {
        fn new(clients: usize) -> Self {
            let runtime = Runtime::new().unwrap();
            let dir = tempfile::tempdir().unwrap();
            let fake = FakeCard::new();
            let opened = fake.clone();
            let nobody = ServiceManager::new(String::new(), Vec::new());
            let device =
                Device::start(Arc::new(move || Ok(opened.transport())), Arc::new(nobody)).unwrap();
            runtime.block_on(device.attach()).unwrap();
            let server = Server::new(Limits { clients, ..Limits::default() });
            let answers = Answers::new(
                device.clone(),
                Knowledge {
                    spec: "fake".to_owned(),
                    node: String::new(),
                    snapshot: watch::channel(None).1,
                    sources: watch::channel(Vec::new()).1,
                    reconcile: watch::channel(Default::default()).1,
                    neighbours: watch::channel(None).1,
                },
            );
            let listener = {
                let _guard = runtime.enter();
                listen(&dir.path().join("api.sock")).unwrap()
            };
            let serving = server.clone();
            runtime.spawn(async move { serving.serve(listener, router(answers)).await });
            Self { dir, fake, device, server, runtime }
        }

        fn api(&self) -> PathBuf {
            self.dir.path().join("api.sock")
        }

        /// A client that has asked for all flows.
        fn flows(&self) -> UnixStream {
            let mut stream = UnixStream::connect(self.api()).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let flows = paths::FLOWS;
            write!(stream, "GET {flows} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
            stream
        }

        fn wait_clients(&self, n: usize) {
            let deadline = Instant::now() + Duration::from_secs(20);
            while self.server.clients() != n {
                assert!(Instant::now() < deadline, "{} clients", self.server.clients());
                std::thread::sleep(Duration::from_millis(1));
            }
        }

        fn commands(&self) -> u32 {
            self.fake.register(regs::CMD_CONSUMER)
        }

        /// What one dump costs.
        fn one_dump(&self) -> u32 {
            let before = self.commands();
            assert_well(self.flows());
            self.wait_clients(0);
            let one_dump = self.commands() - before;
            assert!(one_dump > 0);
            one_dump
        }

        /// Keeps the card's thread busy until the sender is dropped.
        fn occupy(&self) -> mpsc::Sender<()> {
            let (release, wait) = mpsc::channel::<()>();
            let (busy, is_busy) = mpsc::channel();
            let device = self.device.clone();
            self.runtime.spawn(async move {
                let work = move |_: &mut penstock_device::Card| {
                    let _ = busy.send(());
                    let _ = wait.recv();
                    Ok(())
                };
                device.run(work).await
            });
            is_busy.recv().unwrap();
            release
        }
    }

    fn assert_well(mut stream: UnixStream) {
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    }

    #[test]
    fn what_is_asked_for_by_clients_that_hang_up_is_not_read() {
        const CLIENTS: usize = 200;
        let bench = Bench::new(CLIENTS);
        let one_dump = bench.one_dump();
        let release = bench.occupy();
        let before = bench.commands();
        let clients: Vec<_> = (0..CLIENTS).map(|_| bench.flows()).collect();
        bench.wait_clients(CLIENTS);
        drop(clients);
        bench.wait_clients(0);
        drop(release);
        // Comes behind all that was queued.
        bench.runtime.block_on(bench.device.run(|card| card.status())).unwrap();
        let read = bench.commands() - before;
        assert_eq!(read, 0, "a dump takes {one_dump} commands");
    }

    #[test]
    fn the_daemon_waits_behind_one_dump_however_many_are_asked_for() {
        const CLIENTS: usize = 30;
        let bench = Bench::new(CLIENTS);
        let one_dump = bench.one_dump();
        let release = bench.occupy();
        let before = bench.commands();
        let clients: Vec<_> = (0..CLIENTS).map(|_| bench.flows()).collect();
        bench.wait_clients(CLIENTS);
        let fake = bench.fake.clone();
        let mine = bench.runtime.spawn({
            let device = bench.device.clone();
            async move { device.run(move |_| Ok(fake.register(regs::CMD_CONSUMER))).await }
        });
        drop(release);
        let at_my_turn = bench.runtime.block_on(mine).unwrap().unwrap();
        assert!(at_my_turn - before <= 2 * one_dump, "{} commands", at_my_turn - before);
        clients.into_iter().for_each(assert_well);
    }
}
