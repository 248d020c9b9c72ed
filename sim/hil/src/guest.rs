//! The virtual machine: a Debian kernel under QEMU, behind an emulated Intel IOMMU, with the card's function and a shell.
//!
//! The guest's only program besides those under test is busybox. Its init loads modules and then executes, one after the
//! other, the command lines that arrive on a virtio channel; what they print goes back, then a line `@exit CODE`. (Not on a
//! serial port: a guest that is late to read its sixteen bytes loses some.)
//! So a scenario is a program on this side, and reads like a script of an operator's. The console goes to the log.
//!
//! A guest with a service manager has systemd as its process 1 instead, and the same shell as a service of it. What services
//! print goes to its journal.

use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::ops::ControlFlow;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::card::tied;
use crate::initrd::{self, Initrd};
use crate::log::Log;
use crate::manager;

/// From start to the shell; 3 s on an idle machine.
const BOOT_TIMEOUT: Duration = Duration::from_secs(60);
/// For a command, unless it is given another.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a condition in the guest is looked at again.
const POLL: Duration = Duration::from_millis(100);
/// Modules of every guest: for the card's function, and for the channel to its shell.
const MODULES: [&str; 4] = ["vfio-pci", "vfio_iommu_type1", "virtio_pci", "virtio_console"];
/// Memory of the guest.
const MEMORY: &str = "512M";
/// How the guest's kernel names the card's function.
pub(crate) const FUNCTION: &str = "0000:01:00.0";

/// What comes before anything else. The root is moved out of the kernel's own one, in which no mount namespace can change
/// its root, as a service manager's sandboxes do.
const INIT: &str = r#"#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
chmod 1777 /tmp
for module in $(cat /modules/order); do insmod /modules/$module; done
ip link set lo up
if [ -x /lib/systemd/systemd ]; then
  mkdir -p /root.new
  mount -t tmpfs root /root.new
  cp -a /bin /etc /lib /lib64 /usr /shell /root.new/
  cd /root.new; mkdir -m 1777 -p proc sys dev run tmp var/tmp
  for folder in proc sys dev; do mount --move /$folder $folder; done
  mount -t tmpfs -o mode=755 run run
  exec switch_root /root.new /lib/systemd/systemd
fi
mkdir -p /run/penstock; chown penstock:penstock /run/penstock
exec /bin/busybox sh /shell
"#;

/// Executes the command lines that arrive. A write to the channel waits for its other end; a read before that sees an end.
const SHELL: &str = r#"exec 3<>/dev/vport0p1
export PATH=/usr/bin:/bin HOME=/ TERM=dumb
echo "@ready" >&3
while read -r line <&3; do
  ( eval "$line" ) </dev/null >&3 2>&1
  printf '\n@exit %s\n' $? >&3
done
poweroff -f
"#;

/// What a guest is made of.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    /// Folder with QEMU and the guest's packages, as `cargo xtask setup` leaves it.
    pub(crate) tools: &'a Path,
    /// Programs of this machine: path here, path there.
    pub(crate) programs: Vec<(PathBuf, &'static str)>,
    /// Files: content, path there.
    pub(crate) files: Vec<(Vec<u8>, PathBuf)>,
    /// Kernel modules besides those of VFIO.
    pub(crate) modules: &'a [&'a str],
    /// Sockets of card ports that become interfaces `eth0`, `eth1`... of the guest.
    pub(crate) interfaces: Vec<PathBuf>,
    /// Socket of the card's function; without it the guest has none.
    pub(crate) card: Option<&'a Path>,
    /// Whether there is an IOMMU.
    pub(crate) iommu: bool,
    /// Whether systemd runs it.
    pub(crate) service_manager: bool,
    /// Further arguments for QEMU.
    pub(crate) extra: Vec<String>,
}

impl<'a> Plan<'a> {
    /// A guest with an IOMMU and the card's function, without programs.
    pub(crate) fn new(tools: &'a Path, card: &'a Path) -> Self {
        Self {
            tools,
            programs: Vec::new(),
            files: Vec::new(),
            modules: &[],
            interfaces: Vec::new(),
            card: Some(card),
            iommu: true,
            service_manager: false,
            extra: Vec::new(),
        }
    }
}

/// A running virtual machine. Ends with this value.
#[derive(Debug)]
pub(crate) struct Guest {
    child: Child,
    shell: BufReader<UnixStream>,
    log: Log,
}

impl Guest {
    /// Boots it and waits for its shell.
    pub(crate) fn boot(plan: &Plan<'_>, folder: &Path, log: &Log) -> Result<Self> {
        let guest = plan.tools.join("guest");
        let kernel = only(&guest.join("boot"), "vmlinuz-")?;
        let initrd = folder.join("initrd");
        std::fs::write(&initrd, archive(plan, &guest)?)?;
        let socket = folder.join("shell.sock");
        // A scenario may boot more than once.
        let _ = std::fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket)?;
        let mut child = qemu(plan, &kernel, &initrd, &socket)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start QEMU")?;
        log.follow("console", child.stdout.take().context("no output")?, |_| {});
        log.follow("qemu", child.stderr.take().context("no output")?, |_| {});
        let shell = accept(&listener, &mut child)?;
        let mut guest = Self { child, shell: BufReader::new(shell), log: log.clone() };
        let deadline = Instant::now() + BOOT_TIMEOUT;
        while guest.line(deadline).context("the guest does not boot")? != "@ready" {}
        log.line("guest", "booted");
        Ok(guest)
    }

    /// Runs a command line of busybox's shell and returns what it printed; its exit code must be 0.
    pub(crate) fn run(&mut self, command: &str) -> Result<String> {
        let (code, output) = self.attempt(command)?;
        if code != 0 {
            bail!("`{command}` failed in the guest with exit code {code}:\n{}", output.trim_end());
        }
        Ok(output)
    }

    /// Runs a command line and returns its exit code and what it printed.
    pub(crate) fn attempt(&mut self, command: &str) -> Result<(i32, String)> {
        self.attempt_within(command, COMMAND_TIMEOUT)
    }

    /// As [`Guest::attempt`] with a time-out of its own.
    pub(crate) fn attempt_within(
        &mut self,
        command: &str,
        timeout: Duration,
    ) -> Result<(i32, String)> {
        let mut output = String::new();
        let code = self.watch(command, timeout, |line| {
            output.push_str(line);
            output.push('\n');
            Ok(ControlFlow::Continue(()))
        })?;
        // The line that parts the output from the marker.
        if output.ends_with("\n\n") || output == "\n" {
            output.pop();
        }
        Ok((code.unwrap_or_default(), output))
    }

    /// Runs a command line and shows `each` line as it is printed. Returns the exit code; none if `each` has seen enough, in
    /// which case the command goes on, and nothing else can be run.
    pub(crate) fn watch(
        &mut self,
        command: &str,
        timeout: Duration,
        mut each: impl FnMut(&str) -> Result<ControlFlow<()>>,
    ) -> Result<Option<i32>> {
        self.log.line("guest", &format!("$ {command}"));
        let line = format!("{command}\n");
        self.shell.get_mut().write_all(line.as_bytes()).context("the guest's shell is gone")?;
        let deadline = Instant::now() + timeout;
        loop {
            let line = self.line(deadline).with_context(|| format!("in `{command}`"))?;
            if let Some(code) = line.strip_prefix("@exit ") {
                return Ok(Some(code.trim().parse().context("an exit code")?));
            }
            if !line.is_empty() {
                self.log.line("guest", &line);
            }
            if each(&line)?.is_break() {
                return Ok(None);
            }
        }
    }

    /// Writes a file, whole or not at all.
    pub(crate) fn write(&mut self, path: &str, content: &str) -> Result<()> {
        let octal: String = content.bytes().map(|byte| format!("\\0{byte:03o}")).collect();
        self.run(&format!("echo -ne '{octal}' >{path}.new && mv {path}.new {path}")).map(|_| ())
    }

    /// Waits until `condition` returns a value; it may run commands.
    pub(crate) fn wait_for<T>(
        &mut self,
        what: &str,
        timeout: Duration,
        mut condition: impl FnMut(&mut Self) -> Result<Option<T>>,
    ) -> Result<T> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(value) = condition(self)? {
                return Ok(value);
            }
            if Instant::now() > deadline {
                bail!("{what}: not within {} s", timeout.as_secs());
            }
            std::thread::sleep(POLL);
        }
    }

    /// Powers the guest off and waits for the end of QEMU, which must be a good one.
    pub(crate) fn power_off(mut self) -> Result<()> {
        self.log.line("guest", "$ poweroff -f");
        self.shell.get_mut().write_all(b"poweroff -f\n").context("the guest's shell is gone")?;
        let deadline = Instant::now() + COMMAND_TIMEOUT;
        loop {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "QEMU ended with {status}");
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "the guest does not power off");
            std::thread::sleep(POLL);
        }
    }

    fn line(&mut self, deadline: Instant) -> Result<String> {
        let mut line = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                bail!("no answer in time; it said: {}", String::from_utf8_lossy(&line));
            }
            self.shell.get_ref().set_read_timeout(Some(left))?;
            match self.shell.read_until(b'\n', &mut line) {
                Ok(0) => bail!("the virtual machine has ended"),
                Ok(_) if line.ends_with(b"\n") => {
                    let text = String::from_utf8_lossy(&line);
                    return Ok(text.trim_end_matches(['\r', '\n']).to_owned());
                }
                Ok(_) => {}
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(e) => return Err(e).context("the guest's shell"),
            }
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn accept(listener: &UnixListener, child: &mut Child) -> Result<UnixStream> {
    listener.set_nonblocking(true)?;
    let deadline = Instant::now() + BOOT_TIMEOUT;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                return Ok(stream);
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            Err(e) => return Err(e.into()),
        }
        if let Some(status) = child.try_wait()? {
            bail!("QEMU ended at once ({status})");
        }
        if Instant::now() > deadline {
            bail!("QEMU does not start");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The only file in `folder` whose name starts with `prefix`.
fn only(folder: &Path, prefix: &str) -> Result<PathBuf> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("no {} (`cargo xtask setup`)", folder.display()))?;
    let mut found = entries.flatten().map(|entry| entry.path()).filter(|path| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix))
    });
    found.next().with_context(|| format!("no {prefix}* in {}", folder.display()))
}

fn archive(plan: &Plan<'_>, guest: &Path) -> Result<Vec<u8>> {
    let mut archive = Initrd::default();
    for folder in ["/proc", "/sys", "/dev", "/run", "/bin", "/tmp"] {
        archive.folder(Path::new(folder));
    }
    archive.file(Path::new("/init"), 0o755, INIT.as_bytes());
    archive.file(Path::new("/shell"), 0o755, SHELL.as_bytes());
    archive.copy(&guest.join("bin/busybox"), Path::new("/bin/busybox"), 0o755)?;
    // A service manager makes the daemon's user itself.
    let (user, group) = if plan.service_manager {
        ("", "")
    } else {
        ("penstock:x:990:990::/:/bin/sh\n", "penstock:x:990:\n")
    };
    let passwd = format!("root:x:0:0::/:/bin/sh\n{user}");
    archive.file(Path::new("/etc/passwd"), 0o644, passwd.as_bytes());
    archive.file(Path::new("/etc/group"), 0o644, format!("root:x:0:\n{group}").as_bytes());
    let kernel = only(&guest.join("lib/modules"), "")?;
    let wanted: Vec<&str> = MODULES.iter().chain(plan.modules).copied().collect();
    let mut order = String::new();
    for module in initrd::modules(&kernel, &wanted)? {
        let name = module.file_name().context("a module has a name")?.to_string_lossy();
        archive.copy(&module, &Path::new("/modules").join(&*name), 0o644)?;
        order.push_str(&name);
        order.push('\n');
    }
    archive.file(Path::new("/modules/order"), 0o644, order.as_bytes());
    for (source, path) in &plan.programs {
        archive.program(source, Path::new(path))?;
    }
    for (content, path) in &plan.files {
        archive.file(path, 0o644, content);
    }
    if plan.service_manager {
        manager::add(&mut archive, &plan.tools.join("systemd"))?;
    }
    Ok(archive.finish())
}

fn qemu(plan: &Plan<'_>, kernel: &Path, initrd: &Path, shell: &Path) -> Command {
    let root = plan.tools.join("qemu");
    let libraries = root.join("usr/lib/x86_64-linux-gnu");
    let mut qemu = tied(&root.join("usr/lib64/ld-linux-x86-64.so.2"));
    qemu.env("QEMU_MODULE_DIR", libraries.join("qemu"));
    qemu.arg("--library-path").arg(&libraries);
    qemu.arg(root.join("usr/bin/qemu-system-x86_64"));
    qemu.arg("-L").arg(root.join("usr/share/qemu")).arg("-L").arg(root.join("usr/share/seabios"));
    // Emulated, even where /dev/kvm exists: it may be unable to run a stock kernel. Memory is shared, or the card would write
    // to other pages than the guest reads.
    qemu.args(["-M", "q35,accel=tcg,kernel-irqchip=split,memory-backend=memory"]);
    qemu.args(["-cpu", "max", "-smp", "1", "-m", MEMORY]);
    qemu.args(["-object", &format!("memory-backend-memfd,id=memory,size={MEMORY},share=on")]);
    qemu.args(["-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio"]);
    qemu.arg("-chardev").arg(format!("socket,id=shell,path={}", shell.display()));
    if plan.iommu {
        // Before the functions behind it; without caching-mode QEMU does not see what the guest maps.
        qemu.args(["-device", "intel-iommu,intremap=on,caching-mode=on"]);
    }
    qemu.args(["-device", "virtio-serial-pci", "-device", "virtserialport,chardev=shell"]);
    qemu.args(["-device", "pcie-root-port,id=port1,chassis=1,slot=1"]);
    if let Some(card) = plan.card {
        let path = serde_json::json!({
            "driver": "vfio-user-pci", "bus": "port1", "socket": { "type": "unix", "path": card }
        });
        qemu.arg("-device").arg(path.to_string());
    }
    for (i, socket) in plan.interfaces.iter().enumerate() {
        qemu.arg("-netdev").arg(format!(
            "stream,id=net{i},server=off,addr.type=unix,addr.path={}",
            socket.display()
        ));
        // Plain frames: the card knows nothing of offloads that are left to the receiver.
        qemu.arg("-device").arg(format!(
            "virtio-net-pci,netdev=net{i},mac=52:54:00:00:00:{:02x},romfile=,csum=off,gso=off,guest_csum=off,guest_tso4=off,guest_tso6=off,guest_ufo=off,guest_ecn=off,host_tso4=off,host_tso6=off,host_ufo=off,host_ecn=off,mrg_rxbuf=off",
            i + 1
        ));
    }
    qemu.args(&plan.extra);
    qemu.arg("-kernel").arg(kernel).arg("-initrd").arg(initrd);
    // An emulated timer comes late on a loaded machine; the kernel would take it for broken.
    let options = "console=ttyS0 panic=-1 quiet intel_iommu=on mitigations=off no_timer_check";
    qemu.args(["-append", options]);
    qemu
}
