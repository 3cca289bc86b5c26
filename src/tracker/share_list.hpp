// The shares that were published to a tracker: torrents by name. Pure; used by roles::TrackerHost.
//
// Always holds: at most kSharesMax shares and kShareBytesMax in all; whether one makes room for the next its owner
// says; a name is that of the torrent, a second share of the same name and another content gets " (2)", which stays its
// name; publishing the same again changes nothing, and the same content with other trackers or web seeds puts these in
// the place of the old ones, unless it has no web seeds and the old has.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "metainfo/torrent.hpp"

namespace shoal::tracker {

inline constexpr std::size_t kSharesMax = 1000;
inline constexpr std::uint64_t kShareBytesMax = 192u << 20;  // with their names they fit a file of saved state

struct Share {
  std::string name;           // unique
  metainfo::Torrent torrent;  // but for `info`: torrent_file has it
  // As it was published, but for the order of its keys, which is that of BEP 3; shared with whoever is sending it.
  std::shared_ptr<const base::Bytes> torrent_file;
  // Where in it `announce` and `announce-list` are, or would be: others can be put in their place without reading it.
  std::size_t trackers_begin = 0;
  std::size_t trackers_end = 0;
  std::uint64_t order = 0;  // grows with each publication: the newest has the highest
};
// Whether a course client can get it: one file, not more than 65,535 pieces.
[[nodiscard]] bool is_for_course(const Share& share);

class ShareList {
 public:
  // Which share is to make room; null: none.
  using ChooseToDrop = std::function<const Share*()>;
  // error: for the publisher.
  [[nodiscard]] std::expected<const Share*, std::string> publish(base::ByteView torrent_file,
                                                                 const ChooseToDrop& choose_to_drop = {});
  bool remove(std::string_view name);
  // By info-hash in hex, or by name: so no name can stand before another share's info-hash.
  [[nodiscard]] const Share* find(std::string_view name) const;
  [[nodiscard]] const Share* newest() const;
  // The newest that a course client can get: of those that somebody has, else of all.
  [[nodiscard]] const Share* newest_for_course(const std::function<bool(const Share&)>& is_had) const;
  [[nodiscard]] const std::vector<std::unique_ptr<Share>>& all() const { return shares_; }  // by order
  [[nodiscard]] std::uint64_t changes() const { return changes_; }                          // how many there were

  [[nodiscard]] base::Bytes save() const;
  // False when it is not what save() made; then there are no more shares than before.
  bool restore(base::ByteView saved);

 private:
  [[nodiscard]] const Share* find_hash(const metainfo::InfoHash& info_hash) const;
  [[nodiscard]] const Share* find_name(std::string_view name) const;
  // With the name it had; none: that of the torrent.
  [[nodiscard]] std::expected<const Share*, std::string> add(base::ByteView torrent_file, std::string_view name,
                                                             const ChooseToDrop& choose_to_drop);
  [[nodiscard]] std::expected<const Share*, std::string> replace(const Share& known, Share next);
  [[nodiscard]] bool has_room_for(std::size_t torrent_bytes) const;

  std::vector<std::unique_ptr<Share>> shares_;
  std::uint64_t bytes_ = 0;
  std::uint64_t next_order_ = 1;
  std::uint64_t changes_ = 0;
};

}  // namespace shoal::tracker
