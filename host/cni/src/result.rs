//! Results in CNI's words: what ADD gives, what CHECK is given back, and what an IPAM plugin gives. Pure.

use std::net::{IpAddr, Ipv4Addr};

use penstock_model::{IpNet, MacAddr};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::{CniError, Code};
use crate::version::CniVersion;

/// A route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// Where to: an IPv4 prefix.
    pub to: (Ipv4Addr, u8),
}

/// How a pod's network is.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// Name of its interface.
    pub interface: String,
    /// MAC address of that.
    pub mac: MacAddr,
    /// Its MTU.
    pub mtu: u32,
    /// Its namespace.
    pub sandbox: String,
    /// Its address; nobody else is on its link.
    pub address: Ipv4Addr,
    /// The gateway, on its link.
    pub gateway: Ipv4Addr,
    /// What goes by the gateway.
    pub routes: Vec<Route>,
    /// Passed on.
    pub dns: Option<Value>,
}

impl Network {
    /// What is written for a runtime that speaks `version`.
    #[must_use]
    pub fn render(&self, version: CniVersion) -> Value {
        let mut interface = json!({
            "name": self.interface, "mac": self.mac.to_string(), "sandbox": self.sandbox,
        });
        if version >= CniVersion::V1_1_0 {
            interface["mtu"] = self.mtu.into();
        }
        let gateway = self.gateway.to_string();
        let mut ip = json!({
            "interface": 0, "address": format!("{}/32", self.address), "gateway": gateway,
        });
        if version < CniVersion::V1_0_0 {
            ip["version"] = "4".into();
        }
        let routes = self.routes.iter().map(|route| {
            let (to, length) = route.to;
            json!({ "dst": format!("{to}/{length}"), "gw": gateway })
        });
        json!({
            "cniVersion": version.as_str(),
            "interfaces": [interface],
            "ips": [ip],
            "routes": routes.collect::<Vec<_>>(),
            "dns": self.dns.clone().unwrap_or_else(|| json!({})),
        })
    }
}

/// A result as others write it, all versions alike.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Loose {
    interfaces: Vec<LooseInterface>,
    ips: Vec<LooseIp>,
    routes: Vec<LooseRoute>,
    dns: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct LooseInterface {
    name: String,
    mac: String,
    mtu: Option<u32>,
    sandbox: String,
}

#[derive(Debug, Deserialize)]
struct LooseIp {
    address: IpNet,
    #[serde(default)]
    gateway: Option<IpAddr>,
    #[serde(default)]
    interface: Option<usize>,
}

#[derive(Debug, Deserialize)]
struct LooseRoute {
    dst: IpNet,
    #[serde(default)]
    gw: Option<IpAddr>,
}

/// What an IPAM plugin gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Lease {
    /// The pod's address.
    pub address: Ipv4Addr,
    /// Its gateway, if it says so.
    pub gateway: Option<Ipv4Addr>,
    /// Where it may send; everywhere if that is not said.
    pub routes: Vec<Route>,
    /// Passed on.
    pub dns: Option<Value>,
}

const IPV4_ONLY: &str = "the card serves IPv4 alone";

/// Reads what an IPAM plugin gives.
///
/// # Errors
/// It gives something else than one IPv4 address and routes by its gateway; whoever wrote its configuration.
pub fn lease(text: &[u8]) -> Result<Lease, CniError> {
    let loose: Loose = serde_json::from_slice(text).map_err(|error| {
        CniError::new(
            Code::Decoding,
            format!("the IPAM plugin's result is not understood: {error}"),
        )
    })?;
    let [ip] = &loose.ips[..] else {
        let text = format!("the IPAM plugin gives {} addresses; a pod has one", loose.ips.len());
        return Err(CniError::new(Code::UnsupportedField, text));
    };
    let address = v4("address", ip.address.addr())?;
    let gateway = ip.gateway.map(|gateway| v4("gateway", gateway)).transpose()?;
    let routes = routes(&loose.routes, gateway)?;
    Ok(Lease { address, gateway, routes, dns: loose.dns })
}

/// Reads what ADD returned, as far as it is about an interface.
///
/// # Errors
/// It is about none such; the runtime's.
pub fn previous(value: &Value, interface: &str, netns: &str) -> Result<Network, CniError> {
    let wrong = |text: String| CniError::new(Code::InvalidConfig, format!("prevResult {text}"));
    let loose: Loose =
        Loose::deserialize(value).map_err(|error| wrong(format!("is not understood: {error}")))?;
    let mut all = loose.interfaces.iter().enumerate();
    let (index, found) = all
        .find(|(_, one)| one.name == interface && one.sandbox == netns)
        .ok_or_else(|| wrong(format!("names no interface {interface} of {netns}")))?;
    let ip = loose.ips.iter().find(|ip| ip.interface == Some(index));
    let ip = ip.ok_or_else(|| wrong(format!("names no address of {interface}")))?;
    let gateway = ip.gateway.ok_or_else(|| wrong(format!("names no gateway of {interface}")))?;
    let gateway = v4("gateway", gateway)?;
    Ok(Network {
        interface: interface.to_owned(),
        mac: found.mac.parse().map_err(|error| wrong(format!("is not understood: {error}")))?,
        // Versions before 1.1.0 do not say; then there is nothing to compare with.
        mtu: found.mtu.unwrap_or_default(),
        sandbox: netns.to_owned(),
        address: v4("address", ip.address.addr())?,
        gateway,
        routes: routes(&loose.routes, Some(gateway))?,
        dns: None,
    })
}

fn routes(all: &[LooseRoute], gateway: Option<Ipv4Addr>) -> Result<Vec<Route>, CniError> {
    let mut routes = Vec::new();
    for route in all {
        let to = v4("route", route.dst.network())?;
        if let Some(by) = route.gw
            && gateway.is_some_and(|gateway| by != IpAddr::V4(gateway))
        {
            let text = format!("the route {} goes by {by}; a pod has its gateway alone", route.dst);
            return Err(CniError::new(Code::UnsupportedField, text));
        }
        routes.push(Route { to: (to, route.dst.prefix_len()) });
    }
    routes.sort_unstable();
    routes.dedup();
    Ok(routes)
}

fn v4(what: &str, address: IpAddr) -> Result<Ipv4Addr, CniError> {
    match address {
        IpAddr::V4(address) => Ok(address),
        IpAddr::V6(address) => {
            let text = format!("the {what} {address}: {IPV4_ONLY}");
            Err(CniError::new(Code::UnsupportedField, text))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn network() -> Network {
        Network {
            interface: "eth0".to_owned(),
            mac: MacAddr([2, 0, 10, 47, 255, 237]),
            mtu: 1468,
            sandbox: "/run/netns/a".to_owned(),
            address: Ipv4Addr::new(10, 47, 255, 237),
            gateway: Ipv4Addr::new(10, 47, 255, 254),
            routes: vec![Route { to: (Ipv4Addr::UNSPECIFIED, 0) }],
            dns: Some(json!({ "nameservers": ["10.96.0.10"] })),
        }
    }

    #[test]
    fn each_version_has_its_own_words() {
        let result = |version| network().render(version);
        let newest = json!({
            "cniVersion": "1.1.0",
            "interfaces": [{ "name": "eth0", "mac": "02:00:0a:2f:ff:ed", "mtu": 1468, "sandbox": "/run/netns/a" }],
            "ips": [{ "interface": 0, "address": "10.47.255.237/32", "gateway": "10.47.255.254" }],
            "routes": [{ "dst": "0.0.0.0/0", "gw": "10.47.255.254" }],
            "dns": { "nameservers": ["10.96.0.10"] },
        });
        assert_eq!(result(CniVersion::V1_1_0), newest);
        let middle = result(CniVersion::V1_0_0);
        assert!(
            middle["interfaces"][0].get("mtu").is_none()
                && middle["ips"][0].get("version").is_none()
        );
        assert_eq!(result(CniVersion::V0_4_0)["ips"][0]["version"], "4");
        for version in CniVersion::ALL {
            let back = previous(&result(version), "eth0", "/run/netns/a").unwrap();
            let mtu = if version >= CniVersion::V1_1_0 { 1468 } else { 0 };
            assert_eq!(back, Network { mtu, dns: None, ..network() });
            let other = previous(&result(version), "eth1", "/run/netns/a").unwrap_err();
            assert_eq!(other.code, 7);
        }
    }

    #[test]
    fn a_lease_is_one_ipv4_address() {
        let read = |value: Value| lease(value.to_string().as_bytes());
        let good = json!({ "ips": [{ "version": "4", "address": "10.1.0.5/24", "gateway": "10.1.0.1" }],
            "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "0.0.0.0/0", "gw": "10.1.0.1" }] });
        let got = read(good).unwrap();
        assert_eq!((got.address, got.gateway), ([10, 1, 0, 5].into(), Some([10, 1, 0, 1].into())));
        assert_eq!(got.routes, [Route { to: (Ipv4Addr::UNSPECIFIED, 0) }]);
        for (bad, code) in [
            (json!({ "ips": [] }), 2),
            (json!({ "ips": [{ "address": "10.1.0.5/24" }, { "address": "fd00::5/64" }] }), 2),
            (json!({ "ips": [{ "address": "fd00::5/64" }] }), 2),
            (
                json!({ "ips": [{ "address": "10.1.0.5/24", "gateway": "10.1.0.1" }],
                "routes": [{ "dst": "10.2.0.0/16", "gw": "10.1.0.2" }] }),
                2,
            ),
            (json!({ "ips": [{ "address": "here" }] }), 6),
            (json!("none"), 6),
        ] {
            assert_eq!(read(bad.clone()).unwrap_err().code, code, "{bad}");
        }
    }
}
