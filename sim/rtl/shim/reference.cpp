// The block that the card's speed is compared with.
#include "Vreference.h"
#include "shim.h"
#include "verilated.h"

struct ps_reference {
  VerilatedContext context;
  Vreference top{&context, "reference"};

  void tick(uint8_t rst) {
    top.rst_i = rst;
    for (const uint8_t clk : {0, 1}) {
      top.clk_i = clk;
      top.eval();
    }
  }
};

extern "C" {

ps_reference* ps_reference_new() {
  auto* reference = new ps_reference;
  reference->tick(1);
  return reference;
}

void ps_reference_free(ps_reference* reference) { delete reference; }

uint64_t ps_reference_run(ps_reference* reference, uint64_t cycles) {
  while (cycles-- > 0) reference->tick(0);
  return reference->top.digest_o;
}

}  // extern "C"
