// Outgoing vif of a next hop, and the floating-IP mapping that a packet finds there.
//
// Latency:    FipCycles (6); one packet every cycle. Without a vif to look at, fip_o is 0.
// Tables:     Vif (reader, data the cycle after), FipKey (twice: by destination and by source), FipMap (reader, likewise).
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
  output logic [13:0] map_addr_o,
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
  logic        to_vif1_q, hit, hit5_q, marked, marked5_q, out_valid;
  logic [13:0] unused_mark;
  fip_key_t    unused_key;
  logic [13:0] index, index5_q;
  vif_t        out5, out;

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
    .acc_index_i(acc_i.index[13:0]),
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
    .acc_index_i(acc_i.index[13:0]),
    .acc_wdata_i(acc_wdata_i),
    .acc_rdata_o(unused_key)
  );

  ps_delay #(
    .Width (VifBits),
    .Cycles(BucketCycles)
  ) u_out (
    .clk_i,
    .rst_i,
    .valid_i(to_vif1_q),
    .data_i (vif_i),
    .valid_o(out_valid),
    .data_o (out5)
  );

  assign map_re_o   = hit;
  assign map_addr_o = index;

  always_comb begin
    out = '0;
    if (out_valid) out = out5;
  end

  always_ff @(posedge clk_i) begin
    to_vif1_q <= to_vif && !rst_i;
    hit5_q    <= hit && !rst_i;
    marked5_q <= marked && !rst_i;
    if (hit) index5_q <= index;
    fip_o.out    <= out;
    fip_o.marked <= marked5_q;
    fip_o.found  <= hit5_q && map_i.valid;
    if (hit5_q) begin
      fip_o.index <= index5_q;
      fip_o.map   <= map_i;
    end
  end

  logic unused_bits;
  assign unused_bits = ^{hdr_i, hop_i, unused_mark, unused_key};

`ifndef SYNTHESIS
  initial assert (KeyBits == FipKeyBits - 14 - 1) else $fatal(1, "ps_fip: key_t is not the key of fip_key_t");
`endif

endmodule
