//! The program `penstock` against a daemon that answers from a list: forms of output, exit codes, a closed pipe.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use penstock_views::api::Response;
use penstock_views::{CardState, flow, mpls};
use serde_json::{Value, json};

/// Answers one request with `answer` and gives the request back.
fn daemon(socket: &Path, answer: Value) -> std::thread::JoinHandle<Value> {
    let listener = UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut line = String::new();
        BufReader::new(stream.try_clone().unwrap()).read_line(&mut line).unwrap();
        writeln!(&stream, "{answer}").unwrap();
        serde_json::from_str(&line).unwrap()
    })
}

fn command(socket: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_penstock"));
    command.env("PENSTOCK_API", socket).args(line.split(' '));
    command
}

fn ask(line: &str, answer: Value) -> (Value, Output) {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("api.sock");
    let daemon = daemon(&socket, answer);
    let output = command(&socket, line).output().unwrap();
    (daemon.join().unwrap(), output)
}

fn labels() -> Value {
    let map = mpls::LabelMap {
        labels: vec![mpls::Label { label: 43, next_hop: 87, key_next_hop: 87, vrf: 2 }],
    };
    serde_json::to_value(Response::data(map)).unwrap()
}

#[test]
fn text_and_json_of_the_same_answer() {
    let (request, output) = ask("mpls --dump", labels());
    assert_eq!(request, json!({"version": 1, "op": "labels"}));
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "MPLS Input Label Map\n\n   Label    NextHop\n-------------------\n      43        87\n"
    );
    let (_, output) = ask("mpls --dump -o json", labels());
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["labels"][0]["next_hop"], 87);
}

#[test]
fn a_filter_travels_and_a_refusal_is_an_error() {
    let refusal = json!({"version": 1, "ok": false, "error": "the card is lost: unplugged"});
    let (request, output) = ask("flow -l --match 10.105.139.153:8888", refusal);
    assert_eq!(request, json!({"version": 1, "op": "flows", "match": "10.105.139.153:8888"}));
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
fn a_daemon_that_does_not_take_the_request_is_heard_all_the_same() {
    for (answer, why) in [
        (
            Some("{\"version\":1,\"ok\":false,\"error\":\"64 clients already\"}\n"),
            "64 clients already",
        ),
        (None, "without an answer"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("api.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let daemon = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            match answer {
                // Without a look at what is asked.
                Some(answer) => stream.write_all(answer.as_bytes()).unwrap(),
                None => _ = BufReader::new(stream).read_line(&mut String::new()).unwrap(),
            }
        });
        let output = command(&socket, "dropstats").output().unwrap();
        daemon.join().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(why), "{text}");
    }
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let mut table = flow::view(&CardState::default(), None);
    let entry: flow::FlowEntry = serde_json::from_value(json!({
        "index": 1, "partner": 2, "protocol": 6, "source": "10.47.255.237", "source_port": 1, "destination": "10.105.139.153",
        "destination_port": 8888, "vrf": 2, "destination_vrf": null, "generation": 0, "key_next_hop": 1, "action": "forward",
        "nat": [], "hairpin": false, "reverse": false, "tcp": [], "ecmp": null, "rpf_next_hop": 1, "packets": 0, "bytes": 0,
        "udp_source_port": 50000, "source_info": "7.0.0.0", "mapping": null, "last_hit": 0
    }))
    .unwrap();
    table.flows = vec![entry; 2_000];
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("api.sock");
    let daemon = daemon(&socket, serde_json::to_value(Response::data(table)).unwrap());
    let mut child =
        command(&socket, "flow -l").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut some = [0; 100];
    child.stdout.take().unwrap().read_exact(&mut some).unwrap();
    let output = child.wait_with_output().unwrap();
    daemon.join().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty());
}
