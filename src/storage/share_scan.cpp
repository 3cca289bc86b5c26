#include "storage/share_scan.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <span>
#include <unordered_set>
#include <utility>

#include "base/utf8.hpp"
#include "metainfo/paths.hpp"
#include "metainfo/torrent.hpp"

namespace shoal::storage {
namespace {

namespace fs = std::filesystem;
using metainfo::FileEntry;

constexpr std::size_t kNameWarningsMax = 10;
constexpr std::size_t kTroublesToldMax = 10;

// Why something cannot be shared.
struct Trouble {
  ShareError::Kind kind = ShareError::Kind::unfit;
  std::string why;
};

Trouble unreadable_because(int error_number) {
  return {ShareError::Kind::unreadable, describe_errno(error_number)};
}

std::unexpected<ShareError> refuse(const fs::path& path, const Trouble& trouble) {
  const char* tried = trouble.kind == ShareError::Kind::unreadable ? "read" : "share";
  return std::unexpected(ShareError{trouble.kind, fmt::format("cannot {} {}: {}", tried, path.native(), trouble.why)});
}

std::unexpected<ShareError> unreadable(const fs::path& path, int error_number) {
  return refuse(path, unreadable_because(error_number));
}

std::unexpected<ShareError> unfit(const fs::path& path, std::string why) {
  return refuse(path, {ShareError::Kind::unfit, std::move(why)});
}

// The components of a path that leads down only; nothing when it does not, or leads nowhere.
std::optional<std::vector<std::string>> components_of(const fs::path& relative) {
  std::vector<std::string> components;
  for (const fs::path& part : relative) {
    if (part.empty() || part == ".") continue;
    if (!metainfo::is_safe_component(part.native())) return std::nullopt;
    components.push_back(part.native());
  }
  return components.empty() ? std::nullopt : std::optional(std::move(components));
}

class FolderScan {
 public:
  explicit FolderScan(const fs::path& root) : root_(root) {}

  struct Found {
    std::string path;  // joined: what the order goes by
    FileEntry entry;
    FileVersion version;
  };

  ShareResult<std::vector<Found>> run() {
    std::error_code error;
    real_root_ = fs::canonical(root_, error);
    if (error) return unreadable(root_, error.value());
    walk({});
    check_link_targets();
    if (!troubles_.empty()) return refuse_all();
    std::ranges::sort(found_, {}, &Found::path);
    return std::move(found_);
  }
  [[nodiscard]] std::size_t empty_folders() const { return empty_folders_; }

 private:
  // The user is to see at once all that has to be mended.
  void note(std::string path, Trouble trouble) { troubles_.emplace_back(std::move(path), std::move(trouble)); }

  ShareResult<std::vector<Found>> refuse_all() {
    std::ranges::sort(troubles_, {}, &std::pair<std::string, Trouble>::first);
    const auto& [first, trouble] = troubles_.front();
    if (troubles_.size() == 1) return refuse(root_ / first, trouble);
    auto refused = unfit(root_, fmt::format("{} things in it are in the way", troubles_.size()));
    refused.error().kind = trouble.kind;
    std::vector<std::string>& details = refused.error().details;
    for (const auto& [path, each] : troubles_) {
      if (details.size() == kTroublesToldMax) break;
      details.push_back(fmt::format("{}: {}", (root_ / path).native(), each.why));
    }
    if (const std::size_t more = troubles_.size() - details.size(); more > 0) {
      details.push_back(fmt::format("and {} more", more));
    }
    return refused;
  }

  // Everything below the folder with this path. Recursion ends where paths become too long.
  void walk(const std::vector<std::string>& folder) {
    const std::string joined = metainfo::join_path(folder);
    const fs::path path = root_ / joined;
    std::error_code error;
    fs::directory_iterator entry(path, error);
    if (error) return note(joined, unreadable_because(error.value()));
    const std::size_t found_before = found_.size();
    for (const fs::directory_iterator end; entry != end;) {
      std::vector<std::string> below = folder;
      below.push_back(entry->path().filename().native());
      add(std::move(below), entry->path());
      if (entry.increment(error); error) return note(joined, unreadable_because(error.value()));
    }
    if (found_.size() == found_before) ++empty_folders_;
  }

  void add(std::vector<std::string> components, const fs::path& path) {
    const std::string joined = metainfo::join_path(components);
    const auto refused = [&](Trouble trouble) { note(joined, std::move(trouble)); };
    if (joined.size() > metainfo::kPathBytesMax) {
      return refused(
          {.why = fmt::format("its path is longer than the {} bytes that are possible", metainfo::kPathBytesMax)});
    }
    struct stat status{};
    if (::lstat(path.c_str(), &status) != 0) return refused(unreadable_because(errno));
    if (S_ISDIR(status.st_mode)) return walk(components);
    Found found{.path = joined, .entry = {.path = std::move(components)}, .version = {}};
    if (S_ISLNK(status.st_mode)) {
      auto target = target_of(path, found.entry.path);
      if (!target) return refused(std::move(target.error()));
      found.entry.link_target = std::move(*target);
    } else if (!S_ISREG(status.st_mode)) {
      return refused({.why = "it is a device, a pipe or a socket; only files, folders and links can be shared"});
    } else {
      const auto file = open_plain_file(AT_FDCWD, path.c_str(), O_RDONLY);
      if (!file) return refused(unreadable_because(file.error()));
      found.entry.size_bytes = file->version.size_bytes;
      found.entry.is_executable = (status.st_mode & S_IXUSR) != 0;
      found.version = file->version;
    }
    found_.push_back(std::move(found));
  }

  // Where a link points to, from the root of the share. What it says is kept where it means what it seems to; a link by
  // way of other links may not.
  std::expected<std::vector<std::string>, Trouble> target_of(const fs::path& link,
                                                             std::span<const std::string> components) const {
    const auto refused = [](std::string why) { return std::unexpected(Trouble{.why = std::move(why)}); };
    std::error_code error;
    const fs::path real = fs::canonical(link, error);
    if (error == std::errc::too_many_symbolic_link_levels) {
      return refused("it is a link that leads to itself, alone or by way of others; remove it");
    }
    if (error) return refused("it is a link to nothing; remove it, or make what it points to");
    const fs::path said = fs::read_symlink(link, error);
    if (error) return std::unexpected(unreadable_because(error.value()));
    const fs::path folder = real_root_ / metainfo::join_path(components.first(components.size() - 1));
    const fs::path next = (folder / said).lexically_normal();  // an absolute one replaces the folder
    const bool is_plain = !error && fs::canonical(next, error) == real && !error;
    for (const fs::path& target : {is_plain ? next : real, real}) {
      if (auto below = components_of(target.lexically_relative(real_root_))) return *std::move(below);
    }
    if (real == real_root_) {
      return refused(fmt::format("it is a link to {}, which is {} itself and no file in it; remove it", said.native(),
                                 root_.native()));
    }
    return refused(fmt::format("it is a link to {}, which is not below {}; remove it, or put a copy in its place",
                               said.native(), root_.native()));
  }

  // A torrent has files only: a link to a folder without any would point to nothing where it arrives.
  void check_link_targets() {
    std::unordered_set<std::string> places;
    const auto add_places = [&places](const std::string& path) {
      for (std::size_t end = path.size(); end != std::string::npos && places.insert(path.substr(0, end)).second;
           end = path.rfind('/', end - 1)) {
      }
    };
    for (const Found& found : found_) add_places(found.path);
    for (const auto& [path, trouble] : troubles_) add_places(path);  // told already
    for (const Found& found : found_) {
      if (found.entry.link_target.empty() || places.contains(metainfo::join_path(found.entry.link_target))) continue;
      note(found.path, {.why = "it is a link to an empty folder, which a torrent cannot hold; remove it"});
    }
  }

  const fs::path& root_;
  fs::path real_root_;
  std::vector<Found> found_;
  std::vector<std::pair<std::string, Trouble>> troubles_;  // with the joined path of each
  std::size_t empty_folders_ = 0;
};

// The last component of the path as the user wrote it; of "." and the like that of the folder meant.
std::string name_of(const fs::path& path) {
  fs::path named = path.lexically_normal();
  if (!named.has_filename()) named = named.parent_path();  // "folder/"
  std::string name = named.filename().native();
  if (metainfo::is_safe_component(name)) return name;
  std::error_code error;
  return fs::canonical(path, error).filename().native();
}

ShareResult<void> scan_folder(ScannedShare& share) {
  FolderScan scan(share.root);
  auto found = scan.run();
  if (!found) return std::unexpected(std::move(found.error()));
  if (found->empty()) return unfit(share.root, "there is no file in it");
  share.layout.is_folder = true;
  for (FolderScan::Found& file : *found) {
    share.layout.files.push_back(std::move(file.entry));
    share.versions.push_back(file.version);
  }
  if (const std::size_t count = scan.empty_folders(); count > 0) {
    share.warnings.push_back(
        fmt::format("{} empty folder{} left out: a torrent holds files only", count, count == 1 ? " was" : "s were"));
  }
  return {};
}

ShareResult<void> scan_file(ScannedShare& share, bool is_executable) {
  // The user's own path may be a link.
  std::error_code error;
  const fs::path real = fs::canonical(share.root, error);
  if (error) return unreadable(share.root, error.value());
  const auto file = open_plain_file(AT_FDCWD, real.c_str(), O_RDONLY);
  if (!file) return unreadable(share.root, file.error());
  share.layout.files = {{.path = {share.name}, .size_bytes = file->version.size_bytes, .is_executable = is_executable}};
  share.versions = {file->version};
  return {};
}

ShareResult<void> place_files(ScannedShare& share) {
  metainfo::Layout& layout = share.layout;
  for (FileEntry& file : layout.files) {
    if (file.size_bytes > metainfo::kTotalBytesMax - layout.total_bytes) {
      return unfit(share.root, "its files are bigger together than a torrent can be");
    }
    file.offset_bytes = layout.total_bytes;
    layout.total_bytes += file.size_bytes;
  }
  return {};
}

ShareResult<void> cut(ScannedShare& share, std::optional<std::uint32_t> piece_bytes) {
  metainfo::Layout& layout = share.layout;
  layout.piece_bytes = piece_bytes.value_or(metainfo::choose_piece_bytes(layout.total_bytes));
  const std::uint64_t pieces = layout.total_bytes / layout.piece_bytes;
  if (pieces <= kSharePiecesMax) return {};
  return unfit(share.root,
               fmt::format("{} pieces of {} bytes are more than the {} a torrent has room for; choose bigger "
                           "pieces",
                           pieces, layout.piece_bytes, kSharePiecesMax));
}

void warn_of_names(ScannedShare& share) {
  const auto is_utf8 = [](const std::string& name) { return base::to_utf8(name) == name; };
  std::vector<std::string> odd;
  if (!is_utf8(share.name)) odd.push_back(share.name);
  for (const FileEntry& file : share.layout.files) {
    if (odd.size() == kNameWarningsMax) break;
    if (share.layout.is_folder && !std::ranges::all_of(file.path, is_utf8))
      odd.push_back(metainfo::join_path(file.path));
  }
  for (const std::string& name : odd) {
    share.warnings.push_back(fmt::format("{} is not UTF-8; other programs may write the name in another way", name));
  }
}

}  // namespace

ShareResult<ScannedShare> scan_share(const fs::path& path, std::optional<std::uint32_t> piece_bytes) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return unreadable(path, errno);
  ScannedShare share{.root = path, .name = name_of(path), .layout = {}, .versions = {}, .warnings = {}};
  if (!metainfo::is_safe_component(share.name)) return unfit(path, "it has no name; name a folder or file below it");
  if (!S_ISDIR(status.st_mode) && !S_ISREG(status.st_mode)) {
    return unfit(path, "it is neither a file nor a folder");
  }
  auto scanned = S_ISDIR(status.st_mode) ? scan_folder(share) : scan_file(share, (status.st_mode & S_IXUSR) != 0);
  if (scanned) scanned = place_files(share);
  if (scanned) scanned = cut(share, piece_bytes);
  if (!scanned) return std::unexpected(std::move(scanned.error()));
  warn_of_names(share);
  return share;
}

void keep_times(ScannedShare& share) {
  constexpr std::int64_t kNsPerSecond = 1'000'000'000;
  for (std::size_t i = 0; i < share.versions.size(); ++i) {
    FileEntry& file = share.layout.files[i];
    const std::int64_t seconds = share.versions[i].modified_ns / kNsPerSecond;
    if (file.link_target.empty() && seconds >= 0 && seconds <= metainfo::kModifiedMax) file.modified_s = seconds;
  }
}

ShareResult<std::uint64_t> check_description(const ScannedShare& share) {
  using metainfo::TorrentError;
  const metainfo::Layout& layout = share.layout;
  const std::uint64_t pieces = (layout.total_bytes + layout.piece_bytes - 1) / layout.piece_bytes;
  // As it will be written, at its longest, but for the hashes; and then as everybody will read it.
  const metainfo::Torrent torrent = metainfo::make_torrent(
      {.name = share.name, .pieces = std::vector<base::Sha1Hash>(pieces), .layout = layout}, /*is_private=*/true);
  const auto read = metainfo::parse_torrent(metainfo::encode_torrent(torrent));
  if (read) return torrent.info.size();
  const TorrentError error = read.error().error;
  if (error != TorrentError::too_big && error != TorrentError::not_bencode) {
    return unfit(share.root, read.error().describe());
  }
  return unfit(share.root, fmt::format("{} files in {} pieces are more than a torrent has room for; choose bigger "
                                       "pieces, or put the files together in an archive",
                                       layout.files.size(), pieces));
}

}  // namespace shoal::storage
