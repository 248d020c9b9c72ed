//! Tokens in files: of a pod's service account, or of a kubeconfig's `tokenFile`.
//!
//! Whoever keeps the file replaces it while the old token is still taken. It is read for each request, of which there are a few
//! a minute, so a new one is used at once, without beginning anew. The client could do it itself, but takes files at their
//! word: what ends with a line break, as what `kubectl create token` prints, is no header to it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use http::Request;
use http::header::{AUTHORIZATION, HeaderValue};
use kube::Client;
use kube::client::{Body, ClientBuilder};
use thiserror::Error;
use tower::BoxError;

/// Why there is no token.
#[derive(Debug, Error)]
enum Error {
    #[error("cannot read the token in {path}: {source}")]
    Unreadable { path: String, source: std::io::Error },
    #[error("{path} does not hold a token")]
    NoToken { path: String },
}

/// The same client, which says with each request who it is, by the token in a file.
pub(crate) fn with_token_of(client: Client, path: PathBuf) -> Client {
    let namespace = client.default_namespace().to_owned();
    let file = Arc::new(TokenFile { path, last: Mutex::new(None) });
    let service = tower::service_fn(move |mut request: Request<Body>| {
        let (client, file) = (client.clone(), Arc::clone(&file));
        async move {
            let token = file.read().await?;
            request.headers_mut().insert(AUTHORIZATION, token);
            client.send(request).await.map_err(BoxError::from)
        }
    });
    ClientBuilder::new(service, namespace).build()
}

struct TokenFile {
    path: PathBuf,
    /// What it held when it could be read last.
    last: Mutex<Option<HeaderValue>>,
}

impl TokenFile {
    /// What it holds; what it held before if that is no token, as some take the file away, and others write it in place.
    async fn read(&self) -> Result<HeaderValue, Error> {
        let read = match tokio::fs::read_to_string(&self.path).await {
            Ok(text) => header(&text)
                .ok_or_else(|| Error::NoToken { path: self.path.display().to_string() }),
            Err(source) => Err(Error::Unreadable { path: self.path.display().to_string(), source }),
        };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match read {
            Ok(token) => Ok(last.insert(token).clone()),
            Err(why) => last.clone().ok_or(why),
        }
    }
}

fn header(text: &str) -> Option<HeaderValue> {
    let token = text.trim();
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
    value.set_sensitive(true);
    (!token.is_empty()).then_some(value)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_token_is_what_the_file_holds_or_held_last() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let file = TokenFile { path: path.clone(), last: Mutex::new(None) };
        let why = file.read().await.unwrap_err().to_string();
        assert!(why.contains(&path.display().to_string()), "{why}");
        std::fs::write(&path, "").unwrap();
        assert!(file.read().await.unwrap_err().to_string().contains("does not hold a token"));
        for (text, token) in [
            ("one\n", "Bearer one"),
            ("two", "Bearer two"),
            ("", "Bearer two"),
            ("a\nb", "Bearer two"),
            ("\u{1}", "Bearer two"),
        ] {
            std::fs::write(&path, text).unwrap();
            let read = file.read().await.unwrap();
            assert_eq!(read, token, "{text:?}");
            assert!(read.is_sensitive());
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(file.read().await.unwrap(), "Bearer two");
    }
}
