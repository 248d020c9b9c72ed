// Types inside the stream part of the data path (ps_datapath and below), and its byte-order helpers.
//
// Beats carry byte 0 of the frame in data[7:0]; headers are built most significant byte first, as
// they are written on paper, and turned round once.

/* verilator lint_off UNUSEDPARAM */  // not every module uses every constant
package ps_stream_pkg;
  import ps_types_pkg::*;

  localparam int unsigned WindowBits = 8 * WindowBytes;
  localparam int unsigned WindowWords = WindowBytes / 2;
  localparam int unsigned PacketBeats = 512;        // beats the packet memory of a port holds
  localparam int unsigned BeatCycles = 2;           // from a read of it to the beat
  localparam int unsigned WindowDepth = 32;         // windows that wait at the entry, a port
  localparam int unsigned VerdictDepth = 128;       // packets of a port between entry and rewriter
  localparam int unsigned KeptBeats = ps_abi_pkg::FrameMaxBytes / BeatBytes;  // of a frame that is too long, and the last
  localparam int unsigned Sinks = 3;                // fabric, host, firmware
  localparam int unsigned SinkDepth = 32;           // beats of a source that wait for a sink
  localparam int unsigned CountWidth = 8;           // of the beats of a frame

  // What the parser gets of a frame: its first bytes, 0 beyond its end.
  typedef struct packed {
    src_e                  src;
    logic [7:0]            vif;
    logic [15:0]           len;
    logic                  oversize;
    logic                  runt;
    logic                  has_tag;  // 0x8100 at byte 12
    logic [WindowBits-1:0] data;
  } window_t;

  // One's complement sum, its carries not folded in, of words as they lie in a beat (ps_packet_sum).
  typedef logic [16:0] packet_sum_t;

  // What goes with a frame to the host (its vif, in the low byte) or to the firmware (trap_meta_t); constant over its beats.
  typedef logic [$bits(trap_meta_t)-1:0] side_t;

  typedef struct packed {
    side_t side;
    beat_t beat;
  } routed_beat_t;

  // How a frame comes out of the packet memory, in steps of one cycle: step k brings input beat k. Output beat k is taken
  // from input beats k-1 and k (`grow`) or k and k+1, `shift` words into the pair.
  typedef struct packed {
    logic                  drop;
    logic [Sinks-1:0]      dst;      // one-hot
    logic [CountWidth-1:0] steps;    // less one
    logic [CountWidth-1:0] outs;     // output beats, less one
    logic                  one_step;
    logic                  one_out;
    logic                  extra;    // the last step brings no beat: the frame grows by one
    logic                  grow;
    logic [4:0]            shift;
    logic [5:0]            tail;     // bytes of the last output beat, 0 for 64
  } frame_plan_t;

  // One step, from ps_steps to ps_realign
  typedef struct packed {
    logic             last;          // no other step of the frame follows
    logic             head;          // output beat 0
    logic             second;        // output beat 1
    logic             live;          // there is an output beat of this number
    logic             out_last;      // and it is the frame's last
    logic [Sinks-1:0] dst;
    logic             grow;
    logic [4:0]       shift;
    logic [5:0]       tail;
  } step_t;

  // What is laid over the first two output beats: word i where en[i].
  typedef struct packed {
    side_t                  side;
    logic [WindowWords-1:0] en;
    logic [WindowBits-1:0]  words;
  } overlay_t;

  // How many bytes of a beat count. As tkeep is contiguous from byte 0, bit k of their number is the parity of how many whole
  // 2^k bytes there are, which is three levels of logic where an adder or a search is six.
  function automatic logic [6:0] kept_bytes(input logic [BeatBytes-1:0] keep);
    kept_bytes = '0;
    for (int k = 0; k < 7; k++) begin
      for (int b = (1 << k) - 1; b < BeatBytes; b += 1 << k) kept_bytes[k] ^= keep[b];
    end
  endfunction

  // 16 and 32 bits as they lie in a beat, as numbers; and back.
  function automatic logic [15:0] be16(input logic [15:0] bytes);
    be16 = {bytes[7:0], bytes[15:8]};
  endfunction

  function automatic logic [31:0] be32(input logic [31:0] bytes);
    be32 = {bytes[7:0], bytes[15:8], bytes[23:16], bytes[31:24]};
  endfunction

endpackage
/* verilator lint_on UNUSEDPARAM */
