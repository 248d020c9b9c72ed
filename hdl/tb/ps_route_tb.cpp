// Bench of ps_route: thousands of prefixes of every length, with host and default routes, against a longest match by search; a key
// that stands twice while it is moved; a length that is not asked for; reading back; damaged words.
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <random>
#include <tuple>
#include <vector>

#include "Vps_route_tb.h"
#include "verilated.h"

namespace {

enum Table { HostRoute = 4, Prefix = 5, DefaultRoute = 13, PrefixLength = 14 };
constexpr unsigned Tables = 8, RowsLog2 = 10, HostRowsLog2 = 13;
const std::array<unsigned, Tables> Lengths = {31, 28, 24, 22, 20, 16, 12, 8};

struct Word {
    unsigned nh = 0, label = 0;
    bool label_valid = false;
    unsigned service = 0, sources = 0, len = 0;
};

// As an announced prefix, and as a part of one.
using Net = std::tuple<unsigned, unsigned, uint32_t>;  // length or rank, VRF, address

uint32_t mask(unsigned len) { return len == 0 ? 0 : ~uint32_t(0) << (32 - len); }

[[noreturn]] void fail(const char* what, uint64_t got = 0, uint64_t want = 0) {
    std::fprintf(stderr, "FAIL: %s: %llx, expected %llx\n", what, (unsigned long long)got, (unsigned long long)want);
    std::exit(1);
}

struct Bits {
    unsigned __int128 value = 0;
    unsigned at = 0;
    Bits& put(uint64_t field, unsigned width) {
        value |= (unsigned __int128)field << at;
        at += width;
        return *this;
    }
};

struct Card {
    VerilatedContext context;
    Vps_route_tb top{&context};
    std::map<unsigned, Bits> tables[15];
    struct Expected {
        bool found;
        Word word;
        unsigned vrf;
        uint32_t ip;
        bool bad;
    };
    unsigned errors = 0, default_errors = 0, error_index = 0;  // that were told of
    std::deque<Expected> expected;  // what must come, cycle by cycle
    bool written = false;           // in the cycle before: a look-up that begins now may be too early for it

    void edge() {
        top.clk_i = 0, top.eval();
        top.clk_i = 1, top.eval();
        errors += top.error_o, default_errors += top.default_error_o;
        if (top.error_o || top.default_error_o) error_index = top.error_index_o;
    }
    Card() {
        top.rst_i = 1, top.valid_i = 0, top.re_i = 0, top.we_i = 0, top.damage_i = 0, top.flip_i = 0, top.compares_i = 0;
        for (int i = 0; i < 20; i++) edge();
        top.rst_i = 0;
        for (unsigned i = 0; i < 65536; i++) {
            write(HostRoute, i, {}), write(Prefix, i, {});
            if (i < 4096) write(DefaultRoute, i, {});
            if (i < Tables) write(PrefixLength, i, {});
        }
        for (int i = 0; i < 20; i++) edge();
        top.compares_i = 1;
    }
    void access(unsigned table, unsigned index, bool write) {
        top.table_i = table, top.index_i = index, top.re_i = !write, top.we_i = write;
        edge();
        top.re_i = top.we_i = 0;
    }
    void write(unsigned table, unsigned index, const Bits& bits) {
        for (int i = 0; i < 4; i++) top.wdata_i[i] = uint32_t(bits.value >> 32 * i);
        access(table, index, true);
        written = true;
        tables[table][index] = bits;
    }
    void read(unsigned table, unsigned index, bool bad = false) {
        access(table, index, false);
        for (unsigned i = 1; i < top.access_cycles_o; i++) edge();
        if (top.read_bad_o != bad) fail("parity of what is read back", top.read_bad_o, bad);
        auto& got = table == HostRoute ? top.host_rdata_o : top.prefix_rdata_o;
        for (int i = 0; i < 4; i++)
            if (got[i] != uint32_t(tables[table][index].value >> 32 * i)) fail("read back", got[i], uint32_t(tables[table][index].value >> 32 * i));
    }
    uint64_t hash(unsigned vrf, uint32_t ip) {
        top.key_i = uint64_t(ip) << 12 | vrf, top.eval();
        return top.hash_o;
    }
    bool used(unsigned table, unsigned index) { return tables[table].count(index) && tables[table][index].value & 1; }
    // The slots of a key, in the order in which they count.
    std::vector<unsigned> slots(unsigned vrf, uint32_t ip, unsigned base, unsigned rows_log2) {
        std::vector<unsigned> all;
        uint64_t h = hash(vrf, ip);
        for (unsigned way = 0; way < 2; way++)
            for (unsigned slot = 0; slot < 4; slot++)
                all.push_back(base | way << (rows_log2 + 2) | unsigned(h >> way * rows_log2 & ((1u << rows_log2) - 1)) << 2 | slot);
        return all;
    }
    unsigned table_of(unsigned rank, unsigned vrf, uint32_t ip) { return rank ^ unsigned(hash(vrf, ip & mask(8)) >> 20 & 7); }
    // A free slot, or -1.
    int place(unsigned table, const std::vector<unsigned>& slots) {
        int best = -1, room = 0;
        for (unsigned way = 0; way < 2; way++) {
            int free = 0, first = -1;
            for (unsigned s = 0; s < 4; s++)
                if (!used(table, slots[way * 4 + s])) free++, first = first < 0 ? int(slots[way * 4 + s]) : first;
            if (free > room) room = free, best = first;
        }
        return best;
    }
    void look(bool valid, unsigned vrf, uint32_t ip, bool found, const Word& word, bool bad = false) {
        if (written) written = false, look(false, 0, 0, false, {});
        top.valid_i = valid, top.vrf_i = vrf, top.ip_i = ip;
        expected.push_back({valid && found, word, vrf, ip, bad});
        edge();
        top.valid_i = 0;
        if (expected.size() < top.route_cycles_o) return;
        auto [f, w, v, a, b] = expected.front();
        expected.pop_front();
        if (top.found_o != f || (f && top.nh_o != w.nh)) std::fprintf(stderr, "look-up of %08x in VRF %u: next hop %x\n", a, v, top.nh_o);
        if (top.bad_o != b) fail("bad", top.bad_o, b);
        if (b) return;
        if (top.found_o != f) fail("found", top.found_o, f);
        if (!f) return;
        if (top.nh_o != w.nh) fail("next hop", top.nh_o, w.nh);
        if (top.label_valid_o != w.label_valid || top.label_o != w.label) fail("label", top.label_o, w.label);
        if (top.len_o != w.len) fail("length", top.len_o, w.len);
        if (top.sources_o != w.sources || top.service_o != w.service) fail("sources or service", top.sources_o, w.sources);
    }
    void drain() {
        for (unsigned i = 0; i < top.route_cycles_o; i++) look(false, 0, 0, false, {});
        expected.clear();
    }
};

unsigned rank_of(unsigned len) {
    for (unsigned r = Tables; r-- > 0;)
        if (Lengths[r] >= len) return r;
    std::abort();
}

Bits word_of(unsigned vrf, uint32_t ip, unsigned len, const Word& w) {
    Bits b;
    if (len == 0) return b.put(1, 1).put(w.nh, 16).put(w.label, 20).put(w.label_valid, 1).put(w.sources, 14);
    b.put(1, 1).put(vrf, 12).put(ip, 32);
    if (len < 32) b.put(len, 6);
    b.put(w.nh, 16).put(w.label, 20).put(w.label_valid, 1);
    if (len == 32) b.put(w.service, 2);
    return b.put(w.sources, 14);
}

struct World {
    Card card;
    std::mt19937 rng{2};
    std::map<Net, Word> nets;           // as announced
    std::vector<Net> names;
    std::map<Net, unsigned> parts;      // by rank: the length of who has it
    unsigned refused = 0, vrfs;

    explicit World(unsigned vrfs) : vrfs(vrfs) {
        for (unsigned r = 0; r < Tables; r++) card.write(PrefixLength, r, Bits().put(1, 1).put(Lengths[r], 6));
    }
    uint32_t some_address() {
        // Close to one another, so that prefixes lie in each other.
        static const uint32_t bases[] = {0x0a000000, 0x0a2f0000, 0x0a2fff00, 0xc0a80000, 0};
        uint32_t base = bases[rng() % 5];
        return base ^ (uint32_t(rng()) >> (rng() % 20 + (base ? 6 : 0)));
    }
    int find(const std::vector<unsigned>& slots, unsigned vrf, uint32_t ip) {
        for (unsigned slot : slots) {
            auto value = card.tables[Prefix][slot].value;
            if (value & 1 && uint32_t(value >> 13) == ip && (value >> 1 & 0xfff) == vrf) return int(slot);
        }
        return -1;
    }
    // New parts first: if one has no place (nothing is moved for it), those before it go again.
    bool expand(unsigned vrf, uint32_t ip, unsigned len, const Word& w) {
        unsigned rank = rank_of(len), length = Lengths[rank];
        std::vector<std::pair<unsigned, uint32_t>> fresh, shorter;
        for (uint32_t n = 0; n < 1u << (length - len); n++) {
            uint32_t part = ip | (n << (32 - length));
            auto owner = parts.find({rank, vrf, part});
            if (owner != parts.end() && owner->second > len) continue;
            auto slots = card.slots(vrf, part, card.table_of(rank, vrf, part) << (RowsLog2 + 3), RowsLog2);
            int at = owner == parts.end() ? card.place(Prefix, slots) : find(slots, vrf, part);
            if (at < 0 && owner != parts.end()) fail("a part is not where it was written");
            if (at < 0) {
                for (auto [index, gone] : fresh) card.write(Prefix, index, {}), parts.erase({rank, vrf, gone});
                return false;
            }
            if (owner != parts.end()) {
                shorter.push_back({unsigned(at), part});
            } else {
                fresh.push_back({unsigned(at), part});
                card.write(Prefix, unsigned(at), word_of(vrf, part, len, w));
                parts[{rank, vrf, part}] = len;
            }
        }
        for (auto [index, part] : shorter) card.write(Prefix, index, word_of(vrf, part, len, w)), parts[{rank, vrf, part}] = len;
        return true;
    }
    bool route(unsigned len) {
        unsigned vrf = rng() % vrfs;
        uint32_t ip = some_address() & mask(len);
        Word w{unsigned(rng() & 0xffff), unsigned(rng() & 0xfffff), bool(rng() & 1), len == 32 ? unsigned(rng() % 4) : 0,
               unsigned(rng() & 0x3fff), len};
        if (nets.count({len, vrf, ip})) return true;
        if (len == 0) {
            card.write(DefaultRoute, vrf, word_of(vrf, 0, 0, w));
        } else if (len == 32) {
            int at = card.place(HostRoute, card.slots(vrf, ip, 0, HostRowsLog2));
            if (at < 0) return false;
            card.write(HostRoute, unsigned(at), word_of(vrf, ip, len, w));
        } else {
            if (!expand(vrf, ip, len, w)) return refused++, true;
        }
        nets[{len, vrf, ip}] = w;
        names.push_back({len, vrf, ip});
        return true;
    }
    // By search among what was announced.
    bool longest(unsigned vrf, uint32_t ip, Word& w, unsigned without = 99) {
        for (unsigned len = 33; len-- > 0;) {
            if (len > 0 && len < 32 && rank_of(len) == without) continue;
            auto it = nets.find({len, vrf, ip & mask(len)});
            if (it != nets.end()) return w = it->second, true;
        }
        return false;
    }
    void look_ups(unsigned count, unsigned without = 99) {
        unsigned hits = 0;
        for (unsigned n = 0; n < count; n++) {
            auto [len, vrf, ip] = names[rng() % names.size()];
            uint32_t noise = rng() % 4 == 0 ? uint32_t(rng()) >> rng() % 32 : uint32_t(rng()) & ~mask(len);
            if (rng() % 8 == 0) vrf = rng() % vrfs;
            Word w;
            bool found = longest(vrf, ip ^ noise, w, without);
            hits += found;
            card.look(rng() % 16 != 0, vrf, ip ^ noise, found, w);
        }
        card.drain();
        if (hits < count / 4) fail("the look-ups hit too rarely", hits, count / 4);
    }
};

void longest_match(unsigned vrfs, unsigned count) {
    World world(vrfs);
    for (unsigned n = 0; n < count; n++) {
        unsigned len = world.rng() % 33;
        // Those that cost many parts are rare.
        if (len > 0 && len < 6 && world.rng() % 16) len += 16;
        if (!world.route(len)) fail("the test asks for too much");
    }
    std::printf("%zu routes, %zu parts, %u without a place\n", world.nets.size(), world.parts.size(), world.refused);
    if (world.refused > count / 50) fail("the test asks for too much");
    world.look_ups(300000);
    for (unsigned n = 0; n < 3000; n++) {
        auto& all = world.card.tables;
        unsigned table = std::array<unsigned, 4>{HostRoute, Prefix, DefaultRoute, PrefixLength}[world.rng() % 4];
        auto it = all[table].begin();
        std::advance(it, world.rng() % std::min<size_t>(all[table].size(), 4096));
        world.card.read(table, it->first);
    }
    std::printf("all lengths match\n");
    // A length that is not asked for is as if its prefixes were not there.
    world.card.write(PrefixLength, 2, {});
    world.look_ups(50000, 2);
}

// While a key is moved it stands in both ways; and a word that is written anew counts from the second cycle on.
void moved_key() {
    World world(1);
    Card& card = world.card;
    Word w{7, 70, true, 0, 5, 24}, other{8, 80, true, 0, 6, 24};
    uint32_t ip = 0x0a2fff00;
    unsigned base = card.table_of(2, 0, ip) << (RowsLog2 + 3);
    auto slots = card.slots(0, ip, base, RowsLog2);
    card.write(Prefix, slots[5], word_of(0, ip, 24, w));
    card.look(true, 0, ip | 9, true, w);
    card.drain();
    card.write(Prefix, slots[2], word_of(0, ip, 24, w));
    card.look(true, 0, ip | 9, true, w);
    card.drain();
    card.write(Prefix, slots[2], word_of(0, ip, 24, other));
    card.look(true, 0, ip | 9, true, other);  // the lowest way
    card.drain();
    card.write(Prefix, slots[2], {});
    card.look(true, 0, ip | 9, true, w);
    card.look(true, 0, ip ^ 256, false, w);
    card.look(true, 1, ip | 9, false, w);
    card.drain();
}

// Whatever stands in the row: a look-up that reads a damaged slot says so, and where; others are as before.
void damaged_word() {
    World world(1);
    Card& card = world.card;
    Word w{7, 70, true, 1, 5, 32}, all{9, 90, true, 0, 6, 0};
    card.write(DefaultRoute, 0, word_of(0, 0, 0, all));
    uint32_t ip = 0x0a2fff07;
    auto slots = card.slots(0, ip, 0, HostRowsLog2);
    card.write(HostRoute, slots[1], word_of(0, ip, 32, w));
    card.top.compares_i = 0;  // only one of the copies is damaged
    for (unsigned bit : {0u, 1u, 20u, 50u, 80u, 98u}) {
        card.look(true, 0, ip, true, w);
        card.look(true, 0, ip + 1, true, all);
        card.drain();
        card.top.damage_i = 1, card.top.damage_row_i = slots[1] >> 2, card.top.damage_bit_i = 99 + bit;  // of the second slot
        card.edge();
        card.top.damage_i = 0;
        unsigned errors = card.errors;
        card.look(true, 0, ip, false, w, true);
        card.look(true, 0, ip + 1, true, all);
        card.drain();
        if (card.errors != errors + 1 || card.error_index != slots[1]) fail("where it is", card.error_index, slots[1]);
        card.write(HostRoute, slots[1], word_of(0, ip, 32, w));
    }
}

// Stored with the wrong parity, of whichever table: only what is looked up there, until it is written again.
void wrong_parity() {
    World world(2);
    Card& card = world.card;
    Word w{7, 70, true, 0, 5, 24}, all{9, 90, true, 0, 6, 0}, host{8, 80, true, 2, 7, 32};
    uint32_t ip = 0x0a2fff00, own = 0x0a2fff07;
    auto places = card.slots(0, ip, card.table_of(2, 0, ip) << (RowsLog2 + 3), RowsLog2);
    auto slots = card.slots(0, own, 0, HostRowsLog2);
    auto wrong = [&](unsigned table, unsigned index, const Bits& bits) {
        card.top.flip_i = 1, card.write(table, index, bits), card.top.flip_i = 0;
        card.edge();
        card.read(table, index, true);
    };
    card.write(DefaultRoute, 0, word_of(0, 0, 0, all));
    card.write(DefaultRoute, 1, word_of(1, 0, 0, all));
    card.write(Prefix, places[5], word_of(0, ip, 24, w));
    card.write(HostRoute, slots[2], word_of(0, own, 32, host));
    auto looks = [&](bool bad_host, bool bad_prefix, bool bad_default) {
        unsigned errors = card.errors, defaults = card.default_errors;
        card.look(true, 0, own, true, host, bad_host);
        card.look(true, 0, ip | 9, true, w, bad_prefix);
        card.look(true, 0, 0xc0000201, true, all, bad_default);
        card.look(true, 1, 0xc0000201, true, all);
        card.drain();
        // What is found to be longer makes no use of a prefix; its rows are read all the same.
        if (card.errors - errors != unsigned(bad_host) + 2 * bad_prefix) fail("errors", card.errors - errors, 2 * bad_prefix);
        if (card.default_errors - defaults != unsigned(bad_default)) fail("default routes' errors", card.default_errors - defaults);
    };
    looks(false, false, false);
    wrong(Prefix, places[5], word_of(0, ip, 24, w));
    looks(false, true, false);
    if (card.error_index != places[5]) fail("which prefix", card.error_index, places[5]);
    card.write(Prefix, places[5], word_of(0, ip, 24, w));
    wrong(DefaultRoute, 0, word_of(0, 0, 0, all));
    looks(false, false, true);
    card.write(DefaultRoute, 0, word_of(0, 0, 0, all));
    wrong(HostRoute, slots[2], word_of(0, own, 32, host));
    looks(true, false, false);
    if (card.error_index != slots[2]) fail("which host route", card.error_index, slots[2]);
    card.write(HostRoute, slots[2], word_of(0, own, 32, host));
    looks(false, false, false);
}

}  // namespace

int main() {
    longest_match(1, 1500);
    longest_match(4096, 12000);
    moved_key();
    damaged_word();
    wrong_parity();
    std::printf("ok\n");
    return 0;
}
