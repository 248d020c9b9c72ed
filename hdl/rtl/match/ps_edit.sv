// Checksums of the rewritten packet (RFC 1624, equation 3), merged into the verdict.
//
// Latency:    EditCycles (5); one packet every cycle.
// Method:     sums of changes by address pair and ports first, shared by all checksums that cover them; each sum is
//             folded once at its end. The ICMP checksum of an error comes last, as it covers the embedded checksums.
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

  // The end-around carries: two additions are enough for sums of less than 2^32.
  function automatic logic [15:0] fold(input sum_t sum);
    logic [16:0] once;
    once = 17'(sum[15:0]) + 17'(sum[21:16]);
    fold = once[15:0] + 16'(once[16]);
  endfunction

  function automatic sum_t word_change(input logic en, input logic [15:0] from, input logic [15:0] to);
    word_change = en ? sum_t'(16'(~from)) + sum_t'(to) : '0;
  endfunction

  function automatic sum_t addr_change(input logic en, input ip4_t from, input ip4_t to);
    addr_change = word_change(en, from[31:16], to[31:16]) + word_change(en, from[15:0], to[15:0]);
  endfunction

  function automatic logic [15:0] udp_zero(input logic [15:0] sum);
    udp_zero = sum == '0 ? 16'hffff : sum;
  endfunction

  logic [3:0]  valid_q;
  logic        emb_valid1_q, emb_valid2_q, emb_valid3_q, emb_valid4_q;

  // Stage 1.
  sum_t        ttl1_q, addr1_q, port1_q, emb_addr1_q, emb_port1_q;
  old_t        old1_q;
  // Stage 2.
  sum_t        ip2_q, l42_q, emb_ip2_q, emb_l42_q, emb_all2_q;
  old_t        old2_q;
  // Stage 3.
  logic [15:0] ip3_q, l43_q, emb_ip3_q, emb_l43_q;
  sum_t        emb_all3_q;
  old_t        old3_q;
  // Stages 4 and 5.
  logic [15:0] ip4_q, l44_q, emb_ip4_q, emb_l44_q;
  sum_t        icmp4_q;
  logic [15:0] ip5_q, l45_q, emb_ip5_q, emb_l45_q;

  logic [15:0] l43, emb_l43, icmp5;
  verdict_t    verdict;

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

  assign l43     = ~fold(l42_q);
  assign emb_l43 = ~fold(emb_l42_q);
  assign icmp5   = ~fold(icmp4_q);

  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      old1_q  <= old_i;
      ttl1_q  <= word_change(old_i.ttl_en, old_i.ttl_old, verdict_i.ttl_proto);
      addr1_q <= addr_change(verdict_i.sip_en, old_i.sip_old, verdict_i.sip) +
                 addr_change(verdict_i.dip_en, old_i.dip_old, verdict_i.dip);
      port1_q <= word_change(verdict_i.sport_en, old_i.sport_old, verdict_i.sport) +
                 word_change(verdict_i.dport_en, old_i.dport_old, verdict_i.dport);
      if (verdict_i.emb_en) begin
        emb_addr1_q <= addr_change(old_i.emb_sip_en, old_i.emb_sip_old, verdict_i.emb_sip) +
                       addr_change(old_i.emb_dip_en, old_i.emb_dip_old, verdict_i.emb_dip);
        emb_port1_q <= word_change(verdict_i.emb_sport_en, old_i.emb_sport_old, verdict_i.emb_sport) +
                       word_change(verdict_i.emb_dport_en, old_i.emb_dport_old, verdict_i.emb_dport);
      end
    end
    if (valid_q[0]) begin
      old2_q <= old1_q;
      ip2_q  <= sum_t'(16'(~old1_q.ip_csum)) + ttl1_q + addr1_q;
      l42_q  <= sum_t'(16'(~old1_q.l4_csum)) + addr1_q + port1_q;
      if (emb_valid1_q) begin
        emb_ip2_q  <= sum_t'(16'(~old1_q.emb_ip_csum)) + emb_addr1_q;
        emb_l42_q <= sum_t'(16'(~old1_q.emb_l4_csum)) + emb_addr1_q + emb_port1_q;
        emb_all2_q <= sum_t'(16'(~old1_q.l4_csum)) + emb_addr1_q + emb_port1_q;
      end
    end
    if (valid_q[1]) begin
      old3_q <= old2_q;
      ip3_q  <= ~fold(ip2_q);
      l43_q  <= old2_q.udp ? udp_zero(l43) : l43;
      if (emb_valid2_q) begin
        emb_ip3_q  <= ~fold(emb_ip2_q);
        emb_l43_q <= old2_q.emb_udp ? udp_zero(emb_l43) : emb_l43;
        emb_all3_q <= emb_all2_q;
      end
    end
    if (valid_q[2]) begin
      ip4_q <= ip3_q;
      l44_q <= l43_q;
      if (emb_valid3_q) begin
        emb_ip4_q  <= emb_ip3_q;
        emb_l44_q <= emb_l43_q;
        icmp4_q    <= emb_all3_q + word_change(1'b1, old3_q.emb_ip_csum, emb_ip3_q) +
                      word_change(old3_q.emb_l4_csum_en, old3_q.emb_l4_csum, emb_l43_q);
      end
    end
    if (valid_q[3]) begin
      ip5_q <= ip4_q;
      l45_q <= emb_valid4_q ? icmp5 : l44_q;
      if (emb_valid4_q) begin
        emb_ip5_q  <= emb_ip4_q;
        emb_l45_q <= emb_l44_q;
      end
    end
    valid_q      <= {valid_q[2:0], valid_i};
    emb_valid1_q <= valid_i && verdict_i.emb_en;
    emb_valid2_q <= emb_valid1_q;
    emb_valid3_q <= emb_valid2_q;
    emb_valid4_q <= emb_valid3_q;
    if (rst_i) valid_q <= '0;
  end

  always_comb begin
    verdict_o              = verdict;
    verdict_o.ip_csum      = ip5_q;
    verdict_o.l4_csum      = l45_q;
    verdict_o.emb_ip_csum  = emb_ip5_q;
    verdict_o.emb_l4_csum  = emb_l45_q;
  end

  logic unused_bits;
  assign unused_bits = ^{old3_q, verdict.ip_csum, verdict.l4_csum, verdict.emb_ip_csum,
                         verdict.emb_l4_csum};

endmodule
