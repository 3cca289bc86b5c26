// Getting the info dictionary of a magnet link from peers, and giving it (BEP 9). Pure; used by roles::SwarmHost.
//
// Always holds: nothing is believed that does not hash to the info-hash; peers that disagree on the size are asked
// separately, each of which can spoil only its own try; at most kMetadataBytesMax is held; a peer is asked for at most
// kAskedAtOnce pieces at a time and given each piece at most kGivenMax times.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/bytes.hpp"
#include "base/sha1.hpp"
#include "base/time.hpp"
#include "swarm/source_id.hpp"
#include "wire/extensions.hpp"

namespace shoal::swarm {

inline constexpr std::uint32_t kMetadataBytesMax = 32u << 20;
inline constexpr std::size_t kAskedAtOnce = 4;
inline constexpr int kGivenMax = 3;
inline constexpr base::Duration kMetadataPatience = std::chrono::seconds(15);  // then another is asked

class MetadataExchange {
 public:
  explicit MetadataExchange(base::Sha1Hash info_hash);
  // With the metadata known from the start.
  MetadataExchange(base::Sha1Hash info_hash, base::Bytes info);
  ~MetadataExchange();

  // A peer that says it has metadata of this size.
  void add_peer(SourceId peer, std::uint32_t metadata_bytes, base::Instant now);
  void remove_peer(SourceId peer, base::Instant now);
  void on_piece(SourceId peer, const wire::MetadataPiece& piece, base::Instant now);
  void on_refused(SourceId peer, std::uint32_t piece, base::Instant now);
  void on_deadline(base::Instant now);
  [[nodiscard]] std::optional<base::Instant> next_deadline() const;

  struct Ask {
    SourceId peer;
    std::uint32_t piece = 0;
  };
  [[nodiscard]] std::vector<Ask> take_asks(base::Instant now);
  // Who sent metadata that did not match, alone: to be ended.
  [[nodiscard]] std::vector<SourceId> take_liars();
  // The whole, verified; nothing before it is there.
  [[nodiscard]] const std::optional<base::Bytes>& info() const;

  // What to answer a peer that asks us: the piece, or nothing (reject).
  [[nodiscard]] std::optional<wire::MetadataPiece> answer(SourceId peer, std::uint32_t piece);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace shoal::swarm
