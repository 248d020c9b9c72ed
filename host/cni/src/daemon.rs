//! penstockd, as the plugin sees it.

use std::path::PathBuf;

use penstock_api::attachments::{Attachment, Attachments, Placed, Removed, Reserve};
use penstock_api::client::{self, ClientError};
use penstock_api::paths::Resource;
use penstock_api::types::{DeviceState, ReconcileState, Status};

use crate::error::chain;
use crate::error::{CniError, Code};
use crate::request::Key;

/// Why the daemon does not do what it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DaemonError {
    /// It does not answer, or cannot at the moment.
    Away(String),
    /// It refuses.
    Refused(CniError),
}

impl From<DaemonError> for CniError {
    fn from(error: DaemonError) -> Self {
        match error {
            DaemonError::Away(why) => CniError::new(Code::TryAgainLater, why),
            DaemonError::Refused(error) => error,
        }
    }
}

impl From<ClientError> for DaemonError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Refused { status: 503, why } => Self::Away(why),
            ClientError::Refused { status, why } => {
                let code = match status {
                    400 => Code::InvalidConfig,
                    409 => Code::Attached,
                    507 => Code::Exhausted,
                    _ => Code::Refused,
                };
                Self::Refused(CniError::new(code, why))
            }
            error => Self::Away(chain(&error)),
        }
    }
}

/// What the plugin asks of the daemon.
pub trait Daemon {
    /// Reserves a vif and a label.
    ///
    /// # Errors
    /// [`DaemonError`].
    fn reserve(&self, request: &Reserve) -> Result<Attachment, DaemonError>;
    /// Says where the pod is, and waits until the card forwards for it.
    ///
    /// # Errors
    /// [`DaemonError`].
    fn place(&self, key: &Key, placed: &Placed) -> Result<Attachment, DaemonError>;
    /// An attachment.
    ///
    /// # Errors
    /// [`DaemonError`].
    fn get(&self, key: &Key) -> Result<Option<Attachment>, DaemonError>;
    /// All attachments.
    ///
    /// # Errors
    /// [`DaemonError`].
    fn list(&self) -> Result<Vec<Attachment>, DaemonError>;
    /// Removes an attachment, if there is one.
    ///
    /// # Errors
    /// [`DaemonError`].
    fn remove(&self, key: &Key) -> Result<(), DaemonError>;
    /// Whether pods can be attached.
    ///
    /// # Errors
    /// Why not, as STATUS says it.
    fn ready(&self) -> Result<(), CniError>;
}

/// The daemon behind a socket.
#[derive(Clone, Debug)]
pub struct Socket {
    /// Its socket.
    pub socket: PathBuf,
    /// The card, of a daemon of several.
    pub card: Option<String>,
}

impl Socket {
    fn at(&self, resource: &Resource) -> String {
        resource.of(self.card.as_deref()).to_string()
    }
}

fn resource(key: &Key) -> Resource {
    let Key { network, container, interface } = key.clone();
    Resource::Attachment { network, container, interface }
}

impl Daemon for Socket {
    fn reserve(&self, request: &Reserve) -> Result<Attachment, DaemonError> {
        Ok(client::post(&self.socket, &self.at(&Resource::Attachments), request)?)
    }

    fn place(&self, key: &Key, placed: &Placed) -> Result<Attachment, DaemonError> {
        Ok(client::put(&self.socket, &self.at(&resource(key)), placed)?)
    }

    fn get(&self, key: &Key) -> Result<Option<Attachment>, DaemonError> {
        match client::get(&self.socket, &self.at(&resource(key))) {
            Err(ClientError::Refused { status: 404, .. }) => Ok(None),
            answer => Ok(Some(answer?)),
        }
    }

    fn list(&self) -> Result<Vec<Attachment>, DaemonError> {
        let all: Attachments = client::get(&self.socket, &self.at(&Resource::Attachments))?;
        Ok(all.attachments)
    }

    fn remove(&self, key: &Key) -> Result<(), DaemonError> {
        let _: Removed = client::delete(&self.socket, &self.at(&resource(key)))?;
        Ok(())
    }

    fn ready(&self) -> Result<(), CniError> {
        let not = |why: String| CniError::new(Code::NotAvailable, why);
        self.list().map_err(|error| not(CniError::from(error).msg))?;
        let status: Status = client::get(&self.socket, &self.at(&Resource::Status))
            .map_err(|error| not(chain(&error)))?;
        if status.device.state != DeviceState::Attached {
            let why = status.device.error.unwrap_or_else(|| "it is gone".to_owned());
            return Err(CniError::new(Code::LimitedConnectivity, format!("no card: {why}")));
        }
        if status.reconcile.state != ReconcileState::InSync {
            let why = status.reconcile.last_error.unwrap_or_default();
            return Err(not(format!("the card is {}: {why}", status.reconcile.state)));
        }
        Ok(())
    }
}
