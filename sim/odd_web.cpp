#include "sim/odd_web.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <utility>

#include "sim/odd_peers.hpp"
#include "wire/tracker_messages.hpp"

namespace shoal::sim {
namespace {

constexpr std::size_t kDeadPeersMax = 1000;

base::Bytes draw_noise(base::Rng& rng) {
  base::Bytes bytes(rng.below(5000));
  for (std::byte& each : bytes) each = static_cast<std::byte>(rng.next());
  return bytes;
}

base::Bytes lead_astray(base::Rng& rng) {
  static constexpr std::array<std::uint32_t, 3> kIntervals{0, 1, 0xffffffff};
  wire::AnnounceReply reply{.interval_s = kIntervals.at(rng.below(kIntervals.size())),
                            .min_interval_s = kIntervals.at(rng.below(kIntervals.size())),
                            .seeds = 0xffffffff,
                            .peers = {},
                            .peers6 = {},
                            .tracker_id = {},
                            .warning = {}};
  for (std::size_t left = rng.below(kDeadPeersMax); left > 0; --left) {
    reply.peers.push_back({.endpoint = dead_endpoint(rng), .peer_id = {}});
  }
  return wire::encode_http_announce_reply(reply, {.tracker_id = {}, .held = {}});
}

// The bytes that lie before those of `reply`.
WebReply stray(WebReply reply, const base::Bytes& content, base::Rng& rng) {
  const std::uint64_t back = 1 + rng.below(reply.range->first);
  reply.range->first -= back;
  reply.range->last -= back;
  const auto begin = content.begin() + static_cast<std::ptrdiff_t>(reply.range->first);
  std::copy_n(begin, reply.body.size(), reply.body.begin());
  return reply;
}

}  // namespace

Web::Handler serve_hostile_tracker(base::Rng rng) {
  return [rng = std::move(rng)](const seam::Fetch&) mutable -> WebReply {
    switch (rng.below(8)) {
      case 0:
        return {.body = draw_noise(rng)};
      case 1:
        return {.body = wire::encode_http_failure("go away")};
      case 2:
        return {.status = 500};
      case 3:
        return {.is_silent = true};
      default:
        return {.body = lead_astray(rng)};
    }
  };
}

Web::Handler serve_web_seed(WebSeedPlan plan, WebFile file, base::Rng rng) {
  if (plan.kind == WebSeedKind::lacks) file.content.resize(file.content.size() / 2);
  Web::Handler serve = serve_files({file}, plan.bytes_per_s);
  return [plan, serve = std::move(serve), content = std::move(file.content),
          rng = std::move(rng)](const seam::Fetch& fetch) mutable -> WebReply {
    if (plan.kind == WebSeedKind::fails && rng.chance(0.6)) {
      return rng.chance(0.5) ? WebReply{.status = 500} : WebReply{.is_silent = true};
    }
    WebReply reply = serve(fetch);
    if (plan.kind == WebSeedKind::lies && !reply.body.empty()) {
      reply.body[rng.below(reply.body.size())] ^= std::byte{1};
    }
    const bool can_stray = reply.range && reply.range->first > 0;
    if (plan.kind == WebSeedKind::strays && can_stray && rng.chance(0.6)) return stray(std::move(reply), content, rng);
    return reply;
  };
}

std::string_view to_string(WebSeedKind kind) {
  static constexpr std::array<std::string_view, kWebSeedKinds> kNames{"none", "right", "lacks",
                                                                      "lies", "fails", "strays"};
  return kNames.at(static_cast<std::size_t>(kind));
}

}  // namespace shoal::sim
