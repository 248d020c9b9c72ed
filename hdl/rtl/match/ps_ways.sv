// Where section 6 leads a packet first, groups not resolved: by its label, its flow, a service, or the longer of two routes.
//
// In:          valid_i/ctx_i, every frame, with first_ip of it; of its flow first where its route is (way_i, a cycle after), then what it
//              is (flow_i, RouteAhead after, with map_bad_i).
// Latency:     RouteCycles to valid_o and all that goes with it; one frame every cycle. Of a frame that is not routed only ctx_o means
//              anything.
// Service:     service_valid_i/service_i ServiceAhead cycles before the packet; affinity_o ServiceCycles after it: the number under which the
//              listener's clients are kept, 0 if it is not found.
// Look-ups:    the VRF and the listener (ps_service); a route of the destination in the packet's own VRF, or, from the fabric, of the
//              source; from a vif another, in the VRF in which its flow sends translated, else by the egress way, if there is either.
//              An unusable entry that sends translated has asked in its own VRF: where that is not the egress way's, the packet would
//              leave by neither, and the entry is to go (early_o.dead).
// Stages:      0 keys | 8 service, first route, compared with what the second look-up is about to give | 9 second route; whichever
//              counts, chosen by registers
// Parity:      of the routes that count: early_o.broken; of VRF and listener where these count: way_o drops.
module ps_ways
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
  import ps_match_pkg::*;
  import ps_pair_pkg::*;
(
  input  logic        clk_i,
  input  logic        rst_i,
  input  logic        service_valid_i,
  input  service_ask_t service_i,
  output affinity_number_t affinity_o,
  input  logic        valid_i,
  input  context_t    ctx_i,
  input  ip4_t        first_ip_i,
  input  flow_way_t   way_i,
  input  pair_hit_t   flow_i,
  input  logic        map_bad_i,
  output logic        valid_o,
  output context_t    ctx_o,
  output pair_hit_t   flow_o,
  output way_t        way_o,
  output early_t      early_o,
  output check_ask_t  check_o,
  output parity_error_t [1:0] host_error_o,
  output parity_error_t [1:0] prefix_error_o,
  output parity_error_t [1:0] default_error_o,
  output parity_error_t vrf_error_o,
  output parity_error_t service_error_o,
  input  access_t     acc_i,
  input  logic [ServiceKeyBits-1:0] acc_wdata_i,
  output host_route_t host_rdata_o,
  output logic        host_acc_bad_o,
  output prefix_t     prefix_rdata_o,
  output logic        prefix_acc_bad_o,
  output vrf_t        vrf_rdata_o,
  output logic        vrf_acc_bad_o,
  output service_key_t service_rdata_o,
  output logic        service_acc_bad_o
);

  localparam int unsigned Flow  = RouteAhead;        // the flow stands
  localparam int unsigned First = LookCycles;        // the first route, and the service; a cycle later the second route

  // What of packet and flow it depends on.
  typedef struct packed {
    logic        fabric;
    logic        frag;
    logic        service_label;
    logic        direct;        // to the vif's own next hop
    logic        other;         // by that or its label, whatever is looked up
    logic        asks;          // a listener counts, if there is one
    logic        sends;         // translated
    logic        may_egress;
    logic        broken;        // the flow's mapping
    logic        dead;
    logic [15:0] nh;            // of label or vif
    logic [11:0] vrf;
    logic [11:0] second_vrf;
  } facts_t;

  // What becomes of what a route leads to.
  typedef enum logic [2:0] {
    Leads,
    Nowhere,
    IsFragment,
    Refused,
    NotServed,
    Broken
  } fate_e;

  typedef struct packed {
    fate_e       fate;
    logic [15:0] nh;
    logic        label_valid;
    logic [19:0] label;
  } choice_t;

  // What ps_service says.
  typedef struct packed {
    vrf_t             vrf;
    logic             vrf_bad;
    logic             hit;
    logic             bad;
    nh_id_t           nh;
    nh_id_t           here;
    affinity_number_t affinity;
  } service_found_t;

  // And of the packet.
  typedef struct packed {
    logic         drop;
    logic         trap;
    drop_reason_e reason;
    logic [15:0]  nh;
    logic         label_valid;
    logic [19:0]  label;
  } outcome_t;

  logic           routed, fabric;
  logic           direct_valid, look_flow_valid;
  context_t       direct_ctx;
  logic [First:1] valid_q;              // of packets that are routed
  facts_t         facts;
  facts_t         facts_q [First:Flow+1];
  // Cycles 1 to Flow: whether the second look-up was in a VRF of the entry's, and that is another than the egress way's.
  logic           egress1_q;
  logic [11:0]    egress_vrf1_q, second_q [2:Flow];
  logic [Flow:2]  elsewhere_q;
  // The look-ups.
  route_t         first8, second9;
  logic           unused_longer;
  logic           first_bad8, second_bad9;
  service_found_t found, found8;
  logic [ServiceCycles:1] service_q;
  logic           found_valid8;
  // The choice, and what it is made of, in cycle First and the next.
  facts_t         at;
  logic           key_broken, by_other, longer, by_second, far_service;
  choice_t        other, other_q, first_q;
  (* keep *) logic take_other_q, take_first_q, take_second_q;
  logic [11:0]    vrf_q, second_vrf_q;
  logic           egress_q, frag_q, second_counts_q;
  affinity_number_t affinity_q;
  early_t         early_q;
  check_ask_t     check_q;

  assign routed = valid_i && ctx_i.source.act == ActRoute;
  assign fabric = ctx_i.hdr.src == SrcFabric;

  ps_service u_service (
    .clk_i,
    .rst_i,
    .valid_i      (service_valid_i),
    .vrf_i        (service_i.vrf),
    .ask_i        (service_i.ask),
    .proto_i      (service_i.proto),
    .ip_i         (service_i.ip),
    .port_i       (service_i.port),
    .vrf_o        (found.vrf),
    .vrf_bad_o    (found.vrf_bad),
    .hit_o        (found.hit),
    .bad_o        (found.bad),
    .nh_o         (found.nh),
    .local_o      (found.here),
    .affinity_o   (found.affinity),
    .vrf_error_o,
    .key_error_o  (service_error_o),
    .acc_i,
    .acc_wdata_i,
    .vrf_rdata_o,
    .vrf_acc_bad_o,
    .key_rdata_o  (service_rdata_o),
    .key_acc_bad_o(service_acc_bad_o)
  );

  assign affinity_o = found.affinity;

  ps_delay #(
    .Width ($bits(service_found_t)),
    .Cycles(ServiceAhead)
  ) u_found (
    .clk_i,
    .rst_i,
    .valid_i(service_q[ServiceCycles]),
    .data_i (found),
    .valid_o(found_valid8),
    .data_o (found8)
  );

  ps_route u_first (
    .clk_i,
    .rst_i,
    .valid_i        (routed),
    .vrf_i          (ctx_i.source.vrf),
    .ip_i           (first_ip_i),
    .late_valid_i   (1'b0),
    .late_i         (1'b0),
    .late_vrf_i     ('0),
    .route_o        (first8),
    .bad_o          (first_bad8),
    .over_found_i   (1'b0),
    .over_len_i     ('0),
    .longer_o       (unused_longer),
    .host_error_o   (host_error_o[0]),
    .prefix_error_o (prefix_error_o[0]),
    .default_error_o(default_error_o[0]),
    .acc_i,
    .acc_wdata_i    (acc_wdata_i[PrefixBits-1:0]),
    .host_rdata_o,
    .host_acc_bad_o,
    .prefix_rdata_o,
    .prefix_acc_bad_o
  );

  // The other copy answers no reads.
  access_t     writes;
  host_route_t unused_host;
  prefix_t     unused_prefix;
  logic        unused_host_bad, unused_prefix_bad;

  always_comb begin
    writes    = acc_i;
    writes.re = '0;
  end

  ps_route #(
    .Late(1'b1)
  ) u_second (
    .clk_i,
    .rst_i,
    .valid_i        (routed && !fabric),
    .vrf_i          (ctx_i.source.egress_vrf),
    .ip_i           (ctx_i.hdr.dip),
    .late_valid_i   (egress1_q || way_i.sends),
    .late_i         (way_i.sends),
    .late_vrf_i     (way_i.dvrf),
    .route_o        (second9),
    .bad_o          (second_bad9),
    .over_found_i   (first8.found),
    .over_len_i     (first8.len),
    .longer_o       (longer),
    .host_error_o   (host_error_o[1]),
    .prefix_error_o (prefix_error_o[1]),
    .default_error_o(default_error_o[1]),
    .acc_i          (writes),
    .acc_wdata_i    (acc_wdata_i[PrefixBits-1:0]),
    .host_rdata_o   (unused_host),
    .host_acc_bad_o (unused_host_bad),
    .prefix_rdata_o (unused_prefix),
    .prefix_acc_bad_o(unused_prefix_bad)
  );

  // --- Packet and flow, beside the look-ups.
  ps_delay #(
    .Width ($bits(context_t)),
    .Cycles(Flow)
  ) u_direct_ctx (
    .clk_i,
    .rst_i,
    .valid_i,
    .data_i (ctx_i),
    .valid_o(direct_valid),
    .data_o (direct_ctx)
  );

  ps_delay #(
    .Width ($bits(context_t)),
    .Cycles(RouteCycles - Flow)
  ) u_look_ctx (
    .clk_i,
    .rst_i,
    .valid_i(direct_valid),
    .data_i (direct_ctx),
    .valid_o,
    .data_o (ctx_o)
  );

  ps_delay #(
    .Width ($bits(pair_hit_t)),
    .Cycles(RouteCycles - Flow)
  ) u_look_flow (
    .clk_i,
    .rst_i,
    .valid_i(direct_valid),
    .data_i (flow_i),
    .valid_o(look_flow_valid),
    .data_o (flow_o)
  );

  /* verilator lint_off UNUSEDSIGNAL */  // a few fields of each
  function automatic facts_t of_packet(input context_t ctx, input pair_hit_t flow, input logic bad, input logic elsewhere,
                                       input logic [11:0] second);
    logic to_vif;
    to_vif              = ctx.hdr.src == SrcFabric;
    of_packet.fabric    = to_vif;
    of_packet.frag      = ctx.hdr.frag;
    of_packet.service_label = ctx.source.ilm_service;
    of_packet.direct    = !to_vif && flow.usable && flow.hairpin && flow.tag.reverse;
    of_packet.sends     = !to_vif && flow.usable && flow.snat && !flow.hairpin;
    of_packet.other     = of_packet.fabric || of_packet.direct;
    of_packet.asks      = !of_packet.direct && !of_packet.sends && !ctx.hdr.frag;
    of_packet.may_egress = ctx.source.egress && !(flow.usable && (flow.tag.reverse || (flow.snat && !flow.hairpin)));
    of_packet.broken    = bad;
    of_packet.dead      = elsewhere && !flow.usable;
    of_packet.nh        = to_vif ? ctx.source.ilm_nh : ctx.source.key_nh;
    of_packet.vrf       = ctx.source.vrf;
    of_packet.second_vrf = second;
  endfunction

  function automatic choice_t choose(input route_t route, input logic frag);
    choose.nh          = route.nh;
    choose.label_valid = route.label_valid;
    choose.label       = route.label;
    if (!route.found)                                          choose.fate = Nowhere;
    else if (!(route.service inside {ServiceReject, ServiceDrop})) choose.fate = Leads;
    else if (frag)                                             choose.fate = IsFragment;
    else if (route.service == ServiceReject)                   choose.fate = Refused;
    else                                                       choose.fate = NotServed;
  endfunction
  /* verilator lint_on UNUSEDSIGNAL */

  function automatic outcome_t outcome(input choice_t of);
    outcome = '{drop: of.fate inside {Nowhere, IsFragment, NotServed, Broken}, trap: of.fate == Refused, reason: DropDiscard,
                nh: of.nh, label_valid: of.label_valid, label: of.label};
    unique case (of.fate)
      IsFragment: outcome.reason = DropFragments;
      NotServed:  outcome.reason = DropNoFipPortMap;
      Broken:     outcome.reason = DropTableParity;
      default: ;
    endcase
  endfunction

  assign facts = of_packet(direct_ctx, flow_i, map_bad_i, elsewhere_q[Flow], second_q[Flow]);

  // --- Cycle First: which of them counts.
  assign at          = facts_q[First];
  assign key_broken  = found8.vrf_bad || found8.bad;
  assign by_other    = at.other || (at.asks && (found8.hit || key_broken));
  assign by_second   = !by_other && (at.sends || (at.may_egress && longer));
  assign far_service = first8.found && first8.service inside {ServiceReject, ServiceDrop} && !at.service_label;

  // Without a route: by the label, the vif's own next hop, a listener.
  always_comb begin
    other = '{fate: Leads, nh: at.nh, label_valid: 1'b0, label: '0};
    if (at.fabric) begin
      if (at.service_label) begin
        other.nh = found8.here;
        if (at.frag)                               other.fate = IsFragment;
        else if (key_broken)                       other.fate = Broken;
        else if (!found8.hit || found8.here == '0)        other.fate = NotServed;
      end
    end else if (!at.direct) begin
      other.nh = found8.nh;
      if (key_broken) other.fate = Broken;
    end
  end

  always_ff @(posedge clk_i) begin
    valid_q     <= rst_i ? '0 : {valid_q[First-1:1], routed};
    service_q   <= rst_i ? '0 : {service_q[ServiceCycles-1:1], service_valid_i};
    elsewhere_q <= rst_i ? '0 : {elsewhere_q[Flow-1:2], valid_q[1] && egress1_q && way_i.sends && way_i.dvrf != egress_vrf1_q};
    if (routed) begin
      egress1_q     <= ctx_i.source.egress && !fabric;
      egress_vrf1_q <= ctx_i.source.egress_vrf;
    end
    if (valid_q[1]) second_q[2] <= way_i.sends ? way_i.dvrf : egress_vrf1_q;
    for (int unsigned i = 3; i <= Flow; i++) if (valid_q[i-1]) second_q[i] <= second_q[i-1];
    if (valid_q[Flow]) facts_q[Flow+1] <= facts;
    for (int unsigned i = Flow + 2; i <= First; i++) if (valid_q[i-1]) facts_q[i] <= facts_q[i-1];
    if (valid_q[First]) begin
      take_other_q  <= by_other;
      take_second_q <= by_second;
      take_first_q  <= !by_other && !by_second;
      other_q       <= other;
      first_q       <= choose(first8, at.frag);
      frag_q        <= at.frag;
      vrf_q         <= at.vrf;
      second_vrf_q  <= at.second_vrf;
      early_q.broken  <= at.broken || (first_bad8 && (at.fabric || (!by_other && !at.sends)));
      // A host route is longer than whatever the second look-up may have met, or as long.
      second_counts_q <= !by_other && (at.sends || (at.may_egress && !first8.len[5]));
      early_q.dead        <= at.dead;
      early_q.far_service <= far_service;
      early_q.far_nh      <= !first8.found ? '0 : !far_service ? first8.nh : found8.hit && !key_broken ? found8.nh : '0;
      check_q <= '{applies: at.fabric, vrf_bad: found8.vrf_bad, check: found8.vrf.source_check, found: first8.found,
                   sources: first8.sources, outer_sip: '0};
      egress_q   <= by_second && !at.sends;
      affinity_q <= at.fabric || at.direct || !at.asks ? '0 : found8.affinity;
    end
  end

  // --- The next: it is taken.
  // Each decoded before, for synthesis: of what is taken it would be a level more.
  choice_t  second;
  outcome_t taken;

  assign second = choose(second9, frag_q);
  assign taken  = (take_other_q ? outcome(other_q) : '0) | (take_first_q ? outcome(first_q) : '0) |
                  (take_second_q ? outcome(second) : '0);

  always_comb begin
    way_o = '{drop: taken.drop, trap: taken.trap, reason: taken.reason, nh: taken.nh, label_valid: taken.label_valid,
              label: taken.label, vrf: take_second_q ? second_vrf_q : vrf_q, egress: egress_q, affinity: affinity_q};
    check_o           = check_q;
    check_o.outer_sip = ctx_o.hdr.outer_sip;
  end

  always_comb begin
    early_o        = early_q;
    early_o.broken = early_q.broken || (second_counts_q && second_bad9);
  end

  logic unused_bits;
  assign unused_bits = ^{unused_host, unused_prefix, unused_host_bad, unused_prefix_bad, unused_longer, look_flow_valid, found8.vrf, service_i};

`ifndef SYNTHESIS
  initial assert (ServiceCycles == LookCycles && RouteCycles == First + 1 && Flow > 2 && Flow < First)
    else $fatal(1, "ps_ways: its stages are not RouteCycles");
  always @(posedge clk_i) if (!rst_i && valid_q[First]) a_service : assert (found_valid8);
`endif

endmodule
