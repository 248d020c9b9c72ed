// Records of the rings as they pass between the ring's units.
package ps_ring_pkg;

  // What is to be done for a command: one of these, or nothing, in which case it completes as it is.
  typedef struct packed {
    logic access;
    logic find;
    logic digest;
    logic fence;
  } kind_t;

  localparam int unsigned LimitWidth = $clog2(ps_abi_pkg::DigestEntriesMax);

  // A command, with what can be told of it without executing it.
  typedef struct packed {
    kind_t                 kind;
    logic                  write;
    logic [7:0]            status;     // if there is nothing to be done: Ok, or why it is refused
    logic [LimitWidth-1:0] limit;      // entries that a digest covers at most, 0 for DigestEntriesMax
    logic [3:0]            words;      // of an entry of the table
    logic                  irq;
    logic                  chained;
    logic [7:0]            table_id;
    logic [31:0]           index;
    logic [31:0]           cookie;
    logic [383:0]          data;
  } command_t;

  // A record for a ring but for its count and phase: a completion, or an event with its kind in `status`.
  typedef struct packed {
    logic         is_evt;
    logic         irq;
    logic [7:0]   status;
    logic [31:0]  cookie;
    logic [31:0]  index;
    logic [383:0] data;
  } record_t;

  // Position bits of a count, for a ring of 2^log2 records.
  function automatic logic [ps_abi_pkg::RingLog2Max-1:0] ring_mask(input logic [4:0] log2);
    for (int unsigned i = 0; i < ps_abi_pkg::RingLog2Max; i++) ring_mask[i] = i < 32'(log2);
  endfunction

endpackage
