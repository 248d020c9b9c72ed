// Outgoing vif of a next hop, and the floating-IP mapping that a packet finds there.
//
// Latency:    FipCycles; one packet every cycle. Without a vif to look at, fip_o.out is 0; of a packet that is not routed fip_o
//             means nothing.
// Tables:     Vif (reader, data 2 cycles after), FipKey (twice: by destination and by source), FipMap (reader, likewise).
//             Keys are in block RAM: 2,048 rows would leave half of an UltraRAM empty, which is what flows need.
// Stages:     0 keys | 2 vif | BucketCycles hits | and two later the mapping, which goes out as it stands
// Parity:     of what is looked up and has the wrong one fip_o.broken says so; of the mapping map_broken_o, a cycle later.
// Contract:   fip_o.found says that key and mapping are there, fip_o.marked that the key of the source is; whether they
//             apply is ps_decide's matter.
module ps_fip
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
  import ps_match_pkg::*;
(
  input  logic        clk_i,
  input  logic        rst_i,
  input  logic        valid_i,       // a packet that is to be routed
  input  hdr_t        hdr_i,
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
  output parity_error_t [3:0] error_o, // of FipKey, twice; Vif; FipMap
  input  access_t     acc_i,
  input  logic [FipKeyBits-1:0] acc_wdata_i,
  output fip_key_t    key_rdata_o,
  output logic        key_acc_bad_o
);

  // Of an entry, without `valid`; what packets are looked up by.
  typedef struct packed {
    logic [15:0] port;
    ip4_t        ip;
    logic [7:0]  proto;
    logic [7:0]  vif;
  } key_t;

  localparam int unsigned KeyBits = $bits(key_t);

  logic        to_vif, look, look_source;
  key_t        key, source_key;
  logic        hit, marked, key_bad, mark_bad, unused_bad, out_valid;
  logic [2:1]  valid_q, hit_q, marked_q, bad_q;      // bit i: i cycles later
  logic [3:1]  to_vif_q;
  logic        vif_valid3_q, map_read_q;
  vif_t        vif3_q;
  logic [7:0]  vif_no_q [1:3];
  logic [13:0] unused_mark;
  fip_key_t    unused_key;
  logic [13:0] index, index3_q;
  logic [13:0] index_q [2:1];
  vif_t        out;
  logic        out_bad;

  assign to_vif = valid_i && !hop_i.drop && (hop_i.nh.kind == NhEncap || hop_i.nh.kind == NhReceive);
  assign look   = to_vif && hop_i.nh.kind == NhEncap && !hdr_i.frag && !hdr_i.icmp_err;

  assign key    = '{port: hdr_i.key_dport, ip: hdr_i.dip, proto: hdr_i.proto, vif: hop_i.nh.vif};

  // Only what came from a vif can be a reply of a pod. By the flow key, so that an ICMP error is found by what it is about.
  assign look_source = valid_i && !hop_i.drop && hdr_i.src == SrcHost;
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

  assign map_re_o   = hit;
  assign map_addr_o = index;

  always_ff @(posedge clk_i) begin
    valid_q    <= rst_i ? '0 : {valid_q[1], valid_i};
    to_vif_q   <= rst_i ? '0 : {to_vif_q[2:1], to_vif};
    vif_valid3_q <= valid_q[2] && !rst_i;
    if (valid_q[2]) vif3_q <= to_vif_q[2] ? vif_i : '0;
    if (to_vif) vif_no_q[1] <= hop_i.nh.vif;
    if (to_vif_q[1]) vif_no_q[2] <= vif_no_q[1];
    if (to_vif_q[2]) vif_no_q[3] <= vif_no_q[2];
    bad_q      <= rst_i ? '0 : {bad_q[1], key_bad || mark_bad};
    map_read_q <= hit_q[2] && !rst_i;
    error_o[2].valid <= to_vif_q[3] && vif_bad_i && !rst_i;
    error_o[3].valid <= map_broken_o && !rst_i;
    if (vif_bad_i) error_o[2].index <= index_t'(vif_no_q[3]);
    if (hit_q[2]) index3_q <= index_q[2];
    if (map_bad_i) error_o[3].index <= index_t'(fip_map_addr_t'(index3_q));
    hit_q      <= rst_i ? '0 : {hit_q[1], hit};
    marked_q   <= rst_i ? '0 : {marked_q[1], marked};
    index_q[1] <= index;
    index_q[2] <= index_q[1];
  end

  assign map_broken_o = map_read_q && map_bad_i;

  assign fip_o = '{out: out, marked: marked_q[2], broken: bad_q[2] || out_bad, found: hit_q[2] && map_i.valid, index: index_q[2], map: map_i};

  logic unused_bits;
  assign unused_bits = ^{hdr_i, hop_i, out_valid, unused_mark, unused_key, unused_bad};

`ifndef SYNTHESIS
  initial assert (FipCycles == BucketCycles + 2) else $fatal(1, "ps_fip: its stages are not FipCycles");
  initial assert (KeyBits == FipKeyBits - 14 - 1) else $fatal(1, "ps_fip: key_t is not the key of fip_key_t");
`endif

endmodule
