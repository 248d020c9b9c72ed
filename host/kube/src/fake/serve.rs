//! Requests and answers.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use futures_util::StreamExt as _;
use futures_util::future::{pending, ready};
use futures_util::stream::{self, once, unfold};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::history::{Filter, Forgotten, resource, type_of};
use super::tls::Peer;
use super::{Mute, Shared};

/// Pause between two bookmarks: the real server's is a minute.
const BOOKMARKS: Duration = Duration::from_millis(50);

/// Items of a page at most, whatever is asked for, so that small lists have pages too.
const PAGE: usize = 7;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/api/v1/{plural}", get(core))
        .route("/apis/{group}/{version}/{plural}", get(group))
        .with_state(shared)
}

/// What is understood of a query; anything else is refused.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Parameters {
    watch: Option<String>,
    resource_version: Option<String>,
    limit: Option<usize>,
    r#continue: Option<String>,
    field_selector: Option<String>,
    label_selector: Option<String>,
    allow_watch_bookmarks: Option<String>,
    timeout_seconds: Option<u64>,
}

type Query1 = Result<Query<Parameters>, axum::extract::rejection::QueryRejection>;

async fn core(
    state: State<Arc<Shared>>,
    peer: ConnectInfo<Peer>,
    Path(plural): Path<String>,
    headers: HeaderMap,
    query: Query1,
) -> Response {
    answer(state, peer, "v1", &plural, &headers, query).await
}

async fn group(
    state: State<Arc<Shared>>,
    peer: ConnectInfo<Peer>,
    Path((group, version, plural)): Path<(String, String, String)>,
    headers: HeaderMap,
    query: Query1,
) -> Response {
    answer(state, peer, &format!("{group}/{version}"), &plural, &headers, query).await
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    peer: ConnectInfo<Peer>,
    version: &str,
    plural: &str,
    headers: &HeaderMap,
    query: Query1,
) -> Response {
    let mute = shared.state().mute;
    match mute {
        Some(Mute::Requests) => pending().await,
        Some(Mute::Bodies) => Body::from_stream(
            once(ready(line(&json!("and then there was silence")))).chain(stream::pending()),
        )
        .into_response(),
        None => speak(&shared, peer, version, plural, headers, query),
    }
}

fn speak(
    shared: &Arc<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    version: &str,
    plural: &str,
    headers: &HeaderMap,
    query: Query1,
) -> Response {
    let mut state = shared.state();
    let token = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if !peer.certified && token != Some(&format!("Bearer {}", state.token)) {
        return failure(401, "Unauthorized", "who are you?");
    }
    let Some(plural) = resource(version, plural) else {
        return failure(404, "NotFound", "there is no such resource");
    };
    if let Some((_, status)) = state.refused.iter().find(|(other, _)| other == plural) {
        return failure(*status, "Refused", "not now");
    }
    let Query(parameters) = match query {
        Ok(query) => query,
        Err(error) => return failure(400, "BadRequest", &error.body_text()),
    };
    let Ok(filter) = filter(&parameters) else {
        return failure(400, "BadRequest", "a selector is not understood");
    };
    if parameters.watch.as_deref() == Some("true") {
        state.requests.insert(("watch", plural.to_owned()));
        let from = parameters.resource_version.as_deref().and_then(|text| text.parse().ok());
        // The client lists first, and gives the version of that.
        let Some(from) = from.filter(|from| *from > 0) else {
            return failure(400, "BadRequest", "a watch without a version");
        };
        state.watches += 1;
        let seconds = parameters.timeout_seconds.unwrap_or(300);
        let watch = Watch {
            shared: Arc::clone(shared),
            changed: shared.changed.subscribe(),
            plural,
            filter,
            at: from,
            round: state.round,
            mutes: state.mutes,
            bookmarks: parameters.allow_watch_bookmarks.as_deref() == Some("true"),
            end: Instant::now() + Duration::from_secs(seconds),
        };
        return Response::new(Body::from_stream(unfold(Some(watch), next)));
    }
    state.requests.insert(("list", plural.to_owned()));
    let from = match parameters.r#continue.as_deref().map(place) {
        None => {
            state.lists += 1;
            None
        }
        Some(Some(place)) => Some(place),
        Some(None) => return failure(400, "BadRequest", "continue is not understood"),
    };
    let limit = parameters.limit.unwrap_or(usize::MAX).min(PAGE);
    let Ok((items, more, version)) = state.history.list(plural, &filter, from, limit) else {
        return failure(410, "Expired", "the list is not known any more");
    };
    let (api_version, kind) = type_of(plural);
    let metadata = json!({
        // Version 0 stands for any: a store begins with 1.
        "resourceVersion": version.max(1).to_string(),
        "continue": more.map_or_else(String::new, |place| format!("{version}.{place}")),
    });
    let list = json!({
        "apiVersion": api_version, "kind": format!("{kind}List"), "metadata": metadata, "items": items,
    });
    axum::Json(list).into_response()
}

fn place(text: &str) -> Option<(u64, usize)> {
    let (version, place) = text.split_once('.')?;
    Some((version.parse().ok()?, place.parse().ok()?))
}

/// The objects that selectors select; those that the source does not use are not understood.
fn filter(parameters: &Parameters) -> Result<Filter, ()> {
    let fields = match parameters.field_selector.as_deref().filter(|text| !text.is_empty()) {
        None => None,
        Some(text) => {
            let (field, value) = text.split_once('=').ok_or(())?;
            let pointer = match field {
                "metadata.name" => "/metadata/name",
                "spec.nodeName" => "/spec/nodeName",
                _ => return Err(()),
            };
            Some((pointer, value.to_owned()))
        }
    };
    let label = match parameters.label_selector.as_deref().filter(|text| !text.is_empty()) {
        None => None,
        Some(text) => Some(text.strip_prefix('!').ok_or(())?.to_owned()),
    };
    Ok(Arc::new(move |object| {
        let by_field = fields.as_ref().is_none_or(|(pointer, value)| {
            object.pointer(pointer).and_then(Value::as_str) == Some(value.as_str())
        });
        let labels = &object["metadata"]["labels"];
        by_field && label.as_ref().is_none_or(|label| labels.get(label).is_none())
    }))
}

/// A watch that goes on.
struct Watch {
    shared: Arc<Shared>,
    changed: tokio::sync::watch::Receiver<()>,
    plural: &'static str,
    filter: Filter,
    at: u64,
    round: u64,
    mutes: u64,
    bookmarks: bool,
    end: Instant,
}

/// The next line of a watch.
async fn next(watch: Option<Watch>) -> Option<(Result<Bytes, Infallible>, Option<Watch>)> {
    let mut watch = watch?;
    let mut bookmark = Instant::now() + BOOKMARKS;
    loop {
        watch.changed.borrow_and_update();
        let (mute, over, event, held) = {
            let state = watch.shared.state();
            let event = state.history.event(watch.plural, &watch.filter, watch.at);
            let held = state.held.contains(watch.plural);
            (state.mutes != watch.mutes, state.round != watch.round, event, held)
        };
        if mute {
            return pending().await;
        }
        if over {
            return None;
        }
        match event {
            Err(Forgotten) => {
                let status = status(410, "Expired", "too old resource version");
                return Some((line(&json!({ "type": "ERROR", "object": status })), None));
            }
            Ok((Some(event), version)) if !held => {
                watch.at = version;
                return Some((line(&event), Some(watch)));
            }
            Ok((None, version)) if !held && watch.bookmarks && Instant::now() >= bookmark => {
                watch.at = version;
                let (api_version, kind) = type_of(watch.plural);
                let object = json!({
                    "apiVersion": api_version, "kind": kind,
                    "metadata": { "resourceVersion": version.to_string() },
                });
                let event = json!({ "type": "BOOKMARK", "object": object });
                return Some((line(&event), Some(watch)));
            }
            Ok(_) => {}
        }
        if Instant::now() >= watch.end {
            return None;
        }
        if held || !watch.bookmarks {
            bookmark = watch.end;
        }
        tokio::select! {
            changed = watch.changed.changed() => changed.ok()?,
            () = tokio::time::sleep_until(bookmark.min(watch.end)) => {}
        }
    }
}

#[allow(clippy::unnecessary_wraps)]
fn line(event: &Value) -> Result<Bytes, Infallible> {
    Ok(Bytes::from(format!("{event}\n")))
}

fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    })
}

fn failure(code: u16, reason: &str, message: &str) -> Response {
    let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (code, axum::Json(status(code.as_u16(), reason, message))).into_response()
}
