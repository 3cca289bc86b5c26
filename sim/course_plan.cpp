#include "sim/course_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace shoal::sim {
namespace {

using std::chrono::milliseconds;

constexpr std::uint16_t kPeerPort = 8001;
constexpr std::uint16_t kTrackerPort = 8000;

base::Ipv4Address address_of(std::uint32_t host) {
  return {0x0a000000 + host};
}

LinkOptions draw_link(base::Rng& rng) {
  // 50 kB/s to 5 MB/s, and up to 20 ms: small files finish within seconds of virtual time.
  static constexpr std::array<double, 5> kRates{5e4, 2e5, 1e6, 2e6, 5e6};
  return {.up_bytes_per_s = kRates[rng.below(kRates.size())],
          .down_bytes_per_s = kRates[1 + rng.below(kRates.size() - 1)],
          .latency = milliseconds(rng.below(20))};
}

void draw_chunks(CoursePlan& plan, base::Rng& rng) {
  static constexpr std::array<std::uint64_t, 7> kSizes{0, 1, 3, 100, 1000, 8000, 30000};
  static constexpr std::array<std::uint64_t, 6> kCounts{0, 1, 2, 7, 40, 120};
  const std::uint64_t usual = kSizes[rng.below(kSizes.size())];
  const std::uint64_t count = kCounts[rng.below(kCounts.size())];
  const bool is_irregular = rng.chance(0.1);
  const bool repeats = rng.chance(0.2);
  for (std::uint64_t i = 0; i < count; ++i) {
    if (repeats && i > 0 && rng.chance(0.4)) {
      plan.chunks.push_back(plan.chunks[rng.below(i)]);
      continue;
    }
    const bool is_last = i + 1 == count;
    base::Bytes chunk(is_irregular || is_last ? rng.below(usual + 1) : usual);
    std::ranges::generate(chunk, [&rng] { return static_cast<std::byte>(rng.below(256)); });
    plan.chunks.push_back(std::move(chunk));
  }
}

std::optional<base::Duration> perhaps_when(base::Rng& rng, double chance) {
  if (!rng.chance(chance)) return std::nullopt;
  return milliseconds(rng.below(3000));
}

PeerPlan draw_peer(const CoursePlan& plan, std::uint32_t index, base::Rng& rng) {
  PeerPlan peer;
  peer.endpoint = {address_of(10 + index), kPeerPort};
  peer.link = draw_link(rng);
  peer.welcomes_pipelining = rng.chance(0.6);
  const double density = rng.unit();
  const double wrongness = rng.chance(0.4) ? 0.2 : 0.0;
  for (std::size_t i = 0; i < plan.chunks.size(); ++i) {
    const bool owns = rng.chance(density);
    peer.owns.push_back(owns);
    peer.listed.push_back(rng.chance(wrongness) ? !owns : owns);
  }
  if (index == 0) return peer;
  peer.is_there = !rng.chance(0.1);
  if (rng.chance(0.35)) peer.oddity = static_cast<Oddity>(1 + rng.below(kOddityCount - 1));
  peer.crash_at = perhaps_when(rng, 0.2);
  if (peer.crash_at && rng.chance(0.5)) peer.reboot_after = milliseconds(rng.below(4000));
  return peer;
}

bool is_reliable(const PeerPlan& peer) {
  return peer.is_there && peer.oddity == Oddity::none && !peer.crash_at;
}

// Peers with equal chunks own all copies of it, as they would on disk. Then peer 0 takes what no reliable peer has,
// except the hopeless chunks.
void settle_ownership(CoursePlan& plan, base::Rng& rng) {
  const bool has_hopeless = rng.chance(0.1) && !plan.chunks.empty();
  const std::size_t hopeless = has_hopeless ? rng.below(plan.chunks.size()) : plan.chunks.size();
  for (std::size_t i = 0; i < plan.chunks.size(); ++i) {
    std::size_t first = i;  // of the copies of this chunk
    for (std::size_t j = 0; j < i && first == i; ++j) {
      if (plan.chunks[j] == plan.chunks[i]) first = j;
    }
    const bool is_hopeless = has_hopeless && plan.chunks[i] == plan.chunks[hopeless];
    if (is_hopeless) plan.hopeless.push_back(static_cast<std::uint32_t>(i));
    for (PeerPlan& peer : plan.peers) {
      if (first != i) peer.owns[i] = peer.owns[first];
      if (is_hopeless && peer.oddity == Oddity::none) peer.owns[i] = false;
    }
    const bool has_owner =
        std::ranges::any_of(plan.peers, [i](const PeerPlan& peer) { return is_reliable(peer) && peer.owns[i]; });
    if (!has_owner && !is_hopeless) plan.peers[0].owns[i] = true;
  }
}

void draw_trackers(CoursePlan& plan, base::Rng& rng) {
  const std::uint64_t count = plan.step == Step::by_discovery ? 1 + rng.below(3) : 1;
  for (std::uint32_t i = 0; i < count; ++i) {
    TrackerPlan tracker{.endpoint = {address_of(100 + i), kTrackerPort},
                        .name = rng.chance(0.5) ? "tracker" : fmt::format("tracker {}", i)};
    if (i > 0) {
      static constexpr std::array<Oddity, 4> kOddities{Oddity::none, Oddity::silent, Oddity::garbage,
                                                       Oddity::lying_length};
      tracker.oddity = kOddities[rng.below(kOddities.size())];
      tracker.is_there = !rng.chance(0.2);
      tracker.lists_nobody = rng.chance(0.2);
      tracker.crash_at = perhaps_when(rng, 0.4);
    }
    plan.trackers.push_back(std::move(tracker));
  }
}

void draw_faults(CoursePlan& plan, base::Rng& rng) {
  plan.has_flooder = rng.chance(0.15);
  if (rng.chance(0.2)) {
    const std::uint64_t crashes = 1 + rng.below(3);
    for (std::uint64_t i = 0; i < crashes; ++i) plan.client_crashes.push_back(milliseconds(rng.below(2000)));
  }
  if (rng.chance(0.1)) plan.disk_full_from_put = 1 + rng.below(50);
  plan.partition_at = perhaps_when(rng, 0.1);
  plan.partition_for = milliseconds(rng.below(15000));
}

}  // namespace

base::Bytes CoursePlan::file() const {
  base::Bytes whole;
  for (const base::Bytes& chunk : chunks) whole.insert(whole.end(), chunk.begin(), chunk.end());
  return whole;
}

course::FileInfo CoursePlan::file_info() const {
  course::FileInfo info{.filename = filename, .chunks = {}};
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    course::ChunkRecord record{.hash = base::sha1(chunks[i]), .peers = {}};
    for (const PeerPlan& peer : peers) {
      if (peer.listed[i]) record.peers.push_back(peer.endpoint);
    }
    info.chunks.push_back(std::move(record));
  }
  return info;
}

std::string CoursePlan::describe() const {
  std::string text = fmt::format("step {}, {} chunks, {} bytes, {} hopeless\n", static_cast<int>(step), chunks.size(),
                                 file().size(), hopeless.size());
  for (const PeerPlan& peer : peers) {
    text += fmt::format("  peer {} {} up {:.0f} B/s{}{}{}\n", peer.endpoint.to_string(), to_string(peer.oddity),
                        peer.link.up_bytes_per_s, peer.is_there ? "" : ", not there", peer.crash_at ? ", crashes" : "",
                        peer.reboot_after ? ", comes back" : "");
  }
  for (const TrackerPlan& tracker : trackers) {
    text += fmt::format("  tracker {} {}{}{}\n", tracker.endpoint.to_string(), to_string(tracker.oddity),
                        tracker.is_there ? "" : ", not there", tracker.crash_at ? ", crashes" : "");
  }
  text += fmt::format("  client crashes {} times{}{}{}\n", client_crashes.size(),
                      disk_full_from_put ? ", its disk gets full" : "", partition_at ? ", is cut off for a time" : "",
                      has_flooder ? ", somebody floods peer 0" : "");
  return text;
}

CoursePlan draw_course_plan(std::uint64_t seed) {
  base::Rng rng(seed);
  CoursePlan plan;
  plan.seed = seed;
  plan.step = static_cast<Step>(1 + rng.below(3));
  plan.filename = rng.chance(0.1) ? "../sneaky/file.bin" : "file.bin";
  draw_chunks(plan, rng);
  const std::uint64_t peers = 1 + rng.below(8);
  for (std::uint32_t i = 0; i < peers; ++i) plan.peers.push_back(draw_peer(plan, i, rng));
  settle_ownership(plan, rng);
  draw_trackers(plan, rng);
  plan.client_link = draw_link(rng);
  plan.network.quantum_bytes = 64 + rng.below(4096);
  plan.network.window_bytes = 8192 + rng.below(256 * 1024);
  plan.network.datagram_loss = rng.chance(0.3) ? 0.3 : 0.0;
  plan.disk_bytes_per_s = rng.chance(0.2) ? 2e5 : 1e9;
  plan.buffers_max = 2 + rng.below(12);
  plan.buffer_bytes = 512 + rng.below(8192);
  draw_faults(plan, rng);
  return plan;
}

}  // namespace shoal::sim
