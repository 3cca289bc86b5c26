// Getting the info dictionary of a magnet link from peers, and giving it (BEP 9). Pure; used by roles::SwarmHost.
//
// It is small, so each peer is asked for all of it and can spoil only its own try: what does not hash to the info-hash
// convicts one peer for certain. A few tries run side by side, one more for each second without success; one that
// stands still, or takes longer than its time while others wait, gives its place up and comes round again with more
// time. So one honest peer wins among any number of liars, soon.
//
// Always holds: nothing is believed that does not hash to the info-hash; of the tries, one may be for more than
// kSmallMetadataBytes, and at most kMetadataHeldMax is held, all of it arrived; a peer is asked for at most
// kAskedAtOnce pieces at a time and given each piece at most kGivenMax times.
#pragma once

#include <cstddef>
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

inline constexpr std::uint32_t kMetadataBytesMax = 32u << 20;  // who claims more is not asked
inline constexpr std::uint32_t kSmallMetadataBytes = 1u << 20;
inline constexpr std::size_t kTriesFirst = 2;
inline constexpr std::size_t kTriesMax = 16;  // of small ones
inline constexpr base::Duration kAnotherTryEvery = std::chrono::seconds(1);
inline constexpr std::size_t kMetadataHeldMax = kMetadataBytesMax + kTriesMax * std::size_t{kSmallMetadataBytes};
inline constexpr std::size_t kAskedAtOnce = 4;
inline constexpr int kGivenMax = 3;
inline constexpr base::Duration kMetadataPatience = std::chrono::seconds(15);  // then another is asked
inline constexpr std::size_t kMetadataPeersMax = 1000;                         // more are neither asked nor answered

class MetadataExchange {
 public:
  explicit MetadataExchange(base::Sha1Hash info_hash);
  // With the metadata known from the start.
  MetadataExchange(base::Sha1Hash info_hash, base::Bytes info);
  ~MetadataExchange();

  // A peer that says it has metadata of this size.
  void add_peer(SourceId peer, std::uint32_t metadata_bytes, base::Instant now);
  // Its connection is gone; also for those that only asked.
  void remove_peer(SourceId peer, base::Instant now);
  void on_piece(SourceId peer, const wire::MetadataPiece& piece, base::Instant now);
  void on_refused(SourceId peer, std::uint32_t piece, base::Instant now);
  void on_deadline(base::Instant now);
  [[nodiscard]] std::optional<base::Instant> next_deadline() const;

  struct Ask {
    SourceId peer;
    std::uint32_t piece = 0;
    friend bool operator==(const Ask&, const Ask&) = default;
  };
  [[nodiscard]] std::vector<Ask> take_asks(base::Instant now);
  // Who sent metadata that did not match, alone: to be ended.
  [[nodiscard]] std::vector<SourceId> take_liars();
  // Somebody whose first try has not run out of time, or who brought something lately. Silence and claims that are not
  // believed are no hope.
  [[nodiscard]] bool is_hopeful(base::Instant now) const;
  // The whole, verified; nothing before it is there.
  [[nodiscard]] const std::optional<base::Bytes>& info() const;

  // What to answer a peer that asks us: the piece, or nothing (reject).
  [[nodiscard]] std::optional<wire::MetadataPiece> answer(SourceId peer, std::uint32_t piece);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace shoal::swarm
