//! Authorities made up for a test, and a door that speaks TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rcgen::{DnType, ExtendedKeyUsagePurpose, KeyUsagePurpose};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// How long a handshake may take: others wait meanwhile.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// Who signs certificates.
#[derive(Debug)]
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, as PEM.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

impl Authority {
    /// Makes up a new one, which nobody knows.
    ///
    /// # Errors
    /// There is no key to be had.
    pub fn new(name: &str) -> io::Result<Self> {
        let mut params = params(name, &[])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().map_err(io::Error::other)?;
        CertifiedIssuer::self_signed(params, key).map(Self).map_err(io::Error::other)
    }

    /// Its own certificate, as PEM.
    #[must_use]
    pub fn certificate(&self) -> String {
        self.0.pem()
    }

    /// A server's identity, at `names`: host names or addresses.
    ///
    /// # Errors
    /// A name is none.
    pub fn server(&self, names: &[&str]) -> io::Result<Identity> {
        self.sign(params("server", names)?, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A client's identity.
    ///
    /// # Errors
    /// There is no key to be had.
    pub fn client(&self, name: &str) -> io::Result<Identity> {
        self.sign(params(name, &[])?, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn sign(
        &self,
        mut params: CertificateParams,
        use_for: ExtendedKeyUsagePurpose,
    ) -> io::Result<Identity> {
        params.extended_key_usages = vec![use_for];
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let certificate = params.signed_by(&key, &self.0).map_err(io::Error::other)?;
        Ok(Identity { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

fn params(name: &str, names: &[&str]) -> io::Result<CertificateParams> {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).map_err(io::Error::other)?;
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}

/// What a server is to TLS.
#[derive(Clone)]
pub struct Server(Arc<ServerConfig>);

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Server")
    }
}

impl Server {
    /// One with this identity, which knows clients by certificates of an authority, if there is one.
    ///
    /// # Errors
    /// The identity or the authority is none.
    pub fn new(identity: &Identity, clients: Option<&Authority>) -> io::Result<Self> {
        let provider = Arc::new(ring::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let config = config.with_safe_default_protocol_versions().map_err(io::Error::other)?;
        let config = match clients {
            None => config.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.0.der().clone()).map_err(io::Error::other)?;
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
                let verifier =
                    verifier.allow_unauthenticated().build().map_err(io::Error::other)?;
                config.with_client_cert_verifier(verifier)
            }
        };
        let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes());
        let chain = vec![certificate.map_err(io::Error::other)?];
        let config = config.with_single_cert(chain, key.map_err(io::Error::other)?);
        Ok(Self(Arc::new(config.map_err(io::Error::other)?)))
    }
}

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    /// It has shown a certificate of an authority that is known.
    pub(super) certified: bool,
}

impl Connected<IncomingStream<'_, Door>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        *stream.remote_addr()
    }
}

/// Accepts connections, with or without TLS.
pub(super) struct Door {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
}

impl Door {
    pub(super) fn new(listener: TcpListener, tls: Option<Server>) -> Self {
        Self { listener, tls: tls.map(|server| TlsAcceptor::from(server.0)) }
    }

    async fn try_accept(&self) -> io::Result<(Box<dyn Stream>, Peer)> {
        let (stream, _) = self.listener.accept().await?;
        let Some(tls) = &self.tls else {
            return Ok((Box::new(stream), Peer { certified: false }));
        };
        let stream = timeout(HANDSHAKE, tls.accept(stream)).await??;
        let certified = stream.get_ref().1.peer_certificates().is_some();
        Ok((Box::new(stream), Peer { certified }))
    }
}

impl Listener for Door {
    type Io = Box<dyn Stream>;
    type Addr = Peer;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            if let Ok(accepted) = self.try_accept().await {
                return accepted;
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr().map(|_: SocketAddr| Peer { certified: false })
    }
}

/// What a connection is to whoever serves it.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}
