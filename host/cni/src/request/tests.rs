#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;

fn conf(version: &str) -> Value {
    json!({
        "cniVersion": version, "name": "pods", "type": "penstock-cni", "vrf": "pods",
        "provider": { "type": "existing", "interface": "tap{vif}" },
        "ipam": { "type": "host-local" },
        "prevResult": null, "cni.dev/valid-attachments": [],
    })
}

fn env(command: &str) -> Vec<(&'static str, String)> {
    vec![
        ("CNI_COMMAND", command.to_owned()),
        ("CNI_CONTAINERID", "c1".to_owned()),
        ("CNI_NETNS", "/run/netns/a".to_owned()),
        ("CNI_IFNAME", "eth0".to_owned()),
        ("CNI_ARGS", "IgnoreUnknown=1;K8S_POD_NAMESPACE=ns;K8S_POD_NAME=web-1".to_owned()),
        ("CNI_PATH", "/usr/lib/cni::/opt/cni/bin".to_owned()),
    ]
}

fn ask(env: Vec<(&'static str, String)>, conf: &Value) -> Result<Request, CniError> {
    let env = Env::new(env.into_iter().map(|(key, value)| (key.to_owned(), value)));
    match parse(env, conf.to_string().as_bytes())? {
        Asked::Request(request) => Ok(*request),
        Asked::Version => panic!("that is no request"),
    }
}

/// The environment with one variable set to something else; nothing is the same as not set.
fn with(command: &str, name: &str, value: &str) -> Vec<(&'static str, String)> {
    let mut env = env(command);
    env.iter_mut().filter(|(key, _)| *key == name).for_each(|(_, old)| value.clone_into(old));
    env
}

#[test]
fn a_request_names_its_pod() {
    let request = ask(env("ADD"), &conf("1.0.0")).unwrap();
    let Command::Add(target) = &request.command else { panic!("{request:?}") };
    assert_eq!((&*target.pod_namespace, &*target.pod_name), ("ns", "web-1"));
    assert_eq!(target.netns.as_deref(), Some(std::path::Path::new("/run/netns/a")));
    assert_eq!(request.path, ["/usr/lib/cni", "/opt/cni/bin"].map(PathBuf::from));
    // A runtime that knows of no pods.
    let request = ask(with("ADD", "CNI_ARGS", ""), &conf("1.0.0")).unwrap();
    let Command::Add(target) = &request.command else { panic!("{request:?}") };
    assert_eq!((&*target.pod_namespace, &*target.pod_name), ("pods", "c1"));
}

#[test]
fn every_command_is_there_in_the_versions_that_have_it() {
    let previous = |version: &str| {
        let mut conf = conf(version);
        conf["prevResult"] = json!({});
        conf
    };
    for version in ["0.4.0", "1.0.0", "1.1.0"] {
        assert!(ask(env("ADD"), &conf(version)).is_ok());
        assert!(ask(env("DEL"), &conf(version)).is_ok());
        assert!(ask(env("DEL"), &previous(version)).is_ok());
        assert!(ask(env("CHECK"), &previous(version)).is_ok());
        assert_eq!(ask(env("CHECK"), &conf(version)).unwrap_err().code, 7);
        assert_eq!(ask(env("ADD"), &previous(version)).unwrap_err().code, 7);
        for command in ["GC", "STATUS"] {
            let code = ask(env(command), &conf(version)).map_err(|error| error.code).err();
            assert_eq!(code, (version != "1.1.0").then_some(1), "{command} {version}");
        }
    }
    let mut old = conf("1.0.0");
    old.as_object_mut().unwrap().remove("cniVersion");
    for version in [conf("0.3.1"), conf("1.2.0"), conf(""), old] {
        assert_eq!(ask(env("ADD"), &version).unwrap_err().code, 1, "{version}");
    }
    // The variables that a command has no use for need not be there.
    let bare = |command: &str| vec![("CNI_COMMAND", command.to_owned())];
    assert!(ask(bare("GC"), &conf("1.1.0")).is_ok() && ask(bare("STATUS"), &conf("1.1.0")).is_ok());
    let mut unsaid = conf("1.1.0");
    unsaid.as_object_mut().unwrap().remove("cni.dev/valid-attachments");
    assert_eq!(ask(bare("GC"), &unsaid).unwrap_err().code, 7, "all would go");
}

#[test]
fn what_is_wrong_has_its_number() {
    for (name, value) in [
        ("CNI_COMMAND", ""),
        ("CNI_COMMAND", "UPDATE"),
        ("CNI_CONTAINERID", ""),
        ("CNI_CONTAINERID", "-a"),
        ("CNI_CONTAINERID", "a/b"),
        ("CNI_NETNS", ""),
        ("CNI_IFNAME", ""),
        ("CNI_IFNAME", ".."),
        ("CNI_IFNAME", "a:b"),
        ("CNI_IFNAME", "a b"),
        ("CNI_IFNAME", "sixteen-letters-"),
        ("CNI_ARGS", "K8S_POD_NAME"),
        ("CNI_ARGS", "K8S_POD_NAME=web-1"),
        ("CNI_ARGS", "K8S_POD_NAMESPACE=ns;K8S_POD_NAME=a\nb"),
    ] {
        let error = ask(with("ADD", name, value), &conf("1.0.0")).unwrap_err();
        assert_eq!(error.code, 4, "{name}={value}: {error}");
    }
    assert!(ask(with("DEL", "CNI_NETNS", ""), &conf("1.0.0")).is_ok());
    let mut nameless = conf("1.0.0");
    nameless["name"] = "a:b".into();
    assert_eq!(ask(env("ADD"), &nameless).unwrap_err().code, 7);
    assert_eq!(
        ask(env("ADD"), &json!({ "cniVersion": "1.0.0", "name": "a" })).unwrap_err().code,
        7
    );
    assert_eq!(ask(env("ADD"), &json!([])).unwrap_err().code, 6);
    let empty = Env::new([("CNI_COMMAND".to_owned(), "VERSION".to_owned())]);
    assert!(matches!(parse(empty, b""), Ok(Asked::Version)));
}

#[test]
fn an_answer_is_in_the_version_of_the_question() {
    assert_eq!(answer_version(b"{\"cniVersion\":\"0.4.0\"}"), "0.4.0");
    assert_eq!(answer_version(b"{\"cniVersion\":\"9.9.9\"}"), "9.9.9");
    assert_eq!(answer_version(b""), "1.1.0");
}
