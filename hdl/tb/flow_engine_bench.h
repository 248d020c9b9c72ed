// The engine of the flow table with its memories, as its benches drive it: asks for pairs, looks keys up, and keeps account.
#pragma once
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <random>
#include <set>
#include <tuple>
#include <vector>

#include "Vps_flow_engine_tb.h"
#include "flow_hash.h"
#include "verilated.h"

namespace tb {

[[noreturn]] inline void fail(const char* what, uint64_t a = 0, uint64_t b = 0) {
    std::fprintf(stderr, "FAIL: %s (%llx, %llx)\n", what, (unsigned long long)a, (unsigned long long)b);
    std::exit(1);
}

struct Pair {
    FlowKey key, reverse;
    uint32_t info, pair;
    uint64_t asked;          // cycle
    uint16_t number;         // under which its client is kept, or 0
};

// Cycles in which an admitted pair is written, however often it must try.
constexpr uint64_t Placed = 1500;

struct Bench {
    VerilatedContext context;
    Vps_flow_engine_tb top{&context};
    FlowHash hash;
    std::mt19937 rng;
    unsigned rows, slots;
    uint64_t cycle = 0, learned = 0, full = 0, removed = 0, kept = 0;
    std::vector<size_t> present;             // pairs that verify() has found
    bool structured = false, probes = false;
    unsigned few_rows = 0;                   // keys all stand in these first rows of each way; 0: in any
    uint32_t serial = 0;
    std::vector<Pair> pairs;                 // that were asked for, in order
    std::vector<char> refused;
    std::map<uint32_t, size_t> by_pair;      // who has a pair id
    std::set<uint32_t> marked;

    struct Look {
        uint64_t due, data_due;
        size_t of;
        bool reverse, must;
        bool found;
    };
    std::deque<Look> looks, datas;
    bool keeps = false;                      // some requests have their clients kept,
    std::deque<Pair> to_keep;                // who will be, in order
    unsigned room = 0;                       // how many may be yet, once there is no room

    explicit Bench(uint32_t seed) : rng(seed) {
        top.clk_i = 0, top.eval();
        rows = 1u << top.rows_log2_o, slots = 16 * rows;
        for (auto& w : hash.secret) w = uint16_t(rng());
        std::memcpy(&top.secret_i, hash.secret.data(), 24);
        top.rst_i = 1, top.clear_i = 1, top.keep_room_i = 1;
        for (int i = 0; i < 4; i++) edge();
        top.rst_i = 0;
        for (int i = 0; i < 4; i++) edge();
        for (unsigned i = 0; i < slots; i++) top.clear_we_i = 1, top.clear_index_i = i, edge();
        top.clear_we_i = 0;
        for (int i = 0; i < 4; i++) edge();
        top.clear_i = 0;
        for (int i = 0; i < 100; i++) edge();
    }
    void edge() {
        top.clk_i = 0, top.eval();
        top.clk_i = 1, top.eval();
        cycle++;
    }
    FlowKey next_key() {
        FlowKey k;
        if (structured) {
            uint32_t n = serial++;
            return FlowKey{7, 0x0006, 0x0a00, uint16_t(1 + (n >> 12)), 0x0a69, 0x8b99, uint16_t(1024 + n % 4096), 80};
        }
        do {
            for (auto& w : k) w = uint16_t(rng());
            k[7] &= 0xff;
        } while (few_rows && !in_few_rows(k));
        return k;
    }
    bool in_few_rows(const FlowKey& k) {
        auto h = hash(k);
        for (unsigned way = 0; way < 4; way++)
            if ((h[way / 2] >> way % 2 * 16 & (rows - 1)) >= few_rows) return false;
        return true;
    }
    // The key has 120 bits: {dport, sport, dip, sip, proto, nh}; here it is only that both directions differ.
    FlowKey turned(const FlowKey& k) {
        FlowKey r = k;
        r[0] ^= 0x8000, r[2] = k[4], r[3] = k[5], r[4] = k[2], r[5] = k[3];
        return r;
    }
    void put(void* to, const FlowKey& k) { std::memcpy(to, k.data(), 16); }
    void put_hash(void* to, const FlowKey& k) {
        auto h = hash(k);
        std::memcpy(to, h.data(), 12);
    }

    Pair next{};
    bool have_next = false;

    // What was told: which pairs there are, with their forward keys; of the last one, what became of it.
    std::map<uint32_t, FlowKey> told;
    unsigned last_kind = 0, last_reason = 0;
    uint32_t last_member = 0;
    FlowKey last_key{};
    bool last_plain = false;
    void hear() {
        if (!top.news_o) return;
        FlowKey key{};
        std::memcpy(key.data(), &top.news_key_o, 15);
        auto it = told.find(top.news_pair_o);
        if (top.news_kind_o == 3) {
            if (!told.insert({top.news_pair_o, key}).second) fail("a pair is told as made that is there", top.news_pair_o);
        } else if (it == told.end() || it->second != key) {
            fail("something is told of a pair that is not there, or has another key", top.news_pair_o, top.news_kind_o);
        } else if (top.news_kind_o == 4) {
            told.erase(it);
        } else if (top.news_kind_o != 5) {
            fail("nobody knows what is told", top.news_kind_o);
        }
        last_kind = top.news_kind_o, last_reason = top.news_reason_o, last_key = key, last_plain = top.news_plain_o, last_member = top.news_member_o;
    }
    // One cycle: asks for a pair if told to, looks something up.
    bool step(bool ask) {
        if (ask && !have_next) {
            next.key = next_key(), next.reverse = few_rows ? next_key() : turned(next.key), next.info = uint32_t(rng()), next.number = keeps && rng() % 4 ? uint16_t(rng()) : 0;
            have_next = true;
            put(&top.key_i, next.key), put(&top.reverse_key_i, next.reverse);
            put_hash(&top.hash_i, next.key), put_hash(&top.reverse_hash_i, next.reverse);
            top.info_i = next.info, top.number_i = next.number;
        }
        top.valid_i = ask;
        if (keeps && rng() % 50 == 0) top.keep_room_i = !top.keep_room_i;
        room = top.keep_room_i ? 6 : room;
        top.look_i = 0;
        if (!pairs.empty() && looking) {
            size_t of = rng() % pairs.size();
            bool reverse = rng() & 1;
            const FlowKey& k = reverse ? pairs[of].reverse : pairs[of].key;
            top.look_i = 1;
            put(&top.look_key_i, k), put_hash(&top.look_hash_i, k);
            bool settled = cycle > pairs[of].asked + Placed;
            looks.push_back({cycle + top.found_cycles_o, 0, of, reverse, settled, false});
        }
        top.probe_i = probes && cycle % 2 == 0;
        if (top.probe_i) put_hash(&top.probe_hash_i, next.key);
        top.clk_i = 0, top.eval();
        bool asked = top.ask_o;
        if (asked) {
            next.pair = top.pair_o, next.asked = cycle;
            if (by_pair.count(next.pair) && !unsure && full == 0) fail("a pair id is given out twice", next.pair);
            by_pair[next.pair] = pairs.size();
            pairs.push_back(next), refused.push_back(0);
            if (next.number != 0 && top.kind_i == 0 && !top.slow_i) to_keep.push_back(next);
            have_next = false;
        }
        top.clk_i = 1, top.eval();
        cycle++;
        hear();
        if (top.keep_o) check_keep();
        learned += top.learned_o;
        full += top.full_o;
        for (int m = 1; m >= 0; m--) {
            if (!top.mark_o[m]) continue;
            if (top.mark_set_o[m]) marked.insert(top.mark_index_o[m]);
            else marked.erase(top.mark_index_o[m]);
        }
        check_looks();
        return asked;
    }
    void check_keep() {
        if (to_keep.empty()) fail("a client is kept of whom nobody spoke");
        const Pair& p = to_keep.front();
        uint32_t client = uint32_t(p.key[1] >> 8 | p.key[2] << 8) | uint32_t(p.key[3]) << 24;
        if (top.keep_number_o != p.number || top.keep_client_o != client || top.keep_slot_o != (p.info & 0x7ff) ||
            top.keep_generation_o != (p.info >> 11 & 0xff) || top.keep_timeout_o != (~uint32_t(p.number) & 0xfffff)) fail("another client is kept", client, top.keep_client_o);
        to_keep.pop_front();
        if (room-- == 0) fail("too many clients are kept at once");
    }
    void check_looks() {
        while (!looks.empty() && looks.front().due == cycle) {
            Look l = looks.front();
            looks.pop_front();
            l.found = top.found_o;
            // As long as none has been refused all are there, from then on in every cycle.
            if (l.must && !l.found && !unsure && full == 0) fail("a pair that was admitted is not found", l.of, l.reverse);
            if (l.found) {
                if (top.found_pair_o != pairs[l.of].pair || bool(top.reverse_o) != l.reverse) fail("a key is found as another's", l.of);
                l.data_due = cycle + top.data_cycles_o;
                datas.push_back(l);
            }
        }
        while (!datas.empty() && datas.front().data_due == cycle) {
            Look l = datas.front();
            datas.pop_front();
            uint32_t info = l.reverse ? ~pairs[l.of].info : pairs[l.of].info;
            if (top.info_o != info) fail("data of another entry", top.info_o, info);
        }
    }
    bool looking = true;
    bool unsure = false;    // pairs may have gone
    void settle() {
        for (int i = 0; i < 4000; i++) {
            step(false);
            if (!top.busy_o && i > 300) break;
        }
        if (top.busy_o) fail("the engine does not come to rest");
        if (!to_keep.empty()) fail("a client is not kept");
        if (2 * told.size() != top.in_use_o) fail("pairs that are told of", told.size(), top.in_use_o);
        if (2 * top.shared_o != int(top.in_use_o)) fail("pairs that shares have", top.shared_o, top.in_use_o);
        bool was = looking;
        looking = false;
        while (!looks.empty() || !datas.empty()) step(false);
        looking = was;
    }
    // Each key of every pair once, and either both or none; as many as are counted.
    void verify() {
        settle();
        uint64_t there = 0;
        std::vector<char> seen(2 * pairs.size());
        for (size_t i = 0; i < 2 * pairs.size() + 40; i++) {
            top.valid_i = 0, top.look_i = i < 2 * pairs.size();
            if (top.look_i) {
                const FlowKey& k = i & 1 ? pairs[i / 2].reverse : pairs[i / 2].key;
                put(&top.look_key_i, k), put_hash(&top.look_hash_i, k);
                looks.push_back({cycle + top.found_cycles_o, 0, i / 2, bool(i & 1), false, false});
            }
            top.clk_i = 0, top.eval(), top.clk_i = 1, top.eval(), cycle++;
            while (!looks.empty() && looks.front().due == cycle) {
                Look l = looks.front();
                if (top.found_o) seen[2 * l.of + l.reverse] = 1, there++;
                check_looks();
            }
            check_looks();
        }
        for (size_t i = 0; i < pairs.size(); i++)
            if (seen[2 * i] != seen[2 * i + 1]) fail("half a pair", i);
        if (there != top.in_use_o) fail("FlowsInUse", there, top.in_use_o);
        if (there + 2 * removed != 2 * learned) fail("FlowsLearned", there, learned);
        if (there + 2 * full + 2 * removed + 2 * kept != 2 * pairs.size()) fail("pairs learned and refused", there, full);
        present.clear();
        for (size_t i = 0; i < pairs.size(); i++) if (seen[2 * i]) present.push_back(i);
        if (marked.size() != there) fail("slots marked", marked.size(), there);
    }
};

}  // namespace tb
