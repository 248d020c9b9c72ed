//! Names that must not be confused with each other.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Namespace and name of an object. Orders by namespace first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectName {
    /// Namespace (Contrail: project).
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl ObjectName {
    /// `namespace/name`.
    #[must_use]
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name! {
    /// A network in which floating IPs live. A VRF lists those whose floating IPs its pods reach.
    NetworkName
}
name! {
    /// Who serves a load balancer.
    ProviderName
}
name! {
    /// A source of intent, as the operator knows it: `files`, `node file`.
    SourceName
}

impl NetworkName {
    /// The network of Kubernetes services, which every VRF reaches unless it says otherwise.
    #[must_use]
    pub fn services() -> Self {
        "services".into()
    }
}

impl Default for NetworkName {
    fn default() -> Self {
        Self::services()
    }
}

impl ProviderName {
    /// The card itself: ECMP and translation in hardware.
    #[must_use]
    pub fn native() -> Self {
        "native".into()
    }
}

impl Default for ProviderName {
    fn default() -> Self {
        Self::native()
    }
}
