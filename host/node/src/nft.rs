//! nftables, by `nft` and its JSON: a table of our own, and a rule in chains of others that drop what is forwarded.
//!
//! Our table marks connections that came by the card, and what goes back of them, so that a rule can lead it to the card. It has a chain
//! at postrouting, behind the place of everybody's source translation (kube-proxy's among them), so that who
//! translates first has the connection. What is matched are sources of pods and services: which interface a packet came by is not known there on every kernel.

use std::io::Write as _;
use std::process::{Command, Stdio};

use ipnet::Ipv4Net;
use penstock_abi::limits::GATEWAY_MAC;
use serde_json::{Value, json};

use crate::state::Chain;
use crate::{NodeError, Wanted};

const FAMILY: &str = "ip";
const TABLE: &str = "penstock";
/// `srcnat` is 100.
const BEHIND_SRCNAT: i32 = 105;
/// `mangle`, where marks are for: behind connection tracking (-200), before `dstnat` (-100).
const MANGLE: i32 = -150;

/// Runs `nft -j` with a program, or with arguments if there is none.
fn nft(what: &str, arguments: &[&str], program: Option<&Value>) -> Result<Value, NodeError> {
    let refused = |text: String| NodeError::Nft { what: what.to_owned(), text };
    let mut command = Command::new("nft");
    command.arg("-j").args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    if program.is_some() {
        command.args(["-f", "-"]).stdin(Stdio::piped());
    } else {
        command.stdin(Stdio::null());
    }
    let mut child = command.spawn().map_err(NodeError::NoNft)?;
    if let (Some(mut input), Some(program)) = (child.stdin.take(), program) {
        // One that does not read says why, below.
        let _ = input.write_all(program.to_string().as_bytes());
    }
    let output = child.wait_with_output().map_err(|error| refused(error.to_string()))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(refused(if text.is_empty() { output.status.to_string() } else { text }));
    }
    if output.stdout.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&output.stdout).map_err(|error| refused(error.to_string()))
}

fn objects<'a>(answer: &'a Value, kind: &'static str) -> impl Iterator<Item = &'a Value> {
    let all = answer["nftables"].as_array().into_iter().flatten();
    all.filter_map(move |object| object.get(kind))
}

/// Chains of others that drop what no rule of theirs accepts, of what is forwarded: what Docker and firewalls leave behind,
/// and `iptables -P FORWARD DROP` of the sort that is nftables beneath.
pub(crate) fn dropping() -> Result<Vec<Chain>, NodeError> {
    let answer = nft("the chains cannot be listed", &["list", "chains"], None)?;
    let drops = objects(&answer, "chain").filter(|chain| {
        chain["hook"] == "forward"
            && chain["policy"] == "drop"
            && (chain["family"] == "ip" || chain["family"] == "inet")
    });
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let name = |chain: &Value| Chain {
        family: text(&chain["family"]),
        table: text(&chain["table"]),
        name: text(&chain["name"]),
    };
    Ok(drops.map(name).collect())
}

/// The two rules of ours, in words that `iptables` shows, too.
fn expressions(interface: &str) -> [Value; 2] {
    ["iifname", "oifname"].map(|key| {
        json!([
            { "match": { "op": "==", "left": { "meta": { "key": key } }, "right": interface } },
            { "counter": null },
            { "accept": null },
        ])
    })
}

/// Whether a rule is this one, whatever it has counted.
fn is_same(rule: &Value, expression: &Value) -> bool {
    let plain = |expression: &Value| -> Vec<Value> {
        let all = expression.as_array().into_iter().flatten();
        all.filter(|part| part.get("counter").is_none()).cloned().collect()
    };
    plain(&rule["expr"]) == plain(expression)
}

/// Handles of our rules in a chain, of each sort; none if there is no such chain any more.
fn handles(chain: &Chain, interface: &str) -> Result<Option<[Vec<u64>; 2]>, NodeError> {
    let Chain { family, table, name } = chain;
    if !exists(chain)? {
        return Ok(None);
    }
    let what = format!("the chain {family} {table} {name} cannot be listed");
    let answer = nft(&what, &["-a", "list", "chain", family, table, name], None)?;
    let rules: Vec<&Value> = objects(&answer, "rule").collect();
    Ok(Some(expressions(interface).map(|expression| {
        let ours = rules.iter().filter(|rule| is_same(rule, &expression));
        ours.filter_map(|rule| rule["handle"].as_u64()).collect()
    })))
}

fn exists(chain: &Chain) -> Result<bool, NodeError> {
    let answer = nft("the chains cannot be listed", &["list", "chains"], None)?;
    Ok(objects(&answer, "chain").any(|c| {
        c["family"] == *chain.family && c["table"] == *chain.table && c["name"] == *chain.name
    }))
}

/// Whether a chain lets pass what we need: by rules that it had before.
pub(crate) fn lets_pass(chain: &Chain, interface: &str) -> Result<bool, NodeError> {
    let handles = handles(chain, interface)?;
    Ok(handles.is_some_and(|sorts| sorts.iter().all(|handles| !handles.is_empty())))
}

/// Lets pass, in a chain of others, what is forwarded from and to the interface; what is there already is left. In front of all other rules.
pub(crate) fn open(chain: &Chain, interface: &str) -> Result<bool, NodeError> {
    let Some(sorts) = handles(chain, interface)? else { return Ok(false) };
    let missing = expressions(interface).into_iter().zip(sorts).filter(|(_, h)| h.is_empty());
    let rules: Vec<Value> = missing
        .map(|(expr, _)| {
            let Chain { family, table, name } = chain;
            json!({ "insert": { "rule": { "family": family, "table": table, "chain": name, "expr": expr } } })
        })
        .collect();
    if rules.is_empty() {
        return Ok(false);
    }
    let what = format!("no rule in {} {} {}", chain.family, chain.table, chain.name);
    nft(&what, &[], Some(&json!({ "nftables": rules })))?;
    Ok(true)
}

/// Takes our rules out of a chain of others.
pub(crate) fn close(chain: &Chain, interface: &str) -> Result<(), NodeError> {
    let Some(sorts) = handles(chain, interface)? else { return Ok(()) };
    let Chain { family, table, name } = chain;
    let rules: Vec<Value> = sorts
        .into_iter()
        .flatten()
        .map(|handle| json!({ "delete": { "rule": { "family": family, "table": table, "chain": name, "handle": handle } } }))
        .collect();
    if rules.is_empty() {
        return Ok(());
    }
    let what = format!("the rules in {family} {table} {name} cannot be removed");
    nft(&what, &[], Some(&json!({ "nftables": rules }))).map(drop)
}

/// A chain of ours at a hook.
fn base_chain(kind: &str, hook: &str, priority: i32) -> Value {
    json!({ "add": { "chain": {
        "family": FAMILY, "table": TABLE, "name": hook,
        "type": kind, "hook": hook, "prio": priority, "policy": "accept",
    } } })
}

fn rule(chain: &str, expr: &Value) -> Value {
    json!({ "add": { "rule": { "family": FAMILY, "table": TABLE, "chain": chain, "expr": expr } } })
}

/// Connections whose first packet came from the card are marked; so are their packets that go back, those that the node forwards
/// (at prerouting) and its own (at output, where a chain of type `route` looks the way up again).
fn way_back(wanted: &Wanted) -> Vec<Value> {
    let mac = GATEWAY_MAC.map(|byte| format!("{byte:02x}")).join(":");
    let (ct, meta) = (json!({ "ct": { "key": "mark" } }), json!({ "meta": { "key": "mark" } }));
    let is = |left: Value, right: Value| json!({ "match": { "op": "==", "left": left, "right": right } });
    let marked =
        |key: &Value| json!({ "mangle": { "key": key, "value": { "|": [key, wanted.mark] } } });
    let direction = |d: &str| is(json!({ "ct": { "key": "direction" } }), json!(d));
    let back = json!([
        direction("reply"),
        is(json!({ "&": [ct, wanted.mark] }), json!(wanted.mark)),
        marked(&meta),
    ]);
    let came = json!([
        is(json!({ "meta": { "key": "iifname" } }), json!(wanted.interface)),
        is(json!({ "payload": { "protocol": "ether", "field": "saddr" } }), json!(mac)),
        direction("original"),
        marked(&ct),
    ]);
    vec![
        base_chain("filter", "prerouting", MANGLE),
        base_chain("route", "output", MANGLE),
        rule("prerouting", &came),
        rule("prerouting", &back),
        rule("output", &back),
    ]
}

/// What pods send to others than `inside` gets the node's address; and what the node itself sends to a service that is outside, as it
/// comes back from the card from the service's address.
fn masquerade(wanted: &Wanted) -> Vec<Value> {
    let set = |name: &str, ranges: &[Ipv4Net]| {
        let elem: Vec<Value> = ranges
            .iter()
            .map(|net| json!({ "prefix": { "addr": net.network(), "len": net.prefix_len() } }))
            .collect();
        let flags = ["interval"];
        json!({ "add": { "set": { "family": FAMILY, "table": TABLE, "name": name, "type": "ipv4_addr", "flags": flags, "elem": elem } } })
    };
    let payload = |field: &str| json!({ "payload": { "protocol": "ip", "field": field } });
    let is = |op: &str, field: &str, set: &str| json!({ "match": { "op": op, "left": payload(field), "right": set } });
    vec![
        set("behind", &wanted.routes()),
        set("inside", &wanted.unmasqueraded()),
        base_chain("nat", "postrouting", BEHIND_SRCNAT),
        rule(
            "postrouting",
            &json!([
                is("==", "saddr", "@behind"),
                is("!=", "daddr", "@inside"),
                { "counter": null },
                { "masquerade": null },
            ]),
        ),
    ]
}

/// Makes our table anew, in one step.
pub(crate) fn make(wanted: &Wanted) -> Result<(), NodeError> {
    let table = json!({ "family": FAMILY, "name": TABLE });
    // One that is not there cannot be deleted, so it is made first.
    let mut program = vec![
        json!({ "add": { "table": table } }),
        json!({ "delete": { "table": table } }),
        json!({ "add": { "table": table } }),
    ];
    program.extend(way_back(wanted));
    program.extend(masquerade(wanted));
    nft("the table penstock cannot be made", &[], Some(&json!({ "nftables": program }))).map(drop)
}

/// Takes our table away.
pub(crate) fn remove() -> Result<(), NodeError> {
    let table = json!({ "family": FAMILY, "name": TABLE });
    let program = [json!({ "add": { "table": table } }), json!({ "delete": { "table": table } })];
    nft("the table penstock cannot be removed", &[], Some(&json!({ "nftables": program })))
        .map(drop)
}
