// What the parser's parts hand on to each other, and the numbers of protocols.

/* verilator lint_off UNUSEDPARAM */  // not every module uses every constant
package ps_parse_pkg;
  import ps_types_pkg::*;

  localparam int unsigned PacketBytes = 84;  // label, 60 bytes of IPv4, 20 of TCP

  localparam logic [7:0] ProtoIcmp = 8'd1;
  localparam logic [7:0] ProtoTcp = 8'd6;
  localparam logic [7:0] ProtoUdp = 8'd17;
  localparam logic [7:0] ProtoGre = 8'd47;
  localparam logic [7:0] ProtoSctp = 8'd132;

  // Of the frame as a whole
  typedef struct packed {
    src_e        src;
    logic [7:0]  vif;
    logic [15:0] len;
    logic        oversize;
    logic        runt;
    mac_t        dmac;
    logic        vlan_tagged;
  } frame_t;

  // Of what is around the packet
  typedef struct packed {
    frame_t      frame;
    logic        is_arp;
    logic        is_ip4;
    logic        is_tunnel;
    logic        outer_later;
    logic        outer_frag;
    logic        outer_udp;
    ip4_t        outer_sip;
    ip4_t        outer_dip;
    logic [15:0] outer_id;
    logic [6:0]  l3_off;
  } around_t;

  // What is wrong with an outer packet
  typedef struct packed {
    logic csum_bad;
    logic bad;
    logic sum_bad;
  } outer_faults_t;

  // Whether a one's complement sum, its few carries not folded in, is that of something right: 0xffff. With so few carries
  // no other sum folds to it.
  function automatic logic sums_to_ones(input logic [15:0] low, input logic [5:0] carries);
    sums_to_ones = 17'(low) + 17'(carries) == 17'h0ffff;
  endfunction

endpackage
/* verilator lint_on UNUSEDPARAM */
