//! The small servers that run in pods: HTTP that says which pod answered, and UDP echo.
//!
//! `GET /` answers `served by pod NAME at ADDRESS:PORT`; `GET /file.txt?bytes=N&rate=R` answers N bytes of a fixed
//! pattern ([`Pattern`]), at most R bytes a second. One line a request goes to standard output, as a web server's log.
//! Meant for labs: no keep-alive, no TLS, one thread a connection.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// Header of every answer: the pod that gives it.
pub const POD_HEADER: &str = "X-Pod";
/// Bytes of a download without `bytes=`.
const DEFAULT_BYTES: usize = 1 << 20;
/// Longest time a connection may be idle.
const IDLE: Duration = Duration::from_secs(120);

/// The bytes of `/file.txt`: a xorshift stream as printable text, the same in every run.
#[derive(Debug, Clone)]
pub struct Pattern {
    state: u64,
}

impl Default for Pattern {
    fn default() -> Self {
        Pattern { state: 0x9e37_79b9_7f4a_7c15 }
    }
}

impl Iterator for Pattern {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        // 64 printable characters from '0' on.
        Some(b'0' + (self.state >> 58) as u8)
    }
}

/// Serves HTTP on `port` until the process ends.
///
/// # Errors
/// The port cannot be opened.
pub fn http(pod: &str, port: u16) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))
        .with_context(|| format!("cannot listen on port {port}"))?;
    println!("listening on tcp port {port}");
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        let pod = pod.to_owned();
        thread::spawn(move || {
            // A client that goes away is its own affair.
            let _ = answer(&pod, &stream);
        });
    }
    Ok(())
}

/// Echoes UDP datagrams on `port` until the process ends.
///
/// # Errors
/// The port cannot be opened or read.
pub fn udp_echo(port: u16) -> Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port))
        .with_context(|| format!("cannot listen on UDP port {port}"))?;
    println!("listening on udp port {port}");
    let mut buffer = [0_u8; 65536];
    loop {
        let (length, peer) = socket.recv_from(&mut buffer)?;
        // An unreachable peer must not end the server.
        let _ = socket.send_to(&buffer[..length], peer);
    }
}

fn answer(pod: &str, stream: &TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(IDLE))?;
    stream.set_write_timeout(Some(IDLE))?;
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut header = String::new();
    while reader.read_line(&mut header)? > 2 {
        header.clear();
    }
    let (peer, local) = (stream.peer_addr()?, stream.local_addr()?);
    let target = request.split_whitespace().nth(1).unwrap_or("/");
    let result = respond(stream, pod, local, target);
    let how = if result.is_ok() { "sent" } else { "cut off" };
    println!("{peer} \"{}\" {how}", request.trim());
    result
}

fn respond(mut stream: &TcpStream, pod: &str, local: SocketAddr, target: &str) -> io::Result<()> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let number = |key: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(name, _)| *name == key).and_then(|(_, value)| value.parse::<usize>().ok())
    };
    let head = |status: &str, length: usize| {
        format!(
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{POD_HEADER}: {pod}\r\nConnection: close\r\n\r\n"
        )
    };
    let (status, body) = match path {
        "/" => ("200 OK", format!("served by pod {pod} at {local}\n")),
        "/file.txt" => {
            let bytes = number("bytes").unwrap_or(DEFAULT_BYTES);
            stream.write_all(head("200 OK", bytes).as_bytes())?;
            return send_pattern(stream, bytes, number("rate"));
        }
        _ => ("404 Not Found", format!("no {path} here\n")),
    };
    write!(stream, "{}{body}", head(status, body.len()))
}

/// Sends `bytes` of the pattern, at most `rate` bytes a second.
fn send_pattern(mut stream: &TcpStream, bytes: usize, rate: Option<usize>) -> io::Result<()> {
    let chunk = rate.map_or(65536, |rate| (rate / 20).clamp(1, 65536));
    let mut pattern = Pattern::default();
    let (start, mut sent) = (Instant::now(), 0);
    while sent < bytes {
        let part: Vec<u8> = pattern.by_ref().take(chunk.min(bytes - sent)).collect();
        stream.write_all(&part)?;
        sent += part.len();
        if let Some(rate) = rate {
            let due = Duration::from_secs_f64(sent as f64 / rate.max(1) as f64);
            thread::sleep(due.saturating_sub(start.elapsed()));
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::io::Read as _;

    fn get(target: &str) -> String {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || answer("web", &listener.accept().unwrap().0).unwrap());
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        server.join().unwrap();
        text
    }

    #[test]
    fn a_page_says_which_pod_served_it() {
        assert!(get("/").contains("\r\nX-Pod: web\r\n"));
        assert!(get("/").contains("served by pod web at 127.0.0.1:"));
        assert!(get("/other").starts_with("HTTP/1.1 404"));
    }

    #[test]
    fn a_download_has_the_asked_length_and_the_patterns_bytes() {
        let text = get("/file.txt?bytes=70000");
        let body = text.split_once("\r\n\r\n").unwrap().1;
        assert!(body.bytes().eq(Pattern::default().take(70_000)));
        assert!(body.bytes().all(|byte| byte.is_ascii_graphic()));
    }
}
