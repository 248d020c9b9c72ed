// Bench of ps_valid_map: marks of flows in every cycle, of few words so that they overtake each other's reads, the host's marks and
// searches beside them, and clearings in the middle of all that; compared with one bit an entry.
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <random>
#include <vector>

#include "Vps_valid_map_tb.h"
#include "verilated.h"

namespace {

[[noreturn]] void fail(const char* what, uint64_t a = 0, uint64_t b = 0) {
    std::fprintf(stderr, "FAIL: %s (%llx, %llx)\n", what, (unsigned long long)a, (unsigned long long)b);
    std::exit(1);
}

constexpr unsigned HostApart = 8;    // cycles from one of the host's marks to the next
constexpr unsigned UnderWay = 40;    // cycles in which a flow's mark comes to be seen, searches and the host's marks beside it

struct Entry {
    bool valid = false;
    uint64_t changed = 0;    // cycle
};

struct Bench {
    VerilatedContext context;
    Vps_valid_map_tb top{&context};
    std::mt19937 rng;
    std::vector<std::vector<Entry>> tables;
    unsigned flows = 0, clients = 0;
    uint64_t cycle = UnderWay, host_at = 0, taken = 0;

    explicit Bench(uint32_t seed) : rng(seed) {
        context.randReset(2), context.randSeed(int(seed));
        top.clear_i = top.mark_valid_i = top.card_mark_valid_i = top.find_valid_i = 0, top.rst_i = 1;
        for (unsigned t = 0; t < 32; t++) {
            top.table_i = uint8_t(t), top.eval();
            tables.emplace_back(top.depth_o);
            if (top.flows_o) flows = t;
            if (top.clients_o) clients = t;
        }
        for (int i = 0; i < 8; i++) edge();
        top.rst_i = 0;
        rest();
    }
    // One cycle; what is asked in it holds if the map is not being cleared.
    void edge() {
        top.clk_i = 0, top.eval();
        bool clears = top.clear_i || top.rst_i;
        if (clears)
            for (auto& table : tables) for (Entry& e : table) if (e.valid) e = {false, cycle};
        if (!clears && !top.busy_o) {
            if (top.mark_valid_i) note(tables[top.mark_table_i][top.mark_index_i], top.mark_set_i);
            if (top.card_mark_valid_i && top.card_mark_ready_o) note(tables[top.card_mark_client_i ? clients : flows][top.card_mark_index_i], top.card_mark_set_i), taken++;
        }
        if (top.mark_valid_i) host_at = cycle;
        top.clk_i = 1, top.eval();
        cycle++;
    }
    void note(Entry& e, bool set) {
        if (e.valid != set) e = {set, cycle};
    }
    void rest() {
        top.mark_valid_i = top.card_mark_valid_i = 0;
        for (unsigned i = 0; i < UnderWay || top.busy_o; i++) {
            if (i > 20000) fail("a clearing does not end");
            edge();
        }
    }
    // A mark of a flow, or now and then of a client, one of `few` neighbours of `from`.
    void flow(uint32_t from, uint32_t few) {
        top.card_mark_client_i = rng() % 8 == 0;
        top.card_mark_valid_i = 1, top.card_mark_index_i = uint32_t((from + rng() % few) % tables[top.card_mark_client_i ? clients : flows].size());
        top.card_mark_set_i = rng() & 1;
    }
    // A mark of the host, if it may come now.
    bool host(unsigned table, uint32_t index, bool set) {
        if (cycle < host_at + HostApart) return false;
        top.mark_valid_i = 1, top.mark_table_i = uint8_t(table), top.mark_index_i = index, top.mark_set_i = set;
        return true;
    }
    // The first valid entry from `index` on, or the table's size, while `traffic` sets what else comes in a cycle.
    template <typename Traffic> uint32_t find(unsigned table, uint32_t index, Traffic traffic) {
        uint64_t begun = cycle, from = table == flows || table == clients ? begun - UnderWay : begun;    // the host's marks are seen at once
        auto& entries = tables[table];
        top.find_valid_i = 1, top.find_table_i = uint8_t(table), top.find_index_i = index;
        for (;;) {
            traffic();
            edge();
            top.mark_valid_i = top.card_mark_valid_i = 0;
            if (top.find_done_o) break;
            if (cycle > begun + 60 + 4 * (entries.size() / 64)) fail("a search does not end", table, index);
        }
        uint32_t found = top.find_index_o;
        if (top.find_found_o != (found < entries.size())) fail("found, or not", table, found);
        // Right at some moment: what changed meanwhile may have been seen or not.
        auto was = [&](uint32_t i, bool valid) { return entries[i].valid == valid || entries[i].changed >= from; };
        if (found < index && index < entries.size()) fail("an entry before the one asked for", index, found);
        for (uint32_t i = index; i < found && i < entries.size(); i++) if (!was(i, false)) fail("a valid entry is passed over", table, i);
        if (found < entries.size() && !was(found, true)) fail("an invalid entry is found", table, found);
        edge();    // the cycle of find_done_o
        top.find_valid_i = 0;
        return found;
    }
    // At rest all marks of a table are what they should be: exactly.
    void audit(unsigned table) {
        rest();
        uint32_t size = uint32_t(tables[table].size());
        if (size == 0) return;
        for (uint32_t at = 0; at <= size;) at = find(table, at, [] {}) + 1;
    }
    void audit() {
        for (unsigned t = 0; t < tables.size(); t++) audit(t);
    }
    void clear() {
        top.clear_i = 1, edge(), top.clear_i = 0;
    }
};

// Marks of one to five words in every cycle: each changes what the one before it made of the word.
void bursts(Bench& b) {
    for (uint32_t words = 1; words <= 6; words++) {
        for (int round = 0; round < 40; round++) {
            uint32_t from = uint32_t(b.rng() % b.tables[b.flows].size()) & ~63u;
            uint64_t had = b.taken;
            int count = 1 + int(b.rng() % 60);
            bool gaps = b.rng() & 1;
            for (int n = 0; n < count; n++) {
                b.flow(from, words == 6 ? 3 : 64 * words);
                if (gaps && b.rng() % 3 == 0) b.top.card_mark_valid_i = 0, count++;
                if (count > 200) break;
                b.edge();
            }
            b.top.card_mark_valid_i = 0;
            if (!gaps && b.taken - had != uint64_t(count)) fail("a mark a cycle", b.taken - had, uint64_t(count));
            b.rest();
            for (uint32_t at = from; at < from + 64 * words && at < b.tables[b.flows].size();) at = b.find(b.flows, at, [] {}) + 1;
        }
    }
    b.audit(b.flows);
}

// All at once: flows in every cycle, the host as often as it may, searches of every table one after the other.
void mix(Bench& b, bool clears) {
    for (int round = 0; round < 400; round++) {
        unsigned table = unsigned(b.rng() % b.tables.size());
        uint32_t size = uint32_t(b.tables[table].size());
        if (size == 0) continue;
        // Near the ends of tables, and of words.
        uint32_t near = uint32_t(b.rng() % 3 == 0 ? b.rng() % size : b.rng() % 2 ? size - 1 - b.rng() % std::min(size, 70u) : b.rng() % 70 % size);
        uint32_t flow = uint32_t(b.rng() % b.tables[b.flows].size());
        int load = int(b.rng() % 4);
        auto traffic = [&] {
            if (load != 0 && int(b.rng() % 4) <= load) b.flow(flow, 200);
        };
        // The host marks, and looks for what it has marked: it must see it at once.
        for (int n = 0; n < 4;) {
            traffic();
            // The last one is what is looked for.
            uint32_t index = uint32_t(n == 3 ? near : b.rng() % size);
            bool own = table == b.flows || table == b.clients;
            if (!own && b.host(table, index, n == 3 ? !b.tables[table][near].valid : b.rng() % 4 != 0)) n++;
            if (own) n++;
            b.edge();
            b.top.mark_valid_i = b.top.card_mark_valid_i = 0;
        }
        b.find(table, near, traffic);
        b.find(table, near + 1, traffic);
        if (clears && round % 40 == 39) {
            for (int n = 0; n < 30; n++) traffic(), b.edge();
            b.clear();
            // What comes meanwhile is lost; what comes as soon as it is over is not.
            while (b.top.busy_o) traffic(), b.edge();
            for (int n = 0; n < 30; n++) traffic(), b.edge();
            b.audit(b.flows);
            b.audit(table);
        }
    }
    b.audit();
}

}  // namespace

int main() {
    for (uint32_t seed = 1; seed <= 3; seed++) {
        Bench b(seed);
        b.audit();
        bursts(b);
        mix(b, false);
        mix(b, true);
        std::printf("seed %u: %llu marks of flows\n", seed, (unsigned long long)b.taken);
    }
    std::printf("ok\n");
}
