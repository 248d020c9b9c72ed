// Bench of ps_pair_stats: packets on few words in every cycle, generations that begin and packets that come late for theirs, against a
// model in program order; reads beside them; that 256 generations without a packet leave nothing behind that counts.
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>

#include "Vps_pair_stats_tb.h"
#include "verilated.h"

namespace {

[[noreturn]] void fail(const char* what, uint64_t a, uint64_t b) {
    std::fprintf(stderr, "FAIL: %s: %llx, expected %llx\n", what, (unsigned long long)a, (unsigned long long)b);
    std::exit(1);
}
void expect(const char* what, uint64_t a, uint64_t b) {
    if (a != b) fail(what, a, b);
}

struct Word {
    uint32_t packets = 0, last = 0;
    uint64_t bytes = 0;
    uint8_t generation = 0, tcp = 0, age = 0;
};

constexpr uint8_t Syn = 1, Fin = 2, Rst = 4, Established = 8;

void count(Word& w, uint8_t generation, uint8_t age, uint16_t bytes, unsigned flags, uint32_t now) {
    bool tcp = flags >> 4 & 1, syn = flags >> 3 & 1, fin = flags >> 2 & 1, rst = flags >> 1 & 1, ack = flags & 1;
    uint8_t older = uint8_t(w.generation - generation);
    if (older != 0 && older <= 15) return;
    if (older != 0) w = Word{}, w.generation = generation;
    w.packets++, w.bytes += bytes, w.last = now, w.age = age;
    bool lives = tcp && !rst && !(syn && !ack && !fin), had_syn = w.tcp & Syn;
    if (syn) w.tcp |= Syn;
    if (fin) w.tcp |= Fin;
    if (rst) w.tcp |= Rst;
    else if (lives) w.tcp &= uint8_t(~Rst);
    if (ack && !syn && had_syn) w.tcp |= Established;
}

struct Bench {
    Vps_pair_stats_tb top;
    std::map<unsigned, Word> model;
    std::map<uint64_t, Word> mirror;         // by place

    void edge() {
        top.clk_i = 0, top.eval(), top.clk_i = 1, top.eval();
        if (top.tcp_valid_o) {
            Word& m = mirror[uint64_t(top.tcp_pair_o) * 2 + top.tcp_reverse_o];
            m.tcp = top.tcp_o, m.generation = top.tcp_generation_o;
        }
    }
    // Words lie all over the memory, neighbours far from each other.
    uint32_t pair_of(unsigned word) const { return word / 2 + word / 2 % 8 * (top.pairs_o / 8); }
    void packet(unsigned word, uint8_t generation, uint16_t bytes, unsigned flags) {
        top.valid_i = 1, top.pair_i = pair_of(word), top.reverse_i = word & 1, top.generation_i = generation;
        top.bytes_i = bytes, top.tcp_i = uint8_t(flags), top.age_i = bytes * 7 & 127;
        edge();
        top.valid_i = 0;
        count(model[word], generation, top.age_i, bytes, flags, top.now_i);
    }
    void read(unsigned word) {
        while (top.busy_o) edge();
        top.re_i = 1, top.read_pair_i = pair_of(word), top.read_reverse_i = word & 1;
        for (int n = 0; !top.read_done_o; n++) {
            if (n > 50) fail("a read waits without packets", n, 0);
            edge();
        }
        top.re_i = 0;
        const Word& w = model[word];
        expect("packets", top.packets_o, w.packets);
        expect("bytes", top.bytes_o, w.bytes);
        expect("tcp", top.read_tcp_o, w.tcp);
        expect("generation", top.generation_o, w.generation);
        expect("last hit", top.last_hit_o, w.last);
        expect("age", top.age_o, w.age);
        const Word& m = mirror[uint64_t(pair_of(word)) * 2 + word % 2];
        expect("mirrored tcp", m.tcp, w.tcp);
        expect("mirrored generation", m.generation, w.generation);
        edge();
    }
};

}  // namespace

int main() {
    Bench b;
    std::mt19937 rng(1);
    b.top.rst_i = 1;
    for (int i = 0; i < 4; i++) b.edge();
    b.top.rst_i = 0;
    for (unsigned i = 0; i < b.top.clears_o; i++) {
        b.top.clear_i = 1, b.top.clear_index_i = uint16_t(i);
        b.edge();
    }
    b.top.clear_i = 0;
    for (int i = 0; i < 10; i++) b.edge();
    for (unsigned w = 0; w < 40; w++) b.read(w);
    for (int round = 0; round < 60; round++) {
        unsigned words = 1 + rng() % 12;
        b.top.now_i = uint32_t(rng());
        for (int n = 0; n < 600; n++) {
            unsigned w = rng() % words;
            // Mostly of now, some of a generation that has gone by, now and then a new one.
            uint8_t generation = uint8_t(b.model[w].generation + (rng() % 40 == 0 ? 1 : rng() % 6 == 0 ? -int(rng() % 5) : 0));
            unsigned flags = rng() % 3 ? 0x11 : 0x10 | rng() % 16;
            if (rng() % 8 == 0) b.edge();
            else b.packet(w, generation, uint16_t(60 + rng() % 9000), flags);
        }
        for (unsigned w = 0; w < 12; w++) b.read(w);
    }
    // What was counted 241 generations ago or more is not taken for newer; only 241 to 255 are mistaken, and drop.
    b.packet(30, 100, 60, 0);
    b.packet(30, uint8_t(100 + 200), 60, 0);
    b.read(30);
    std::printf("ok\n");
}
