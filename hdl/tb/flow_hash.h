// flow_hash as a formula (ps_flow_hash, drivers/abi/src/hash.rs).
#pragma once
#include <array>
#include <cstdint>

namespace tb {

using FlowKey = std::array<uint16_t, 8>;   // 120 bits, least significant word first
using Secret = std::array<uint16_t, 12>;
using Hash96 = std::array<uint32_t, 3>;

inline uint64_t splitmix64(uint64_t& state) {
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

struct FlowHash {
    Hash96 mix[96];
    Secret secret{};

    FlowHash() {
        uint64_t state = 0x464c4f574d495831;
        for (auto& m : mix) {
            uint64_t low = splitmix64(state), high = splitmix64(state);
            m = {uint32_t(low), uint32_t(low >> 32), uint32_t(high)};
        }
    }
    Hash96 sums(const FlowKey& m) const {
        Hash96 s{};
        for (int j = 0; j < 3; j++)
            for (int i = 0; i < 4; i++)
                s[j] += uint32_t(uint16_t(m[2 * i] + secret[2 * i + 2 * j])) * uint16_t(m[2 * i + 1] + secret[2 * i + 1 + 2 * j]);
        return s;
    }
    bool bit(const Hash96& s, int b) const {
        return __builtin_parity((s[0] & mix[b][0]) ^ (s[1] & mix[b][1]) ^ (s[2] & mix[b][2]));
    }
    Hash96 operator()(const FlowKey& m) const {
        Hash96 s = sums(m), out{};
        for (int b = 0; b < 96; b++) out[b / 32] |= uint32_t(bit(s, b)) << b % 32;
        return out;
    }
    // Whether the key's rows are all below `few`, of `rows`; both are powers of 2. Quicker than its hash.
    bool rows_below(const FlowKey& m, unsigned few, unsigned rows) const {
        Hash96 s = sums(m);
        for (int way = 0; way < 4; way++)
            for (unsigned b = 0; few << b < rows; b++)
                if (bit(s, 16 * way + __builtin_ctz(few << b))) return false;
        return true;
    }
};

}  // namespace tb
