// Bench of ps_flow: packets of connections in every cycle, both ways, from look-up by way of admission to what they leave behind, while
// the host deletes pairs. Whatever left translated has its pair; nobody is found as another; who counts, counts where it belongs.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <random>
#include <set>
#include <vector>

#include "Vps_flow_tb.h"
#include "flow_hash.h"
#include "verilated.h"

namespace {

using namespace tb;

constexpr unsigned Between = 34;    // cycles from the look-up's answer to admission

[[noreturn]] void fail(const char* what, uint64_t a = 0, uint64_t b = 0) {
    std::fprintf(stderr, "FAIL: %s (%llx, %llx)\n", what, (unsigned long long)a, (unsigned long long)b);
    std::exit(1);
}

// By what a pair's time is chosen.
enum Kind { Tcp, Udp, Icmp, Other };
enum Flags : unsigned { Syn = 1, Fin = 2, Rst = 4, Ack = 8 };

struct Connection {
    FlowKey key, reverse;
    Hash96 hash, reverse_hash;
    bool translated;
    uint32_t info;
    Kind kind = Udp;
    int port = -1;              // register of its destination port
    int vif = -1, tunnel = -1;  // shares
    bool admitted = false;      // a packet was
    bool replied = false;       // before that, which began a plain pair
};

struct Packet {
    size_t of = 0;
    bool back = false, valid = false;
    bool found = false, reverse = false;
    uint32_t pair = 0;
    uint8_t generation = 0;
    uint16_t bytes = 0;
    unsigned flags = 0;
};

struct Count {
    uint64_t packets = 0, bytes = 0;
};

struct Bench {
    Vps_flow_tb top;
    FlowHash hash;
    std::mt19937 rng;
    std::vector<Connection> all;
    std::map<FlowKey, size_t> by_key;
    std::deque<Packet> looked, between, asked;
    std::map<uint64_t, Count> counts;       // by pair, side and generation, of packets that found their flow
    std::map<size_t, Count> first;          // the last packet that began a connection's pair
    std::set<uint32_t> marked;
    std::map<unsigned, uint64_t> reasons;
    bool stays = true;                      // pairs go by nothing but that there is no room
    uint64_t cycle = 0, full = 0, aged = 0, evicted = 0, counted = 0, passed = 0, refused = 0, deferred = 0;

    explicit Bench(uint32_t seed) : rng(seed) {
        for (auto& w : hash.secret) w = uint16_t(rng());
        std::memcpy(&top.secret_i, hash.secret.data(), 24);
        top.mark_ready_i = 1, top.rst_i = 1, top.clear_i = 1;
        for (int i = 0; i < 8; i++) edge();
        top.rst_i = 0;
        for (int i = 0; i < 8; i++) edge();
        for (unsigned i = 0; i < 16u << top.rows_log2_o; i++) top.clear_we_i = 1, top.clear_index_i = i, edge();
        top.clear_we_i = 0;
        for (int i = 0; i < 8; i++) edge();
        top.clear_i = 0;
        for (int i = 0; i < 100; i++) edge();
        looked.resize(top.hit_cycles_o - 1), between.resize(Between), asked.resize(top.admit_cycles_o - 1);
    }
    void edge() { top.now_i = uint32_t(cycle), top.clk_i = 0, top.eval(), top.clk_i = 1, top.eval(), cycle++; }
    // Of UDP in one direction; in both it is twice as long.
    void age(uint32_t time) { top.times_i[4] = time, top.times_i[5] = 2 * time; }
    void put(void* to, const FlowKey& k) { std::memcpy(to, k.data(), 16); }

    size_t connect(bool translated) {
        Connection c;
        for (auto& w : c.key) w = uint16_t(rng());
        c.key[7] &= 0xff;
        for (auto& w : c.reverse) w = uint16_t(rng());
        c.reverse[7] &= 0xff;
        c.hash = hash(c.key), c.reverse_hash = hash(c.reverse);
        c.translated = translated, c.info = uint32_t(rng());
        by_key[c.key] = by_key[c.reverse] = all.size();
        all.push_back(c);
        return all.size() - 1;
    }
    // One cycle: a packet comes, others go on.
    void step(Packet in = {}) {
        // Look-up of the new one.
        top.key_valid_i = in.valid;
        if (in.valid) put(&top.key_i, in.back ? all[in.of].reverse : all[in.of].key);
        looked.push_back(in);
        // Admission of an old one; its reverse key goes ahead of it.
        Packet next = between[1], now = between[0];
        top.ask_valid_i = now.valid, top.asks_i = 0, top.counts_i = 0;
        top.early_valid_i = next.valid;
        if (next.valid) {
            const Connection& c = all[next.of];
            put(&top.early_key_i, next.back ? c.key : c.reverse);
        }
        if (now.valid) {
            const Connection& c = all[now.of];
            top.asks_i = !now.found, top.counts_i = now.found, top.kind_i = 0, top.translated_i = c.translated && !now.back;
            top.plain_i = !c.translated, top.ask_found_i = now.found, top.ask_pair_i = now.pair;
            top.ask_reverse_i = now.reverse, top.ask_generation_i = now.generation, top.bytes_i = now.bytes;
            put(&top.ask_key_i, now.back ? c.reverse : c.key), put(&top.reverse_key_i, now.back ? c.key : c.reverse);
            std::memcpy(&top.hash_i, now.back ? c.reverse_hash.data() : c.hash.data(), 12);
            top.ask_info_i = c.info;
            top.by_vif_i = c.vif >= 0, top.vif_i = uint8_t(c.vif), top.by_tunnel_i = c.tunnel >= 0, top.tunnel_i = uint16_t(c.tunnel & 0xfff);
            // Of a reply its own code: it must not matter.
            top.age_kind_i = c.kind, top.by_port_i = now.back || c.port >= 0, top.port_i = now.back ? 7 : c.port & 7, top.flags_i = now.flags;
        }
        asked.push_back(now);
        between.pop_front();
        edge();
        // What the look-up says.
        Packet p = looked.front();
        looked.pop_front();
        if (p.valid) {
            p.found = top.found_o, p.pair = top.pair_o, p.reverse = top.reverse_o, p.generation = top.generation_o;
            uint32_t info = p.back != p.reverse ? 0 : 1;
            (void)info;
            if (p.found && top.info_o != all[p.of].info && top.info_o != ~all[p.of].info) fail("found as another's", p.of, top.info_o);
        } else if (top.found_o) {
            fail("found without a key");
        }
        between.push_back(p);
        // What admission says.
        p = asked.front();
        asked.pop_front();
        if (p.valid != bool(top.answer_o)) fail("an answer out of time", p.valid, top.answer_o);
        if (p.valid) {
            if (top.refused_o) {
                refused++, reasons[top.reason_o]++;
                if (p.found) fail("a packet of a known flow is refused", p.of);
            } else {
                passed++, deferred += top.deferred_o;
                if (p.found) {
                    counted = cycle;
                    Count& n = counts[uint64_t(p.pair) << 9 | uint64_t(p.reverse) << 8 | p.generation];
                    n.packets++, n.bytes += p.bytes;
                } else if (all[p.of].translated && !p.back) {
                    all[p.of].admitted = true;
                } else if (!all[p.of].admitted) {
                    all[p.of].replied = true;
                } else if (stays && full == 0 && !all[p.of].replied) {
                    fail("a reply leaves as if there was no request", p.of);
                }
            }
        }
        full += top.full_o, aged += top.aged_o, evicted += top.evicted_o;
        if (top.mark_o && top.mark_ready_i) {
            if (top.mark_set_o) marked.insert(top.mark_index_o);
            else marked.erase(top.mark_index_o);
        }
    }
    void settle() {
        for (int i = 0; i < 60000 && (i < 300 || top.busy_o); i++) step();
        if (top.busy_o) fail("it does not come to rest");
    }
    Packet of(size_t i, bool back, unsigned flags = 0) {
        Packet p;
        p.valid = true, p.of = i, p.back = back, p.bytes = uint16_t(60 + rng() % 1400), p.flags = flags;
        return p;
    }
    // What a share may have, at the same index as what it has.
    void share_access(uint32_t index) {
        top.share_index_i = index;
        step();
        top.share_write_i = 0, top.share_stats_i = 0;
        for (int n = 0; !top.share_done_o; n++) {
            if (n > 30) fail("the host waits for a share", index);
            step();
        }
    }
    void limit(uint32_t index, uint32_t pairs) { top.share_write_i = 1, top.share_pairs_i = pairs, share_access(index); }
    uint32_t share_pairs(uint32_t index) { return top.share_stats_i = 1, share_access(index), top.share_pairs_o; }
    void host(uint32_t index, bool write, bool stats) {
        top.host_valid_i = 1, top.host_write_i = write, top.host_stats_i = stats, top.host_index_i = index;
        for (int n = 0; !top.host_done_o; n++) {
            if (n > 20000) fail("the host waits for ever", index);
            step();
        }
        top.host_valid_i = 0;
    }
};

// Marks, entries and their statistics agree with what came by. A pair that began once more has counted its first packet besides.
void audit(Bench& b, bool exact) {
    b.settle();
    if (b.marked.size() != b.top.in_use_o) fail("slots marked", b.marked.size(), b.top.in_use_o);
    std::map<uint32_t, int> sides;
    std::set<size_t> there;
    for (uint32_t index : std::set<uint32_t>(b.marked)) {
        b.host(index, false, false);
        if (!b.top.host_used_o) fail("nothing stands at a mark", index);
        FlowKey k{};
        std::memcpy(k.data(), &b.top.host_key_o, 15);
        uint32_t pair = b.top.host_pair_o;
        bool reverse = b.top.host_reverse_o;
        uint64_t id = uint64_t(pair) << 9 | uint64_t(reverse) << 8 | b.top.host_generation_o;
        sides[pair] += reverse ? 16 : 1;
        there.insert(b.by_key.at(k));
        b.step();
        b.host(index, false, true);
        Count n = b.counts[id];
        if (b.top.host_packets_o != n.packets + (reverse ? 0 : 1)) fail("packets of an entry", b.top.host_packets_o, n.packets + (reverse ? 0 : 1));
        b.step();
    }
    for (auto& [pair, n] : sides) if (n != 17) fail("half a pair", pair, uint64_t(n));
    std::map<uint32_t, uint32_t> shares;
    for (size_t i : there) {
        if (b.all[i].vif >= 0) shares[uint32_t(b.all[i].vif)]++;
        if (b.all[i].tunnel >= 0) shares[256 + uint32_t(b.all[i].tunnel)]++;
    }
    for (auto& [index, pairs] : shares)
        if (b.share_pairs(index) != pairs) fail("pairs of a share", b.top.share_pairs_o, pairs);
    if (exact && b.full == 0)
        for (size_t i = 0; i < b.all.size(); i++)
            if (b.all[i].admitted && !there.count(i)) fail("a translated packet left without a pair", i);
}

// Many connections at once, each with bursts both ways.
void traffic(uint32_t seed, double load, bool deletes, uint32_t age = 0) {
    Bench b(seed);
    b.age(age);
    b.stays = !deletes && age == 0;
    size_t slots = 16u << b.top.rows_log2_o;
    std::vector<size_t> live;
    for (size_t i = 0; i < size_t(load * double(slots) / 2); i++) {
        live.push_back(b.connect(b.rng() % 2));
        b.all.back().vif = int(b.rng() % 4) * 85, b.all.back().tunnel = i % 2 ? int(b.rng() % 4) * 1365 : -1;
    }
    size_t begun = 0;
    for (int n = 0; n < 60000; n++) {
        if (begun < live.size() && b.rng() % 3 == 0) begun++;
        size_t i = b.rng() % 4 && begun > 3 ? live[begun - 1 - b.rng() % 3] : begun ? live[b.rng() % begun] : live[0];
        if (b.rng() % 10 == 0) b.step();
        else b.step(b.of(i, b.rng() % 3 == 0));
        if (deletes && n % 200 == 199 && !b.marked.empty()) {
            auto it = b.marked.begin();
            std::advance(it, b.rng() % b.marked.size());
            uint32_t index = *it;
            // Packets go on while the host waits.
            b.top.host_valid_i = 1, b.top.host_write_i = 1, b.top.host_stats_i = 0, b.top.host_index_i = index;
            for (int m = 0; !b.top.host_done_o; m++) {
                if (m > 20000) fail("the host waits for ever under traffic", index);
                b.step(b.of(live[b.rng() % std::max<size_t>(begun, 1)], b.rng() % 2));
            }
            b.top.host_valid_i = 0;
            b.step();
        }
    }
    b.age(0);
    audit(b, !deletes && age == 0);
    if ((age != 0) != (b.aged != 0)) fail("old pairs under traffic", b.aged, age);
    // Only replies that overtake are refused: nobody meets what he does not know of.
    for (auto [r, n] : b.reasons) if (!deletes && age == 0 && r != 17) fail("refused for another reason", r, n);
    std::printf("load %.2f%s: %llu passed, %llu refused, %llu deferred, %llu full, %u in use;", load, deletes ? ", deletes" : "",
                (unsigned long long)b.passed, (unsigned long long)b.refused, (unsigned long long)b.deferred,
                (unsigned long long)b.full, b.top.in_use_o);
    for (auto [r, n] : b.reasons) std::printf(" reason %u: %llu", r, (unsigned long long)n);
    std::printf("\n");
    std::fflush(stdout);
}

// A new connection with every second packet: none is refused while there is room. With every packet: what cannot be taken is refused
// as that, and what is not refused is there.
void storm(uint32_t seed, bool every) {
    Bench b(seed);
    size_t slots = 16u << b.top.rows_log2_o, pairs = slots / 2 * 3 / 4;
    uint64_t refused_by = 0;
    for (size_t i = 0; i < pairs; i++) {
        b.step(b.of(b.connect(true), false));
        if (!every) b.step();
    }
    for (int i = 0; i < 200; i++) b.step();
    refused_by = b.refused;
    audit(b, true);
    std::printf("storm of %zu: %llu refused, %llu full\n", pairs, (unsigned long long)refused_by, (unsigned long long)b.full);
    if (b.full == 0 && b.top.in_use_o + 2 * refused_by != 2 * pairs) fail("pairs that were admitted", b.top.in_use_o, pairs);
    if (!every && refused_by > 0) fail("a storm at half the packets is refused", refused_by);
    if (every && (refused_by == 0 || b.reasons[16] != refused_by)) fail("a storm with every packet", refused_by, b.reasons[16]);
}

// Two connections whose replies would have one key: the second is refused, but for a plain one that takes a plain one's place.
void clashes(uint32_t seed) {
    Bench b(seed);
    for (bool plain : {false, true}) {
        size_t one = b.connect(!plain), two = b.connect(!plain);
        b.by_key.erase(b.all[two].reverse);
        b.all[two].reverse = b.all[one].reverse, b.all[two].reverse_hash = b.all[one].reverse_hash;
        b.step(b.of(one, false));
        b.settle();
        uint64_t refused = b.refused;
        b.step(b.of(two, false));
        b.settle();
        if (b.refused - refused != !plain || b.reasons[18] != 1) fail("a clash", b.refused - refused, b.reasons[18]);
        if (b.top.in_use_o != (plain ? 4 : 2)) fail("entries after a clash", b.top.in_use_o);
        // Side by side, before the table shows the first.
        if (plain) continue;
        one = b.connect(true), two = b.connect(true);
        b.all[two].reverse = b.all[one].reverse, b.all[two].reverse_hash = b.all[one].reverse_hash;
        b.step(b.of(one, false)), b.step(b.of(two, false));
        b.settle();
        if (b.reasons[18] != 2 || b.top.in_use_o != 4) fail("a clash side by side", b.reasons[18], b.top.in_use_o);
        b.reasons[18] = 1;
        for (uint32_t index : std::set<uint32_t>(b.marked)) b.host(index, true, false), b.step();
        b.settle();
        if (b.top.in_use_o != 0) fail("all were deleted", b.top.in_use_o);
        b.step(b.of(b.connect(true), false));
        b.settle();
    }
    std::printf("clashes: ok\n");
}

// A connection whose packets come in every cycle, one way: all leave, whether they looked up before the table showed the pair or after.
void burst(uint32_t seed) {
    Bench b(seed);
    for (bool translated : {true, false}) {
        for (int round = 0; round < 20; round++) {
            size_t i = b.connect(translated);
            uint64_t refused = b.refused, in_use = b.top.in_use_o;
            for (int n = 0; n < 300; n++) b.step(b.of(i, false));
            b.settle();
            if (b.refused != refused) fail("a packet of a burst is refused", b.refused - refused, translated);
            if (b.top.in_use_o != in_use + 2) fail("a burst is one pair", b.top.in_use_o, in_use);
        }
    }
    audit(b, true);
    std::printf("burst: ok\n");
}

// More plain connections than there are pairs: the last ids stay back, so that one that was given back is not given out at once.
void brim(uint32_t seed) {
    Bench b(seed);
    size_t pairs = 8u << b.top.rows_log2_o;
    uint32_t most = 0;
    for (size_t i = 0; i < 2 * pairs; i++) {
        b.step(b.of(b.connect(false), false));
        most = std::max(most, uint32_t(b.top.in_use_o));
        for (int n = 0; n < 3; n++) b.step();
    }
    b.settle();
    std::printf("brim: %u in use at most, %llu deferred, %llu full\n", most, (unsigned long long)b.deferred, (unsigned long long)b.full);
    if (most > 2 * (pairs - 64)) fail("ids that should stay back are given out", most, 2 * (pairs - 64));
    if (b.deferred == 0) fail("no id stays back", most);
}

// More entries in use than FlowsTranslatedMax: no new translated connections, until one goes; others come all the same.
void crowded(uint32_t seed) {
    Bench b(seed);
    size_t most = b.top.translated_max_o;
    while (b.top.in_use_o <= most) {
        if (b.all.size() > most) fail("the limit is never reached", b.top.in_use_o, most);
        b.step(b.of(b.connect(false), false));
        for (int n = 0; n < 20; n++) b.step();
        if (b.top.in_use_o + 40 > most) b.settle();
    }
    if (b.top.in_use_o != most + 2 || b.refused != 0) fail("just over the limit", b.top.in_use_o, most);
    uint64_t before = b.refused;
    auto tell = [&](bool translated, bool refused) {
        before = b.refused;
        b.step(b.of(b.connect(translated), false));
        b.settle();
        if ((b.refused != before) != refused) fail("a connection over the limit", translated, refused);
    };
    tell(true, true);
    if (b.reasons[15] != 1) fail("refused for another reason than a full table", b.reasons[15]);
    tell(false, false);
    for (int n = 0; n < 2; n++) {
        uint32_t in_use = b.top.in_use_o;
        b.host(*b.marked.begin(), true, false), b.step();
        b.settle();
        if (b.top.in_use_o != in_use - 2) fail("a deleted pair counts", b.top.in_use_o, in_use);
    }
    tell(true, false);
    tell(true, true);
    std::printf("crowded: ok\n");
}

// A vif's share, and a tunnel's: with a packet in every cycle exactly as many as it may have; what is plain leaves without a pair. What
// goes makes room, and what takes the place of another does not need any.
void shares(uint32_t seed) {
    constexpr unsigned FlowQuota = 23;
    for (bool translated : {true, false}) {
        Bench b(seed);
        b.limit(7, 30), b.limit(256 + 4095, 20);
        auto begin = [&](unsigned connections, int vif, int tunnel) {
            for (unsigned n = 0; n < connections; n++) {
                size_t i = b.connect(translated);
                b.all[i].vif = vif, b.all[i].tunnel = tunnel;
                b.step(b.of(i, false));
                if (n % 16 == 15) b.settle();         // or it would be the queue that is full
            }
            b.settle();
        };
        auto are = [&](uint32_t pairs, uint32_t over, uint32_t of_vif, uint32_t of_tunnel) {
            if (b.top.in_use_o != 2 * pairs) fail("pairs by their shares", b.top.in_use_o, 2 * pairs);
            if ((translated ? b.reasons[FlowQuota] : b.deferred) != over) fail("refused for a share", b.refused, b.deferred);
            if (translated ? b.deferred != 0 : b.refused != 0) fail("refused in another way", b.refused, b.deferred);
            uint32_t refused[2];
            for (uint32_t index : {7u, 256u + 4095}) b.share_pairs(index), refused[index != 7] = b.top.share_refused_o;
            if (refused[0] != of_vif || refused[1] != of_tunnel) fail("refused by share", refused[0], refused[1]);
        };
        begin(16, 7, 4095), are(16, 0, 0, 0);
        begin(10, 9, 4095), are(20, 6, 0, 6);
        begin(16, 7, -1), are(34, 8, 2, 6);
        begin(4, 7, 4095), are(34, 12, 6, 10);
        begin(10, 9, -1), are(44, 12, 6, 10);
        // What goes makes room, for as many.
        std::set<uint32_t> gone;
        for (uint32_t index : std::set<uint32_t>(b.marked)) {
            b.host(index, false, false), b.step();
            if (!b.top.host_used_o) continue;
            FlowKey k{};
            std::memcpy(k.data(), &b.top.host_key_o, 15);
            size_t i = b.by_key.at(k);
            if (b.all[i].vif != 7 || b.all[i].tunnel != 4095 || gone.size() == 5 || !gone.insert(uint32_t(i)).second) continue;
            b.host(index, true, false), b.step();
        }
        b.settle(), are(39, 12, 6, 10);
        begin(8, 7, 4095), are(44, 15, 9, 13);
        audit(b, false);
        // One that takes the place of another, of a share that has all that it may.
        if (translated) continue;
        size_t one = b.connect(false), two = b.connect(false), three = b.connect(false);
        b.all[one].vif = 11, b.all[two].vif = 11, b.all[three].vif = 11;
        b.limit(11, 1);
        b.by_key.erase(b.all[two].reverse);
        b.all[two].reverse = b.all[one].reverse, b.all[two].reverse_hash = b.all[one].reverse_hash;
        b.by_key[b.all[two].reverse] = two;
        b.step(b.of(one, false)), b.settle();
        b.step(b.of(three, false)), b.settle(), are(45, 16, 9, 13);
        b.step(b.of(two, false)), b.settle(), are(45, 16, 9, 13);
        if (b.share_pairs(11) != 1 || b.top.share_refused_o != 1) fail("a pair in another's place", b.top.share_pairs_o, b.top.share_refused_o);
        audit(b, false);
    }
    std::printf("shares: ok\n");
}

// Pairs that rest for longer than they may go, as pairs, within a pass; no others, and none without times. Used in both directions they
// may rest twice as long.
void ages(uint32_t seed) {
    constexpr uint32_t Age = 8000, Pass = 4000;     // cycles, which are the bench's units; a pass ends soon after it is due
    Bench b(seed);
    std::vector<size_t> both;
    for (int n = 0; n < 200; n++) {
        size_t i = b.connect(n % 3 != 0);
        b.step(b.of(i, false));
        b.settle();
        if (n % 2) b.step(b.of(i, true)), both.push_back(i);
    }
    uint64_t last = b.cycle;
    auto wait_until = [&](uint64_t cycle, uint32_t least, auto&& also) {
        while (b.cycle < cycle) {
            also();
            b.step();
            if (b.top.in_use_o < least) fail("a pair goes too early", b.top.in_use_o, least);
        }
    };
    auto nothing = [] {};
    wait_until(last + 2 * Age, 400, nothing);
    b.settle();
    // The first ones, with times that they have rested for already: and the others are kept by a packet each.
    for (size_t i : both) b.step(b.of(i, b.rng() % 2));
    last = b.cycle;
    b.age(Age);
    wait_until(last + Pass, 200, nothing);
    b.settle();
    if (b.top.in_use_o != 200 || b.aged != 100) fail("pairs of one direction", b.top.in_use_o, b.aged);
    wait_until(last + 2 * Age - 200, 200, nothing);
    // Some go on, one way or the other.
    uint64_t next = 0;
    auto go_on = [&] {
        if (b.cycle < next) return;
        for (size_t k = 0; k < 30; k++) b.step(b.of(both[k], b.rng() % 2));
        next = b.cycle + Age;
    };
    wait_until(last + 8 * Age, 60, go_on);
    if (b.top.in_use_o != 60 || b.aged != 170) fail("pairs of both directions", b.top.in_use_o, b.aged);
    // Their places serve others.
    b.age(0);
    for (int n = 0; n < 100; n++) b.step(b.of(b.connect(true), false)), b.step();
    audit(b, false);
    if (b.top.in_use_o != 260) fail("pairs after ageing", b.top.in_use_o, 260);
    b.age(1);
    for (int n = 0; n < 3 * int(Pass); n++) b.step();
    if (b.top.in_use_o != 0 || !b.marked.empty()) fail("all are old", b.top.in_use_o, b.marked.size());
    std::printf("ages: ok, %llu aged\n", (unsigned long long)b.aged);
}

// Each state has its own time, and so has a port: a pair of each stays for that long, and goes within a pass after it.
void states(uint32_t seed) {
    constexpr uint32_t Apart = 5000, Pass = 3000;
    auto time = [](int state) { return Apart * uint32_t(state + 1); };
    auto time_by_port = [](int port) { return Apart * uint32_t(port + 9); };
    struct Case {
        Kind kind;
        int port;
        std::vector<std::pair<bool, unsigned>> packets;    // whether back, flags
        uint32_t time;
    };
    constexpr bool On = false, Back = true;
    const std::vector<Case> cases = {
        {Tcp, -1, {{On, Syn}}, time(1)},
        {Tcp, -1, {{On, Syn}, {Back, Syn | Ack}}, time(1)},
        {Tcp, 1, {{On, Syn}, {Back, Syn | Ack}}, time(1)},
        {Tcp, -1, {{On, Syn}, {Back, Syn | Ack}, {On, Ack}}, time(3)},
        {Tcp, -1, {{On, Ack}}, time(1)},                                   // under way before the card knew of it
        {Tcp, -1, {{On, Ack}, {Back, Ack}}, time(3)},
        {Tcp, 2, {{On, Ack}, {Back, Ack}}, time_by_port(2)},
        {Tcp, -1, {{On, Ack}, {Back, Ack | Fin}}, time(2)},
        {Tcp, 2, {{On, Ack | Fin}, {Back, Ack}}, time(2)},
        {Tcp, -1, {{On, Ack | Fin}, {Back, Ack | Fin}}, time(0)},
        {Tcp, 3, {{On, Ack}, {Back, Ack}, {Back, Rst}}, time(0)},
        {Tcp, -1, {{On, Ack}, {Back, Rst}, {Back, Ack}}, time(3)},         // a reset that nobody believed
        {Udp, -1, {{On, 0}}, time(4)},
        {Udp, 0, {{On, 0}}, time_by_port(0)},
        {Udp, -1, {{On, 0}, {Back, 0}}, time(5)},
        {Udp, 4, {{On, 0}, {Back, 0}}, time_by_port(4)},
        {Icmp, -1, {{On, 0}, {Back, 0}}, time(6)},
        {Icmp, 4, {{On, 0}, {Back, 0}}, time(6)},
        {Other, -1, {{On, 0}}, time(7)},
        {Other, 5, {{On, 0}, {Back, 0}}, time_by_port(5)},
        {Other, 6, {{On, 0}, {Back, 0}}, 0},                               // for ever
    };
    Bench b(seed);
    // All numbers of pairs have been used before, in both directions: what was counted then must not matter.
    size_t pairs = 8u << b.top.rows_log2_o;
    for (int round = 0; round < 2; round++) {
        size_t from = b.all.size();
        for (size_t i = 0; i < pairs * 5 / 8; i++) {
            b.connect(true);
            for (int n = 0; n < 4; n++) b.step(n == 0 ? b.of(from + i, false) : Packet{});
        }
        b.settle();
        audit(b, false);
        for (size_t i = from; i < b.all.size(); i++) b.step(b.of(i, true));
        b.settle();
        b.age(1);
        for (int n = 0; n < 400000 && b.top.in_use_o != 0; n++) b.step();
        b.age(0);
        b.settle();
        if (b.top.in_use_o != 0) fail("pairs that are all old", b.top.in_use_o, b.aged);
    }
    for (int i = 0; i < 8; i++) b.top.times_i[i] = time(i), b.top.times_i[8+i] = i == 6 ? 0 : time_by_port(i);
    std::vector<uint64_t> last;
    for (const Case& c : cases) {
        size_t i = b.connect(true);
        b.all[i].kind = c.kind, b.all[i].port = c.port;
        for (auto [back, flags] : c.packets) {
            b.step(b.of(i, back, flags));
            for (int n = 0; n < 200; n++) b.step();
        }
        last.push_back(b.cycle - 200);
    }
    while (b.cycle < last.back() + time_by_port(7)) {
        b.step();
        uint32_t stay = 0, may = 0;
        for (size_t i = 0; i < cases.size(); i++) {
            uint64_t end = last[i] + cases[i].time;
            stay += cases[i].time == 0 || b.cycle <= end, may += cases[i].time == 0 || b.cycle <= end + Pass;
        }
        if (b.top.in_use_o < 2 * stay || b.top.in_use_o > 2 * may) fail("pairs of other states are there", b.top.in_use_o, b.cycle - last[0]);
    }
    audit(b, false);
    std::printf("states: ok\n");
}

// What gives way does so from its pressure on, when it has rested for long enough or at once at the highest; what is plain by either word.
// Nothing does when the pressure is gone, and plain pairs are not made while there is any.
void presses(uint32_t seed) {
    constexpr uint32_t Rest = 20000, Pass = 4000;
    auto keep = [](unsigned level, bool yields, uint32_t rest) { return level << 30 | unsigned(yields) << 29 | rest; };
    Bench b(seed);
    auto press = [&](unsigned pressure) {
        for (unsigned n = 0; n < 3; n++) b.top.above_i[n] = n < pressure ? 1 : 0;
    };
    auto wait = [&](uint64_t cycles) {
        for (uint64_t n = 0; n < cycles; n++) b.step();
    };
    auto are = [&](uint32_t pairs, const char* what) {
        if (b.top.in_use_o != 2 * pairs) fail(what, b.top.in_use_o, 2 * pairs);
    };
    auto make = [&](bool translated, unsigned pairs) {
        for (unsigned n = 0; n < pairs; n++) {
            size_t i = b.connect(translated);
            b.all[i].kind = Udp;
            b.step(b.of(i, false));
            wait(3);
        }
        b.settle();
    };
    // By the state: one way, from pressure 2 on, after a rest; the other way never.
    b.top.keeps_i[4] = keep(2, false, Rest);
    make(true, 50);
    press(1), wait(2 * Rest), are(50, "pairs that wait for pressure 2");
    for (size_t i = 0; i < 10; i++) b.step(b.of(i, false));
    uint64_t begun = b.cycle;
    for (size_t i = 10; i < 20; i++) b.step(b.of(i, true));
    press(2), wait(Pass), are(20, "what has rested gives way");
    while (b.cycle < begun + Rest) b.step();
    are(20, "what has not rested stays");
    wait(Pass), are(10, "it gives way then");
    press(3), wait(2 * Rest), are(10, "pairs of another state");
    press(0), b.settle();
    // What yields does so at pressure 3 at any time.
    b.top.keeps_i[4] = keep(1, true, 1 << 28);
    make(true, 30);
    press(2), wait(Pass), are(40, "what yields at pressure 3 only");
    press(3), wait(Pass), are(10, "what yields at any time");
    press(0), b.settle();
    // Plain ones by their own word, whatever their state, but others not.
    b.top.keeps_i[4] = 0, b.top.keeps_i[8] = keep(1, false, 0);
    make(false, 20), make(true, 20), are(50, "pairs");
    uint64_t deferred = b.deferred;
    press(1), wait(Pass), are(30, "plain pairs");
    make(false, 5), are(30, "plain pairs that are not made");
    if (b.deferred != deferred + 5) fail("plain pairs that are put off", b.deferred, deferred + 5);
    make(true, 5), are(35, "others that are");
    press(0), b.settle(), make(false, 5), are(40, "plain pairs without pressure");
    // As many go as must.
    b.top.keeps_i[4] = keep(1, false, 0);
    b.top.above_i[0] = 2 * 31;
    for (int n = 0; n < 20000 && b.top.in_use_o > 2 * 31; n++) b.step();
    wait(Pass);
    // Those that were found under way when the pressure went are asked for, and stay.
    are(31, "as many as may stay");
    audit(b, false);
    if (b.aged != 0 || b.evicted != 10 + 30 + 30 + 20 + 9) fail("counts", b.aged, b.evicted);
    std::printf("presses: ok, %llu evicted\n", (unsigned long long)b.evicted);
}

// An old pair that is used, or deleted, while it is being looked at: a packet that counts before its statistics are read once more keeps
// it, and nothing is deleted twice.
void races(uint32_t seed) {
    constexpr uint32_t Age = 600, Late = 44;     // Late: as long as from that read to the deletion
    Bench b(seed);
    b.stays = false;
    uint64_t kept = 0, late = 0, latest = 0;
    for (uint32_t when = 0; when < 400; when++) {
        bool used = when % 4 != 3;
        size_t i = b.connect(true);
        b.step(b.of(i, false));
        b.settle();
        uint32_t index = *b.marked.begin();
        for (uint32_t n = 0; n < Age + 600; n++) b.step();
        uint64_t aged = b.aged, counted = b.counted, went = 0;
        b.age(Age / 2);
        for (uint32_t n = 0; n < 600 && went == 0; n++) {
            b.step(used && n == when / 2 ? b.of(i, when & 1) : Packet{});
            if (b.aged != aged) went = b.cycle;
            if (!used && n == when / 2) b.host(index, true, false);
        }
        b.age(0);
        b.settle();
        if (b.counted != counted && went != 0) {
            if (went > b.counted + Late) fail("a pair goes that has been used", when, went - b.counted);
            late++, latest = std::max(latest, went - std::min(went, b.counted));
        }
        if (!b.marked.empty()) {
            kept++;
            b.host(*b.marked.begin(), true, false), b.settle();
        }
        if (b.top.in_use_o != 0 || !b.marked.empty()) fail("a pair that is deleted and old", b.top.in_use_o, when);
    }
    std::printf("races: ok, %llu kept, %llu too late, by at most %llu cycles\n", (unsigned long long)kept, (unsigned long long)late,
                (unsigned long long)latest);
    if (kept == 0 || late == 0) fail("the packets all came at one time", kept, late);
}

}  // namespace

int main() {
    shares(15);
    ages(10);
    presses(14);
    states(13);
    races(14);
    traffic(11, 0.6, false, 2000);
    traffic(12, 0.6, true, 3000);
    burst(7);
    brim(8);
    traffic(1, 0.3, false);
    traffic(2, 0.7, false);
    traffic(3, 0.6, true);
    storm(4, false);
    storm(5, true);
    clashes(6);
    crowded(9);
    std::printf("ok\n");
}
