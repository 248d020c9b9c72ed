//! A network of its own for each test, with FRR or GoBGP and speakers of this crate in it.
//!
//! A test runs itself again in fresh user, network and process namespaces: whatever it starts ends with it, and no privileges
//! are needed. The routing daemons lie below `.tools/peers` (`cargo xtask setup`), and run by their own loader.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use imbl::OrdMap;
use penstock_bgp::{
    Attributes, RouteDistinguisher, RouteTarget, SessionConfig, VpnPath, VpnPrefix, offering,
};
use penstock_model::{Encapsulation, MplsLabel};
use penstock_routed::{Heard, Peer, Told};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Where the tests' nodes are, as in the book: a reflector, two nodes, a router.
pub(crate) const REFLECTOR: Ipv4Addr = Ipv4Addr::new(10, 169, 25, 19);
pub(crate) const NODE: Ipv4Addr = Ipv4Addr::new(10, 169, 25, 20);
pub(crate) const OTHER: Ipv4Addr = Ipv4Addr::new(10, 169, 25, 21);
pub(crate) const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 169, 25, 22);
pub(crate) const AS: u32 = 64512;

const INSIDE: &str = "PENSTOCK_TEST_NAMESPACE";
/// How long anything that is waited for may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `body` in namespaces of its own; `test` is the test's name.
pub(crate) fn in_namespace(test: &str, body: impl FnOnce(&Path)) {
    if std::env::var_os(INSIDE).is_none() {
        let mut unshare = Command::new("unshare");
        unshare.args(["-Urnpf", "--kill-child"]).arg(std::env::current_exe().unwrap());
        unshare.args([test, "--exact", "--nocapture"]).env(INSIDE, "1");
        let status = unshare.status().expect("unshare is there");
        assert!(status.success(), "see above");
        return;
    }
    run(Command::new("ip").args(["link", "set", "lo", "up"]));
    for address in [REFLECTOR, NODE, OTHER, ROUTER] {
        run(Command::new("ip").args(["address", "add", &format!("{address}/32"), "dev", "lo"]));
    }
    let folder = TempDir::new().unwrap();
    body(folder.path());
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// Waits until something is there.
#[track_caller]
pub(crate) fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "{what}: not after {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A program of `.tools/peers`, by the loader and libraries that came with it.
fn program(root: &str, path: &str) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/peers").join(root);
    let loader = root.join("usr/lib64/ld-linux-x86-64.so.2");
    assert!(loader.exists(), "{} is not there: run `cargo xtask setup`", loader.display());
    let libraries = root.join("usr/lib/x86_64-linux-gnu");
    let path_list = format!("{}:{}", libraries.display(), libraries.join("frr").display());
    let mut command = Command::new(loader);
    command.arg("--library-path").arg(path_list).arg(root.join(path));
    command
}

/// A daemon that ends with the value.
pub(crate) struct Daemon(Child);

impl Daemon {
    fn start(mut command: Command, log: &Path) -> Self {
        let log = File::create(log).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        Self(command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }
}

impl Drop for Daemon {
    /// kill -9: it says goodbye to nobody.
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// GoBGP as route reflector of the nodes.
pub(crate) struct GoBgp {
    _daemon: Daemon,
}

impl GoBgp {
    /// Starts it; `families` and `more` are of each neighbour.
    pub(crate) fn start(
        folder: &Path,
        families: &[&str],
        graceful: &str,
        long_lived: Option<u32>,
    ) -> Self {
        let mut config = format!(
            "[global.config]\n as = {AS}\n router-id = \"{REFLECTOR}\"\n local-address-list = [\"{REFLECTOR}\"]\n"
        );
        for neighbour in [NODE, OTHER] {
            config += &format!(
                r#"
[[neighbors]]
  [neighbors.config]
    neighbor-address = "{neighbour}"
    peer-as = {AS}
  [neighbors.transport.config]
    local-address = "{REFLECTOR}"
    passive-mode = true
  [neighbors.route-reflector.config]
    route-reflector-client = true
    route-reflector-cluster-id = "{REFLECTOR}"
  [neighbors.graceful-restart.config]
    {graceful}
"#
            );
            for family in families {
                config += &format!(
                    "  [[neighbors.afi-safis]]\n    [neighbors.afi-safis.config]\n      afi-safi-name = \"{family}\"\n"
                );
                config +=
                    "    [neighbors.afi-safis.mp-graceful-restart.config]\n      enabled = true\n";
                if let Some(seconds) = long_lived.filter(|_| *family != "rtc") {
                    config += &format!(
                        "    [neighbors.afi-safis.long-lived-graceful-restart.config]\n      enabled = true\n      restart-time = {seconds}\n"
                    );
                }
            }
        }
        let file = folder.join("gobgp.toml");
        fs::write(&file, config).unwrap();
        let mut command = program("gobgp", "usr/bin/gobgpd");
        command.arg("-f").arg(&file).args(["--api-hosts", "127.0.0.1:50051"]);
        let daemon = Daemon::start(command, &folder.join("gobgp.log"));
        let gobgp = Self { _daemon: daemon };
        wait("GoBGP answers", || gobgp.try_ask(&["global"]));
        gobgp
    }

    fn try_ask(&self, arguments: &[&str]) -> Option<String> {
        let mut command = program("gobgp", "usr/bin/gobgp");
        let output = command.args(arguments).output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    }

    pub(crate) fn ask(&self, arguments: &[&str]) -> String {
        run(program("gobgp", "usr/bin/gobgp").args(arguments))
    }

    /// Adds or takes away a route, as a router would have it.
    pub(crate) fn route(&self, how: &str, prefix: &str, label: u32) {
        let text = format!(
            "global rib {how} -a vpnv4 {prefix} label {label} rd {ROUTER}:7 rt {AS}:100 encap gre nexthop {ROUTER}"
        );
        self.ask(&text.split(' ').collect::<Vec<_>>());
    }

    /// Its VPN routes: prefix with distinguisher, label, whether it is kept as stale; in order.
    pub(crate) fn routes(&self) -> Vec<(String, u64, bool)> {
        let text = self.ask(&["global", "rib", "-a", "vpnv4", "-j"]);
        let table: Value = serde_json::from_str(&text).unwrap();
        let mut routes = Vec::new();
        for (prefix, paths) in table.as_object().into_iter().flatten() {
            for path in paths.as_array().into_iter().flatten() {
                let label = path["nlri"]["labels"][0].as_u64().unwrap();
                routes.push((prefix.clone(), label, path["stale"].as_bool() == Some(true)));
            }
        }
        routes.sort();
        routes
    }
}

/// FRR's bgpd as a router, without its kernel's part.
pub(crate) struct Frr {
    _daemon: Daemon,
    folder: PathBuf,
}

impl Frr {
    /// Starts it with one neighbour, [`NODE`], to be reached at `neighbour`.
    pub(crate) fn start(folder: &Path, neighbour: Ipv4Addr, more: &str) -> Self {
        let config = format!(
            "hostname router
router bgp {AS}
 bgp router-id {ROUTER}
 no bgp default ipv4-unicast
{more}
 neighbor {neighbour} remote-as {AS}
 neighbor {neighbour} update-source {ROUTER}
 neighbor {neighbour} passive
 address-family ipv4 vpn
  network 10.50.0.0/24 rd {AS}:1 label 100
  neighbor {neighbour} activate
 exit-address-family
exit
"
        );
        let file = folder.join("frr.conf");
        fs::write(&file, config).unwrap();
        let _ = fs::remove_file(folder.join("bgpd.vty"));
        let mut command = program("frr", "usr/lib/frr/bgpd");
        command.arg("-f").arg(&file).arg("-i").arg(folder.join("bgpd.pid"));
        command.args(["-Z", "-S", "-P", "0", "-l", &ROUTER.to_string()]);
        command.arg("--vty_socket").arg(folder);
        let daemon = Daemon::start(command, &folder.join("frr.log"));
        wait("FRR answers", || UnixStream::connect(folder.join("bgpd.vty")).ok());
        Self { _daemon: daemon, folder: folder.to_owned() }
    }

    /// What it says to commands, the last of them: by the socket that vtysh uses.
    pub(crate) fn ask(&self, commands: &[&str]) -> String {
        let mut socket = UnixStream::connect(self.folder.join("bgpd.vty")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut last = String::new();
        for command in ["enable"].iter().chain(commands) {
            socket.write_all(format!("{command}\0").as_bytes()).unwrap();
            let mut answer = Vec::new();
            // An answer ends with three zeros and a status.
            while !matches!(answer.as_slice(), [.., 0, 0, 0, _]) {
                let mut part = [0; 4096];
                let count = socket.read(&mut part).unwrap();
                assert!(count > 0, "{command}: no answer");
                answer.extend(&part[..count]);
            }
            answer.truncate(answer.len() - 4);
            last = String::from_utf8_lossy(&answer).into_owned();
        }
        last
    }

    /// Changes its routes.
    pub(crate) fn network(&self, command: &str) {
        let router = format!("router bgp {AS}");
        let said = self.ask(&["configure terminal", &router, "address-family ipv4 vpn", command]);
        assert_eq!(said.trim(), "", "{command}");
    }

    /// Prefixes of its VPN routes.
    pub(crate) fn routes(&self) -> Vec<String> {
        let table: Value =
            serde_json::from_str(&self.ask(&["show bgp ipv4 vpn json"])).unwrap_or_default();
        let mut routes = Vec::new();
        let domains = table["routes"]["routeDistinguishers"].as_object().into_iter().flatten();
        for (distinguisher, prefixes) in domains {
            let prefixes = prefixes.as_object().into_iter().flatten();
            routes.extend(prefixes.map(|(prefix, _)| format!("{distinguisher}:{prefix}")));
        }
        routes.sort();
        routes
    }
}

/// A speaker of this crate.
pub(crate) struct Speaker {
    runtime: Runtime,
    task: JoinHandle<()>,
    told: watch::Sender<Arc<Told>>,
    heard: watch::Receiver<Heard>,
}

/// What a test's speaker is like, but for its address.
pub(crate) fn config(node: Ipv4Addr) -> SessionConfig {
    SessionConfig {
        retry: Duration::from_millis(500),
        target_wait: Duration::from_secs(5),
        ..SessionConfig::new(AS, AS, node)
    }
}

impl Speaker {
    pub(crate) fn start(
        session: SessionConfig,
        to: impl Into<SocketAddr>,
        told: Told,
        restarted: bool,
    ) -> Self {
        let from = IpAddr::V4(session.identifier);
        let peer = Peer {
            name: "peer".into(),
            address: to.into(),
            from: Some(from),
            session: session.clone(),
            restarted,
        };
        let now = Instant::now();
        let first = Heard {
            learned: OrdMap::new(),
            settled: false,
            status: penstock_bgp::Session::new(session, restarted, now).status(),
        };
        let runtime = Runtime::new().unwrap();
        let (told, told_there) = watch::channel(Arc::new(told));
        let (heard_there, heard) = watch::channel(first);
        let task = runtime.spawn(penstock_routed::run(peer, told_there, heard_there));
        Self { runtime, task, told, heard }
    }

    pub(crate) fn tell(&self, told: Told) {
        self.told.send_replace(Arc::new(told));
    }

    pub(crate) fn heard(&self) -> Heard {
        self.heard.borrow().clone()
    }

    #[track_caller]
    pub(crate) fn wait(&self, what: &str, until: impl Fn(&Heard) -> bool) -> Heard {
        let start = Instant::now();
        loop {
            let heard = self.heard();
            if until(&heard) {
                return heard;
            }
            assert!(start.elapsed() < PATIENCE, "{what}: {:?}, {:?}", heard.status, shown(&heard));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it as kill -9 would: the kernel closes its connection.
    pub(crate) fn kill(self) {
        self.task.abort();
        self.runtime.shutdown_timeout(Duration::from_secs(5));
    }
}

/// A connection from one of this machine's addresses.
pub(crate) fn connect_from(from: Ipv4Addr, to: (Ipv4Addr, u16)) -> TcpStream {
    let runtime = Runtime::new().unwrap();
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind((from, 0).into()).unwrap();
        socket.connect(to.into()).await.unwrap().into_std().unwrap()
    });
    stream.set_nonblocking(false).unwrap();
    stream
}

/// What was heard, as text.
pub(crate) fn shown(heard: &Heard) -> Vec<String> {
    let routes = heard.learned.iter().map(|(prefix, learned)| {
        let stale = if learned.long_lived_stale { " stale" } else { "" };
        format!("{prefix} {}{stale}", learned.path.label)
    });
    routes.collect()
}

/// Pods of a node, told with labels from 25.
pub(crate) fn pods(node: Ipv4Addr, hosts: std::ops::Range<u8>, number: u32) -> Told {
    let mut extended = offering(&[Encapsulation::MplsOverUdp, Encapsulation::MplsOverGre]);
    extended.push(target(number).community());
    let attributes = Arc::new(Attributes::of_node(node, extended));
    let route = |host: u8| {
        let prefix = VpnPrefix {
            distinguisher: RouteDistinguisher::of_node(node, 2),
            prefix: ipnet::Ipv4Net::new(Ipv4Addr::new(10, 47, 255, host), 32).unwrap(),
        };
        let label = MplsLabel(25 + u32::from(host));
        (prefix, VpnPath { label, attributes: attributes.clone() })
    };
    Told {
        routes: hosts.map(route).collect(),
        complete: true,
        targets: [target(100)].into(),
        preserved: true,
    }
}

pub(crate) fn target(number: u32) -> RouteTarget {
    RouteTarget::new(AS, number).unwrap()
}
