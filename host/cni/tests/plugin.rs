//! The plugin with a real kernel, Debian's host-local, and the whole daemon over a card in memory.
#![allow(clippy::unwrap_used)]

mod support;

use std::net::Ipv4Addr;

use penstock_abi::regs;
use penstock_abi::table::{HostRoute, Ilm, Vif};
use penstock_model::MacAddr;
use serde_json::{Value, json};
use support::{Node, Pod, host_local, in_namespaces, ip};

macro_rules! in_namespaces {
    ($($(#[$doc:meta])* $test:ident => $inner:ident;)*) => {$(
        $(#[$doc])*
        #[test]
        fn $test() {
            in_namespaces(stringify!($inner));
        }
    )*};
}

in_namespaces! {
    a_pod_comes_is_checked_and_goes_in_all_versions => all_versions;
    a_second_add_harms_nothing => second_add;
    a_restart_loses_nothing_and_a_daemon_that_is_down_hears_of_it_later => restarts;
    an_add_that_fails_leaves_nothing => failures;
    an_add_that_is_killed_leaves_nothing_that_del_does_not_find => kills;
    the_last_interface_is_given_and_then_none => exhaustion;
    garbage_is_collected_and_the_rest_stays => garbage;
    ipam_is_asked_in_a_version_that_it_lists => versions_of_ipam;
    a_service_tag_makes_the_interface => service_tag;
}

/// The address of a result, and its one route to the card's tables.
fn address(result: &Value) -> Ipv4Addr {
    let text = result["ips"][0]["address"].as_str().unwrap();
    text.strip_suffix("/32").unwrap().parse().unwrap()
}

fn routes_to(node: &Node, address: Ipv4Addr) -> usize {
    let tables = node.fake.tables();
    let address = u32::from(address);
    tables.of::<HostRoute>().values().filter(|r| r.valid && r.ip == address).count()
}

#[test]
#[ignore = "needs namespaces"]
fn all_versions() {
    let node = Node::new();
    // Numbers rest, so each has another vif.
    for (vif, version) in (4u8..).zip(["0.4.0", "1.0.0", "1.1.0"]) {
        let pod = Pod::new();
        let name = format!("web-{vif}");
        let about =
            |command: &str, more: Value| node.about(command, &name, &pod.netns(), version, &more);
        let added = about("ADD", json!({}));
        assert!(added.ended.success(), "{added:?}");
        let result = added.output;
        assert_eq!(result["cniVersion"], version);
        assert_eq!(result["interfaces"][0]["sandbox"], pod.netns());
        let address = address(&result);
        let mac = result["interfaces"][0]["mac"].as_str().unwrap();

        // The card forwards when ADD is answered.
        let label = u32::from(vif) + 13;
        let tables = node.fake.tables();
        let entry = *tables.get::<Vif>(vif.into()).unwrap();
        assert_eq!(MacAddr::from_bits(entry.mac).to_string(), mac, "{entry:?}");
        assert!(tables.get::<Ilm>(label).is_some_and(|ilm| ilm.valid));
        assert_eq!(routes_to(&node, address), 1);

        // The pod has its address alone on its link, and the gateway is no question.
        let link = pod.ip("link show eth0");
        assert!(link.contains(mac) && link.contains("mtu 1400") && link.contains(",UP"), "{link}");
        assert!(pod.ip("-4 addr show eth0").contains(&format!("inet {address}/32 ")));
        let route = pod.ip("-4 route show default");
        assert!(route.starts_with("default via 10.47.0.254 dev eth0"), "{route}");
        assert!(route.contains("onlink"), "{route}");
        let neighbour = pod.ip("neigh show dev eth0");
        let gateway = MacAddr::GATEWAY;
        let permanent = format!("10.47.0.254 lladdr {gateway} PERMANENT");
        assert!(neighbour.trim_end().starts_with(&permanent), "{neighbour}");

        let previous = json!({ "prevResult": result });
        let checked = about("CHECK", previous.clone());
        assert!(checked.ended.success() && checked.output.is_null(), "{checked:?}");
        for (harm, found, mend) in [
            (
                "neigh del 10.47.0.254 dev eth0",
                "is no permanent neighbour",
                format!("neigh add 10.47.0.254 lladdr {gateway} dev eth0 nud permanent"),
            ),
            (
                "route del default",
                "0.0.0.0/0 does not go by 10.47.0.254",
                "route add default via 10.47.0.254 dev eth0 onlink".to_owned(),
            ),
            (
                "link set eth0 address 02:00:00:00:00:01",
                "its MAC address is not",
                format!("link set eth0 address {mac}"),
            ),
        ] {
            pod.ip(harm);
            let checked = about("CHECK", previous.clone());
            assert_eq!(checked.code(), 103, "{harm}: {checked:?}");
            assert!(checked.msg().contains(found), "{harm}: {checked:?}");
            pod.ip(&mend);
            // Another MAC address takes neighbours along.
            pod.ip(&format!("neigh replace 10.47.0.254 lladdr {gateway} dev eth0 nud permanent"));
            let checked = about("CHECK", previous.clone());
            assert!(checked.ended.success(), "{mend}: {checked:?}");
        }

        for _ in 0..2 {
            let gone = about("DEL", previous.clone());
            assert!(gone.ended.success() && gone.output.is_null(), "{gone:?}");
            node.assert_untouched();
        }
        assert!(ip(None, &format!("link show tap{vif}")).is_ok());
        node.wait("the end of its route", |node| match routes_to(node, address) {
            0 => Ok(()),
            n => Err(format!("{n} routes")),
        });
        assert_eq!(about("CHECK", previous).code(), 103);
    }
}

#[test]
#[ignore = "needs namespaces"]
fn second_add() {
    let (node, pod) = (Node::new(), Pod::new());
    let result = node.add("web", &pod);
    let again = node.about("ADD", "web", &pod.netns(), "1.1.0", &json!({}));
    assert_eq!(again.code(), 101, "{again:?}");
    // Nor under another name for what is in the pod.
    let other = node.about("ADD", "other", &pod.netns(), "1.1.0", &json!({}));
    assert_eq!(other.code(), 101, "{other:?}");
    // The daemon says the same if the interface is gone from the pod.
    let empty = Pod::new();
    let elsewhere = node.about("ADD", "web", &empty.netns(), "1.1.0", &json!({}));
    assert_eq!(elsewhere.code(), 101, "{elsewhere:?}");
    let checked = node.check("web", &pod, &result);
    assert!(checked.ended.success(), "{checked:?}");
    assert_eq!(node.attached(), ["web"]);
    node.del("unknown", "/proc/1/ns/none");
    node.del("unknown", "");
    assert_eq!(node.attached(), ["web"]);
}

#[test]
#[ignore = "needs namespaces"]
fn restarts() {
    let (mut node, pod) = (Node::new(), Pod::new());
    let result = node.add("web", &pod);
    let (writes, epoch) = (node.fake.writes(), node.fake.register(regs::EPOCH));
    node.stop();
    node.start();
    assert_eq!((node.fake.writes(), node.fake.register(regs::EPOCH)), (writes, epoch));
    assert!(node.check("web", &pod, &result).ended.success());

    node.stop();
    let status = node.call("STATUS", "1.1.0", &[], &json!({}));
    assert_eq!(status.code(), 50, "{status:?}");
    assert_eq!(node.check("web", &pod, &result).code(), 11);
    let late = node.about("ADD", "late", &Pod::new().netns(), "1.1.0", &json!({}));
    assert_eq!(late.code(), 11, "{late:?}");
    node.del("web", &pod.netns());
    node.del("web", &pod.netns());
    assert!(ip(None, "link show tap4").is_ok() && node.leases().is_empty());
    node.start();
    assert_eq!(node.attached(), ["web"], "it could not be told");
    let next = Pod::new();
    let result = node.add("next", &next);
    assert_eq!(node.attached(), ["next"]);
    assert!(node.check("next", &next, &result).ended.success());
}

#[test]
#[ignore = "needs namespaces"]
fn failures() {
    let (node, pod) = (Node::new(), Pod::new());
    let add = |more: Value| node.about("ADD", "web", &pod.netns(), "1.0.0", &more);
    let ipam = |range: Value, more: Value| {
        let mut ipam = node.conf["ipam"].clone();
        ipam["ranges"] = json!([[range]]);
        for (key, value) in more.as_object().unwrap() {
            ipam[key] = value.clone();
        }
        json!({ "ipam": ipam })
    };
    let taken = json!({ "subnet": "10.47.0.0/24", "rangeStart": "10.47.0.99", "rangeEnd": "10.47.0.99",
        "gateway": "10.47.0.254" });
    let v6 = json!({ "subnet": "fd00::/64" });
    let good = json!({ "subnet": "10.47.0.0/24", "gateway": "10.47.0.254" });
    for (more, code, why) in [
        (json!({ "vrf": "red" }), 7, "there is no VRF red here; there are: pods"),
        (json!({ "ipam": { "type": "none-such" } }), 7, "no IPAM plugin `none-such`"),
        (json!({ "ipam": { "type": "../host-local" } }), 7, "no IPAM plugin"),
        (json!({ "ipam": { "type": "host-local" } }), 999, "host-local: "),
        (ipam(taken, json!({})), 11, "address 10.47.0.99 is that of vif by-hand"),
        (ipam(v6, json!({ "routes": [] })), 2, "the card serves IPv4 alone"),
        (
            ipam(good, json!({ "routes": [{ "dst": "10.9.0.0/16", "gw": "10.47.0.7" }] })),
            2,
            "gateway alone",
        ),
        // The route is none: the last step in the pod is refused.
        (json!({ "mtu": 40 }), 102, "does not take the MTU 40"),
        (json!({ "deviceID": "vif3" }), 100, "no vif is free"),
        (json!({ "deviceID": "vif9" }), 100, "none has a free interface"),
    ] {
        let said = add(more.clone());
        if code == 999 {
            // Its own number, and for DEL, which the specification wants, it is no better.
            assert!(
                said.output["details"].as_str().is_some_and(|text| text.contains("host-local"))
            );
        } else {
            assert_eq!(said.output.get("details"), None, "all of it was undone: {said:?}");
        }
        assert_eq!(said.code(), code, "{more}: {said:?}");
        assert!(said.msg().contains(why), "{more}: {said:?}");
        assert!(!pod.ip("link show").contains("eth0"), "{more}");
        node.assert_untouched();
    }
    let gone = node.about("ADD", "web", "/proc/1/ns/none", "1.0.0", &json!({}));
    assert_eq!(gone.code(), 3, "{gone:?}");
    node.assert_untouched();
    // A device plugin's choice is kept to, and after all that is free.
    let chosen = add(json!({ "runtimeConfig": { "deviceID": "vif6" } }));
    assert!(chosen.ended.success(), "{chosen:?}");
    assert!(ip(None, "link show tap6").is_err());
}

/// At IPAM, before and after it has given an address, as there a script can do it; the other steps are in the tests of `commands`.
#[test]
#[ignore = "needs namespaces"]
fn kills() {
    let (node, pod) = (Node::new(), Pod::new());
    let real = host_local();
    for place in ["before", "after"] {
        let script = format!(
            "#!/bin/sh\n[ $CNI_COMMAND$1 = ADD ] || exec {real}\n\
             [ {place} = before ] && kill -9 $PPID\n{real} > {file}\n\
             [ {place} = after ] && kill -9 $PPID\n",
            real = real.display(),
            file = node.path("result").display(),
        );
        node.script("host-local", &script);
        let killed = node.about("ADD", "web", &pod.netns(), "1.1.0", &json!({}));
        assert_eq!(killed.ended.code(), None, "{killed:?}");
        assert_eq!(node.attached(), ["web"], "it was reserved");
        if place == "after" {
            node.wait("the lease", |node| match node.leases().len() {
                1 => Ok(()),
                n => Err(format!("{n} leases")),
            });
        } else {
            // The script may go on for a moment after its caller.
            node.wait("the script's end", |node| {
                if node.path("result").exists() { Ok(()) } else { Err("no result".to_owned()) }
            });
        }
        std::fs::remove_file(node.path("bin/host-local")).unwrap();
        node.del("web", &pod.netns());
        node.assert_untouched();
        let _ = std::fs::remove_file(node.path("result"));
    }
    let result = node.add("web", &pod);
    assert!(node.check("web", &pod, &result).ended.success());
}

#[test]
#[ignore = "needs namespaces"]
fn exhaustion() {
    let node = Node::new();
    // vif 3 is the node file's, though its interface is here.
    let pods: Vec<Pod> = (0..4).map(|_| Pod::new()).collect();
    let vifs: Vec<_> = (0..3).map(|n| node.add(&format!("web-{n}"), &pods[n])).collect();
    assert_eq!(vifs.len(), 3);
    let said = node.about("ADD", "web-3", &pods[3].netns(), "1.1.0", &json!({}));
    assert_eq!(said.code(), 100, "{said:?}");
    assert!(said.msg().contains("1 are in use"), "{said:?}");
    assert_eq!((node.attached().len(), node.leases().len()), (3, 3));
    // One that goes makes room after its rest, and says so until then.
    node.del("web-0", &pods[0].netns());
    let said = node.about("ADD", "web-3", &pods[3].netns(), "1.1.0", &json!({}));
    assert!(said.code() == 100 && said.msg().contains("the next is free in"), "{said:?}");
}

#[test]
#[ignore = "needs namespaces"]
fn garbage() {
    let node = Node::new();
    let (stays, goes) = (Pod::new(), Pod::new());
    let result = node.add("stays", &stays);
    node.add("goes", &goes);
    // Its namespace goes without a DEL.
    drop(goes);
    let said = node.gc(&["stays", "unknown"]);
    assert!(said.ended.success() && said.output.is_null(), "{said:?}");
    assert_eq!((node.attached(), node.leases().len()), (vec!["stays".to_owned()], 1));
    let checked = node.check("stays", &stays, &result);
    assert!(checked.ended.success(), "{checked:?}");
    let status = node.call("STATUS", "1.1.0", &[], &json!({}));
    assert!(status.ended.success() && status.output.is_null(), "{status:?}");
    // A mark without anything behind it is taken off.
    ip(None, "link set tap6 alias penstock:6:pods:ghost:eth0").unwrap();
    assert!(node.gc(&["stays"]).ended.success());
    assert!(!ip(None, "-d link show tap6").unwrap().contains("alias"));
    let versions = node.call("VERSION", "1.0.0", &[], &json!({}));
    assert_eq!(
        versions.output,
        json!({ "cniVersion": "1.0.0", "supportedVersions": ["0.4.0", "1.0.0", "1.1.0"] })
    );
}

#[test]
#[ignore = "needs namespaces"]
fn versions_of_ipam() {
    let (node, pod) = (Node::new(), Pod::new());
    let script = |listed: &str| {
        format!(
            r#"#!/bin/sh
if [ $CNI_COMMAND = VERSION ]; then echo '{{"supportedVersions":[{listed}]}}'; exit; fi
echo "$CNI_COMMAND $(cat)" >> {log}
[ $CNI_COMMAND = STATUS ] && {{ echo '{{"code":50,"msg":"no addresses"}}'; exit 1; }}
echo '{{"ips":[{{"address":"10.47.0.7/24","gateway":"10.47.0.254"}}]}}'
"#,
            log = node.path("calls").display()
        )
    };
    let calls = || {
        let text = std::fs::read_to_string(node.path("calls")).unwrap_or_default();
        let _ = std::fs::remove_file(node.path("calls"));
        let version = |line: &str| {
            let (command, conf) = line.split_once(' ').unwrap();
            let conf: Value = serde_json::from_str(conf).unwrap();
            let previous = conf["prevResult"]["cniVersion"].as_str().unwrap_or("-");
            format!("{command} {} {previous}", conf["cniVersion"].as_str().unwrap())
        };
        text.lines().map(version).collect::<Vec<_>>()
    };
    let ipam = json!({ "ipam": { "type": "test-ipam" } });
    let about = |command: &str, more: Value| {
        let mut conf = ipam.clone();
        more.as_object().unwrap().iter().for_each(|(k, v)| conf[k] = v.clone());
        node.about(command, "web", &pod.netns(), "1.1.0", &conf)
    };
    node.script("test-ipam", &script(r#""0.3.1","0.4.0""#));
    let added = about("ADD", json!({}));
    assert!(added.ended.success(), "{added:?}");
    assert_eq!(added.output["routes"][0]["dst"], "0.0.0.0/0", "the way out");
    let checked = about("CHECK", json!({ "prevResult": added.output }));
    assert!(checked.ended.success(), "{checked:?}");
    assert!(about("STATUS", json!({})).ended.success(), "it is too old to be asked");
    assert!(about("DEL", json!({})).ended.success());
    assert_eq!(calls(), ["ADD 0.4.0 -", "CHECK 0.4.0 0.4.0", "DEL 0.4.0 -"]);
    node.script("test-ipam", &script(r#""1.0.0","1.1.0""#));
    let status = about("STATUS", json!({}));
    assert!(status.code() == 50 && status.msg() == "test-ipam: no addresses", "{status:?}");
    assert!(about("GC", json!({ "cni.dev/valid-attachments": [] })).ended.success());
    assert_eq!(calls(), ["STATUS 1.1.0 -", "GC 1.1.0 -"]);
    node.script("test-ipam", &script(r#""0.3.1","2.0.0""#));
    assert_eq!(about("ADD", json!({})).code(), 1);
    node.script("test-ipam", "#!/bin/sh\necho broken >&2; exit 3\n");
    let said = about("ADD", json!({}));
    assert_eq!(said.code(), 105, "{said:?}");
    assert!(said.output["details"].as_str().unwrap().contains("broken"), "{said:?}");
}

#[test]
#[ignore = "needs namespaces"]
fn service_tag() {
    let (mut node, pod) = (Node::new(), Pod::new());
    ip(None, "link add ens1 type veth peer name wire").unwrap();
    ip(None, "link set ens1 mtu 1500 up").unwrap();
    node.conf["provider"] = json!({ "type": "service-tag", "netdev": "ens1" });
    node.conf.as_object_mut().unwrap().remove("mtu");
    if ip(None, "link add link ens1 name probe type vlan proto 802.1ad id 5").is_err() {
        eprintln!("this kernel has no 802.1ad: only its refusal is checked");
        let said = node.about("ADD", "web", &pod.netns(), "1.1.0", &json!({}));
        assert_eq!(said.code(), 102, "{said:?}");
        assert!(said.msg().contains("no link with service tag 4 can be made on ens1"), "{said:?}");
        return node.assert_untouched();
    }
    ip(None, "link del probe").unwrap();
    // What an ADD left that was killed before it could say whose it is.
    ip(None, "link add link ens1 name psvif4 type vlan proto 802.1ad id 4").unwrap();
    let result = node.add("web", &pod);
    assert_eq!(result["interfaces"][0]["mtu"], 1496);
    let link = pod.ip("-d link show eth0");
    assert!(link.contains("vlan protocol 802.1ad id 4 "), "{link}");
    assert!(node.check("web", &pod, &result).ended.success());
    node.del("web", &pod.netns());
    assert!(!pod.ip("link show").contains("eth0") && ip(None, "link show psvif4").is_err());
    node.assert_untouched();
    let missing = json!({ "provider": { "type": "service-tag", "netdev": "ens9" } });
    let said = node.about("ADD", "web", &pod.netns(), "1.1.0", &missing);
    assert!(said.code() == 102 && said.msg() == "there is no interface ens9", "{said:?}");
    node.assert_untouched();
}
