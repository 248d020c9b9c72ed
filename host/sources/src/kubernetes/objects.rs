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
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Metadata {
    /// Name.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// Namespace; empty stands for `default`.
    #[serde(deserialize_with = "or_default")]
    pub namespace: String,
    /// Labels.
    #[serde(deserialize_with = "or_default")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(deserialize_with = "or_default")]
    pub annotations: BTreeMap<String, String>,
    /// When the API server took it (RFC 3339).
    pub creation_timestamp: Option<String>,
}

/// `v1` `Service`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    /// Metadata.
    pub metadata: Metadata,
    /// Specification.
    #[serde(default, deserialize_with = "or_default")]
    pub spec: ServiceSpec,
    /// Status.
    #[serde(default, deserialize_with = "or_default")]
    pub status: ServiceStatus,
}

/// `spec` of a Service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ServiceSpec {
    /// `ClusterIP` if absent.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The cluster IP, `None` for headless.
    #[serde(rename = "clusterIP")]
    pub cluster_ip: Option<String>,
    /// One for each family.
    #[serde(rename = "clusterIPs", deserialize_with = "or_default")]
    pub cluster_ips: Vec<String>,
    /// Further addresses.
    #[serde(rename = "externalIPs", deserialize_with = "or_default")]
    pub external_ips: Vec<String>,
    /// Ports.
    #[serde(deserialize_with = "or_default")]
    pub ports: Vec<ServicePort>,
    /// `None` or `ClientIP`.
    pub session_affinity: Option<String>,
    /// Its time-out.
    pub session_affinity_config: Option<SessionAffinityConfig>,
    /// `Cluster` or `Local`.
    pub internal_traffic_policy: Option<String>,
    /// `IPv4`, `IPv6`; empty in objects that the API server has not completed.
    #[serde(deserialize_with = "or_default")]
    pub ip_families: Vec<String>,
    /// The only clients of the external addresses.
    #[serde(deserialize_with = "or_default")]
    pub load_balancer_source_ranges: Vec<String>,
}

/// `sessionAffinityConfig`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SessionAffinityConfig {
    /// For `ClientIP`.
    #[serde(rename = "clientIP")]
    pub client_ip: Option<ClientIpConfig>,
}

/// `clientIP` of a `sessionAffinityConfig`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ClientIpConfig {
    /// 1..=86400; 10800 if absent.
    pub timeout_seconds: Option<u32>,
}

/// A port of a Service. `targetPort` is not looked at: EndpointSlices have it resolved.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServicePort {
    /// Name; needed when there is more than one port.
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    /// `TCP` if absent.
    #[serde(default)]
    pub protocol: Option<String>,
    /// The port.
    pub port: u16,
}

/// `status` of a Service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ServiceStatus {
    /// Load balancer.
    #[serde(deserialize_with = "or_default")]
    pub load_balancer: LoadBalancerStatus,
}

/// `status.loadBalancer`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LoadBalancerStatus {
    /// Its addresses.
    #[serde(deserialize_with = "or_default")]
    pub ingress: Vec<Ingress>,
}

/// An address of a load balancer.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Ingress {
    /// The address; absent if it has a host name instead.
    pub ip: Option<String>,
    /// `Proxy`: not to be captured.
    pub ip_mode: Option<String>,
}

/// `discovery.k8s.io/v1` `EndpointSlice`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointSlice {
    /// Metadata; the label `kubernetes.io/service-name` names the service.
    pub metadata: Metadata,
    /// `IPv4`, `IPv6` or `FQDN`.
    pub address_type: String,
    /// Endpoints.
    #[serde(default, deserialize_with = "or_default")]
    pub endpoints: Vec<Endpoint>,
    /// Ports, the same for all of them.
    #[serde(default, deserialize_with = "or_default")]
    pub ports: Vec<EndpointPort>,
}

/// An endpoint.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Endpoint {
    /// Addresses that are one and the same; the first is used.
    #[serde(deserialize_with = "or_default")]
    pub addresses: Vec<String>,
    /// Conditions.
    #[serde(deserialize_with = "or_default")]
    pub conditions: Conditions,
    /// The node it is on.
    pub node_name: Option<String>,
}

/// `conditions` of an endpoint.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Conditions {
    /// Absent means true.
    pub ready: Option<bool>,
    /// Absent means true.
    pub serving: Option<bool>,
    /// Absent means false.
    pub terminating: Option<bool>,
}

/// A port of a slice's endpoints.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct EndpointPort {
    /// Matches the service port's name.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// `TCP` if absent.
    pub protocol: Option<String>,
    /// Absent means all ports.
    pub port: Option<u16>,
}

/// `v1` `Pod`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pod {
    /// Metadata.
    pub metadata: Metadata,
    /// Specification.
    #[serde(default, deserialize_with = "or_default")]
    pub spec: PodSpec,
    /// Status.
    #[serde(default, deserialize_with = "or_default")]
    pub status: PodStatus,
}

/// `spec` of a Pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodSpec {
    /// The node it runs on.
    pub node_name: Option<String>,
    /// It has its node's address.
    pub host_network: Option<bool>,
}

/// `status` of a Pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodStatus {
    /// `Succeeded` and `Failed` pods have no address any more.
    pub phase: Option<String>,
    /// Its address.
    #[serde(rename = "podIP")]
    pub pod_ip: Option<String>,
}
