use super::*;

const CENT222: &str = include_str!("../../../../tests/manifests/chapter/cent222.yaml");

fn faults_of(text: &str) -> String {
    parse(Path::new("cent222.yaml"), text).expect_err("must be refused").to_string()
}

/// The chapter's node file with one thing changed.
fn changed(from: &str, to: &str) -> String {
    assert!(CENT222.contains(from), "the test must change something");
    faults_of(&CENT222.replacen(from, to, 1))
}

#[test]
fn the_chapters_node_is_read() {
    let node = parse(Path::new("cent222.yaml"), CENT222).unwrap();
    assert_eq!(node.name, "cent222");
    assert_eq!(node.fabric.address.to_string(), "10.169.25.20/24");
    let client = node.vif_by_address("10.47.255.237".parse().unwrap()).unwrap();
    assert_eq!((client.id, client.vrf, client.label), (VifId(7), VrfId(2), MplsLabel(25)));
    let remote = node.remote_by_address("10.169.25.21".parse().unwrap()).unwrap();
    assert_eq!(remote.labels[&"10.47.255.238".parse().unwrap()], MplsLabel(43));
}

#[test]
fn faults_name_file_and_place() {
    assert!(changed("name: cent222", "nam: cent222").contains("cent222.yaml:"));
    let unknown = changed("fabric:", "colour: red\nfabric:");
    assert!(unknown.contains("unknown field `colour`"), "{unknown}");
    assert!(unknown.contains("line"), "{unknown}");
    let id = changed("id: 8", "id: 7");
    assert!(id.contains("vifs[1]") && id.contains("id 7 is already that of vifs[0]"), "{id}");
    let label = changed("label: 28", "label: 25");
    assert!(label.contains("label 25 is already that of vifs[0] (client)"), "{label}");
    let reserved = changed("label: 28", "label: 3");
    assert!(reserved.contains("label 3 is reserved"), "{reserved}");
    let large = changed("label: 28", "label: 8192");
    assert!(large.contains("label 8192 is not below the card's 8192"), "{large}");
    let kept = changed("id: 8", "id: 2");
    assert!(kept.contains("id 2 is kept"), "{kept}");
    let too_large = changed("id: 8", "id: 300");
    assert!(too_large.contains("vifs[1].id") && too_large.contains("line"), "{too_large}");
    let vrf = changed("vrf: 2", "vrf: 9");
    assert!(vrf.contains("vifs[0] (client): there is no VRF 9"), "{vrf}");
    let address = changed("address: 10.47.255.236", "address: 10.47.255.238");
    assert!(address.contains("10.47.255.238 is already that of vifs[1]"), "{address}");
    let mac = changed("02:00:0a:2f:ff:ed", "03:00:0a:2f:ff:ed");
    assert!(mac.contains("is not an interface's"), "{mac}");
    let name = changed("name: client", "name: vhost0");
    assert!(name.contains("name vhost0 is already that of the card itself"), "{name}");
}

#[test]
fn remote_labels_overlap_in_no_way() {
    let twice = changed("10.47.255.235: 44", "10.47.255.238: 44");
    assert!(twice.contains("10.47.255.238 is there twice"), "{twice}");
    let label = changed("10.47.255.235: 44", "10.47.255.235: 43");
    assert!(label.contains("label 43 is already that of remotes[0] (cent333).labels"), "{label}");
    let own = changed("10.47.255.235: 44", "10.47.255.237: 44");
    assert!(own.contains("10.47.255.237 is already that of vifs[0] (client)"), "{own}");
}

#[test]
fn all_faults_are_listed() {
    let text = CENT222.replace("id: 8", "id: 7").replace("label: 28", "label: 0");
    assert_eq!(faults_of(&text).lines().count(), 2);
}

#[test]
fn the_committed_schema_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/node-schema.json");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, schema()).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == schema(),
        "docs/node-schema.json is stale: UPDATE=1 cargo test -p penstock-sources"
    );
}
