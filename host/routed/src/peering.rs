//! One peer: its socket, its session, and the time.

use std::collections::BTreeSet;
use std::future::{Future, pending};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use imbl::OrdMap;
use penstock_bgp::{
    Learned, Phase, RouteTarget, Session, SessionConfig, Status, VpnPath, VpnPrefix, Want,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tracing::{info, warn};

/// Bytes that are read at once.
const CHUNK: usize = 64 * 1024;
/// How long a peer may take nothing of what is sent before it is given up (RFC 9687 section 3.2), in hold times.
const SEND_HOLD: u32 = 2;
/// How long a last message may take.
const LAST_WORD: Duration = Duration::from_secs(1);

/// A peer and how to reach it.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its name, in messages.
    pub name: Arc<str>,
    /// Where it listens.
    pub address: SocketAddr,
    /// From which address of this node; nothing = the one that the kernel takes.
    pub from: Option<IpAddr>,
    /// How to speak to it.
    pub session: SessionConfig,
    /// This speaker may have been there before it was started: others may have routes of it.
    pub restarted: bool,
}

/// What peers are to be told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// Routes.
    pub routes: OrdMap<VpnPrefix, VpnPath>,
    /// They are all that there are.
    pub complete: bool,
    /// Targets whose routes are wanted.
    pub targets: BTreeSet<RouteTarget>,
    /// The card's tables are those that were there before this speaker was started.
    pub preserved: bool,
}

/// What a peer has told, and how its session is.
#[derive(Clone, Debug, PartialEq)]
pub struct Heard {
    /// Its routes.
    pub learned: OrdMap<VpnPrefix, Learned>,
    /// They are all that it has, or it is not waited for any longer.
    pub settled: bool,
    /// How the session is.
    pub status: Status,
}

impl Heard {
    fn of(session: &Session) -> Self {
        Self {
            learned: session.learned().clone(),
            settled: session.is_settled(),
            status: session.status(),
        }
    }
}

/// The connection with a peer.
enum Line {
    Down,
    Connecting(Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>),
    Up(TcpStream),
}

/// Something that happens to a peer.
enum Event {
    Connected(io::Result<TcpStream>),
    Read(io::Result<usize>),
    Written(io::Result<usize>),
    Told(bool),
    Time,
}

/// Keeps the session with a peer, until the sender of `told` is gone; then the connection is closed without a word, as if the
/// program had ended: the peer keeps this speaker's routes for as long as was agreed on.
///
/// `told` must hold what is to be told, and the targets, when this begins: a peer that hears of no targets has nothing to tell.
pub async fn run(peer: Peer, mut told: watch::Receiver<Arc<Told>>, heard: watch::Sender<Heard>) {
    let start = Instant::now();
    let mut session = Session::new(peer.session.clone(), peer.restarted, start);
    tell(&mut session, &told.borrow_and_update().clone());
    let mut line = Line::Down;
    let mut chunk = vec![0; CHUNK];
    // What is being sent, and how much of it has been taken; when some of it was last.
    let (mut out, mut sent, mut progress) = (Vec::new(), 0, start);
    let mut phase = Phase::Idle;
    loop {
        let now = Instant::now();
        session.elapsed(now);
        match session.wants(now) {
            Want::Nothing => {}
            Want::Connect => {
                (out, sent) = (Vec::new(), 0);
                line = Line::Connecting(Box::pin(connect(peer.address, peer.from)));
            }
            Want::Close => {
                if let Line::Up(stream) = std::mem::replace(&mut line, Line::Down) {
                    let rest = out.split_off(sent);
                    close(stream, rest, &mut session).await;
                }
                (out, sent) = (Vec::new(), 0);
            }
        }
        report(&peer, &session, &mut phase);
        let new = Heard::of(&session);
        heard.send_if_modified(|old| {
            let changed = *old != new;
            if changed {
                *old = new;
            }
            changed
        });
        if let Line::Up(_) = line
            && sent == out.len()
        {
            out = session.transmit().unwrap_or_default();
            (sent, progress) = (0, now);
        }
        let stuck = (sent < out.len()).then(|| progress + send_hold(&peer.session));
        let timeout = [session.next_timeout(), stuck].into_iter().flatten().min();
        let event = next(&mut line, &mut chunk, &out[sent..], &mut told, timeout).await;
        let now = Instant::now();
        match event {
            Event::Connected(Ok(stream)) => {
                // Whoever waits for a route should not wait for a full packet too.
                let _ = stream.set_nodelay(true);
                line = Line::Up(stream);
                session.connected(now);
            }
            Event::Connected(Err(error)) => {
                line = Line::Down;
                session.not_connected(error.to_string(), now);
            }
            Event::Read(Ok(0)) => {
                line = Line::Down;
                session.closed(None, now);
            }
            Event::Read(Ok(count)) => session.received(&chunk[..count], now),
            Event::Written(Ok(count)) if count > 0 => (sent, progress) = (sent + count, now),
            Event::Written(Ok(_)) => {
                line = Line::Down;
                session.closed(None, now);
            }
            Event::Read(Err(error)) | Event::Written(Err(error)) => {
                line = Line::Down;
                session.closed(Some(error.to_string()), now);
            }
            Event::Told(true) => tell(&mut session, &told.borrow_and_update().clone()),
            Event::Told(false) => return,
            Event::Time => {
                if stuck.is_some_and(|at| now >= at) && matches!(line, Line::Up(_)) {
                    line = Line::Down;
                    session.closed(Some("it does not take what is sent".to_owned()), now);
                }
            }
        }
    }
}

fn tell(session: &mut Session, told: &Told) {
    session.set_preserved(told.preserved);
    session.import(&told.targets);
    session.advertise(&told.routes, told.complete);
}

fn send_hold(config: &SessionConfig) -> Duration {
    (config.hold_time * SEND_HOLD).max(Duration::from_secs(60))
}

async fn connect(to: SocketAddr, from: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(from) = from {
        socket.bind(SocketAddr::new(from, 0))?;
    }
    socket.connect(to).await
}

/// Sends what there is still to say, if the peer takes it soon.
async fn close(mut stream: TcpStream, rest: Vec<u8>, session: &mut Session) {
    let words = async {
        stream.write_all(&rest).await?;
        while let Some(message) = session.transmit() {
            stream.write_all(&message).await?;
        }
        stream.shutdown().await
    };
    // It is over either way.
    let _ = tokio::time::timeout(LAST_WORD, words).await;
}

/// What happens next. Nothing is lost of what does not happen.
async fn next(
    line: &mut Line,
    chunk: &mut [u8],
    out: &[u8],
    told: &mut watch::Receiver<Arc<Told>>,
    timeout: Option<Instant>,
) -> Event {
    let time = async {
        match timeout {
            Some(at) => tokio::time::sleep_until(at.into()).await,
            None => pending().await,
        }
    };
    let wire = async {
        match line {
            Line::Down => pending().await,
            Line::Connecting(attempt) => Event::Connected(attempt.await),
            Line::Up(stream) => {
                let (mut read, mut write) = stream.split();
                if out.is_empty() {
                    return Event::Read(read.read(chunk).await);
                }
                tokio::select! {
                    count = read.read(chunk) => Event::Read(count),
                    count = write.write(out) => Event::Written(count),
                }
            }
        }
    };
    tokio::select! {
        // Time first: a peer that floods must not keep the session from its timers, nor from what is to be told.
        biased;
        () = time => Event::Time,
        changed = told.changed() => Event::Told(changed.is_ok()),
        event = wire => event,
    }
}

/// Says when a session begins or ends.
fn report(peer: &Peer, session: &Session, phase: &mut Phase) {
    let status = session.status();
    if status.phase == *phase {
        return;
    }
    let was = std::mem::replace(phase, status.phase);
    match (was, status.phase) {
        (_, Phase::Established) => info!("BGP peer {}: established", peer.name),
        (Phase::Idle, _) | (_, Phase::OpenSent | Phase::OpenConfirm | Phase::Connect) => {}
        (_, _) => warn!("BGP peer {}: {}", peer.name, end(&status)),
    }
}

fn end(status: &Status) -> String {
    status.last_end.as_ref().map_or_else(|| "ended".to_owned(), ToString::to_string)
}
