// Takes the frames of one port in: beats into the packet memory, the window of each frame to the entry.
//
//   1  input register; where the beat stands in its frame, and whether a tag stands in it
//   2  bytes beyond tkeep cleared, the others counted; from here the beat goes into the packet memory
//   3  the window: the first beats together, the length so far
// Store and forward: a frame's window goes on only with its last beat, so that its length is known and none of
// its beats is ever waited for later. One beat a cycle, so one 64-byte frame a cycle.
// Handshake:  s_ready_o is a register; it falls before the packet memory or the entry's queue (window_room_i) can overflow.
//             Windows and sums have no ready. beat_read_i takes the next beat; the reader knows that it is there, and sets
//             beat_look_i whenever it may take one, so that the memory does not wait for the decision.
// Oversize:   of a frame longer than FrameMaxBytes the first KeptBeats and the last are kept; its window says so, and its
//             length is right up to 65535 bytes, where it stops counting.
// Sum:        from the fabric, the sum of the IPv4 packet follows the window (ps_packet_sum), for a tunnel's checksums.
// Latency:    last beat accepted -> window_valid_o 3 cycles, sum_valid_o 6; beat_read_i -> beat_o BeatCycles.
// Ordering:   windows, sums and beats in order of arrival.
// A tap on what arrives here belongs before the input register, with one of its own (+1 cycle).
module ps_ingress
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
  import ps_stream_pkg::*;
#(
  parameter src_e Src = SrcFabric
) (
  input  logic         clk_i,
  input  logic         rst_i,

  input  logic [511:0] s_data_i,
  input  logic [63:0]  s_keep_i,
  input  logic         s_last_i,
  input  logic [7:0]   s_vif_i,        // valid on the first beat
  input  logic         s_valid_i,
  output logic         s_ready_o,

  output logic         window_valid_o,
  output window_t      window_o,
  input  logic         window_room_i,
  output logic         sum_valid_o,
  output packet_sum_t  sum_o,

  input  logic         beat_look_i,
  input  logic         beat_read_i,    // only with beat_look_i
  output logic [511:0] beat_o,

  output logic         frame_o         // pulse: the first beat of a frame has been accepted
);

  localparam int unsigned Margin = 8;  // beats on their way when s_ready_o falls
  localparam int unsigned AddrWidth = $clog2(PacketBeats);
  localparam logic [15:0] EtherVlan = 16'h8100;

  // A beat's place in its frame, as far as the window cares
  typedef enum logic [1:0] {
    PlaceFirst,
    PlaceSecond,
    PlaceLater
  } place_e;

  // 1
  logic       take, ready_q, in_valid_q, in_tag_q;
  place_e     place_q, in_place_q;     // of the beat to come, of the one in the register
  beat_t      in_q;
  logic [7:0] vif_q;

  // 2
  logic         beat_valid_q, beat_last_q, tag_q, load0_q, load1_q;
  place_e       beat_place_q;
  logic [6:0]   bytes_q;
  logic [7:0]   beat_vif_q;
  logic [511:0] data, beat_q;

  // Frame so far, without the beat in stage 2
  logic [CountWidth-1:0] index_q;      // beats, saturating
  logic                  keep_q;       // the next one is kept
  logic [15:0]           len_q;
  logic [16:0]           len_sum;
  logic [511:0]          win0_q, win1_q;

  // 3
  logic         window_valid_q, window_tag_q;
  logic [7:0]   window_vif_q;
  logic [16:0]  window_len_q;
  logic [WindowBits-1:0] window_q;

  // Packet memory; one bit more than the address tells a full one from an empty one
  logic               we;
  logic [AddrWidth:0] wptr_q, rptr_q, stored_q;

  assign take      = s_valid_i && ready_q;
  assign s_ready_o = ready_q;
  assign frame_o   = take && place_q == PlaceFirst;

  // Only the last beat is not full; its rest is cleared, so that cut fields read as 0.
  always_comb begin
    for (int b = 0; b < BeatBytes; b++) data[8*b+:8] = in_q.keep[b] ? in_q.data[8*b+:8] : '0;
  end

  assign len_sum = 17'(len_q) + 17'(bytes_q);
  assign we      = beat_valid_q && (beat_last_q || keep_q);

  always_ff @(posedge clk_i) begin
    if (take) begin
      in_q.data  <= s_data_i;
      in_q.keep  <= s_keep_i;
      in_q.last  <= s_last_i;
      in_place_q <= place_q;
      if (place_q == PlaceFirst) begin
        vif_q    <= s_vif_i;
        in_tag_q <= be16(s_data_i[8*12+:16]) == EtherVlan && s_keep_i[13];
      end
    end
    if (in_valid_q) begin
      beat_q       <= data;
      bytes_q      <= kept_bytes(in_q.keep);
      beat_last_q  <= in_q.last;
      beat_place_q <= in_place_q;
      beat_vif_q   <= vif_q;
      tag_q        <= in_tag_q;
    end
    if (load0_q) win0_q <= beat_q;
    if (load1_q) win1_q <= beat_q;
    if (beat_valid_q) begin
      if (beat_last_q) begin
        index_q <= '0;
        keep_q  <= 1'b1;
        len_q   <= '0;
      end else begin
        if (keep_q) index_q <= index_q + 1'b1;
        keep_q <= index_q < CountWidth'(KeptBeats - 1);
        len_q  <= len_sum[16] ? '1 : len_sum[15:0];
      end
    end
    if (beat_valid_q && beat_last_q) begin
      window_vif_q <= beat_vif_q;
      window_len_q <= len_sum;
      window_tag_q <= tag_q;
      unique case (beat_place_q)
        PlaceFirst:  window_q <= {512'b0, beat_q};
        PlaceSecond: window_q <= {beat_q, win0_q};
        default:     window_q <= {win1_q, win0_q};
      endcase
    end
    if (rst_i) begin
      ready_q        <= 1'b0;
      place_q        <= PlaceFirst;
      in_valid_q     <= 1'b0;
      beat_valid_q   <= 1'b0;
      load0_q        <= 1'b0;
      load1_q        <= 1'b0;
      index_q        <= '0;
      keep_q         <= 1'b1;
      len_q          <= '0;
      window_valid_q <= 1'b0;
      wptr_q         <= '0;
      rptr_q         <= '0;
      stored_q       <= '0;
    end else begin
      ready_q        <= stored_q < (AddrWidth + 1)'(PacketBeats - Margin) && window_room_i;
      in_valid_q     <= take;
      beat_valid_q   <= in_valid_q;
      load0_q        <= in_valid_q && in_place_q == PlaceFirst;
      load1_q        <= in_valid_q && in_place_q == PlaceSecond;
      window_valid_q <= beat_valid_q && beat_last_q;
      if (take) begin
        if (s_last_i) place_q <= PlaceFirst;
        else place_q <= place_q == PlaceFirst ? PlaceSecond : PlaceLater;
      end
      if (we) wptr_q <= wptr_q + 1'b1;
      if (beat_read_i) rptr_q <= rptr_q + 1'b1;
      stored_q <= wptr_q - rptr_q;
    end
  end

  assign window_valid_o = window_valid_q;

  always_comb begin
    window_o.src      = Src;
    window_o.vif      = window_vif_q;
    window_o.len      = window_len_q[16] ? '1 : window_len_q[15:0];
    window_o.oversize = window_len_q > 17'(FrameMaxBytes);
    window_o.runt     = window_len_q < 17'd14;
    window_o.has_tag  = window_tag_q;
    window_o.data     = window_q;
  end

  ps_ram_sdp #(
    .Width  (BeatBits),
    .Depth  (PacketBeats),
    .Style  ("block"),
    .Latency(BeatCycles)
  ) u_beats (
    .clk_i,
    .we_i   (we),
    .waddr_i(wptr_q[AddrWidth-1:0]),
    .wdata_i(beat_q),
    .re_i   (beat_look_i),
    .raddr_i(rptr_q[AddrWidth-1:0]),
    .rdata_o(beat_o)
  );

  if (Src == SrcFabric) begin : g_sum
    ps_packet_sum u_sum (
      .clk_i,
      .rst_i,
      .valid_i    (in_valid_q),
      .first_i    (in_place_q == PlaceFirst),
      .last_i     (in_q.last),
      .tagged_i   (in_tag_q),
      .data_i     (in_q.data),
      .sum_valid_o,
      .sum_o
    );
  end else begin : g_no_sum
    assign sum_valid_o = 1'b0;
    assign sum_o       = '0;
  end

`ifndef SYNTHESIS
  a_beat_room : assert property (@(posedge clk_i) disable iff (rst_i)
      we |-> (AddrWidth + 1)'(wptr_q - rptr_q) != (AddrWidth + 1)'(PacketBeats));
  a_beat_there : assert property (@(posedge clk_i) disable iff (rst_i) beat_read_i |-> beat_look_i && wptr_q != rptr_q);
`endif

endmodule
