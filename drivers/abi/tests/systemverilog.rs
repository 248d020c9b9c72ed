//! Random entries packed here are unpacked by the generated SystemVerilog, and every field must come out the same;
//! likewise the hash functions. Needs Verilator (`cargo xtask setup`).

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use penstock_abi::table::{ENTRY_WORDS, FieldDesc, Words, get_bits, put_bits};
use penstock_abi::{hash, layout, limits, share};

const ENTRIES_PER_KIND: usize = 200;
const HASHES: usize = 500;
const HASH_KIND: usize = 100;
const FLOW_HASH_KIND: usize = 101;
const TUNNEL_SHARE_KIND: usize = 102;
const CLIENT_KIND: usize = 103;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

fn hex(words: &Words) -> String {
    words.iter().rev().fold(String::new(), |mut s, w| {
        let _ = write!(s, "{w:08x}");
        s
    })
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the workspace exists")
}

/// Builds the unpacker and runs it over `input`; returns the lines that it printed.
fn unpack(input: &str) -> Vec<String> {
    let root = root();
    let verilator = std::env::var_os("VERILATOR")
        .map_or_else(|| root.join(".tools/verilator/verilator/bin/verilator"), PathBuf::from);
    let build = Path::new(env!("CARGO_TARGET_TMPDIR")).join("abi_unpack");
    std::fs::create_dir_all(&build).expect("the target folder is writable");
    let output = Command::new(&verilator)
        .current_dir(&root)
        .args(["--binary", "--timing", "-Wno-lint", "--top-module", "ps_abi_unpack", "-Mdir"])
        .arg(&build)
        .args(["hdl/rtl/gen/ps_abi_pkg.sv", "hdl/tb/gen/ps_abi_unpack.sv"])
        .output()
        .unwrap_or_else(|e| {
            panic!("cannot run {}: {e}; run `cargo xtask setup`", verilator.display())
        });
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let file = build.join("input.txt");
    std::fs::write(&file, input).expect("the target folder is writable");
    let output = Command::new(build.join("Vps_abi_unpack"))
        .arg(format!("+in={}", file.display()))
        .output()
        .expect("the program was just built");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("it prints ASCII");
    text.lines().filter(|l| !l.starts_with('-')).map(str::to_owned).collect()
}

#[test]
fn fields_and_hashes_agree_with_systemverilog() {
    let mut random = Random(0x0123_4567_89ab_cdef);
    let mut kinds: Vec<(&str, &'static [FieldDesc])> = Vec::new();
    layout::for_each_entry(|name, _, fields, _| kinds.push((name, fields)));
    let (mut input, mut expected) = (String::new(), Vec::new());
    for (kind, (name, fields)) in kinds.iter().enumerate() {
        for _ in 0..ENTRIES_PER_KIND {
            let mut words = [0; ENTRY_WORDS];
            let mut values = Vec::new();
            for f in *fields {
                let value = random.next() & (u64::MAX >> (64 - f.width));
                put_bits(&mut words, f.lsb, f.width, value);
                assert_eq!(get_bits(&words, f.lsb, f.width), value);
                values.push(value);
            }
            let _ = writeln!(input, "{kind} {}", hex(&words));
            expected.push((*name, values));
        }
    }
    for _ in 0..HASHES {
        let key = u128::from(random.next()) << 64 | u128::from(random.next());
        let _ = writeln!(input, "{HASH_KIND} {:0>96}", format!("{key:032x}"));
        expected.push(("hash", vec![hash::key_hash(key), u64::from(hash::h3_member(key))]));
    }
    for _ in 0..HASHES {
        let key = (u128::from(random.next()) << 64 | u128::from(random.next())) >> 8;
        let secret = hash::FlowSecret(std::array::from_fn(|_| random.next() as u32));
        let words = secret.0.iter().rev().fold(String::new(), |s, w| s + &format!("{w:08x}"));
        let _ = writeln!(input, "{FLOW_HASH_KIND} {:0>96}", format!("{words}{key:032x}"));
        let out = hash::flow_hash(key, &secret);
        expected.push(("flow_hash", [0, 32, 64].map(|at| u64::from((out >> at) as u32)).to_vec()));
    }
    for _ in 0..HASHES {
        let source = random.next() as u32;
        let _ = writeln!(input, "{TUNNEL_SHARE_KIND} {source:096x}");
        expected.push(("tunnel_share", vec![share::of_tunnel(source).into()]));
    }
    for _ in 0..HASHES {
        let (client, number) = (random.next() as u32, random.next() as u16);
        let secret = hash::FlowSecret(std::array::from_fn(|_| random.next() as u32));
        let words = secret.0.iter().rev().fold(String::new(), |s, w| s + &format!("{w:08x}"));
        let word = format!("{words}{:032x}", u64::from(number) << 32 | u64::from(client));
        let _ = writeln!(input, "{CLIENT_KIND} {word:0>96}");
        let hashed = hash::client_hash(client, &secret);
        let sums = [0, 32, 64].map(|at| u64::from((hashed >> at) as u32));
        let rows = (0..limits::AFFINITY_WAYS)
            .map(|way| hash::affinity_row(hashed, number, way, limits::AFFINITY_ROWS_LOG2).into());
        expected.push(("client_hash", sums.into_iter().chain(rows).collect()));
    }
    let printed = unpack(&input);
    assert_eq!(printed.len(), expected.len());
    for (line, (name, values)) in printed.iter().zip(&expected) {
        let fields: Vec<u64> = line
            .split_whitespace()
            .map(|v| u64::from_str_radix(v, 16).unwrap_or_else(|_| panic!("{name}: {line}")))
            .collect();
        assert_eq!(&fields, values, "{name}");
    }
}
