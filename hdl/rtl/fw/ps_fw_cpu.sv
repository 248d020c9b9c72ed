// The soft core (Ibex, RV32IMC, three stages, single-cycle multiplier) with its tightly coupled RAM and the
// decoder of its data bus.
//
// Memory map: the RAM at 0 (penstock_abi::fw::RAM_BASE), instructions and data; 64 KiB of registers and
//             windows at 0x8000_0000 (fw::MMIO_BASE), data only, on the mmio port. Any other access
//             answers with a bus error, which traps. So does a store to the RAM's first FwProtectedBytes, which
//             are as the image made them until the FPGA is loaded anew.
// Handshake:  mmio_req_o is a request that is always taken; mmio_rdata_i and mmio_err_i belong to the
//             request of the cycle before.
// Latency:    one cycle a RAM or mmio access; the core starts at 0x80 as reset ends.
// Interrupts: timer and external are level-sensitive.
// Reset:      rst_i, in step with clk_i, 4 cycles at least. It does not restore the RAM; what starts then is the boot stub in its
//             protected part, which copies an image to where it runs.
module ps_fw_cpu
  import ibex_pkg::*;
  import ps_abi_pkg::FwProtectedBytes;
  import ps_abi_pkg::FwRamBytes;
#(
  parameter FirmwareFile = ""
) (
  input  logic        clk_i,
  input  logic        rst_i,

  input  logic        irq_timer_i,
  input  logic        irq_external_i,
  output logic        sleep_o,        // waits for an interrupt, none of those it enabled is pending
  output logic [31:0] fetch_o,        // address that was fetched last

  output logic        mmio_req_o,
  output logic        mmio_we_o,
  output logic [3:0]  mmio_be_o,
  output logic [15:0] mmio_addr_o,
  output logic [31:0] mmio_wdata_o,
  input  logic [31:0] mmio_rdata_i,
  input  logic        mmio_err_i
);

  localparam int unsigned RamWords     = FwRamBytes / 4;
  localparam int unsigned RamAddrWidth = $clog2(RamWords);
  localparam logic [15:0] MmioPage     = 16'h8000;

  logic        instr_req, instr_in_ram, instr_rvalid_q, instr_err_q;
  logic [31:0] instr_addr, instr_rdata;
  logic        data_req, data_we, data_in_ram, data_in_mmio, data_rvalid_q, data_ram_q, data_mmio_q;
  logic        data_protected;
  logic [3:0]  data_be;
  logic [31:0] data_addr, data_wdata, ram_rdata;

  // ------------------------------------------------------------------ core

  logic rst_n;
  assign rst_n = !rst_i;

  // verilator lint_off PINCONNECTEMPTY  // outputs of options that are off: ECC, scrambling, alerts, debug
  ibex_top #(
    .RV32M           (RV32MSingleCycle),
    .RV32B           (RV32BNone),
    .RegFile         (RegFileFPGA),
    .BranchTargetALU (1'b1),
    .WritebackStage  (1'b1)
  ) u_core (
    .clk_i,
    .rst_ni                 (rst_n),
    .test_en_i              (1'b0),
    .ram_cfg_i              ('0),
    .hart_id_i              (32'd0),
    .boot_addr_i            (32'd0),
    .instr_req_o            (instr_req),
    .instr_gnt_i            (instr_req),
    .instr_rvalid_i         (instr_rvalid_q),
    .instr_addr_o           (instr_addr),
    .instr_rdata_i          (instr_rdata),
    .instr_rdata_intg_i     ('0),
    .instr_err_i            (instr_err_q),
    .data_req_o             (data_req),
    .data_gnt_i             (data_req),
    .data_rvalid_i          (data_rvalid_q),
    .data_we_o              (data_we),
    .data_be_o              (data_be),
    .data_addr_o            (data_addr),
    .data_wdata_o           (data_wdata),
    .data_wdata_intg_o      (),
    .data_rdata_i           (data_ram_q ? ram_rdata : mmio_rdata_i),
    .data_rdata_intg_i      ('0),
    .data_err_i             (data_mmio_q ? mmio_err_i : !data_ram_q),
    .irq_software_i         (1'b0),
    .irq_timer_i,
    .irq_external_i,
    .irq_fast_i             ('0),
    .irq_nm_i               (1'b0),
    .scramble_key_valid_i   (1'b0),
    .scramble_key_i         ('0),
    .scramble_nonce_i       ('0),
    .scramble_req_o         (),
    .debug_req_i            (1'b0),
    .crash_dump_o           (),
    .double_fault_seen_o    (),
    .fetch_enable_i         (IbexMuBiOn),
    .alert_minor_o          (),
    .alert_major_internal_o (),
    .alert_major_bus_o      (),
    .core_sleep_o           (sleep_o),
    .scan_rst_ni            (1'b1)
  );
  // verilator lint_on PINCONNECTEMPTY

  // ------------------------------------------------------------------ bus

  assign instr_in_ram = instr_addr < 32'(FwRamBytes);
  assign data_protected = data_we && data_addr < 32'(FwProtectedBytes);
  assign data_in_ram  = data_addr < 32'(FwRamBytes) && !data_protected;
  assign data_in_mmio = data_addr[31:16] == MmioPage;

  assign mmio_req_o   = data_req && data_in_mmio;
  assign mmio_we_o    = data_we;
  assign mmio_be_o    = data_be;
  assign mmio_addr_o  = data_addr[15:0];
  assign mmio_wdata_o = data_wdata;

  always_ff @(posedge clk_i) begin
    if (instr_req) fetch_o <= instr_addr;
    instr_rvalid_q <= instr_req;
    instr_err_q    <= !instr_in_ram;
    data_rvalid_q  <= data_req;
    data_ram_q     <= data_in_ram;
    data_mmio_q    <= data_in_mmio;
    if (rst_i) begin
      instr_rvalid_q <= 1'b0;
      data_rvalid_q  <= 1'b0;
    end
  end

  // ------------------------------------------------------------------ RAM

  ps_ram_1rw1r_be #(
    .Width       (32),
    .Depth       (RamWords),
    .InitFile    (FirmwareFile),
    .InitPlusarg ("firmware")
  ) u_ram (
    .clk_i,
    .a_req_i   (data_req && data_in_ram),
    .a_we_i    (data_we),
    .a_be_i    (data_be),
    .a_addr_i  (data_addr[2 +: RamAddrWidth]),
    .a_wdata_i (data_wdata),
    .a_rdata_o (ram_rdata),
    .b_req_i   (instr_req),
    .b_addr_i  (instr_addr[2 +: RamAddrWidth]),
    .b_rdata_o (instr_rdata)
  );

endmodule
