// How long ps_ram_deep takes, for those that line up with it.
package ps_ram_deep_pkg;

  // Words of an UltraRAM.
  localparam int unsigned BankDepth = 4096;

  function automatic int unsigned banks(input int unsigned depth);
    banks = (depth + BankDepth - 1) / BankDepth;
  endfunction

  // Levels of multiplexers behind the banks, each of `fan` words to one.
  function automatic int unsigned levels(input int unsigned depth, input int unsigned fan = 4);
    levels = 0;
    while (fan ** levels < banks(depth)) levels++;
  endfunction

  // Cycles from re to rdata.
  function automatic int unsigned latency(input int unsigned depth, input int unsigned fan = 4);
    latency = 2 + levels(depth, fan);
  endfunction

endpackage
