// One's complement sum of the IPv4 packet in each frame of a stream, for the checksums of UDP and GRE around it.
//
// Over the packet's bytes from its header to the total length that the header states, which stands in the first beat; the
// packet begins at byte 14, or 18 after a tag (0x8100). Bytes before it and beyond it do not count, nor do bytes beyond the
// frame, which must be 0. Whether there is an IPv4 packet at all is for the reader of the sum to know.
//
//   A  finds the packet's end in the first beat; takes the bytes before the packet out
//   B  takes the bytes beyond the end out; sums the beat to eight parts
//   C  adds the parts to the sum of the beats before
// Worked example: an untagged frame of 100 bytes, total length 82. Its packet ends at byte 96: beat 0 counts from byte 14,
// beat 1 up to byte 31 (96 - 64 = 32 bytes left), and the four bytes of padding do not.
// A packet begins at an even byte, so the words of beats are its words; of an odd length's last word only the first byte counts.
// Handshake:  none; one beat a cycle at most, frames one after another.
// Latency:    3 cycles from a frame's last beat to sum_valid_o, one pulse a frame.
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
  input  logic [BeatBits-1:0]   data_i,
  output logic                  sum_valid_o,
  output logic [15:0]           sum_o          // as a number: the first byte of a word is its high half
);

  localparam int unsigned Parts = 8;
  localparam int unsigned PartWords = BeatBits / 16 / Parts;
  localparam int unsigned PlainOffset = 14;
  localparam int unsigned TaggedOffset = 18;
  localparam int unsigned LengthByte = 2;      // of the total length in an IPv4 header
  localparam logic [15:0] EtherVlan = 16'h8100;
  localparam int unsigned LeftWidth = 17;

  // A
  logic                 has_tag;
  logic [LeftWidth-1:0] left_d, left_q;        // bytes of the frame from this beat on that count
  logic [BeatBits-1:0]  beat_d, beat_q;
  logic                 valid_a_q, first_a_q, last_a_q;

  // B
  logic [BeatBits-1:0]          counted;
  logic [Parts-1:0][17:0]       part_d, part_q;
  logic                         valid_b_q, first_b_q, last_b_q;

  // C
  logic [31:0] sum_d, sum_q;
  logic        sum_valid_q;
  logic [16:0] folded;

  assign has_tag = be16(data_i[8*12+:16]) == EtherVlan;

  always_comb begin
    beat_d = data_i;
    if (first_i) begin
      left_d = has_tag ? LeftWidth'(be16(data_i[8*(TaggedOffset+LengthByte)+:16])) + LeftWidth'(TaggedOffset) :
                        LeftWidth'(be16(data_i[8*(PlainOffset+LengthByte)+:16])) + LeftWidth'(PlainOffset);
      beat_d[8*PlainOffset-1:0] = '0;
      if (has_tag) beat_d[8*TaggedOffset-1:8*PlainOffset] = '0;
    end else begin
      left_d = left_q < LeftWidth'(BeatBytes) ? '0 : left_q - LeftWidth'(BeatBytes);
    end
  end

  always_comb begin
    for (int b = 0; b < BeatBytes; b++) begin
      counted[8*b+:8] = LeftWidth'(b) < left_q ? beat_q[8*b+:8] : '0;
    end
    part_d = '0;
    for (int p = 0; p < Parts; p++) begin
      for (int w = 0; w < PartWords; w++) part_d[p] += 18'(counted[16*(PartWords*p+w)+:16]);
    end
  end

  always_comb begin
    sum_d = first_b_q ? '0 : sum_q;
    for (int p = 0; p < Parts; p++) sum_d += 32'(part_q[p]);
  end

  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      left_q    <= left_d;
      beat_q    <= beat_d;
      first_a_q <= first_i;
      last_a_q  <= last_i;
    end
    if (valid_a_q) begin
      part_q    <= part_d;
      first_b_q <= first_a_q;
      last_b_q  <= last_a_q;
    end
    if (valid_b_q) sum_q <= sum_d;
    if (rst_i) begin
      valid_a_q   <= 1'b0;
      valid_b_q   <= 1'b0;
      sum_valid_q <= 1'b0;
    end else begin
      valid_a_q   <= valid_i;
      valid_b_q   <= valid_a_q;
      sum_valid_q <= valid_b_q && last_b_q;
    end
  end

  assign folded      = 17'(sum_q[15:0]) + 17'(sum_q[31:16]);
  assign sum_o       = be16(folded[15:0] + 16'(folded[16]));
  assign sum_valid_o = sum_valid_q;

endmodule
