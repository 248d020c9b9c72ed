//! The part of a node file that says what each may have of the card's flow table.

use penstock_model::{FlowLimit, FlowLimits};
use schemars::JsonSchema;
use serde::Deserialize;

/// What pods and other nodes may have of the card's flow table, each.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FlowLimitsFile {
    /// Each pod of this node whose interface says nothing else.
    #[serde(default)]
    pub vifs: FlowLimitFile,
    /// Each tunnel by which packets come: of other nodes, and gateways.
    #[serde(default)]
    pub tunnels: FlowLimitFile,
}

/// A limit. What is not said, or is 0, is not limited; `burst` and `perSecond` go together.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FlowLimitFile {
    /// Connections at once.
    #[serde(default)]
    #[schemars(range(max = 1_048_575))]
    pub pairs: u32,
    /// New connections that may come at once.
    #[serde(default)]
    #[schemars(range(max = 1_048_575))]
    pub burst: u32,
    /// New connections a second besides.
    #[serde(default)]
    #[schemars(range(max = 10_000_000))]
    pub per_second: u32,
}

impl From<FlowLimitFile> for FlowLimit {
    fn from(file: FlowLimitFile) -> Self {
        let FlowLimitFile { pairs, burst, per_second } = file;
        Self { pairs, burst, per_second }
    }
}

impl From<FlowLimitsFile> for FlowLimits {
    fn from(file: FlowLimitsFile) -> Self {
        Self { vifs: file.vifs.into(), tunnels: file.tunnels.into() }
    }
}
