//! Many short connections to one of the lab's web servers, and how they went.
//!
//! Each connection asks for `/` and reads the answer to its end, so the server closes it. A connection is lost if it is not
//! open within a limit, and broken if it is and does not bring the page. Times are those from the first SYN until the
//! connection is open: a SYN that is dropped shows as a second more, the kernel's pause before the next.
//!
//! Source ports go round from [`PORT_FIRST`] on, so that none comes again before all others have: to a flow table that has fewer connections
//! than there are ports, each is a new one.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddrV4, TcpStream};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, bind, getsockopt, socket, sockopt,
};
use serde::{Deserialize, Serialize};

/// The first source port.
const PORT_FIRST: u16 = 1024;
/// Source ports that are tried if others have them.
const PORT_TRIES: usize = 64;
/// Time for the answer, once a connection is open.
const ANSWER: Duration = Duration::from_secs(30);
/// Causes that a report names.
const CAUSES_MAX: usize = 5;
/// Of how many parts the first and the last are looked at alone.
const PARTS: usize = 10;

/// What to do.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Web server.
    pub server: SocketAddrV4,
    /// Connections.
    pub count: usize,
    /// How many of them are open at once, at most.
    pub parallel: usize,
    /// Time for each to open.
    pub within: Duration,
}

/// How connections went.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Connections {
    /// All of them.
    pub all: Times,
    /// The first tenth of them.
    pub first: Times,
    /// The last tenth.
    pub last: Times,
    /// Those that were not open in time.
    pub lost: usize,
    /// Those that were, and did not bring the page.
    pub broken: usize,
    /// Why, of the first few that failed.
    pub causes: Vec<String>,
    /// Connections a second.
    pub per_second: f64,
}

/// Times in which connections opened, of those that did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// Connections that were begun.
    pub count: usize,
    /// Connections that opened.
    pub opened: usize,
    /// Half of them took no longer, in milliseconds.
    pub p50_ms: f64,
    /// 99 of 100 took no longer.
    pub p99_ms: f64,
}

/// What became of a connection.
enum Outcome {
    Served(Duration),
    Broken(Duration, String),
    Lost(String),
}

/// Makes the connections, each as soon as one before it has ended.
#[must_use]
pub fn connect(plan: &Plan) -> Connections {
    let (start, next) = (Instant::now(), AtomicUsize::new(0));
    let outcomes = thread::scope(|scope| {
        let work = || {
            let mut done = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= plan.count {
                    return done;
                }
                done.push((number, one(plan, number)));
            }
        };
        let workers: Vec<_> = (0..plan.parallel.max(1)).map(|_| scope.spawn(work)).collect();
        let parts = workers.into_iter().filter_map(|worker| worker.join().ok());
        parts.flatten().collect()
    });
    report(plan.count, outcomes, start.elapsed())
}

fn one(plan: &Plan, number: usize) -> Outcome {
    match open(plan, number) {
        Err(error) => Outcome::Lost(error.to_string()),
        Ok((stream, took)) => match page(stream) {
            Ok(text) if text.contains("served by pod") => Outcome::Served(took),
            Ok(text) => Outcome::Broken(took, format!("{} bytes came", text.len())),
            Err(error) => Outcome::Broken(took, error.to_string()),
        },
    }
}

/// Opens connection `number`, from the next source port that nobody has, and says how long it took.
fn open(plan: &Plan, number: usize) -> io::Result<(TcpStream, Duration)> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = socket(AddressFamily::Inet, SockType::Stream, flags, None)?;
    let ports = usize::from(u16::MAX - PORT_FIRST) + 1;
    let mut tries = (0..PORT_TRIES).map(|more| {
        let port = PORT_FIRST + ((number + more * (ports / PORT_TRIES)) % ports) as u16;
        bind(fd.as_raw_fd(), &SockaddrIn::new(0, 0, 0, 0, port))
    });
    tries.find(|tried| *tried != Err(Errno::EADDRINUSE)).unwrap_or(Err(Errno::EADDRINUSE))?;
    let start = Instant::now();
    match nix::sys::socket::connect(fd.as_raw_fd(), &SockaddrIn::from(plan.server)) {
        Ok(()) | Err(Errno::EINPROGRESS) => {}
        Err(errno) => return Err(errno.into()),
    }
    let mut ready = [PollFd::new(fd.as_fd(), PollFlags::POLLOUT)];
    let within = PollTimeout::try_from(plan.within).unwrap_or(PollTimeout::MAX);
    if poll(&mut ready, within)? == 0 {
        return Err(io::ErrorKind::TimedOut.into());
    }
    match getsockopt(&fd, sockopt::SocketError)? {
        0 => {}
        code => return Err(io::Error::from_raw_os_error(code)),
    }
    let took = start.elapsed();
    let stream = TcpStream::from(fd);
    stream.set_nonblocking(false)?;
    Ok((stream, took))
}

fn page(mut stream: TcpStream) -> io::Result<String> {
    stream.set_read_timeout(Some(ANSWER))?;
    stream.set_write_timeout(Some(ANSWER))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

fn report(count: usize, mut outcomes: Vec<(usize, Outcome)>, took: Duration) -> Connections {
    outcomes.sort_by_key(|(number, _)| *number);
    let part = count.div_ceil(PARTS);
    let mut found = Connections {
        all: times(&outcomes),
        first: times(&outcomes[..part.min(outcomes.len())]),
        last: times(&outcomes[outcomes.len().saturating_sub(part)..]),
        per_second: count as f64 / took.as_secs_f64().max(1e-9),
        ..Connections::default()
    };
    for (number, outcome) in &outcomes {
        let why = match outcome {
            Outcome::Served(_) => continue,
            Outcome::Broken(_, why) => {
                found.broken += 1;
                why
            }
            Outcome::Lost(why) => {
                found.lost += 1;
                why
            }
        };
        if found.causes.len() < CAUSES_MAX {
            found.causes.push(format!("connection {number}: {why}"));
        }
    }
    found
}

fn times(outcomes: &[(usize, Outcome)]) -> Times {
    let mut opened: Vec<f64> = outcomes
        .iter()
        .filter_map(|(_, outcome)| match outcome {
            Outcome::Served(took) | Outcome::Broken(took, _) => Some(took.as_secs_f64() * 1e3),
            Outcome::Lost(_) => None,
        })
        .collect();
    opened.sort_by(f64::total_cmp);
    let at = |percent: usize| {
        let rank = (opened.len() * percent).div_ceil(100).max(1);
        opened.get(rank - 1).copied().unwrap_or(0.0)
    };
    Times { count: outcomes.len(), opened: opened.len(), p50_ms: at(50), p99_ms: at(99) }
}

impl fmt::Display for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { all, lost, broken, per_second, .. } = self;
        writeln!(
            f,
            "{} connections, {lost} lost, {broken} broken, {per_second:.0} a second; open after {:.1} ms (p50), {:.1} ms (p99)",
            all.count, all.p50_ms, all.p99_ms
        )?;
        self.causes.iter().try_for_each(|cause| writeln!(f, "  {cause}"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    fn address(listener: &TcpListener) -> SocketAddrV4 {
        SocketAddrV4::new(Ipv4Addr::LOCALHOST, listener.local_addr().unwrap().port())
    }

    #[test]
    fn connections_that_are_served_have_times() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let server = address(&listener);
        thread::spawn(move || {
            for (n, stream) in listener.incoming().enumerate() {
                let mut stream = stream.unwrap();
                let mut request = [0; 256];
                let _ = stream.read(&mut request).unwrap();
                // One of them brings something else.
                let text = if n == 7 { "no" } else { "served by pod web at 1.2.3.4:80\n" };
                stream.write_all(text.as_bytes()).unwrap();
            }
        });
        let plan = Plan { server, count: 50, parallel: 4, within: Duration::from_secs(10) };
        let found = connect(&plan);
        assert_eq!((found.all.count, found.all.opened), (50, 50));
        assert_eq!((found.lost, found.broken, found.causes.len()), (0, 1, 1));
        assert_eq!((found.first.count, found.last.count), (5, 5));
    }

    #[test]
    fn percentiles_are_of_those_that_opened() {
        let served = |ms| Outcome::Served(Duration::from_millis(ms));
        let outcomes = (0..200).map(|n| match n {
            0..=99 => (n, served(1)),
            100..=197 => (n, served(3)),
            198 => (n, served(1000)),
            _ => (n, Outcome::Lost("timed out".to_owned())),
        });
        let found = report(200, outcomes.collect(), Duration::from_secs(2));
        assert_eq!((found.lost, found.all.opened, found.last.opened), (1, 199, 19));
        assert_eq!((found.all.p50_ms, found.all.p99_ms), (1.0, 3.0));
        assert_eq!((found.first.p99_ms, found.last.p99_ms), (1.0, 1000.0));
        let text = found.to_string();
        assert!(text.contains("200 connections, 1 lost, 0 broken, 100 a second"), "{text}");
        assert!(text.contains("connection 199: timed out"), "{text}");
    }

    #[test]
    fn nobody_there_is_a_loss() {
        let gone = address(&TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
        let plan = Plan { server: gone, count: 3, parallel: 1, within: Duration::from_secs(1) };
        let found = connect(&plan);
        assert_eq!((found.lost, found.all.opened, found.all.p50_ms), (3, 0, 0.0));
    }
}
