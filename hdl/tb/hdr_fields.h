// The fields of hdr_t in the order of ps_types_pkg, with their widths: HDR_FIELDS(X) calls X(name, bits) for each.
//
// A bench hands the record out as one packed port; `hdr_bits` takes it apart. Its top also hands out $bits(hdr_t), so that a
// field that is added, removed or widened there and not here is found in the first cycle.
#pragma once
#include <cstdint>

#define HDR_FIELDS(X) \
    X(src, 1) X(vif, 8) X(frame_len, 16) X(oversize, 1) X(runt, 1) \
    X(dmac, 48) X(vlan_tagged, 1) X(is_arp, 1) X(is_ip4, 1) \
    X(is_tunnel, 1) X(outer_later, 1) X(outer_frag, 1) X(outer_udp, 1) X(outer_sip, 32) X(outer_dip, 32) X(outer_id, 16) \
    X(outer_csum_bad, 1) X(outer_bad, 1) X(outer_sum_bad, 1) \
    X(label, 20) X(bos, 1) X(mpls_ttl, 8) X(inner_not_ip4, 1) \
    X(l3_off, 7) X(ip_bad, 1) X(ip_csum_bad, 1) X(ihl, 4) X(ip_len, 16) X(ip_id, 16) X(ttl, 8) X(proto, 8) X(ip_csum, 16) \
    X(sip, 32) X(dip, 32) X(frag, 1) \
    X(l4_short, 1) X(icmp_err, 1) X(icmp_echo, 1) X(key_proto, 8) X(key_sip, 32) X(key_dip, 32) X(key_sport, 16) X(key_dport, 16) \
    X(l4_csum, 16) X(emb_ip_csum, 16) X(emb_l4_csum_en, 1) X(emb_l4_csum, 16) X(tcp_syn, 1) X(tcp_fin, 1) X(tcp_rst, 1) X(tcp_ack, 1)

namespace tb {

struct HdrFields {
#define HDR_MEMBER(name, bits) uint64_t name = 0;
    HDR_FIELDS(HDR_MEMBER)
#undef HDR_MEMBER
};

#define HDR_WIDTH(name, bits) +bits
constexpr unsigned kHdrBits = 0 HDR_FIELDS(HDR_WIDTH);
#undef HDR_WIDTH

// `words`: the packed record, 32 bits a word, least significant first.
inline HdrFields hdr_bits(const uint32_t* words) {
    HdrFields h;
    unsigned at = kHdrBits;  // the first field is the most significant
    auto take = [&](unsigned bits) {
        at -= bits;
        uint64_t value = 0;
        for (unsigned i = 0; i < bits; i++) value |= uint64_t(words[(at + i) / 32] >> (at + i) % 32 & 1) << i;
        return value;
    };
#define HDR_TAKE(name, bits) h.name = take(bits);
    HDR_FIELDS(HDR_TAKE)
#undef HDR_TAKE
    return h;
}

}  // namespace tb
