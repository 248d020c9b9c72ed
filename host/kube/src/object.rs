//! An object as the client reads it: anything, so that one that is wrong does not keep a list from being read.

use std::borrow::Cow;

use kube::Resource;
use kube::core::{ApiResource, DynamicResourceScope, GroupVersionKind, ObjectMeta};
use penstock_sources::cluster::{Document, Kind};
use serde::{Deserialize, Deserializer};

/// An object of any kind.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    /// What the client needs of it.
    metadata: ObjectMeta,
    pub(crate) document: Document,
}

impl<'de> Deserialize<'de> for Told {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let document = Document::deserialize(deserializer)?;
        let text = |field| document.metadata(field).map(str::to_owned);
        let metadata = ObjectMeta {
            name: text("name"),
            namespace: text("namespace"),
            resource_version: text("resourceVersion"),
            ..ObjectMeta::default()
        };
        Ok(Self { metadata, document })
    }
}

impl Resource for Told {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(of: &ApiResource) -> Cow<'_, str> {
        of.kind.as_str().into()
    }

    fn group(of: &ApiResource) -> Cow<'_, str> {
        of.group.as_str().into()
    }

    fn version(of: &ApiResource) -> Cow<'_, str> {
        of.version.as_str().into()
    }

    fn plural(of: &ApiResource) -> Cow<'_, str> {
        of.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// Where objects of a kind are at a server.
pub(crate) fn resource(kind: Kind) -> ApiResource {
    let (group, plural) = match kind {
        Kind::Service => ("", "services"),
        Kind::Slice => ("discovery.k8s.io", "endpointslices"),
        Kind::Pod => ("", "pods"),
        Kind::Node => ("", "nodes"),
        Kind::FloatingIp => ("penstock.dev", "floatingips"),
    };
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, "v1", kind.as_str()), plural)
}
