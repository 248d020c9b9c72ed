// One cycle of the card a call: inputs, clock low, outputs as the coming edge sees them, clock high.
#include "shim.h"

#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <string>

#include "Vpenstock.h"
#include "verilated.h"
#if VM_TRACE
#include "verilated_fst_c.h"
#endif

namespace {

// Half a period of the 322.266 MHz core clock in ps.
constexpr uint64_t kHalfPeriodPs = 1552;

// Failures of the model that this thread is evaluating; collected after every evaluation.
thread_local uint64_t tl_failures = 0;
thread_local std::string tl_first;
// What the model printed last: the text of an assertion that fails comes just before the call that reports it.
thread_local std::string tl_printed;

void fail(const char* file, int line, const char* scope, const char* text) {
  if (tl_failures++ == 0) {
    tl_first = std::string(file ? file : "?") + ":" + std::to_string(line) + " in " + (scope ? scope : "?");
    const std::string what = text && *text ? text : tl_printed;
    if (!what.empty()) tl_first += ": " + what;
  }
}

void get_beat(ps_beat& beat, const uint32_t* data, uint64_t keep, uint8_t last, uint8_t user, uint8_t valid) {
  beat.valid = valid;
  if (!valid) return;
  std::memcpy(beat.data, data, sizeof beat.data);
  beat.keep = keep;
  beat.last = last;
  beat.user = user;
}

}  // namespace

void vl_stop(const char* file, int line, const char* scope) VL_MT_UNSAFE { fail(file, line, scope, ""); }
void vl_fatal(const char* file, int line, const char* scope, const char* text) VL_MT_UNSAFE { fail(file, line, scope, text); }

extern "C" int ps_printf(const char* format, ...) {
  char text[1024];
  va_list args;
  va_start(args, format);
  const int length = std::vsnprintf(text, sizeof text, format, args);
  va_end(args);
  std::fputs(text, stderr);
  tl_printed = text;
  while (!tl_printed.empty() && tl_printed.back() == '\n') tl_printed.pop_back();
  return length;
}

struct ps_sim {
  VerilatedContext context;
  Vpenstock* top = nullptr;
  bool soft_core = false;
  uint64_t failures = 0;
  std::string first;
#if VM_TRACE
  VerilatedFstC* fst = nullptr;
#endif

  void step() {
    tl_failures = 0;
    top->eval();
    if (__builtin_expect(tl_failures != 0, 0)) {
      if (failures == 0) first = tl_first;
      failures += tl_failures;
    }
    context.timeInc(kHalfPeriodPs);
#if VM_TRACE
    if (fst) fst->dump(context.time());
#endif
  }
};

extern "C" {

ps_sim* ps_new(int argc, const char* const* argv, const char* trace, int soft_core) {
  auto* sim = new ps_sim;
  sim->soft_core = soft_core != 0;
  sim->context.commandArgs(argc, const_cast<const char**>(argv));
#if VM_TRACE
  if (trace) sim->context.traceEverOn(true);
#endif
  sim->top = new Vpenstock(&sim->context, "card");
#if VM_TRACE
  if (trace) {
    sim->fst = new VerilatedFstC;
    sim->top->trace(sim->fst, 99);
    sim->fst->open(trace);
    if (!sim->fst->isOpen()) {
      ps_free(sim);
      return nullptr;
    }
  }
#else
  if (trace) {
    ps_free(sim);
    return nullptr;
  }
#endif
  sim->step();
  return sim;
}

void ps_free(ps_sim* sim) {
  if (!sim) return;
  if (sim->top) sim->top->final();
#if VM_TRACE
  if (sim->fst) sim->fst->close();
  delete sim->fst;
#endif
  delete sim->top;
  delete sim;
}

void ps_tick(ps_sim* sim, const ps_in* in, ps_out* out) {
  Vpenstock& t = *sim->top;
  t.rst_i = in->rst;
  t.flr_i = in->flr;
  t.time_skip_i = in->time_skip;

  t.s_axil_awaddr_i = in->axil_awaddr;
  t.s_axil_awvalid_i = in->axil_awvalid;
  t.s_axil_wdata_i = in->axil_wdata;
  t.s_axil_wstrb_i = 0xf;
  t.s_axil_wvalid_i = in->axil_wvalid;
  t.s_axil_bready_i = in->axil_bready;
  t.s_axil_araddr_i = in->axil_araddr;
  t.s_axil_arvalid_i = in->axil_arvalid;
  t.s_axil_rready_i = in->axil_rready;

  t.m_axi_awready_i = in->axi_awready;
  t.m_axi_wready_i = in->axi_wready;
  t.m_axi_bvalid_i = in->axi_bvalid;
  t.m_axi_bresp_i = in->axi_bresp;
  t.m_axi_arready_i = in->axi_arready;
  t.m_axi_rvalid_i = in->axi_rvalid;
  t.m_axi_rlast_i = in->axi_rlast;
  t.m_axi_rresp_i = in->axi_rresp;
  if (in->axi_rvalid) std::memcpy(&t.m_axi_rdata_i, in->axi_rdata, sizeof in->axi_rdata);

  t.s_fab_tvalid_i = in->fab_rx.valid;
  if (in->fab_rx.valid) {
    std::memcpy(&t.s_fab_tdata_i, in->fab_rx.data, sizeof in->fab_rx.data);
    t.s_fab_tkeep_i = in->fab_rx.keep;
    t.s_fab_tlast_i = in->fab_rx.last;
  }
  t.s_host_tvalid_i = in->host_rx.valid;
  if (in->host_rx.valid) {
    std::memcpy(&t.s_host_tdata_i, in->host_rx.data, sizeof in->host_rx.data);
    t.s_host_tkeep_i = in->host_rx.keep;
    t.s_host_tlast_i = in->host_rx.last;
    t.s_host_tuser_i = in->host_rx.user;
  }
  t.m_fab_tready_i = in->fab_tx_ready;
  t.m_host_tready_i = in->host_tx_ready;

  t.clk_i = 0;
  sim->step();

  get_beat(out->fab_tx, t.m_fab_tdata_o.data(), t.m_fab_tkeep_o, t.m_fab_tlast_o, 0, t.m_fab_tvalid_o);
  get_beat(out->host_tx, t.m_host_tdata_o.data(), t.m_host_tkeep_o, t.m_host_tlast_o, t.m_host_tuser_o, t.m_host_tvalid_o);
  out->fab_rx_ready = t.s_fab_tready_o;
  out->host_rx_ready = t.s_host_tready_o;

  out->axil_awready = t.s_axil_awready_o;
  out->axil_wready = t.s_axil_wready_o;
  out->axil_bvalid = t.s_axil_bvalid_o;
  out->axil_bresp = t.s_axil_bresp_o;
  out->axil_arready = t.s_axil_arready_o;
  out->axil_rvalid = t.s_axil_rvalid_o;
  out->axil_rresp = t.s_axil_rresp_o;
  out->axil_rdata = t.s_axil_rdata_o;

  out->axi_awvalid = t.m_axi_awvalid_o;
  out->axi_awaddr = t.m_axi_awaddr_o;
  out->axi_awlen = t.m_axi_awlen_o;
  out->axi_wvalid = t.m_axi_wvalid_o;
  out->axi_wlast = t.m_axi_wlast_o;
  out->axi_wstrb = t.m_axi_wstrb_o;
  if (out->axi_wvalid) std::memcpy(out->axi_wdata, t.m_axi_wdata_o.data(), sizeof out->axi_wdata);
  out->axi_bready = t.m_axi_bready_o;
  out->axi_arvalid = t.m_axi_arvalid_o;
  out->axi_araddr = t.m_axi_araddr_o;
  out->axi_arlen = t.m_axi_arlen_o;
  out->axi_rready = t.m_axi_rready_o;

  out->irq = t.irq_o;
  out->idle = t.idle_o;
  // Without an image the soft core gets no clock: it would trap for ever on whatever its RAM holds.
  out->fw_active = sim->soft_core && t.fw_active_o;

  // The soft core's clock rises together with every second core clock, and only while the core is awake.
  t.clk_fw_i = (out->fw_active || in->rst) ? !t.clk_fw_i : 0;
  t.clk_i = 1;
  sim->step();
}

uint64_t ps_failures(const ps_sim* sim) { return sim->failures; }

void ps_first_failure(const ps_sim* sim, char* text, uint32_t bytes) {
  std::snprintf(text, bytes, "%s", sim->first.c_str());
}

void ps_set_assertions(ps_sim* sim, int on) { sim->context.assertOn(on != 0); }

void ps_trace_flush(ps_sim* sim) {
#if VM_TRACE
  if (sim->fst) sim->fst->flush();
#else
  (void)sim;
#endif
}

}  // extern "C"
