// Bench of ps_match: what is refused, and what it leaves as it was (docs/datapath.md, sections 2, 3, 5 to 7 and 9). Sources,
// half connections, clashes of keys, replies that overtake, tunnels that change, connections that begin anew, members that
// lose their flows, pairs that go, shares of the table. Prints PASS or stops.
module ps_match_admission_tb
  import ps_abi_pkg::*;
  import ps_types_pkg::*;
;

  `include "hdl/tb/ps_match_bench.svh"
  `include "hdl/tb/ps_match_services.svh"
  `include "hdl/tb/ps_match_sources.svh"
  `include "hdl/tb/ps_match_pairs.svh"
  `include "hdl/tb/ps_match_connections.svh"

  initial begin
    repeat (4) @(posedge clk);
    rst <= 0;
    @(posedge clk);
    while (clearing) @(posedge clk);
    program_tables();
    services();
    sources();
    $display("%0t: sources", $time);
    tunnel_fragments();
    $display("%0t: tunnel fragments", $time);
    egress();
    $display("%0t: egress", $time);
    full_queue();
    $display("%0t: full queue", $time);
    clashes();
    $display("%0t: clashes", $time);
    overtaking();
    $display("%0t: overtaking", $time);
    tunnels();
    $display("%0t: tunnels", $time);
    connections();
    $display("%0t: connections", $time);
    marked_sources();
    $display("%0t: marked sources", $time);
    dead_pairs();
    $display("%0t: dead pairs", $time);
    dead_beside_a_read();
    $display("%0t: dead pairs beside a read", $time);
    far_end_moves();
    $display("%0t: far end moves", $time);
    errors();
    $display("%0t: errors", $time);
    learn_policy();
    $display("%0t: learn policy", $time);
    shares();
    $display("%0t: shares", $time);
    $display("PASS ps_match_admission_tb: %0d checks", checks);
    $finish;
  end

  initial begin
    #4000000;
    $display("FAILED: time out");
    $fatal(1);
  end

endmodule
