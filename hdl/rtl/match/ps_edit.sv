// Checksums of the rewritten packet (RFC 1624, equation 3), merged into the verdict.
//
// Latency:    EditCycles (10), the time of admission beside it; one packet every cycle.
// Method:     sums of changes by address pair and ports first, shared by all checksums that cover them; each sum is
//             folded once at its end. The ICMP checksum of an error comes last, as it covers the embedded checksums.
// Stages:     1 words | 2 addresses and ports | 3, 4 sums | 5, 6 folded | 7 those of an ICMP error: words | 8 sum | 9, 10 folded
module ps_edit
  import ps_types_pkg::*;
  import ps_match_pkg::*;
(
  input  logic     clk_i,
  input  logic     rst_i,
  input  logic     valid_i,
  input  verdict_t verdict_i,
  input  old_t     old_i,
  output logic     valid_o,
  output verdict_t verdict_o
);

  typedef logic [21:0] sum_t;

  typedef logic [16:0] change_t;      // of a word: ~from + to
  typedef logic [16:0] folded_t;      // after the first addition of the carries

  // The end-around carries: two additions are enough for sums of less than 2^32.
  function automatic folded_t fold_once(input sum_t sum);
    fold_once = folded_t'(sum[15:0]) + folded_t'(sum[21:16]);
  endfunction

  function automatic logic [15:0] checksum(input folded_t once);
    checksum = ~(once[15:0] + 16'(once[16]));
  endfunction

  function automatic change_t word_change(input logic en, input logic [15:0] from, input logic [15:0] to);
    word_change = en ? change_t'(16'(~from)) + change_t'(to) : '0;
  endfunction

  // The words of an address, upper one first.
  function automatic change_t [1:0] addr_change(input logic en, input ip4_t from, input ip4_t to);
    addr_change = {word_change(en, from[31:16], to[31:16]), word_change(en, from[15:0], to[15:0])};
  endfunction

  function automatic logic [15:0] udp_zero(input logic [15:0] sum);
    udp_zero = sum == '0 ? 16'hffff : sum;
  endfunction

  // What the sums begin with, and whose they are.
  typedef struct packed {
    logic        udp;
    logic        emb_udp;
    logic        emb_l4_csum_en;
    logic [15:0] ip_csum;
    logic [15:0] l4_csum;
    logic [15:0] emb_ip_csum;
    logic [15:0] emb_l4_csum;
  } begin_t;

  localparam int unsigned Icmp = 9;   // the last cycle of an ICMP error's own words

  logic [Icmp:1] valid_q, emb_q;      // bit i: a packet is in cycle i, one with an embedded packet
  begin_t        begin_q [6:1];

  // Stages 1 and 2.
  change_t       ttl1_q, ttl2_q, sport1_q, dport1_q, emb_sport1_q, emb_dport1_q;
  change_t [1:0] sip1_q, dip1_q, emb_sip1_q, emb_dip1_q;
  sum_t          sip2_q, dip2_q, port2_q, emb_sip2_q, emb_dip2_q, emb_port2_q;
  // Stages 3 and 4.
  sum_t          ip3_q, l43_q, emb_ip3_q, emb_l43_q, emb_all3_q, addr3_q, emb_addr3_q;
  sum_t          ip4_q, l44_q, emb_ip4_q, emb_l44_q, emb_all_q [7:4];
  // Stages 5 and 6.
  folded_t       ip5_q, l45_q, emb_ip5_q, emb_l45_q;
  // From stage 6 on: the checksums.
  logic [15:0]   ip_q [10:6], l4_q [10:6], emb_ip_q [10:6], emb_l4_q [10:6];
  // Stages 7 to 9.
  change_t       icmp_ip7_q, icmp_l47_q;
  sum_t          icmp8_q;
  folded_t       icmp9_q;
  logic [15:0]   l46, emb_l46;
  verdict_t      verdict;

  ps_delay #(
    .Width ($bits(verdict_t)),
    .Cycles(EditCycles)
  ) u_verdict (
    .clk_i,
    .rst_i,
    .valid_i,
    .data_i (verdict_i),
    .valid_o(valid_o),
    .data_o (verdict)
  );

  assign l46     = checksum(l45_q);
  assign emb_l46 = checksum(emb_l45_q);

  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      begin_q[1] <= '{udp: old_i.udp, emb_udp: old_i.emb_udp, emb_l4_csum_en: old_i.emb_l4_csum_en,
                      ip_csum: old_i.ip_csum, l4_csum: old_i.l4_csum, emb_ip_csum: old_i.emb_ip_csum,
                      emb_l4_csum: old_i.emb_l4_csum};
      ttl1_q   <= word_change(old_i.ttl_en, old_i.ttl_old, verdict_i.ttl_proto);
      sip1_q   <= addr_change(verdict_i.sip_en, old_i.sip_old, verdict_i.sip);
      dip1_q   <= addr_change(verdict_i.dip_en, old_i.dip_old, verdict_i.dip);
      sport1_q <= word_change(verdict_i.sport_en, old_i.sport_old, verdict_i.sport);
      dport1_q <= word_change(verdict_i.dport_en, old_i.dport_old, verdict_i.dport);
      emb_sip1_q   <= addr_change(old_i.emb_sip_en, old_i.emb_sip_old, verdict_i.emb_sip);
      emb_dip1_q   <= addr_change(old_i.emb_dip_en, old_i.emb_dip_old, verdict_i.emb_dip);
      emb_sport1_q <= word_change(verdict_i.emb_sport_en, old_i.emb_sport_old, verdict_i.emb_sport);
      emb_dport1_q <= word_change(verdict_i.emb_dport_en, old_i.emb_dport_old, verdict_i.emb_dport);
    end
    if (valid_q[1]) begin
      ttl2_q  <= ttl1_q;
      sip2_q  <= sum_t'(sip1_q[1]) + sum_t'(sip1_q[0]);
      dip2_q  <= sum_t'(dip1_q[1]) + sum_t'(dip1_q[0]);
      port2_q <= sum_t'(sport1_q) + sum_t'(dport1_q);
    end
    if (emb_q[1]) begin
      emb_sip2_q  <= sum_t'(emb_sip1_q[1]) + sum_t'(emb_sip1_q[0]);
      emb_dip2_q  <= sum_t'(emb_dip1_q[1]) + sum_t'(emb_dip1_q[0]);
      emb_port2_q <= sum_t'(emb_sport1_q) + sum_t'(emb_dport1_q);
    end
    if (valid_q[2]) begin
      addr3_q <= sip2_q + dip2_q;
      ip3_q   <= sum_t'(16'(~begin_q[2].ip_csum)) + sum_t'(ttl2_q);
      l43_q   <= sum_t'(16'(~begin_q[2].l4_csum)) + port2_q;
    end
    if (emb_q[2]) begin
      emb_addr3_q <= emb_sip2_q + emb_dip2_q;
      emb_ip3_q   <= sum_t'(16'(~begin_q[2].emb_ip_csum));
      emb_l43_q   <= sum_t'(16'(~begin_q[2].emb_l4_csum)) + emb_port2_q;
      emb_all3_q  <= sum_t'(16'(~begin_q[2].l4_csum)) + emb_port2_q;
    end
    if (valid_q[3]) begin
      ip4_q <= ip3_q + addr3_q;
      l44_q <= l43_q + addr3_q;
    end
    if (emb_q[3]) begin
      emb_ip4_q    <= emb_ip3_q + emb_addr3_q;
      emb_l44_q    <= emb_l43_q + emb_addr3_q;
      emb_all_q[4] <= emb_all3_q + emb_addr3_q;
    end
    if (valid_q[4]) begin
      ip5_q <= fold_once(ip4_q);
      l45_q <= fold_once(l44_q);
    end
    if (emb_q[4]) begin
      emb_ip5_q <= fold_once(emb_ip4_q);
      emb_l45_q <= fold_once(emb_l44_q);
    end
    if (valid_q[5]) begin
      ip_q[6] <= checksum(ip5_q);
      l4_q[6] <= begin_q[5].udp ? udp_zero(l46) : l46;
    end
    if (emb_q[5]) begin
      emb_ip_q[6] <= checksum(emb_ip5_q);
      emb_l4_q[6] <= begin_q[5].emb_udp ? udp_zero(emb_l46) : emb_l46;
    end
    if (emb_q[6]) begin
      icmp_ip7_q <= word_change(1'b1, begin_q[6].emb_ip_csum, emb_ip_q[6]);
      icmp_l47_q <= word_change(begin_q[6].emb_l4_csum_en, begin_q[6].emb_l4_csum, emb_l4_q[6]);
    end
    if (emb_q[7]) icmp8_q <= emb_all_q[7] + (sum_t'(icmp_ip7_q) + sum_t'(icmp_l47_q));
    if (emb_q[8]) icmp9_q <= fold_once(icmp8_q);
    for (int unsigned i = 5; i <= 7; i++) if (emb_q[i-1]) emb_all_q[i] <= emb_all_q[i-1];
    for (int unsigned i = 2; i <= 6; i++) if (valid_q[i-1]) begin_q[i] <= begin_q[i-1];
    for (int unsigned i = 7; i <= 10; i++) begin
      if (valid_q[i-1]) begin
        ip_q[i] <= ip_q[i-1];
        l4_q[i] <= i == 10 && emb_q[9] ? checksum(icmp9_q) : l4_q[i-1];
      end
      if (emb_q[i-1]) begin
        emb_ip_q[i] <= emb_ip_q[i-1];
        emb_l4_q[i] <= emb_l4_q[i-1];
      end
    end
    valid_q <= {valid_q[Icmp-1:1], valid_i};
    emb_q   <= {emb_q[Icmp-1:1], valid_i && verdict_i.emb_en};
    if (rst_i) begin
      valid_q <= '0;
      emb_q   <= '0;
    end
  end

  always_comb begin
    verdict_o              = verdict;
    verdict_o.ip_csum      = ip_q[10];
    verdict_o.l4_csum      = l4_q[10];
    verdict_o.emb_ip_csum  = emb_ip_q[10];
    verdict_o.emb_l4_csum  = emb_l4_q[10];
  end

  logic unused_bits;
  assign unused_bits = ^{begin_q[6], verdict.ip_csum, verdict.l4_csum, verdict.emb_ip_csum,
                         verdict.emb_l4_csum};

`ifndef SYNTHESIS
  initial assert (EditCycles == 10) else $fatal(1, "ps_edit: its stages are not EditCycles");
`endif

endmodule
