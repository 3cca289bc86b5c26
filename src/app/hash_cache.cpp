#include "app/hash_cache.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "app/cli.hpp"
#include "metainfo/paths.hpp"
#include "net/state_folder.hpp"

namespace shoal::app {
namespace {

namespace fs = std::filesystem;

// The coarsest times of the file systems that people use.
constexpr std::int64_t kSettledNs = 2'000'000'000;

std::optional<fs::path> cache_folder() {
  const auto cache = user_folder("XDG_CACHE_HOME", ".cache");
  return cache ? std::optional(*cache / "shoal" / "hashes") : std::nullopt;
}

std::string name_of(const storage::ScannedShare& share) {
  const std::string place = fmt::format("{}\n{}", share.layout.piece_bytes, share.root.native());
  return base::sha1(base::view_of(place)).to_hex();
}

// Everything the hashes depend on.
base::Sha1Hash key_of(const storage::ScannedShare& share) {
  base::Sha1Hasher hasher;
  const auto add = [&hasher](const std::string& text) { hasher.update(base::view_of(text)); };
  add(fmt::format("shoal hashes 1\n{}\n{}\n", share.layout.piece_bytes, share.root.native()));
  for (std::size_t i = 0; i < share.layout.files.size(); ++i) {
    const metainfo::FileEntry& file = share.layout.files[i];
    const storage::FileVersion& version = share.versions[i];
    add(fmt::format("{} {} {} {} {} {} {}\n{}\n", file.size_bytes, file.is_padding, version.device, version.inode,
                    version.size_bytes, version.modified_ns, version.changed_ns, metainfo::join_path(file.path)));
  }
  return hasher.finish();
}

bool is_settled(const storage::ScannedShare& share, std::chrono::system_clock::time_point at) {
  const std::int64_t limit = std::chrono::nanoseconds(at.time_since_epoch()).count() - kSettledNs;
  return std::ranges::all_of(share.versions, [limit](const storage::FileVersion& version) {
    return version.modified_ns < limit && version.changed_ns < limit;
  });
}

void remove_oldest(const fs::path& folder) {
  std::error_code error;
  std::vector<std::pair<fs::file_time_type, fs::path>> kept;
  for (auto each = fs::directory_iterator(folder, error); !error && each != fs::directory_iterator();
       each.increment(error)) {
    std::error_code gone;
    const auto time = each->last_write_time(gone);
    if (!gone) kept.emplace_back(time, each->path());
  }
  if (kept.size() <= kHashesKeptMax) return;
  std::ranges::sort(kept);
  for (std::size_t i = 0; i < kept.size() - kHashesKeptMax; ++i) fs::remove(kept[i].second, error);
}

}  // namespace

std::optional<std::vector<base::Sha1Hash>> recall_hashes(const storage::ScannedShare& share) {
  const auto folder = cache_folder();
  if (!folder || share.layout.total_bytes < kHashesKeptBytesMin) return std::nullopt;
  const auto saved = net::read_state(*folder, name_of(share));
  if (!saved || !*saved) return std::nullopt;
  // The key, the hashes, and the hash of all that.
  constexpr std::size_t kSize = base::Sha1Hash::kSize;
  const base::ByteView bytes = **saved;
  const std::uint64_t pieces = (share.layout.total_bytes - 1) / share.layout.piece_bytes + 1;
  if (bytes.size() != (pieces + 2) * kSize) return std::nullopt;
  const auto hash_at = [bytes](std::size_t i) { return base::Sha1Hash::from_bytes(bytes.subspan(i * kSize, kSize)); };
  if (hash_at(0) != key_of(share)) return std::nullopt;
  if (hash_at(pieces + 1) != base::sha1(bytes.first(bytes.size() - kSize))) return std::nullopt;
  std::vector<base::Sha1Hash> hashes;
  hashes.reserve(pieces);
  for (std::size_t i = 1; i <= pieces; ++i) hashes.push_back(hash_at(i));
  return hashes;
}

void keep_hashes(const storage::ScannedShare& share, const std::vector<base::Sha1Hash>& hashes,
                 std::chrono::system_clock::time_point begun_at) {
  const auto folder = cache_folder();
  if (!folder || share.layout.total_bytes < kHashesKeptBytesMin || !is_settled(share, begun_at)) return;
  base::Bytes bytes;
  bytes.reserve((hashes.size() + 2) * base::Sha1Hash::kSize);
  const auto add = [&bytes](const base::Sha1Hash& hash) {
    bytes.insert(bytes.end(), hash.bytes.begin(), hash.bytes.end());
  };
  add(key_of(share));
  for (const base::Sha1Hash& hash : hashes) add(hash);
  add(base::sha1(bytes));
  if (net::write_state(*folder, name_of(share), bytes)) remove_oldest(*folder);
}

}  // namespace shoal::app
