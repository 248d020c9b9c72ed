//! The network configuration, as an operator writes it and a runtime completes it.
//!
//! ```json
//! { "cniVersion": "1.0.0", "name": "k8s-pod-network", "type": "penstock-cni",
//!   "vrf": "k8s-default-pod-network", "mtu": 1468,
//!   "provider": { "type": "service-tag", "netdev": "ens1f0" },
//!   "ipam": { "type": "host-local", "subnet": "10.47.240.0/20", "gateway": "10.47.255.254" } }
//! ```

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use penstock_api::paths::DEFAULT_SOCKET;
use penstock_model::VifId;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::error::{CniError, Code};

/// What stands for the number of a vif in an interface's name.
const NUMBER: &str = "{vif}";

/// A network configuration. Fields that others have a use for are passed over.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetConf {
    /// Name of the network.
    pub name: String,
    /// Name of the pods' VRF in the node file.
    pub vrf: String,
    /// Where interfaces come from.
    pub provider: Provider,
    /// Numbers of vifs that pods may have, like `3-15,20`.
    #[serde(default)]
    pub vifs: Pool,
    /// MTU of the pods' interfaces. Packets to other nodes get 32 bytes longer. The interface's own if not given.
    #[serde(default)]
    pub mtu: Option<u32>,
    /// The pods' gateway, if IPAM names none: any address that no pod has.
    #[serde(default)]
    pub gateway: Option<Ipv4Addr>,
    /// The daemon's socket.
    #[serde(default = "default_socket")]
    pub socket: PathBuf,
    /// The card, of a daemon of several.
    #[serde(default)]
    pub card: Option<String>,
    /// Where it is kept what the daemon could not be told.
    #[serde(default = "default_queue")]
    pub queue: PathBuf,
    /// Who gives addresses.
    pub ipam: Ipam,
    /// Passed on in the result.
    #[serde(default)]
    pub dns: Option<Value>,
    /// The vif that a device plugin chose, `vif7`.
    #[serde(default, rename = "deviceID")]
    pub device_id: Option<String>,
    /// What a runtime adds.
    #[serde(default)]
    pub runtime_config: RuntimeConfig,
    /// What ADD returned.
    #[serde(default)]
    pub prev_result: Option<Value>,
    /// Of GC: those that are to stay.
    #[serde(default, rename = "cni.dev/valid-attachments")]
    pub valid_attachments: Option<Vec<ValidAttachment>>,
}

/// Where interfaces come from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Provider {
    /// They are there already, in the plugin's own namespace: the TAP devices of a simulated card, or a driver's.
    Existing {
        /// Their names, in which `{vif}` is the number: `tap{vif}`.
        #[serde(deserialize_with = "pattern")]
        interface: String,
    },
    /// They are made: links under the service tag (802.1ad) of their vif's number, on the network device of the card's shell.
    ServiceTag {
        /// That device.
        netdev: String,
    },
}

impl Provider {
    /// The name of a vif's interface in the plugin's own namespace.
    #[must_use]
    pub fn interface(&self, vif: u8) -> String {
        match self {
            Self::Existing { interface } => interface.replace(NUMBER, &vif.to_string()),
            Self::ServiceTag { .. } => format!("psvif{vif}"),
        }
    }
}

fn pattern<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.matches(NUMBER).count() == 1 {
        return Ok(text);
    }
    Err(D::Error::custom(format!("`{text}` is no interface's name with one {NUMBER} in it")))
}

/// Numbers of vifs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool(pub BTreeSet<u8>);

impl Default for Pool {
    fn default() -> Self {
        Self((VifId::FIRST_POD.0..=u8::MAX).collect())
    }
}

impl<'de> Deserialize<'de> for Pool {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bad = || D::Error::custom(format!("`{text}` are no vifs like 3-15,20"));
        let mut all = BTreeSet::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let number = |text: &str| text.trim().parse::<u8>().map_err(|_| bad());
            let (first, last) = (number(first)?, number(last)?);
            if first > last || first < VifId::FIRST_POD.0 {
                return Err(bad());
            }
            all.extend(first..=last);
        }
        Ok(Self(all))
    }
}

/// Who gives addresses; the rest of it is that plugin's.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Ipam {
    /// Name of the plugin.
    #[serde(rename = "type")]
    pub kind: String,
}

/// What a runtime adds for capabilities that the configuration lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct RuntimeConfig {
    /// The vif that a device plugin chose, `vif7`.
    #[serde(default, rename = "deviceID")]
    pub device_id: Option<String>,
}

/// An attachment that is to stay.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ValidAttachment {
    /// Id of the container.
    #[serde(rename = "containerID")]
    pub container: String,
    /// Name of the interface in it.
    pub ifname: String,
}

fn default_socket() -> PathBuf {
    DEFAULT_SOCKET.into()
}

fn default_queue() -> PathBuf {
    "/var/lib/cni/penstock".into()
}

impl NetConf {
    /// Vifs that would do: what a device plugin chose, else the pool.
    ///
    /// # Errors
    /// What a device plugin chose is no vif.
    pub fn wanted(&self) -> Result<BTreeSet<u8>, CniError> {
        let chosen = self.runtime_config.device_id.as_ref().or(self.device_id.as_ref());
        let Some(chosen) = chosen else { return Ok(self.vifs.0.clone()) };
        let number = chosen.strip_prefix("vif").and_then(|number| number.parse().ok());
        let number = number.filter(|number| *number >= VifId::FIRST_POD.0).ok_or_else(|| {
            CniError::new(Code::InvalidConfig, format!("deviceID `{chosen}` is no vif like vif7"))
        })?;
        Ok([number].into())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn conf(change: impl Fn(&mut Value)) -> Result<NetConf, String> {
        let mut value = json!({
            "name": "pods", "type": "penstock-cni", "vrf": "pods",
            "provider": { "type": "existing", "interface": "tap{vif}" },
            "ipam": { "type": "host-local" },
        });
        change(&mut value);
        serde_json::from_value(value).map_err(|error| error.to_string())
    }

    #[test]
    fn a_device_plugins_choice_goes_before_the_pool() {
        let wanted = |change: &dyn Fn(&mut Value)| conf(change).unwrap().wanted();
        assert_eq!(wanted(&|_| ()).unwrap(), (3..=255).collect());
        assert_eq!(wanted(&|c| c["vifs"] = "3-5,9".into()).unwrap(), [3, 4, 5, 9].into());
        assert_eq!(wanted(&|c| c["deviceID"] = "vif7".into()).unwrap(), [7].into());
        let both = |c: &mut Value| {
            c["deviceID"] = "vif7".into();
            c["runtimeConfig"] = json!({ "deviceID": "vif8" });
        };
        assert_eq!(wanted(&both).unwrap(), [8].into());
        for bad in ["7", "vif2", "vif256", "0000:3b:00.1"] {
            assert_eq!(wanted(&|c| c["deviceID"] = bad.into()).unwrap_err().code, 7, "{bad}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        for (change, why) in [
            (json!({ "vifs": "2-5" }), "no vifs like"),
            (json!({ "vifs": "9-5" }), "no vifs like"),
            (json!({ "vifs": "all" }), "no vifs like"),
            (json!({ "provider": { "type": "existing", "interface": "tap" } }), "one {vif} in it"),
            (json!({ "provider": { "type": "sriov" } }), "unknown variant `sriov`"),
            (json!({ "provider": { "type": "service-tag" } }), "missing field `netdev`"),
            (json!({ "ipam": {} }), "missing field `type`"),
        ] {
            let error = conf(|conf| {
                for (key, value) in change.as_object().unwrap() {
                    conf[key] = value.clone();
                }
            });
            assert!(error.as_ref().is_err_and(|error| error.contains(why)), "{change}: {error:?}");
        }
    }
}
