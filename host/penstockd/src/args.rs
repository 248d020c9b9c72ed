//! What the daemon's command line accepts.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use clap::Parser;
use penstock_api::paths::DEFAULT_SOCKET;
use penstock_model::{MacAddr, Prefix};

/// Keeps a card's tables as Kubernetes manifests and the node file want them, and shows the card to `penstock`.
#[derive(Debug, Parser)]
#[command(
    name = "penstockd",
    version,
    after_help = "Example: penstockd --node /etc/penstock/node.yaml --manifests /etc/penstock/manifests \\\n           --device pci:0000:3b:00.0\n\nThe environment variable PENSTOCK_LOG filters the log, as in PENSTOCK_LOG=debug."
)]
pub struct Args {
    /// Node file.
    #[arg(long, value_name = "FILE")]
    pub node: PathBuf,
    /// Directory of Kubernetes manifests.
    #[arg(long, value_name = "DIR")]
    pub manifests: PathBuf,
    /// The card: `vfio-user:SOCKET` or `pci:DDDD:BB:DD.F`.
    #[arg(long, value_name = "SPEC")]
    pub device: String,
    /// Socket for `penstock`.
    #[arg(long, env = "PENSTOCK_API", default_value = DEFAULT_SOCKET, value_name = "SOCKET")]
    pub api: PathBuf,
    /// MAC address of a remote node, instead of the kernel's; may be repeated.
    #[arg(long, value_name = "IP=MAC", value_parser = neighbour)]
    pub static_neighbour: Vec<(Ipv4Addr, MacAddr)>,
    /// Ranges in which the `externalIPs` of services are served; without any, none are. Addresses that are known as those of
    /// pods, nodes and services are not, whatever the range.
    #[arg(
        long,
        env = "PENSTOCK_ALLOW_EXTERNAL_IPS",
        value_name = "CIDR",
        num_args = 1..,
        value_delimiter = ','
    )]
    pub allow_external_ips: Vec<Prefix>,
    /// Ranges of the cluster's services, pods and nodes, in which no `externalIPs` are served, whatever is allowed. Without them
    /// an address there that nobody has yet is not told from others.
    #[arg(
        long,
        env = "PENSTOCK_CLUSTER_CIDR",
        value_name = "CIDR",
        num_args = 1..,
        value_delimiter = ','
    )]
    pub cluster_cidr: Vec<Prefix>,
    /// Writes the log as JSON lines.
    #[arg(long)]
    pub log_json: bool,
}

impl Args {
    /// What the operator should know about these arguments, if anything.
    #[must_use]
    pub fn caution(&self) -> Option<&'static str> {
        (!self.allow_external_ips.is_empty() && self.cluster_cidr.is_empty()).then_some(
            "--allow-external-ips without --cluster-cidr: in the allowed ranges, addresses that no service, pod or node has \
             yet are given to whoever asks; name the cluster's ranges by --cluster-cidr",
        )
    }
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
        assert!(error.contains("`192.0.2.1` is not an IPv4 prefix"), "{error}");
    }
}
