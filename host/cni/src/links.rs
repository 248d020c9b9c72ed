//! Interfaces: where they come from, whose they are, and how a pod has them.
//!
//! An interface that is given away carries a [`Mark`] (the kernel's "alias" of a link) from before it leaves the plugin's own namespace
//! until it is back. So a DEL finds it without the daemon and wherever an ADD was broken off, and leaves alone what is not its own.

use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;
use std::path::Path;
use std::str::FromStr;

use penstock_model::MacAddr;

use crate::error::{CniError, Code};
use crate::request::Key;
use crate::result::Route;

mod kernel;
mod netlink;

pub use kernel::Kernel;

/// Longest alias of a link.
const ALIAS_MAX_BYTES: usize = 255;

/// What an interface says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Its vif.
    pub vif: u8,
    /// Whose it is.
    pub key: Key,
}

impl Mark {
    /// As a link's alias.
    ///
    /// # Errors
    /// The names are too long.
    pub fn alias(&self) -> Result<String, CniError> {
        let text = self.to_string();
        if text.len() <= ALIAS_MAX_BYTES {
            return Ok(text);
        }
        let text = format!(
            "network, container and interface are together longer than {ALIAS_MAX_BYTES} bytes"
        );
        Err(CniError::new(Code::InvalidConfig, text))
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { vif, key: Key { network, container, interface } } = self;
        write!(f, "penstock:{vif}:{network}:{container}:{interface}")
    }
}

impl FromStr for Mark {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let parts: Vec<&str> = text.split(':').collect();
        let ["penstock", vif, network, container, interface] = parts[..] else { return Err(()) };
        let [network, container, interface] = [network, container, interface].map(str::to_owned);
        let key = Key { network, container, interface };
        Ok(Self { vif: vif.parse().map_err(|_| ())?, key })
    }
}

/// How an interface is to be, or is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// Its MAC address.
    pub mac: MacAddr,
    /// Its MTU; as it is if none is given.
    pub mtu: Option<u32>,
    /// Its address.
    pub address: Ipv4Addr,
    /// The gateway, a permanent neighbour with the MAC address that all virtual gateways have.
    pub gateway: Ipv4Addr,
    /// What goes by the gateway.
    pub routes: Vec<Route>,
}

/// Interfaces of this machine.
pub trait Links {
    /// vifs whose interfaces can be given to this attachment.
    ///
    /// # Errors
    /// The kernel's.
    fn offered(&self, wanted: &BTreeSet<u8>, key: &Key) -> Result<BTreeSet<u8>, CniError>;
    /// Whether a namespace has an interface of this name.
    ///
    /// # Errors
    /// The kernel's; there is no such namespace.
    fn is_there(&self, netns: &Path, interface: &str) -> Result<bool, CniError>;
    /// Makes an interface, if it has to be made, and marks it, in the plugin's own namespace.
    ///
    /// # Errors
    /// The kernel's.
    fn prepare(&self, mark: &Mark) -> Result<(), CniError>;
    /// Moves it into the pod's namespace, under its name there.
    ///
    /// # Errors
    /// The kernel's.
    fn hand_over(&self, mark: &Mark, netns: &Path) -> Result<(), CniError>;
    /// Sets it up there, and gives its MTU.
    ///
    /// # Errors
    /// The kernel's.
    fn set_up(&self, netns: &Path, interface: &str, setup: &Setup) -> Result<u32, CniError>;
    /// Names what is not as it was set up.
    ///
    /// # Errors
    /// The kernel's; there is no such interface.
    fn compare(
        &self,
        netns: &Path,
        interface: &str,
        setup: &Setup,
    ) -> Result<Vec<String>, CniError>;
    /// Takes the interface back, wherever it is; it is no error if there is none. `vif` is its vif, if that is known.
    ///
    /// # Errors
    /// The kernel's.
    fn take_back(&self, key: &Key, vif: Option<u8>, netns: Option<&Path>) -> Result<(), CniError>;
    /// Whose interfaces are in the plugin's own namespace, of a network.
    ///
    /// # Errors
    /// The kernel's.
    fn marked(&self, network: &str) -> Result<Vec<Key>, CniError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        let key = Key {
            network: "pods".to_owned(),
            container: "c1".to_owned(),
            interface: "eth0".to_owned(),
        };
        let mark = Mark { vif: 9, key };
        assert_eq!(mark.alias().as_deref(), Ok("penstock:9:pods:c1:eth0"));
        assert_eq!("penstock:9:pods:c1:eth0".parse(), Ok(mark.clone()));
        for other in ["", "penstock", "uplink", "penstock:300:a:b:c", "penstock:3:a:b", "x:3:a:b:c"]
        {
            assert_eq!(other.parse::<Mark>(), Err(()), "{other}");
        }
        let long = Mark { key: Key { container: "c".repeat(250), ..mark.key }, vif: 9 };
        assert_eq!(long.alias().map_err(|error| error.code), Err(7));
    }
}
