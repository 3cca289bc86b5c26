// Swarms as bytes, for a tracker that starts again: {"swarms": [[info-hash, downloads, members], ...], "v": 2}, where
// `members` is one string of records, the longest silent first. Used by Swarms.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.hpp"
#include "base/sha1.hpp"
#include "base/time.hpp"
#include "bencode/bencode.hpp"
#include "tracker/swarm.hpp"

namespace shoal::tracker {

class SwarmStateWriter {
 public:
  explicit SwarmStateWriter(base::Instant now);
  void add(const base::Sha1Hash& info_hash, std::uint32_t downloads, const Swarm& swarm);
  [[nodiscard]] base::Bytes take();

 private:
  base::Instant now_;
  bencode::Writer writer_;
};

struct SavedSwarm {
  base::Sha1Hash info_hash;
  std::uint32_t downloads = 0;
  std::vector<Swarm::Member> members;
};
// `saved_at`: when the writer made it. Nothing when any of it is not what the writer made.
[[nodiscard]] std::optional<std::vector<SavedSwarm>> parse_swarm_state(base::ByteView saved, base::Instant saved_at);

}  // namespace shoal::tracker
