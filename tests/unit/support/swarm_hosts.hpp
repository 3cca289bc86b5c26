// Shares and hosts for the tests of the swarm roles: a torrent of random bytes, options for seeds and downloads of it;
// strangers.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/rng.hpp"
#include "course/messages.hpp"
#include "metainfo/torrent.hpp"
#include "roles/course_client.hpp"
#include "roles/course_peer.hpp"
#include "roles/swarm_host.hpp"
#include "unit/support/swarm_world.hpp"

namespace shoal::testing {

using Host = SwarmWorld::Host;

struct SharedTorrent {
  struct Options {
    std::uint64_t total_bytes = 1'000'000;
    std::uint32_t piece_bytes = 64 * 1024;
    bool is_private = false;
    std::vector<metainfo::FileEntry> files = {};  // empty: one file
  };

  SharedTorrent() : SharedTorrent(Options{}) {}
  explicit SharedTorrent(Options options) {
    base::Rng rng(options.total_bytes);
    base::Bytes content(options.total_bytes);
    for (std::byte& each : content) each = static_cast<std::byte>(rng.next());
    metainfo::Manifest manifest{.name = "data", .pieces = {}, .layout = metainfo::Layout{}};
    for (std::size_t at = 0; at < content.size(); at += options.piece_bytes) {
      const std::size_t count = std::min<std::size_t>(options.piece_bytes, content.size() - at);
      pieces.emplace_back(content.begin() + static_cast<std::ptrdiff_t>(at),
                          content.begin() + static_cast<std::ptrdiff_t>(at + count));
      manifest.pieces.push_back(base::sha1(pieces.back()));
    }
    manifest.layout->piece_bytes = options.piece_bytes;
    manifest.layout->total_bytes = options.total_bytes;
    manifest.layout->is_folder = !options.files.empty();
    manifest.layout->files = std::move(options.files);
    if (manifest.layout->files.empty()) {
      manifest.layout->files.push_back({.path = {"data"}, .offset_bytes = 0, .size_bytes = options.total_bytes});
    }
    torrent = metainfo::make_torrent(std::move(manifest), options.is_private);
  }

  [[nodiscard]] std::uint32_t count() const { return static_cast<std::uint32_t>(pieces.size()); }
  void give(Host& host, std::uint32_t first, std::uint32_t end) const {
    for (std::uint32_t i = first; i < end; ++i) host.put(pieces.at(i));
  }
  void give_all(Host& host) const { give(host, 0, count()); }
  [[nodiscard]] bool is_whole_at(const Host& host) const {
    return std::ranges::all_of(torrent.manifest.pieces, [&](const base::Sha1Hash& hash) { return host.has(hash); });
  }

  metainfo::Torrent torrent;
  std::vector<base::Bytes> pieces;
};

inline wire::PeerId peer_id_of(const Host& host) {
  wire::PeerId id{};
  const std::string text = "-SH0001-" + std::to_string(host.listening().address.value);
  std::memcpy(id.data(), text.data(), std::min(text.size(), id.size()));
  return id;
}

// Alone: finds nobody by itself but those it is told.
inline roles::SwarmHostOptions options_for(const Host& host, const SharedTorrent& shared) {
  return {.info_hash = shared.torrent.info_hash,
          .torrent = shared.torrent,
          .peer_id = peer_id_of(host),
          .listening = host.listening(),
          .interfaces = {host.listening().address},
          .uses_local_discovery = false,
          .uses_exchange = false};
}
inline void boot(Host& host, roles::SwarmHostOptions options) {
  host.boot(roles::make_swarm_host(std::move(options), host.pool(), base::Rng(host.listening().address.value)));
}
// `adapt` changes the options of a usual one.
inline void boot_seed(Host& host, const SharedTorrent& shared,
                      const std::function<void(roles::SwarmHostOptions&)>& adapt = {}) {
  shared.give_all(host);
  auto options = options_for(host, shared);
  options.gives_after_done = true;
  if (adapt) adapt(options);
  boot(host, std::move(options));
}
inline roles::SwarmHostOptions download_from(const Host& host, const SharedTorrent& shared,
                                             std::vector<base::Endpoint> peers) {
  auto options = options_for(host, shared);
  options.peers = std::move(peers);
  return options;
}

// Somebody who connects to a host, says what the test says, and only listens from then on.
class Stranger final : public seam::Machine {
 public:
  Stranger(base::Endpoint to, base::Bytes says, std::uint64_t connections = 1)
      : to_(to), says_(std::move(says)), connections_(connections) {}
  void start(base::Instant) override {
    for (std::uint64_t i = 0; i < connections_; ++i) actions_.emplace_back(seam::Dial{seam::ConnId(2 * i + 1), to_});
  }
  void on_event(seam::Event&& event, base::Instant) override {
    const auto* connected = std::get_if<seam::Connected>(&event);
    if (const auto* arrived = std::get_if<seam::BytesArrived>(&event)) {
      heard_ += base::text_of(base::ByteView(scratch_).first(arrived->count));
    }
    if (connected != nullptr && !says_.empty()) actions_.emplace_back(seam::Send{connected->conn, says_});
    if (const auto* ended = std::get_if<seam::InputEnded>(&event)) actions_.emplace_back(seam::Close{ended->conn});
  }
  seam::ReadTargets next_read(seam::ConnId) override { return {{std::span(scratch_), {}}}; }
  std::optional<base::Instant> next_deadline() const override { return std::nullopt; }
  seam::Actions take_actions() override { return std::exchange(actions_, {}); }
  [[nodiscard]] const std::string& heard() const { return heard_; }

 private:
  base::Endpoint to_;
  base::Bytes says_;
  std::uint64_t connections_;
  base::Bytes scratch_ = base::Bytes(1000);
  std::string heard_;  // on all of its connections
  seam::Actions actions_;
};

// How a BitTorrent peer begins.
inline base::Bytes hello_of(const SharedTorrent& shared, wire::PeerId peer_id = {}) {
  return wire::encode(wire::Handshake{
      .has_extensions = true, .has_fast = true, .info_hash = shared.torrent.info_hash, .peer_id = peer_id});
}

}  // namespace shoal::testing
