// A published share as course clients are told of it: FILE_INFO from the hosts that announced to have its pieces and
// speak the course protocol. Pure; used by roles::TrackerHost as the ShareProvider of FileInfoAnswers.
//
// Always holds: the same pointer until the share or its swarm changed, and then for kShareValidity and kPieceValidity
// for each piece at least, since every new one costs a message of its own; at most kOwnersMax owners of a chunk, spread
// over all that are named; at most kOwnersNamedMax are, seeds before others: each has to be probed. Those on a network
// inside this host are counted apart, so that neither they nor the others are missing where only they can be told.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/bitfield.hpp"
#include "base/time.hpp"
#include "course/messages.hpp"
#include "tracker/peer_probes.hpp"
#include "tracker/share_list.hpp"
#include "tracker/share_provider.hpp"
#include "tracker/swarms.hpp"

namespace shoal::tracker {

inline constexpr std::size_t kOwnersMax = 16;
inline constexpr std::size_t kOwnersNamedMax = PeerProbes::kProbesAtOnceMax;
inline constexpr base::Duration kShareValidity = std::chrono::milliseconds(500);
inline constexpr base::Duration kPieceValidity = std::chrono::microseconds(20);

class SwarmShare final : public ShareProvider {
 public:
  // `configured` may be null: the share of ini files, which is told while nothing better was chosen or published.
  // All must outlive it.
  SwarmShare(const ShareList& shares, Swarms& swarms, ShareProvider* configured, std::optional<std::string> chosen);

  // What current() goes by.
  void set_now(base::Instant now) { now_ = now; }
  std::shared_ptr<const course::FileInfo> current() override;
  // By the rules of announces, when the share is a published one.
  [[nodiscard]] bool may_tell(const course::Asker& asker, base::Endpoint peer) const override;
  [[nodiscard]] bool are_alike(const course::Asker& one, const course::Asker& other) const override;

 private:
  [[nodiscard]] const Share* choose() const;
  [[nodiscard]] course::FileInfo describe(const Share& share);

  const ShareList& shares_;
  Swarms& swarms_;
  ShareProvider* configured_;
  std::optional<std::string> chosen_;
  base::Instant now_{};
  base::Instant made_{};
  base::Sha1Hash made_of_;
  std::uint64_t made_from_ = 0;  // the swarm's generation
  bool is_published_ = false;    // what current() gave last
  std::shared_ptr<const course::FileInfo> told_;
};

// "0-99,105", in rising order, as a set of pieces; nothing when it is not that. Numbers beyond `size` are left out.
[[nodiscard]] std::optional<base::Bitfield> parse_held(std::string_view text, std::uint32_t size);

}  // namespace shoal::tracker
