//! Health checks of load balancers outside the cluster: of a service with `externalTrafficPolicy: Local` they ask each node, at
//! the service's `healthCheckNodePort`, whether it has a pod of the service, and send clients there if so.
//!
//! The answer is kube-proxy's (200 or 503, and why as JSON), from what the cards are to do: a pod counts if it takes new
//! connections and has a vif here. Nobody is sent to a node of which a card is not there. What is asked at all does not matter.
//! These ports are open to the network: each connection is for one answer and a short time, and there are not many at once.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select_all;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use penstock_agent::{Handle, LinkState};
use penstock_api::types::SourceStatus;
use penstock_model::{Intent, MemberState, ObjectName};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::health::Health;

/// The input's name in the status.
const NAME: &str = "health checks";
/// How long a connection may last.
const CONNECTION: Duration = Duration::from_secs(3);
/// Connections at once, of all ports together; further ones wait.
const CONNECTIONS: usize = 256;
/// Pause before a port that was taken is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// Of kube-proxy: how much of the traffic a node should have.
const WEIGHT: HeaderName = HeaderName::from_static("x-load-balancing-endpoint-weight");

/// What is answered at a port.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Check {
    service: ObjectName,
    /// Pods of the service on this node.
    endpoints: usize,
}

/// A port that is listened at, until this is dropped.
struct Port {
    check: watch::Sender<Check>,
    _tasks: JoinSet<()>,
}

/// Answers health checks at an address until a card's source of intent ends; says in the status which ports cannot be had.
pub(crate) async fn answer(
    address: IpAddr,
    mut intents: Vec<watch::Receiver<Arc<Intent>>>,
    cards: Vec<Handle>,
    health: Health,
) {
    let cards: Arc<[Handle]> = cards.into();
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    let mut ports: BTreeMap<u16, Port> = BTreeMap::new();
    loop {
        let now: Vec<_> = intents.iter_mut().map(|i| Arc::clone(&i.borrow_and_update())).collect();
        let (checks, mut errors) = checks(&now);
        ports.retain(|number, _| checks.contains_key(number));
        for (number, check) in checks {
            if let Some(port) = ports.get(&number) {
                port.check.send_if_modified(|old| std::mem::replace(old, check.clone()) != check);
                continue;
            }
            match listen(SocketAddr::new(address, number)) {
                Ok(listener) => {
                    let (sender, receiver) = watch::channel(check);
                    let mut tasks = JoinSet::new();
                    tasks.spawn(serve(listener, receiver, cards.clone(), connections.clone()));
                    ports.insert(number, Port { check: sender, _tasks: tasks });
                }
                Err(error) => errors.push(format!("{}: port {number}: {error}", check.service)),
            }
        }
        let again = !errors.is_empty();
        health.set(SourceStatus {
            name: NAME.to_owned(),
            read: true,
            stale: false,
            objects: [("ports".to_owned(), ports.len() as u64)].into(),
            errors,
        });
        let changes = intents.iter_mut().map(|intent| Box::pin(intent.changed()));
        tokio::select! {
            (changed, ..) = select_all(changes) => if changed.is_err() { return },
            () = sleep(RETRY), if again => {}
        }
    }
}

/// What is to be answered at each port, and services that cannot have theirs.
fn checks(intents: &[Arc<Intent>]) -> (BTreeMap<u16, Check>, Vec<String>) {
    let vifs = intents.iter().flat_map(|intent| intent.vifs.values());
    let here: BTreeSet<IpAddr> = vifs.map(|vif| vif.address).collect();
    let (mut checks, mut errors) = (BTreeMap::<u16, Check>::new(), Vec::new());
    for balancer in intents.iter().flat_map(|intent| intent.balancers.values()) {
        let Some(port) = balancer.health_check else { continue };
        let members = balancer.listeners.iter().flat_map(|listener| &listener.pool.members);
        let local: BTreeSet<IpAddr> = members
            .filter(|member| member.state == MemberState::Active && here.contains(&member.address))
            .map(|member| member.address)
            .collect();
        let check = Check { service: balancer.name.clone(), endpoints: local.len() };
        match checks.get(&port) {
            // Of another card.
            Some(other) if *other == check => {}
            Some(other) => {
                errors.push(format!("{}: port {port} is {}'s", check.service, other.service));
            }
            None => _ = checks.insert(port, check),
        }
    }
    (checks, errors)
}

fn listen(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = if at.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Or a daemon that is started again would find its own last answers in the way.
    socket.set_reuseaddr(true)?;
    socket.bind(at)?;
    socket.listen(128)
}

async fn serve(
    listener: TcpListener,
    check: watch::Receiver<Check>,
    cards: Arc<[Handle]>,
    connections: Arc<Semaphore>,
) {
    let mut clients = JoinSet::new();
    loop {
        while clients.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, say: not for long.
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Ok(turn) = Arc::clone(&connections).acquire_owned().await else { return };
        let (check, cards) = (check.clone(), cards.clone());
        clients.spawn(async move {
            let service = service_fn(move |_: Request<Incoming>| {
                let attached = |card: &Handle| matches!(card.link(), LinkState::Attached(_));
                let answer = response(&check.borrow(), cards.iter().all(attached));
                async move { Ok::<_, Infallible>(answer) }
            });
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).keep_alive(false).max_buf_size(16 * 1024);
            // Who is too slow, or speaks no HTTP, has no answer.
            let _ = timeout(CONNECTION, http.serve_connection(TokioIo::new(stream), service)).await;
            drop(turn);
        });
    }
}

fn response(check: &Check, healthy: bool) -> Response<Full<Bytes>> {
    let body = serde_json::json!({
        "service": { "namespace": check.service.namespace, "name": check.service.name },
        "localEndpoints": check.endpoints,
        "serviceProxyHealthy": healthy,
    });
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    if check.endpoints == 0 || !healthy {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(
        HeaderName::from_static("x-content-type-options"),
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(WEIGHT, HeaderValue::from(check.endpoints));
    response
}
