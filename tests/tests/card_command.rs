//! `penstock card`, the program, on a simulated card behind vfio-user.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};
use std::thread::JoinHandle;

use penstock_abi::table::{Ilm, TableId};
use penstock_card::service::{self, Stop};
use penstock_card::{CardOptions, CardSim, Clock, Server};
use penstock_device::{Card, DeviceError};

/// A Verilated card on a thread.
struct Simulated {
    stop: Stop,
    thread: Option<JoinHandle<()>>,
    dir: tempfile::TempDir,
}

impl Simulated {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut server = Server::bind(&dir.path().join("card.sock")).unwrap();
        let stop = Stop::new().unwrap();
        let switch = stop.try_clone().unwrap();
        let thread = std::thread::spawn(move || {
            let options = CardOptions { clock: Clock::Wall, ..CardOptions::default() };
            let mut card = CardSim::new(&options).unwrap();
            card.set_bus_master(false);
            service::run(&mut card, &mut server, &switch, false).unwrap();
        });
        Self { stop, thread: Some(thread), dir }
    }

    fn spec(&self) -> String {
        format!("vfio-user:{}", self.dir.path().join("card.sock").display())
    }

    fn attach(&self) -> Card {
        penstock_device::open(&self.spec()).and_then(Card::attach).unwrap()
    }
}

impl Drop for Simulated {
    fn drop(&mut self) {
        self.stop.stop();
        self.thread.take().unwrap().join().unwrap();
    }
}

fn penstock(verb: &str, spec: &str) -> Output {
    let own = std::env::current_exe().unwrap();
    // target/debug/deps/card_command-0123 -> target/debug
    let program = own.parent().and_then(Path::parent).unwrap().join("penstock");
    assert!(program.exists(), "{} is not built (cargo build -p penstock)", program.display());
    Command::new(program).args(["card", verb, spec, "-o", "json"]).output().unwrap()
}

#[test]
fn a_card_without_an_owner_is_shown_and_cleared_and_one_with_an_owner_is_not() {
    let simulated = Simulated::start();
    let spec = simulated.spec();
    let mut card = simulated.attach();
    let label = Ilm { valid: true, vrf: 2, ..Ilm::default() };
    card.write(25, label).unwrap();

    for (verb, instead) in [("info", "`penstock status`"), ("clear", "systemctl stop penstockd")] {
        let output = penstock(verb, &spec);
        assert_eq!(output.status.code(), Some(1));
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains("has another owner") && text.contains(instead), "{text}");
    }
    assert_eq!(card.read::<Ilm>(TableId::Ilm, 25).unwrap(), label);
    drop(card);

    let json = |output: Output| -> serde_json::Value {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let info = json(penstock("info", &spec));
    assert_eq!(info["card"]["reset_cause"], "function-level reset");
    assert_eq!((&info["ring"]["fault"], &info["pci"]), (&false.into(), &serde_json::Value::Null));
    // Having been looked at, the card still has what it had.
    assert_eq!(simulated.attach().read::<Ilm>(TableId::Ilm, 25).unwrap(), label);
    let cleared = json(penstock("clear", &spec));
    assert_eq!(cleared["tables"], serde_json::json!([{"table": "Ilm", "entries": 1}]));
    let dump: Result<_, DeviceError> = simulated.attach().dump(TableId::Ilm);
    assert_eq!(dump.unwrap(), []);
}
