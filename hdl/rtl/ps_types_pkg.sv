// Types that pass between the blocks of the data path.
//
// A packet is three things in flight: its beats, which wait in the ingress FIFO of its port; its parsed
// header (hdr_t), which runs through the match-action core; and the core's verdict (verdict_t), which
// tells the rewriter of the port what to do with the waiting beats. Both records carry `src`, and
// both are in the order of arrival per port.

/* verilator lint_off UNUSEDPARAM */  // not every module uses every constant
package ps_types_pkg;

  localparam int unsigned BeatBytes = 64;
  localparam int unsigned BeatBits = 512;
  localparam int unsigned WindowBytes = 128;  // what the parser sees of a frame

  typedef logic [47:0] mac_t;
  typedef logic [31:0] ip4_t;

  // One beat of a frame; byte 0 in data[7:0], keep contiguous and full but on the last beat.
  typedef struct packed {
    logic         last;
    logic [63:0]  keep;
    logic [511:0] data;
  } beat_t;

  typedef enum logic {
    SrcFabric = 1'b0,
    SrcHost   = 1'b1
  } src_e;

  // Parsed header: what docs/datapath.md sections 1 to 4 need, without any table. Fields of a layer
  // that the frame does not have are 0. Multi-byte fields are in host order (as numbers).
  typedef struct packed {
    src_e        src;
    logic [7:0]  vif;            // ingress vif; 0 from the fabric
    logic [15:0] frame_len;      // bytes
    logic        oversize;       // longer than FrameMaxBytes: only drop
    logic        runt;           // shorter than 14 bytes: only drop
    // Layer 2
    mac_t        dmac;
    logic        vlan_tagged;    // an 802.1Q tag whose VLAN identifier is not 0
    logic        is_arp;
    logic        is_ip4;         // EtherType 0x0800 after at most one tag
    // Fabric: candidate tunnel packet (section 3), first fragments included; outer_dip is compared by the core
    logic        is_tunnel;
    logic        outer_later;    // later fragment of UDP or GRE: a tunnel packet's if its first one was
    logic        outer_frag;     // either kind of fragment
    logic        outer_udp;      // else GRE
    ip4_t        outer_sip;      // also of a later fragment
    ip4_t        outer_dip;
    logic [15:0] outer_id;
    logic        outer_csum_bad; // 1: Checksum
    logic        outer_bad;      // 3 and 4: InvalidPacket
    logic        outer_sum_bad;  // 5: Checksum
    logic [19:0] label;
    logic        bos;
    logic [7:0]  mpls_ttl;
    logic        inner_not_ip4;  // nibble after the label is not 4 (or frame ends there: 0)
    // IPv4 header at l3_off (section 4)
    logic [6:0]  l3_off;         // bytes from the start of the frame; even
    logic        ip_bad;         // InvalidPacket
    logic        ip_csum_bad;
    logic [3:0]  ihl;            // 32-bit words
    logic [15:0] ip_len;         // total length
    logic [15:0] ip_id;
    logic [7:0]  ttl;
    logic [7:0]  proto;          // the packet's own
    logic [15:0] ip_csum;
    ip4_t        sip;            // the packet's own
    ip4_t        dip;
    logic        frag;
    // Layer 4
    logic        l4_short;       // InvalidPacket
    logic        icmp_err;       // ICMP error with a usable embedded packet
    logic        icmp_echo;
    logic [7:0]  key_proto;      // key fields: turned round for an ICMP error, ports 0 for a fragment
    ip4_t        key_sip;
    ip4_t        key_dip;
    logic [15:0] key_sport;
    logic [15:0] key_dport;
    logic [15:0] l4_csum;        // TCP, UDP or ICMP checksum as found
    logic [15:0] emb_ip_csum;    // ICMP error: embedded IPv4 header checksum
    logic        emb_l4_csum_en; // ICMP error: an embedded checksum to keep right (UDP and not 0, TCP and there)
    logic [15:0] emb_l4_csum;    // ICMP error: that checksum, as found (else 0)
    logic        tcp_syn;
    logic        tcp_fin;
    logic        tcp_rst;
    logic        tcp_ack;
  } hdr_t;

  typedef enum logic [1:0] {
    DstDrop   = 2'd0,
    DstFabric = 2'd1,
    DstHost   = 2'd2,
    DstFw     = 2'd3
  } dst_e;

  typedef enum logic [1:0] {
    EncapL2  = 2'd0,             // 14 bytes of Ethernet
    EncapUdp = 2'd1,             // 46 bytes: Ethernet, IPv4, UDP, MPLS
    EncapGre = 2'd2              // 42 bytes: Ethernet, IPv4, GRE, MPLS
  } encap_e;

  // What to do with a packet. With `raw` the frame leaves unchanged (frame_len bytes). Otherwise
  // strip bytes are taken off the front, the header of `encap` is put there, ip_len bytes of the IPv4
  // packet follow, edited as the fields below say, and padding is cut off. Edits are 16-bit words at even
  // offsets, so that none straddles a beat.
  typedef struct packed {
    src_e        src;
    dst_e        dst;
    logic [7:0]  out_vif;        // DstHost
    logic [7:0]  in_vif;         // DstFw: metadata
    logic [7:0]  trap_reason;    // DstFw: metadata
    logic        raw;
    logic [15:0] frame_len;      // of the frame as it came
    logic [6:0]  strip;          // = l3_off
    logic [15:0] ip_len;
    encap_e      encap;
    mac_t        dmac;
    mac_t        smac;
    ip4_t        outer_sip;
    ip4_t        outer_dip;
    logic [15:0] outer_id;
    logic [15:0] entropy;        // outer UDP source port
    logic [19:0] label;
    logic [7:0]  mpls_ttl;
    // Edits of the packet's own IPv4 header
    logic [3:0]  ihl;
    logic [15:0] ttl_proto;      // the word at byte 8, always written
    logic [15:0] ip_csum;        // always written
    logic        sip_en;
    ip4_t        sip;
    logic        dip_en;
    ip4_t        dip;
    // Edits of layer 4 (at ihl * 4)
    logic        sport_en;       // word 0
    logic [15:0] sport;
    logic        dport_en;       // word 1
    logic [15:0] dport;
    logic        l4_csum_en;
    logic [3:0]  l4_csum_word;   // TCP 8, UDP 3, ICMP 1
    logic [15:0] l4_csum;
    // Edits of a packet embedded in an ICMP error (IPv4 header at ihl * 4 + 8, its layer 4 at + 28)
    logic        emb_en;         // csum, sip and dip below are written
    logic [15:0] emb_ip_csum;
    ip4_t        emb_sip;
    ip4_t        emb_dip;
    logic        emb_sport_en;
    logic [15:0] emb_sport;
    logic        emb_dport_en;
    logic [15:0] emb_dport;
    logic        emb_l4_csum_en;
    logic [3:0]  emb_l4_csum_word;  // TCP 8, UDP 3
    logic [15:0] emb_l4_csum;
  } verdict_t;

  // Access of the command engine to one table entry. `req` is held with `valid` until `done` pulses.
  typedef struct packed {
    logic         write;
    logic [7:0]   table_id;
    logic [31:0]  index;
    logic [383:0] wdata;
  } cfg_req_t;

  typedef struct packed {
    logic         done;          // one cycle
    logic [7:0]   status;        // ps_abi_pkg::St*
    logic [383:0] rdata;         // read: the entry
  } cfg_rsp_t;

  // How long pairs of flow entries may rest (section 9.4), in units of 2^16 cycles; 0: for ever.
  typedef struct packed {
    logic        used;
    logic [7:0]  proto;
    logic [15:0] port;
  } age_port_t;

  typedef struct packed {
    logic [7:0][31:0] by_port;   // of age_port_t of that number
    logic [7:0][31:0] states;
  } age_times_t;

  // Which pairs give way in a table that fills (section 9.5).
  typedef struct packed {
    logic [1:0]  level;          // from which pressure on; 0: never
    logic        yields;         // at the highest pressure at any time
    logic [28:0] rest;           // else after so many units of 2^16 cycles
  } keep_t;

  typedef struct packed {
    keep_t            plain;     // besides, of pairs that are plain
    keep_t [7:0]      states;
    logic [2:0][31:0] above;     // entries in use above which there is pressure 1, 2 and 3; 0: never
  } evictions_t;

  // Which events of flows the host wants (section 9.8).
  typedef struct packed {
    logic        enable;         // the event ring runs
    logic [31:0] kinds;          // a bit each
    logic [3:0]  sample;         // one pair in 2^sample
  } event_choice_t;

  // A ring as the host has set it up. `start` pulses when the host enables it.
  typedef struct packed {
    logic        enable;
    logic        start;
    logic [63:0] base;           // command ring, or event ring
    logic [63:0] cpl_base;       // completion ring (command ring only)
    logic [4:0]  log2;           // records
    logic [31:0] count;          // CMD_PRODUCER, or EVT_CONSUMER
  } ring_cfg_t;

  // Metadata of a frame on its way to the firmware.
  typedef struct packed {
    logic [7:0]  reason;
    logic [7:0]  vif;
    logic [15:0] bytes;
  } trap_meta_t;

  // What is known of the firmware's last death.
  typedef struct packed {
    logic [31:0] deaths;     // since power-on
    logic [31:0] status;
    logic [31:0] info;
    logic [31:0] pc;
    logic [63:0] card_time;
  } fw_death_t;

  // An entry of the firmware's trace.
  typedef struct packed {
    logic [63:0] card_time;
    logic [31:0] what;       // FwTrace* in 15..0, detail in 31..16
    logic [31:0] arg;
  } fw_trace_t;

  // What the host sees of the firmware.
  typedef struct packed {
    logic [31:0] status;
    logic [31:0] info;
    logic [31:0] version;
    logic [31:0] heartbeat;
    logic [31:0] boot;
    logic [15:0] boot_cause;
    logic [31:0] rx_lost;
    fw_death_t   death;
    logic [31:0] trace_count;
    fw_trace_t   trace;
  } fw_view_t;

  // What the host asks of the firmware, but for its mailbox. Pulses.
  typedef struct packed {
    logic        restart;
    logic        rollback;
    logic        trace_valid;
    logic [31:0] trace_at;
  } fw_ask_t;

endpackage
/* verilator lint_on UNUSEDPARAM */
