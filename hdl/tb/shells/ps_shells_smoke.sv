// The whole card in each of its shells, from the shells' published ports: one model, so that the card is compiled once. Run
// by `cargo xtask rtl-test`; prints PASS or stops.
//
// Plus arguments: firmware=FILE (words for $readmemh); without it the soft cores are not waited for.
module ps_shells_smoke;

  localparam time Limit = 1_000_000_000;

  logic [2:0] done;

  ps_opennic_250mhz_smoke u_opennic_250mhz (
    .done_o(done[0])
  );

  ps_opennic_322mhz_smoke u_opennic_322mhz (
    .done_o(done[1])
  );

  ps_corundum_app_smoke u_corundum_app (
    .done_o(done[2])
  );

  initial begin
    fork
      wait (&done);
      #(Limit);
    join_any
    if (!(&done)) $fatal(1, "FAIL: hangs (done: %b)", done);
    $display("PASS");
    $finish;
  end

endmodule
