//! The resources: where they are, for those who serve them, and how one is asked for, for those who read them.

use std::fmt;
use std::net::Ipv4Addr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

/// Socket of the daemon unless told otherwise.
pub const DEFAULT_SOCKET: &str = "/run/penstock/penstockd.sock";

/// `types::Status`.
pub const STATUS: &str = "/v1/status";
/// `flow::FlowTable`; takes [`FlowQuery`].
pub const FLOWS: &str = "/v1/flows";
/// `flow::FlowEntry`; by DELETE, its connection goes.
pub const FLOW: &str = "/v1/flows/{index}";
/// `event::Event`s as they happen, a line of JSON each, without end; empty lines say that there is nothing to say. Takes [`EventQuery`].
pub const EVENTS: &str = "/v1/events";
/// `next_hop::Hops`, all.
pub const NEXT_HOPS: &str = "/v1/next-hops";
/// `next_hop::Hops`, one and its members.
pub const NEXT_HOP: &str = "/v1/next-hops/{id}";
/// `vif::Interfaces`, all.
pub const VIFS: &str = "/v1/vifs";
/// `vif::Interfaces`, one.
pub const VIF: &str = "/v1/vifs/{id}";
/// `route::Routes` of a VRF.
pub const ROUTES: &str = "/v1/vrfs/{vrf}/routes";
/// `route::Routes`, the one that a destination takes; takes [`LookupQuery`].
pub const LOOKUP: &str = "/v1/vrfs/{vrf}/routes/lookup";
/// `mpls::LabelMap`, whole.
pub const LABELS: &str = "/v1/labels";
/// `mpls::LabelMap`, one label.
pub const LABEL: &str = "/v1/labels/{label}";
/// `overlay::Vrfs`: service network and source check of each VRF.
pub const VRFS: &str = "/v1/vrfs";
/// `overlay::Listeners` of floating IPs.
pub const LISTENERS: &str = "/v1/listeners";
/// `overlay::SourceSets`, all.
pub const SOURCES: &str = "/v1/tunnel-sources";
/// `overlay::SourceSets`, one.
pub const SOURCE: &str = "/v1/tunnel-sources/{set}";
/// `overlay::PlainFips`: floating IPs without port map.
pub const PLAIN_FIPS: &str = "/v1/plain-fips";
/// `tunnel::Tunnels`: what each tunnel has of the flow table.
pub const TUNNELS: &str = "/v1/tunnels";
/// `address::Address`: what the card does with an address; takes [`AddressQuery`].
pub const ADDRESS: &str = "/v1/addresses/{address}";
/// `drops::DropStats`.
pub const DROPS: &str = "/v1/drops";
/// `trace::Trace`: what the card's firmware did last.
pub const FIRMWARE_TRACE: &str = "/v1/firmware/trace";
/// `service::Services`: what is asked for, without a look at the card.
pub const SERVICES: &str = "/v1/services";
/// `service::Service`.
pub const SERVICE: &str = "/v1/services/{namespace}/{name}";
/// `types::Audit`; to be asked for by POST, as differences are mended; takes [`AuditQuery`].
pub const AUDIT: &str = "/v1/audit";
/// `attachments::Attachments`: the pods that a CNI plugin has registered; by POST, one more.
pub const ATTACHMENTS: &str = "/v1/attachments";
/// `attachments::Attachment`; by PUT, where it is; by DELETE, it goes.
pub const ATTACHMENT: &str = "/v1/attachments/{network}/{container}/{interface}";

/// What may stand in a segment of a path as it is; the rest is escaped.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Which card is meant, as every resource takes it: `?card=NAME`. Only a daemon of several cards needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardQuery {
    /// Name of the card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<String>,
}

/// Which flows to list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlowQuery {
    /// Expression of `flow_filter`; without one, all.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Name of the card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<String>,
}

/// Which events to tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventQuery {
    /// Words of `event::Kind` with commas between; without any, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<String>,
    /// Of connections, and of refused packets, one in so many: a power of two up to 32,768.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<u32>,
    /// Expression of `flow_filter`, for events about connections.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Name of the card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<String>,
}

/// What an audit may do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditQuery {
    /// Ends connections that are not whole, and those that nobody can use.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fix: bool,
    /// Name of the card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<String>,
}

/// Which route to find.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookupQuery {
    /// Destination.
    pub address: Ipv4Addr,
    /// Longest prefix considered.
    #[serde(default = "host_len")]
    pub prefix_len: u8,
    /// Name of the card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<String>,
}

/// Of which VRF an address is to be explained.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddressQuery {
    /// The VRF; without one, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vrf: Option<u16>,
    /// Name of the card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<String>,
}

fn host_len() -> u8 {
    32
}

/// One resource, with what its path and query name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    /// [`STATUS`].
    Status,
    /// [`FLOWS`].
    Flows(FlowQuery),
    /// [`FLOW`].
    Flow {
        /// Index in the flow table.
        index: u32,
    },
    /// [`EVENTS`].
    Events(EventQuery),
    /// [`NEXT_HOPS`].
    NextHops,
    /// [`NEXT_HOP`].
    NextHop {
        /// Its id.
        id: u32,
    },
    /// [`VIFS`].
    Vifs,
    /// [`VIF`].
    Vif {
        /// vif number.
        id: u32,
    },
    /// [`ROUTES`].
    Routes {
        /// The VRF.
        vrf: u16,
    },
    /// [`LOOKUP`].
    Lookup {
        /// The VRF.
        vrf: u16,
        /// What to find in it.
        query: LookupQuery,
    },
    /// [`LABELS`].
    Labels,
    /// [`LABEL`].
    Label {
        /// The label.
        label: u32,
    },
    /// [`VRFS`].
    Vrfs,
    /// [`LISTENERS`].
    Listeners,
    /// [`SOURCES`].
    Sources,
    /// [`SOURCE`].
    Source {
        /// The set.
        set: u16,
    },
    /// [`PLAIN_FIPS`].
    PlainFips,
    /// [`TUNNELS`].
    Tunnels,
    /// [`ADDRESS`].
    Address {
        /// The address.
        address: Ipv4Addr,
        /// In which VRF.
        query: AddressQuery,
    },
    /// [`DROPS`].
    Drops,
    /// [`FIRMWARE_TRACE`].
    FirmwareTrace,
    /// [`SERVICES`].
    Services,
    /// [`SERVICE`].
    Service {
        /// Namespace.
        namespace: String,
        /// Name.
        name: String,
    },
    /// [`AUDIT`].
    Audit(AuditQuery),
    /// [`ATTACHMENTS`].
    Attachments,
    /// [`ATTACHMENT`].
    Attachment {
        /// Name of the network configuration.
        network: String,
        /// Id of the container.
        container: String,
        /// Name of the interface in it.
        interface: String,
    },
}

impl Resource {
    /// The resource of the card with this name.
    #[must_use]
    pub fn of<'a>(&'a self, card: Option<&'a str>) -> OfCard<'a> {
        OfCard { resource: self, card }
    }
}

/// A resource of one card among several.
#[derive(Clone, Copy, Debug)]
pub struct OfCard<'a> {
    resource: &'a Resource,
    card: Option<&'a str>,
}

impl fmt::Display for OfCard<'_> {
    /// Path and query, escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.resource.to_string();
        let Some(card) = self.card else { return f.write_str(&path) };
        let card = CardQuery { card: Some(card.to_owned()) };
        let card = serde_urlencoded::to_string(card).map_err(|_| fmt::Error)?;
        write!(f, "{path}{}{card}", if path.contains('?') { '&' } else { '?' })
    }
}

impl fmt::Display for Resource {
    /// Path and query, escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status => f.write_str(STATUS),
            Self::Flows(query) => write_query(f, FLOWS, query),
            Self::Flow { index } => f.write_str(&fill(FLOW, &[index])),
            Self::Events(query) => write_query(f, EVENTS, query),
            Self::NextHops => f.write_str(NEXT_HOPS),
            Self::NextHop { id } => f.write_str(&fill(NEXT_HOP, &[id])),
            Self::Vifs => f.write_str(VIFS),
            Self::Vif { id } => f.write_str(&fill(VIF, &[id])),
            Self::Routes { vrf } => f.write_str(&fill(ROUTES, &[vrf])),
            Self::Lookup { vrf, query } => write_query(f, &fill(LOOKUP, &[vrf]), query),
            Self::Labels => f.write_str(LABELS),
            Self::Label { label } => f.write_str(&fill(LABEL, &[label])),
            Self::Vrfs => f.write_str(VRFS),
            Self::Listeners => f.write_str(LISTENERS),
            Self::Sources => f.write_str(SOURCES),
            Self::Source { set } => f.write_str(&fill(SOURCE, &[set])),
            Self::PlainFips => f.write_str(PLAIN_FIPS),
            Self::Tunnels => f.write_str(TUNNELS),
            Self::Address { address, query } => write_query(f, &fill(ADDRESS, &[address]), query),
            Self::Drops => f.write_str(DROPS),
            Self::FirmwareTrace => f.write_str(FIRMWARE_TRACE),
            Self::Services => f.write_str(SERVICES),
            Self::Service { namespace, name } => f.write_str(&fill(SERVICE, &[namespace, name])),
            Self::Audit(query) => write_query(f, AUDIT, query),
            Self::Attachments => f.write_str(ATTACHMENTS),
            Self::Attachment { network, container, interface } => {
                f.write_str(&fill(ATTACHMENT, &[network, container, interface]))
            }
        }
    }
}

/// A path with its names in braces replaced, in order.
fn fill(path: &str, values: &[&dyn ToString]) -> String {
    let mut values = values.iter();
    let segments = path.split('/').map(|segment| match values.as_slice().first() {
        Some(value) if segment.starts_with('{') => {
            values.next();
            utf8_percent_encode(&value.to_string(), SEGMENT).to_string()
        }
        _ => segment.to_owned(),
    });
    segments.collect::<Vec<_>>().join("/")
}

fn write_query(f: &mut fmt::Formatter<'_>, path: &str, query: &impl Serialize) -> fmt::Result {
    let query = serde_urlencoded::to_string(query).map_err(|_| fmt::Error)?;
    f.write_str(path)?;
    if query.is_empty() { Ok(()) } else { write!(f, "?{query}") }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_has_its_path_and_query() {
        let flows = |filter: Option<&str>| {
            Resource::Flows(FlowQuery { filter: filter.map(str::to_owned), card: None }).to_string()
        };
        assert_eq!(flows(None), "/v1/flows");
        assert_eq!(
            flows(Some("10.105.139.153:8888,* & proto tcp")),
            "/v1/flows?match=10.105.139.153%3A8888%2C*+%26+proto+tcp"
        );
        let address = Ipv4Addr::new(10, 105, 139, 153);
        let query = LookupQuery { address, prefix_len: 24, card: None };
        assert_eq!(
            Resource::Lookup { vrf: 2, query }.to_string(),
            "/v1/vrfs/2/routes/lookup?address=10.105.139.153&prefix_len=24"
        );
        assert_eq!(Resource::NextHop { id: 87 }.to_string(), "/v1/next-hops/87");
        assert_eq!(Resource::Source { set: 7 }.to_string(), "/v1/tunnel-sources/7");
        let explain = |vrf| {
            let query = AddressQuery { vrf, card: None };
            Resource::Address { address, query }.to_string()
        };
        assert_eq!(explain(None), "/v1/addresses/10.105.139.153");
        assert_eq!(explain(Some(2)), "/v1/addresses/10.105.139.153?vrf=2");
    }

    #[test]
    fn a_card_among_several_is_named_in_the_query() {
        let of = |resource: &Resource, card| resource.of(card).to_string();
        assert_eq!(of(&Resource::Vifs, None), "/v1/vifs");
        assert_eq!(of(&Resource::Vifs, Some("left 1")), "/v1/vifs?card=left+1");
        let flows = Resource::Flows(FlowQuery { filter: Some("proto udp".into()), card: None });
        let path = of(&flows, Some("left"));
        assert_eq!(path, "/v1/flows?match=proto+udp&card=left");
        let query = path.split_once('?').unwrap().1;
        let query: FlowQuery = serde_urlencoded::from_str(query).unwrap();
        assert_eq!(query.card.as_deref(), Some("left"));
    }

    #[test]
    fn a_name_cannot_leave_its_segment() {
        let service = |namespace: &str, name: &str| {
            let (namespace, name) = (namespace.to_owned(), name.to_owned());
            Resource::Service { namespace, name }.to_string()
        };
        assert_eq!(service("ns-user-1", "web.0"), "/v1/services/ns-user-1/web.0");
        assert_eq!(service("a/b?c", "{x} ü"), "/v1/services/a%2Fb%3Fc/%7Bx%7D%20%C3%BC");
    }

    #[test]
    fn a_query_names_what_it_may_and_no_more() {
        let query: LookupQuery = serde_urlencoded::from_str("address=10.0.0.1").unwrap();
        assert_eq!(query.prefix_len, 32);
        assert!(serde_urlencoded::from_str::<FlowQuery>("mtach=10.0.0.1").is_err());
    }
}
