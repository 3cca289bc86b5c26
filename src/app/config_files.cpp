#include "app/config_files.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <utility>

namespace shoal::app {
namespace {

constexpr std::size_t kTextBytesMax = 64u << 20;  // of any configuration; some files never end

std::string reason() {
  return std::strerror(errno);
}

std::string version_of(const std::filesystem::path& path) {
  struct stat status{};
  if (stat(path.c_str(), &status) != 0) return "missing";
  return fmt::format("{}.{}.{}.{}.{}", status.st_ino, status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec,
                     status.st_ctim.tv_nsec);
}

template <typename Value>
Read<Value> told(course::Configured<Value> configured, const std::filesystem::path& path) {
  if (configured) return std::move(*configured);
  return std::unexpected(configured.error().describe(path.string()));
}

}  // namespace

Read<std::string> read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text;
  std::array<char, 4096> block{};
  // read() turns an error of the file into a state; iterators over the stream's buffer would throw it.
  while (file.read(block.data(), block.size()), file.gcount() > 0) {
    if (text.size() > kTextBytesMax) {
      return std::unexpected(fmt::format("{}: longer than {} MiB", path.string(), kTextBytesMax >> 20));
    }
    text.append(block.data(), static_cast<std::size_t>(file.gcount()));
  }
  if (!file.is_open() || file.bad()) {
    return std::unexpected(fmt::format("{}: cannot be read: {}", path.string(), reason()));
  }
  return text;
}

namespace {

Read<std::string> read_configuration(const std::filesystem::path& path) {
  auto text = read_text(path);
  std::error_code error;
  if (text || std::filesystem::exists(path, error)) return text;
  return std::unexpected(text.error() +
                         " (is this the course folder? give --dir, or make one with `shoal course split`)");
}

}  // namespace

Read<std::string> read_token(const std::string& path) {
  if (path.empty()) return std::string();
  auto text = read_text(path);
  if (!text) return text;
  text->erase(text->find_last_not_of(" \t\r\n") + 1);
  if (text->empty()) return std::unexpected(fmt::format("--token-file {}: the file is empty", path));
  return text;
}

Read<void> write_text(const std::filesystem::path& path, const std::string& text) {
  std::error_code ignored;
  std::filesystem::create_directories(path.parent_path(), ignored);
  const std::filesystem::path beside = path.string() + ".new";
  std::ofstream file(beside, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (!file) {
    const std::string why = reason();
    std::filesystem::remove(beside, ignored);
    return std::unexpected(fmt::format("{}: cannot be written: {}", path.string(), why));
  }
  if (std::rename(beside.c_str(), path.c_str()) != 0) {
    return std::unexpected(fmt::format("{}: cannot be replaced: {}", path.string(), reason()));
  }
  return {};
}

Read<course::PeersConfig> read_peers(const CourseFolder& folder) {
  const auto text = read_configuration(folder.peers_ini());
  if (!text) return std::unexpected(text.error());
  return told(course::parse_peers_ini(*text), folder.peers_ini());
}

Read<course::FileConfig> read_file_config(const std::filesystem::path& path) {
  const auto text = read_configuration(path);
  if (!text) return std::unexpected(text.error());
  return told(course::parse_file_ini(*text), path);
}

Read<course::FileInfo> read_file_info(const CourseFolder& folder) {
  const auto peers = read_peers(folder);
  if (!peers) return std::unexpected(peers.error());
  const auto file = read_file_config(folder.file_ini());
  if (!file) return std::unexpected(file.error());
  return told(course::make_file_info(*file, *peers), folder.file_ini());
}

FolderShareProvider::FolderShareProvider(CourseFolder folder, course::FileInfo first)
    : folder_(std::move(folder)), share_(std::make_shared<const course::FileInfo>(std::move(first))) {}

std::string FolderShareProvider::version() const {
  return version_of(folder_.peers_ini()) + "/" + version_of(folder_.file_ini());
}

std::shared_ptr<const course::FileInfo> FolderShareProvider::current() {
  std::string now = version();
  if (now == version_) return share_;
  version_ = std::move(now);
  auto read = read_file_info(folder_);
  if (read) {
    if (*read == *share_) return share_;
    share_ = std::make_shared<const course::FileInfo>(std::move(*read));
    spdlog::info("the configuration changed and was read again: {} chunks", share_->chunks.size());
  } else {
    spdlog::warn("{} (the last good configuration stays in force)", read.error());
  }
  return share_;
}

}  // namespace shoal::app
