//! What is not as an object asks, and why: values, not errors, as the rest of the intent holds all the same.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use imbl::OrdMap;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{ObjectId, ObjectName};

/// Findings by the object that they are about. Lists are not empty, in a stable order, and without repetitions.
pub type Findings = OrdMap<ObjectId, Arc<[Finding]>>;

/// Something that is not as its object asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    /// What becomes of the object.
    pub effect: Effect,
    /// Why.
    #[serde(flatten)]
    pub reason: Reason,
}

/// What becomes of an object about which something was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// It is not served. What the card has of it stays where that is still true.
    Refused,
    /// This version of it is not taken, the one before stays in force.
    Kept,
    /// A part of it is not served.
    Partial,
    /// It is served; this is worth knowing.
    Note,
}

/// Why an object is not served as it asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum Reason {
    /// It does not say what it should; its author has to mend it.
    Invalid {
        /// File and line, or another place, if it is known.
        place: String,
        /// What is wrong.
        text: String,
    },
    /// Another source, or another place of the same one, gives this object too, and comes first.
    Defined {
        /// Which.
        by: String,
    },
    /// Something that only one can have belongs to another object.
    Taken {
        /// What it is: `address`, `label`, `vif`.
        what: String,
        /// Its value.
        value: String,
        /// Who has it.
        holder: ObjectId,
    },
    /// A number is not one that the card knows.
    OutOfRange {
        /// What the number is.
        what: String,
        /// The number.
        value: u32,
        /// Lowest one that is.
        first: u32,
        /// Highest one that is.
        last: u32,
    },
    /// A table of the card has no room for it; older objects have theirs.
    TableFull {
        /// Table, by its name in the reference.
        table: String,
        /// Entries there are.
        capacity: u32,
    },
    /// A hash table has room, but none to which this key can be moved.
    NoPlace {
        /// Table, by its name in the reference.
        table: String,
        /// The key.
        key: String,
    },
    /// A floating IP has more backends than a group can have: a part of them serves.
    GroupTooLarge {
        /// The floating IP.
        address: IpAddr,
        /// Backends that serve.
        served: u32,
        /// Backends that there are.
        of: u32,
    },
    /// A floating IP of a load balancer is not served for it.
    Denied {
        /// The floating IP.
        address: IpAddr,
        /// Why.
        why: Denial,
    },
    /// Nobody with this name serves load balancers here.
    NoProvider {
        /// The name.
        provider: String,
    },
    /// Anything else, for people.
    Text {
        /// What was done about it and why.
        text: String,
    },
}

/// Why a floating IP is not served for a load balancer that asks for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Denial {
    /// It belongs to another load balancer.
    BelongsTo(ObjectName),
    /// It is the cluster IP of another load balancer.
    ClusterIpOf(ObjectName),
    /// It belongs to another load balancer of the namespace, which has it served by somebody else, or in another network.
    SharedOtherwise(ObjectName),
    /// It is the address of a pod or a node.
    InUse,
    /// An external IP in no range that the operator allowed.
    NotAllowed,
    /// An external IP in a range that the operator named as the cluster's own.
    InClusterRange(IpNet),
    /// An external IP that is a pod's, or in the fabric's subnet.
    InFabric(IpNet),
    /// Only these may use it, which the card cannot enforce.
    SourceRanges(Vec<String>),
    /// It is of a family that the card does not know.
    Family,
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BelongsTo(owner) => write!(f, "belongs to {owner}"),
            Self::ClusterIpOf(owner) => write!(f, "is the cluster IP of {owner}"),
            Self::SharedOtherwise(owner) => {
                write!(f, "belongs to {owner}, which asks for another provider or network")
            }
            Self::InUse => f.write_str("is the address of a pod or a node"),
            Self::NotAllowed => {
                f.write_str("is an external IP in no range of --allow-external-ips")
            }
            Self::InClusterRange(range) => {
                write!(f, "is an external IP in {range} of --cluster-cidr")
            }
            Self::InFabric(range) => {
                write!(f, "is an external IP that is a pod's, or in the fabric's {range}")
            }
            Self::SourceRanges(ranges) => {
                write!(f, "is for {} only, which the card does not enforce yet", ranges.join(", "))
            }
            Self::Family => f.write_str("is an IPv6 address, which this card does not know"),
        }
    }
}

impl Finding {
    /// It is not served.
    #[must_use]
    pub fn refused(reason: Reason) -> Self {
        Self { effect: Effect::Refused, reason }
    }

    /// A part of it is not served.
    #[must_use]
    pub fn partial(reason: Reason) -> Self {
        Self { effect: Effect::Partial, reason }
    }

    /// This version of it is not taken.
    #[must_use]
    pub fn kept(reason: Reason) -> Self {
        Self { effect: Effect::Kept, reason }
    }

    /// Another source, or another place of the same one, gives the object too, and its version is the one that counts.
    #[must_use]
    pub fn defined(by: impl Into<String>) -> Self {
        Self { effect: Effect::Note, reason: Reason::Defined { by: by.into() } }
    }

    /// Worth knowing.
    #[must_use]
    pub fn note(text: impl Into<String>) -> Self {
        Self { effect: Effect::Note, reason: Reason::Text { text: text.into() } }
    }
}

impl Reason {
    /// Its author has to mend it.
    #[must_use]
    pub fn invalid(place: impl Into<String>, text: impl Into<String>) -> Self {
        Self::Invalid { place: place.into(), text: text.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.effect {
            Effect::Refused => write!(f, "refused: {}", self.reason),
            Effect::Kept => write!(f, "{}; what it was before stays in force", self.reason),
            Effect::Partial | Effect::Note => self.reason.fmt(f),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid { place, text } if place.is_empty() => f.write_str(text),
            Self::Invalid { place, text } => write!(f, "{place}: {text}"),
            Self::Defined { by } => write!(f, "is also in {by}"),
            Self::Taken { what, value, holder } => write!(f, "{what} {value} is that of {holder}"),
            Self::OutOfRange { what, value, first, last } => {
                write!(f, "{what} {value} is not in {first}..={last}")
            }
            Self::TableFull { table, capacity } => {
                write!(f, "table {table} is full, it holds {capacity} entries")
            }
            Self::NoPlace { table, key } => {
                write!(f, "table {table} has no place for {key}, and moving others makes none")
            }
            Self::GroupTooLarge { address, served, of } => {
                write!(
                    f,
                    "floating IP {address} has {of} backends, {served} of them serve: a group has no more"
                )
            }
            Self::Denied { address, why } => write!(f, "{address} {why}: not served"),
            Self::NoProvider { provider } => write!(f, "there is no provider {provider} here"),
            Self::Text { text } => f.write_str(text),
        }
    }
}
