// Written by `cargo xtask gen` from the crate penstock-abi. Do not edit.
//
// Reads lines `<kind> <384-bit hex>` from the file +in=, unpacks the word as the kind's entry and prints each
// field in hex, least significant first. Kind 100 prints key_hash and member_hash of the low 128 bits,
// kind 101 flow_hash of them under the secret in the 192 bits above, in three words, low first; kind 102
// tunnel_share of the low 32 bits, kind 103 client_hash of them, in three words, and affinity_row of each way
// under the number in the 16 bits above, with the secret as for 101.
module ps_abi_unpack;
  import ps_abi_pkg::*;

  string path;
  int fd, kind;
  logic [383:0] word;
  logic [FlowHashBits-1:0] hashed;
  vif_t vif_v;
  ilm_t ilm_v;
  next_hop_t next_hop_v;
  ecmp_slot_t ecmp_slot_v;
  host_route_t host_route_v;
  prefix_t prefix_v;
  fip_key_t fip_key_v;
  fip_map_t fip_map_v;
  flow_key_t flow_key_v;
  flow_t flow_v;
  flow_stats_t flow_stats_v;
  vif_stats_t vif_stats_v;
  counter_t counter_v;
  default_route_t default_route_v;
  prefix_length_t prefix_length_v;
  vrf_t vrf_v;
  service_key_t service_key_v;
  tunnel_source_t tunnel_source_v;
  plain_fip_t plain_fip_v;
  flow_share_t flow_share_v;
  flow_share_stats_t flow_share_stats_v;
  affinity_t affinity_v;

  initial begin
    if (!$value$plusargs("in=%s", path)) $fatal(1, "+in=FILE missing");
    fd = $fopen(path, "r");
    while ($fscanf(fd, "%d %h", kind, word) == 2) begin
      case (kind)
        0: begin
          vif_v = word[140:0];
          $display("%h %h %h %h %h %h %h %h %h %h %h", vif_v.valid, vif_v.kind, vif_v.vrf, vif_v.nh, vif_v.mac, vif_v.ip, vif_v.rpf, vif_v.learn, vif_v.egress, vif_v.egress_vrf, vif_v.egress_map);
        end
        1: begin
          ilm_v = word[45:0];
          $display("%h %h %h %h %h", ilm_v.valid, ilm_v.nh, ilm_v.key_nh, ilm_v.vrf, ilm_v.service);
        end
        2: begin
          next_hop_v = word[217:0];
          $display("%h %h %h %h %h %h %h %h %h %h %h %h", next_hop_v.valid, next_hop_v.kind, next_hop_v.vif, next_hop_v.dmac, next_hop_v.smac, next_hop_v.sip, next_hop_v.dip, next_hop_v.gre, next_hop_v.base, next_hop_v.slots, next_hop_v.live, next_hop_v.hash_fields);
        end
        3: begin
          ecmp_slot_v = word[58:0];
          $display("%h %h %h %h %h %h %h %h", ecmp_slot_v.valid, ecmp_slot_v.drain, ecmp_slot_v.nh, ecmp_slot_v.label, ecmp_slot_v.generation, ecmp_slot_v.slot, ecmp_slot_v.evict_udp, ecmp_slot_v.local_);
        end
        4: begin
          host_route_v = word[97:0];
          $display("%h %h %h %h %h %h %h %h", host_route_v.valid, host_route_v.vrf, host_route_v.ip, host_route_v.nh, host_route_v.label, host_route_v.label_valid, host_route_v.service, host_route_v.sources);
        end
        5: begin
          prefix_v = word[101:0];
          $display("%h %h %h %h %h %h %h %h", prefix_v.valid, prefix_v.vrf, prefix_v.ip, prefix_v.len, prefix_v.nh, prefix_v.label, prefix_v.label_valid, prefix_v.sources);
        end
        6: begin
          fip_key_v = word[78:0];
          $display("%h %h %h %h %h %h", fip_key_v.valid, fip_key_v.vif, fip_key_v.proto, fip_key_v.ip, fip_key_v.port, fip_key_v.map);
        end
        7: begin
          fip_map_v = word[104:0];
          $display("%h %h %h %h %h %h", fip_map_v.valid, fip_map_v.generation, fip_map_v.pod_ip, fip_map_v.pod_port, fip_map_v.vip, fip_map_v.vip_port);
        end
        8: begin
          flow_key_v = word[119:0];
          $display("%h %h %h %h %h %h", flow_key_v.nh, flow_key_v.proto, flow_key_v.sip, flow_key_v.dip, flow_key_v.sport, flow_key_v.dport);
        end
        9: begin
          flow_v = word[268:0];
          $display("%h %h %h %h %h %h %h %h %h %h %h %h %h %h %h %h %h %h %h %h %h %h %h %h %h", flow_v.valid, flow_v.nh, flow_v.proto, flow_v.sip, flow_v.dip, flow_v.sport, flow_v.dport, flow_v.snat, flow_v.spat, flow_v.dnat, flow_v.dpat, flow_v.hairpin, flow_v.reverse, flow_v.ecmp_valid, flow_v.ecmp_slot, flow_v.ecmp_generation, flow_v.map_valid, flow_v.map, flow_v.map_generation, flow_v.pair, flow_v.generation, flow_v.vrf, flow_v.dvrf, flow_v.src_info, flow_v.rpf_nh);
        end
        10: begin
          flow_stats_v = word[107:0];
          $display("%h %h %h %h", flow_stats_v.packets, flow_stats_v.bytes, flow_stats_v.tcp, flow_stats_v.last_hit);
        end
        11: begin
          vif_stats_v = word[239:0];
          $display("%h %h %h %h %h", vif_stats_v.rx_packets, vif_stats_v.rx_bytes, vif_stats_v.tx_packets, vif_stats_v.tx_bytes, vif_stats_v.drops);
        end
        12: begin
          counter_v = word[47:0];
          $display("%h", counter_v.count);
        end
        13: begin
          default_route_v = word[51:0];
          $display("%h %h %h %h %h", default_route_v.valid, default_route_v.nh, default_route_v.label, default_route_v.label_valid, default_route_v.sources);
        end
        14: begin
          prefix_length_v = word[6:0];
          $display("%h %h", prefix_length_v.valid, prefix_length_v.len);
        end
        15: begin
          vrf_v = word[14:0];
          $display("%h %h %h", vrf_v.valid, vrf_v.service_net, vrf_v.source_check);
        end
        16: begin
          service_key_v = word[116:0];
          $display("%h %h %h %h %h %h %h %h", service_key_v.valid, service_key_v.net, service_key_v.proto, service_key_v.ip, service_key_v.port, service_key_v.nh, service_key_v.local_, service_key_v.affinity);
        end
        17: begin
          tunnel_source_v = word[46:0];
          $display("%h %h %h", tunnel_source_v.valid, tunnel_source_v.set, tunnel_source_v.ip);
        end
        18: begin
          plain_fip_v = word[54:0];
          $display("%h %h %h %h", plain_fip_v.valid, plain_fip_v.vif, plain_fip_v.ip, plain_fip_v.map);
        end
        19: begin
          flow_share_v = word[64:0];
          $display("%h %h %h %h", flow_share_v.valid, flow_share_v.pairs, flow_share_v.burst, flow_share_v.rate);
        end
        20: begin
          flow_share_stats_v = word[51:0];
          $display("%h %h", flow_share_stats_v.pairs, flow_share_stats_v.refused);
        end
        21: begin
          affinity_v = word[107:0];
          $display("%h %h %h %h %h %h %h", affinity_v.valid, affinity_v.number, affinity_v.client, affinity_v.slot, affinity_v.generation, affinity_v.last, affinity_v.timeout);
        end
        100: $display("%h %h", key_hash(word[127:0]), member_hash(word[127:0]));
        101: begin
          hashed = flow_hash(word[127:0], word[319:128]);
          $display("%h %h %h", hashed[31:0], hashed[63:32], hashed[95:64]);
        end
        102: $display("%h", tunnel_share(word[31:0]));
        103: begin
          hashed = client_hash(word[31:0], word[319:128]);
          $display("%h %h %h %h %h", hashed[31:0], hashed[63:32], hashed[95:64],
                   affinity_row(hashed, key_hash({112'b0, word[47:32]}), 0), affinity_row(hashed, key_hash({112'b0, word[47:32]}), 1));
        end
        default: $fatal(1, "unknown kind");
      endcase
    end
    $finish;
  end

endmodule
