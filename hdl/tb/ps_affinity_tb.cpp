// Bench of ps_affinity: clients that meet in few rows, kept, looked up in every cycle, deleted and swept, against a model in program
// order; who gives way; entries with the wrong parity; time that goes round; clearing.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <random>
#include <set>
#include <vector>

#include "Vps_affinity_tb.h"
#include "flow_hash.h"
#include "verilated.h"

namespace {

[[noreturn]] void fail(const char* what, uint64_t a = 0, uint64_t b = 0) {
    std::fprintf(stderr, "FAIL: %s (%llx, %llx)\n", what, (unsigned long long)a, (unsigned long long)b);
    std::exit(1);
}

constexpr uint32_t Units = (1u << 20) - 1;      // of time, a mask

struct Key {
    uint16_t number;
    uint32_t client;
    uint32_t row[2];
};

struct Entry {
    bool valid = false, bad = false;
    uint16_t number = 0;
    uint32_t client = 0, slot = 0, generation = 0, last = 0, timeout = 0;

    bool zero() const { return !valid && !bad; }
};

struct Member {
    bool hit = false;
    uint32_t slot = 0, generation = 0;
    bool operator==(const Member& m) const { return hit == m.hit && (!hit || (slot == m.slot && generation == m.generation)); }
};

struct Keep {
    Key key;
    uint32_t slot, generation, timeout;
};

struct Bench {
    VerilatedContext context;
    Vps_affinity_tb top{&context};
    std::mt19937 rng;
    tb::FlowHash hash;
    uint32_t rows = 0, of_number[2][16] = {};
    std::vector<Entry> model[2];
    std::vector<Key> keys;
    uint32_t unit = 0, sweep_at = 0;
    uint64_t cycle = 0, learned = 0, evicted = 0, errors = 0, met = 0;
    std::deque<Keep> waiting;                    // that the card has not done yet
    std::set<uint32_t> error_at, marked;

    explicit Bench(uint32_t seed, uint32_t unit0 = 5) : rng(seed), unit(unit0) {
        context.randReset(2), context.randSeed(int(seed) | 1);
        top.clk_i = 0, top.eval();
        rows = 1u << top.rows_log2_o;
        top.time_i = uint64_t(unit) << 26;
        secret();
        top.rst_i = 1;
        for (int i = 0; i < 4; i++) edge();
        top.rst_i = 0;
        clear();
        number_bits();
    }
    // Takes a new one; it counts from the next clearing on.
    void secret() {
        for (auto& w : hash.secret) w = uint16_t(rng());
        std::memcpy(&top.secret_i, hash.secret.data(), 24);
    }
    void clear() {
        top.clear_i = 1;
        for (int i = 0; i < 4; i++) edge();
        for (uint32_t i = 0; i < 2 * rows; i++) top.clear_we_i = 1, top.clear_index_i = i, edge();
        top.clear_we_i = 0;
        for (int i = 0; i < 3; i++) edge();
        top.clear_i = 0;
        for (int i = 0; i < 20; i++) edge();
        for (auto& way : model) way.assign(rows, Entry{});
        waiting.clear(), marked.clear();
        errors = met = 0;
        if (top.busy_o) fail("it is not at rest after the clearing");
    }
    void edge() {
        top.mark_ready_i = rng() % 4 != 0;
        top.clk_i = 0, top.eval();
        if (top.mark_o && top.mark_ready_i) {
            if (top.mark_set_o) marked.insert(top.mark_index_o);
            else marked.erase(top.mark_index_o);
        }
        top.clk_i = 1, top.eval(), cycle++;
        for (int e = 0; e < 3; e++) if (top.error_o[e]) errors++, error_at.insert(top.error_index_o[e]);
        learned += top.learned_o, evicted += top.evicted_o;
        if (top.evicted_o && !top.learned_o) fail("somebody gave way to nobody");
        if (top.swept_o) swept();
        if (top.kept_o) {
            if (waiting.empty()) fail("somebody is kept of whom nobody spoke");
            apply(waiting.front()), waiting.pop_front();
        }
    }

    // --- Where keys stand
    void number_bits() {
        static const uint32_t none[6] = {};
        std::memcpy(&top.where_secret_i, none, 24);
        top.where_client_i = 0;
        auto at = [&](uint16_t number, int way) {
            top.where_number_i = number, top.eval();
            return top.where_o[way];
        };
        for (int way = 0; way < 2; way++)
            for (int b = 0; b < 16; b++) of_number[way][b] = at(uint16_t(1 << b), way) ^ at(0, way);
    }
    uint32_t row(uint32_t client, uint16_t number, int way) const {
        // The secret that hash has is the one that counts: XORed with constants by the card, and by client_hash.
        static const uint64_t base[3] = {0x10925cf239d0087aull, 0x1b1c5dce7dd49911ull, 0x0d0ab24dc55ec90full};
        tb::Hash96 s{};
        for (int j = 0; j < 3; j++) {
            uint16_t k[2];
            for (int i = 0; i < 2; i++) k[i] = uint16_t(hash.secret[2 * j + i] ^ uint16_t(base[(2 * j + i) / 4] >> (2 * j + i) % 4 * 16));
            s[j] = uint32_t(uint16_t(client + k[0])) * uint16_t((client >> 16) + k[1]);
        }
        uint32_t r = 0;
        for (unsigned b = 0; 1u << b < rows; b++) r |= uint32_t(hash.bit(s, int(16 * way + b))) << b;
        for (int b = 0; b < 16; b++) if (number >> b & 1) r ^= of_number[way][b];
        return r;
    }
    Key key(uint16_t number, uint32_t client) const { return {number, client, {row(client, number, 0), row(client, number, 1)}}; }
    // Keys of which each has its rows among a few of either way, or close to where the sweep is about to come.
    void meet(unsigned count, unsigned few, bool near = false) {
        std::vector<uint16_t> of_row[1 << 15];
        for (uint32_t n = 1; n < 65536; n++) {
            uint32_t r = 0;
            for (int b = 0; b < 16; b++) if (n >> b & 1) r ^= of_number[0][b];
            of_row[r % rows].push_back(uint16_t(n));
        }
        keys.clear();
        uint32_t base[2] = {uint32_t(rng()), uint32_t(rng())};
        if (near) base[0] = (sweep_at + 8) & ~7u, base[1] = base[0] + 8;
        while (keys.size() < count) {
            uint32_t client = uint32_t(rng()), r0 = row(client, 0, 0);
            for (uint32_t f = 0; f < few; f++) {
                uint32_t want = (f ^ base[0]) & (rows - 1);
                for (uint16_t n : of_row[(r0 ^ want) & (rows - 1)]) {
                    Key k = key(n, client);
                    if (((k.row[1] ^ base[1]) & (rows - 1)) < few) keys.push_back(k);
                }
            }
        }
        keys.resize(count);
        // Others of the same client, and of the same number.
        for (unsigned i = 0; i < 4; i++) keys.push_back(key(uint16_t(keys[i].number ^ 1), keys[i].client)), keys.push_back(key(keys[i].number, keys[i].client ^ 1));
        for (const Key& k : keys) {
            std::memcpy(&top.where_secret_i, hash.secret.data(), 24);
            top.where_client_i = k.client, top.where_number_i = k.number, top.eval();
            if (top.where_o[0] != k.row[0] || top.where_o[1] != k.row[1]) fail("rows of a key", k.client, k.number);
        }
    }
    const Key& any() { return keys[rng() % keys.size()]; }

    // --- The model
    bool counts(const Entry& e) const { return e.valid && !e.bad && ((unit - e.last) & Units) <= e.timeout; }
    bool mine(const Entry& e, const Key& k) const { return counts(e) && e.number == k.number && e.client == k.client; }
    Member member(const Key& k) const {
        for (int w = 0; w < 2; w++) {
            const Entry& e = model[w][k.row[w]];
            if (mine(e, k)) return {true, e.slot, e.generation};
        }
        return {};
    }
    uint64_t due_learned = 0, due_evicted = 0;
    void apply(const Keep& p) {
        Entry* e[2] = {&model[0][p.key.row[0]], &model[1][p.key.row[1]]};
        met += e[0]->bad + e[1]->bad;
        int way;
        if (mine(*e[0], p.key)) way = 0;
        else if (mine(*e[1], p.key)) way = 1;
        else {
            due_learned++;
            if (!counts(*e[0])) way = 0;
            else if (!counts(*e[1])) way = 1;
            else way = ((unit - e[1]->last) & Units) > ((unit - e[0]->last) & Units), due_evicted++;
        }
        *e[way] = {true, false, p.key.number, p.key.client, p.slot, p.generation, unit, p.timeout};
    }
    void swept() {
        for (auto& way : model) {
            Entry& e = way[sweep_at];
            met += e.bad;
            if (!counts(e)) e = {};
        }
        sweep_at = (sweep_at + 1) % rows;
    }

    // --- What is done
    void settle() {
        for (int n = 0; n < 4 || top.busy_o || !waiting.empty(); n++) {
            if (n > 2000) fail("it does not come to rest");
            edge();
        }
        if (learned != due_learned || evicted != due_evicted) fail("clients learned and evicted", learned << 32 | due_learned, evicted << 32 | due_evicted);
    }
    void put(const Keep& p) {
        top.keep_i = 1, top.keep_client_i = p.key.client, top.keep_number_i = p.key.number, top.keep_timeout_i = p.timeout;
        top.keep_slot_i = uint16_t(p.slot), top.keep_generation_i = uint8_t(p.generation);
        waiting.push_back(p);
    }
    Keep some(const Key& k) { return {k, uint32_t(rng() % 2048), uint32_t(rng() % 256), uint32_t(rng() % 8 ? rng() % 40 : rng() % 2 ? 1u << 19 : 0)}; }
    void keep(const Keep& p) {
        put(p), edge();
        top.keep_i = 0;
        settle();
    }
    // Back to back, at rest: exactly what the model says.
    void look(const std::vector<Key>& of) {
        std::deque<std::pair<uint64_t, Key>> asked;
        for (size_t i = 0; i < of.size() || !asked.empty(); i++) {
            top.look_i = i < of.size();
            if (top.look_i) {
                top.client_i = of[i].client, top.number_i = of[i].number;
                asked.push_back({cycle + top.answers_o, of[i]});
                for (int w = 0; w < 2; w++) met += of[i].number != 0 && model[w][of[i].row[w]].bad;
            } else top.number_i = uint16_t(rng());
            edge();
            bool due = !asked.empty() && asked.front().first == cycle;
            if (!due) {
                if (top.hit_o) fail("an answer to nobody", cycle);
                continue;
            }
            Key k = asked.front().second;
            asked.pop_front();
            Member want = k.number ? member(k) : Member{}, is{bool(top.hit_o), top.slot_o, top.generation_o};
            if (!(want == is)) fail(want.hit ? is.hit ? "another member" : "a client is not found" : "a client is found", k.client, k.number);
        }
        edge(), edge();
    }
    void access(bool write, uint32_t index, bool flip = false) {
        top.read_i = !write, top.write_i = write, top.flip_i = flip, top.index_i = index;
        edge();
        top.read_i = top.write_i = top.flip_i = 0;
        for (int n = 0; !top.done_o; n++) {
            if (n > 30) fail("the host waits", index);
            edge();
        }
    }
    void erase(uint32_t way, uint32_t row, bool flip = false) {
        access(true, way << top.rows_log2_o | row, flip);
        model[way][row] = {};
        model[way][row].bad = flip;
    }
    void check(uint32_t way, uint32_t row) {
        access(false, way << top.rows_log2_o | row);
        const Entry& e = model[way][row];
        if (bool(top.bad_o) != e.bad) fail("parity that the host reads", way, row);
        auto bits = [&](unsigned at, unsigned count) {
            uint64_t v = 0;
            for (unsigned b = 0; b < count; b++) v |= uint64_t(top.entry_o[(at + b) / 32] >> (at + b) % 32 & 1) << b;
            return v;
        };
        if (bits(0, 1) != e.valid || bits(1, 16) != e.number || bits(17, 32) != e.client || bits(49, 11) != e.slot ||
            bits(60, 8) != e.generation || bits(68, 20) != e.last || bits(88, 20) != e.timeout) fail("an entry that the host reads", way, row);
    }
    void check_all() {
        settle();
        std::set<uint32_t> valid;
        for (uint32_t w = 0; w < 2; w++)
            for (uint32_t r = 0; r < rows; r++) if (model[w][r].valid) valid.insert(w << top.rows_log2_o | r);
        if (marked != valid) fail("entries that are marked as valid", marked.size(), valid.size());
        for (int w = 0; w < 2; w++) {
            std::set<uint32_t> at;
            for (const Key& k : keys) at.insert(k.row[w]);
            for (uint32_t r : at) check(uint32_t(w), r);
        }
        look(keys);
        if (errors != met) fail("entries with the wrong parity that were met", errors, met);
    }
    // At rest: card time comes to another unit, and a row is swept.
    void tick(uint32_t units) {
        unit = (unit + units) & Units;
        top.time_i = uint64_t(unit) << 26 | (rng() & 0x3ffffff);
        for (int n = 0; !top.swept_o; n++) {
            if (n > 30) fail("a row is not swept");
            edge();
        }
        settle();
    }
};

// One thing at a time, exactly: who is kept where, who gives way, what expires, what is deleted or spoilt.
void at_rest(uint32_t seed) {
    Bench b(seed, seed % 2 ? 5 : Units - 30);
    for (int round = 0; round < 4; round++) {
        b.meet(24 + 30 * round, 1u << round, round % 2);
        for (int n = 0; n < 900; n++) {
            const Key& k = b.any();
            switch (b.rng() % 16) {
                case 0: b.erase(b.rng() % 2, k.row[0]); break;
                case 1: b.erase(1, k.row[1], b.rng() % 2); break;
                case 2: b.erase(0, k.row[0], b.rng() % 2); break;
                case 3: b.tick(b.rng() % 4 ? 1 : 1 + b.rng() % 50); break;
                case 4: b.top.time_i = uint64_t(b.unit) << 26 | (b.rng() & 0x3ffffff); break;
                case 5: b.look(b.keys); break;
                case 6: b.look({Key{0, k.client, {k.row[0], k.row[1]}}, k, Key{0, k.client, {k.row[0], k.row[1]}}}); break;
                default: b.keep(b.some(k)), b.look({k, b.any(), k});
            }
        }
        b.check_all();
        b.clear();
        b.check_all();
    }
    std::printf("at rest: ok, %llu learned, %llu gave way\n", (unsigned long long)b.learned, (unsigned long long)b.evicted);
}

// Everything at once: clients as fast as they are taken, look-ups in every cycle, the host's deletes and reads, units that go by. A look-up
// shows what stood at some moment while it was under way.
void at_once(uint32_t seed, unsigned gap) {
    Bench b(seed);
    b.meet(16, 2);
    struct Asked {
        uint64_t due;
        size_t of;
        std::vector<Member> may;
    };
    std::deque<Asked> asked;
    auto note = [&] {
        for (Asked& a : asked) {
            Member m = b.member(b.keys[a.of]);
            if (std::find(a.may.begin(), a.may.end(), m) == a.may.end()) a.may.push_back(m);
        }
    };
    bool host = false, host_writes = false;
    uint32_t host_at = 0, more = 0;
    uint64_t kept = 0, hits = 0, last_tick = 0;
    for (int n = 0; n < 60000; n++) {
        // A stop is seen some cycles later.
        more = b.top.room_o ? 6 : more ? more - 1 : 0;
        b.top.keep_i = 0;
        if (more && n % gap == 0) {
            Keep p = b.some(b.any());
            p.timeout = p.timeout % 4;
            b.put(p), kept++;
        }
        b.top.look_i = 1;
        size_t of = b.rng() % b.keys.size();
        b.top.client_i = b.keys[of].client, b.top.number_i = b.keys[of].number;
        asked.push_back({b.cycle + b.top.answers_o, of, {b.member(b.keys[of])}});
        b.top.read_i = b.top.write_i = 0;
        if (!host && b.rng() % 20 == 0) {
            host = true, host_writes = b.rng() % 2;
            uint32_t way = b.rng() % 2;
            host_at = b.any().row[way];
            b.top.read_i = !host_writes, b.top.write_i = host_writes, b.top.index_i = host_at | way << b.top.rows_log2_o;
            host_at = b.top.index_i;
        }
        if (b.cycle > last_tick + 400 && b.waiting.empty()) {
            last_tick = b.cycle;
            b.unit = (b.unit + 1) & Units, b.top.time_i = uint64_t(b.unit) << 26;
        }
        b.edge();
        // What counts now, at the edge, and when the card has seen the time.
        if (host && b.top.done_o) {
            host = false;
            if (host_writes) b.model[host_at >> b.top.rows_log2_o][host_at & (b.rows - 1)] = {};
        }
        note();
        if (!asked.empty() && asked.front().due == b.cycle) {
            Asked a = asked.front();
            asked.pop_front();
            Member is{bool(b.top.hit_o), b.top.slot_o, b.top.generation_o};
            hits += is.hit;
            if (std::find(a.may.begin(), a.may.end(), is) == a.may.end()) fail("a look-up shows what never stood", b.keys[a.of].client, b.cycle);
        }
    }
    b.top.look_i = b.top.keep_i = b.top.read_i = b.top.write_i = 0;
    while (host) {
        b.edge();
        if (b.top.done_o) {
            host = false;
            if (host_writes) b.model[host_at >> b.top.rows_log2_o][host_at & (b.rows - 1)] = {};
        }
    }
    for (unsigned i = 0; i < b.top.answers_o + 2; i++) b.edge();
    // What the sweep has met of these rows is gone if it did not count.
    b.settle();
    b.check_all();
    if (hits < 10000 || b.evicted < 100) fail("nothing happened", hits, b.evicted);
    std::printf("at once: ok, %.1f cycles a client, %llu hits, %llu gave way\n", 60000.0 / double(kept), (unsigned long long)hits, (unsigned long long)b.evicted);
}

// A whole round of the sweep: what has expired goes, what has not stays, and nothing comes to life again when time has gone round.
void whole_round(uint32_t seed) {
    Bench b(seed, Units - 20000);
    for (int i = 0; i < 400; i++) {
        b.keys.push_back(b.key(uint16_t(1 + b.rng() % 65535), uint32_t(b.rng())));
        b.keep({b.keys.back(), uint32_t(b.rng() % 2048), uint32_t(b.rng() % 256), i % 2 ? 1u << 19 : uint32_t(b.rng() % 65536)});
    }
    b.erase(0, b.rows - 1, true), b.erase(1, 0, true), b.erase(1, b.keys[0].row[1], true);
    for (uint32_t n = 0; n < b.rows; n++) {
        b.tick(1);
        if (n % 4096 == 5) b.check_all();
    }
    b.check_all();
    b.check(0, b.rows - 1), b.check(1, 0);
    if (b.errors != b.met || b.met < 3) fail("the sweep does not meet what is spoilt", b.errors, b.met);
    b.tick(495000);
    for (uint32_t n = 0; n < b.rows; n++) b.tick(1);
    uint64_t there = 0;
    for (auto& way : b.model) for (Entry& e : way) there += !e.zero();
    b.check_all();
    if (there != 0) fail("something is left", there);
    std::printf("round: ok\n");
}

// As many as may come after there is no room: none is lost. What was there before a clearing is not after it.
void crowd(uint32_t seed) {
    Bench b(seed);
    b.meet(20, 4);
    for (int round = 0; round < 20; round++) {
        int more = 8;
        for (int n = 0; n < 200; n++) {
            b.top.keep_i = 0;
            if (!b.top.room_o && more > 0) more--;
            if (more > 0) b.put(b.some(b.any()));
            b.edge();
        }
        b.top.keep_i = 0;
        if (round % 5 == 4) {
            for (uint32_t i = 0; i < 3; i++) b.put(b.some(b.any())), b.edge();
            b.top.keep_i = 0;
            b.secret();
            b.clear();
            b.due_learned = b.learned, b.due_evicted = b.evicted;
            b.look(b.keys);
            b.meet(20, 4);
        }
        b.check_all();
    }
    std::printf("crowd: ok\n");
}

}  // namespace

int main() {
    at_rest(1);
    at_rest(2);
    crowd(3);
    at_once(4, 1);
    at_once(5, 13);
    whole_round(6);
    std::printf("ok\n");
}
