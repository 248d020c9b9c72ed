//! The chapter's story, step by step.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use penstock_lab::download::{Download, Wanted};
use penstock_lab::testbed::{Testbed, VRF, wait, without_endpoint};
use serde_json::Value;

use super::report::Report;

const CLIENT: &str = "client";
const NODE_A: &str = "cent222";
const NODE_B: &str = "cent333";
const LOCAL_POD: &str = "webserver-846c9ccb8b-xkjpw";
const REMOTE_POD: &str = "webserver-846c9ccb8b-g27dj";
const REMOTE_IP: &str = "10.47.255.238";
const LOCAL_IP: &str = "10.47.255.236";
const SERVICE: &str = "service-web-clusterip";
const VIP: &str = "10.105.139.153";
const SERVICE_MP: &str = "service-web-clusterip-mp";
const VIP_MP: &str = "10.101.102.27";
const SERVICE_TP: &str = "service-web-two-pods";
const VIP_TP: &str = "10.101.102.28";
/// Pods with a web server on the first node.
const LOCAL_WEB: [&str; 2] = [LOCAL_IP, "10.47.255.234"];
/// What the node's kernel leads to its card.
const RANGES: [&str; 4] = ["--pod-cidr", "10.47.255.0/24", "--service-cidr", "10.96.0.0/12"];
/// Time for anything that two simulated cards on a busy machine do.
const PATIENCE: Duration = Duration::from_secs(60);
/// Requests spread over the backends.
const REQUESTS: usize = 20;
/// Bytes of the download that is looked at.
const LONG_BYTES: usize = 1_000_000;
/// Its pace, slow enough to look at it.
const LONG_RATE: usize = 100_000;
/// Bytes of the download at full speed.
const FULL_BYTES: usize = 10_000_000;

/// The story with what it needs.
pub(crate) struct Story<'a> {
    manifests: PathBuf,
    bed: &'a Testbed,
    report: &'a mut Report,
}

impl<'a> Story<'a> {
    pub(crate) fn new(root: &Path, bed: &'a Testbed, report: &'a mut Report) -> Self {
        Story { manifests: root.join("tests/manifests"), bed, report }
    }

    /// Tells all of it. An error means that it makes no sense to go on; a check that fails does not.
    pub(crate) fn tell(mut self) -> Result<()> {
        self.testbed()?;
        self.service()?;
        self.spread();
        self.long_download();
        self.full_speed();
        self.two_ports()?;
        self.two_pods()?;
        self.node();
        self.removal()
    }

    fn manifest(&self, path: &str) -> Result<String> {
        let path = self.manifests.join(path);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// Runs `penstock` for a node and shows what it prints.
    fn show(&self, node: &str, arguments: &[&str]) -> Result<String> {
        let output = self.bed.penstock(node, arguments)?;
        self.report.shown(node, &format!("penstock {}", arguments.join(" ")), &output);
        Ok(output)
    }

    fn testbed(&mut self) -> Result<()> {
        let ready = self.bed.wait_ready(PATIENCE);
        for node in [NODE_A, NODE_B] {
            self.show(node, &["status"])?;
        }
        let works = ready.is_ok();
        self.report
            .check("both cards forward, their firmware is ready, the nodes know each other", ready);
        ensure!(works, "the testbed does not work");
        let ping = ["ping", "-c", "3", "-W", "5", REMOTE_IP];
        let output = self.bed.exec(CLIENT, &ping)?;
        let text = String::from_utf8_lossy(&output.stdout);
        self.report.shown(CLIENT, &ping.join(" "), &text);
        let result =
            if output.status.success() { Ok(()) } else { Err(anyhow::anyhow!("no reply")) };
        self.report.check("the client's pings reach the pod on the other node", result);
        Ok(())
    }

    fn service(&mut self) -> Result<()> {
        self.report.chapter("The service: its cluster IP becomes a route to two members");
        for name in ["pods.yaml", "service-web-clusterip.yaml"] {
            let text = self.manifest(&format!("chapter/manifests/{name}"))?;
            self.bed.apply(name, &text)?;
            self.report.say(&format!("applied {name}"));
        }
        let members = self.bed.wait_members(SERVICE, 2, PATIENCE);
        let vrf = VRF.to_string();
        self.show(NODE_A, &["rt", "--get", &format!("{VIP}/32"), "--vrf", &vrf])?;
        let explained = self.show(NODE_A, &["explain", "svc", &format!("ns-user-1/{SERVICE}")])?;
        self.show(NODE_B, &["explain", "svc", &format!("ns-user-1/{SERVICE}")])?;
        let works = members.is_ok();
        self.report.check("both cards have the route with two members", members);
        ensure!(works, "the service is not on the cards");
        let line = "ECMP Composite sub nh count: 2";
        self.report.check(line, contains(&explained, &[line]));
        let route = self.bed.json(NODE_A, &["explain", "svc", &format!("ns-user-1/{SERVICE}")])?;
        let id = route["routes"][0]["next_hop"].to_string();
        let hop = self.show(NODE_A, &["nh", "--get", &id])?;
        let paths = ["Composite", "Sip:10.169.25.20 Dip:10.169.25.21", "Oif:8"];
        self.report.check(
            "its members are the tunnel to cent333 and the local pod's vif",
            contains(&hop, &paths),
        );
        Ok(())
    }

    /// Twenty requests; both backends must have a share.
    fn spread(&mut self) {
        self.report.chapter("Twenty requests");
        let url = format!("http://{VIP}:8888/");
        let mut answers: BTreeMap<String, usize> = BTreeMap::new();
        let mut result = Ok(());
        for _ in 0..REQUESTS {
            match self.bed.curl(CLIENT, &url, 30) {
                Ok(answer) => {
                    println!("  {}", answer.trim());
                    *answers.entry(answer).or_default() += 1;
                }
                Err(error) => result = Err(error),
            }
        }
        self.report.check("all twenty requests are answered", result);
        let share = |pod: &str| {
            answers
                .iter()
                .filter(|(text, _)| text.contains(pod))
                .map(|(_, count)| count)
                .sum::<usize>()
        };
        let (local, remote) = (share(LOCAL_POD), share(REMOTE_POD));
        self.report.say(&format!("{LOCAL_POD}: {local}, {REMOTE_POD}: {remote}"));
        let spread = if local > 0 && remote > 0 && local + remote == REQUESTS {
            Ok(())
        } else {
            Err(anyhow::anyhow!("{answers:?}"))
        };
        self.report.check("they are spread over both backends", spread);
    }

    fn long_download(&mut self) {
        self.report.chapter("A long download, and its flow on both nodes");
        let result = self.watched_download();
        if let Err(error) = result {
            self.report.fail("the download can be watched", &error);
        }
    }

    fn watched_download(&mut self) -> Result<()> {
        let mut download = self.download(LONG_BYTES, Some(LONG_RATE))?;
        let filter = format!("10.47.255.237:{}", download.port().unwrap_or_default());
        // Established in both directions is known once the handshake and some data have passed both cards.
        let established = wait("established on both cards", PATIENCE, || {
            for node in [NODE_A, NODE_B] {
                let flows = self.bed.flows(node, &filter)?;
                ensure!(flows.len() == 2 && flows.iter().all(is_established), "{node}: {flows:?}");
            }
            Ok(Some(()))
        });
        let client = self.show(NODE_A, &["flow", "-l", "--match", &filter])?;
        let server = self.show(NODE_B, &["flow", "-l", "--match", &filter])?;
        self.report.check("TCP:SSrEEr on both nodes, in both directions", established);
        let plain = contains(&client, &["Action:F", "TCP:SSrEEr"])
            .and_then(|()| lacks(&client, "Action:N"));
        self.report
            .check("at the client's node the flow is forwarded (F), with no translation", plain);
        let nat = contains(&server, &["Action:N(DPd)", "Action:N(SPs)", "TCP:SSrEEr"]);
        self.report.check("at the server's node it is N(DPd) one way and N(SPs) the other", nat);
        let done = download.finish();
        self.report.check("the download is complete, every byte right", done);
        // Ten seconds after its last packet.
        let gone = wait("the end of its entries", PATIENCE, || {
            let left = [NODE_A, NODE_B].map(|node| self.bed.flows(node, &filter));
            for flows in left {
                ensure!(flows?.is_empty(), "it is still there");
            }
            Ok(Some(()))
        });
        self.report.check("a connection that is closed leaves both flow tables", gone);
        Ok(())
    }

    fn full_speed(&mut self) {
        self.report.chapter("Ten megabytes as fast as the simulation goes");
        let result = (|| {
            let start = Instant::now();
            self.download(FULL_BYTES, None)?.finish()?;
            let seconds = start.elapsed().as_secs_f64();
            let rate = FULL_BYTES as f64 * 8e-6 / seconds;
            self.report.say(&format!("{FULL_BYTES} bytes in {seconds:.1} s ({rate:.1} Mbit/s through two simulated cards)"));
            Ok(())
        })();
        self.report.check("ten megabytes from the other node, every byte right", result);
    }

    fn two_ports(&mut self) -> Result<()> {
        self.report.chapter("Two ports: 8888 -> 80 and 9999 -> 90");
        let name = "service-web-clusterip-mp.yaml";
        let text = self.manifest(&format!("chapter-two-ports/manifests/{name}"))?;
        self.bed.apply(name, &text)?;
        let members = self.bed.wait_members(SERVICE_MP, 2, PATIENCE);
        self.show(NODE_B, &["explain", "svc", &format!("ns-user-1/{SERVICE_MP}")])?;
        self.report.check("the second service is on both cards", members);
        let answer = self.bed.curl(CLIENT, &format!("http://{VIP_MP}:8888/"), 30);
        let answer = answer.and_then(|text| contains(&text, &["served by pod webserver"]));
        self.report.check("port 8888 answers", answer);
        let url = format!("http://{VIP_MP}:9999/");
        let refused = self.bed.exec(CLIENT, &["curl", "-sv", "--max-time", "30", &url])?;
        let said = String::from_utf8_lossy(&refused.stderr);
        let failure = said.lines().find(|line| line.contains("failed")).unwrap_or(&said);
        self.report.shown(CLIENT, &format!("curl -v {url}"), failure);
        let result = if refused.status.code() == Some(7) {
            contains(failure, &["Connection refused"])
        } else {
            Err(anyhow::anyhow!("curl ended with {}", refused.status))
        };
        self.report
            .check("port 9999 is refused: nothing listens on port 90 of the pods yet", result);
        for pod in [LOCAL_POD, REMOTE_POD] {
            self.bed.lab().serve(pod, "http", 90)?;
            self.report.say(&format!("started a web server on port 90 of {pod}"));
        }
        let answer =
            wait("an answer on port 9999", PATIENCE, || self.bed.curl(CLIENT, &url, 10).map(Some));
        if let Ok(text) = &answer {
            self.report.shown(CLIENT, &format!("curl {url}"), text);
        }
        let answer = answer.and_then(|text| contains(&text, &["served by pod webserver", ":90"]));
        self.report.check("now port 9999 answers, from port 90 of a pod", answer);
        Ok(())
    }

    /// Needs what [`Self::two_ports`] has started.
    fn two_pods(&mut self) -> Result<()> {
        self.report.chapter("Two ports on two pods: each port leads to its own");
        let name = "service-web-two-pods.yaml";
        let text = self.manifest(&format!("chapter-two-pods/manifests/{name}"))?;
        self.bed.apply(name, &text)?;
        let members = self.bed.wait_members(SERVICE_TP, 2, PATIENCE);
        self.show(NODE_A, &["explain", "svc", &format!("ns-user-1/{SERVICE_TP}")])?;
        self.show(NODE_A, &["svc", "--dump"])?;
        self.report.check("the service of two pods is on both cards", members);
        let mut result = Ok(());
        for _ in 0..REQUESTS {
            for (port, pod) in [(8888, LOCAL_POD), (9999, REMOTE_POD)] {
                let answer = self.bed.curl(CLIENT, &format!("http://{VIP_TP}:{port}/"), 30);
                result = result.and(answer.and_then(|text| contains(&text, &[pod])));
            }
        }
        self.report.check("of forty requests each is answered by its port's pod", result);
        let url = format!("http://{VIP_TP}:7777/");
        let refused = self.bed.exec(CLIENT, &["curl", "-sv", "--max-time", "30", &url])?;
        let said = String::from_utf8_lossy(&refused.stderr);
        let result = contains(&said, &["Connection refused"]);
        self.report.check("a port that the service does not have is refused at once", result);
        Ok(())
    }

    fn node(&mut self) {
        self.report.chapter("The node is an end point: it probes its pods");
        let probed = self.probes();
        self.report.check("the node's probes are answered by its pods", probed);
        let restored = self.bed.node(NODE_A, "teardown", &[]).and_then(|said| {
            self.report.shown(NODE_A, "penstock node teardown", &said);
            contains(&said, &["the node is as before"])
        });
        self.report.check("its kernel is as it was before", restored);
    }

    fn probes(&mut self) -> Result<()> {
        let said = self.bed.node(NODE_A, "setup", &RANGES)?;
        self.report.shown(NODE_A, &format!("penstock node setup {}", RANGES.join(" ")), &said);
        for pod in LOCAL_WEB {
            let url = format!("http://{pod}/");
            let answer = self.bed.curl(NODE_A, &url, 30)?;
            self.report.shown(NODE_A, &format!("curl {url}"), &answer);
            contains(&answer, &["served by pod", pod])?;
        }
        Ok(())
    }

    fn removal(&mut self) -> Result<()> {
        self.report.chapter("A backend goes; the download from the other one does not notice");
        let mut download = self.download(LONG_BYTES, Some(LONG_RATE))?;
        let name = "service-web-clusterip.yaml";
        let whole = self.manifest(&format!("chapter/manifests/{name}"))?;
        self.bed.apply(name, &without_endpoint(&whole, LOCAL_IP)?)?;
        self.report.say(&format!("removed {LOCAL_POD} from the service"));
        let removed = self.bed.wait_members(SERVICE, 1, PATIENCE);
        let running = download.running();
        self.show(NODE_A, &["explain", "svc", &format!("ns-user-1/{SERVICE}")])?;
        self.report
            .check("the cards have one member left while the download runs", removed.and(running));
        let mut result = Ok(());
        for _ in 0..8 {
            let answer = self.bed.curl(CLIENT, &format!("http://{VIP}:8888/"), 30);
            result = result.and(answer.and_then(|text| contains(&text, &[REMOTE_POD])));
        }
        self.report.check("new connections all go to the backend that is left", result);
        self.report.check("the download is complete, every byte right", download.finish());
        self.bed.apply(name, &whole)?;
        let back = self.bed.wait_members(SERVICE, 2, PATIENCE);
        self.report.check("the backend comes back", back);
        Ok(())
    }

    /// Starts a download that the remote backend serves; which one that is, the card's hash of the ports decides.
    fn download(&self, bytes: usize, rate: Option<usize>) -> Result<Download> {
        let server = format!("{VIP}:8888");
        let wanted = Wanted { client: CLIENT, server: &server, bytes, rate };
        let download = Download::from_pod(self.bed, &wanted, REMOTE_POD)?;
        let from = download.port().unwrap_or_default();
        let note = format!("(source port {from}, served by {REMOTE_POD})");
        self.report.shown(CLIENT, &format!("curl {}", download.url()), &note);
        Ok(download)
    }
}

fn is_established(flow: &Value) -> bool {
    let letters: Vec<&str> =
        flow["tcp"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    letters == ["S", "Sr", "E", "Er"]
}

fn contains(text: &str, parts: &[&str]) -> Result<()> {
    match parts.iter().find(|part| !text.contains(**part)) {
        None => Ok(()),
        Some(part) => bail!("`{part}` is not in `{}`", text.trim()),
    }
}

fn lacks(text: &str, part: &str) -> Result<()> {
    ensure!(!text.contains(part), "`{part}` is in `{}`", text.trim());
    Ok(())
}
