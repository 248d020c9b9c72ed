// What the C++ benches of the data path share: failing, and a stream into the design.
#pragma once
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <string>

#include "frames.h"
#include "verilated.h"

namespace tb {

inline uint64_t seed = 1;  // printed with every failure

[[noreturn]] inline void fail(const std::string& what) {
    std::fprintf(stderr, "FAIL (seed %llu): %s\n", (unsigned long long)seed, what.c_str());
    std::exit(1);
}

inline std::string hex(const Bytes& b) {
    std::string s;
    char t[4];
    for (uint8_t x : b) std::snprintf(t, sizeof t, "%02x", x), s += t;
    return s + " (" + std::to_string(b.size()) + ")";
}

// One stream into the design.
struct Source {
    std::deque<std::pair<Bytes, uint8_t>> frames;
    size_t at = 0;
    bool valid = false;
    uint64_t keep = 0;
    bool last = false;

    // Puts the next beat on the port, if one is due.
    void drive(bool go, void* data, QData& tkeep, CData& tlast, CData& tuser, CData& tvalid, Rng& r) {
        if (!valid && !frames.empty() && go) {
            const Bytes& f = frames.front().first;
            size_t n = f.size() - at < 64 ? f.size() - at : 64;
            Bytes beat(f.begin() + long(at), f.begin() + long(at + n));
            while (beat.size() < 64) beat.push_back(uint8_t(r.next()));  // bytes without tkeep mean nothing
            std::memcpy(data, beat.data(), 64);
            keep = n == 64 ? ~0ull : (1ull << n) - 1;
            last = at + n == f.size();
            tkeep = keep, tlast = last, valid = true;
            tuser = at == 0 ? frames.front().second : uint8_t(r.next());
        }
        tvalid = valid;
    }
    // After the edge: the beat has gone.
    void accepted() {
        valid = false, at += 64;
        if (last) frames.pop_front(), at = 0;
    }
    bool idle() const { return frames.empty(); }
};

// Registers without reset start with random values.
struct RandomContext : VerilatedContext {
    explicit RandomContext(uint64_t s) { randReset(2), randSeed(int(s & 0x7fffffff) | 1); }
};

}  // namespace tb
