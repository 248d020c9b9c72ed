// Bench of ps_datapath: random frames in, header records and frames out compared byte for byte with frames.h.
//
//   ps_datapath_tb [--seed N] [--frames N]     random test, then the rate and latency figures
//
// Exit code 0 only if everything agreed. A mismatch prints the seed and both sides.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <string>

#include "Vps_datapath_tb.h"
#include "bench.h"
#include "frames.h"
#include "verilated.h"

using namespace tb;

namespace {

struct Expected {
    Bytes bytes;
    uint32_t vif = 0, reason = 0, in_vif = 0, in_len = 0;
    bool first_seen = false;
};

// What the random frames must have met; a test that meets none of a kind is no test of it.
std::map<std::string, uint64_t> met;

void note(const Header& h, const Verdict& v) {
    auto count = [](const char* name, bool hit) { met[name] += hit; };
    count("oversize", h.oversize), count("runt", h.runt), count("arp", h.is_arp), count("tunnel", h.is_tunnel);
    count("outer packet bad", h.outer_bad), count("outer checksum bad", h.outer_csum_bad), count("UDP or GRE checksum bad", h.outer_sum_bad);
    count("first fragment of a tunnel", h.is_tunnel && h.outer_frag), count("later fragment", h.outer_later), count("tagged", h.vlan_tagged), count("inner not IPv4", h.inner_not_ip4);
    count("tunnel with tag, checksum and key", h.is_tunnel && h.l3_off == 54), count("GRE plain", h.l3_off == 42);
    count("IPv4 bad", h.ip_bad), count("checksum bad", h.ip_csum_bad), count("fragment", h.frag), count("options", h.ihl > 5);
    count("options of 40 bytes", h.ihl == 15), count("layer 4 short", h.l4_short), count("ICMP error", h.icmp_err), count("echo", h.icmp_echo);
    count("ICMP error in a tunnel", h.icmp_err && h.is_tunnel), count("ICMP error about UDP", h.emb_l4_csum_en && h.key_proto == 17);
    count("ICMP error about TCP, with its checksum", h.emb_l4_csum_en && h.key_proto == 6), count("embedded TCP checksum written", v.emb_l4_csum_en && v.emb_l4_csum_word == 8);
    count("ICMP error about echo", h.icmp_err && h.key_proto == 1);
    count("TCP beyond the window", h.l4_short && h.proto == 6 && h.l3_off + h.ihl * 4 > 110);
    count("embedded edit", v.emb_en), count("to firmware", v.dst == Firmware), count("drop", v.dst == Drop);
    bool rewritten = v.dst != Drop && !v.raw;
    count("MPLSoUDP", rewritten && v.encap == Udp), count("MPLSoGRE", rewritten && v.encap == Gre), count("Ethernet", rewritten && v.encap == L2);
    count("one beat more", rewritten && v.encap == Udp && (v.ip_len + 46 + 63) / 64 > (v.frame_len + 63) / 64);
    count("padding cut", rewritten && v.ip_len + v.strip < v.frame_len);
}

struct Bench {
    RandomContext context;
    Vps_datapath_tb top{&context};
    Rng rng;
    uint64_t cycle = 0;
    unsigned latency = 40;                       // of the core
    unsigned gap_percent = 30, stall_percent = 30, full_percent = 20;
    int closed_sink = -1;                        // takes nothing
    Source in[3];                                // fabric, host, firmware
    std::deque<std::pair<Bytes, uint8_t>> parsing[2];   // taken in, header not yet seen
    std::deque<std::pair<uint64_t, Verdict>> core;
    std::deque<Expected> expected[3][3];         // by sink, then source
    std::deque<std::pair<uint32_t, uint32_t>> sent;     // firmware frames: vif, bytes
    Bytes partial[3];
    uint32_t partial_vif[3] = {};
    uint64_t frames_out = 0, drops = 0, trap_drops = 0, headers = 0;
    std::function<Verdict(const Header&, uint32_t, uint32_t)> policy;
    uint64_t first_in = 0, last_out = 0, first_out = 0;

    explicit Bench(uint64_t s) : context(s), rng(s) {
        policy = [this](const Header& h, uint32_t src, uint32_t vif) { return decide(rng, h, src, vif); };
        top.rst_i = 1;
        top.eval();
        if (top.hdr_bits_o != kHdrBits) fail("hdr_fields.h does not fit hdr_t");
        for (int i = 0; i < 4; i++) edge();
        top.rst_i = 0;
    }

    void edge() {
        top.clk_i = 0, top.eval();
        top.clk_i = 1, top.eval();
    }

    void take_header() {
        uint32_t src = uint32_t(hdr_bits(top.hdr_o.m_storage).src);
        if (parsing[src].empty()) fail("header without a frame");
        auto [frame, vif] = parsing[src].front();
        parsing[src].pop_front();
        headers++;
        Header h = parse(frame, src == 0);
        HdrFields got = hdr_bits(top.hdr_o.m_storage);
        std::string wrong = compare(got, h, vif);
        if (!wrong.empty()) fail("header field " + wrong + "\n  frame " + hex(frame));
        Verdict v = policy(h, src, vif);
        core.emplace_back(cycle + latency, v);
        note(h, v);
        if (v.dst == Drop) {
            drops++;
            return;
        }
        Expected e;
        e.bytes = carry_out(v, frame), e.vif = v.out_vif;
        e.reason = v.trap_reason, e.in_vif = vif, e.in_len = uint32_t(h.frame_len);
        expected[v.dst - 1][src].push_back(std::move(e));
    }

    void give_verdict() {
        top.verdict_valid_i = !core.empty() && core.front().first == cycle;
        if (!top.verdict_valid_i) return;
        const Verdict& v = core.front().second;
#define SET(f) top.v_##f = v.f
        SET(src), SET(dst), SET(out_vif), SET(in_vif), SET(trap_reason), SET(raw), SET(frame_len), SET(strip), SET(ip_len), SET(encap);
        SET(dmac), SET(smac), SET(outer_sip), SET(outer_dip), SET(outer_id), SET(entropy), SET(label), SET(mpls_ttl), SET(ihl);
        SET(ttl_proto), SET(ip_csum), SET(sip_en), SET(sip), SET(dip_en), SET(dip), SET(sport_en), SET(sport), SET(dport_en);
        SET(dport), SET(l4_csum_en), SET(l4_csum_word), SET(l4_csum), SET(emb_en), SET(emb_ip_csum), SET(emb_sip), SET(emb_dip);
        SET(emb_sport_en), SET(emb_sport), SET(emb_dport_en), SET(emb_dport), SET(emb_l4_csum_en), SET(emb_l4_csum_word), SET(emb_l4_csum);
#undef SET
        core.pop_front();
    }

    // A whole frame at a sink: the oldest one of some source
    void arrived(int sink) {
        for (int src = 0; src < 3; src++) {
            auto& q = expected[sink][src];
            if (q.empty() || q.front().bytes != partial[sink]) continue;
            const Expected& e = q.front();
            if (sink == 1 && e.vif != partial_vif[sink]) continue;
            if (sink == 2 && (e.reason != top.fw_rx_reason_o || e.in_vif != top.fw_rx_vif_o || e.in_len != top.fw_rx_bytes_o)) continue;
            q.pop_front();
            partial[sink].clear();
            frames_out++;
            last_out = cycle;
            return;
        }
        std::string all = "frame at sink " + std::to_string(sink) + " is not expected:\n  got  " + hex(partial[sink]);
        for (int src = 0; src < 3; src++)
            if (!expected[sink][src].empty()) all += "\n  want " + hex(expected[sink][src].front().bytes);
        fail(all);
    }

    void take_beat(int sink, const void* data, uint64_t keep, bool last, uint32_t vif) {
        if (partial[sink].empty()) partial_vif[sink] = vif;
        if (!first_out) first_out = cycle;
        size_t n = size_t(__builtin_popcountll(keep));
        Bytes beat(64);
        std::memcpy(beat.data(), data, 64);
        for (size_t i = n; i < 64; i++)
            if (beat[i] && sink < 3 && expected[sink][2].empty()) fail("stale bytes beyond tkeep");
        beat.resize(n);
        append(partial[sink], beat);
        if (last) arrived(sink);
    }

    void step() {
        CData none = 0;
        auto go = [this] { return !rng.percent(gap_percent); };
        auto flow = [this] { return uint8_t(!rng.percent(stall_percent)); };
        in[0].drive(go(), top.s_fab_tdata_i.m_storage, top.s_fab_tkeep_i, top.s_fab_tlast_i, none, top.s_fab_tvalid_i, rng);
        in[1].drive(go(), top.s_host_tdata_i.m_storage, top.s_host_tkeep_i, top.s_host_tlast_i, top.s_host_tuser_i, top.s_host_tvalid_i, rng);
        in[2].drive(go(), top.fw_tx_tdata_i.m_storage, top.fw_tx_tkeep_i, top.fw_tx_tlast_i, top.fw_tx_vif_i, top.fw_tx_tvalid_i, rng);
        top.m_fab_tready_i = flow(), top.m_host_tready_i = flow(), top.fw_rx_tready_i = flow();
        if (closed_sink == 0) top.m_fab_tready_i = 0;
        if (closed_sink == 1) top.m_host_tready_i = 0;
        top.fw_rx_full_i = rng.percent(full_percent);
        give_verdict();
        top.clk_i = 0, top.eval();
        bool took[3] = {top.s_fab_tvalid_i && top.s_fab_tready_o, top.s_host_tvalid_i && top.s_host_tready_o,
                        top.fw_tx_tvalid_i && top.fw_tx_tready_o};
        for (int s = 0; s < 3; s++) {
            if (!took[s]) continue;
            if (!first_in) first_in = cycle;
            if (!in[s].last) continue;
            auto& [frame, vif] = in[s].frames.front();
            if (s < 2) {
                parsing[s].emplace_back(frame, s == 0 ? 0 : vif);
            } else {
                Expected e;
                e.bytes = frame, e.vif = vif;
                expected[vif == 0 ? 0 : 1][2].push_back(e);
                sent.emplace_back(vif, frame.size());
            }
        }
        if (top.hdr_valid_o) take_header();
        if (top.m_fab_tvalid_o && top.m_fab_tready_i) take_beat(0, top.m_fab_tdata_o.m_storage, top.m_fab_tkeep_o, top.m_fab_tlast_o, 0);
        if (top.m_host_tvalid_o && top.m_host_tready_i)
            take_beat(1, top.m_host_tdata_o.m_storage, top.m_host_tkeep_o, top.m_host_tlast_o, top.m_host_tuser_o);
        if (top.fw_rx_tvalid_o && top.fw_rx_tready_i) take_beat(2, top.fw_rx_tdata_o.m_storage, top.fw_rx_tkeep_o, top.fw_rx_tlast_o, 0);
        if (top.trap_drop_valid_o) {
            auto& q = expected[2][top.trap_drop_vif_o == 0 ? 0 : 1];
            if (q.empty() || q.front().in_vif != top.trap_drop_vif_o) fail("trap drop of a frame that was not there");
            q.pop_front();
            trap_drops++;
        }
        if (top.fw_tx_valid_o) {
            if (sent.empty() || sent.front() != std::make_pair(uint32_t(top.fw_tx_vif_o), uint32_t(top.fw_tx_bytes_o)))
                fail("count of a firmware frame is wrong");
            sent.pop_front();
        }
        top.clk_i = 1, top.eval();
        for (int s = 0; s < 3; s++)
            if (took[s]) in[s].accepted();
        cycle++;
    }

    void drain() {
        uint64_t deadline = cycle + 200000;
        while (cycle < deadline) {
            step();
            if (in[0].idle() && in[1].idle() && in[2].idle() && core.empty() && !top.busy_o) break;
        }
        step();
        if (top.busy_o) fail("still busy after the last frame");
        for (auto& sink : expected)
            for (auto& q : sink)
                if (!q.empty()) fail("frames missing: " + std::to_string(q.size()) + ", first " + hex(q.front().bytes));
        if (!parsing[0].empty() || !parsing[1].empty() || !sent.empty()) fail("headers or counts missing");
    }
};

void random_test(uint64_t frames) {
    for (uint64_t round = 0; frames > 0; round++) {
        Bench b(seed * 1000003 + round);
        b.latency = 1 + b.rng.below(72);
        static const unsigned levels[] = {0, 5, 30, 80};
        b.gap_percent = levels[b.rng.below(4)], b.stall_percent = levels[b.rng.below(4)], b.full_percent = levels[b.rng.below(4)];
        uint64_t n = frames < 4000 ? frames : 4000;
        frames -= n;
        for (uint64_t i = 0; i < n; i++) {
            uint32_t kind = b.rng.below(20);
            if (kind == 0) {
                Bytes f;
                fill(f, b.rng, 14 + b.rng.below(243));
                b.in[2].frames.emplace_back(f, b.rng.below(2) ? 0 : b.rng.below(256));
            } else {
                uint32_t p = kind & 1;
                b.in[p].frames.emplace_back(frame(b.rng, p == 0), p == 0 ? 0 : 1 + b.rng.below(255));
            }
        }
        b.drain();
        std::printf("round %llu: %llu headers, %llu frames out, %llu dropped, %llu trap drops, %llu cycles\n", (unsigned long long)round,
                    (unsigned long long)b.headers, (unsigned long long)b.frames_out, (unsigned long long)b.drops,
                    (unsigned long long)b.trap_drops, (unsigned long long)b.cycle);
    }
}

// Firmware frames alone, with gaps inside them: nothing else keeps busy_o up.
void firmware_test() {
    Bench b(seed);
    b.gap_percent = 80;
    for (int i = 0; i < 200; i++) {
        Bytes f;
        fill(f, b.rng, 100 + b.rng.below(157));
        b.in[2].frames.emplace_back(f, b.rng.below(3));
    }
    b.drain();
}

// A frame of `size` bytes with a UDP packet in it, from a vif or (`tunnel`) in MPLSoUDP from the fabric.
Bytes plain(Rng& r, size_t size, bool tunnel) {
    Bytes udp;
    fill(udp, r, size - 14 - 20 - (tunnel ? 32 : 0));
    Bytes packet = ip4(r, 17, udp, true), f;
    put48(f, 0x020000000001), put48(f, 0x020000000002), put16(f, 0x0800);
    if (!tunnel) {
        append(f, packet);
        return f;
    }
    Bytes outer;
    put16(outer, 50000), put16(outer, 6635), put16(outer, packet.size() + 12), put16(outer, 0), put32(outer, 0x00100140);
    append(outer, packet);
    append(f, ip4(r, 17, outer, true));
    return f;
}

enum Job { Raw, Encapsulate, Decapsulate, Local, Discard };
const char* const job_names[] = {"raw", "encap", "decap", "local", "drop"};

Verdict job_verdict(Rng& r, Job job, const Header& h, uint32_t src, uint32_t vif) {
    Verdict v = decide(r, h, src, vif);
    while (v.dst == Drop) v = decide(r, h, src, vif);
    v.raw = job == Raw;
    v.dst = job == Discard ? Drop : job == Encapsulate || (job == Raw && src == 1) ? Fabric : Host;
    v.encap = job == Encapsulate ? Udp : L2;
    return v;
}

// `count` frames of `size` bytes back to back: cycles from the first beat in to the last beat out, less the latency.
void rate(Job job, size_t size, unsigned ports) {
    const unsigned count = 2000;
    uint64_t one = 0, all = 0;
    for (unsigned n : {1u, count}) {
        Bench b(seed);
        b.latency = 72, b.gap_percent = b.stall_percent = b.full_percent = 0;
        b.policy = [&](const Header& h, uint32_t src, uint32_t vif) { return job_verdict(b.rng, job, h, src, vif); };
        for (unsigned i = 0; i < n; i++)
            for (unsigned p = 0; p < 2; p++)
                if (ports >> p & 1) b.in[p].frames.emplace_back(plain(b.rng, size, job == Decapsulate), p == 0 ? 0 : 5);
        b.drain();
        uint64_t cycles = job == Discard ? b.cycle : b.last_out - b.first_in + 1;
        if (n == 1) {
            one = cycles;
            if (job != Discard)
                std::printf("latency %-6s %5zu bytes: first beat in to first beat out %llu cycles without the core\n", job_names[job], size,
                            (unsigned long long)(b.first_out - b.first_in - b.latency));
        } else {
            all = cycles;
        }
    }
    size_t out = job == Raw || job == Discard || job == Local ? size : job == Encapsulate ? size + 32 : size - 32;
    size_t beats = (std::max(size, out) + 63) / 64;
    double per_frame = double(all - one) / (count - 1);
    unsigned n_ports = (ports & 1) + (ports >> 1 & 1);
    double bound = beats < n_ports ? n_ports : double(beats);
    std::printf("rate    %-6s %5zu bytes, %u port%s: %.3f cycles a frame and port (bound %.0f)\n", job_names[job], size, n_ports,
                n_ports == 1 ? "" : "s", per_frame, bound);
    if (per_frame > bound * 1.005) fail("slower than the specification");
}

// Frames of every size back to back, which grow, shrink or stay, at full rate and against sinks that stall.
void every_size() {
    static const Job jobs[] = {Raw, Encapsulate, Decapsulate, Local};
    for (unsigned stall : {0u, 50u}) {
        for (Job job : jobs) {
            Bench b(seed);
            b.latency = 72, b.gap_percent = b.full_percent = 0, b.stall_percent = stall;
            b.policy = [&](const Header& h, uint32_t src, uint32_t vif) { return job_verdict(b.rng, job, h, src, vif); };
            for (size_t size = 96; size <= 420; size++) {
                b.in[0].frames.emplace_back(plain(b.rng, size, job == Decapsulate), 0);
                if (job != Decapsulate) b.in[1].frames.emplace_back(plain(b.rng, size, false), 7);
            }
            for (size_t size : {9152, 9215, 9216, 64, 96})
                if (size >= 96 || job != Decapsulate) b.in[0].frames.emplace_back(plain(b.rng, size, job == Decapsulate), 0);
            b.drain();
        }
    }
}

// A sink that takes nothing holds up its own frames and those behind them, and no other port's: all of one port go to it and
// more than there is room for, the other port's go elsewhere and all arrive. Then it opens, and nothing has been lost.
void blocked_sink() {
    for (uint32_t closed : {0u, 1u}) {
        Bench b(seed);
        b.latency = 72, b.gap_percent = b.stall_percent = b.full_percent = 0;
        uint32_t held = 1 - closed;  // the port whose frames go to the closed sink
        b.policy = [&](const Header& h, uint32_t src, uint32_t vif) {
            return job_verdict(b.rng, (closed == 0) == (src == held) ? Encapsulate : Local, h, src, vif);
        };
        const unsigned count = 1500;
        for (unsigned i = 0; i < count; i++)
            for (unsigned p = 0; p < 2; p++) b.in[p].frames.emplace_back(plain(b.rng, 64 + i % 200, false), p == 0 ? 0 : 5);
        b.closed_sink = int(closed);
        for (uint64_t limit = b.cycle + 20000; b.frames_out < count; )
            if (b.step(), b.cycle > limit) fail("a closed sink holds up the other one");
        if (b.in[held].idle()) fail("a closed sink takes everything");
        b.closed_sink = -1;
        b.drain();
        if (b.frames_out != 2 * count) fail("frames lost at a closed sink");
    }
}

}  // namespace

int main(int argc, char** argv) {
    uint64_t frames = 40000;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!std::strcmp(argv[i], "--seed")) seed = std::strtoull(argv[i + 1], nullptr, 0);
        if (!std::strcmp(argv[i], "--frames")) frames = std::strtoull(argv[i + 1], nullptr, 0);
    }
    firmware_test();
    every_size();
    blocked_sink();
    random_test(frames);
    for (auto& [name, count] : met) {
        std::printf("met %7llu  %s\n", (unsigned long long)count, name.c_str());
        if (frames >= 20000 && count == 0) fail("never met: " + name);
    }
    for (size_t size : {64, 65, 128, 1514}) {
        rate(Raw, size, 1), rate(Local, size, 2), rate(Encapsulate, size, 2);
        if (size >= 96) rate(Decapsulate, size, 1);
    }
    rate(Raw, 64, 3), rate(Discard, 64, 1), rate(Decapsulate, 96, 1);
    std::printf("ok\n");
    return 0;
}
