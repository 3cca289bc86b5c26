#include "sim/swarm_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/rng.hpp"

namespace shoal::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint32_t kFirstAddress = 0x0a000101;       // 10.0.1.1
constexpr std::uint32_t kFirstOddAddress = 0x0a000201;    // 10.0.2.1
constexpr std::uint32_t kFirstFloodAddress = 0x0a000301;  // 10.0.3.1
constexpr std::uint16_t kPort = 6000;
constexpr base::Duration kFaultsOver = seconds(40);

base::Duration between(base::Rng& rng, base::Duration low, base::Duration high) {
  return low + base::Duration(static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>((high - low).count()))));
}

// Spread over the powers of ten.
double magnitude(base::Rng& rng, double low, double factor) {
  return low * std::pow(factor, rng.unit());
}

void draw_torrent(SwarmPlan& plan, base::Rng& rng) {
  const std::uint32_t piece_bytes = (16u * 1024) << rng.below(5);
  const std::uint64_t total = rng.chance(0.05) ? rng.below(3) : 1 + rng.below(rng.chance(0.2) ? 8'000'000 : 2'000'000);
  base::Bytes content(total);
  for (std::byte& each : content) each = static_cast<std::byte>(rng.next());
  // Equal pieces happen in real files: long runs of zeros.
  if (rng.chance(0.2))
    std::fill(content.begin(), content.begin() + static_cast<std::ptrdiff_t>(total / 2), std::byte{});
  metainfo::Manifest manifest{.name = "shared", .pieces = {}, .layout = metainfo::Layout{}};
  for (std::size_t at = 0; at < content.size(); at += piece_bytes) {
    const std::size_t count = std::min<std::size_t>(piece_bytes, content.size() - at);
    const auto begin = content.begin() + static_cast<std::ptrdiff_t>(at);
    plan.pieces.emplace_back(begin, begin + static_cast<std::ptrdiff_t>(count));
    manifest.pieces.push_back(base::sha1(plan.pieces.back()));
  }
  manifest.layout->piece_bytes = piece_bytes;
  manifest.layout->total_bytes = total;
  manifest.layout->files = {{.path = {"shared"}, .offset_bytes = 0, .size_bytes = total}};
  plan.torrent = metainfo::make_torrent(std::move(manifest), rng.chance(0.15));
}

void draw_ways(SwarmPlan& plan, base::Rng& rng) {
  plan.uses_http_tracker = rng.chance(0.5);
  plan.uses_udp_tracker = rng.chance(0.4);
  plan.uses_local_discovery = rng.chance(0.4);
  plan.uses_exchange = rng.chance(0.8);
  plan.has_hostile_tracker = rng.chance(0.2);
  if (rng.chance(0.25)) {
    plan.web_seed = {.kind = static_cast<WebSeedKind>(1 + rng.below(kWebSeedKinds - 1)),
                     .bytes_per_s = magnitude(rng, 5e4, 100)};
  }
  // BEP 15 waits 15 seconds and twice as long each time: with much more a tracker may be out of reach for an hour.
  plan.network.datagram_loss = rng.chance(0.3) ? 0.1 * rng.unit() : 0;
  if (rng.chance(0.3)) {
    for (std::uint64_t i = 1 + rng.below(2); i > 0; --i) {
      plan.tracker_kills.push_back(between(rng, milliseconds(100), kFaultsOver));
    }
  }
}

SwarmHostPlan draw_host(const SwarmPlan& plan, std::uint32_t number, base::Rng& rng) {
  SwarmHostPlan host{.endpoint = {{kFirstAddress + number}, kPort}, .link = {}, .holds = {}};
  host.link.up_bytes_per_s = magnitude(rng, 1e5, 200);
  host.link.down_bytes_per_s = host.link.up_bytes_per_s * (1 + 4 * rng.unit());
  host.link.latency = between(rng, milliseconds(0), milliseconds(rng.chance(0.2) ? 150 : 5));
  if (rng.chance(0.2)) host.disk_bytes_per_s = magnitude(rng, 1e6, 100);
  const double share = rng.chance(0.5) ? 0 : rng.unit();
  for (std::size_t i = 0; i < plan.pieces.size(); ++i) host.holds.push_back(number == 0 || rng.chance(share));
  if (number == 0) return host;
  host.kind = rng.chance(0.1) ? SwarmHostKind::course_peer : SwarmHostKind::swarm;
  host.starts_at = between(rng, milliseconds(0), seconds(rng.chance(0.3) ? 30 : 1));
  host.knows_metadata = rng.chance(0.6);
  host.is_named_host_0 = rng.chance(0.3);
  host.is_sequential = rng.chance(0.15);
  if (rng.chance(0.15)) host.limit_down_bytes_per_s = static_cast<std::uint64_t>(magnitude(rng, 5e4, 50));
  if (rng.chance(0.15)) host.limit_up_bytes_per_s = static_cast<std::uint64_t>(magnitude(rng, 2e4, 50));
  if (rng.chance(0.2)) host.buffers_max = 2 + rng.below(6);
  if (rng.chance(0.25)) {
    for (std::uint64_t i = 1 + rng.below(3); i > 0; --i) {
      host.kills.push_back(host.starts_at + between(rng, milliseconds(10), seconds(20)));
    }
    std::ranges::sort(host.kills);
  }
  if (rng.chance(0.1)) host.disk_full_from_put = 1 + rng.below(30);
  return host;
}

LinkOptions draw_strangers_link(base::Rng& rng) {
  const double up = magnitude(rng, 1e5, 200);
  return {.up_bytes_per_s = up, .down_bytes_per_s = 4 * up, .latency = between(rng, milliseconds(0), milliseconds(20))};
}

void draw_odd_peers(SwarmPlan& plan, base::Rng& rng) {
  if (!rng.chance(0.6)) return;
  const std::uint64_t count = 1 + rng.below(rng.chance(0.15) ? 12 : 3);
  for (std::uint32_t i = 0; i < count; ++i) {
    plan.odd_peers.push_back({.endpoint = {{kFirstOddAddress + i}, kPort},
                              .link = draw_strangers_link(rng),
                              .oddity = static_cast<PeerOddity>(rng.below(kPeerOddities)),
                              .starts_at = between(rng, milliseconds(0), seconds(rng.chance(0.3) ? 20 : 1)),
                              .is_named = rng.chance(0.5),
                              .dials = rng.chance(0.7),
                              .tells_tracker = rng.chance(0.7)});
  }
}

void draw_floods(SwarmPlan& plan, base::Rng& rng) {
  if (!rng.chance(0.25)) return;
  const std::uint64_t count = 1 + rng.below(2);
  for (std::uint32_t i = 0; i < count; ++i) {
    const FloodPlan flood{.address = {kFirstFloodAddress + i},
                          .link = draw_strangers_link(rng),
                          .flood = static_cast<Flood>(rng.below(kFloods)),
                          .target = rng.below(plan.hosts.size()),
                          .starts_at = between(rng, milliseconds(0), seconds(5))};
    if (is_at_tracker(flood.flood) && !plan.has_tracker()) continue;
    plan.floods.push_back(flood);
  }
}

}  // namespace

SwarmPlan draw_swarm_plan(std::uint64_t seed) {
  base::Rng rng(seed);
  SwarmPlan plan;
  plan.seed = seed;
  plan.network.window_bytes = std::size_t{16 * 1024} << rng.below(6);
  plan.network.quantum_bytes = rng.chance(0.5) ? 1448 : 8 * 1024;
  draw_torrent(plan, rng);
  draw_ways(plan, rng);
  const std::uint64_t count = 2 + rng.below(rng.chance(0.2) ? 20 : 6);
  for (std::uint32_t i = 0; i < count; ++i) plan.hosts.push_back(draw_host(plan, i, rng));
  draw_odd_peers(plan, rng);
  draw_floods(plan, rng);
  // Of a private torrent nobody is found but by trackers and by name.
  const bool finds_locally = plan.uses_local_discovery && !plan.torrent.is_private;
  if (!plan.has_tracker() && !finds_locally) {
    for (SwarmHostPlan& host : plan.hosts) host.is_named_host_0 = true;
  }
  if (rng.chance(0.15)) {
    plan.partition_at = between(rng, milliseconds(100), seconds(20));
    plan.partition_for = between(rng, milliseconds(100), seconds(20));
  }
  return plan;
}

std::size_t SwarmPlan::liars() const {
  const auto peers = std::ranges::count_if(odd_peers, [](const OddPeerPlan& peer) { return is_liar(peer.oddity); });
  return static_cast<std::size_t>(peers) + (web_seed.kind == WebSeedKind::lies ? 1 : 0);
}

namespace {

std::string describe_strangers(const SwarmPlan& plan) {
  std::string text;
  if (plan.has_hostile_tracker) text += "  a hostile tracker\n";
  if (plan.web_seed.kind != WebSeedKind::none) {
    text += fmt::format("  web seed {} {:.0f}/s\n", to_string(plan.web_seed.kind), plan.web_seed.bytes_per_s);
  }
  for (const OddPeerPlan& peer : plan.odd_peers) {
    text += fmt::format("  {} {} starts {:.2f} up {:.0f}{}{}{}\n", peer.endpoint.to_string(), to_string(peer.oddity),
                        base::to_seconds(peer.starts_at), peer.link.up_bytes_per_s, peer.is_named ? " named" : "",
                        peer.dials ? " dials" : "", peer.tells_tracker ? " tells" : "");
  }
  for (const FloodPlan& flood : plan.floods) {
    text += fmt::format("  {} floods {} with {} from {:.2f} up {:.0f}\n", flood.address.to_string(),
                        is_at_tracker(flood.flood) ? "the tracker" : plan.hosts[flood.target].endpoint.to_string(),
                        to_string(flood.flood), base::to_seconds(flood.starts_at), flood.link.up_bytes_per_s);
  }
  return text;
}

}  // namespace

std::string SwarmPlan::describe() const {
  std::string text = fmt::format(
      "seed {}: {} bytes in {} pieces of {}{}, http tracker {}, udp tracker {}, local {}, exchange {}, loss {:.2f}\n",
      seed, torrent.manifest.layout->total_bytes, pieces.size(), torrent.manifest.layout->piece_bytes,
      torrent.is_private ? ", private" : "", uses_http_tracker, uses_udp_tracker, uses_local_discovery, uses_exchange,
      network.datagram_loss);
  for (const base::Duration kill : tracker_kills)
    text += fmt::format("  tracker killed at {:.2f}\n", base::to_seconds(kill));
  if (partition_at) {
    text += fmt::format("  partition at {:.2f} for {:.2f}\n", base::to_seconds(*partition_at),
                        base::to_seconds(partition_for));
  }
  for (const SwarmHostPlan& host : hosts) {
    text +=
        fmt::format("  {} {} holds {} starts {:.2f} up {:.0f} down {:.0f}{}{}", host.endpoint.to_string(),
                    host.kind == SwarmHostKind::swarm ? "swarm" : "course peer", std::ranges::count(host.holds, true),
                    base::to_seconds(host.starts_at), host.link.up_bytes_per_s, host.link.down_bytes_per_s,
                    host.knows_metadata ? "" : " magnet", host.is_named_host_0 ? " knows host 0" : "");
    for (const base::Duration kill : host.kills) text += fmt::format(" killed {:.2f}", base::to_seconds(kill));
    if (host.disk_bytes_per_s < SwarmHostPlan{}.disk_bytes_per_s)
      text += fmt::format(" disk {:.0f}", host.disk_bytes_per_s);
    if (host.buffers_max < SwarmHostPlan{}.buffers_max) text += fmt::format(" buffers {}", host.buffers_max);
    if (host.disk_full_from_put) text += fmt::format(" disk full from {}", *host.disk_full_from_put);
    if (host.limit_down_bytes_per_s > 0) text += fmt::format(" limit down {}", host.limit_down_bytes_per_s);
    if (host.limit_up_bytes_per_s > 0) text += fmt::format(" limit up {}", host.limit_up_bytes_per_s);
    if (host.is_sequential) text += " sequential";
    text += "\n";
  }
  return text + describe_strangers(*this);
}

}  // namespace shoal::sim
