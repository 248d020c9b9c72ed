//! The program `penstock` against a daemon that answers from a list: forms of output, exit codes, a closed pipe.
#![allow(clippy::unwrap_used)]

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread::JoinHandle;

use penstock_views::{CardState, flow, mpls};
use serde_json::{Value, json};

/// Answers one request with `answer`, which is whole, and gives the request's first line back.
fn daemon(socket: &Path, answer: String) -> JoinHandle<String> {
    let listener = UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let line = request(&mut stream);
        // Whoever asked may have had enough.
        let _ = stream.write_all(answer.as_bytes());
        line
    })
}

/// Reads a request without a body; its first line.
fn request(stream: &mut UnixStream) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0].into());
    }
    head.lines().next().unwrap_or_default().to_owned()
}

fn http(status: &str, body: &str) -> String {
    let len = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len}\r\n\r\n{body}"
    )
}

fn command(socket: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_penstock"));
    command.env("PENSTOCK_API", socket).args(line.split(' '));
    command
}

fn ask(line: &str, answer: String) -> (String, Output) {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("api.sock");
    let daemon = daemon(&socket, answer);
    let output = command(&socket, line).output().unwrap();
    (daemon.join().unwrap(), output)
}

fn labels() -> String {
    let map = mpls::LabelMap {
        labels: vec![mpls::Label {
            label: 43,
            next_hop: 87,
            key_next_hop: 87,
            vrf: 2,
            service: false,
        }],
    };
    http("200 OK", &serde_json::to_string(&map).unwrap())
}

#[test]
fn text_and_json_of_the_same_answer() {
    let (request, output) = ask("mpls --dump", labels());
    assert_eq!(request, "GET /v1/labels HTTP/1.1");
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "MPLS Input Label Map\n\n   Label    NextHop\n-------------------\n      43        87\n"
    );
    let (_, output) = ask("mpls --dump -o json", labels());
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        r#"{
  "labels": [
    {
      "label": 43,
      "next_hop": 87,
      "key_next_hop": 87,
      "vrf": 2,
      "service": false
    }
  ]
}
"#
    );
}

#[test]
fn json_is_the_daemons_own() {
    // A later daemon's fields, its order, and numbers as they are.
    let body = r#"{"total":18446744073709551615,"later":[{"share":0.25,"none":null,"text":"\"ü\n"}],"drops":[]}"#;
    let (_, output) = ask("dropstats -o json", http("200 OK", body));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("{\n  \"total\": 18446744073709551615,\n  \"later\": [\n"), "{text}");
    assert!(text.ends_with("  \"drops\": []\n}\n"), "{text}");
    let same: Value = serde_json::from_str(body).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), same);
    let (_, output) = ask("dropstats -o json", http("200 OK", "{\"drops\": ["));
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("the daemon's answer is not understood"), "{text}");
}

#[test]
fn each_command_asks_for_its_resource() {
    for (line, path) in [
        ("status", "/v1/status"),
        ("flow -l", "/v1/flows"),
        ("flow --get 7", "/v1/flows/7"),
        ("nh --list", "/v1/next-hops"),
        ("nh --get 87", "/v1/next-hops/87"),
        ("vif --list", "/v1/vifs"),
        ("vif --get 8", "/v1/vifs/8"),
        ("rt --dump 2", "/v1/vrfs/2/routes"),
        (
            "rt --get 10.105.139.153/24 --vrf 2",
            "/v1/vrfs/2/routes/lookup?address=10.105.139.153&prefix_len=24",
        ),
        ("mpls --get 43", "/v1/labels/43"),
        ("dropstats", "/v1/drops"),
        ("explain svc ns-user-1/web", "/v1/services/ns-user-1/web"),
        ("explain svc web", "/v1/services/default/web"),
        ("explain ip 10.105.139.153", "/v1/addresses/10.105.139.153"),
        ("explain ip 10.105.139.153 --vrf 2", "/v1/addresses/10.105.139.153?vrf=2"),
        ("vrf --list", "/v1/vrfs"),
        ("svc --dump", "/v1/listeners"),
        ("source --dump", "/v1/tunnel-sources"),
        ("source --get 1", "/v1/tunnel-sources/1"),
        ("fip --dump", "/v1/plain-fips"),
        ("tunnel --list", "/v1/tunnels"),
    ] {
        let (request, _) = ask(line, http("404 Not Found", r#"{"error":"nothing"}"#));
        assert_eq!(request, format!("GET {path} HTTP/1.1"), "{line}");
    }
}

#[test]
fn a_card_among_several_is_named() {
    let nothing = || http("404 Not Found", r#"{"error":"nothing"}"#);
    let (request, _) = ask("vif -l --card left", nothing());
    assert_eq!(request, "GET /v1/vifs?card=left HTTP/1.1");
    let (request, _) = ask("--card left flow -l --match proto", nothing());
    assert_eq!(request, "GET /v1/flows?match=proto&card=left HTTP/1.1");
    let (request, _) = ask("audit --card left", nothing());
    assert_eq!(request, "POST /v1/audit?card=left HTTP/1.1");
}

#[test]
fn an_audit_that_finds_something_has_its_exit_code() {
    use penstock_api::types::{Audit, AuditedEntry, AuditedTable};
    let entry = AuditedEntry { index: 25, ours: Some("Ilm(..)".to_owned()), theirs: None };
    let table = AuditedTable {
        table: "Ilm".to_owned(),
        entries: 2,
        differing: 1,
        differences: vec![entry],
        ..AuditedTable::default()
    };
    let found = Audit { tables: vec![table], operations: 1, ..Audit::default() };
    let clean = Audit { clean: true, ..Audit::default() };
    for (audit, code, line) in
        [(clean, 0, "The card holds what it should (0 ms)."), (found, 4, "    expected: Ilm(..)")]
    {
        let body = serde_json::to_string(&audit).unwrap();
        let (request, output) = ask("audit", http("200 OK", &body));
        assert_eq!(request, "POST /v1/audit HTTP/1.1");
        assert_eq!(output.status.code(), Some(code));
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.lines().any(|l| l == line), "{text}");
        let (request, output) = ask("audit --fix -o json", http("200 OK", &body));
        assert_eq!(request, "POST /v1/audit?fix=true HTTP/1.1");
        assert_eq!(output.status.code(), Some(code));
        let same: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(same, serde_json::to_value(&audit).unwrap());
    }
}

#[test]
fn a_filter_travels_and_a_refusal_is_an_error() {
    let refusal = http("503 Service Unavailable", r#"{"error":"the card is lost: unplugged"}"#);
    let (request, output) = ask("flow -l --match 10.105.139.153:8888", refusal);
    assert_eq!(request, "GET /v1/flows?match=10.105.139.153%3A8888 HTTP/1.1");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "error: the card is lost: unplugged\n");
    assert!(output.stdout.is_empty());
}

#[test]
fn no_daemon_and_bad_usage_have_their_codes() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("api.sock");
    let output = command(&socket, "status").output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("api.sock") && text.contains("penstockd") && !text.contains('\x1b'),
        "{text}"
    );
    assert_eq!(command(&socket, "rt --dump").output().unwrap().status.code(), Some(2));
}

#[test]
fn a_daemon_that_gives_no_answer_is_another_thing_than_none() {
    let older = "{\"version\":1,\"ok\":false,\"error\":\"the request is not understood\"}\n";
    let full =
        http("503 Service Unavailable", r#"{"error":"the daemon serves 64 clients already"}"#);
    for (answer, why) in [
        (full, "serves 64 clients already"),
        (String::new(), "ended the connection without an answer"),
        (older.to_owned(), "the daemon's answer is not understood"),
    ] {
        let (_, output) = ask("dropstats", answer);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(why), "{text}");
    }
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let mut table = flow::view(&CardState::default(), None);
    let entry: flow::FlowEntry = serde_json::from_value(json!({
        "index": 1, "pair": 1, "partner": 2, "protocol": 6, "source": "10.47.255.237", "source_port": 1, "destination": "10.105.139.153",
        "destination_port": 8888, "vrf": 2, "destination_vrf": null, "generation": 0, "key_next_hop": 1, "action": "forward",
        "nat": [], "hairpin": false, "reverse": false, "tcp": [], "ecmp": null, "rpf_next_hop": 1, "packets": 0, "bytes": 0,
        "udp_source_port": 50000, "source_info": "7.0.0.0", "mapping": null, "last_hit": 0
    }))
    .unwrap();
    table.flows = vec![entry; 2_000];
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("api.sock");
    let daemon = daemon(&socket, http("200 OK", &serde_json::to_string(&table).unwrap()));
    let mut child =
        command(&socket, "flow -l").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut some = [0; 100];
    child.stdout.take().unwrap().read_exact(&mut some).unwrap();
    let output = child.wait_with_output().unwrap();
    daemon.join().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty());
}
