// Outgoing vif of a next hop, and the floating-IP mapping that a packet finds (section 7).
//
// Latency:    FipCycles; one packet every cycle. Without a vif to look at, fip_o.out is 0; of a packet that is not routed fip_o
//             means nothing.
// Tables:     Vif (reader, data 2 cycles after), FipKey (twice: by destination and by source), PlainFip, FipMap (reader, likewise).
//             Keys are in block RAM: 2,048 rows would leave half of an UltraRAM empty, which is what flows need.
// Stages:     0 keys | 2 vif | 5 which look-up counts, as the destination is the vif's own or not | BucketCycles hits, and which mapping:
//             the member's, that of the key, of the floating IP without port map, of the egress way | and two later the mapping, which
//             goes out as it stands
// Parity:     of what is looked up and has the wrong one fip_o.broken says so; of the mapping map_broken_o, a cycle later.
// Contract:   fip_o.found says that a mapping is named, whether it is valid or not, fip_o.marked that the key of the source is there;
//             whether they apply is ps_decide's matter.
module ps_fip
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
  import ps_match_pkg::*;
(
  input  logic        clk_i,
  input  logic        rst_i,
  input  logic        valid_i,       // a packet that is to be routed
  input  hdr_t        hdr_i,
  input  map_id_t     egress_map_i,  // of the vif by which it came
  input  hop_t        hop_i,
  output fip_t        fip_o,
  output logic        vif_re_o,
  output logic [7:0]  vif_addr_o,
  input  vif_t        vif_i,
  input  logic        vif_bad_i,     // its parity is wrong: the cycle after it
  output logic        map_re_o,
  output map_id_t     map_addr_o,
  input  fip_map_t    map_i,
  input  logic        map_bad_i,     // likewise
  output logic        map_broken_o,  // of the packet whose fip_o was in the cycle before
  output parity_error_t [4:0] error_o, // of FipKey, twice; Vif; FipMap; PlainFip
  input  access_t     acc_i,
  input  logic [FipKeyBits-1:0] acc_wdata_i,
  output fip_key_t    key_rdata_o,
  output logic        key_acc_bad_o,
  output plain_fip_t  plain_rdata_o,
  output logic        plain_acc_bad_o
);

  // Of an entry, without `valid`; what packets are looked up by.
  typedef struct packed {
    logic [15:0] port;
    ip4_t        ip;
    logic [7:0]  proto;
    logic [7:0]  vif;
  } key_t;

  typedef struct packed {
    ip4_t        ip;
    logic [7:0]  vif;
  } plain_key_t;

  localparam int unsigned KeyBits      = $bits(key_t);
  localparam int unsigned PlainKeyBits = $bits(plain_key_t);
  localparam int unsigned Pieces       = 4;      // of the comparison of addresses

  // What may name a mapping, before it is known whether the destination is the vif's own address.
  typedef struct packed {
    logic    by_key;        // FipKey, unless it is
    logic    by_plain;      // PlainFip, unless it is
    logic    member;        // the member has one
    logic    egress;        // the packet goes the egress way
    map_id_t other;         // of the member, or else of that way
  } names_t;

  // Which of them counts: with BucketCycles.
  typedef struct packed {
    logic    by_key;
    logic    by_plain;
    logic    named;         // without those two,
    logic    under;         // by the egress way,
    map_id_t other;         // this one
  } counts_t;

  logic        routed, to_vif, whole, has_map, look, look_plain, look_source;
  key_t        key, source_key;
  plain_key_t  plain_key;
  logic        hit, plain_hit, marked, key_bad, plain_bad, mark_bad, unused_bad, out_valid;
  logic        key_found, plain_found;
  logic [BucketCycles:1] valid_q;                    // bit i: i cycles later
  names_t      names, names_q [1:BucketCycles-1];
  counts_t     counts_q;
  ip4_t        dip_q [1:2];
  logic [Pieces-1:0] piece3_q;
  logic        differs4_q, differs5_q, may_read_q;
  logic [2:1]  found_q, under_q, marked_q, bad_q;    // bit i: i cycles after the hits
  logic [3:1]  to_vif_q;
  logic        vif_valid3_q, map_read_q;
  vif_t        vif3_q;
  logic [7:0]  vif_no_q [1:3];
  map_id_t     unused_mark;
  fip_key_t    unused_key;
  map_id_t     index, plain_index, index3_q;
  map_id_t     index_q [2:1];
  vif_t        out;
  logic        out_bad;

  assign routed = valid_i && !hop_i.drop && !hop_i.trap;
  assign to_vif = routed && (hop_i.nh.kind == NhEncap || hop_i.nh.kind == NhReceive);
  assign whole  = !hdr_i.frag;

  // A member's own mapping comes before all others.
  assign has_map    = to_vif && hop_i.group && hop_i.map != '0;
  assign look       = to_vif && whole && !has_map && hdr_i.src == SrcFabric;
  assign look_plain = to_vif && whole && !has_map && hop_i.nh.kind == NhEncap;

  assign names = '{by_key: look, by_plain: look_plain, member: has_map && whole, egress: routed && whole && hop_i.egress && !has_map,
                   other: has_map ? hop_i.map : egress_map_i};

  assign key       = '{port: hdr_i.key_dport, ip: hdr_i.dip, proto: hdr_i.key_proto, vif: hop_i.nh.vif};
  assign plain_key = '{ip: hdr_i.dip, vif: hop_i.nh.vif};

  // Only what came from a vif can be a reply of a pod. By the flow key, so that an ICMP error is found by what it is about.
  assign look_source = routed && hdr_i.src == SrcHost;
  assign source_key  = '{port: hdr_i.key_sport, ip: hdr_i.key_sip, proto: hdr_i.key_proto, vif: hdr_i.vif};

  assign vif_re_o   = to_vif;
  assign vif_addr_o = hop_i.nh.vif;

  ps_bucket_table #(
    .EntryBits(FipKeyBits),
    .KeyBits  (KeyBits),
    .Ways     (FipKeyWays),
    .RowsLog2 (FipKeyRowsLog2),
    .Style    ("block")
  ) u_key (
    .clk_i,
    .rst_i,
    .valid_i    (look),
    .key_i      (key),
    .hit_o      (hit),
    .bad_o      (key_bad),
    .data_o     (index),
    .error_o    (error_o[0]),
    .acc_re_i   (acc_i.re[SelFipKey]),
    .acc_we_i   (acc_i.we[SelFipKey]),
    .acc_index_i(fip_key_addr_t'(acc_i.index)),
    .acc_flip_i (acc_i.flip),
    .acc_wdata_i(acc_wdata_i),
    .acc_rdata_o(key_rdata_o),
    .acc_bad_o  (key_acc_bad_o)
  );

  ps_bucket_table #(
    .EntryBits(FipKeyBits),
    .KeyBits  (KeyBits),
    .Ways     (FipKeyWays),
    .RowsLog2 (FipKeyRowsLog2),
    .Style    ("block")
  ) u_source_key (
    .clk_i,
    .rst_i,
    .valid_i    (look_source),
    .key_i      (source_key),
    .hit_o      (marked),
    .bad_o      (mark_bad),
    .data_o     (unused_mark),
    .error_o    (error_o[1]),
    .acc_re_i   (1'b0),
    .acc_we_i   (acc_i.we[SelFipKey]),
    .acc_index_i(fip_key_addr_t'(acc_i.index)),
    .acc_flip_i (acc_i.flip),
    .acc_wdata_i(acc_wdata_i),
    .acc_rdata_o(unused_key),
    .acc_bad_o  (unused_bad)
  );

  ps_bucket_table #(
    .EntryBits(PlainFipBits),
    .KeyBits  (PlainKeyBits),
    .Ways     (PlainFipWays),
    .RowsLog2 (PlainFipRowsLog2),
    .Style    ("block")
  ) u_plain (
    .clk_i,
    .rst_i,
    .valid_i    (look_plain),
    .key_i      (plain_key),
    .hit_o      (plain_hit),
    .bad_o      (plain_bad),
    .data_o     (plain_index),
    .error_o    (error_o[4]),
    .acc_re_i   (acc_i.re[SelPlainFip]),
    .acc_we_i   (acc_i.we[SelPlainFip]),
    .acc_index_i(plain_fip_addr_t'(acc_i.index)),
    .acc_flip_i (acc_i.flip),
    .acc_wdata_i(acc_wdata_i[PlainFipBits-1:0]),
    .acc_rdata_o(plain_rdata_o),
    .acc_bad_o  (plain_acc_bad_o)
  );

  ps_delay #(
    .Width (VifBits + 1),
    .Cycles(BucketCycles - 1)
  ) u_out (
    .clk_i,
    .rst_i,
    .valid_i(vif_valid3_q),
    .data_i ({to_vif_q[3] && vif_bad_i, vif3_q}),
    .valid_o(out_valid),
    .data_o ({out_bad, out})
  );

  // Which mapping. A key's number stands without its hit, as it is 0 without one, and 0 is a mark's: two levels to the memory's address.
  assign key_found   = counts_q.by_key && index != '0;
  assign plain_found = counts_q.by_plain && plain_hit;
  assign map_re_o    = may_read_q;
  assign map_addr_o  = key_found ? index : plain_found ? plain_index : counts_q.other;

  always_ff @(posedge clk_i) begin
    valid_q    <= rst_i ? '0 : {valid_q[BucketCycles-1:1], valid_i};
    to_vif_q   <= rst_i ? '0 : {to_vif_q[2:1], to_vif};
    vif_valid3_q <= valid_q[2] && !rst_i;
    if (valid_q[2]) vif3_q <= to_vif_q[2] ? vif_i : '0;
    if (to_vif) vif_no_q[1] <= hop_i.nh.vif;
    if (to_vif_q[1]) vif_no_q[2] <= vif_no_q[1];
    if (to_vif_q[2]) vif_no_q[3] <= vif_no_q[2];
    if (valid_i) names_q[1] <= names;
    for (int unsigned i = 2; i < BucketCycles; i++) if (valid_q[i-1]) names_q[i] <= names_q[i-1];
    if (to_vif) dip_q[1] <= hdr_i.dip;
    if (to_vif_q[1]) dip_q[2] <= dip_q[1];
    if (to_vif_q[2]) begin
      for (int unsigned i = 0; i < Pieces; i++) piece3_q[i] <= dip_q[2][i*32/Pieces +: 32/Pieces] != vif_i.ip[i*32/Pieces +: 32/Pieces];
    end
    differs4_q <= piece3_q != '0;
    differs5_q <= differs4_q;
    if (valid_q[BucketCycles-1]) begin
      counts_q <= '{by_key: names_q[BucketCycles-1].by_key && differs5_q, by_plain: names_q[BucketCycles-1].by_plain && differs5_q,
                    named: names_q[BucketCycles-1].member || names_q[BucketCycles-1].egress, under: names_q[BucketCycles-1].egress,
                    other: names_q[BucketCycles-1].other};
    end
    may_read_q <= valid_q[BucketCycles-1] && !rst_i &&
                  (((names_q[BucketCycles-1].by_key || names_q[BucketCycles-1].by_plain) && differs5_q) ||
                   names_q[BucketCycles-1].member || names_q[BucketCycles-1].egress);
    // Of a key that is not to be believed nothing is, nor what would be asked without it.
    bad_q      <= rst_i ? '0 : {bad_q[1], mark_bad || (key_bad && counts_q.by_key) || (plain_bad && counts_q.by_plain && !key_found)};
    found_q    <= rst_i ? '0 : {found_q[1], may_read_q && (key_found || plain_found || counts_q.named)};
    under_q    <= {under_q[1], counts_q.under && !key_found && !plain_found};
    marked_q   <= rst_i ? '0 : {marked_q[1], marked};
    if (may_read_q) index_q[1] <= map_addr_o;
    if (found_q[1]) index_q[2] <= index_q[1];
    map_read_q <= found_q[2] && !rst_i;
    error_o[2].valid <= to_vif_q[3] && vif_bad_i && !rst_i;
    error_o[3].valid <= map_broken_o && !rst_i;
    if (vif_bad_i) error_o[2].index <= index_t'(vif_no_q[3]);
    if (found_q[2]) index3_q <= index_q[2];
    if (map_bad_i) error_o[3].index <= index_t'(fip_map_addr_t'(index3_q));
  end

  assign map_broken_o = map_read_q && map_bad_i;

  assign fip_o = '{out: out, marked: marked_q[2], broken: bad_q[2] || out_bad, found: found_q[2], under: under_q[2],
                   index: index_q[2], map: map_i};

  logic unused_bits;
  assign unused_bits = ^{hdr_i, hop_i, out_valid, hit, valid_q[BucketCycles], unused_mark, unused_key, unused_bad};

`ifndef SYNTHESIS
  initial assert (FipCycles == BucketCycles + 2 && BucketCycles == 6) else $fatal(1, "ps_fip: its stages are not FipCycles");
  initial assert (ps_bucket_pkg::bucket_cycles(PlainFipRowsLog2) == BucketCycles)
    else $fatal(1, "ps_fip: its tables do not take the same time");
  initial assert (KeyBits == FipKeyBits - $bits(map_id_t) - 1) else $fatal(1, "ps_fip: key_t is not the key of fip_key_t");
  initial assert (PlainKeyBits == PlainFipBits - $bits(map_id_t) - 1) else $fatal(1, "ps_fip: plain_key_t is not the key of plain_fip_t");
`endif

endmodule
