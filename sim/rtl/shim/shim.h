// Flat C interface of the Verilated card. Mirrors src/ffi.rs; both sides check sizes at compile time.
#pragma once
#include <cstdint>

struct ps_beat {
  uint32_t data[16];
  uint64_t keep;
  uint8_t valid;
  uint8_t last;
  uint8_t user;
  uint8_t pad[5];
};

struct ps_in {
  ps_beat fab_rx;
  ps_beat host_rx;
  uint32_t axi_rdata[16];
  uint64_t time_skip;
  uint32_t axil_wdata;
  uint16_t axil_awaddr;
  uint16_t axil_araddr;
  uint8_t rst;
  uint8_t flr;
  uint8_t axil_awvalid;
  uint8_t axil_wvalid;
  uint8_t axil_bready;
  uint8_t axil_arvalid;
  uint8_t axil_rready;
  uint8_t axi_awready;
  uint8_t axi_wready;
  uint8_t axi_bvalid;
  uint8_t axi_bresp;
  uint8_t axi_arready;
  uint8_t axi_rvalid;
  uint8_t axi_rlast;
  uint8_t axi_rresp;
  uint8_t fab_tx_ready;
  uint8_t host_tx_ready;
  uint8_t pad[7];
};

struct ps_out {
  ps_beat fab_tx;
  ps_beat host_tx;
  uint32_t axi_wdata[16];
  uint64_t axi_wstrb;
  uint64_t axi_awaddr;
  uint64_t axi_araddr;
  uint32_t axil_rdata;
  uint8_t axi_awlen;
  uint8_t axi_awvalid;
  uint8_t axi_wvalid;
  uint8_t axi_wlast;
  uint8_t axi_bready;
  uint8_t axi_arlen;
  uint8_t axi_arvalid;
  uint8_t axi_rready;
  uint8_t axil_awready;
  uint8_t axil_wready;
  uint8_t axil_bvalid;
  uint8_t axil_bresp;
  uint8_t axil_arready;
  uint8_t axil_rvalid;
  uint8_t axil_rresp;
  uint8_t fab_rx_ready;
  uint8_t host_rx_ready;
  uint8_t irq;
  uint8_t idle;
  uint8_t fw_active;
};

static_assert(sizeof(ps_beat) == 80, "ps_beat differs from src/ffi.rs");
static_assert(sizeof(ps_in) == 264, "ps_in differs from src/ffi.rs");
static_assert(sizeof(ps_out) == 272, "ps_out differs from src/ffi.rs");

struct ps_sim;
struct ps_reference;

extern "C" {
ps_sim* ps_new(int argc, const char* const* argv, const char* trace, int soft_core);
void ps_free(ps_sim* sim);
void ps_tick(ps_sim* sim, const ps_in* in, ps_out* out);
uint64_t ps_failures(const ps_sim* sim);
void ps_first_failure(const ps_sim* sim, char* text, uint32_t bytes);
void ps_set_assertions(ps_sim* sim, int on);
void ps_trace_flush(ps_sim* sim);

ps_reference* ps_reference_new();
void ps_reference_free(ps_reference* reference);
uint64_t ps_reference_run(ps_reference* reference, uint64_t cycles);
}
