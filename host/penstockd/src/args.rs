//! What the daemon's command line accepts.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::{ArgGroup, CommandFactory as _, Parser};
use penstock_api::paths::DEFAULT_SOCKET;
use penstock_kube::Access;
use penstock_model::{IpNet, MacAddr};

/// Keeps a card's tables as Kubernetes and the node file want them, and shows the card to `penstock`.
#[derive(Debug, Parser)]
#[command(
    name = "penstockd",
    version,
    group = ArgGroup::new("objects").args(["manifests", "kubeconfig", "in_cluster"]).required(true).multiple(true),
    after_help = "Example: penstockd --node /etc/penstock/node.yaml --manifests /etc/penstock/manifests \\\n           --device pci:0000:3b:00.0\n\nThe environment variable PENSTOCK_LOG filters the log, as in PENSTOCK_LOG=debug."
)]
pub struct Args {
    /// Node file; of a daemon of one card.
    #[arg(long, value_name = "FILE", required_unless_present = "card", requires = "device")]
    pub node: Option<PathBuf>,
    /// Directory of Kubernetes manifests.
    #[arg(long, env = "PENSTOCK_MANIFESTS", value_name = "DIR")]
    pub manifests: Option<PathBuf>,
    /// Kubeconfig, for Kubernetes' API server: its Services, EndpointSlices and what it knows of this node. What manifests
    /// give too is theirs.
    #[arg(long, env = "PENSTOCK_KUBECONFIG", value_name = "FILE", conflicts_with = "in_cluster")]
    pub kubeconfig: Option<PathBuf>,
    /// Asks the API server of the cluster in which the daemon is a pod.
    #[arg(long)]
    pub in_cluster: bool,
    /// The card: `vfio-user:SOCKET` or `pci:DDDD:BB:DD.F`; of a daemon of one card.
    #[arg(
        long,
        value_name = "SPEC",
        value_parser = spec,
        required_unless_present = "card",
        requires = "node"
    )]
    pub device: Option<String>,
    /// A card, for a daemon of several: its name, its device as for `--device`, its node file; once for each card.
    #[arg(
        long,
        value_name = "name=NAME,device=SPEC,node=FILE",
        value_parser = card,
        conflicts_with_all = ["node", "device"]
    )]
    pub card: Vec<CardArgs>,
    /// Pause between two audits, in which what a card holds is compared with what it should.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..))]
    pub audit_every: u64,
    /// Socket for `penstock`.
    #[arg(long, env = "PENSTOCK_API", default_value = DEFAULT_SOCKET, value_name = "SOCKET")]
    pub api: PathBuf,
    /// Folder for what must not be lost: the pods that penstock-cni registers. Without it, none can be.
    #[arg(long, env = "PENSTOCK_STATE", value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// MAC address of a remote node, instead of the kernel's; may be repeated.
    #[arg(long, value_name = "IP=MAC", value_parser = neighbour)]
    pub static_neighbour: Vec<(Ipv4Addr, MacAddr)>,
    /// Answers the health checks of load balancers outside the cluster at this address of the node (`0.0.0.0`: all), at each
    /// service's `healthCheckNodePort`. Not beside a kube-proxy, which does.
    #[arg(long, env = "PENSTOCK_HEALTH_CHECKS", value_name = "ADDRESS")]
    pub health_checks: Option<IpAddr>,
    /// Tells the collector at this address of each connection that ended: IPFIX over UDP.
    #[arg(long, env = "PENSTOCK_IPFIX", value_name = "ADDRESS:PORT")]
    pub ipfix: Option<SocketAddr>,
    /// Ranges in which the `externalIPs` of services are served; without any, none are. Addresses that are known as those of
    /// pods, nodes and services are not, whatever the range.
    #[arg(
        long,
        env = "PENSTOCK_ALLOW_EXTERNAL_IPS",
        value_name = "CIDR",
        num_args = 1..,
        value_delimiter = ',',
        value_parser = prefix
    )]
    pub allow_external_ips: Vec<IpNet>,
    /// Ranges of the cluster's services, pods and nodes, in which no `externalIPs` are served, whatever is allowed. Without them
    /// an address there that nobody has yet is not told from others.
    #[arg(
        long,
        env = "PENSTOCK_CLUSTER_CIDR",
        value_name = "CIDR",
        num_args = 1..,
        value_delimiter = ',',
        value_parser = prefix
    )]
    pub cluster_cidr: Vec<IpNet>,
    /// Ranges of the services' cluster IPs, in which packets for addresses that no service has are dropped.
    #[arg(
        long,
        env = "PENSTOCK_SERVICE_CIDR",
        value_name = "CIDR",
        num_args = 1..,
        value_delimiter = ',',
        value_parser = prefix
    )]
    pub service_cidr: Vec<IpNet>,
    /// Drops what is for a port of a cluster IP that no service has, as vRouter does, rather than refuse it.
    #[arg(long)]
    pub drop_unserved: bool,
    /// Tunnel end points of gateways: what may come by one of them, may come by all.
    #[arg(long, value_name = "IP", num_args = 1.., value_delimiter = ',')]
    pub gateway: Vec<IpAddr>,
    /// Writes the log as JSON lines.
    #[arg(long)]
    pub log_json: bool,
}

/// One card of the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardArgs {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub device: String,
    /// The node file for it.
    pub node: PathBuf,
}

/// Name of the card of a daemon that has one.
const ONLY: &str = "card0";

impl Args {
    /// As [`Parser::parse`], with what concerns several arguments.
    #[must_use]
    pub fn get() -> Self {
        let args = Self::parse();
        if let Err(error) = args.check() {
            Self::command().error(clap::error::ErrorKind::ValueValidation, error).exit();
        }
        args
    }

    /// Whether cards have names and devices of their own.
    fn check(&self) -> Result<(), String> {
        let (mut names, mut devices) = (BTreeSet::new(), BTreeSet::new());
        for CardArgs { name, device, .. } in &self.card {
            if !names.insert(name) {
                return Err(format!("two cards are called {name}"));
            }
            if !devices.insert(device) {
                return Err(format!("two cards are {device}"));
            }
        }
        Ok(())
    }

    /// The cards.
    #[must_use]
    pub fn cards(&self) -> Vec<CardArgs> {
        let only = self.device.iter().zip(&self.node).map(|(device, node)| CardArgs {
            name: ONLY.to_owned(),
            device: device.clone(),
            node: node.clone(),
        });
        only.chain(self.card.iter().cloned()).collect()
    }

    /// How the API server is reached, if there is one.
    #[must_use]
    pub fn access(&self) -> Option<Access> {
        let kubeconfig = self.kubeconfig.clone().map(Access::Kubeconfig);
        kubeconfig.or(self.in_cluster.then_some(Access::InCluster))
    }

    /// What the operator should know about these arguments, if anything.
    #[must_use]
    pub fn caution(&self) -> Option<&'static str> {
        (!self.allow_external_ips.is_empty() && self.cluster_cidr.is_empty()).then_some(
            "--allow-external-ips without --cluster-cidr: in the allowed ranges, addresses that no service, pod or node has \
             yet are given to whoever asks; name the cluster's ranges by --cluster-cidr",
        )
    }
}

/// Reads `name=NAME,device=SPEC,node=FILE`, in any order.
fn card(text: &str) -> Result<CardArgs, String> {
    let (mut name, mut device, mut node) = (None, None, None);
    for part in text.split(',') {
        let (key, value) = part.split_once('=').ok_or_else(|| format!("`{part}` has no value"))?;
        let place = match key {
            "name" => &mut name,
            "device" => &mut device,
            "node" => &mut node,
            _ => return Err(format!("`{key}` is none of name, device, node")),
        };
        if place.replace(value).is_some() {
            return Err(format!("`{key}` is there twice"));
        }
    }
    let missing = |key: &str| format!("`{key}` is missing");
    let name = name.filter(|name| !name.is_empty()).ok_or_else(|| missing("name"))?;
    let device = device.filter(|device| !device.is_empty()).ok_or_else(|| missing("device"))?;
    let node = node.filter(|node| !node.is_empty()).ok_or_else(|| missing("node"))?;
    Ok(CardArgs { name: name.to_owned(), device: normal(device), node: node.into() })
}

fn spec(text: &str) -> Result<String, Infallible> {
    Ok(normal(text))
}

/// A device specification as there is only one of for a PCI function, as the kernel writes its address: by it devices are told
/// apart, and what a service manager keeps of each. What is no address is told when it is opened.
fn normal(spec: &str) -> String {
    let address = spec.strip_prefix("pci:").and_then(penstock_pci::normal);
    address.map_or_else(|| spec.to_owned(), |address| format!("pci:{address}"))
}

/// Reads a prefix; one with host bits is likely a mistake.
fn prefix(text: &str) -> Result<IpNet, String> {
    text.parse()
        .ok()
        .filter(|net: &IpNet| net.trunc() == *net)
        .ok_or_else(|| format!("`{text}` is not a prefix such as 192.0.2.0/24"))
}

fn neighbour(text: &str) -> Result<(Ipv4Addr, MacAddr), String> {
    let (ip, mac) = text.split_once('=').ok_or("use IP=MAC")?;
    Ok((
        ip.parse().map_err(|_| format!("`{ip}` is not an IPv4 address"))?,
        mac.parse().map_err(|error: penstock_model::AddrError| error.to_string())?,
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn external_ips_without_the_clusters_ranges_are_cautioned_of() {
        let caution = |more: &[&str]| {
            let base = ["penstockd", "--node=n", "--manifests=m", "--device=pci:0000:3b:00.0"];
            Args::try_parse_from(base.iter().chain(more)).unwrap().caution()
        };
        let (allow, cluster) = ("--allow-external-ips=192.0.2.0/24", "--cluster-cidr=10.96.0.0/12");
        assert!(caution(&[allow]).is_some_and(|text| text.contains("--cluster-cidr")));
        for well in [&[][..], &[cluster], &[allow, cluster]] {
            assert_eq!(caution(well), None, "{well:?}");
        }
    }

    #[test]
    fn a_daemon_has_one_card_or_several_with_names() {
        let parse = |more: &[&str]| {
            let args = Args::try_parse_from(["penstockd", "--manifests=m"].iter().chain(more));
            args.map_err(|error| error.to_string())
                .and_then(|args| args.check().map(|()| args.cards()))
        };
        let card = |name: &str, device: &str, node: &str| CardArgs {
            name: name.to_owned(),
            device: device.to_owned(),
            node: node.into(),
        };
        assert_eq!(parse(&["--node=n", "--device=pci:a"]).unwrap(), [card("card0", "pci:a", "n")]);
        assert_eq!(
            parse(&["--node=n", "--device=pci:3B:00.0"]).unwrap(),
            [card("card0", "pci:0000:3b:00.0", "n")]
        );
        let path = "vfio-user:/run/A:1.sock";
        assert_eq!(parse(&["--node=n", "--device", path]).unwrap(), [card("card0", path, "n")]);
        let left = "--card=name=left,device=pci:0000:3b:00.0,node=/etc/l.yaml";
        let right = "--card=node=/etc/r.yaml,name=right,device=pci:0000:5e:00.0";
        assert_eq!(
            parse(&[left, right]).unwrap(),
            [
                card("left", "pci:0000:3b:00.0", "/etc/l.yaml"),
                card("right", "pci:0000:5e:00.0", "/etc/r.yaml")
            ]
        );
        for (bad, why) in [
            (&[][..], "--node"),
            (&["--node=n"], "--device"),
            (&["--node=n", "--device=d", left], "cannot be used with"),
            (&[left, left], "two cards are called left"),
            (&[left, "--card=name=b,device=pci:0000:3b:00.0,node=n"], "two cards are pci:0000"),
            (&[left, "--card=name=b,device=pci:3B:00.0,node=n"], "two cards are pci:0000"),
            (&["--card=name=a,device=d"], "`node` is missing"),
            (&["--card=name=a,device=d,node=n,node=m"], "`node` is there twice"),
            (&["--card=name=a,device=d,file=n"], "`file` is none of"),
            (&["--card=left"], "`left` has no value"),
        ] {
            let error = parse(bad).unwrap_err();
            assert!(error.contains(why), "{bad:?}: {error}");
        }
    }

    #[test]
    fn objects_come_from_manifests_or_an_api_server_or_both() {
        let parse = |more: &[&str]| {
            let base = ["penstockd", "--node=n", "--device=pci:0000:3b:00.0"];
            let args = Args::try_parse_from(base.iter().chain(more));
            args.map(|args| (args.access(), args.manifests)).map_err(|error| error.to_string())
        };
        let (kubeconfig, manifests) = (Access::Kubeconfig("k".into()), PathBuf::from("m"));
        assert_eq!(parse(&["--manifests=m"]).unwrap(), (None, Some(manifests.clone())));
        assert_eq!(parse(&["--kubeconfig=k"]).unwrap(), (Some(kubeconfig.clone()), None));
        assert_eq!(parse(&["--in-cluster"]).unwrap(), (Some(Access::InCluster), None));
        let both = parse(&["--kubeconfig=k", "--manifests=m"]).unwrap();
        assert_eq!(both, (Some(kubeconfig), Some(manifests)));
        assert!(parse(&[]).unwrap_err().contains("--kubeconfig <FILE>"));
        let error = parse(&["--kubeconfig=k", "--in-cluster"]).unwrap_err();
        assert!(error.contains("cannot be used with"), "{error}");
    }

    #[test]
    fn the_overlay_has_rules() {
        let base = ["penstockd", "--node=n", "--manifests=m", "--device=pci:0000:3b:00.0"];
        let parse = |more: &[&str]| Args::try_parse_from(base.iter().chain(more));
        let args =
            parse(&["--service-cidr=10.96.0.0/12", "--gateway", "10.0.0.1,10.0.0.2"]).unwrap();
        assert_eq!((args.service_cidr.len(), args.gateway.len()), (1, 2));
        let error = parse(&["--gateway=10.0.0"]).unwrap_err().to_string();
        assert!(error.contains("10.0.0"), "{error}");
    }

    #[test]
    fn ranges_of_external_ips_are_lists() {
        let base = ["penstockd", "--node=n", "--manifests=m", "--device=pci:0000:3b:00.0"];
        let parse = |more: &[&str]| Args::try_parse_from(base.iter().chain(more));
        let ranges = |more: &[&str]| parse(more).unwrap().allow_external_ips;
        assert_eq!(ranges(&[]), []);
        let both = ["192.0.2.0/24", "198.51.100.1/32"].map(|text| text.parse().unwrap());
        assert_eq!(ranges(&["--allow-external-ips", "192.0.2.0/24", "198.51.100.1/32"]), both);
        assert_eq!(ranges(&["--allow-external-ips=192.0.2.0/24,198.51.100.1/32"]), both);
        let clusters = |more: &[&str]| parse(more).unwrap().cluster_cidr;
        assert_eq!(clusters(&[]), []);
        assert_eq!(clusters(&["--cluster-cidr", "192.0.2.0/24", "198.51.100.1/32"]), both);
        assert_eq!(clusters(&["--cluster-cidr=192.0.2.0/24,198.51.100.1/32"]), both);
        let error = parse(&["--allow-external-ips", "192.0.2.1"]).unwrap_err().to_string();
        assert!(error.contains("`192.0.2.1` is not a prefix"), "{error}");
    }
}
