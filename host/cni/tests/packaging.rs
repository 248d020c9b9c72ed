//! The example of `packaging/` as the plugin reads it.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use penstock_cni::config::{NetConf, Provider};
use serde_json::Value;

#[test]
fn the_example_is_a_network_of_this_plugin() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging");
    let text = std::fs::read_to_string(folder.join("cni/10-penstock.conflist")).unwrap();
    let list: Value = serde_json::from_str(&text).unwrap();
    let plugins = list["plugins"].as_array().unwrap();
    let [plugin] = &plugins[..] else { panic!("one plugin expected: {list}") };
    assert_eq!(plugin["type"], "penstock-cni");
    // As a runtime does.
    let mut plugin = plugin.clone();
    for key in ["name", "cniVersion"] {
        plugin[key] = list[key].clone();
    }
    let conf: NetConf = serde_json::from_value(plugin).unwrap();
    assert!(matches!(conf.provider, Provider::ServiceTag { .. }));
    assert_eq!(conf.wanted().unwrap().len(), 253);
    assert_eq!(conf.socket, Path::new(penstock_api::paths::DEFAULT_SOCKET));
    let node = std::fs::read_to_string(folder.join("etc/node.yaml")).unwrap();
    assert!(node.contains(&format!("name: \"{}\"", conf.vrf)), "the VRF is the example node's");
}
