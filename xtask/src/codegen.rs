//! `cargo xtask gen`: writes the SystemVerilog package and the Markdown reference from `penstock-abi`.
//!
//! Both files are committed; `gen --check` (run by `cargo xtask lint`) fails when they are stale.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use penstock_abi::reason::{CardCounter, DropReason, TrapReason};
use penstock_abi::table::{
    FieldDesc, LearnPolicy, NextHopKind, ServiceAddress, SourceCheck, TABLES, TableDesc, TableId,
    VifKind,
};
use penstock_abi::{affinity, age, digest, fw, hash, layout, limits, regs, ring, share, table};

/// Generates both files below `root`, or with `check` only compares.
///
/// # Errors
/// A file cannot be read or written, or (`check`) differs from what the definitions say.
pub(crate) fn run(root: &Path, check: bool) -> Result<()> {
    for (path, text) in [
        ("hdl/rtl/gen/ps_abi_pkg.sv", package()),
        ("hdl/tb/gen/ps_abi_unpack.sv", unpacker()),
        ("docs/abi.md", reference()),
    ] {
        let path = root.join(path);
        if check {
            let found = std::fs::read_to_string(&path).unwrap_or_default();
            if found != text {
                bail!("{} is stale: run `cargo xtask gen` and commit the result", path.display());
            }
        } else {
            std::fs::write(&path, text)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(())
}

/// `NextHop` -> `next_hop`.
fn snake(name: &str) -> String {
    let mut out = String::new();
    for (i, c) in name.chars().enumerate() {
        if c.is_ascii_uppercase() && i > 0 {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// `VIF_FIRST_POD` -> `VifFirstPod`.
fn camel(name: &str) -> String {
    name.split('_').map(|w| w[..1].to_string() + &w[1..].to_ascii_lowercase()).collect()
}

fn param(out: &mut String, name: &str, width: u32, value: u64) {
    let _ = writeln!(out, "  localparam logic [{}:0] {name} = {width}'h{value:x};", width - 1);
}

/// A record of the rings as a packed struct, first byte last.
fn record(out: &mut String, record: &'static str) {
    let mut fields = Vec::new();
    layout::items::for_each(&mut |item| {
        if let (true, [_, bytes]) = (item.group == record, item.values) {
            fields.push(format!("    logic [{}:0] {};\n", 8 * bytes - 1, item.name));
        }
    });
    let fields: String = fields.into_iter().rev().collect();
    let _ = writeln!(
        out,
        "\n  // {record}.\n  typedef struct packed {{\n{fields}  }} {}_t;",
        snake(record)
    );
}

fn masks(out: &mut String, name: &str, bits: u32, masks: &[u128]) {
    let (top, digits) = (bits - 1, bits as usize / 4);
    let _ = writeln!(out, "  localparam logic [{}:0][{top}:0] {name} = {{", masks.len() - 1);
    for (i, m) in masks.iter().enumerate().rev() {
        let _ = writeln!(out, "    {bits}'h{m:0digits$x}{}", if i == 0 { "" } else { "," });
    }
    out.push_str("  };\n");
}

fn package() -> String {
    let mut o = String::from(
        "// Written by `cargo xtask gen` from the crate penstock-abi. Do not edit.\n\
         //\n\
         // Limits, table words, registers, ring codes, drop reasons and hash functions.\n\
         // A packed struct's last field is its least significant one, as in the table words.\n\
         \n\
         /* verilator lint_off UNUSEDPARAM */  // a package serves many modules, none uses all of it\n\
         package ps_abi_pkg;\n\n",
    );
    for (name, value) in numbers() {
        match by_rows(name) {
            Some(formula) => o.push_str(&formula),
            None => {
                let _ = writeln!(o, "  localparam int unsigned {name} = {value};");
            }
        }
    }
    o.push('\n');
    let mac = limits::GATEWAY_MAC.iter().fold(0u64, |a, b| a << 8 | u64::from(*b));
    param(&mut o, "GatewayMac", 48, mac);
    param(&mut o, "LayoutVersion", 32, layout::VERSION.into());
    param(&mut o, "LayoutHash", 64, layout::hash());
    param(&mut o, "Capabilities", 32, layout::CAPABILITIES.into());
    param(&mut o, "MagicValue", 32, regs::MAGIC_VALUE.into());
    param(&mut o, "ClearKey", 32, regs::CLEAR_KEY.into());
    param(&mut o, "ParityInjectKey", 32, regs::PARITY_INJECT_KEY.into());
    param(&mut o, "EvtKindsFirst", 32, regs::EVT_KINDS_FIRST.into());
    param(&mut o, "AgePassTicks", 32, age::PASS_TICKS.into());
    param(&mut o, "AgePressTicks", 32, age::PRESS_TICKS.into());
    o.push_str("\n  // Tables: id.\n");
    for t in TABLES {
        param(&mut o, &format!("Table{}", t.name), 8, t.id as u64);
    }
    indices(&mut o);
    o.push_str("\n  // Registers (byte offset in BAR 0).\n");
    for r in regs::REGISTERS {
        param(&mut o, &format!("Reg{}", camel(r.name)), 16, r.offset.into());
    }
    o.push_str("\n  // Ring codes.\n");
    macro_rules! codes { ($($prefix:literal $kind:path),+) => { $(for (value, name, ..) in <$kind>::ALL {
        param(&mut o, &format!("{}{name}", $prefix), 8, *value as u64);
    })+ }; }
    codes!("Op" ring::Opcode, "St" ring::Status, "Event" ring::EventKind, "FlowEnd" ring::FlowEnd, "Trap" TrapReason);
    record(&mut o, "FlowEvent");
    o.push_str("\n  // Drop reasons and counters.\n  typedef enum logic [5:0] {\n");
    enumerators(&mut o, "Drop", DropReason::ALL.iter().map(|(r, n, _)| (*n, *r as u8)), 6);
    o.push_str("  } drop_reason_e;\n");
    for (c, name, _) in CardCounter::ALL {
        param(&mut o, &format!("Counter{name}"), 4, *c as u64);
    }
    o.push_str("\n  typedef enum logic [1:0] {\n");
    enumerators(&mut o, "Vif", VifKind::ALL.iter().map(|(_, n, c, _)| (*n, *c)), 2);
    o.push_str("  } vif_kind_e;\n\n  typedef enum logic [1:0] {\n");
    enumerators(&mut o, "Learn", LearnPolicy::ALL.iter().map(|(_, n, c, _)| (*n, *c)), 2);
    o.push_str("  } learn_policy_e;\n\n  typedef enum logic [1:0] {\n");
    enumerators(&mut o, "Check", SourceCheck::ALL.iter().map(|(_, n, c, _)| (*n, *c)), 2);
    o.push_str("  } source_check_e;\n\n  typedef enum logic [1:0] {\n");
    enumerators(&mut o, "Service", ServiceAddress::ALL.iter().map(|(_, n, c, _)| (*n, *c)), 2);
    o.push_str("  } service_address_e;\n\n  typedef enum logic [2:0] {\n");
    enumerators(&mut o, "Nh", NextHopKind::ALL.iter().map(|(_, n, c, _)| (*n, *c)), 3);
    o.push_str("  } nh_kind_e;\n");
    layout::for_each_entry(|name, doc, fields, bits| {
        let name = snake(name);
        let _ = writeln!(o, "\n  //{doc}");
        let _ =
            writeln!(o, "  localparam int unsigned {}Bits = {bits};", camel(&name.to_uppercase()));
        o.push_str("  typedef struct packed {\n");
        for f in fields.iter().rev() {
            let ty = match (name.as_str(), f.name) {
                ("vif", "kind") => "vif_kind_e".to_string(),
                ("vif", "learn") => "learn_policy_e".to_string(),
                ("next_hop", "kind") => "nh_kind_e".to_string(),
                ("vrf", "source_check") => "source_check_e".to_string(),
                ("host_route", "service") => "service_address_e".to_string(),
                _ if f.width == 1 => "logic".to_string(),
                _ => format!("logic [{}:0]", f.width - 1),
            };
            let _ = writeln!(o, "    {ty:<14} {};", of_hdl(f.name));
        }
        let _ = writeln!(o, "  }} {name}_t;");
    });
    o.push_str("\n  // H3 masks: output bit j is the parity of key & mask[j].\n");
    masks(&mut o, "KeyMasks", 128, &hash::KEY_MASKS);
    masks(&mut o, "MemberMasks", 128, &hash::MEMBER_MASKS);
    o.push_str("\n  // What the flow table's secret is XORed with (crate penstock-abi, hash::FLOW_SECRET_BASE).\n");
    let base =
        hash::FLOW_SECRET_BASE.iter().rev().fold(String::new(), |s, w| s + &format!("{w:08x}"));
    let _ = writeln!(o, "  localparam logic [191:0] FlowSecretBase = 192'h{base};");
    o.push_str("\n  // Last step of the flow table's hash: output bit j is the parity of sums & mask[j].\n");
    masks(&mut o, "FlowMix", hash::FLOW_HASH_BITS, &hash::FLOW_MIX);
    o.push_str("\n  // CRC-64 of digests: bit j of a word's step is the parity of word & mask[j] (crate penstock-abi, digest::MASKS).\n");
    o.push_str("  localparam logic [63:0][31:0] DigestMasks = {\n");
    for (i, m) in digest::MASKS.iter().enumerate().rev() {
        let _ = writeln!(o, "    32'h{m:08x}{}", if i == 0 { "" } else { "," });
    }
    o.push_str("  };\n");
    o.push_str(FUNCTIONS);
    o.push_str("\n  // Entries of a table; 0 for an id that is none.\n  function automatic logic [31:0] table_depth(input logic [7:0] id);\n    unique case (id)\n");
    for t in TABLES {
        let depth = match t.id {
            TableId::Flow | TableId::FlowStats => "Flows".to_owned(),
            TableId::Affinity => "Affinities".to_owned(),
            _ => format!("32'd{}", t.depth),
        };
        let _ = writeln!(o, "      Table{}: table_depth = {depth};", t.name);
    }
    o.push_str("      default: table_depth = '0;\n    endcase\n  endfunction\n\n  // Whether bit 0 of the table's entries is `valid`.\n  function automatic logic table_has_valid(input logic [7:0] id);\n    unique case (id)\n");
    for t in TABLES.iter().filter(|t| t.has_valid) {
        let _ = writeln!(o, "      Table{}: table_has_valid = 1'b1;", t.name);
    }
    o.push_str("      default: table_has_valid = 1'b0;\n    endcase\n  endfunction\n\n  // 32-bit words that hold an entry of the table.\n  function automatic logic [3:0] table_words(input logic [7:0] id);\n    unique case (id)\n");
    for t in TABLES {
        let _ = writeln!(o, "      Table{}: table_words = 4'd{};", t.name, t.words());
    }
    o.push_str("      default: table_words = '0;\n    endcase\n  endfunction\n");
    o.push_str("\n  // What a register says that tells how large something is; 0 for any other.\n  function automatic logic [31:0] size_register(input logic [15:0] offset);\n    unique case (offset)\n");
    let name = |offset| regs::REGISTERS.iter().find(|r| r.offset == offset).map(|r| r.name);
    for (register, value) in regs::sizes().filter_map(|(at, value)| Some((name(at)?, value))) {
        let value = match register {
            "DEPTH_FLOW" | "DEPTH_FLOW_STATS" => "Flows".to_owned(),
            "DEPTH_AFFINITY" => "Affinities".to_owned(),
            "FLOW_ROWS_LOG2" => "FlowRowsLog2".to_owned(),
            "FLOWS_TRANSLATED_MAX" => "FlowsTranslatedMax".to_owned(),
            _ => format!("32'd{value}"),
        };
        let _ = writeln!(o, "      Reg{}: size_register = {value};", camel(register));
    }
    o.push_str("      default: size_register = '0;\n    endcase\n  endfunction\n");
    o.push_str("\nendpackage\n/* verilator lint_on UNUSEDPARAM */\n");
    o
}

/// A size of a table that the card fills itself, by its number of rows, which a simulation takes from a macro: a table of the card's
/// full size costs it time that no check needs. As `limits` has them.
fn by_rows(name: &str) -> Option<String> {
    let rows = |of: &str, rows: u32| {
        format!(
            "`ifdef PENSTOCK_{of}_ROWS_LOG2\n  localparam int unsigned {name} = `PENSTOCK_{of}_ROWS_LOG2;\n\
             `else\n  localparam int unsigned {name} = {rows};\n`endif\n"
        )
    };
    let formula = match name {
        "FlowRowsLog2" => return Some(rows("FLOW", limits::FLOW_ROWS_LOG2)),
        "AffinityRowsLog2" => return Some(rows("AFFINITY", limits::AFFINITY_ROWS_LOG2)),
        "Affinities" => "AffinityWays << AffinityRowsLog2",
        "AffinityIndexBits" => "$clog2(Affinities)",
        "Flows" => "(FlowWays * BucketSlots) << FlowRowsLog2",
        "FlowPairs" => "Flows / 2",
        "FlowPairBits" => "$clog2(FlowPairs)",
        "FlowIndexBits" => "$clog2(Flows)",
        "FlowsTranslatedMax" => "Flows / 32 * 29",
        _ => return None,
    };
    Some(format!("  localparam int unsigned {name} = {formula};\n"))
}

/// A field's name in SystemVerilog, whose keywords get an underscore more.
fn of_hdl(name: &str) -> String {
    if name == "local" { "local_".to_owned() } else { name.to_owned() }
}

/// Types of indices, as wide as the card's tables need them, and of the fields that carry one, as wide as the layout has them.
fn indices(o: &mut String) {
    let bits = |depth: u32| depth.next_power_of_two().trailing_zeros();
    let most = TABLES.iter().map(|table| bits(table.depth)).max().unwrap_or(1);
    let _ = writeln!(
        o,
        "\n  // Index of an entry: of any table, and of each.\n  localparam int unsigned IndexBits = {most};\n  typedef logic [IndexBits-1:0] index_t;"
    );
    let mut types = |name: String, width: u32| {
        let _ = writeln!(o, "  typedef logic [{}:0] {name};", width - 1);
    };
    let by_rows =
        |id: TableId| matches!(id, TableId::Flow | TableId::FlowStats | TableId::Affinity);
    for table in TABLES.iter().filter(|t| !by_rows(t.id)) {
        types(format!("{}_addr_t", snake(table.name)), bits(table.depth));
    }
    o.push_str(
        "  typedef logic [FlowIndexBits-1:0] flow_addr_t;\n  typedef logic [FlowIndexBits-1:0] flow_stats_addr_t;\n  typedef logic [AffinityIndexBits-1:0] affinity_addr_t;\n",
    );
    o.push_str(
        "\n  // What names something in the entries of tables, whatever a card's sizes are.\n",
    );
    for (name, entry, field) in [
        ("vif_id_t", "NextHop", "vif"),
        ("vrf_id_t", "Vif", "vrf"),
        ("label_t", "EcmpSlot", "label"),
        ("nh_id_t", "EcmpSlot", "nh"),
        ("ring_base_t", "NextHop", "base"),
        ("slot_count_t", "NextHop", "slots"),
        ("slot_id_t", "EcmpSlot", "slot"),
        ("map_id_t", "FipKey", "map"),
        ("service_net_t", "Vrf", "service_net"),
        ("source_set_t", "TunnelSource", "set"),
        ("generation_t", "EcmpSlot", "generation"),
        ("affinity_number_t", "ServiceKey", "affinity"),
        ("affinity_time_t", "Affinity", "timeout"),
    ] {
        let _ = writeln!(o, "  typedef logic [{}:0] {name};", width_of(entry, field) - 1);
    }
}

/// Width of a field, in bits.
fn width_of(entry: &str, field: &str) -> u32 {
    let mut width = 0;
    layout::for_each_entry(|name, _, fields, _| {
        if name == entry {
            width += fields.iter().filter(|f| f.name == field).map(|f| f.width).sum::<u32>();
        }
    });
    assert!(width > 0, "no entry {entry} with a field {field}");
    width
}

const FUNCTIONS: &str = "
  // Hash that places keys (crate penstock-abi, hash::key_hash).
  function automatic logic [63:0] key_hash(input logic [127:0] key);
    for (int i = 0; i < 64; i++) key_hash[i] = ^(key & KeyMasks[i]);
  endfunction

  // Hash that picks ECMP members, of an already masked and packed key.
  function automatic logic [31:0] member_hash(input logic [127:0] key);
    for (int i = 0; i < 32; i++) member_hash[i] = ^(key & MemberMasks[i]);
  endfunction

  // The flow table's hash in its two steps (crate penstock-abi, hash::flow_hash): three sums of NH, then the mix.
  // A pipeline calls neither flow_nh nor flow_hash, but cuts them where it likes.
  function automatic logic [31:0] flow_nh(input logic [7:0][15:0] words, input logic [7:0][15:0] secret);
    logic [7:0][15:0] sums;
    for (int i = 0; i < 8; i++) sums[i] = words[i] + secret[i];
    flow_nh = '0;
    for (int i = 0; i < 8; i += 2) flow_nh += {16'b0, sums[i]} * {16'b0, sums[i+1]};
  endfunction

  function automatic logic [FlowHashBits-1:0] flow_mix(input logic [FlowHashBits-1:0] sums);
    for (int i = 0; i < FlowHashBits; i++) flow_mix[i] = ^(sums & FlowMix[i]);
  endfunction

  function automatic logic [FlowHashBits-1:0] flow_hash(input logic [127:0] key,
                                                        input logic [191:0] secret);
    logic [11:0][15:0] k;
    k         = secret ^ FlowSecretBase;
    flow_hash = flow_mix({flow_nh(key, k[11:4]), flow_nh(key, k[9:2]), flow_nh(key, k[7:0])});
  endfunction

  // Row of a way, and fingerprint, of a flow's hash.
  /* verilator lint_off UNUSEDSIGNAL */
  function automatic logic [FlowRowsLog2-1:0] flow_row(input logic [FlowHashBits-1:0] hash, input int unsigned way);
    flow_row = hash[way*FlowRowBits +: FlowRowsLog2];
  endfunction

  function automatic logic [FlowFingerprintBits-1:0] flow_fingerprint(input logic [FlowHashBits-1:0] hash);
    flow_fingerprint = hash[FlowFingerprintLsb +: FlowFingerprintBits];
  endfunction
  /* verilator lint_on UNUSEDSIGNAL */

  // Hash of a client's address (crate penstock-abi, hash::client_hash): sums of one product, the same mix.
  function automatic logic [31:0] client_nh(input logic [1:0][15:0] words, input logic [1:0][15:0] secret);
    logic [1:0][15:0] sums;
    for (int i = 0; i < 2; i++) sums[i] = words[i] + secret[i];
    client_nh = {16'b0, sums[0]} * {16'b0, sums[1]};
  endfunction

  function automatic logic [FlowHashBits-1:0] client_hash(input logic [31:0] client, input logic [191:0] secret);
    logic [5:0][15:0] k;
    k           = 96'(secret ^ FlowSecretBase);
    client_hash = flow_mix({client_nh(client, k[5:4]), client_nh(client, k[3:2]), client_nh(client, k[1:0])});
  endfunction

  // Row of a way of the table Affinity, from the hashes of its key's parts: client_hash, and key_hash of the number.
  /* verilator lint_off UNUSEDSIGNAL */
  function automatic logic [AffinityRowsLog2-1:0] affinity_row(input logic [FlowHashBits-1:0] client,
                                                               input logic [63:0] number, input int unsigned way);
    affinity_row = client[way*FlowRowBits +: AffinityRowsLog2] ^ number[way*AffinityRowsLog2 +: AffinityRowsLog2];
  endfunction
  /* verilator lint_on UNUSEDSIGNAL */

  // Index of the share of a tunnel, by its outer source (crate penstock-abi, share::of_tunnel).
  function automatic flow_share_addr_t tunnel_share(input logic [31:0] source);
    tunnel_share = flow_share_addr_t'(TunnelShareFirst)
                   + {1'b0, source[11:0] ^ source[23:12] ^ {4'b0, source[31:24]}};
  endfunction

  // Where a flow's key stands; as a number, its index in the table Flow.
  typedef struct packed {
    logic [$clog2(FlowWays)-1:0]    way;
    logic [FlowRowsLog2-1:0]        row;
    logic [$clog2(BucketSlots)-1:0] slot;
  } flow_index_t;

  // Where a client stands, likewise.
  typedef struct packed {
    logic [$clog2(AffinityWays)-1:0] way;
    logic [AffinityRowsLog2-1:0]     row;
  } affinity_index_t;
";

fn enumerators<'a>(
    o: &mut String,
    prefix: &str,
    items: impl Iterator<Item = (&'a str, u8)>,
    width: u32,
) {
    let lines: Vec<_> =
        items.map(|(name, code)| format!("    {prefix}{name} = {width}'d{code}")).collect();
    o.push_str(&lines.join(",\n"));
    o.push('\n');
}

/// A program that unpacks entries in SystemVerilog and prints their fields, for the test that compares both sides.
fn unpacker() -> String {
    let mut o = String::from(
        "// Written by `cargo xtask gen` from the crate penstock-abi. Do not edit.\n\
         //\n\
         // Reads lines `<kind> <384-bit hex>` from the file +in=, unpacks the word as the kind's entry and prints each\n\
         // field in hex, least significant first. Kind 100 prints key_hash and member_hash of the low 128 bits,\n\
         // kind 101 flow_hash of them under the secret in the 192 bits above, in three words, low first; kind 102\n\
         // tunnel_share of the low 32 bits, kind 103 client_hash of them, in three words, and affinity_row of each way\n\
         // under the number in the 16 bits above, with the secret as for 101.\n\
         module ps_abi_unpack;\n  import ps_abi_pkg::*;\n\n  string path;\n  int fd, kind;\n  logic [383:0] word;\n  logic [FlowHashBits-1:0] hashed;\n",
    );
    let mut cases = String::new();
    let mut kind = 0;
    layout::for_each_entry(|name, _, fields, bits| {
        let name = snake(name);
        let _ = writeln!(o, "  {name}_t {name}_v;");
        let _ =
            writeln!(cases, "        {kind}: begin\n          {name}_v = word[{}:0];", bits - 1);
        let formats = vec!["%h"; fields.len()].join(" ");
        let values: Vec<_> =
            fields.iter().map(|f| format!("{name}_v.{}", of_hdl(f.name))).collect();
        let _ = writeln!(
            cases,
            "          $display(\"{formats}\", {});\n        end",
            values.join(", ")
        );
        kind += 1;
    });
    o.push_str(
        "\n  initial begin\n    if (!$value$plusargs(\"in=%s\", path)) $fatal(1, \"+in=FILE missing\");\n    fd = $fopen(path, \"r\");\n    while ($fscanf(fd, \"%d %h\", kind, word) == 2) begin\n      case (kind)\n",
    );
    o.push_str(&cases);
    o.push_str(
        "        100: $display(\"%h %h\", key_hash(word[127:0]), member_hash(word[127:0]));\n        101: begin\n          hashed = flow_hash(word[127:0], word[319:128]);\n          $display(\"%h %h %h\", hashed[31:0], hashed[63:32], hashed[95:64]);\n        end\n        102: $display(\"%h\", tunnel_share(word[31:0]));\n        103: begin\n          hashed = client_hash(word[31:0], word[319:128]);\n          $display(\"%h %h %h %h %h\", hashed[31:0], hashed[63:32], hashed[95:64],\n                   affinity_row(hashed, key_hash({112'b0, word[47:32]}), 0), affinity_row(hashed, key_hash({112'b0, word[47:32]}), 1));\n        end\n        default: $fatal(1, \"unknown kind\");\n      endcase\n    end\n    $finish;\n  end\n\nendmodule\n",
    );
    o
}

fn numbers() -> Vec<(&'static str, u64)> {
    vec![
        ("Vifs", limits::VIFS.into()),
        ("VifFabricId", limits::VIF_FABRIC.into()),
        ("VifVhostId", limits::VIF_VHOST.into()),
        ("Vrfs", limits::VRFS.into()),
        ("Labels", limits::LABELS.into()),
        ("LabelFirst", limits::LABEL_FIRST.into()),
        ("NextHops", limits::NEXT_HOPS.into()),
        ("EcmpWords", limits::ECMP_WORDS.into()),
        ("EcmpGroupMax", limits::ECMP_GROUP_MAX.into()),
        ("BucketSlots", limits::BUCKET_SLOTS.into()),
        ("HostRouteWays", limits::HOST_ROUTE_WAYS.into()),
        ("HostRouteRowsLog2", limits::HOST_ROUTE_ROWS_LOG2.into()),
        ("HostRoutes", limits::HOST_ROUTES.into()),
        ("PrefixTables", limits::PREFIX_TABLES.into()),
        ("PrefixWays", limits::PREFIX_WAYS.into()),
        ("PrefixRowsLog2", limits::PREFIX_ROWS_LOG2.into()),
        ("Prefixes", limits::PREFIXES.into()),
        ("PrefixLenMin", limits::PREFIX_LEN_MIN.into()),
        ("FipKeyWays", limits::FIP_KEY_WAYS.into()),
        ("FipKeyRowsLog2", limits::FIP_KEY_ROWS_LOG2.into()),
        ("FipKeys", limits::FIP_KEYS.into()),
        ("FipMaps", limits::FIP_MAPS.into()),
        ("ServiceKeyWays", limits::SERVICE_KEY_WAYS.into()),
        ("ServiceKeyRowsLog2", limits::SERVICE_KEY_ROWS_LOG2.into()),
        ("ServiceKeys", limits::SERVICE_KEYS.into()),
        ("TunnelSourceWays", limits::TUNNEL_SOURCE_WAYS.into()),
        ("TunnelSourceRowsLog2", limits::TUNNEL_SOURCE_ROWS_LOG2.into()),
        ("TunnelSources", limits::TUNNEL_SOURCES.into()),
        ("SourcesKnown", limits::SOURCES_KNOWN.into()),
        ("PlainFipWays", limits::PLAIN_FIP_WAYS.into()),
        ("PlainFipRowsLog2", limits::PLAIN_FIP_ROWS_LOG2.into()),
        ("PlainFips", limits::PLAIN_FIPS.into()),
        ("FlowWays", limits::FLOW_WAYS.into()),
        ("FlowRowsLog2", limits::FLOW_ROWS_LOG2.into()),
        ("Flows", limits::FLOWS.into()),
        ("FlowPairs", limits::FLOW_PAIRS.into()),
        ("FlowPairBits", limits::FLOW_PAIRS.ilog2().into()),
        ("FlowIndexBits", limits::FLOWS.ilog2().into()),
        ("FlowsTranslatedMax", limits::FLOWS_TRANSLATED_MAX.into()),
        ("FlowShares", limits::FLOW_SHARES.into()),
        ("TunnelShares", limits::TUNNEL_SHARES.into()),
        ("TunnelShareFirst", limits::TUNNEL_SHARE_FIRST.into()),
        ("ShareOneLog2", share::ONE.ilog2().into()),
        ("AffinityWays", limits::AFFINITY_WAYS.into()),
        ("AffinityRowsLog2", limits::AFFINITY_ROWS_LOG2.into()),
        ("Affinities", limits::AFFINITIES.into()),
        ("AffinityIndexBits", limits::AFFINITIES.ilog2().into()),
        ("AffinityUnitLog2", affinity::UNIT_LOG2.into()),
        ("AffinityTimeBits", affinity::TIME_BITS.into()),
        ("FlowHashBits", hash::FLOW_HASH_BITS.into()),
        ("FlowRowBits", hash::FLOW_ROW_BITS.into()),
        ("FlowFingerprintLsb", hash::FLOW_FINGERPRINT_LSB.into()),
        ("FlowFingerprintBits", (hash::FLOW_HASH_BITS - hash::FLOW_FINGERPRINT_LSB).into()),
        ("DropReasons", TableId::DropStats.desc().depth.into()),
        ("CardCounters", TableId::CardStats.desc().depth.into()),
        ("MplsUdpPort", limits::MPLS_UDP_PORT.into()),
        ("MplsUdpPortOld", limits::MPLS_UDP_PORT_OLD.into()),
        ("EntropyPortMin", limits::ENTROPY_PORT_MIN.into()),
        ("EntropyPorts", limits::ENTROPY_PORTS.into()),
        ("OuterTtl", limits::OUTER_TTL.into()),
        ("FrameMaxBytes", limits::FRAME_MAX_BYTES as u64),
        ("CoreClockKhz", limits::CORE_CLOCK_KHZ.into()),
        ("DrainCycles", limits::DRAIN_CYCLES.into()),
        ("FieldProto", hash::FIELD_PROTO.trailing_zeros().into()),
        ("FieldSip", hash::FIELD_SIP.trailing_zeros().into()),
        ("FieldSport", hash::FIELD_SPORT.trailing_zeros().into()),
        ("FieldDip", hash::FIELD_DIP.trailing_zeros().into()),
        ("FieldDport", hash::FIELD_DPORT.trailing_zeros().into()),
        ("IrqVectors", regs::IRQ_VECTORS.into()),
        ("IrqCompletion", regs::IRQ_COMPLETION.into()),
        ("IrqEvent", regs::IRQ_EVENT.into()),
        ("IrqFault", regs::IRQ_FAULT.into()),
        ("RingLog2Min", ring::RING_LOG2_MIN.into()),
        ("RingLog2Max", ring::RING_LOG2_MAX.into()),
        ("FlagIrqBit", ring::FLAG_IRQ.trailing_zeros().into()),
        ("FlagChainedBit", ring::FLAG_CHAINED.trailing_zeros().into()),
        ("DigestEntriesMax", ring::DIGEST_ENTRIES_MAX.into()),
        ("FlowEventPlainBit", ring::FLOW_EVENT_PLAIN.trailing_zeros().into()),
        ("FlowEventMapBit", ring::FLOW_EVENT_MAP.trailing_zeros().into()),
        ("FlowEventMemberBit", ring::FLOW_EVENT_MEMBER.trailing_zeros().into()),
        ("FlowEventUncountedBit", ring::FLOW_EVENT_UNCOUNTED.trailing_zeros().into()),
        ("FwFrameBytes", fw::FRAME_BYTES.into()),
        ("FwRxQueueFrames", fw::RX_QUEUE_FRAMES.into()),
        ("FwTimeShift", fw::TIME_SHIFT.into()),
        ("FwRamBytes", fw::RAM_BYTES.into()),
        ("TcpSynBit", table::TCP_SYN.trailing_zeros().into()),
        ("TcpFinBit", table::TCP_FIN.trailing_zeros().into()),
        ("TcpRstBit", table::TCP_RST.trailing_zeros().into()),
        ("TcpEstablishedBit", table::TCP_ESTABLISHED.trailing_zeros().into()),
    ]
}

/// What a thing means, with the minor version that added it.
fn meaning(doc: &str, since: u16) -> String {
    if since == 0 { doc.to_owned() } else { format!("{doc} (since minor {since})") }
}

/// A line of [`code_table`] from a member of `ALL`.
macro_rules! coded {
    () => {
        |(value, name, since, doc)| (*name, *value as u8, meaning(doc, *since))
    };
}

fn code_table(
    o: &mut String,
    title: &str,
    code: &str,
    rows: impl Iterator<Item = (&'static str, u8, String)>,
) {
    let _ = writeln!(o, "\n{title}\n\n| {code} | name | meaning |\n| --- | --- | --- |");
    for (name, code, doc) in rows {
        let _ = writeln!(o, "| {code} | `{name}` |{doc} |");
    }
}

/// The records of the command ring, and the codes in them.
fn rings(o: &mut String) {
    let _ = writeln!(
        o,
        "\n## Commands\n\nRecords of {} bytes in two rings of host memory; commands are executed in order, each has one completion. `FLAG_IRQ` is {}, `FLAG_CHAINED` {} (executed only if the command before ended with Ok, else Skipped), `DIGEST_ENTRIES_MAX` {}.",
        ring::RECORD_BYTES,
        ring::FLAG_IRQ,
        ring::FLAG_CHAINED,
        ring::DIGEST_ENTRIES_MAX
    );
    for record in ["Command", "Completion"] {
        places(o, record);
    }
    code_table(o, "### Opcodes", "code", ring::Opcode::ALL.iter().map(coded!()));
    code_table(o, "### Statuses", "code", ring::Status::ALL.iter().map(coded!()));
    let _ = writeln!(
        o,
        "\n## Events\n\nRecords of {} bytes in a ring of their own, which the card writes. Kinds 3 to 6 have the form of `FlowEvent`, all others that of `Event`. Flags of a `FlowEvent`: {} plain (neither a mapping nor a member), {} `map` counts, {} `ecmp_slot` counts, {} what the pair counted is not known.",
        ring::RECORD_BYTES,
        ring::FLOW_EVENT_PLAIN,
        ring::FLOW_EVENT_MAP,
        ring::FLOW_EVENT_MEMBER,
        ring::FLOW_EVENT_UNCOUNTED
    );
    for record in ["Event", "FlowEvent"] {
        places(o, record);
    }
    code_table(o, "### Kinds of events", "code", ring::EventKind::ALL.iter().map(coded!()));
    code_table(o, "### Ends of pairs", "code", ring::FlowEnd::ALL.iter().map(coded!()));
}

/// Where the fields of a record are.
fn places(o: &mut String, record: &str) {
    let _ = writeln!(o, "\n### `{record}`\n\n| bytes | field |\n| --- | --- |");
    layout::items::for_each(&mut |item| {
        if let (true, [offset, bytes]) = (item.group == record, item.values) {
            let _ = writeln!(o, "| {offset}..{} | `{}` |", offset + bytes - 1, item.name);
        }
    });
}

fn reference() -> String {
    let mut o = String::from(
        "# Reference of the host-card interface\n\nWritten by `cargo xtask gen` from the crate `penstock-abi`. Do not edit.\n\n",
    );
    let _ = writeln!(
        o,
        "Layout version {}.{}, hash `{:016x}`. The hash covers everything here and the hash functions; a host takes only a card with\nits own major version and hash. What a minor version adds is marked \"since\" and is no part of the hash; whether a card has it is told by\na bit of `CAPABILITIES`.\n",
        layout::VERSION >> 16,
        layout::VERSION & 0xffff,
        layout::hash()
    );
    o.push_str("## Registers (BAR 0, 32 bit)\n\n| offset | name | access | survives FLR | meaning |\n| --- | --- | --- | --- | --- |\n");
    for r in regs::REGISTERS {
        let keeps = if r.survives_flr { "yes" } else { "no" };
        let _ = writeln!(
            o,
            "| {:#05x} | `{}` | {:?} | {keeps} |{} |",
            r.offset,
            r.name,
            r.access,
            meaning(r.doc, r.since)
        );
    }
    code_table(&mut o, "### Capabilities", "bit", layout::Capability::ALL.iter().map(coded!()));
    rings(&mut o);
    o.push_str(
        "\n## Tables\n\n| id | table | entries | entry | bits |\n| --- | --- | --- | --- | --- |\n",
    );
    for TableDesc { id, name, depth, entry, bits, .. } in TABLES {
        let _ = writeln!(o, "| {} | `{name}` | {depth} | `{entry}` | {bits} |", *id as u8);
    }
    layout::for_each_entry(|name, doc, fields, bits| {
        let _ = writeln!(
            o,
            "\n### `{name}` ({bits} bits)\n\n{}\n\n| bits | field | meaning |\n| --- | --- | --- |",
            doc.trim()
        );
        for FieldDesc { name, lsb, width, doc, since } in fields {
            let doc = meaning(doc, *since);
            let _ = writeln!(o, "| {}..{} | `{name}` |{doc} |", lsb + width - 1, lsb);
        }
    });
    o.push_str("\n## Codes\n\n### Drop reasons\n\n| code | name | printed as | meaning |\n| --- | --- | --- | --- |\n");
    for (r, name, doc) in DropReason::ALL {
        let doc = meaning(doc, r.since());
        let _ = writeln!(o, "| {} | `{name}` | {} |{doc} |", *r as u8, r.label());
    }
    o.push_str("\n### Card counters\n\n| code | name | printed as | meaning |\n| --- | --- | --- | --- |\n");
    for (c, name, doc) in CardCounter::ALL {
        let doc = meaning(doc, c.since());
        let _ = writeln!(o, "| {} | `{name}` | {} |{doc} |", *c as u8, c.label());
    }
    let kinds = VifKind::ALL.iter().map(|(k, n, c, d)| (*n, *c, meaning(d, k.since())));
    code_table(&mut o, "### vif kinds", "code", kinds);
    let policies = LearnPolicy::ALL.iter().map(|(k, n, c, d)| (*n, *c, meaning(d, k.since())));
    code_table(&mut o, "### Learn policies", "code", policies);
    let kinds = NextHopKind::ALL.iter().map(|(k, n, c, d)| (*n, *c, meaning(d, k.since())));
    code_table(&mut o, "### Next hop kinds", "code", kinds);
    let checks = SourceCheck::ALL.iter().map(|(k, n, c, d)| (*n, *c, meaning(d, k.since())));
    code_table(&mut o, "### Source checks", "code", checks);
    let kinds = ServiceAddress::ALL.iter().map(|(k, n, c, d)| (*n, *c, meaning(d, k.since())));
    code_table(&mut o, "### Addresses of services", "code", kinds);
    o
}
