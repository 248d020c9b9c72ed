//! How the API server is reached, and who we are there.
//!
//! What that takes is in files, which are replaced now and then: certificates and tokens expire. Token files are read for each
//! request ([`token`](crate::token)); all other files are looked at here, and whoever connected with what they held connects
//! anew.

use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use thiserror::Error;
use tokio::task::{JoinError, spawn_blocking};

use crate::token::with_token_of;

/// A connection that is not there by then is not expected any more.
const CONNECT: Duration = Duration::from_secs(10);

/// Where a pod finds the certificates of its cluster's API server.
const POD_AUTHORITIES: &str = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";

/// How the API server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// As the current context of a kubeconfig says.
    Kubeconfig(PathBuf),
    /// As a pod does: by its service account, at the address in `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT`.
    InCluster,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kubeconfig(path) => write!(f, "of {}", path.display()),
            Self::InCluster => f.write_str("of this cluster"),
        }
    }
}

/// Why there is no client. Whoever keeps the files has to mend them.
#[derive(Debug, Error)]
pub(crate) enum Error {
    /// The kubeconfig cannot be used.
    #[error(transparent)]
    Kubeconfig(#[from] KubeconfigError),
    /// This is not a pod, or one without a service account.
    #[error("this is no pod with a service account: {0}")]
    InCluster(#[from] InClusterError),
    /// What the files hold does not make a client.
    #[error("cannot make a client: {0}")]
    Client(#[from] kube::Error),
    /// A defect.
    #[error("cannot make a client: {0}")]
    Ended(#[from] JoinError),
}

/// A client, and what it was made of.
pub(crate) struct Connection {
    pub(crate) client: Client,
    /// Tells what the files held from what they hold later.
    pub(crate) stamp: u64,
}

impl Access {
    /// Makes a client of what the files hold now. That may take as long as a command that gives credentials does; nothing is
    /// sent to the server yet. How long its answers may take is up to whoever asks.
    pub(crate) async fn connect(&self) -> Result<Connection, Error> {
        // First: whatever changes while it is read is another file next time.
        let stamp = self.stamp();
        let mut config = match self {
            Self::Kubeconfig(path) => {
                let kubeconfig = Kubeconfig::read_from(path)?;
                Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?
            }
            Self::InCluster => Config::incluster()?,
        };
        config.connect_timeout = Some(CONNECT);
        config.read_timeout = None;
        // Whoever follows a kind tries again by itself, and tells why.
        config.default_retry = false;
        let who = &mut config.auth_info;
        // As the client has it: what stands in the kubeconfig itself comes before a file.
        let token_file = if who.token.is_none() { who.token_file.take() } else { None };
        let client = spawn_blocking(move || Client::try_from(config)).await??;
        let client = match token_file {
            Some(path) => with_token_of(client, PathBuf::from(path)),
            None => client,
        };
        Ok(Connection { client, stamp })
    }

    /// A number for what the files hold, which is another one once they hold something else.
    pub(crate) fn stamp(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        match self {
            Self::Kubeconfig(path) => {
                hash(path, &mut hasher);
                for file in Kubeconfig::read_from(path).iter().flat_map(files) {
                    hash(Path::new(&file), &mut hasher);
                }
            }
            Self::InCluster => hash(Path::new(POD_AUTHORITIES), &mut hasher),
        }
        hasher.finish()
    }
}

/// The files that a kubeconfig names, but for those of tokens.
fn files(kubeconfig: &Kubeconfig) -> Vec<String> {
    let clusters = kubeconfig.clusters.iter().filter_map(|named| named.cluster.as_ref());
    let users = kubeconfig.auth_infos.iter().filter_map(|named| named.auth_info.as_ref());
    let of_clusters = clusters.filter_map(|cluster| cluster.certificate_authority.clone());
    let of_users =
        users.flat_map(|user| [user.client_certificate.clone(), user.client_key.clone()]);
    of_clusters.chain(of_users.flatten()).collect()
}

fn hash(path: &Path, hasher: &mut DefaultHasher) {
    path.hash(hasher);
    std::fs::read(path).ok().hash(hasher);
}

/// An error with what caused it, as far as it does not say so itself.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let of = error.to_string();
        if !text.contains(&of) {
            text = format!("{text}: {of}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn each_file_that_a_kubeconfig_names_counts() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name);
        let access = Access::Kubeconfig(file("kubeconfig"));
        let missing = access.stamp();
        let text = "apiVersion: v1\nkind: Config\n\
             clusters: [ { name: s, cluster: { server: \"https://192.0.2.1\", certificate-authority: ca } } ]\n\
             users: [ { name: u, user: { client-certificate: cert, client-key: key, tokenFile: token } } ]\n";
        fs::write(file("kubeconfig"), text).unwrap();
        let mut seen = vec![missing, access.stamp()];
        // By their paths from the kubeconfig on; what is in them counts, and that they are there at all.
        for name in ["ca", "cert", "key"] {
            for text in ["", "one", "two"] {
                fs::write(file(name), text).unwrap();
                assert!(!seen.contains(&access.stamp()), "{name} {text:?}");
                seen.push(access.stamp());
                assert_eq!(seen.last(), Some(&access.stamp()));
            }
        }
        // Tokens are read for each request.
        fs::write(file("token"), "one").unwrap();
        assert_eq!(seen.last(), Some(&access.stamp()));
        fs::write(file("kubeconfig"), format!("{text}\n")).unwrap();
        assert!(!seen.contains(&access.stamp()));
    }

    #[tokio::test]
    async fn who_cannot_connect_says_which_file_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kubeconfig");
        let why = |access: Access| async move { chain(&access.connect().await.err().unwrap()) };
        let access = Access::Kubeconfig(path.clone());
        assert!(why(access.clone()).await.contains(&path.display().to_string()));
        fs::write(&path, "kind: Config\n").unwrap();
        assert!(why(access).await.contains("context"));
    }
}
