// Bench of ps_match: clients that are kept at their members (docs/datapath.md, section 6, step 2, and 9.7), until their time is over or their
// member has gone; by every address of a service; renewed by connections and not by packets; deleted, spoilt. Prints PASS or stops.
module ps_match_affinity_tb
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
;

  `include "hdl/tb/ps_match_bench.svh"
  `include "hdl/tb/ps_match_services.svh"

  localparam affinity_number_t Number  = 16'h1234;
  localparam affinity_time_t   Timeout = 20'd9;

  // The group of `services`, chosen by the client's address alone; slot 0 has label 50, slot 1 label 51.
  task automatic put_kept(input affinity_time_t timeout, input slot_count_t slots = 2, input slot_count_t live = 2);
    put(TableNextHop, 21, 384'(next_hop_t'{valid: 1, kind: NhComposite, base: 300, slots: slots, live: live, hash_fields: 5'h2,
                                           sip: 32'(timeout), default: '0}));
  endtask

  // A member that came to its slot when another had gone.
  task automatic put_second(input int at, input logic slot);
    put(TableEcmp, 32'(300 + at), 384'(ecmp_slot_t'{valid: 1, nh: slot ? 14 : 12, label: slot ? 51 : 50, slot: slot_id_t'(slot),
                                                    generation: 8'd2, default: '0}));
  endtask

  task automatic units(input int n);
    skip <= 64'(n) << AffinityUnitLog2;
    @(posedge clk);
    skip <= 0;
    repeat (20) @(posedge clk);
  endtask

  function automatic affinity_time_t now();
    now = card_time[AffinityUnitLog2 +: AffinityTimeBits];
  endfunction

  logic [15:0] port = 16'd20000;

  // A new connection, to this member.
  task automatic begins(input logic slot, input string what, input logic [31:0] service = Group);
    hdr_t h = to_service(6, port, service);
    h.tcp_syn = 1;
    port++;
    expect_to(h, 20'd50 + 20'(slot), what);
  endtask

  function automatic affinity_addr_t where(input logic [31:0] client, input affinity_number_t number, input logic way);
    where = {way, affinity_row(client_hash(client, hash_key), key_hash(128'(number)), 32'(way))};
  endfunction

  task automatic expect_client(input logic valid, input logic slot, input affinity_time_t last, input string what,
                               input generation_t generation = 1, input affinity_time_t timeout = Timeout);
    logic [383:0] value;
    affinity_t    entry;
    get(TableAffinity, 32'(where(Client, Number, 0)), value);
    entry = affinity_t'(value[AffinityBits-1:0]);
    if (valid) begin
      check(entry == '{valid: 1, number: Number, client: Client, slot: slot_id_t'(slot), generation: generation, last: last, timeout: timeout},
            $sformatf("%s: %h", what, entry));
    end else begin
      check(value == '0, $sformatf("%s: %h", what, entry));
    end
    check(known_client[where(Client, Number, 0)] == valid, {what, ": marked"});
    get(TableAffinity, 32'(where(Client, Number, 1)), value);
    check(value == '0 && !known_client[where(Client, Number, 1)], {what, ": the other way"});
  endtask

  int learned, evicted;

  task automatic expect_learned(input int n, input string what);
    int is;
    counter(CounterAffinityLearned, is);
    check(is == learned + n, $sformatf("%s: %0d learned", what, is - learned));
    learned = is;
    counter(CounterAffinityEvicted, is);
    check(is == evicted, {what, ": nobody gives way"});
  endtask

  logic           hashed;      // slot to which the client's address leads
  affinity_time_t at;
  hdr_t           h, old;
  verdict_t       v, vs[$];
  flow_t          flow;
  cfg_rsp_t       rsp;
  logic [31:0]    count0;

  initial begin
    repeat (4) @(posedge clk);
    rst <= 0;
    @(posedge clk);
    while (clearing) @(posedge clk);
    hash_key = {6{32'h9d2c5681}};
    clear_all();
    program_tables();
    services();
    put_kept(Timeout);

    // Of no number, or in a group without a time-out, nobody is kept.
    h = to_service(6, 16'd1000, Group);
    h.tcp_syn = 1;
    pass(h, v);
    hashed = v.label == 51;
    old    = h;
    put_service(6, Group, Service, 21, 0, Number);
    put_kept(0);
    begins(hashed, "no time-out");
    put_kept(Timeout);
    put_service(17, Group, Service, 21, 0, 0);
    expect_to(to_service(17, 16'd1000, Group), 20'd50 + 20'(hashed), "no number");
    expect_learned(0, "nobody is kept");
    expect_client(0, 0, 0, "nobody is kept");

    // A client goes where it was when its own member takes nobody, and stays there when it does again.
    close_member(hashed, 0);
    at = now();
    begins(!hashed, "its member drains");
    expect_learned(1, "a connection");
    expect_client(1, !hashed, at, "a connection");
    put_group(2);
    put_kept(Timeout);
    begins(!hashed, "a client stays");
    expect_to(to_service(17, 16'd1001, Group), 20'd50 + 20'(hashed), "by its address alone");
    expect_learned(0, "a client that is there");
    old.tcp_syn = 0;
    old.tcp_ack = 1;
    expect_to(old, 20'd50 + 20'(hashed), "a connection stays where it is");
    expect_flow(key_of(10, to_service(6, port - 16'd1, Group)), 1, flow, "the flow of a client that stays");
    check(flow.ecmp_valid && flow.ecmp_slot == slot_id_t'(!hashed) && flow.ecmp_generation == 1, "it is pinned there");

    // By another address with the same number, and not by another number.
    put_service(6, Two, Service, 21, 0, Number);
    begins(!hashed, "another address of the service", Two);
    put_service(6, Two, Service, 21, 0, Number + 1);
    begins(hashed, "another service", Two);
    expect_learned(1, "another service");

    // Without a time-out it is as if nobody had been kept, at once.
    put_kept(0);
    begins(hashed, "without a time-out");
    put_kept(Timeout);
    expect_client(1, !hashed, at, "without a time-out");
    begins(!hashed, "the client still");

    // What comes from the fabric by a floating IP's label is not kept, whatever group it goes through.
    put(TableNextHop, 22, 384'(next_hop_t'{valid: 1, kind: NhComposite, base: 320, slots: 1, live: 1, hash_fields: 5'h2, sip: 32'(Timeout),
                                           default: '0}));
    put_service(6, One, Service, 22, 22, Number);
    put(TableIlm, 42, 384'(ilm_t'{valid: 1, nh: 11, key_nh: 11, vrf: 1, service: 1}));
    h = by_tunnel(packet(0, 6, Remote, One, 16'd1002, Service), 42, NodeB);
    h.tcp_syn = 1;
    pass(h, v);
    check(to_pod(v), "from the fabric");
    expect_flow(key_of(11, h), 1, flow, "the flow from the fabric");
    check(flow.ecmp_valid, "it went through the group");
    expect_learned(0, "nobody else is kept");

    // Time: renewed by a connection, not by its packets; over after `Timeout` units.
    units(int'(Timeout));
    at = now();
    begins(!hashed, "in time");
    expect_client(1, !hashed, at, "renewed");
    h = to_service(6, port - 16'd1, Group);
    h.tcp_ack = 1;
    units(3);
    expect_to(h, 20'd50 + 20'(!hashed), "a packet of it");
    expect_client(1, !hashed, at, "not renewed");
    units(int'(Timeout) - 3);
    put_kept(Timeout + 1);
    begins(!hashed, "in time again");
    expect_client(1, !hashed, now(), "renewed with another time-out", 1, Timeout + 1);
    // Too late it is sent by its address and the time: in every second unit anywhere else.
    units(int'(Timeout) + 2);
    put_kept(Timeout);
    for (int late = 0; late < 2; late++) begin
      begins(hashed ^ now()[0], "too late");
      expect_client(1, hashed ^ now()[0], now(), "too late");
      expect_learned(1, "too late");
      expect_to(to_service(17, 16'd1002 + 16'(late), Group), 20'd50 + 20'(hashed), "by its address alone at any time");
      units(int'(Timeout) + 2);
    end
    if (now()[0]) units(1);
    begins(hashed, "too late");
    expect_learned(1, "too late");
    expect_client(1, hashed, now(), "too late");
    // Round its counter.
    units((1 << AffinityTimeBits) - int'(now()) - 3);
    close_member(hashed, 0);
    put_kept(Timeout);
    begins(!hashed, "before time goes round");
    expect_learned(1, "before time goes round");
    put_group(2);
    put_kept(Timeout);
    units(5);
    check(now() == 2 || now() == 3, "time has gone round");
    // From here on the client is sent by its address as in the beginning.
    if (now()[0]) units(1);
    begins(!hashed, "after time has gone round");
    expect_learned(0, "after time has gone round");

    // A member that drains, or is another by now: the list's, and from then on that one.
    close_member(!hashed, 0);
    begins(hashed, "its member drains");
    put_group(2);
    put_kept(Timeout);
    begins(hashed, "and stays where it went");
    put(TableEcmp, 300 + 32'(hashed), 384'(ecmp_slot_t'{valid: 1, nh: hashed ? 14 : 12, label: hashed ? 51 : 50,
                                                        slot: slot_id_t'(hashed), generation: 8'd2, default: '0}));
    put_member(2, !hashed);
    put_member(3, !hashed);
    begins(!hashed, "another member in its slot");
    put_group(2);
    put_kept(Timeout);
    begins(!hashed, "and stays there");
    // A slot that the group has no more: by its address.
    if (hashed) begin
      put_kept(Timeout, 2);
    end else begin
      put_kept(Timeout, 1, 1);
      begins(0, "a slot that is not there");
      expect_client(1, 0, now(), "a slot that is not there");
      put_kept(Timeout);
    end
    expect_learned(0, "one client");

    // A connection whose member goes takes its client with it, though it is none that begins.
    begins(hashed, "a slot that comes back");
    h = to_service(6, port - 16'd1, Group);
    h.tcp_ack = 1;
    put(TableAffinity, 32'(where(Client, Number, 0)), '0);
    put_member(32'(hashed), hashed, 1);
    expect_to(h, 20'd50 + 20'(hashed), "a connection of a member that drains");
    expect_client(0, 0, 0, "a packet keeps nobody");
    put(TableEcmp, 300 + 32'(hashed), '0);
    put_member(2, !hashed);
    put_member(3, !hashed);
    expect_to(h, 20'd50 + 20'(!hashed), "a connection whose member goes");
    expect_learned(1, "a connection whose member goes");
    expect_client(1, !hashed, now(), "a connection whose member goes");
    expect_to(h, 20'd50 + 20'(!hashed), "it is pinned");
    expect_learned(0, "it is pinned");

    // An entry that is deleted; one that is spoilt.
    close_member(hashed, 0);
    put_kept(Timeout);
    begins(!hashed, "once more");
    put_group(2);
    put_kept(Timeout);
    access(1, TableAffinity, 32'(where(Client, Number, 0)), 384'd1, rsp);
    check(rsp.status == StNotPermitted, "only zeros");
    begins(!hashed, "it is there");
    put(TableAffinity, 32'(where(Client, Number, 0)), '0);
    expect_client(0, 0, 0, "deleted");
    begins(hashed, "deleted");
    expect_learned(1, "deleted");
    close_member(hashed, 0);
    put_kept(Timeout);
    begins(!hashed, "not by one that drains");
    put_group(2);
    put_kept(Timeout);
    inject <= 1;
    @(posedge clk);
    put(TableAffinity, 32'(where(Client, Number, 0)), '0);
    inject <= 0;
    count0 = parity_errors;
    access(0, TableAffinity, 32'(where(Client, Number, 0)), '0, rsp);
    check(rsp.status == StParity, "a spoilt entry is read");
    repeat (8) @(posedge clk);
    check(parity_errors == count0 + 1, "a read that is told of");
    begins(hashed, "spoilt");
    repeat (8) @(posedge clk);
    check(parity_errors == count0 + 3 && parity_last == {TableAffinity, 24'(where(Client, Number, 0))}, "by the look-up, and by who takes its place");
    expect_learned(1, "spoilt");
    expect_client(1, hashed, now(), "mended");

    // Back to back: a client that is kept, one that is not, a packet of no service.
    close_member(hashed, 0);
    put_kept(Timeout);
    begins(!hashed, "once more");
    put_group(2);
    put_kept(Timeout);
    begin
      hdr_t     all[$];
      logic [19:0] want[$];
      for (int i = 0; i < 30; i++) begin
        unique case (i % 3)
          0: h = to_service(6, port, Group);
          1: h = to_service(17, port, Group);
          default: h = packet(3, 17, Client, 32'h0a2f0102, port, 6000);
        endcase
        h.tcp_syn = i % 3 == 0;
        port++;
        all.push_back(h);
        want.push_back(i % 3 == 0 ? 20'd50 + 20'(!hashed) : i % 3 == 1 ? 20'd50 + 20'(hashed) : 20'd30);
      end
      burst(all, vs, 1);
      for (int i = 0; i < 30; i++) check(vs[i].dst == DstFabric && vs[i].label == want[i], $sformatf("back to back: %0d: %0d", i, vs[i].label));
    end
    expect_learned(0, "back to back");

    // Nothing is left by a clearing.
    clear_all();
    program_tables();
    services();
    put_service(6, Group, Service, 21, 0, Number);
    put_kept(Timeout);
    learned = 0;
    expect_client(0, 0, 0, "cleared");
    begins(hashed, "cleared");
    expect_learned(1, "cleared");

    // A slot's second member keeps the clients that it has got, and no others.
    close_member(hashed, 0);
    put_second(32'(!hashed), !hashed);
    put_second(2, !hashed);
    put_second(3, !hashed);
    put_kept(Timeout);
    begins(!hashed, "the second member of a slot");
    expect_client(1, !hashed, now(), "the second member of a slot", 2);
    put_second(32'(!hashed), !hashed);
    put_member(32'(hashed), hashed);
    put_member(2, hashed);
    put_member(3, hashed);
    begins(!hashed, "it keeps its client");
    expect_client(1, !hashed, now(), "it keeps its client", 2);
    put_member(32'(!hashed), !hashed);
    begins(hashed, "a client of another member");
    $display("PASS ps_match_affinity_tb: %0d checks", checks);
    $finish;
  end

  initial begin
    #4000000;
    $display("FAILED: time out");
    $fatal(1);
  end

endmodule
