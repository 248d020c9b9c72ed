//! Interfaces as the kernel has them.

use std::collections::BTreeSet;
use std::path::Path;

use penstock_model::MacAddr;

use super::netlink::{Link, LinkError, Namespace};
use super::{Links, Mark, Setup};
use crate::config::Provider;
use crate::error::{CniError, Code, chain};
use crate::request::Key;

/// What a service tag takes of an MTU, in bytes.
const TAG_BYTES: u32 = 4;

/// The kernel of this machine, seen from the plugin's own namespace.
#[derive(Clone, Debug)]
pub struct Kernel<'a> {
    provider: &'a Provider,
}

impl<'a> Kernel<'a> {
    /// With interfaces from a provider.
    #[must_use]
    pub fn new(provider: &'a Provider) -> Self {
        Self { provider }
    }

    /// Takes an interface out of a pod's namespace.
    fn take_from(
        &self,
        key: &Key,
        vif: Option<u8>,
        netns: &Path,
        own: &Namespace,
    ) -> Result<(), LinkError> {
        Namespace::open(netns)?.within(async |net| {
            let Some(link) = net.find(&key.interface).await? else { return Ok(()) };
            let Some(mark) = mark(&link).filter(|mark| mark.key == *key) else { return Ok(()) };
            match self.provider {
                Provider::Existing { .. } => {
                    net.down(&link).await?;
                    // A pod may have changed the mark; the daemon is believed first.
                    let vif = vif.unwrap_or(mark.vif);
                    net.give(&link, own, &self.provider.interface(vif)).await
                }
                Provider::ServiceTag { .. } => net.delete(&link).await,
            }
        })
    }
}

impl From<LinkError> for CniError {
    fn from(error: LinkError) -> Self {
        let code = match error {
            LinkError::Namespace { .. } => Code::UnknownContainer,
            LinkError::Socket(_) => Code::Io,
            LinkError::Kernel { .. } => Code::Link,
        };
        CniError::new(code, chain(&error))
    }
}

fn mark(link: &Link) -> Option<Mark> {
    link.alias.parse().ok()
}

fn missing(name: &str) -> CniError {
    CniError::new(Code::Link, format!("there is no interface {name}"))
}

impl Links for Kernel<'_> {
    fn offered(&self, wanted: &BTreeSet<u8>, key: &Key) -> Result<BTreeSet<u8>, CniError> {
        let all = Namespace::own()?.within(async |net| net.all().await)?;
        let offered = wanted.iter().copied().filter(|&vif| {
            let name = self.provider.interface(vif);
            let link = all.iter().find(|link| link.name == name);
            // One that is marked is somebody's who is about to move it, or was.
            let is_free = |link: &Link| mark(link).is_none_or(|mark| mark.key == *key);
            match self.provider {
                Provider::Existing { .. } => link.is_some_and(is_free),
                Provider::ServiceTag { .. } => link.is_none_or(is_free),
            }
        });
        Ok(offered.collect())
    }

    fn is_there(&self, netns: &Path, interface: &str) -> Result<bool, CniError> {
        let link = Namespace::open(netns)?.within(async |net| net.find(interface).await)?;
        Ok(link.is_some())
    }

    fn prepare(&self, mark: &Mark) -> Result<(), CniError> {
        let (name, alias) = (self.provider.interface(mark.vif), mark.alias()?);
        let own = Namespace::own()?;
        match self.provider {
            Provider::Existing { .. } => {
                let found = own.within(async |net| {
                    let Some(link) = net.find(&name).await? else { return Ok(false) };
                    net.set_alias(&link, &alias).await.map(|()| true)
                })?;
                if found { Ok(()) } else { Err(missing(&name)) }
            }
            Provider::ServiceTag { netdev } => {
                let found = own.within(async |net| {
                    let Some(below) = net.find(netdev).await? else { return Ok(false) };
                    // Of an ADD that was broken off.
                    if let Some(link) = net.find(&name).await? {
                        net.delete(&link).await?;
                    }
                    let mtu = below.mtu.saturating_sub(TAG_BYTES);
                    net.make_tagged(&name, &below, mark.vif, &alias, mtu).await.map(|()| true)
                })?;
                if found { Ok(()) } else { Err(missing(netdev)) }
            }
        }
    }

    fn hand_over(&self, mark: &Mark, netns: &Path) -> Result<(), CniError> {
        let (name, pod) = (self.provider.interface(mark.vif), Namespace::open(netns)?);
        let found = Namespace::own()?.within(async |net| {
            let Some(link) = net.find(&name).await? else { return Ok(false) };
            net.give(&link, &pod, &mark.key.interface).await.map(|()| true)
        })?;
        if found { Ok(()) } else { Err(missing(&name)) }
    }

    fn set_up(&self, netns: &Path, interface: &str, setup: &Setup) -> Result<u32, CniError> {
        let mtu = Namespace::open(netns)?.within(async |net| {
            let Some(link) = net.find(interface).await? else { return Ok(None) };
            // A link under a tag cannot be longer than what is below it.
            let mtu = match self.provider {
                Provider::Existing { .. } => setup.mtu,
                Provider::ServiceTag { .. } => setup.mtu.map(|mtu| mtu.min(link.mtu)),
            };
            net.up(&link, setup.mac, mtu).await?;
            net.add_address(&link, setup.address).await?;
            net.add_neighbour(&link, setup.gateway, MacAddr::GATEWAY).await?;
            for route in &setup.routes {
                net.add_route(&link, *route, setup.gateway).await?;
            }
            Ok(net.find(interface).await?.map(|link| link.mtu))
        })?;
        mtu.ok_or_else(|| missing(interface))
    }

    fn compare(
        &self,
        netns: &Path,
        interface: &str,
        setup: &Setup,
    ) -> Result<Vec<String>, CniError> {
        let wrong = Namespace::open(netns)?.within(async |net| {
            let Some(link) = net.find(interface).await? else { return Ok(None) };
            let mut wrong = Vec::new();
            if !link.up {
                wrong.push("it is down".to_owned());
            }
            if link.mac != Some(setup.mac) {
                wrong.push(format!("its MAC address is not {}", setup.mac));
            }
            if let Some(mtu) = setup.mtu.filter(|mtu| *mtu != link.mtu) {
                wrong.push(format!("its MTU is {}, not {mtu}", link.mtu));
            }
            if !net.addresses(&link).await?.contains(&(setup.address, 32)) {
                wrong.push(format!("it does not have the address {}/32", setup.address));
            }
            let gateway = setup.gateway;
            if !net.has_neighbour(&link, gateway, MacAddr::GATEWAY).await? {
                wrong.push(format!("its gateway {gateway} is no permanent neighbour"));
            }
            let routes = net.routes(&link, gateway).await?;
            for route in setup.routes.iter().filter(|route| !routes.contains(route)) {
                let (to, length) = route.to;
                wrong.push(format!("{to}/{length} does not go by {gateway}"));
            }
            Ok(Some(wrong))
        })?;
        wrong.ok_or_else(|| missing(interface))
    }

    fn take_back(&self, key: &Key, vif: Option<u8>, netns: Option<&Path>) -> Result<(), CniError> {
        let own = Namespace::own()?;
        if let Some(netns) = netns {
            match self.take_from(key, vif, netns, &own) {
                // Its end was that of the link in it, or brought it back.
                Err(error) if error.is_gone() => {}
                result => result?,
            }
        }
        let left = vif.map(|vif| self.provider.interface(vif));
        own.within(async |net| {
            for link in net.all().await? {
                let mark = mark(&link);
                // One that was made, and not marked any more.
                let is_half_made = mark.is_none() && left.as_ref() == Some(&link.name);
                let is_own = mark.is_some_and(|mark| mark.key == *key);
                match self.provider {
                    Provider::Existing { .. } if is_own => net.set_alias(&link, "").await?,
                    Provider::ServiceTag { .. } if is_own || is_half_made => {
                        net.delete(&link).await?;
                    }
                    _ => {}
                }
            }
            Ok(())
        })?;
        Ok(())
    }

    fn marked(&self, network: &str) -> Result<Vec<Key>, CniError> {
        let all = Namespace::own()?.within(async |net| net.all().await)?;
        let marks = all.iter().filter_map(mark).map(|mark| mark.key);
        Ok(marks.filter(|key| key.network == network).collect())
    }
}
