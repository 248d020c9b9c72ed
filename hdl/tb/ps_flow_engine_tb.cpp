// Bench of ps_flow_engine: fills the table as fast as it takes pairs, with look-ups in every cycle and probes in some, and compares
// with a map. Prints the cycles a pair at each load.
#include "flow_engine_bench.h"

namespace {

using namespace tb;

// What the host reads at an index, and deletes.
void host(Bench& b, uint32_t index, bool write) {
    b.top.host_valid_i = 1, b.top.host_write_i = write, b.top.host_index_i = index;
    for (int n = 0; !b.top.host_done_o; n++) {
        if (n > 3000) fail("the host waits for ever");
        b.step(false);
    }
    b.top.host_valid_i = 0;
    b.step(false);
}

// A request that is not for the fast path.
void ask(Bench& b, int kind, const FlowKey& key, const FlowKey& reverse, bool plain, uint16_t number = 0, bool keeps = false, uint32_t info = 0) {
    b.settle();
    b.next = {key, reverse, info ? info : uint32_t(b.rng()), 0, 0, number}, b.have_next = true;
    b.top.number_i = number;
    if (keeps) b.to_keep.push_back(b.next);
    b.put(&b.top.key_i, key), b.put(&b.top.reverse_key_i, reverse);
    b.put_hash(&b.top.hash_i, key), b.put_hash(&b.top.reverse_hash_i, reverse);
    b.top.info_i = b.next.info, b.top.kind_i = kind, b.top.slow_i = 1, b.top.plain_i = plain;
    for (int n = 0; !b.step(true); n++) if (n > 3000) fail("a request is never taken");
    b.top.kind_i = 0, b.top.slow_i = 0;
    b.settle();
}

struct Found {
    bool hit, reverse;
    uint32_t pair;
    uint32_t info, member;
};

Found look(Bench& b, const FlowKey& k) {
    b.settle();
    b.top.look_i = 1, b.put(&b.top.look_key_i, k), b.put_hash(&b.top.look_hash_i, k);
    b.edge();
    b.top.look_i = 0;
    for (unsigned i = 1; i < b.top.found_cycles_o; i++) b.edge();
    Found f{bool(b.top.found_o), bool(b.top.reverse_o), b.top.found_pair_o, 0, 0};
    for (unsigned i = 0; i < b.top.data_cycles_o; i++) b.edge();
    f.info = b.top.info_o, f.member = b.top.member_o;
    return f;
}

// The requests and deletes of the slow path, one at a time, on a table that is three quarters full.
void changes(uint32_t seed) {
    Bench b(seed);
    b.unsure = true, b.top.plain_i = 1;
    while (b.pairs.size() < b.slots / 2 * 3 / 4) b.step(true);
    b.verify();
    b.looking = false;
    auto pick = [&] {
        for (;;) {
            size_t at = b.rng() % b.present.size(), i = b.present[at];
            b.present.erase(b.present.begin() + long(at));
            if (look(b, b.pairs[i].key).hit) return i;
        }
    };
    for (int round = 0; round < 12; round++) {
        // Host: what is marked is there, and goes as a pair.
        auto it = b.marked.begin();
        std::advance(it, b.rng() % b.marked.size());
        uint32_t index = *it, in_use = b.top.in_use_o;
        host(b, index, false);
        if (!b.top.host_used_o) fail("the host does not find what is marked", index);
        Pair& p = b.pairs[b.by_pair.at(b.top.host_pair_o)];
        const FlowKey& k = b.top.host_reverse_o ? p.reverse : p.key;
        if (std::memcmp(&b.top.host_key_o, k.data(), 15) != 0) fail("the host reads another key", index);
        if (b.top.host_info_o != (b.top.host_reverse_o ? ~p.info : p.info)) fail("the host reads other data", index);
        host(b, index, true);
        b.settle(), b.removed++;
        if (b.last_kind != 4 || b.last_reason != 3 || b.last_key != p.key || !b.last_plain) fail("what is told of a delete", b.last_kind, b.last_reason);
        if (look(b, p.key).hit || look(b, p.reverse).hit) fail("a deleted pair is found", index);
        if (b.top.in_use_o != in_use - 2 || b.marked.count(index)) fail("a deleted pair counts", b.top.in_use_o, in_use);
        host(b, index, false);
        if (b.top.host_used_o) fail("a deleted entry is read", index);
        b.present.erase(std::find(b.present.begin(), b.present.end(), size_t(&p - b.pairs.data())));

        // Replace: another pair with the same keys.
        size_t i = pick();
        Pair old = b.pairs[i];
        ask(b, 1, old.key, old.reverse, true);
        Found f = look(b, old.key), r = look(b, old.reverse);
        if (!f.hit || !r.hit || f.pair == old.pair || f.pair != r.pair || f.reverse || !r.reverse) fail("replace", f.pair, r.pair);
        if (b.top.in_use_o != in_use - 2) fail("replace counts", b.top.in_use_o, in_use);
        if (b.last_kind != 3 || b.last_key != old.key || b.told.count(old.pair)) fail("what is told of a replacement", b.last_kind);
        // Begun from the other side.
        ask(b, 1, old.reverse, old.key, true);
        f = look(b, old.reverse), r = look(b, old.key);
        if (!f.hit || !r.hit || f.pair != r.pair || f.reverse || !r.reverse) fail("replace from the other side", f.pair, r.pair);
        // Re-pin that changes nothing: the pair stays, and the one that it was given goes back.
        ask(b, 2, old.reverse, old.key, true);
        if (look(b, old.key).pair != r.pair) fail("re-pin", r.pair);

        // New, with the reverse key of a plain pair: that goes; not for one that is not plain.
        i = pick();
        old = b.pairs[i];
        FlowKey other = b.next_key();
        ask(b, 0, other, old.reverse, false);
        if (look(b, other).hit || !look(b, old.key).hit) fail("a stranger takes a pair's place");
        ask(b, 0, other, old.reverse, true);
        f = look(b, other), r = look(b, old.reverse);
        if (!f.hit || !r.hit || f.pair != r.pair || look(b, old.key).hit) fail("a plain pair does not give way", f.pair, r.pair);
        // Re-pin of a forward entry with another reverse key: the pair keeps its id.
        FlowKey turned = b.next_key();
        ask(b, 2, other, turned, false);
        if (b.top.in_use_o != in_use - 2) fail("changes count", b.top.in_use_o, in_use);
        // Of an entry that has gone: a pair as any other; of a reverse entry: the pair is turned round.
        ask(b, 2, b.next_key(), turned, true);
        f = look(b, turned);
        if (!f.hit || !f.reverse || b.top.in_use_o != in_use) fail("re-pin of what has gone", f.hit, b.top.in_use_o);
        ask(b, 2, turned, b.next_key(), true);
        r = look(b, turned);
        if (!r.hit || r.reverse || r.pair == f.pair || b.top.in_use_o != in_use) fail("re-pin from the other side", r.hit, b.top.in_use_o);
    }
    if (b.marked.size() != b.top.in_use_o) fail("slots marked", b.marked.size(), b.top.in_use_o);
    std::printf("changes: ok\n");
}

// Packets of an entry that come by another tunnel: the entry follows them, and its partner is pinned to the member that is there. What a
// service sends comes from a member, until the connection is established.
void moves(uint32_t seed) {
    constexpr uint32_t Member = 1u << 19 | 7u << 11 | 5u;
    Bench b(seed);
    b.unsure = true, b.top.plain_i = 1, b.looking = false;
    while (b.pairs.size() < 32) b.step(true);
    b.settle();
    for (unsigned n = 0; n < 32; n++) {
        Pair p = b.pairs[n];
        bool service = n & 1, found = n & 2, group = n & 4, established = n & 8, reverse = n & 16;
        b.top.far_service_i = service, b.top.walk_found_i = found, b.top.walk_group_i = group, b.top.established_i = established;
        const FlowKey &of = reverse ? p.reverse : p.key, &partner = reverse ? p.key : p.reverse;
        Found was = look(b, of), other = look(b, partner);
        if (!was.hit || !other.hit || was.member || other.member) fail("a pair that may move", n);
        b.last_kind = 0;
        ask(b, 4, of, partner, true);
        bool member = found && group, moved = service ? member && !established : true;
        Found f = look(b, of), o = look(b, partner);
        if (!f.hit || !o.hit || f.pair != was.pair || o.pair != was.pair) fail("a pair that moved is not there", n);
        if (f.info != (moved ? b.top.info_i : was.info)) fail("where an entry's packets come from", n, moved);
        if (o.info != other.info || f.member != 0) fail("a move changes something else", n);
        if (o.member != (moved && member ? Member : 0)) fail("the member of the partner", n, o.member);
        if (b.last_kind != (moved ? 5 : 0)) fail("what is told of a move", n, b.last_kind);
        if (moved && (b.last_key != p.key || b.last_plain == member)) fail("of what a move is told", n, b.last_plain);
        if (moved && b.last_member != (member ? 1u << 11 | 5u : 0)) fail("the member that is told", n, b.last_member);
        // Another packet asked for the same.
        uint32_t info = b.top.info_i;
        b.last_kind = 0;
        if (moved) ask(b, 4, of, partner, true, 0, false, info);
        if (moved && b.last_kind != 0) fail("a move that changes nothing is told", n);
    }
    ask(b, 4, b.next_key(), b.next_key(), true);
    if (b.top.in_use_o != 64) fail("a move of nothing", b.top.in_use_o);
    std::printf("moves: ok\n");
}

// Clients of new pairs are to be kept in their order, as fast as there is room; of others if they are made, or written again.
void keeps(uint32_t seed) {
    Bench b(seed);
    b.keeps = true, b.top.plain_i = 0, b.unsure = true;
    while (b.pairs.size() < b.slots / 4) b.step(b.rng() % 4 != 0);
    b.keeps = false;
    b.verify();
    b.looking = false;
    b.top.keep_room_i = 1;
    Pair p = b.pairs[b.present[0]], other = b.pairs[b.present[1]];
    auto expect = [&](int kind, const FlowKey& key, const FlowKey& reverse, bool made, uint16_t number) {
        ask(b, kind, key, reverse, false, number, made);
    };
    expect(1, p.key, p.reverse, true, 77);                    // replaced
    expect(1, p.key, p.reverse, true, 78);
    expect(2, p.key, b.next_key(), true, 79);                 // pinned again, with another reverse key
    if (b.last_kind != 5 || b.last_key != p.key || b.last_plain) fail("what is told of a re-pin", b.last_kind, b.last_plain);
    expect(0, p.key, b.next_key(), false, 80);                // it is there
    expect(0, b.next_key(), other.reverse, false, 81);        // another's reverse key is in the way
    expect(3, other.reverse, other.key, false, 82);           // a reverse entry's member
    expect(4, other.key, other.reverse, false, 83);           // a move
    expect(5, other.key, other.reverse, false, 84);           // whether it is dead
    expect(0, b.next_key(), b.next_key(), true, 85);
    std::printf("keeps: ok\n");
}

void fill(bool structured, uint32_t seed, bool probes, double last) {
    Bench b(seed);
    b.structured = structured, b.probes = probes;
    double from = 0;
    std::printf("%u slots%s%s:", b.slots, structured ? ", structured" : "", probes ? ", probes every second cycle" : "");
    for (double to : {0.5, 0.75, 0.85, 0.9, 0.95}) {
        if (to > last) break;
        uint64_t begun = b.cycle, had = b.pairs.size();
        // A pair every second cycle at most is what packets ask.
        for (uint64_t n = 0; b.pairs.size() < size_t(to * b.slots / 2); n++) {
            if (n > 40ull * b.slots) fail("no progress");
            b.step(true);
        }
        std::printf(" %.0f-%.0f %%: %.2f cycles a pair", from * 100, to * 100, double(b.cycle - begun) / double(b.pairs.size() - had));
        from = to;
    }
    b.verify();
    std::printf("; %llu of %zu refused\n", (unsigned long long)b.full, b.pairs.size());
    if (b.full > b.pairs.size() / 100 && last < 0.91 && b.slots > 1024) fail("too many refused");
    std::fflush(stdout);
}

// Pairs that come sixteen at once into few rows, so that many move residents of the same rows at a time.
void crowd(uint32_t seed) {
    Bench b(seed);
    b.few_rows = b.rows / 8;
    while (b.pairs.size() < b.slots / 8 / 2) {
        for (int n = 0; n < 16; n++)
            while (!b.step(true)) {}
        for (int n = 0; n < 400; n++) b.step(false);
    }
    b.verify();
    std::printf("crowd: %llu of %zu refused\n", (unsigned long long)b.full, b.pairs.size());
    std::fflush(stdout);
}

// Few rows that are always nearly full: pairs come in bursts while the host deletes, probes take the ports for a while and leave them
// again, and every key that stands there is looked up all the time, most of all while it is being moved. What was admitted is found in
// every cycle until it is deleted, and nothing else; what was given back can be had again.
struct Churn : Bench {
    static constexpr unsigned Rows = 8;      // of each way: 64 pairs fill them
    static constexpr unsigned Hot  = 80;     // cycles in which a key is looked up that may be moved

    struct Known {
        FlowKey key[2];
        Hash96 hash[2];
        uint32_t info = 0, pair = 0;
        bool asked = false;
        uint64_t from = 0;       // cycle from which on it must be found; 0: not
    };
    struct Asked {
        uint64_t due, at;
        unsigned of, side;
    };
    std::vector<Known> pool;
    std::map<FlowKey, std::pair<unsigned, unsigned>> whose;
    std::deque<std::pair<uint64_t, std::pair<unsigned, unsigned>>> hot;    // until, who
    std::map<uint32_t, unsigned> ids;
    std::deque<Asked> sought;
    std::vector<unsigned> missed;                         // while the host deletes some pair
    uint64_t deleted = 0;

    explicit Churn(unsigned pairs) : Bench(20) {
        static std::vector<Known> found;      // of the one secret that all have, by the first, as they take seconds to find
        while (found.size() < pairs) {
            Known known;
            for (unsigned side = 0; side < 2; side++) known.key[side] = key_in_rows(), known.hash[side] = hash(known.key[side]);
            found.push_back(known);
        }
        pool.assign(found.begin(), found.begin() + pairs);
        for (unsigned i = 0; i < pairs; i++)
            for (unsigned side = 0; side < 2; side++) whose[pool[i].key[side]] = {i, side};
    }
    // A key of the first rows; tried bit by bit, as one in a million is.
    FlowKey key_in_rows() {
        FlowKey k;
        for (auto& w : k) w = uint16_t(rng());
        k[7] &= 0xff;
        for (uint32_t n = 0;; n++) {
            k[0] = uint16_t(n), k[2] = uint16_t(n >> 16);
            if (hash.rows_below(k, Rows, rows)) return k;
        }
    }
    // One cycle, with whatever top says of new pairs and the host.
    bool cycle_of(bool ask, bool probe) {
        unsigned of = unsigned(rng() % pool.size()), side = rng() & 1;
        while (!hot.empty() && hot.front().first < cycle) hot.pop_front();
        if (!hot.empty() && rng() % 8 != 0) std::tie(of, side) = hot[rng() % hot.size()].second;
        top.look_i = 1, put(&top.look_key_i, pool[of].key[side]);
        std::memcpy(&top.look_hash_i, pool[of].hash[side].data(), 12);
        sought.push_back({cycle + top.found_cycles_o, cycle, of, side});
        top.valid_i = ask;
        top.clk_i = 0, top.eval();
        top.probe_i = probe && (top.ready_o || cycle / 200 % 4 == 0);    // as admission does, and for a while without end
        if (top.probe_i) std::memcpy(&top.probe_hash_i, pool[of].hash[side].data(), 12);
        top.eval();
        bool asked = top.ask_o;
        if (top.refused_o) {
            auto it = ids.find(top.refused_pair_o);
            if (it == ids.end()) fail("a pair is refused that nobody asked for", top.refused_pair_o);
            pool[it->second].asked = false, ids.erase(it), full++;
        }
        uint32_t id = top.pair_o;
        if (top.moves_o) {
            FlowKey key{};
            std::memcpy(key.data(), &top.moves_key_o, 15);
            hot.push_back({cycle + Hot, whose.at(key)});
        }
        top.clk_i = 1, top.eval();
        cycle++, learned += top.learned_o;
        hear();
        for (int m = 1; m >= 0; m--) {
            if (!top.mark_o[m]) continue;
            if (top.mark_set_o[m]) marked.insert(top.mark_index_o[m]);
            else marked.erase(top.mark_index_o[m]);
        }
        if (sought.front().due == cycle) {
            Asked l = sought.front();
            sought.pop_front();
            Known& p = pool[l.of];
            if (top.found_o && (!p.asked || top.found_pair_o != p.pair || top.reverse_o != l.side)) {
                if (p.asked || top.found_pair_o != p.pair || p.from > l.at || !gone(l)) fail("a key is found as another's", l.of, top.found_pair_o);
            }
            if (!top.found_o && p.from != 0 && p.from <= l.at) {
                if (!top.host_valid_i || !top.host_write_i) fail("a pair that stands there is not found", l.of, l.side);
                missed.push_back(l.of);
            }
        }
        if (asked) next_id = id;
        return asked;
    }
    uint32_t next_id = 0;
    std::map<unsigned, uint64_t> gone_at;
    // It was looked up before it had gone.
    bool gone(const Asked& l) {
        auto it = gone_at.find(l.of);
        return it != gone_at.end() && l.at <= it->second;
    }
    bool probing() { return cycle / 40 % 3 != 0; }
    void wait(unsigned cycles) {
        for (unsigned i = 0; i < cycles; i++) cycle_of(false, probing());
    }
    void ask_for(unsigned i) {
        Known& p = pool[i];
        p.info = uint32_t(rng());
        put(&top.key_i, p.key[0]), put(&top.reverse_key_i, p.key[1]);
        std::memcpy(&top.hash_i, p.hash[0].data(), 12), std::memcpy(&top.reverse_hash_i, p.hash[1].data(), 12);
        top.info_i = p.info, top.plain_i = 1, top.kind_i = 0, top.slow_i = 0;
        for (int n = 0; !cycle_of(true, probing()); n++) if (n > 5000) fail("a request is never taken", i);
        if (ids.count(next_id)) fail("a pair id is given out twice", next_id);
        p.asked = true, p.pair = next_id, ids[next_id] = i;
        top.valid_i = 0;
    }
    // Deletes what stands at some slot, if anything does when its turn comes.
    void remove() {
        if (marked.empty()) return;
        auto it = marked.begin();
        std::advance(it, rng() % marked.size());
        top.host_valid_i = 1, top.host_write_i = 1, top.host_index_i = *it;
        for (int n = 0; !top.host_done_o; n++) {
            if (n > 5000) fail("the host waits for ever");
            cycle_of(false, probing());
        }
        unsigned of = unsigned(pool.size());
        if (top.host_used_o) {
            auto id = ids.find(top.host_pair_o);
            if (id == ids.end()) fail("a pair stands there that nobody asked for", top.host_pair_o);
            of = id->second;
            if (std::memcmp(&top.host_key_o, pool[of].key[top.host_reverse_o].data(), 15) != 0) fail("the host reads another key", of);
            ids.erase(id), deleted++;
            pool[of].asked = false, pool[of].from = 0, gone_at[of] = cycle;
        }
        for (unsigned m : missed) if (m != of) fail("a pair goes that is not deleted", m, of);
        missed.clear();
        cycle_of(false, false);
        top.host_valid_i = 0;
    }
    void rest() {
        for (int n = 0, still = 0; still < 40; n++) {
            if (n > 20000) fail("the engine does not come to rest");
            cycle_of(false, false);
            still = top.busy_o ? 0 : still + 1;
        }
        unsigned there = 0;
        for (Known& p : pool) if (p.asked) there++, p.from = p.from != 0 ? p.from : cycle;
        if (top.in_use_o != 2 * there || marked.size() != 2 * there) fail("entries in use", top.in_use_o, 2 * there);
        if (told.size() != there) fail("pairs that are told of", told.size(), there);
        if (top.shared_o != int(there)) fail("pairs that shares have", top.shared_o, there);
        if (top.free_o + there != 8u << top.rows_log2_o) fail("pairs that are nobody's", top.free_o, there);
    }
    void run(unsigned rounds) {
        for (unsigned round = 0; round < rounds; round++) {
            unsigned bursts = 1 + unsigned(rng() % 3);
            for (unsigned n = 0; n < bursts; n++) {
                unsigned first = unsigned(rng() % pool.size()), most = 1 + unsigned(rng() % 24);
                for (unsigned k = 0; k < pool.size() && most > 0; k++) {
                    unsigned i = (first + k) % unsigned(pool.size());
                    if (!pool[i].asked && pool[i].from == 0) ask_for(i), most--;
                }
                wait(unsigned(rng() % 60));
                if (rng() % 2) remove();
            }
            wait(unsigned(rng() % 300));
            rest();
            for (unsigned n = unsigned(rng() % 24); n > 0; n--) remove();
        }
        rest();
        // Each slot that is marked has the key of a pair, and each key one slot.
        std::set<std::pair<unsigned, bool>> seen;
        for (uint32_t index : std::set<uint32_t>(marked)) {
            top.host_valid_i = 1, top.host_write_i = 0, top.host_index_i = index;
            while (!top.host_done_o) cycle_of(false, false);
            auto id = ids.find(top.host_pair_o);
            if (!top.host_used_o || id == ids.end() || !seen.insert({id->second, top.host_reverse_o}).second)
                fail("nothing, or something twice, stands at a mark", index);
            cycle_of(false, false);
            top.host_valid_i = 0;
            cycle_of(false, false);
        }
        // Nothing has been lost: of an empty table three quarters can be had at once.
        while (!marked.empty()) remove(), wait(20);
        uint64_t had = full;
        for (unsigned i = 0; i < 48; i++) ask_for(i);
        rest();
        if (full != had) fail("room that was given back cannot be had", full - had);
        std::printf("churn: %llu learned, %llu refused, %llu deleted\n", (unsigned long long)learned, (unsigned long long)full,
                    (unsigned long long)deleted);
        std::fflush(stdout);
    }
};

}  // namespace

int main() {
    Churn(72).run(60);
    Churn(64).run(200);
    changes(3);
    moves(4);
    keeps(5);
    for (uint32_t seed = 10; seed < 12; seed++) crowd(seed);
    fill(false, 1, false, 0.95);
    fill(true, 2, true, 0.9);
    std::printf("ok\n");
}
