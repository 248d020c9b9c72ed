// Bench of ps_ingress and ps_parser: each check of a tunnel packet, the outer sum at every length, then random frames.
//
//   ps_parser_tb [--seed N] [--frames N]
//
// Every header is compared with frames.h's parser; the directed frames state besides what must be found in them.
#include <functional>
#include <vector>

#include "Vps_parser_tb.h"
#include "bench.h"

using namespace tb;

namespace {

using Expect = std::function<void(const HdrFields&)>;

struct Case {
    Bytes frame;
    std::string name;
    Expect expect;
};

struct Bench {
    RandomContext context;
    Vps_parser_tb top{&context};
    Rng rng;
    Source in[2];
    std::deque<Case> cases[2];  // by port, the frames that are in `in` or in the design
    unsigned gap_percent = 0, stall_percent = 0;
    uint64_t headers = 0;

    explicit Bench(uint64_t s) : context(s), rng(s) {
        top.rst_i = 1;
        for (int i = 0; i < 4; i++) top.clk_i = 0, top.eval(), top.clk_i = 1, top.eval();
        if (top.hdr_bits_o != kHdrBits) fail("hdr_fields.h does not fit hdr_t");
        top.rst_i = 0;
    }

    void add(int port, Bytes frame, std::string name, Expect expect = {}) {
        in[port].frames.emplace_back(frame, port == 0 ? 0 : uint8_t(1 + rng.below(255)));
        cases[port].push_back({std::move(frame), std::move(name), std::move(expect)});
    }

    void take(int port) {
        if (cases[port].empty()) fail("header without a frame");
        Case c = std::move(cases[port].front());
        cases[port].pop_front();
        HdrFields got = hdr_bits(top.hdr_o[port].m_storage);
        Header want = parse(c.frame, port == 0);
        want.src = uint64_t(port);
        std::string wrong = compare(got, want, port == 0 ? 0 : got.vif);
        if (got.src != want.src) wrong = "src";
        if (!wrong.empty()) fail(c.name + ": header field " + wrong + "\n  frame " + hex(c.frame));
        if (c.expect) c.expect(got);
        headers++;
    }

    void step() {
        for (int p = 0; p < 2; p++) {
            in[p].drive(!rng.percent(gap_percent), top.s_data_i[p].m_storage, top.s_keep_i[p], top.s_last_i[p], top.s_vif_i[p],
                        top.s_valid_i[p], rng);
            top.take_i[p] = !rng.percent(stall_percent);
        }
        top.clk_i = 0, top.eval();
        bool took[2];
        for (int p = 0; p < 2; p++) {
            took[p] = top.s_valid_i[p] && top.s_ready_o[p];
            if (top.hdr_valid_o[p]) take(p);
        }
        top.clk_i = 1, top.eval();
        for (int p = 0; p < 2; p++)
            if (took[p]) in[p].accepted();
    }

    void drain() {
        uint64_t left = 10000000;
        for (uint64_t idle = 0; idle < 100; idle++) {
            if (!in[0].idle() || !in[1].idle()) idle = 0;
            if (left-- == 0) fail("frames are not taken any more");
            step();
        }
        if (!cases[0].empty() || !cases[1].empty()) fail("headers missing");
    }
};

void expect(const std::string& name, const char* field, uint64_t got, uint64_t want) {
    if (got != want) fail(name + ": " + field + " is " + std::to_string(got) + ", must be " + std::to_string(want));
}

// ---- Frames that are right but for what a case does to them

enum Outer { UdpPlain, UdpSum, Gre, GreC, GreK, GreCK };
const Outer kOuters[] = {UdpPlain, UdpSum, Gre, GreC, GreK, GreCK};

// 4-byte shim and `inner`, in an outer IPv4 packet of that kind.
Bytes outer_packet(Rng& r, Outer kind, const Bytes& inner) {
    Bytes b;
    uint8_t proto = kind <= UdpSum ? 17 : 47;
    if (proto == 17) {
        put16(b, r.next()), put16(b, 6635), put16(b, 12 + inner.size()), put16(b, 0);
    } else {
        bool c = kind == GreC || kind == GreCK, k = kind == GreK || kind == GreCK;
        put16(b, (c ? 0x8000 : 0) | (k ? 0x2000 : 0)), put16(b, 0x8847);
        if (c) put32(b, 0);
        if (k) fill(b, r, 4);
    }
    put32(b, 0x12345140), append(b, inner);
    Bytes p = ip4(r, proto, b, true);
    seal(p, kind == UdpSum);
    return p;
}

// `vid` < 0: no tag.
Bytes on_wire(const Bytes& packet, int vid, size_t trailing, Rng& r) {
    Bytes f;
    put48(f, 0x0200a1b2c3d4), put48(f, 0x020000000002);
    if (vid >= 0) put16(f, 0x8100), put16(f, 0x6000 | vid);
    put16(f, 0x0800), append(f, packet), fill(f, r, trailing);
    return f;
}

Bytes udp_inner(Rng& r, size_t payload) {
    Bytes u;
    fill(u, r, 8 + payload);
    return ip4(r, 17, u, true);
}

// Changes an outer packet and makes its header checksum right again.
Bytes with(Bytes packet, const std::function<void(Bytes&)>& change) {
    change(packet);
    set_ip_csum(packet);
    return packet;
}

void tunnel_checks(Bench& b) {
    Rng& r = b.rng;
    struct Flags {
        unsigned tunnel, csum, frag, later, bad, sum;
    };
    auto add = [&](const std::string& name, const Bytes& packet, Flags f, size_t trailing = 0, int vid = -1) {
        b.add(0, on_wire(packet, vid, trailing, r), name, [=](const HdrFields& h) {
            expect(name, "is_tunnel", h.is_tunnel, f.tunnel), expect(name, "outer_csum_bad", h.outer_csum_bad, f.csum);
            expect(name, "outer_frag", h.outer_frag, f.frag), expect(name, "outer_later", h.outer_later, f.later);
            if (f.frag == 0) expect(name, "outer_bad", h.outer_bad, f.bad);
            if (f.frag + f.csum + f.bad == 0) expect(name, "outer_sum_bad", h.outer_sum_bad, f.sum);
            expect(name, "dmac", h.dmac, 0x0200a1b2c3d4), expect(name, "vlan_tagged", h.vlan_tagged, vid > 0);
            if (f.frag + f.csum + f.bad + f.sum == 0 && f.tunnel) {
                expect(name, "label", h.label, 0x12345), expect(name, "bos", h.bos, 1), expect(name, "mpls_ttl", h.mpls_ttl, 0x40);
                expect(name, "ip_bad", h.ip_bad, 0), expect(name, "ip_csum_bad", h.ip_csum_bad, 0);
            }
        });
    };
    for (Outer kind : kOuters) {
        Bytes good = outer_packet(r, kind, udp_inner(r, 30));
        std::string n = "outer " + std::to_string(kind) + " ";
        bool udp = kind <= UdpSum;
        size_t head = udp ? 28 : 24 + (kind == GreC || kind == GreK ? 4 : kind == GreCK ? 8 : 0);
        bool summed = kind == UdpSum || kind == GreC || kind == GreCK;
        for (int vid : {-1, 0, 1, 0xfff})
            for (size_t trailing : {0, 1, 7, 60}) add(n + "right", good, {1, 0, 0, 0, 0, 0}, trailing, vid);
        // 1: header checksum, at each byte
        for (size_t i : {1, 4, 5, 8, 10, 11, 12, 15, 16, 19}) {
            Bytes p = good;
            p[i] ^= 0x01;
            add(n + "header byte " + std::to_string(i), p, {1, 1, 0, 0, 0, 0});
        }
        // 2: fragments
        add(n + "MF", with(good, [](Bytes& p) { set16(p, 6, 0x2000); }), {1, 0, 1, 0, 0, 0});
        add(n + "offset", with(good, [](Bytes& p) { set16(p, 6, 0x2001); }), {0, 0, 1, 1, 0, 0});
        add(n + "last fragment", with(good, [](Bytes& p) { set16(p, 6, 0x1000); }), {0, 0, 1, 1, 0, 0});
        add(n + "later, checksum", [&] { Bytes p = good; set16(p, 6, 0x0001); return p; }(), {0, 1, 1, 1, 0, 0});
        add(n + "fragment of TCP", with(good, [](Bytes& p) { set16(p, 6, 1), p[9] = 6; }), {0, 0, 0, 0, 0, 0});
        // 3: GRE's flags
        if (!udp) {
            for (unsigned bit = 0; bit < 16; bit++) {
                if (bit == 0 || bit == 2) continue;
                bool version = bit >= 13, zero = bit == 1 || bit == 3 || bit == 4 || bit == 5;
                Bytes p = good;
                set16(p, 20, (p[20] << 8 | p[21]) | 0x8000 >> bit);
                seal(p, false);
                add(n + "GRE bit " + std::to_string(bit), p, {!version, 0, 0, 0, zero, 0});
            }
        }
        // 4: lengths
        uint32_t size = uint32_t(good.size());
        add(n + "longer than the frame", with(good, [&](Bytes& p) { set16(p, 2, size + 1); if (udp) set16(p, 24, size + 1 - 20); }), {1, 0, 0, 0, 1, 0});
        add(n + "longer, within a tag's reach", with(good, [&](Bytes& p) { set16(p, 2, size + 1); if (udp) set16(p, 24, size + 1 - 20); }), {1, 0, 0, 0, 1, 0}, 0, 0);
        for (uint32_t len : {0u, 19u, 20u, uint32_t(head), uint32_t(head + 3)})
            add(n + "no label in " + std::to_string(len), with(good, [&](Bytes& p) { set16(p, 2, len); if (udp) set16(p, 24, len - 20); }), {1, 0, 0, 0, 1, 0});
        if (udp) {
            for (int d : {-1, 1, 256}) add(n + "UDP length", with(good, [&](Bytes& p) { set16(p, 24, size - 20 + d), seal(p, kind == UdpSum); }), {1, 0, 0, 0, 1, 0}, 300);
        }
        // 5: UDP's and GRE's checksum, at each byte behind the label
        for (size_t i = head + 4; i < good.size(); i++) {
            Bytes p = good;
            p[i] ^= 0x04;
            std::string name = n + "byte " + std::to_string(i);
            b.add(0, on_wire(p, -1, 3, r), name, [=](const HdrFields& h) { expect(name, "outer_sum_bad", h.outer_sum_bad, summed); });
        }
        // The own packet ends with the outer one, padding or not.
        Bytes inner = udp_inner(r, 30);
        set16(inner, 2, uint32_t(inner.size() + 4)), set_ip_csum(inner);
        for (size_t trailing : {0, 4, 64})
            b.add(0, on_wire(outer_packet(r, kind, inner), -1, trailing, r), n + "own packet reaches into padding",
                  [=](const HdrFields& h) { expect(n, "outer_bad", h.outer_bad, 0), expect(n, "ip_bad", h.ip_bad, 1); });
    }
    // UDP: a sum of 0 is sent as 0xffff; the same packet with 0xfffe is wrong
    Bytes p = outer_packet(r, UdpSum, udp_inner(r, 2));
    set16(p, 20, 0), set16(p, 26, 0xffff);
    set16(p, 20, uint16_t(~ones_sum(&p[20], p.size() - 20, 17 + uint32_t(p.size() - 20) + ones_sum(&p[12], 8))));
    add("UDP checksum 0xffff", p, {1, 0, 0, 0, 0, 0});
    set16(p, 26, 0xfffe);
    add("UDP checksum 0xfffe", p, {1, 0, 0, 0, 0, 1});
    // A host's frame is no tunnel
    b.add(1, on_wire(outer_packet(r, UdpSum, udp_inner(r, 30)), -1, 0, r), "host", [](const HdrFields& h) {
        expect("host", "is_tunnel", h.is_tunnel, 0), expect("host", "outer_sip", h.outer_sip, 0);
    });
}

// The sum over every length, odd ones and padding included: right as sent, wrong with one bit, padding never counts.
void every_length(Bench& b) {
    Rng& r = b.rng;
    for (size_t len = 66; len <= 400; len++) {
        for (int vid : {-1, 0}) {
            Outer kind = r.below(2) ? UdpSum : r.below(2) ? GreC : GreCK;
            size_t head = 20 + (kind == UdpSum ? 8 : kind == GreC ? 8 : 12) + 4;
            Bytes packet = outer_packet(r, kind, udp_inner(r, len - head > 28 ? len - head - 28 : 0));
            size_t trailing = r.below(3) ? r.below(130) : 0;
            auto add = [&](const Bytes& p, unsigned wrong, const char* what) {
                std::string name = "length " + std::to_string(len) + what;
                b.add(0, on_wire(p, vid, trailing, r), name,
                      [=](const HdrFields& h) { expect(name, "outer_sum_bad", h.outer_sum_bad, wrong); });
            };
            add(packet, 0, " as sent");
            Bytes last = packet, some = packet;
            last.back() ^= uint8_t(1 << r.below(8));
            some[head + r.below(uint32_t(packet.size() - head))] ^= uint8_t(1 << r.below(8));
            add(last, 1, " last byte"), add(some, 1, " some byte");
        }
    }
}

// ICMP errors of every length that matters to an embedded checksum.
void embedded(Bench& b) {
    Rng& r = b.rng;
    for (uint8_t proto : {6, 17, 132, 1}) {
        for (size_t l4_bytes = 8; l4_bytes <= 24; l4_bytes++) {
            Bytes icmp, head;
            put8(icmp, 3), put8(icmp, 4), put16(icmp, r.next()), put32(icmp, 0);
            if (proto == 1) put8(head, 8);
            fill(head, r, l4_bytes - head.size());
            set16(head, 6, 0x1234);
            append(icmp, ip4(r, proto, head, true));
            Bytes packet = ip4(r, 1, icmp, true);
            bool there = proto == 17 || (proto == 6 && packet.size() >= 66);
            uint32_t want = !there ? 0 : proto == 17 ? 0x1234 : uint32_t(head[16] << 8 | head[17]);
            auto check = [=](const HdrFields& h) {
                expect("embedded", "icmp_err", h.icmp_err, 1), expect("embedded", "emb_l4_csum_en", h.emb_l4_csum_en, there);
                expect("embedded", "emb_l4_csum", h.emb_l4_csum, want);
            };
            b.add(1, on_wire(packet, -1, 40, r), "embedded", check);
            for (Outer kind : kOuters)
                for (int vid : {-1, 0}) b.add(0, on_wire(outer_packet(r, kind, packet), vid, 40, r), "embedded in a tunnel", check);
        }
    }
    Bytes icmp, head;
    put32(icmp, 0x03040000), put32(icmp, 0), fill(head, r, 8), set16(head, 6, 0), append(icmp, ip4(r, 17, head, true));
    b.add(1, on_wire(ip4(r, 1, icmp, true), -1, 0, r), "embedded UDP without checksum",
          [](const HdrFields& h) { expect("no checksum", "emb_l4_csum_en", h.emb_l4_csum_en, 0); });
}

}  // namespace

int main(int argc, char** argv) {
    uint64_t frames = 40000;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!std::strcmp(argv[i], "--seed")) seed = std::strtoull(argv[i + 1], nullptr, 0);
        if (!std::strcmp(argv[i], "--frames")) frames = std::strtoull(argv[i + 1], nullptr, 0);
    }
    for (unsigned percent : {0, 40}) {
        Bench b(seed + percent);
        b.gap_percent = b.stall_percent = percent;
        tunnel_checks(b), every_length(b), embedded(b);
        b.drain();
        std::printf("directed: %llu headers\n", (unsigned long long)b.headers);
    }
    for (uint64_t done = 0, round = 0; done < frames; done += 2000, round++) {
        Bench b(seed * 1000003 + round);
        static const unsigned levels[] = {0, 5, 30, 80};
        b.gap_percent = levels[b.rng.below(4)], b.stall_percent = levels[b.rng.below(4)];
        for (int i = 0; i < 2000; i++) {
            int port = b.rng.one_in(3);
            b.add(port, frame(b.rng, port == 0), "random");
        }
        b.drain();
    }
    std::printf("ok\n");
    return 0;
}
