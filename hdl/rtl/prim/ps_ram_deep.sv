// Deep RAM with a read port (A) and a read/write port (B) (true dual port), one clock, for the clock of the card: banks that are one
// memory primitive deep, and a tree of registered multiplexers behind them.
//
// Port B:     reads or writes in a cycle, never both, as ps_ram_tdp.
// Write:      b_wdata_i is one lane; it goes to every lane whose enable is set. With b_all_i into every bank, at the address' place
//             within a bank: so a memory is cleared in as many cycles as a bank has words.
// Late:       with LateB what is asked of port B is registered here, with its bank decoded, and all of it happens a cycle later.
// Latency:    rdata is valid ps_ram_deep_pkg::latency(Depth, Fan) cycles after re: memory, its output register, and a register for
//             each level of Fan:1 multiplexers; only in that cycle. A larger Fan saves cycles and costs levels of logic.
// Collision:  a read on port A of the address being written in the same cycle returns the old word.
// Reset:      none; contents are undefined until written.
// Style:      "ultra" or "block", for synthesis; banks are as deep in both. The upper BlockBits of a word are in block RAM anyhow: what
//             little does not fit into so many UltraRAMs beside each other. (Of a memory of one lane.)
// Simulation: one array and as many registers: the same to its user, and quicker.
module ps_ram_deep
  import ps_ram_deep_pkg::*;
#(
  parameter int unsigned Width     = 72,
  // verilator lint_off UNUSEDPARAM  // read by synthesis only
  parameter              Style     = "ultra",
  // verilator lint_on UNUSEDPARAM
  parameter int unsigned Depth     = 16384,
  parameter int unsigned LaneWidth = Width,
  // verilator lint_off UNUSEDPARAM  // read by synthesis only
  parameter int unsigned BlockBits = 0,
  // verilator lint_on UNUSEDPARAM
  parameter int unsigned Fan       = 4,     // a power of 2
  parameter bit          LateB     = 1'b0,
  localparam int unsigned Lanes     = Width / LaneWidth,
  localparam int unsigned AddrWidth = $clog2(Depth)
) (
  input  logic                 clk_i,
  input  logic                 a_re_i,
  input  logic [AddrWidth-1:0] a_addr_i,
  output logic [Width-1:0]     a_rdata_o,
  input  logic                 b_re_i,
  input  logic [Lanes-1:0]     b_we_i,
  input  logic                 b_all_i,
  input  logic [AddrWidth-1:0] b_addr_i,
  input  logic [LaneWidth-1:0] b_wdata_i,
  output logic [Width-1:0]     b_rdata_o
);

  localparam int unsigned Levels = levels(Depth, Fan);

`ifdef SYNTHESIS
  localparam int unsigned Banks    = banks(Depth);
  localparam int unsigned BankBits = Depth > BankDepth ? $clog2(BankDepth) : AddrWidth;
  localparam int unsigned FanBits  = $clog2(Fan);
  localparam int unsigned SelBits  = FanBits * (Levels + 1);   // at least the bank's number

  logic [SelBits-1:0]   a_bank, b_asked, b_bank;
  logic [SelBits-1:0]   a_bank_q [2+Levels], b_bank_q [2+Levels];
  logic [Width-1:0]     a_found [Banks], b_found [Banks];
  // What is asked of port B, by bank. What goes to all banks is only ever written; that a read would, too, saves a level.
  (* keep *) logic [Banks-1:0] b_here;
  logic                 b_re [Banks], b_re_d [Banks];
  logic [Lanes-1:0]     b_we [Banks], b_we_d [Banks];
  logic [BankBits-1:0]  b_addr;
  logic [LaneWidth-1:0] b_wdata;

  assign a_bank  = SelBits'(a_addr_i >> BankBits);
  assign b_asked = SelBits'(b_addr_i >> BankBits);

  always_comb begin
    for (int unsigned b = 0; b < Banks; b++) begin
      b_here[b] = b_all_i || b_asked == SelBits'(b);
      b_re_d[b] = b_re_i && b_here[b];
      b_we_d[b] = b_here[b] ? b_we_i : '0;
    end
  end

  if (LateB) begin : gen_late
    always_ff @(posedge clk_i) begin
      b_re    <= b_re_d;
      b_we    <= b_we_d;
      b_addr  <= b_addr_i[BankBits-1:0];
      b_wdata <= b_wdata_i;
      b_bank  <= b_asked;
    end
  end else begin : gen_at_once
    assign b_re    = b_re_d;
    assign b_we    = b_we_d;
    assign b_addr  = b_addr_i[BankBits-1:0];
    assign b_wdata = b_wdata_i;
    assign b_bank  = b_asked;
  end

  for (genvar b = 0; b < Banks; b++) begin : gen_bank
    ps_ram_tdp #(
      .Width    (Width - BlockBits),
      .Depth    (1 << BankBits),
      .LaneWidth(LaneWidth - BlockBits),
      .Style    (Style),
      .Latency  (2)
    ) u_bank (
      .clk_i,
      .a_re_i   (a_re_i && a_bank == SelBits'(b)),
      .a_addr_i (a_addr_i[BankBits-1:0]),
      .a_rdata_o(a_found[b][Width-BlockBits-1:0]),
      .b_re_i   (b_re[b]),
      .b_we_i   (b_we[b]),
      .b_addr_i (b_addr),
      .b_wdata_i(b_wdata[LaneWidth-BlockBits-1:0]),
      .b_rdata_o(b_found[b][Width-BlockBits-1:0])
    );

    if (BlockBits != 0) begin : gen_rest
      ps_ram_tdp #(
        .Width  (BlockBits),
        .Depth  (1 << BankBits),
        .Style  ("block"),
        .Latency(2)
      ) u_rest (
        .clk_i,
        .a_re_i   (a_re_i && a_bank == SelBits'(b)),
        .a_addr_i (a_addr_i[BankBits-1:0]),
        .a_rdata_o(a_found[b][Width-1-:BlockBits]),
        .b_re_i   (b_re[b]),
        .b_we_i   (b_we[b] != '0),
        .b_addr_i (b_addr),
        .b_wdata_i(b_wdata[LaneWidth-1-:BlockBits]),
        .b_rdata_o(b_found[b][Width-1-:BlockBits])
      );
    end
  end

  always_ff @(posedge clk_i) begin
    a_bank_q[0] <= a_bank;
    b_bank_q[0] <= b_bank;
    for (int unsigned i = 1; i < 2 + Levels; i++) begin
      a_bank_q[i] <= a_bank_q[i-1];
      b_bank_q[i] <= b_bank_q[i-1];
    end
  end

  // Level l has a Fan-th of the words of the level before it; word w is one of Fan.
  for (genvar l = 0; l < Levels; l++) begin : gen_level
    localparam int unsigned Words = (Banks + (Fan ** (l + 1)) - 1) / (Fan ** (l + 1));
    localparam int unsigned From  = (Banks + (Fan ** l) - 1) / (Fan ** l);

    logic [Width-1:0] a_word [Words], b_word [Words];

    for (genvar w = 0; w < Words; w++) begin : gen_word
      logic [Width-1:0] a_from [Fan], b_from [Fan], a_q, b_q;

      for (genvar f = 0; f < Fan; f++) begin : gen_from
        if (Fan * w + f >= From) begin : gen_none
          assign a_from[f] = '0;
          assign b_from[f] = '0;
        end else if (l == 0) begin : gen_bank
          assign a_from[f] = a_found[Fan*w+f];
          assign b_from[f] = b_found[Fan*w+f];
        end else begin : gen_before
          assign a_from[f] = gen_level[l-1].a_word[Fan*w+f];
          assign b_from[f] = gen_level[l-1].b_word[Fan*w+f];
        end
      end

      always_ff @(posedge clk_i) begin
        a_q <= a_from[a_bank_q[1+l][FanBits*l+:FanBits]];
        b_q <= b_from[b_bank_q[1+l][FanBits*l+:FanBits]];
      end

      assign a_word[w] = a_q;
      assign b_word[w] = b_q;
    end
  end

  if (Levels == 0) begin : gen_one
    assign a_rdata_o = a_found[0];
    assign b_rdata_o = b_found[0];
  end else begin : gen_tree
    assign a_rdata_o = gen_level[Levels-1].a_word[0];
    assign b_rdata_o = gen_level[Levels-1].b_word[0];
  end
`else
  initial assert (BlockBits == 0 || Lanes == 1) else $fatal(1, "ps_ram_deep: of several lanes no bits are in block RAM");

  localparam int unsigned Stride = Depth > BankDepth ? BankDepth : Depth;

  logic [Width-1:0]     mem [Depth];
  logic [Width-1:0]     a_first_q, b_first_q, a_read, b_read;
  logic                 a_valid_q, b_valid_q;
  logic                 b_re, b_all;
  logic [Lanes-1:0]     b_we;
  logic [AddrWidth-1:0] b_addr;
  logic [LaneWidth-1:0] b_wdata;

  if (LateB) begin : gen_late
    always_ff @(posedge clk_i) begin
      b_re <= b_re_i;
      b_we <= b_we_i;
      if (b_re_i || b_we_i != '0) b_addr <= b_addr_i;
      if (b_we_i != '0) begin
        b_all   <= b_all_i;
        b_wdata <= b_wdata_i;
      end
    end
  end else begin : gen_at_once
    assign b_re    = b_re_i;
    assign b_we    = b_we_i;
    assign b_all   = b_all_i;
    assign b_addr  = b_addr_i;
    assign b_wdata = b_wdata_i;
  end

  always_ff @(posedge clk_i) begin
    if (a_re_i) a_first_q <= mem[a_addr_i];
    if (b_re) b_first_q <= mem[b_addr];
    if (a_valid_q) a_read <= a_first_q;
    if (b_valid_q) b_read <= b_first_q;
    a_valid_q <= a_re_i;
    b_valid_q <= b_re;
    // After the reads, in the one process that has the memory: so at once. Enables are tested once for all lanes and banks.
    if (b_we != '0) begin
      for (int unsigned b = 0; b < (b_all ? Depth / Stride : 1); b++) begin
        for (int unsigned i = 0; i < Lanes; i++) begin
          // verilator lint_off BLKSEQ
          if (b_we[i]) mem[b_all ? (32'(b_addr) % Stride) + b * Stride : 32'(b_addr)][i*LaneWidth +: LaneWidth] = b_wdata;
          // verilator lint_on BLKSEQ
        end
      end
    end
  end

  // As in ps_ram_tdp: before its user's reset the enables may be anything.
  logic armed_q;

  initial armed_q = 1'b0;

  always @(posedge clk_i) begin
    if (!b_re_i && b_we_i == '0) armed_q <= 1'b1;
    if (armed_q) a_read_or_write : assert (!b_re_i || b_we_i == '0);
  end

  if (Levels == 0) begin : gen_one
    assign a_rdata_o = a_read;
    assign b_rdata_o = b_read;
  end else begin : gen_tree
    logic [Levels-1:0] a_moves_q, b_moves_q;

    always_ff @(posedge clk_i) begin
      a_moves_q <= Levels'({a_moves_q, a_valid_q});
      b_moves_q <= Levels'({b_moves_q, b_valid_q});
    end

    for (genvar l = 0; l < Levels; l++) begin : gen_level
      logic [Width-1:0] a_q, b_q;

      if (l == 0) begin : gen_first
        always_ff @(posedge clk_i) begin
          if (a_moves_q[0]) a_q <= a_read;
          if (b_moves_q[0]) b_q <= b_read;
        end
      end else begin : gen_next
        always_ff @(posedge clk_i) begin
          if (a_moves_q[l]) a_q <= gen_level[l-1].a_q;
          if (b_moves_q[l]) b_q <= gen_level[l-1].b_q;
        end
      end
    end

    assign a_rdata_o = gen_level[Levels-1].a_q;
    assign b_rdata_o = gen_level[Levels-1].b_q;
  end
`endif

endmodule
