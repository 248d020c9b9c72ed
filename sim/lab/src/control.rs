//! The supervisor's control socket: HTTP as the daemon's, with one resource that takes a [`Request`] and answers with the
//! processes of the lab after it.

use std::path::Path;

use anyhow::{Error, Result, anyhow};
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing;
use axum::{Json, Router};
use penstock_api::client::{ClientError, post};
use penstock_api::server::{Body, Problem};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use crate::state::ProcessState;

/// The resource.
const REQUESTS: &str = "/v1/requests";

/// What a supervisor can be asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Lists the processes.
    Status,
    /// Starts a process in a namespace; it lives as long as the lab unless it is stopped.
    Start {
        /// Name that is not in use by a running process.
        name: String,
        /// Namespace to run it in.
        namespace: String,
        /// Program and arguments.
        argv: Vec<String>,
    },
    /// Sends a signal to a process and, if that ends it, waits for the end.
    Kill {
        /// Name of the process.
        name: String,
        /// Signal name, such as `SIGTERM`.
        signal: String,
    },
    /// Starts a process again that has ended, as it was started first.
    Restart {
        /// Name of the process.
        name: String,
    },
    /// Ends the lab.
    Down,
}

/// A request that waits for the supervisor.
#[derive(Debug)]
pub struct Order {
    /// What is to be done.
    pub request: Request,
    /// Takes the processes of the lab after it, or why nothing changed; closed if nobody waits any more.
    pub reply: oneshot::Sender<Result<Vec<ProcessState>>>,
}

/// Hands requests to the supervisor, which alone touches the lab.
pub fn router(orders: mpsc::Sender<Order>) -> Router {
    Router::new().route(REQUESTS, routing::post(order)).with_state(orders)
}

async fn order(
    State(orders): State<mpsc::Sender<Order>>,
    Body(request): Body<Request>,
) -> Result<Json<Vec<ProcessState>>, Problem> {
    let ends = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the lab is being taken down");
    let (reply, answer) = oneshot::channel();
    orders.send(Order { request, reply }).await.map_err(|_| ends())?;
    match answer.await.map_err(|_| ends())? {
        Ok(processes) => Ok(Json(processes)),
        Err(error) => Err(Problem::new(StatusCode::CONFLICT, format!("{error:#}"))),
    }
}

/// Sends one request to the supervisor behind `socket` and returns the processes of the lab after it.
///
/// # Errors
/// The supervisor cannot be reached or refuses the request.
pub fn ask(socket: &Path, request: &Request) -> Result<Vec<ProcessState>> {
    post(socket, REQUESTS, request).map_err(|error| match error {
        ClientError::NoDaemon { path, source } => Error::new(source)
            .context(format!("cannot reach the lab's supervisor at {}", path.display())),
        ClientError::Refused { why, .. } => anyhow!("{why}"),
        ClientError::Late(_) => anyhow!("the lab's supervisor is silent"),
        ClientError::NoAnswer | ClientError::Ended => {
            anyhow!("the lab's supervisor did not answer")
        }
        ClientError::Protocol(why) => anyhow!("the lab's supervisor gave no proper answer: {why}"),
    })
}
