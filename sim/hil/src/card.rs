//! The simulated card as a process, and the other ends of its ports.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::log::Log;

/// An emulated machine that only starts may take this long on a loaded one.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// A frame takes microseconds of card time; the rest is for a machine that does other things.
const FRAME_TIMEOUT: Duration = Duration::from_secs(20);
/// For this long nothing must come, where nothing may.
const QUIET: Duration = Duration::from_millis(300);

/// `command` run so that it does not outlive this program.
pub(crate) fn tied(command: &Path) -> Command {
    let mut tied = Command::new("setpriv");
    tied.args(["--pdeathsig", "KILL", "--"]).arg(command);
    tied
}

/// A running card. Ends with this value.
#[derive(Debug)]
pub(crate) struct Card {
    child: Child,
    socket: PathBuf,
    folder: PathBuf,
}

impl Card {
    /// Starts a card with a port for each `(name, vif)` and waits until it is ready.
    pub(crate) fn start(
        program: &Path,
        firmware: &Path,
        folder: &Path,
        ports: &[(&str, u8)],
        log: &Log,
    ) -> Result<Self> {
        let socket = folder.join("card.sock");
        let mut command = tied(program);
        command.arg("--socket").arg(&socket).arg("--firmware").arg(firmware);
        for (name, vif) in ports {
            let path = folder.join(name);
            command.args(["--port", &format!("{name}:{vif}=unix:{}", path.display())]);
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start the card")?;
        let (ready, is_ready) = mpsc::channel();
        log.follow("card", child.stdout.take().context("no output")?, move |line| {
            if line == "ready" {
                // Nobody waits after a time-out.
                let _ = ready.send(());
            }
        });
        log.follow("card", child.stderr.take().context("no output")?, |_| {});
        let card = Self { child, socket, folder: folder.to_owned() };
        is_ready.recv_timeout(START_TIMEOUT).context("the card did not become ready")?;
        Ok(card)
    }

    /// Socket of the PCI function.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Socket of the port `name`, for whom it is plugged into.
    pub(crate) fn port_path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Plugs this program into the ports `names`.
    pub(crate) fn wires(&self, names: &[&'static str]) -> Result<Wires> {
        self.wires_with(names, |_, _| Kernel::Passes)
    }

    /// As [`Card::wires`], with kernels behind the ports: each frame that comes out of one is shown to `kernel` first.
    pub(crate) fn wires_with(
        &self,
        names: &[&'static str],
        kernel: fn(&'static str, &[u8]) -> Kernel,
    ) -> Result<Wires> {
        let (arrived, frames) = mpsc::channel();
        let mut ends = BTreeMap::new();
        for &name in names {
            let stream = UnixStream::connect(self.port_path(name))
                .with_context(|| format!("cannot reach the card's port {name}"))?;
            let (mut reader, arrived) = (stream.try_clone()?, arrived.clone());
            thread::spawn(move || {
                while let Ok(frame) = read_frame(&mut reader) {
                    let goes_on = match kernel(name, &frame) {
                        Kernel::Passes => arrived.send((name, frame)).is_ok(),
                        Kernel::Takes => true,
                        Kernel::Answers(answer) => write_frame(&mut reader, &answer).is_ok(),
                    };
                    if !goes_on {
                        return;
                    }
                }
            });
            ends.insert(name, stream);
        }
        Ok(Wires { ends, frames })
    }

    /// Takes the card off the guest's bus.
    pub(crate) fn pull_out(&self) -> Result<()> {
        let process = Pid::from_raw(i32::try_from(self.child.id())?);
        kill(process, Signal::SIGUSR1).context("cannot pull the card out")
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the card's ports are plugged into: frames in and out, Ethernet without FCS.
#[derive(Debug)]
pub(crate) struct Wires {
    ends: BTreeMap<&'static str, UnixStream>,
    frames: Receiver<(&'static str, Vec<u8>)>,
}

impl Wires {
    /// Sends a frame into the port `name`.
    pub(crate) fn send(&mut self, name: &str, frame: &[u8]) -> Result<()> {
        let end = self.ends.get_mut(name).with_context(|| format!("no wire in port {name}"))?;
        write_frame(end, frame).with_context(|| format!("port {name}"))
    }

    /// The next frame out of any port, and which.
    pub(crate) fn receive(&mut self) -> Result<(&'static str, Vec<u8>)> {
        self.frames.recv_timeout(FRAME_TIMEOUT).context("no frame came out of any port")
    }

    /// The next frame, if the card sends one soon.
    pub(crate) fn receive_soon(&mut self) -> Option<(&'static str, Vec<u8>)> {
        self.frames.recv_timeout(QUIET).ok()
    }
}

impl Default for Wires {
    /// No wires.
    fn default() -> Self {
        Self { ends: BTreeMap::new(), frames: mpsc::channel().1 }
    }
}

/// What a kernel behind a port does with a frame.
#[derive(Debug)]
pub(crate) enum Kernel {
    /// Leaves it to the scenario.
    Passes,
    /// Takes it, and says nothing.
    Takes,
    /// Takes it and sends another.
    Answers(Vec<u8>),
}

fn write_frame(stream: &mut UnixStream, frame: &[u8]) -> io::Result<()> {
    let mut record = (frame.len() as u32).to_be_bytes().to_vec();
    record.extend_from_slice(frame);
    stream.write_all(&record)
}

fn read_frame(stream: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut frame = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut frame)?;
    Ok(frame)
}
