//! Downloads in a lab that can be watched while they run, and are compared byte by byte when they end.

use std::fs;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::Child;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Result, bail, ensure};

use crate::serve::{POD_HEADER, Pattern};
use crate::testbed::{Testbed, wait};

/// Longest time a download may take, in seconds.
const LIMIT_SECONDS: &str = "3600";
/// Time until the server's header must be there.
const PATIENCE: Duration = Duration::from_secs(60);
/// Connections tried until one goes to the wanted backend; the odds that all miss one of two are 1 to 2^40.
const TRIES: u32 = 40;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// What to download.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Pod that downloads.
    pub client: &'a str,
    /// `ADDRESS:PORT` of the service or pod.
    pub server: &'a str,
    /// Bytes.
    pub bytes: usize,
    /// Bytes a second, if the server is to be slow.
    pub rate: Option<usize>,
}

/// A download under way.
#[derive(Debug)]
pub struct Download {
    child: Child,
    body: PathBuf,
    head: PathBuf,
    bytes: usize,
    url: String,
    port: Option<u16>,
}

impl Download {
    /// Starts a download; with `port`, from that source port.
    ///
    /// # Errors
    /// curl cannot be run.
    pub fn start(bed: &Testbed, wanted: &Wanted<'_>, port: Option<u16>) -> Result<Self> {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let file = |kind: &str| {
            std::env::temp_dir().join(format!("penstock-{kind}-{}-{number}", std::process::id()))
        };
        let (body, head) = (file("body"), file("head"));
        let rate = wanted.rate.map(|rate| format!("&rate={rate}")).unwrap_or_default();
        let url = format!("http://{}/file.txt?bytes={}{rate}", wanted.server, wanted.bytes);
        let (body_path, head_path) = (body.to_string_lossy(), head.to_string_lossy());
        let mut argv = vec!["curl", "-sS", "--fail", "--max-time", LIMIT_SECONDS];
        argv.extend(["-o", &body_path, "-D", &head_path]);
        let port_text = port.map(|port| port.to_string());
        if let Some(port) = &port_text {
            argv.extend(["--local-port", port]);
        }
        argv.push(&url);
        let child = bed.spawn(wanted.client, &argv)?;
        Ok(Download { child, body, head, bytes: wanted.bytes, url, port })
    }

    /// Starts downloads until one is served by `pod`, and returns that. Their source ports are fixed, so that the flow
    /// can be found.
    ///
    /// # Errors
    /// None is served by it.
    pub fn from_pod(bed: &Testbed, wanted: &Wanted<'_>, pod: &str) -> Result<Self> {
        let mut last = String::new();
        for _ in 0..TRIES {
            // Below those that a kernel gives out by itself.
            let port = 20_000 + u16::try_from(COUNT.load(Ordering::Relaxed) % 10_000)?;
            let mut download = Self::start(bed, wanted, Some(port))?;
            last = download.pod()?;
            if last == pod {
                return Ok(download);
            }
        }
        bail!("of {TRIES} connections none went to {pod}, the last to {last}")
    }

    /// The pod that serves it, once its header has come.
    ///
    /// # Errors
    /// There is no header in time, or the download has failed.
    pub fn pod(&mut self) -> Result<String> {
        wait(&format!("an answer to {}", self.url), PATIENCE, || {
            let head = fs::read_to_string(&self.head).unwrap_or_default();
            let mut lines = head.lines().filter_map(|line| line.split_once(": "));
            let pod = lines.find(|(name, _)| *name == POD_HEADER).map(|(_, pod)| pod.to_owned());
            // A failed curl is found out by `finish`; here it would only be waited for in vain.
            if pod.is_none() && self.child.try_wait()?.is_some() {
                return Ok(Some(Err(self.finish())));
            }
            Ok(pod.map(Ok))
        })?
        .map_err(|failure| failure.err().unwrap_or_else(|| anyhow::anyhow!("no {POD_HEADER} came")))
    }

    /// Its source port, if it was fixed.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Its address, for people.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Bytes that have come.
    #[must_use]
    pub fn received(&self) -> u64 {
        fs::metadata(&self.body).map_or(0, |file| file.len())
    }

    /// That it still runs.
    ///
    /// # Errors
    /// It has ended.
    pub fn running(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("the download has ended: {status}"),
        }
    }

    /// Waits for its end and compares what came with what the server sends.
    ///
    /// # Errors
    /// curl failed, or a byte is missing or wrong.
    pub fn finish(&mut self) -> Result<()> {
        let status = self.child.wait()?;
        if !status.success() {
            let mut said = String::new();
            if let Some(error) = &mut self.child.stderr {
                error.read_to_string(&mut said)?;
            }
            bail!("curl ended with {status}: {}", said.trim());
        }
        let got = self.compare()?;
        ensure!(got == self.bytes, "{got} bytes came instead of {}", self.bytes);
        Ok(())
    }

    /// Ends it, though more would come, and compares what came so far.
    ///
    /// # Errors
    /// It had ended before, or a byte is wrong.
    pub fn stop(&mut self) -> Result<()> {
        self.running()?;
        self.child.kill()?;
        self.child.wait()?;
        self.compare().map(drop)
    }

    /// Compares what came with what the server sends, and says how many bytes it is.
    fn compare(&self) -> Result<usize> {
        let got = fs::read(&self.body)?;
        match got.iter().zip(Pattern::default()).position(|(got, sent)| *got != sent) {
            Some(at) => bail!("byte {at} is wrong"),
            None => Ok(got.len()),
        }
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        // It may have ended; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.body);
        let _ = fs::remove_file(&self.head);
    }
}
