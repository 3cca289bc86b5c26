// The shares that were published to a tracker: torrents by name. Pure; used by roles::TrackerHost.
//
// Always holds: at most kSharesMax shares and kShareBytesMax in all; a name is that of the torrent, a second share of
// the same name and another content gets " (2)"; publishing the same again changes nothing.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "metainfo/torrent.hpp"

namespace shoal::tracker {

inline constexpr std::size_t kSharesMax = 1000;
inline constexpr std::uint64_t kShareBytesMax = 256u << 20;

struct Share {
  std::string name;  // unique
  metainfo::Torrent torrent;
  base::Bytes torrent_file;  // as it was published
  std::uint64_t order = 0;   // grows with each publication: the newest has the highest
};

class ShareList {
 public:
  // error: for the publisher.
  [[nodiscard]] std::expected<const Share*, std::string> publish(base::ByteView torrent_file);
  bool remove(std::string_view name);
  // By name, or by info-hash in hex.
  [[nodiscard]] const Share* find(std::string_view name) const;
  [[nodiscard]] const Share* newest() const;
  // The newest that a course client can get: one file, not more than 65,535 pieces.
  [[nodiscard]] const Share* newest_for_course() const;
  [[nodiscard]] const std::vector<std::unique_ptr<Share>>& all() const { return shares_; }  // by order

  [[nodiscard]] base::Bytes save() const;
  void restore(base::ByteView saved);

 private:
  std::vector<std::unique_ptr<Share>> shares_;
  std::uint64_t bytes_ = 0;
  std::uint64_t next_order_ = 1;
};

}  // namespace shoal::tracker
