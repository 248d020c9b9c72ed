// Bench of ps_axi_sva and ps_axil_sva: sequences that keep the protocol raise nothing, and each that breaks one rule is found.
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>

#include "Vps_axi_sva_tb.h"
#include "verilated.h"

namespace {

[[noreturn]] void fail(const std::string& what) {
    std::fprintf(stderr, "FAIL: %s\n", what.c_str());
    std::exit(1);
}

// A bus on which nothing happens but what a sequence does. A failed assertion is counted, and what it prints is part of the test.
struct Bus {
    VerilatedContext context;
    Vps_axi_sva_tb top{&context};

    explicit Bus(bool lite) {
        context.errorLimit(1 << 30);
        context.fatalOnError(false);
        context.assertOn(true);
        top.lite_i = lite;
        top.wstrb_i = ~0ull;
        top.rst_i = 1, edge(), edge(), top.rst_i = 0;
    }
    void edge() {
        top.clk_i = 0, top.eval();
        top.clk_i = 1, top.eval();
    }
    void cycles(int n) {
        while (n-- > 0) edge();
    }
    void aw(uint64_t address, unsigned beats, bool ready = true) {
        top.awaddr_i = address, top.awlen_i = uint8_t(beats - 1), top.awvalid_i = 1, top.awready_i = ready;
        edge();
        if (ready) top.awvalid_i = 0;
    }
    void w(uint32_t data, bool last, bool ready = true) {
        top.wdata_i = data, top.wlast_i = last, top.wvalid_i = 1, top.wready_i = ready;
        edge();
        if (ready) top.wvalid_i = 0;
    }
    void b(unsigned response = 0, bool ready = true) {
        top.bresp_i = response, top.bvalid_i = 1, top.bready_i = ready;
        edge();
        if (ready) top.bvalid_i = 0;
    }
    void ar(uint64_t address, unsigned beats, bool ready = true) {
        top.araddr_i = address, top.arlen_i = uint8_t(beats - 1), top.arvalid_i = 1, top.arready_i = ready;
        edge();
        if (ready) top.arvalid_i = 0;
    }
    void r(uint32_t data, bool last, bool ready = true) {
        top.rdata_i = data, top.rlast_i = last, top.rvalid_i = 1, top.rready_i = ready;
        edge();
        if (ready) top.rvalid_i = 0;
    }
};

using Sequence = std::function<void(Bus&)>;
unsigned good_ones = 0, bad_ones = 0;

int errors(bool lite, const Sequence& sequence) {
    Bus bus(lite);
    sequence(bus);
    bus.cycles(2);
    return bus.context.errorCount();
}

void good(bool lite, const char* name, const Sequence& sequence) {
    if (errors(lite, sequence)) fail(std::string("found fault with: ") + name);
    good_ones++;
}

void bad(bool lite, const char* name, const Sequence& sequence) {
    if (!errors(lite, sequence)) fail(std::string("did not find: ") + name);
    bad_ones++;
}

void full() {
    good(false, "a write", [](Bus& t) { t.aw(0xfc0, 1), t.w(1, true), t.b(); });
    good(false, "data before the address", [](Bus& t) { t.w(1, false), t.w(2, true), t.aw(0, 2), t.b(); });
    good(false, "address and last beat at once", [](Bus& t) {
        t.top.awvalid_i = t.top.awready_i = 1, t.top.awaddr_i = 64, t.top.awlen_i = 0;
        t.w(1, true), t.top.awvalid_i = 0, t.b();
    });
    good(false, "waits on every channel", [](Bus& t) {
        t.aw(64, 2, false), t.aw(64, 2, false), t.aw(64, 2), t.w(5, false, false), t.w(5, false), t.w(6, true), t.b(2, false), t.b(2);
        t.ar(128, 2, false), t.ar(128, 2), t.r(7, false, false), t.r(7, false), t.r(8, true, false), t.r(8, true);
    });
    good(false, "four bursts ahead", [](Bus& t) {
        for (unsigned n = 1; n <= 4; n++) t.ar(0x1000 * n, n);
        for (unsigned n = 1; n <= 4; n++)
            for (unsigned beat = 1; beat <= n; beat++) t.r(beat, beat == n);
        for (unsigned n = 1; n <= 4; n++) t.aw(0x1000 * n, n);
        for (unsigned n = 1; n <= 4; n++)
            for (unsigned beat = 1; beat <= n; beat++) t.w(beat, beat == n);
        for (unsigned n = 1; n <= 4; n++) t.b();
    });
    good(false, "up to a boundary", [](Bus& t) { t.ar(0x0e00, 8), t.cycles(1); });

    bad(false, "a read across 4 KiB", [](Bus& t) { t.ar(0x0f00, 8); });
    bad(false, "a read across 4 KiB by one beat", [](Bus& t) { t.ar(0x1fc0, 2); });
    bad(false, "a write across 4 KiB", [](Bus& t) { t.aw(0x0fc0, 2); });
    bad(false, "a read at an odd address", [](Bus& t) { t.ar(0x20, 1); });
    bad(false, "a write at an odd address", [](Bus& t) { t.aw(0x20, 1); });
    bad(false, "a write beat without a strobe", [](Bus& t) { t.aw(0, 1), t.top.wstrb_i = 0, t.w(0, true); });
    bad(false, "an address that changes", [](Bus& t) { t.ar(0, 1, false), t.ar(64, 1); });
    bad(false, "a length that changes", [](Bus& t) { t.aw(0, 1, false), t.aw(0, 2); });
    bad(false, "an address withdrawn", [](Bus& t) { t.aw(0, 1, false), t.top.awvalid_i = 0; });
    bad(false, "a read withdrawn", [](Bus& t) { t.ar(0, 1, false), t.top.arvalid_i = 0; });
    bad(false, "write data that change", [](Bus& t) { t.aw(0, 1), t.w(1, true, false), t.w(2, true); });
    bad(false, "write data withdrawn", [](Bus& t) { t.aw(0, 1), t.w(1, true, false), t.top.wvalid_i = 0; });
    bad(false, "read data that change", [](Bus& t) { t.ar(0, 1), t.r(1, true, false), t.r(2, true); });
    bad(false, "read data withdrawn", [](Bus& t) { t.ar(0, 1), t.r(1, true, false), t.top.rvalid_i = 0; });
    bad(false, "a response that changes", [](Bus& t) { t.aw(0, 1), t.w(1, true), t.b(0, false), t.b(2); });
    bad(false, "a response withdrawn", [](Bus& t) { t.aw(0, 1), t.w(1, true), t.b(0, false), t.top.bvalid_i = 0; });
    bad(false, "last too early", [](Bus& t) { t.aw(0, 2), t.w(1, true); });
    bad(false, "last too late", [](Bus& t) { t.aw(0, 1), t.w(1, false); });
    bad(false, "last too early, before the address", [](Bus& t) { t.w(1, true), t.aw(0, 2); });
    bad(false, "last too early, with the address", [](Bus& t) {
        t.top.awvalid_i = t.top.awready_i = 1, t.top.awaddr_i = 0, t.top.awlen_i = 1, t.w(1, true);
    });
    bad(false, "a response without a write", [](Bus& t) { t.b(); });
    bad(false, "a response before the data", [](Bus& t) { t.aw(0, 1), t.b(); });
    bad(false, "a response before the last beat", [](Bus& t) { t.aw(0, 2), t.w(1, false), t.b(); });
    bad(false, "a response before the address", [](Bus& t) { t.w(1, true), t.b(); });
    bad(false, "two responses", [](Bus& t) { t.aw(0, 1), t.w(1, true), t.b(), t.b(); });
    bad(false, "data without a read", [](Bus& t) { t.r(1, true); });
    bad(false, "a beat too many", [](Bus& t) { t.ar(0, 1), t.r(1, true), t.r(1, true); });
    bad(false, "read last too early", [](Bus& t) { t.ar(0, 2), t.r(1, true); });
    bad(false, "read last too late", [](Bus& t) { t.ar(0, 1), t.r(1, false); });
    bad(false, "five reads ahead", [](Bus& t) {
        for (int n = 0; n < 5; n++) t.ar(0, 1);
    });
    bad(false, "five writes ahead", [](Bus& t) {
        for (int n = 0; n < 5; n++) t.aw(0, 1);
    });
}

void lite() {
    good(true, "accesses with waits", [](Bus& t) {
        t.aw(4, 1, false), t.aw(4, 1), t.w(1, true, false), t.w(1, true), t.b(0, false), t.b(), t.w(2, true), t.aw(8, 1), t.b();
        t.ar(4, 1, false), t.ar(4, 1), t.r(3, true, false), t.r(3, true);
    });
    bad(true, "an address that changes", [](Bus& t) { t.aw(4, 1, false), t.aw(8, 1); });
    bad(true, "an address withdrawn", [](Bus& t) { t.aw(4, 1, false), t.top.awvalid_i = 0; });
    bad(true, "data that change", [](Bus& t) { t.w(4, true, false), t.w(8, true); });
    bad(true, "data withdrawn", [](Bus& t) { t.w(4, true, false), t.top.wvalid_i = 0; });
    bad(true, "a read that changes", [](Bus& t) { t.ar(4, 1, false), t.ar(8, 1); });
    bad(true, "a read withdrawn", [](Bus& t) { t.ar(4, 1, false), t.top.arvalid_i = 0; });
    bad(true, "an answer that changes", [](Bus& t) { t.ar(4, 1), t.r(1, true, false), t.r(2, true); });
    bad(true, "an answer withdrawn", [](Bus& t) { t.ar(4, 1), t.r(1, true, false), t.top.rvalid_i = 0; });
    bad(true, "a response that changes", [](Bus& t) { t.aw(4, 1), t.w(1, true), t.b(0, false), t.b(2); });
    bad(true, "a response withdrawn", [](Bus& t) { t.aw(4, 1), t.w(1, true), t.b(0, false), t.top.bvalid_i = 0; });
    bad(true, "a response without data", [](Bus& t) { t.aw(4, 1), t.b(); });
    bad(true, "a response without an address", [](Bus& t) { t.w(4, true), t.b(); });
    bad(true, "two responses", [](Bus& t) { t.aw(4, 1), t.w(4, true), t.b(), t.b(); });
    bad(true, "an answer to nothing", [](Bus& t) { t.r(1, true); });
    bad(true, "two answers", [](Bus& t) { t.ar(4, 1), t.r(1, true), t.r(1, true); });
    bad(true, "eight reads ahead", [](Bus& t) {
        for (int n = 0; n < 8; n++) t.ar(0, 1);
    });
    bad(true, "eight addresses ahead", [](Bus& t) {
        for (int n = 0; n < 8; n++) t.aw(0, 1);
    });
    bad(true, "data eight writes ahead", [](Bus& t) {
        for (int n = 0; n < 8; n++) t.w(0, true);
    });
}

}  // namespace

int main() {
    full();
    lite();
    std::printf("%u good and %u bad sequences\nok\n", good_ones, bad_ones);
    return 0;
}
