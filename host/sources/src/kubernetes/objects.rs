//! The parts of Kubernetes' objects that matter here, as manifests write them.
//!
//! Unknown fields are passed over and `null` stands for "not there", as in the API. Field names are the API's.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

/// `null` where a default would do.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// `metadata`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Metadata {
    /// Name.
    #[serde(deserialize_with = "or_default")]
    pub(crate) name: String,
    /// Namespace; empty stands for `default`.
    #[serde(deserialize_with = "or_default")]
    pub(crate) namespace: String,
    /// Labels.
    #[serde(deserialize_with = "or_default")]
    pub(crate) labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(deserialize_with = "or_default")]
    pub(crate) annotations: BTreeMap<String, String>,
    /// When the API server took it (RFC 3339).
    pub(crate) creation_timestamp: Option<String>,
}

/// Names the service of a slice.
pub(crate) const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// Nobody serves what has this label.
pub(crate) const HEADLESS: &str = "service.kubernetes.io/headless";
/// Names the proxy that serves it (KEP-2447).
pub(crate) const SERVICE_PROXY: &str = "service.kubernetes.io/service-proxy-name";
/// The form in which source ranges were given before `spec.loadBalancerSourceRanges`; counts if that is empty.
pub(crate) const SOURCE_RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
/// The network in which the floating IPs of a service live.
pub(crate) const NETWORK: &str = "penstock.dev/network";
/// The zone of a node.
pub(crate) const ZONE: &str = "topology.kubernetes.io/zone";
/// Who serves a service.
pub(crate) const PROVIDER: &str = "penstock.dev/provider";

impl Metadata {
    /// Forgets what is never looked at, which may be much: tools keep whole objects in annotations. Names are kept apart.
    pub(crate) fn trim(&mut self) {
        self.name = String::new();
        self.namespace = String::new();
        self.labels
            .retain(|key, _| [SERVICE_NAME, HEADLESS, SERVICE_PROXY, ZONE].contains(&key.as_str()));
        self.annotations
            .retain(|key, _| [SOURCE_RANGES, NETWORK, PROVIDER].contains(&key.as_str()));
    }
}

/// `v1` `Service`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Service {
    /// Metadata.
    pub(crate) metadata: Metadata,
    /// Specification.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) spec: ServiceSpec,
    /// Status.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) status: ServiceStatus,
}

/// `spec` of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ServiceSpec {
    /// `ClusterIP` if absent.
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
    /// The cluster IP, `None` for headless.
    #[serde(rename = "clusterIP")]
    pub(crate) cluster_ip: Option<String>,
    /// One for each family.
    #[serde(rename = "clusterIPs", deserialize_with = "or_default")]
    pub(crate) cluster_ips: Vec<String>,
    /// Further addresses.
    #[serde(rename = "externalIPs", deserialize_with = "or_default")]
    pub(crate) external_ips: Vec<String>,
    /// Ports.
    #[serde(deserialize_with = "or_default")]
    pub(crate) ports: Vec<ServicePort>,
    /// `None` or `ClientIP`.
    pub(crate) session_affinity: Option<String>,
    /// Its time-out.
    pub(crate) session_affinity_config: Option<SessionAffinityConfig>,
    /// `Cluster` or `Local`, for the cluster IP.
    pub(crate) internal_traffic_policy: Option<String>,
    /// `Cluster` or `Local`, for what comes from outside.
    pub(crate) external_traffic_policy: Option<String>,
    /// Where load balancers ask a node whether it has a pod; 0 if there is none.
    #[serde(deserialize_with = "or_default")]
    pub(crate) health_check_node_port: u16,
    /// `IPv4`, `IPv6`; empty in objects that the API server has not completed.
    #[serde(deserialize_with = "or_default")]
    pub(crate) ip_families: Vec<String>,
    /// The only clients of the external addresses.
    #[serde(deserialize_with = "or_default")]
    pub(crate) load_balancer_source_ranges: Vec<String>,
}

/// `sessionAffinityConfig`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct SessionAffinityConfig {
    /// For `ClientIP`.
    #[serde(rename = "clientIP")]
    pub(crate) client_ip: Option<ClientIpConfig>,
}

/// `clientIP` of a `sessionAffinityConfig`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ClientIpConfig {
    /// 1..=86400; 10800 if absent.
    pub(crate) timeout_seconds: Option<u32>,
}

/// A port of a Service. `targetPort` is not looked at: EndpointSlices have it resolved.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServicePort {
    /// Name; needed when there is more than one port.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) name: String,
    /// `TCP` if absent.
    #[serde(default)]
    pub(crate) protocol: Option<String>,
    /// The port.
    pub(crate) port: u16,
    /// The port on each node, which is another proxy's business; 0 if there is none.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) node_port: u16,
}

/// `status` of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ServiceStatus {
    /// Load balancer.
    #[serde(deserialize_with = "or_default")]
    pub(crate) load_balancer: LoadBalancerStatus,
}

/// `status.loadBalancer`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct LoadBalancerStatus {
    /// Its addresses.
    #[serde(deserialize_with = "or_default")]
    pub(crate) ingress: Vec<Ingress>,
}

/// An address of a load balancer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Ingress {
    /// The address; absent if it has a host name instead.
    pub(crate) ip: Option<String>,
    /// `Proxy`: not to be captured.
    pub(crate) ip_mode: Option<String>,
}

/// `discovery.k8s.io/v1` `EndpointSlice`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EndpointSlice {
    /// Metadata; the label `kubernetes.io/service-name` names the service.
    pub(crate) metadata: Metadata,
    /// `IPv4`, `IPv6` or `FQDN`.
    pub(crate) address_type: String,
    /// Endpoints.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) endpoints: Vec<Endpoint>,
    /// Ports, the same for all of them.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) ports: Vec<EndpointPort>,
}

/// An endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Endpoint {
    /// Addresses that are one and the same; the first is used.
    #[serde(deserialize_with = "or_default")]
    pub(crate) addresses: Vec<String>,
    /// Conditions.
    #[serde(deserialize_with = "or_default")]
    pub(crate) conditions: Conditions,
    /// The node it is on.
    pub(crate) node_name: Option<String>,
    /// For whose clients it is meant.
    pub(crate) hints: Option<EndpointHints>,
}

/// `hints` of an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct EndpointHints {
    /// Nodes.
    #[serde(deserialize_with = "or_default")]
    pub(crate) for_nodes: Vec<ForPlace>,
    /// Zones.
    #[serde(deserialize_with = "or_default")]
    pub(crate) for_zones: Vec<ForPlace>,
}

/// A node or zone of `hints`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ForPlace {
    /// Its name.
    #[serde(deserialize_with = "or_default")]
    pub(crate) name: String,
}

/// `conditions` of an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Conditions {
    /// Absent means true.
    pub(crate) ready: Option<bool>,
    /// Absent means true.
    pub(crate) serving: Option<bool>,
    /// Absent means false.
    pub(crate) terminating: Option<bool>,
}

/// A port of a slice's endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct EndpointPort {
    /// Matches the service port's name.
    #[serde(deserialize_with = "or_default")]
    pub(crate) name: String,
    /// `TCP` if absent.
    pub(crate) protocol: Option<String>,
    /// Absent means all ports.
    pub(crate) port: Option<u16>,
}

/// `v1` `Pod`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Pod {
    /// Metadata.
    pub(crate) metadata: Metadata,
    /// Specification.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) spec: PodSpec,
    /// Status.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) status: PodStatus,
}

/// `spec` of a Pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct PodSpec {
    /// The node it runs on.
    pub(crate) node_name: Option<String>,
    /// It has its node's address.
    pub(crate) host_network: Option<bool>,
}

/// `status` of a Pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct PodStatus {
    /// `Succeeded` and `Failed` pods have no address any more.
    pub(crate) phase: Option<String>,
    /// Its address.
    #[serde(rename = "podIP")]
    pub(crate) pod_ip: Option<String>,
}

/// `v1` `Node`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Node {
    /// Metadata; the label `topology.kubernetes.io/zone` names the zone.
    pub(crate) metadata: Metadata,
}
