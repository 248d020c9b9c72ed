// Random frames, an independent parser, and the byte-level model of the rewriter, for the bench of ps_datapath.
//
// Written from docs/datapath.md on byte vectors, without any notion of beats.
#pragma once
#include <array>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "hdr_fields.h"

namespace tb {

using Bytes = std::vector<uint8_t>;

struct Rng {
    std::mt19937_64 engine;
    explicit Rng(uint64_t seed) : engine(seed) {}
    uint64_t next() { return engine(); }
    uint32_t below(uint32_t n) { return uint32_t(next() % n); }
    bool one_in(uint32_t n) { return below(n) == 0; }
    bool percent(uint32_t p) { return below(100) < p; }
};

inline void put8(Bytes& b, uint64_t v) { b.push_back(uint8_t(v)); }
inline void put16(Bytes& b, uint64_t v) { put8(b, v >> 8), put8(b, v); }
inline void put32(Bytes& b, uint64_t v) { put16(b, v >> 16), put16(b, v); }
inline void put48(Bytes& b, uint64_t v) { put16(b, v >> 32), put32(b, v); }
inline void append(Bytes& b, const Bytes& tail) { b.insert(b.end(), tail.begin(), tail.end()); }
inline void fill(Bytes& b, Rng& r, size_t n) {
    for (size_t i = 0; i < n; i++) put8(b, r.next());
}
inline void set16(Bytes& b, size_t at, uint32_t v) { b[at] = uint8_t(v >> 8), b[at + 1] = uint8_t(v); }

// One's complement sum of n bytes (a last odd one is the high half of a word) and `more`.
inline uint16_t ones_sum(const uint8_t* p, size_t n, uint32_t more = 0) {
    uint32_t sum = more;
    for (size_t i = 0; i < n; i += 2) sum += uint32_t(p[i] << 8 | (i + 1 < n ? p[i + 1] : 0));
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return uint16_t(sum);
}

// ---- Random frames

inline uint8_t some_proto(Rng& r) {
    static const uint8_t list[] = {6, 6, 6, 17, 17, 1, 1, 132, 47, 89};
    return list[r.below(10)];
}

inline Bytes ip4(Rng& r, uint8_t proto, const Bytes& payload, bool plain) {
    unsigned ihl = plain || !r.one_in(5) ? 5 : r.one_in(3) ? 15 : 5 + r.below(11);
    Bytes b;
    put8(b, 0x40 | ihl), put8(b, r.next()), put16(b, ihl * 4 + payload.size()), put16(b, r.next());
    put16(b, plain || !r.one_in(10) ? 0x4000 : r.next() & 0x3fff), put8(b, r.below(4) ? 64 : r.below(3)), put8(b, proto);
    put16(b, 0), put32(b, r.next()), put32(b, r.next());
    fill(b, r, (ihl - 5) * 4);
    set16(b, 10, uint16_t(~ones_sum(b.data(), ihl * 4)));
    append(b, payload);
    return b;
}

inline Bytes l4(Rng& r, uint8_t proto, size_t extra) {
    Bytes b;
    if (proto == 1) {
        static const uint8_t types[] = {0, 8, 8, 3, 3, 4, 5, 11, 12, 13};
        uint8_t type = types[r.below(10)];
        put8(b, type), put8(b, r.next()), put16(b, r.next()), put32(b, r.next());
        if (type != 0 && type != 8 && !r.one_in(6)) {
            uint8_t inner = some_proto(r);
            Bytes head;
            if (inner == 1) put8(head, r.below(3) ? 8 : r.below(12)), fill(head, r, 7);
            else fill(head, r, 8 + r.below(13));
            if (inner == 17 && r.one_in(4)) set16(head, 6, 0);
            Bytes emb = ip4(r, inner, head, !r.one_in(6));
            if (r.one_in(10)) emb.resize(20 + r.below(9));
            append(b, emb);
        }
        fill(b, r, extra);
    } else {
        fill(b, r, (r.one_in(12) ? r.below(24) : 20) + extra);
    }
    return b;
}

inline size_t some_size(Rng& r) {
    switch (r.below(10)) {
        case 0: return r.below(9100);
        case 1: case 2: case 3: return r.below(2000);
        default: return r.below(140);
    }
}

inline Bytes ethernet(Rng& r, uint16_t type) {
    Bytes b;
    put48(b, r.next() & (r.one_in(8) ? ~0ull : ~(1ull << 40))), put48(b, r.next());
    if (r.one_in(4)) put16(b, 0x8100), put16(b, r.next());
    put16(b, type);
    return b;
}

inline Bytes inner_packet(Rng& r) {
    uint8_t proto = some_proto(r);
    return ip4(r, proto, l4(r, proto, some_size(r)), false);
}

// Writes the checksum of an outer UDP header (if `udp`) or a GRE header with C, as its sender would.
inline void seal(Bytes& p, bool udp) {
    size_t l4 = (p[0] & 15) * 4, len = p.size() - l4;
    if (p[9] == 17 && udp) {
        set16(p, l4 + 6, 0);
        uint16_t sum = uint16_t(~ones_sum(&p[l4], len, 17u + uint32_t(len) + ones_sum(&p[12], 8)));
        set16(p, l4 + 6, sum ? sum : 0xffff);
    }
    if (p[9] == 47 && (p[l4] & 0x80)) {
        set16(p, l4 + 4, 0);
        set16(p, l4 + 4, uint16_t(~ones_sum(&p[l4], len)));
    }
}

inline void set_ip_csum(Bytes& p) {
    set16(p, 10, 0);
    set16(p, 10, uint16_t(~ones_sum(p.data(), (p[0] & 15) * 4)));
}

// One thing wrong with an outer packet, with a header checksum that is right all the same (but in the last case).
inline void damage_outer(Rng& r, Bytes& p) {
    switch (r.below(5)) {
        case 0: set16(p, 2, r.below(60)); break;                                // too short, mostly
        case 1: set16(p, 2, uint32_t(p.size()) + 1 + r.below(100)); break;      // longer than the frame
        case 2: set16(p, 6, r.below(2) ? 0x2000 : 1 + r.below(0x1fff)); break;  // first or later fragment
        case 3: p[20 + r.below(uint32_t(p.size() - 20))] ^= uint8_t(1 + r.below(255)); break;
        default: p[r.below(20)] ^= uint8_t(1 << r.below(8)); return;
    }
    set_ip_csum(p);
}

// A frame for the port; `clean` leaves out damage of any kind.
inline Bytes frame(Rng& r, bool fabric, bool clean = false) {
    if (!clean && r.one_in(40)) {
        Bytes b;
        size_t n = r.one_in(3) ? 9200 + r.below(700) : 1 + r.below(200);
        fill(b, r, n);
        return b;
    }
    static const uint16_t others[] = {0x0806, 0x86dd, 0x8847};
    Bytes b = ethernet(r, clean || !r.one_in(12) ? 0x0800 : others[r.below(3)]);
    Bytes packet = inner_packet(r);
    if (fabric && !r.one_in(5)) {
        Bytes shim, outer;
        put16(shim, r.next());
        put8(shim, (r.next() & 0xfe) | (clean || !r.one_in(8)));
        put8(shim, r.next());
        append(shim, packet);
        uint8_t proto = r.below(2) ? 17 : 47;
        if (proto == 17) {
            put16(outer, r.next()), put16(outer, clean || !r.one_in(8) ? (r.below(2) ? 6635 : 51234) : r.next());
            put16(outer, 8 + shim.size() + (clean || !r.one_in(12) ? 0 : 1 + r.below(9))), put16(outer, 0);
        } else {
            unsigned flags = r.below(4);
            put16(outer, (flags & 1 ? 0x8000 : 0) | (flags & 2 ? 0x2000 : 0) | (clean || !r.one_in(8) ? 0 : r.next() & 0x5fff) |
                             (clean ? 0 : r.next() & 0x03f8));
            put16(outer, clean || !r.one_in(10) ? 0x8847 : 0x0800);
            if (flags & 1) put32(outer, 0);
            if (flags & 2) fill(outer, r, 4);
        }
        append(outer, shim);
        Bytes whole = ip4(r, proto, outer, !r.one_in(10));
        seal(whole, proto == 17 && r.below(2));
        if (!clean && r.one_in(8)) damage_outer(r, whole);
        append(b, whole);
    } else {
        append(b, packet);
    }
    if (b.size() > 9216 && clean) b.resize(9216);
    if (!clean && r.one_in(10)) b.resize(1 + r.below(uint32_t(b.size())));
    if (!clean && r.one_in(6)) b[r.below(uint32_t(b.size() < 90 ? b.size() : 90))] ^= uint8_t(1 << r.below(8));
    if (r.one_in(3) && b.size() < 9000) fill(b, r, r.below(80));  // padding
    return b;
}

// ---- What the parser must find

struct Header : HdrFields {
    bool has_l3 = false;
};

struct Reader {
    const Bytes& b;
    uint32_t u8(size_t i) const { return i < b.size() ? b[i] : 0; }
    uint32_t u16(size_t i) const { return u8(i) << 8 | u8(i + 1); }
    uint32_t u32(size_t i) const { return u16(i) << 16 | u16(i + 2); }
};

inline void parse_l4(const Reader& f, Header& h) {
    size_t l4 = h.l3_off + h.ihl * 4, have = h.ip_len - h.ihl * 4;
    h.key_proto = h.proto, h.key_sip = h.sip, h.key_dip = h.dip;
    if (h.frag) return;
    if (h.proto == 6) {
        h.l4_short = have < 20 || l4 > 110;
        if (h.l4_short) return;
        h.l4_csum = f.u16(l4 + 16);
        uint32_t flags = f.u8(l4 + 13);
        h.tcp_fin = flags & 1, h.tcp_syn = flags >> 1 & 1, h.tcp_rst = flags >> 2 & 1, h.tcp_ack = flags >> 4 & 1;
    }
    if (h.proto == 17 || h.proto == 132 || h.proto == 1) h.l4_short = have < 8;
    if (h.l4_short) return;
    if (h.proto == 6 || h.proto == 17 || h.proto == 132) h.key_sport = f.u16(l4), h.key_dport = f.u16(l4 + 2);
    if (h.proto == 17) h.l4_csum = f.u16(l4 + 6);
    if (h.proto != 1) return;
    h.l4_csum = f.u16(l4 + 2);
    uint32_t type = f.u8(l4);
    if (type == 0 || type == 8) {
        h.icmp_echo = 1, h.key_sport = f.u16(l4 + 4);
        return;
    }
    h.key_dport = type;
    if (type != 3 && type != 4 && type != 5 && type != 11 && type != 12) return;
    size_t e = l4 + 8, e4 = e + 20;
    if (h.ihl != 5 || have < 8 + 28 || f.u8(e) != 0x45 || (f.u16(e + 6) & 0x1fff)) return;
    uint32_t proto = f.u8(e + 9);
    bool ports = proto == 6 || proto == 17 || proto == 132;
    bool echo = proto == 1 && (f.u8(e4) == 0 || f.u8(e4) == 8);
    if (!ports && !echo) return;
    h.icmp_err = 1, h.key_proto = proto, h.key_sip = f.u32(e + 16), h.key_dip = f.u32(e + 12);
    h.key_sport = ports ? f.u16(e4 + 2) : f.u16(e4 + 4);
    h.key_dport = ports ? f.u16(e4) : 0;
    h.emb_ip_csum = f.u16(e + 10);
    if (proto == 17) h.emb_l4_csum = f.u16(e4 + 6), h.emb_l4_csum_en = h.emb_l4_csum != 0;
    if (proto == 6 && h.ip_len >= 66) h.emb_l4_csum = f.u16(e4 + 16), h.emb_l4_csum_en = 1;
}

// Section 3: the outer packet at `l3`. Returns where the own packet ends.
inline size_t parse_outer(const Bytes& frame, size_t l3, Header& h) {
    Reader f{frame};
    uint32_t proto = f.u8(l3 + 9), frag = f.u16(l3 + 6), flags = f.u16(l3 + 20), total = f.u16(l3 + 2);
    if (f.u8(l3) != 0x45 || (proto != 17 && proto != 47)) return 0;
    size_t shim = 0, o = l3 + 20;
    if (proto == 17 && (f.u16(o + 2) == 6635 || f.u16(o + 2) == 51234)) shim = 28;
    if (proto == 47 && f.u16(o + 2) == 0x8847 && !(flags & 7)) shim = 24 + (flags & 0x8000 ? 4 : 0) + (flags & 0x2000 ? 4 : 0);
    h.outer_later = (frag & 0x1fff) != 0;
    h.is_tunnel = !h.outer_later && shim;
    if (!h.is_tunnel && !h.outer_later) return 0;
    h.outer_frag = (frag & 0x3fff) != 0, h.outer_udp = proto == 17;
    h.outer_sip = f.u32(l3 + 12), h.outer_dip = f.u32(l3 + 16), h.outer_id = f.u16(l3 + 4);
    Bytes head;
    for (size_t i = 0; i < 20; i++) head.push_back(uint8_t(f.u8(l3 + i)));
    h.outer_csum_bad = ones_sum(head.data(), 20) != 0xffff;
    if (!h.is_tunnel) return 0;
    if (proto == 47) h.outer_bad = (flags & 0x5c00) != 0;
    if (proto == 17) h.outer_bad = f.u16(o + 4) + 20 != total;
    if (l3 + total > frame.size() || total < shim + 4) h.outer_bad = 1;
    if (!h.outer_bad) {
        const uint8_t* p = &frame[o];
        if (proto == 17 && f.u16(o + 6)) h.outer_sum_bad = ones_sum(p, total - 20, 17 + (total - 20) + ones_sum(&frame[l3 + 12], 8)) != 0xffff;
        if (proto == 47 && (flags & 0x8000)) h.outer_sum_bad = ones_sum(p, total - 20) != 0xffff;
    }
    shim += l3;
    h.label = f.u32(shim) >> 12, h.bos = f.u8(shim + 2) & 1, h.mpls_ttl = f.u8(shim + 3);
    h.l3_off = uint32_t(shim + 4);
    h.inner_not_ip4 = f.u8(shim + 4) >> 4 != 4;
    h.has_l3 = !h.outer_bad && !h.inner_not_ip4;
    return l3 + total;
}

inline Header parse(const Bytes& frame, bool fabric) {
    Header h;
    Reader f{frame};
    h.frame_len = uint32_t(frame.size());
    h.oversize = frame.size() > 9216, h.runt = frame.size() < 14;
    if (h.oversize || h.runt) return h;
    size_t tag = f.u16(12) == 0x8100 ? 4 : 0;
    size_t type = f.u16(12 + tag), end = frame.size();
    h.dmac = uint64_t(f.u32(0)) << 16 | f.u16(4), h.vlan_tagged = tag && (f.u16(14) & 0xfff);
    h.is_arp = type == 0x0806, h.is_ip4 = type == 0x0800;
    h.has_l3 = !fabric && h.is_ip4, h.l3_off = uint32_t(14 + tag);
    if (fabric && h.is_ip4) end = parse_outer(frame, 14 + tag, h);
    if (!h.has_l3) return h;
    size_t l3 = h.l3_off;
    h.ihl = f.u8(l3) & 15, h.ip_len = f.u16(l3 + 2);
    size_t head = h.ihl * 4;
    h.ip_bad = f.u8(l3) >> 4 != 4 || head < 20 || end < l3 + head || h.ip_len < head || end < l3 + h.ip_len;
    if (h.ip_bad) return h;
    h.ip_csum_bad = ones_sum(&frame[l3], head) != 0xffff;
    h.ip_id = f.u16(l3 + 4), h.frag = (f.u16(l3 + 6) & 0x3fff) != 0, h.ttl = f.u8(l3 + 8), h.proto = f.u8(l3 + 9);
    h.ip_csum = f.u16(l3 + 10), h.sip = f.u32(l3 + 12), h.dip = f.u32(l3 + 16);
    parse_l4(f, h);
    return h;
}

// The first field in which `got` differs from `want`, or "". Fields that what comes before makes meaningless are not compared.
inline std::string compare(const HdrFields& got, const Header& want, uint64_t vif) {
    std::string wrong;
    auto check = [&](const char* name, uint64_t g, uint64_t w) {
        if (g != w && wrong.empty()) wrong = std::string(name) + ": " + std::to_string(g) + ", expected " + std::to_string(w);
    };
#define CHECK(f) check(#f, got.f, want.f)
    check("vif", got.vif, vif);
    CHECK(frame_len), CHECK(oversize), CHECK(runt);
    if (want.oversize || want.runt) return wrong;
    CHECK(dmac), CHECK(vlan_tagged), CHECK(is_arp), CHECK(is_ip4), CHECK(is_tunnel), CHECK(outer_later);
    CHECK(outer_frag), CHECK(outer_udp), CHECK(outer_sip), CHECK(outer_dip), CHECK(outer_id), CHECK(outer_csum_bad), CHECK(outer_bad);
    if (!want.outer_csum_bad && !want.outer_bad && !want.outer_frag) CHECK(outer_sum_bad);
    if (want.is_tunnel && !want.outer_bad) CHECK(label), CHECK(bos), CHECK(mpls_ttl), CHECK(inner_not_ip4);
    if (!want.has_l3) return wrong;
    CHECK(l3_off), CHECK(ip_bad);
    if (want.ip_bad) return wrong;
    CHECK(ip_csum_bad), CHECK(ihl), CHECK(ip_len), CHECK(ip_id), CHECK(ttl), CHECK(proto), CHECK(ip_csum);
    CHECK(sip), CHECK(dip), CHECK(frag), CHECK(l4_short);
    if (want.l4_short) return wrong;
    CHECK(icmp_err), CHECK(icmp_echo), CHECK(key_proto), CHECK(key_sip), CHECK(key_dip), CHECK(key_sport), CHECK(key_dport);
    CHECK(l4_csum), CHECK(emb_ip_csum), CHECK(emb_l4_csum_en), CHECK(emb_l4_csum);
    CHECK(tcp_syn), CHECK(tcp_fin), CHECK(tcp_rst), CHECK(tcp_ack);
#undef CHECK
    return wrong;
}

// ---- What the rewriter must do

enum Dst : uint32_t { Drop, Fabric, Host, Firmware };
enum Encap : uint32_t { L2, Udp, Gre };

struct Verdict {
    uint32_t src = 0, dst = Drop, out_vif = 0, in_vif = 0, trap_reason = 0, raw = 0, frame_len = 0, strip = 0, ip_len = 0, encap = L2;
    uint64_t dmac = 0, smac = 0;
    uint32_t outer_sip = 0, outer_dip = 0, outer_id = 0, entropy = 0, label = 0, mpls_ttl = 0;
    uint32_t ihl = 0, ttl_proto = 0, ip_csum = 0, sip_en = 0, sip = 0, dip_en = 0, dip = 0;
    uint32_t sport_en = 0, sport = 0, dport_en = 0, dport = 0, l4_csum_en = 0, l4_csum_word = 0, l4_csum = 0;
    uint32_t emb_en = 0, emb_ip_csum = 0, emb_sip = 0, emb_dip = 0, emb_sport_en = 0, emb_sport = 0, emb_dport_en = 0, emb_dport = 0;
    uint32_t emb_l4_csum_en = 0, emb_l4_csum_word = 0, emb_l4_csum = 0;
};

// A verdict that the core could give for a frame with this header, its values random.
inline Verdict decide(Rng& r, const Header& h, uint32_t src, uint32_t vif) {
    Verdict v;
    v.src = src, v.in_vif = vif, v.frame_len = uint32_t(h.frame_len);
    v.out_vif = 1 + r.below(255), v.trap_reason = 1 + r.below(2);
    if (h.oversize || h.runt || r.one_in(10)) return v;
    bool rewrite = h.has_l3 && !h.ip_bad && !h.l4_short && !r.one_in(4);
    v.raw = !rewrite;
    v.dst = rewrite ? (r.below(2) ? Fabric : Host) : (r.one_in(5) ? Firmware : r.below(2) ? Fabric : Host);
    v.strip = uint32_t(h.l3_off), v.ip_len = uint32_t(h.ip_len), v.encap = r.below(3);
    v.dmac = r.next() >> 16, v.smac = r.next() >> 16;
    v.outer_sip = uint32_t(r.next()), v.outer_dip = uint32_t(r.next()), v.outer_id = r.below(65536);
    v.entropy = r.below(65536), v.label = r.below(1 << 20), v.mpls_ttl = r.below(256);
    if (r.one_in(20)) {  // an outer checksum whose first folding carries again
        uint32_t sum = 0x4500 + v.ip_len + (v.encap == Gre ? 0x402f + 28 : 0x4011 + 32);
        for (uint32_t ip : {v.outer_sip, v.outer_dip}) sum += (ip >> 16) + (ip & 0xffff);
        v.outer_id = 0xffff - (sum & 0xffff);
    }
    v.ihl = uint32_t(h.ihl), v.ttl_proto = r.below(65536), v.ip_csum = r.below(65536);
    v.sip_en = r.below(2), v.sip = uint32_t(r.next()), v.dip_en = r.below(2), v.dip = uint32_t(r.next());
    if (h.frag || !rewrite) return v;
    v.sport = r.below(65536), v.dport = r.below(65536), v.l4_csum = r.below(65536);
    if (h.proto == 6 || h.proto == 17) {
        v.sport_en = r.below(2), v.dport_en = r.below(2), v.l4_csum_en = r.below(2), v.l4_csum_word = h.proto == 6 ? 8 : 3;
    } else if (h.icmp_err && r.below(2)) {
        v.l4_csum_en = 1, v.l4_csum_word = 1;
        v.emb_en = 1, v.emb_ip_csum = r.below(65536), v.emb_sip = uint32_t(r.next()), v.emb_dip = uint32_t(r.next());
        v.emb_sport_en = r.below(2), v.emb_sport = r.below(65536), v.emb_dport_en = r.below(2), v.emb_dport = r.below(65536);
        v.emb_l4_csum_en = r.below(2) && (h.key_proto != 6 || h.emb_l4_csum_en), v.emb_l4_csum_word = h.key_proto == 6 ? 8 : 3;
        v.emb_l4_csum = r.below(65536);
    }
    return v;
}

inline Bytes carry_out(const Verdict& v, const Bytes& frame) {
    if (v.raw) return frame;
    Bytes p(frame.begin() + v.strip, frame.begin() + v.strip + v.ip_len);
    auto w = [&](bool en, size_t at, uint32_t value) {
        if (en && at + 2 <= p.size()) set16(p, at, value & 0xffff);
    };
    size_t l4 = v.ihl * 4, e = l4 + 8;
    w(true, 8, v.ttl_proto), w(true, 10, v.ip_csum);
    w(v.sip_en, 12, v.sip >> 16), w(v.sip_en, 14, v.sip), w(v.dip_en, 16, v.dip >> 16), w(v.dip_en, 18, v.dip);
    w(v.sport_en, l4, v.sport), w(v.dport_en, l4 + 2, v.dport), w(v.l4_csum_en, l4 + 2 * v.l4_csum_word, v.l4_csum);
    w(v.emb_en, e + 10, v.emb_ip_csum), w(v.emb_en, e + 12, v.emb_sip >> 16), w(v.emb_en, e + 14, v.emb_sip);
    w(v.emb_en, e + 16, v.emb_dip >> 16), w(v.emb_en, e + 18, v.emb_dip);
    w(v.emb_sport_en, e + 20, v.emb_sport), w(v.emb_dport_en, e + 22, v.emb_dport), 
        w(v.emb_l4_csum_en, e + 20 + 2 * v.emb_l4_csum_word, v.emb_l4_csum);
    Bytes out;
    put48(out, v.dmac), put48(out, v.smac), put16(out, 0x0800);
    if (v.encap != L2) {
        bool udp = v.encap == Udp;
        put16(out, 0x4500), put16(out, v.ip_len + (udp ? 32 : 28)), put16(out, v.outer_id), put16(out, 0);
        put8(out, 64), put8(out, udp ? 17 : 47), put16(out, 0), put32(out, v.outer_sip), put32(out, v.outer_dip);
        set16(out, 24, uint16_t(~ones_sum(&out[14], 20)));
        if (udp) put16(out, v.entropy), put16(out, 6635), put16(out, v.ip_len + 12), put16(out, 0);
        else put32(out, 0x00008847);
        put32(out, v.label << 12 | 1 << 8 | v.mpls_ttl);
    }
    append(out, p);
    return out;
}

}  // namespace tb
