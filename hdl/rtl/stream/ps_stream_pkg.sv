// Types inside the stream part of the data path (ps_datapath and below), and its byte-order helpers.
//
// Beats carry byte 0 of the frame in data[7:0]; headers are built most significant byte first, as
// they are written on paper, and turned round once.

/* verilator lint_off UNUSEDPARAM */  // not every module uses every constant
package ps_stream_pkg;
  import ps_types_pkg::*;

  localparam int unsigned WindowBits = 8 * WindowBytes;
  localparam int unsigned HeaderBits = 8 * 46;      // the longest header put in front (MPLSoUDP)
  localparam int unsigned PacketBeats = 512;        // beats an ingress FIFO holds
  localparam int unsigned WindowDepth = 16;         // windows that wait for the arbiter, a port
  localparam int unsigned VerdictDepth = 64;        // packets of a port between entry and rewriter

  // A beat in the ingress FIFO. Where the frame ends within the last beat is told by its length.
  typedef struct packed {
    logic         last;
    logic [511:0] data;
  } raw_beat_t;

  // What the parser gets of a frame: its first bytes, 0 beyond its end.
  typedef struct packed {
    src_e                  src;
    logic [7:0]            vif;
    logic [15:0]           len;
    logic                  oversize;
    logic                  runt;
    logic [15:0]           sum;      // ps_packet_sum's; 0 from the host
    logic [WindowBits-1:0] data;
  } window_t;

  // Where a frame goes; constant over its beats.
  typedef struct packed {
    dst_e       dst;
    logic [7:0] out_vif;
    trap_meta_t meta;
  } route_t;

  typedef struct packed {
    route_t route;
    beat_t  beat;
  } routed_beat_t;

  // What the realigner does to a frame. Output beat k is taken from input beats k-1 and k (`grow`) or k and k+1,
  // `shift` bytes into the pair; then `header` lies over the first bytes of beat 0.
  typedef struct packed {
    route_t                route;
    logic                  raw;
    encap_e                encap;
    logic                  grow;
    logic [5:0]            shift;
    logic [15:0]           out_len;
    logic [HeaderBits-1:0] header;
  } frame_plan_t;

  // A frame's plan with the edits of its window: word i of the frame becomes edit[16*i +: 16] where edit_en[i].
  typedef struct packed {
    logic                    drop;
    logic [WindowBits/16-1:0] edit_en;
    logic [WindowBits-1:0]   edit;
    frame_plan_t             frame;
  } plan_t;

  // 16 and 32 bits as they lie in a beat, as numbers; and back.
  function automatic logic [15:0] be16(input logic [15:0] bytes);
    be16 = {bytes[7:0], bytes[15:8]};
  endfunction

  function automatic logic [31:0] be32(input logic [31:0] bytes);
    be32 = {bytes[7:0], bytes[15:8], bytes[23:16], bytes[31:24]};
  endfunction

endpackage
/* verilator lint_on UNUSEDPARAM */
