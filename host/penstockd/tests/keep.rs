//! Descriptors that outlive the daemon: when they are kept and given up, and what the service manager is told, with this
//! test in its place.
#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::io::{self, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use command_fds::{CommandFdExt as _, FdMapping};
use penstock_agent::Device;
use penstock_agent::keep::{Keeper, ServiceManager};
use penstock_device::fake::FakeCard;
use penstock_device::{
    DeviceError, DmaBuffer, EventFd, FunctionInfo, HeldFds, PciTransport, Region,
};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

const BDF: &str = "0000:3b:00.0";

/// The card in memory, with descriptors that can be kept.
struct Holdable(Box<dyn PciTransport>);

impl PciTransport for Holdable {
    fn held_fds(&self) -> Option<HeldFds> {
        let null = || OwnedFd::from(File::open("/dev/null").unwrap());
        Some(HeldFds { device: null(), container: null() })
    }
    fn function(&mut self) -> Result<FunctionInfo, DeviceError> {
        self.0.function()
    }
    fn read32(&mut self, offset: u32) -> Result<u32, DeviceError> {
        self.0.read32(offset)
    }
    fn write32(&mut self, offset: u32, value: u32) -> Result<(), DeviceError> {
        self.0.write32(offset, value)
    }
    fn read_region(&mut self, r: Region, at: u64, into: &mut [u8]) -> Result<(), DeviceError> {
        self.0.read_region(r, at, into)
    }
    fn write_region(&mut self, r: Region, at: u64, data: &[u8]) -> Result<(), DeviceError> {
        self.0.write_region(r, at, data)
    }
    fn dma_alloc(&mut self, bytes: usize) -> Result<DmaBuffer, DeviceError> {
        self.0.dma_alloc(bytes)
    }
    fn dma_free(&mut self, buffer: DmaBuffer) -> Result<(), DeviceError> {
        self.0.dma_free(buffer)
    }
    fn arm_irqs(&mut self, vectors: u32) -> Result<Vec<EventFd>, DeviceError> {
        self.0.arm_irqs(vectors)
    }
    fn mask_irq(&mut self, vector: u32, masked: bool) -> Result<(), DeviceError> {
        self.0.mask_irq(vector, masked)
    }
    fn wait_irq(&mut self, vector: u32, timeout: Duration) -> Result<(), DeviceError> {
        self.0.wait_irq(vector, timeout)
    }
    fn reset(&mut self) -> Result<(), DeviceError> {
        self.0.reset()
    }
    fn describe(&self) -> String {
        self.0.describe()
    }
}

#[derive(Default)]
struct Recorder(Mutex<Vec<&'static str>>);

impl Recorder {
    fn take(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Keeper for Recorder {
    fn keep(&self, _: &HeldFds) -> io::Result<()> {
        self.0.lock().unwrap().push("keep");
        Ok(())
    }
    fn forget(&self) -> io::Result<()> {
        self.0.lock().unwrap().push("forget");
        // A failing keeper must not matter.
        Err(io::Error::other("the keeper is out"))
    }
}

#[tokio::test]
async fn a_card_is_kept_as_long_as_it_is_ours() {
    let (fake, keeper) = (FakeCard::new(), Arc::new(Recorder::default()));
    let card = fake.clone();
    let opener =
        Arc::new(move || Ok(Box::new(Holdable(card.transport())) as Box<dyn PciTransport>));
    let device = Device::start(opener, keeper.clone()).unwrap();
    device.attach().await.unwrap();
    device.run(|card| card.time_cycles()).await.unwrap();
    assert_eq!(keeper.take(), ["keep"]);
    fake.kill();
    device.run(|card| card.time_cycles()).await.unwrap_err();
    assert_eq!(keeper.take(), ["forget"], "a lost card must be closed everywhere");
    device.attach().await.unwrap_err();
    assert_eq!(keeper.take(), ["forget"], "what was adopted may be no card");
    fake.revive();
    device.attach().await.unwrap();
    assert_eq!(keeper.take(), ["keep"]);
    device.attach().await.unwrap();
    assert_eq!(keeper.take(), ["forget", "keep"]);
}

/// A service manager's socket.
struct Manager {
    dir: tempfile::TempDir,
    socket: UnixDatagram,
}

impl Manager {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(dir.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self { dir, socket }
    }

    /// The next message and the descriptors that came with it.
    fn receive(&self) -> (String, Vec<OwnedFd>) {
        let mut text = [0; 4096];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(&mut text)];
        let got = recvmsg(&self.socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC).unwrap();
        let fds = control
            .drain()
            .filter_map(|message| match message {
                RecvAncillaryMessage::ScmRights(fds) => Some(fds),
                _ => None,
            })
            .flatten()
            .collect();
        (String::from_utf8(text[..got.bytes].to_vec()).unwrap(), fds)
    }

    /// Skips messages until one contains `part`.
    fn wait_for(&self, part: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let (text, _) = self.receive();
            if text.contains(part) {
                return text;
            }
            assert!(Instant::now() < deadline, "no `{part}`, at last `{text}`");
        }
    }

    fn child(&self, mut command: Command) -> Running {
        command.env("NOTIFY_SOCKET", self.dir.path().join("notify"));
        Running(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap())
    }
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Not a test by itself: the process that `a_store_is_filled_and_emptied` starts.
#[test]
fn stand_in() {
    if std::env::var_os("PENSTOCK_STAND_IN").is_none() {
        return;
    }
    let (reader, writer) = io::pipe().unwrap();
    let manager = ServiceManager::new(BDF.to_owned(), vec!["older".to_owned()]);
    manager.keep(&HeldFds { device: reader.into(), container: writer.into() }).unwrap();
    manager.forget().unwrap();
    sd_notify::notify(&[sd_notify::NotifyState::Status("forgotten")]).unwrap();
    manager.forget().unwrap();
}

#[test]
fn a_store_is_filled_and_emptied() {
    let manager = Manager::new();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "stand_in"]).env("PENSTOCK_STAND_IN", "1");
    let mut child = manager.child(command);
    let [device, container] = HeldFds::names(BDF);
    let removal = |name: &str| format!("FDSTOREREMOVE=1\nFDNAME={name}\n");
    assert_eq!(manager.receive().0, removal("older"));
    assert_eq!(manager.receive().0, "BARRIER=1\n");
    let mut kept = Vec::new();
    for name in [&device, &container] {
        let (text, mut fds) = manager.receive();
        assert_eq!(text, format!("FDSTORE=1\nFDNAME={name}\nFDPOLL=0\n"));
        assert_eq!(fds.len(), 1);
        kept.push(File::from(fds.remove(0)));
    }
    kept[1].write_all(b"!").unwrap();
    let mut byte = [0];
    kept[0].read_exact(&mut byte).unwrap();
    for name in [&device, &container] {
        assert_eq!(manager.receive().0, removal(name));
    }
    let (text, barrier) = manager.receive();
    assert_eq!((text.as_str(), barrier.len()), ("BARRIER=1\n", 1));
    // Whoever waits for the barrier is still waiting.
    manager.socket.set_nonblocking(true).unwrap();
    assert!(manager.socket.recv(&mut [0; 64]).is_err());
    manager.socket.set_nonblocking(false).unwrap();
    drop(barrier);
    assert_eq!(manager.receive().0, "STATUS=forgotten\n");
    assert!(child.0.wait().unwrap().success());
}

fn daemon(manager: &Manager, device: &str) -> Command {
    let dir = manager.dir.path();
    std::fs::create_dir(dir.join("manifests")).unwrap();
    std::fs::write(dir.join("node.yaml"), "name: n\n").unwrap();
    // As a service manager does it: the process that runs the daemon is told its own number.
    let mut command = Command::new("sh");
    command
        .args(["-c", "export LISTEN_PID=$$; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_penstockd")])
        .args(["--node".as_ref(), dir.join("node.yaml").as_os_str()])
        .args(["--manifests".as_ref(), dir.join("manifests").as_os_str()])
        .args(["--api".as_ref(), dir.join("api.sock").as_os_str()])
        .args(["--device", device]);
    command
}

fn terminate(child: &Child) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
}

#[test]
fn the_service_manager_hears_of_the_daemon() {
    let manager = Manager::new();
    let mut child = manager.child(daemon(&manager, "vfio-user:/nonexistent/card.sock"));
    manager.wait_for("READY=1");
    let why = manager.wait_for("STATUS=failing");
    assert!(why.contains("cannot connect to the card"), "{why}");
    terminate(&child.0);
    manager.wait_for("STOPPING=1");
    assert!(child.0.wait().unwrap().success());
}

#[test]
fn descriptors_that_are_no_card_are_given_up_and_the_card_is_opened_anew() {
    let manager = Manager::new();
    let mut command = daemon(&manager, "pci:ffff:3b:00.0");
    let names = HeldFds::names("ffff:3b:00.0");
    let null = || OwnedFd::from(File::open("/dev/null").unwrap());
    let mappings = (3..5).map(|child_fd| FdMapping { parent_fd: null(), child_fd }).collect();
    command.fd_mappings(mappings).unwrap();
    command.env("LISTEN_FDS", "2").env("LISTEN_FDNAMES", names.join(":"));
    let mut child = manager.child(command);
    for name in &names {
        manager.wait_for(&format!("FDSTOREREMOVE=1\nFDNAME={name}"));
    }
    manager.wait_for("BARRIER=1");
    let why = manager.wait_for("STATUS=failing");
    assert!(why.contains("ffff:3b:00.0"), "{why}");
    terminate(&child.0);
    let mut log = String::new();
    child.0.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert!(log.contains("cannot be adopted as the last daemon left it, opening it anew"), "{log}");
}

#[test]
fn a_daemon_that_lives_feeds_the_watchdog() {
    let manager = Manager::new();
    let mut command = daemon(&manager, "vfio-user:/nonexistent/card.sock");
    command.env("WATCHDOG_USEC", "1000000");
    let mut child = manager.child(command);
    manager.wait_for("READY=1");
    for _ in 0..3 {
        manager.wait_for("WATCHDOG=1");
    }
    terminate(&child.0);
    manager.wait_for("STOPPING=1");
    assert!(child.0.wait().unwrap().success());
}

#[test]
fn descriptors_of_a_card_that_is_not_used_any_more_are_given_back() {
    let manager = Manager::new();
    let mut command = daemon(&manager, "vfio-user:/nonexistent/card.sock");
    let names = HeldFds::names("ffff:5e:00.0");
    let null = || OwnedFd::from(File::open("/dev/null").unwrap());
    let mappings = (3..5).map(|child_fd| FdMapping { parent_fd: null(), child_fd }).collect();
    command.fd_mappings(mappings).unwrap();
    command.env("LISTEN_FDS", "2").env("LISTEN_FDNAMES", names.join(":"));
    let mut child = manager.child(command);
    for name in &names {
        manager.wait_for(&format!("FDSTOREREMOVE=1\nFDNAME={name}"));
    }
    manager.wait_for("READY=1");
    terminate(&child.0);
    assert!(child.0.wait().unwrap().success());
}
