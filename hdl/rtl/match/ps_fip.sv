// Outgoing vif of a next hop, and the floating-IP mapping that a packet finds there.
//
// Latency:    FipCycles; one packet every cycle. Without a vif to look at, fip_o.out is 0; of a packet that is not routed fip_o
//             means nothing.
// Tables:     Vif (reader, data 2 cycles after), FipKey (twice: by destination and by source), FipMap (reader, likewise).
// Stages:     0 keys | 2 vif | BucketCycles hits | and two later the mapping, which goes out as it stands
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
  output logic        map_re_o,
  output map_id_t     map_addr_o,
  input  fip_map_t    map_i,
  input  access_t     acc_i,
  input  logic [FipKeyBits-1:0] acc_wdata_i,
  output fip_key_t    key_rdata_o
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
  logic        hit, marked, out_valid;
  logic [2:1]  valid_q, to_vif_q, hit_q, marked_q;   // bit i: i cycles later
  logic [13:0] unused_mark;
  fip_key_t    unused_key;
  logic [13:0] index;
  logic [13:0] index_q [2:1];
  vif_t        out;

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
    .RowsLog2 (FipKeyRowsLog2)
  ) u_key (
    .clk_i,
    .rst_i,
    .valid_i    (look),
    .key_i      (key),
    .hit_o      (hit),
    .data_o     (index),
    .acc_re_i   (acc_i.re[SelFipKey]),
    .acc_we_i   (acc_i.we[SelFipKey]),
    .acc_index_i(fip_key_addr_t'(acc_i.index)),
    .acc_wdata_i(acc_wdata_i),
    .acc_rdata_o(key_rdata_o)
  );

  ps_bucket_table #(
    .EntryBits(FipKeyBits),
    .KeyBits  (KeyBits),
    .Ways     (FipKeyWays),
    .RowsLog2 (FipKeyRowsLog2)
  ) u_source_key (
    .clk_i,
    .rst_i,
    .valid_i    (look_source),
    .key_i      (source_key),
    .hit_o      (marked),
    .data_o     (unused_mark),
    .acc_re_i   (1'b0),
    .acc_we_i   (acc_i.we[SelFipKey]),
    .acc_index_i(fip_key_addr_t'(acc_i.index)),
    .acc_wdata_i(acc_wdata_i),
    .acc_rdata_o(unused_key)
  );

  ps_delay #(
    .Width (VifBits),
    .Cycles(BucketCycles)
  ) u_out (
    .clk_i,
    .rst_i,
    .valid_i(valid_q[2]),
    .data_i (to_vif_q[2] ? vif_i : '0),
    .valid_o(out_valid),
    .data_o (out)
  );

  assign map_re_o   = hit;
  assign map_addr_o = index;

  always_ff @(posedge clk_i) begin
    valid_q    <= rst_i ? '0 : {valid_q[1], valid_i};
    to_vif_q   <= rst_i ? '0 : {to_vif_q[1], to_vif};
    hit_q      <= rst_i ? '0 : {hit_q[1], hit};
    marked_q   <= rst_i ? '0 : {marked_q[1], marked};
    index_q[1] <= index;
    index_q[2] <= index_q[1];
  end

  assign fip_o = '{out: out, marked: marked_q[2], found: hit_q[2] && map_i.valid, index: index_q[2], map: map_i};

  logic unused_bits;
  assign unused_bits = ^{hdr_i, hop_i, out_valid, unused_mark, unused_key};

`ifndef SYNTHESIS
  initial assert (FipCycles == BucketCycles + 2) else $fatal(1, "ps_fip: its stages are not FipCycles");
  initial assert (KeyBits == FipKeyBits - 14 - 1) else $fatal(1, "ps_fip: key_t is not the key of fip_key_t");
`endif

endmodule
