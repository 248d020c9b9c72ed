// Bench of ps_flow_shares: packets of few shares in every cycle, against a model in program order; pairs that go and are made; buckets that
// are filled up once a unit, and by a write at once; entries with the wrong parity; clearing.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <random>
#include <vector>

#include "Vps_flow_shares_tb.h"
#include "verilated.h"

namespace {

[[noreturn]] void fail(const char* what, uint64_t a = 0, uint64_t b = 0) {
    std::fprintf(stderr, "FAIL: %s (%llx, %llx)\n", what, (unsigned long long)a, (unsigned long long)b);
    std::exit(1);
}

constexpr uint32_t One = 4096;          // of a bucket: a pair
constexpr unsigned Tunnels = 256;       // index of the first
constexpr int Round = 44000;            // cycles in which all shares are visited
constexpr uint32_t None = ~0u;

struct Share {
    bool valid = false;
    uint32_t pairs = 0, burst = 0, rate = 0;
    uint32_t has = 0, refused = 0;
    uint64_t level = 0;

    bool over() const { return valid && ((pairs != 0 && has >= pairs) || (burst != 0 && level < One)); }
};

// What a packet asks for. Replaces count and are not refused; re-pins count when they are made.
enum Kind { New, Replace, Repin };

struct Packet {
    bool valid = false;
    Kind kind = New;
    uint32_t vif = None, tunnel = None;         // indices
    bool wanted = true;                         // it is not refused for anything else
    bool checked = true;                        // the model knows whether it is over
};

constexpr uint64_t Least = 12;              // cycles from a pair's being given out to its end

struct Owner {
    uint32_t vif, tunnel;
    bool counted;
    uint64_t since;
};

struct Bench {
    VerilatedContext context;
    Vps_flow_shares_tb top{&context};
    std::mt19937 rng;
    std::map<uint32_t, Share> model;
    std::deque<Packet> asked;
    std::deque<uint32_t> free;
    std::map<uint32_t, Owner> out;              // pairs that were given out
    std::vector<uint32_t> repins;               // of which it is not known yet what becomes of them
    uint64_t cycle = 0, taken = 0, over = 0, errors = 0;
    uint32_t now = 1, error_at = None;

    explicit Bench(uint32_t seed) : rng(seed) {
        context.randReset(2), context.randSeed(int(seed) | 1);
        top.now_i = now;
        top.rst_i = 1, top.clear_i = 1;
        for (int i = 0; i < 4; i++) edge();
        top.rst_i = 0;
        for (uint32_t i = 0; i < 1u << top.pairs_log2_o; i++) free.push_back(i);
        clear();
        asked.resize(top.decides_o);
    }
    void edge() {
        top.clk_i = 0, top.eval(), top.clk_i = 1, top.eval(), cycle++;
        if (top.error_o) errors++, error_at = top.error_index_o;
    }
    void clear() {
        top.clear_i = 1;
        for (int i = 0; i < 4; i++) edge();
        for (uint32_t i = 0; i < top.shares_o; i++) top.clear_we_i = 1, top.clear_index_i = i, edge();
        top.clear_we_i = 0;
        for (int i = 0; i < 4; i++) edge();
        top.clear_i = 0;
        for (int i = 0; i < 40; i++) edge();
        model.clear();
        for (auto& [pair, owner] : out) free.push_back(pair);
        out.clear(), repins.clear();
    }
    template <class F> void each(uint32_t vif, uint32_t tunnel, F f) {
        if (vif != None) f(model[vif]);
        if (tunnel != None) f(model[tunnel]);
    }
    // One cycle: a packet comes, and one of before is decided upon.
    void step(Packet in = {}) {
        top.ask_i = in.valid, top.counts_i = in.kind != Repin, top.new_i = in.kind == New;
        top.by_vif_i = in.vif != None, top.vif_i = uint8_t(in.vif);
        top.by_tunnel_i = in.tunnel != None, top.tunnel_i = uint16_t((in.tunnel - Tunnels) & 0xfff);
        asked.push_back(in);
        Packet p = asked.front();
        asked.pop_front();
        top.clk_i = 0, top.eval();
        bool is_over = top.over_o;
        bool would = false;
        each(p.vif, p.tunnel, [&](Share& s) { would |= s.over(); });
        would &= p.kind == New;
        if (!p.valid && is_over) fail("nobody is over", cycle);
        if (p.valid && p.checked && is_over != would) fail(would ? "a packet is not over its shares" : "a packet is over its shares", p.vif, p.vif != None ? model[p.vif].level << 32 | model[p.vif].burst : 0);
        edge();
        top.change_i = 0;
        top.taken_i = p.valid && p.wanted && !is_over && !free.empty();
        top.refused_i = p.valid && p.wanted && is_over;
        if (top.refused_i) {
            over++;
            each(p.vif, p.tunnel, [&](Share& s) { s.refused += s.over(); });
        }
        if (top.taken_i) {
            taken++;
            top.taken_pair_i = free.front();
            out[free.front()] = {p.vif, p.tunnel, p.kind != Repin, cycle};
            if (p.kind == Repin) repins.push_back(free.front());
            free.pop_front();
            if (p.kind != Repin) each(p.vif, p.tunnel, [&](Share& s) { s.has++, s.level -= s.level >= One ? One : 0; });
        }
    }
    // A pair goes, or a re-pin has made one, in the next cycle.
    void change(uint32_t pair, bool made) {
        Owner& o = out.at(pair);
        each(o.vif, o.tunnel, [&](Share& s) { s.has += made ? 1 : -1; });
        top.change_i = 1, top.made_i = made, top.change_pair_i = pair;
        if (made) o.counted = true;
        else out.erase(pair), free.push_back(pair);
    }
    // What becomes of some pair.
    void end_one() {
        if (!repins.empty() && rng() % 2) {
            size_t at = rng() % repins.size();
            uint32_t pair = repins[at];
            if (cycle <= out.at(pair).since + Least) return;
            repins.erase(repins.begin() + long(at));
            if (rng() % 2) change(pair, true);
            else out.erase(pair), free.push_back(pair);       // it changed a pair in its place
            return;
        }
        if (out.empty()) return;
        auto it = out.lower_bound(uint32_t(rng() % (1u << top.pairs_log2_o)));
        if (it == out.end()) it = out.begin();
        end(it->first);
    }
    void end(uint32_t pair) {
        const Owner& o = out.at(pair);
        if (o.counted && cycle > o.since + Least) change(pair, false);
    }
    void settle() {
        for (int i = 0; i < 60; i++) step();
        if (top.busy_o) fail("it does not come to rest");
    }
    void access(uint32_t index) {
        top.index_i = index;
        step();
        top.write_i = 0, top.read_i = 0, top.stats_i = 0, top.flip_i = 0;
        for (int n = 0; !top.done_o; n++) {
            if (n > 20) fail("the host waits", index);
            step();
        }
    }
    // At rest: whether a packet that is on its way is before a write or after it is the card's choice.
    void set(uint32_t index, Share s, bool flip = false) {
        settle();
        top.valid_i = s.valid, top.pairs_i = s.pairs, top.burst_i = s.burst, top.rate_i = s.rate;
        top.write_i = 1, top.flip_i = flip;
        access(index);
        Share& m = model[index];
        m.valid = s.valid && !flip, m.pairs = s.pairs, m.burst = s.burst, m.rate = s.rate, m.level = uint64_t(s.burst) * One;
    }
    void check(uint32_t index) {
        top.stats_i = 1;
        access(index);
        if (top.pairs_o != model[index].has) fail("pairs of a share", top.pairs_o, model[index].has);
        if (top.refused_o != model[index].refused) fail("refused of a share", top.refused_o, model[index].refused);
    }
    void check_all() {
        settle();
        std::map<uint32_t, Share> all = model;
        for (auto& [index, s] : all) check(index);
    }
    // A unit of card time later, all shares visited.
    void tick() {
        top.now_i = ++now;
        for (int n = 0; n < Round; n++) step();
        fill_up();
    }
    void fill_up(uint64_t units = 1) {
        for (auto& [index, s] : model) s.level = std::min(s.level + s.rate * units, uint64_t(s.burst) * One);
    }
    // Many units at once.
    void skip(uint32_t units) {
        top.now_i = now += units;
        for (int n = 0; n < 3 || top.busy_o; n++) {
            if (n > Round) fail("a round does not end", units);
            step();
        }
        fill_up(units);
    }
    Packet of(uint32_t vif, uint32_t tunnel, Kind kind = New) {
        Packet p;
        p.valid = true, p.vif = vif, p.tunnel = tunnel, p.kind = kind;
        return p;
    }
    void end_all() {
        settle();
        while (!out.empty()) {
            uint32_t pair = out.begin()->first;
            if (out.begin()->second.counted) change(pair, false);
            else out.erase(pair), free.push_back(pair);
            step();
        }
        repins.clear();
        check_all();
        for (auto& [index, s] : model) if (s.has != 0) fail("a share has pairs when there are none", index, s.has);
    }
};

// A packet in every cycle, of one share or few: exactly as many pairs as it may have. Then what went makes room for as many.
void limits(uint32_t seed) {
    Bench b(seed);
    for (int round = 0; round < 60; round++) {
        uint32_t few = 1 + b.rng() % 4;
        std::vector<uint32_t> vifs, tunnels;
        for (uint32_t i = 0; i < few; i++) {
            vifs.push_back(b.rng() % 256), tunnels.push_back(Tunnels + b.rng() % 4096);
            b.set(vifs[i], {b.rng() % 4 != 0, uint32_t(b.rng() % 5 ? b.model[vifs[i]].has + b.rng() % 60 : 0)});
            b.set(tunnels[i], {b.rng() % 4 != 0, uint32_t(b.rng() % 5 ? b.model[tunnels[i]].has + b.rng() % 60 : 0)});
        }
        unsigned dense = round % 3 ? 8 : 2;
        for (int n = 0; n < 300; n++) {
            Packet p = b.of(b.rng() % 8 ? vifs[b.rng() % few] : None, b.rng() % 3 ? None : tunnels[b.rng() % few],
                            b.rng() % 16 ? New : b.rng() % 2 ? Replace : Repin);
            p.wanted = b.rng() % dense != 0;
            b.step(b.rng() % dense ? p : Packet{});
        }
        b.check_all();
        // What went is seen some cycles later; until then nobody asks.
        for (int n = 0; n < 100 || b.out.size() > 500; n++) b.end_one(), b.step();
        b.check_all();
    }
    b.end_all();
    std::printf("limits: ok, %llu taken, %llu over\n", (unsigned long long)b.taken, (unsigned long long)b.over);
}

// Pairs go while others come: a share has never more than it may, and at rest as many as there are.
void coming_and_going(uint32_t seed) {
    Bench b(seed);
    uint32_t vif = 255, tunnel = Tunnels + 4095;
    b.set(vif, {true, 40}), b.set(tunnel, {true, 70});
    for (int n = 0; n < 40000; n++) {
        Packet p = b.of(b.rng() % 2 ? vif : 3, b.rng() % 2 ? tunnel : None, b.rng() % 50 ? New : Repin);
        p.checked = false;
        b.step(b.rng() % 3 ? p : Packet{});
        // Made ones are counted beyond the limit.
        if (b.rng() % 2 && !(b.model[vif].has > 40 || b.model[tunnel].has > 70)) b.end_one();
        else if (!b.out.empty()) b.end(b.out.begin()->first);
        if (b.model[vif].has > 42 || b.model[tunnel].has > 72) fail("more than it may have", b.model[vif].has, b.model[tunnel].has);
    }
    b.over = 0;
    for (auto& [index, s] : b.model) s.refused = 0;
    b.settle();
    for (uint32_t index : {vif, 3u, tunnel}) {
        b.top.stats_i = 1;
        b.access(index);
        if (b.top.pairs_o != b.model[index].has) fail("pairs at rest", b.top.pairs_o, b.model[index].has);
    }
    std::printf("coming and going: ok\n");
}

// Buckets: a burst, then what comes in by time; parts of a pair add up; what is taken when nothing is left is not owed.
void buckets(uint32_t seed) {
    Bench b(seed);
    std::vector<uint32_t> vifs = {0, 7, 255}, tunnels = {Tunnels, Tunnels + 256, Tunnels + 4095};
    for (uint32_t i = 0; i < 3; i++) {
        b.set(vifs[i], {true, 0, 20 + i, i * 5000 + 100});
        b.set(tunnels[i], {true, i == 2 ? 300u : 0, 30, i == 1 ? (1u << 24) - 1 : 9000});
    }
    for (int unit = 0; unit < 30; unit++) {
        for (int n = 0; n < 200; n++) {
            uint32_t i = uint32_t(b.rng() % 3), j = uint32_t(b.rng() % 3);
            b.step(b.rng() % 2 ? b.of(vifs[i], b.rng() % 2 ? tunnels[j] : None, b.rng() % 40 ? New : b.rng() % 2 ? Replace : Repin) : Packet{});
            if (b.out.size() > 600) b.settle(), b.end_one(), b.settle();
        }
        b.check_all();
        while (b.out.size() > 300) b.end_one(), b.step();
        b.settle();
        if (unit % 8 != 7) b.tick();
        // A write fills the bucket, and nothing comes in before the next unit, not by the visit that is still to come either.
        else {
            b.top.now_i = ++b.now;
            b.fill_up();
            for (int n = 0; n < 300; n++) b.step();
            b.set(tunnels[2], {true, 300, 4, 90000});
            for (int n = 0; n < 20; n++) b.step(b.of(None, tunnels[2]));
            for (int n = 0; n < Round; n++) b.step();
            for (int n = 0; n < 20; n++) b.step(b.of(None, tunnels[2]));
            b.settle();
        }
    }
    // Units that are skipped count, and round by round as they come.
    for (uint32_t units : {1024u, 2u, 3u, 5000u}) {
        b.skip(units);
        for (int n = 0; n < 60; n++) b.step(b.of(vifs[n % 3], n % 2 ? tunnels[n / 2 % 3] : None));
        b.settle();
        while (b.out.size() > 300) b.end_one(), b.step();
        b.settle();
        b.tick();
        for (int n = 0; n < 10; n++) b.step(b.of(vifs[0], None));
    }
    b.set(7, {true, 0, (1u << 20) - 1, 0});
    for (int n = 0; n < 300; n++) b.step(b.of(7, None)), b.end_one();
    b.settle();
    b.set(7, {true, 0, 4, 1});
    for (int n = 0; n < 10; n++) b.step(b.of(7, None));
    b.skip(4095);
    for (int n = 0; n < 10; n++) b.step(b.of(7, None));
    b.tick();
    for (int n = 0; n < 10; n++) b.step(b.of(7, None));
    b.check_all();
    // Long overdrawn: it is not owed.
    for (int n = 0; n < 100; n++) b.step(b.of(vifs[2], None, Replace));
    b.settle();
    for (int n = 0; n < 3; n++) {
        b.tick();
        for (int m = 0; m < 12; m++) b.step(b.of(vifs[2], None));
    }
    b.check_all();
    // Pairs and a bucket: whichever has less.
    for (auto [pairs, burst] : {std::pair{5u, 20u}, std::pair{20u, 5u}}) {
        b.settle();
        b.set(7, {true, b.model[7].has + pairs, burst, 0});
        for (int n = 0; n < 12; n++) b.step(b.of(7, None));
    }
    // The largest bucket, and none.
    b.set(7, {true, 0, (1u << 20) - 1, 0});
    for (int n = 0; n < 300; n++) b.step(b.of(7, None)), b.end_one();
    b.set(7, {true, 0, 0, 0});
    for (int n = 0; n < 30; n++) b.step(b.of(7, None));
    b.set(7, {true, 0, 1, 0});
    for (int n = 0; n < 30; n++) b.step(b.of(7, None));
    b.end_all();
    std::printf("buckets: ok, %llu taken, %llu over\n", (unsigned long long)b.taken, (unsigned long long)b.over);
}

// An entry with the wrong parity sets no limit, and is told of each time that it is looked at but for the host.
void parity(uint32_t seed) {
    Bench b(seed);
    for (uint32_t index : {9u, Tunnels + 9}) {
        b.errors = 0;
        b.set(index, {true, 1, 1, 0}, true);
        b.settle();
        if (b.errors != 1 || b.error_at != index) fail("a write with the wrong parity is met", b.errors, b.error_at);
        for (int n = 0; n < 30; n++) b.step(index < Tunnels ? b.of(index, None) : b.of(None, index));
        b.check_all();
        b.top.read_i = 1;
        b.access(index);
        b.settle();
        if (!b.top.share_bad_o || b.errors != 1) fail("the host's read", b.top.share_bad_o, b.errors);
        b.tick();
        if (b.errors != 2 || b.error_at != index) fail("it is met once a unit", b.errors, b.error_at);
        for (int n = 0; n < 30; n++) b.step(index < Tunnels ? b.of(index, None) : b.of(None, index));
        b.set(index, {true, 2, 0, 0});
        for (int n = 0; n < 30; n++) b.step(index < Tunnels ? b.of(index, None) : b.of(None, index));
        b.check_all();
        b.tick();
        if (b.errors != 2) fail("it is mended", b.errors);
    }
    std::printf("parity: ok\n");
}

// The host writes and reads without end: shares are visited all the same.
// Time that skips units keeps nobody busy unless a bucket fills by it.
void nothing_fills(uint32_t seed) {
    Bench b(seed);
    auto is_busy = [&] {
        b.top.now_i = b.now += 1000;
        for (int i = 0; i < 10; i++) b.step();
        return b.top.busy_o;
    };
    b.set(5, {true, 3}), b.set(Tunnels, {true, 0, 4, 0});
    if (is_busy()) fail("busy for nobody");
    b.set(6, {true, 0, 10, One});
    b.tick(), b.tick();
    if (!is_busy()) fail("a bucket is not filled at once");
    for (int n = 0; b.top.busy_o; n++) {
        if (n > 2 * Round) fail("a round does not end");       // behind the one under way
        b.step();
    }
    b.set(6, {});
    b.tick(), b.tick();
    if (is_busy()) fail("busy for one that has gone");
    std::printf("nothing fills: ok\n");
}

void busy_host(uint32_t seed) {
    Bench b(seed);
    b.set(5, {true, 0, 10, 3 * One});
    for (int n = 0; n < 20; n++) b.step(b.of(5, None));
    b.settle();
    b.top.now_i = ++b.now;
    for (uint64_t from = b.cycle; b.cycle < from + 2 * 65536;) b.check(uint32_t(b.rng() % 4352));
    b.fill_up();
    for (int n = 0; n < 20; n++) b.step(b.of(5, None));
    b.set(Tunnels + 4095, {true, 0, 10, 3 * One});
    for (int n = 0; n < 20; n++) b.step(b.of(None, Tunnels + 4095));
    b.top.now_i = ++b.now;
    for (uint64_t from = b.cycle; b.cycle < from + 2 * 65536;) b.check(uint32_t(b.rng() % 4352));
    b.fill_up();
    for (int n = 0; n < 20; n++) b.step(b.of(None, Tunnels + 4095));
    b.check_all();
    std::printf("busy host: ok\n");
}

// Nothing is left of what was before.
void cleared(uint32_t seed) {
    Bench b(seed);
    for (uint32_t i : {0u, 200u, Tunnels, Tunnels + 4095}) b.set(i, {true, 3, 2, 0});
    for (int n = 0; n < 50; n++) b.step(b.of(n & 1 ? 0 : 200, n & 2 ? Tunnels : Tunnels + 4095, n % 5 ? New : Replace));
    b.settle();
    b.clear();
    for (uint32_t i : {0u, 200u, Tunnels, Tunnels + 4095}) b.check(i);
    for (int n = 0; n < 50; n++) b.step(b.of(n & 1 ? 0 : 200, n & 2 ? Tunnels : Tunnels + 4095));
    b.tick();
    for (int n = 0; n < 50; n++) b.step(b.of(n & 1 ? 0 : 200, n & 2 ? Tunnels : Tunnels + 4095));
    if (b.over == 0) fail("nothing was refused before");
    b.end_all();
    std::printf("cleared: ok\n");
}

}  // namespace

int main() {
    limits(1);
    coming_and_going(2);
    buckets(3);
    nothing_fills(7);
    parity(4);
    busy_host(5);
    cleared(6);
    std::printf("ok\n");
}
