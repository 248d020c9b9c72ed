// One's complement sum of the IPv4 packet in each frame of a stream, for the checksums of UDP and GRE around it.
//
// Over the packet's bytes from its header to the total length that the header states, which stands in the first beat; the
// packet begins at byte 14, or 18 after a tag (0x8100). Bytes before it and beyond it do not count, nor do bytes beyond the
// frame unless the total length is wrong. Whether there is an IPv4 packet, and a whole one, is for the reader of the sum to know.
//
//   A  finds the packet's end in the first beat, counts the beats off it after; takes the bytes before the packet out
//   B  which bytes of the beat are before the packet's end
//   C  takes the others out; sums the beat to eight parts
//   D  adds the parts up to two
//   E  adds these to the sum of the beats before
// Worked example: an untagged frame of 100 bytes, total length 82. Its packet ends at byte 96: beat 0 counts from byte 14,
// beat 1 up to byte 31 (96 - 64 = 32 bytes left), and the four bytes of padding do not.
// A packet begins at an even byte, so the words of beats are its words; of an odd length's last word only the first byte counts.
// The sum is that of words as they lie in a beat, without its last carries: a one's complement sum of either byte order is right or
// wrong alike.
// Handshake:  none; one beat a cycle at most, frames one after another.
// Latency:    5 cycles from a frame's last beat to sum_valid_o, one pulse a frame.
// Reset:      the valid bits only.
module ps_packet_sum
  import ps_types_pkg::*;
  import ps_stream_pkg::*;
(
  input  logic                  clk_i,
  input  logic                  rst_i,
  input  logic                  valid_i,
  input  logic                  first_i,
  input  logic                  last_i,
  input  logic                  tagged_i,      // with the first beat
  input  logic [BeatBits-1:0]   data_i,
  output logic                  sum_valid_o,
  output packet_sum_t           sum_o
);

  localparam int unsigned Parts = 8;
  localparam int unsigned PartWords = BeatBits / 16 / Parts;
  localparam int unsigned PlainOffset = 14;
  localparam int unsigned TaggedOffset = 18;
  localparam int unsigned LengthByte = 2;      // of the total length in an IPv4 header
  localparam int unsigned LeftWidth = 17;

  // A
  logic [LeftWidth-1:0] left_from, left_step, left_q;   // bytes of the frame from this beat on that count
  logic                 over, more_d, more_q;           // more: the whole beat counts
  logic [BeatBits-1:0]  beat_d, beat_a_q;
  logic                 valid_a_q, first_a_q, last_a_q;

  // B
  (* keep *) logic [7:0] row_full, row_ends, column_counts;   // kept apart for synthesis, which makes a long chain of them
  logic [BeatBytes-1:0] counts_q;
  logic [BeatBits-1:0]  beat_b_q;
  logic                 valid_b_q, first_b_q, last_b_q;

  // C
  logic [BeatBits-1:0]    counted;
  logic [Parts-1:0][17:0] part_d, part_q;
  logic                   valid_c_q, first_c_q, last_c_q;

  // D
  logic [1:0][19:0] half_d, half_q;
  logic             valid_d_q, first_d_q, last_d_q;

  // E
  logic [31:0] sum_q;
  logic        sum_valid_q;

  // One adder for both cases: what the first beat says and where the packet begins, or what was left and one beat less.
  assign over = !first_i && !more_q;

  always_comb begin
    beat_d = data_i;
    if (first_i) begin
      more_d    = tagged_i ? be16(data_i[8*(TaggedOffset+LengthByte)+:16]) >= 16'(BeatBytes - TaggedOffset) :
                             be16(data_i[8*(PlainOffset+LengthByte)+:16]) >= 16'(BeatBytes - PlainOffset);
      left_from = LeftWidth'(tagged_i ? be16(data_i[8*(TaggedOffset+LengthByte)+:16]) : be16(data_i[8*(PlainOffset+LengthByte)+:16]));
      left_step = tagged_i ? LeftWidth'(TaggedOffset) : LeftWidth'(PlainOffset);
      beat_d[8*PlainOffset-1:0] = '0;
      if (tagged_i) beat_d[8*TaggedOffset-1:8*PlainOffset] = '0;
    end else begin
      more_d    = left_q >= LeftWidth'(2 * BeatBytes);
      left_from = left_q;
      left_step = -LeftWidth'(BeatBytes);
    end
  end

  // Which bytes are before the end: a beat is eight rows of eight.
  always_comb begin
    for (int unsigned i = 0; i < 8; i++) begin
      row_full[i]      = more_q || left_q[5:3] > 3'(i);
      row_ends[i]      = left_q[5:3] == 3'(i);
      column_counts[i] = left_q[2:0] > 3'(i);
    end
  end

  always_comb begin
    for (int b = 0; b < BeatBytes; b++) counted[8*b+:8] = counts_q[b] ? beat_b_q[8*b+:8] : '0;
    part_d = '0;
    for (int p = 0; p < Parts; p++) begin
      for (int w = 0; w < PartWords; w++) part_d[p] += 18'(counted[16*(PartWords*p+w)+:16]);
    end
    half_d = '0;
    for (int p = 0; p < Parts; p++) half_d[p/(Parts/2)] += 20'(part_q[p]);
  end

  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      left_q    <= over ? '0 : left_from + left_step;
      more_q    <= more_d;
      beat_a_q  <= beat_d;
      first_a_q <= first_i;
      last_a_q  <= last_i;
    end
    if (valid_a_q) begin
      for (int b = 0; b < BeatBytes; b++) counts_q[b] <= row_full[b/8] || (row_ends[b/8] && column_counts[b%8]);
      beat_b_q  <= beat_a_q;
      first_b_q <= first_a_q;
      last_b_q  <= last_a_q;
    end
    if (valid_b_q) begin
      part_q    <= part_d;
      first_c_q <= first_b_q;
      last_c_q  <= last_b_q;
    end
    if (valid_c_q) begin
      half_q    <= half_d;
      first_d_q <= first_c_q;
      last_d_q  <= last_c_q;
    end
    if (valid_d_q) sum_q <= (first_d_q ? '0 : sum_q) + 32'(half_q[0]) + 32'(half_q[1]);
    if (rst_i) begin
      valid_a_q   <= 1'b0;
      valid_b_q   <= 1'b0;
      valid_c_q   <= 1'b0;
      valid_d_q   <= 1'b0;
      sum_valid_q <= 1'b0;
    end else begin
      valid_a_q   <= valid_i;
      valid_b_q   <= valid_a_q;
      valid_c_q   <= valid_b_q;
      valid_d_q   <= valid_c_q;
      sum_valid_q <= valid_d_q && last_d_q;
    end
  end

  assign sum_o       = 17'(sum_q[15:0]) + 17'(sum_q[31:16]);
  assign sum_valid_o = sum_valid_q;

endmodule
