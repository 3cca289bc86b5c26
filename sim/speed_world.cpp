#include "sim/speed_world.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>

#include "base/buffer_pool.hpp"
#include "base/check.hpp"
#include "roles/course_client.hpp"
#include "roles/course_peer.hpp"
#include "sim/host.hpp"
#include "storage/memory.hpp"

namespace shoal::sim {
namespace {

constexpr std::size_t kChunkBytes = 4096;
constexpr base::Ipv4Address kClientAddress{0x0a000001};

struct SpeedPlan {
  std::vector<double> rates_bytes_per_s;
  std::vector<std::uint32_t> owners;  // of each chunk, as bits
};

// Rates spread over 1:20. Ownership is drawn for each chunk, or for runs of chunks as people cut files.
SpeedPlan draw(base::Rng& rng) {
  SpeedPlan plan;
  const std::uint64_t peers = 2 + rng.below(7);
  for (std::uint64_t i = 0; i < peers; ++i) plan.rates_bytes_per_s.push_back(1e5 * std::pow(20.0, rng.unit()));
  // As many as files of half a GiB to 1.5 GiB have at the course's default size. The bound is of a fluid: with few
  // chunks, that they are not cut in two costs more than any choice.
  const std::uint64_t chunks = 1000 + rng.below(2000);
  const std::uint64_t run_length = rng.chance(0.5) ? 1 : 1 + rng.below(300);
  const double density = 0.1 + 0.8 * rng.unit();
  std::uint32_t owners = 0;
  for (std::uint64_t i = 0; i < chunks; ++i) {
    if (i % run_length == 0) {
      owners = 0;
      for (std::uint64_t peer = 0; peer < peers; ++peer) owners |= rng.chance(density) ? 1u << peer : 0u;
      if (owners == 0) owners = 1u << rng.below(peers);
    }
    plan.owners.push_back(owners);
  }
  return plan;
}

base::Bytes content_of(std::uint64_t chunk) {
  base::Bytes bytes(kChunkBytes);
  for (std::size_t i = 0; i < sizeof chunk; ++i) bytes[i] = static_cast<std::byte>(chunk >> (8 * i));
  return bytes;
}

}  // namespace

double shortest_time_s(const std::vector<std::uint32_t>& owners, double chunk_bytes,
                       const std::vector<double>& rates_bytes_per_s) {
  double longest = 0;
  for (std::uint32_t set = 1; set < 1u << rates_bytes_per_s.size(); ++set) {
    double rate = 0;
    for (std::size_t i = 0; i < rates_bytes_per_s.size(); ++i) rate += (set >> i & 1) != 0 ? rates_bytes_per_s[i] : 0;
    const auto chunks = std::ranges::count_if(owners, [set](std::uint32_t chunk) { return (chunk & ~set) == 0; });
    longest = std::max(longest, static_cast<double>(chunks) * chunk_bytes / rate);
  }
  return longest;
}

double measure_speed_once(std::uint64_t seed) {
  base::Rng rng(seed);
  const SpeedPlan plan = draw(rng);
  base::BufferPool buffers(kChunkBytes, 1024);
  EventQueue queue;
  Network network(queue, {.quantum_bytes = 1024}, rng.fork());
  course::FileInfo info{.filename = "file.bin", .chunks = {}};
  for (std::size_t i = 0; i < plan.owners.size(); ++i) info.chunks.push_back({base::sha1(content_of(i)), {}});

  std::vector<std::unique_ptr<storage::MemoryPieceLibrary>> libraries;
  std::vector<std::unique_ptr<SimHost>> hosts;
  for (std::uint32_t peer = 0; peer < plan.rates_bytes_per_s.size(); ++peer) {
    const base::Endpoint endpoint{{0x0a00000a + peer}, 8001};
    libraries.push_back(std::make_unique<storage::MemoryPieceLibrary>());
    for (std::size_t i = 0; i < plan.owners.size(); ++i) {
      if ((plan.owners[i] >> peer & 1) == 0) continue;
      libraries.back()->add(content_of(i));
      info.chunks[i].peers.push_back(endpoint);
    }
    hosts.push_back(std::make_unique<SimHost>(queue, network,
                                              HostOptions{.address = endpoint.address,
                                                          .link = {.up_bytes_per_s = plan.rates_bytes_per_s[peer]},
                                                          .splits_reads = false},
                                              rng.fork()));
    hosts.back()->library = libraries.back().get();
    hosts.back()->boot(roles::make_course_peer({}));
    hosts.back()->listen(endpoint.port);
  }
  storage::MemoryPieceStore store;
  SimHost client(queue, network, {.address = kClientAddress, .link = {}, .splits_reads = false}, rng.fork());
  client.store = &store;
  client.boot(roles::make_course_client({.file_info = std::move(info)}, buffers, rng.fork()));
  while (client.is_running() && !queue.is_empty()) queue.step();
  SHOAL_CHECK(client.finish() && client.finish()->result == seam::Finish::Result::done);
  return base::to_seconds(client.finished_at().time_since_epoch()) /
         shortest_time_s(plan.owners, kChunkBytes, plan.rates_bytes_per_s);
}

SpeedSummary measure_speed(std::uint64_t first_seed, std::uint64_t runs) {
  std::vector<std::pair<double, std::uint64_t>> ratios;
  for (std::uint64_t seed = first_seed; seed < first_seed + runs; ++seed) {
    ratios.emplace_back(measure_speed_once(seed), seed);
  }
  std::ranges::sort(ratios);
  return {.median = ratios[ratios.size() / 2].first,
          .percentile_95 = ratios[ratios.size() * 95 / 100].first,
          .worst = ratios.back().first,
          .worst_seed = ratios.back().second};
}

}  // namespace shoal::sim
