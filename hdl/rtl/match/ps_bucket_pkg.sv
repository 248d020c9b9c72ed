// How long the look-up in a table of buckets takes, for those that line up with it.
package ps_bucket_pkg;
  import ps_ram_deep_pkg::*;

  // Cycles from a row's address to the row: memory, its output register, and what a deep memory needs besides.
  function automatic int unsigned row_cycles(input int unsigned rows_log2);
    row_cycles = latency(1 << rows_log2);
  endfunction

  // Cycles of ps_bucket_table: hash, row, compare in two steps, select.
  function automatic int unsigned bucket_cycles(input int unsigned rows_log2);
    bucket_cycles = 1 + row_cycles(rows_log2) + 3;
  endfunction

endpackage
