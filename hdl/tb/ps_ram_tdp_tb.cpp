// Bench of ps_ram_tdp: both ports at random against an array; that a read and a write on port B at once are told.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "Vps_ram_tdp_tb.h"
#include "verilated.h"

namespace {

struct Ram {
    VerilatedContext context;
    Vps_ram_tdp_tb top{&context};

    Ram() {
        context.errorLimit(1 << 30);
        context.fatalOnError(false);
    }
    void edge() {
        top.clk_i = 0, top.eval();
        top.clk_i = 1, top.eval();
    }
};

void expect(const char* what, uint32_t got, uint32_t want) {
    if (got == want) return;
    std::fprintf(stderr, "FAIL: %s: %08x, expected %08x\n", what, got, want);
    std::exit(1);
}

void random_test() {
    Ram ram;
    std::mt19937 rng(1);
    uint32_t words[16] = {}, a = 0, b = 0;
    bool a_known = false, b_known = false;
    for (unsigned i = 0; i < 16; i++) {
        ram.top.b_we_i = 15, ram.top.b_addr_i = i, ram.top.b_wdata_i = i, words[i] = i * 0x01010101u;
        ram.edge();
    }
    for (unsigned n = 0; n < 20000; n++) {
        auto& t = ram.top;
        t.a_re_i = rng() % 3 != 0, t.a_addr_i = rng() % 16, t.b_addr_i = rng() % 3 ? rng() % 16 : t.a_addr_i;
        unsigned kind = rng() % 3;
        t.b_re_i = kind == 1, t.b_we_i = kind == 2 ? rng() % 16 : 0, t.b_wdata_i = uint8_t(rng());
        if (t.a_re_i) a = words[t.a_addr_i], a_known = true;  // the old word, also of the address that B writes
        if (t.b_re_i) b = words[t.b_addr_i], b_known = true;
        for (unsigned lane = 0; lane < 4; lane++)
            if (t.b_we_i >> lane & 1) words[t.b_addr_i] = (words[t.b_addr_i] & ~(0xffu << 8 * lane)) | uint32_t(t.b_wdata_i) << 8 * lane;
        ram.edge();
        if (a_known) expect("port A", t.a_rdata_o, a);
        if (b_known) expect("port B", t.b_rdata_o, b);
    }
    expect("assertions failed", uint32_t(ram.context.errorCount()), 0);
}

void read_and_write_at_once() {
    Ram ram;
    auto& t = ram.top;
    // Before the port has been idle once its enables may be anything.
    t.b_re_i = 1, t.b_we_i = 1, ram.edge();
    expect("assertions failed before reset", uint32_t(ram.context.errorCount()), 0);
    t.b_re_i = 0, t.b_we_i = 15, t.b_wdata_i = 0x11, ram.edge();
    t.b_re_i = 1, t.b_we_i = 0, ram.edge();
    t.b_re_i = 0, ram.edge();
    expect("word", t.b_rdata_o, 0x11111111);
    expect("assertions failed", uint32_t(ram.context.errorCount()), 0);
    t.b_re_i = 1, t.b_we_i = 1, t.b_wdata_i = 0x22, ram.edge();
    if (ram.context.errorCount() == 0) expect("a read and a write at once were told", 0, 1);
    expect("what was read before holds", t.b_rdata_o, 0x11111111);
    t.b_we_i = 0, ram.edge();
    expect("what was written", t.b_rdata_o, 0x11111122);
}

}  // namespace

int main() {
    random_test();
    read_and_write_at_once();
    std::printf("ok\n");
    return 0;
}
