// Text files that users write, above all the course directory's configuration, read from disk with errors they can act
// on: file, line, key, what is wrong, what would be right.
#pragma once

#include <expected>
#include <filesystem>
#include <string>

#include "course/config.hpp"
#include "tracker/share_provider.hpp"

namespace shoal::app {

// One line for stderr.
using UserError = std::string;
template <typename Value>
using Read = std::expected<Value, UserError>;

struct CourseFolder {
  std::filesystem::path root;

  [[nodiscard]] std::filesystem::path peers_ini() const { return root / "config" / "peers.ini"; }
  [[nodiscard]] std::filesystem::path file_ini() const { return root / "config" / "file.ini"; }
  [[nodiscard]] std::filesystem::path originals() const { return root / "files"; }
  [[nodiscard]] std::filesystem::path chunks_of(const std::string& peer) const { return root / "chunks" / peer; }
};

[[nodiscard]] Read<std::string> read_text(const std::filesystem::path& path);
// What --token-file names, without white space at its end; nothing when it names none.
[[nodiscard]] Read<std::string> read_token(const std::string& path);
// Written beside and renamed, so that a reader never sees half of it.
[[nodiscard]] Read<void> write_text(const std::filesystem::path& path, const std::string& text);

[[nodiscard]] Read<course::PeersConfig> read_peers(const CourseFolder& folder);
[[nodiscard]] Read<course::FileConfig> read_file_config(const std::filesystem::path& path);
// Both files joined.
[[nodiscard]] Read<course::FileInfo> read_file_info(const CourseFolder& folder);

// Reads the two files again when their size, time or inode changed. While they are broken it keeps the last good share
// and warns once for each version.
class FolderShareProvider : public tracker::ShareProvider {
 public:
  FolderShareProvider(CourseFolder folder, course::FileInfo first);
  std::shared_ptr<const course::FileInfo> current() override;

 private:
  [[nodiscard]] std::string version() const;

  CourseFolder folder_;
  std::string version_;  // empty until the first request: what changed since `first` was read must not be missed
  std::shared_ptr<const course::FileInfo> share_;
};

}  // namespace shoal::app
