#include "net/state_folder.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <system_error>

#include <fmt/format.h>

#include "base/check.hpp"
#include "net/socket.hpp"

namespace shoal::net {

namespace {

constexpr std::size_t kNameBytesMax = 128;
constexpr mode_t kPrivate = 0600;

std::unexpected<std::string> failed(std::string_view tried, const std::filesystem::path& path, int error) {
  return std::unexpected(fmt::format("cannot {} {}: {}", tried, path.string(), std::generic_category().message(error)));
}

// 0, or an errno.
int write_all(int file, base::ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(file, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno;
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return ::fsync(file) == 0 ? 0 : errno;
}

}  // namespace

bool is_state_name(std::string_view name) {
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
           c == '_';
  };
  return !name.empty() && name.size() <= kNameBytesMax && name.front() != '.' && std::ranges::all_of(name, is_plain);
}

std::expected<void, std::string> write_state(const std::filesystem::path& folder, const std::string& name,
                                             base::ByteView bytes) {
  SHOAL_CHECK(is_state_name(name));
  std::error_code folder_error;
  std::filesystem::create_directories(folder, folder_error);
  if (folder_error) return failed("create the folder", folder, folder_error.value());

  const std::filesystem::path path = folder / name;
  const std::filesystem::path temporary = folder / ("." + name + ".new");
  {
    const UniqueFd file(
        ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, kPrivate));
    if (!file.is_open()) return failed("write", temporary, errno);
    if (const int error = write_all(file.get(), bytes); error != 0) {
      ::unlink(temporary.c_str());
      return failed("write", temporary, error);
    }
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary.c_str());
    return failed("replace", path, error);
  }
  // Until the folder is on disk too, a power cut would bring the old file back.
  const UniqueFd opened_folder(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened_folder.is_open() || ::fsync(opened_folder.get()) != 0) return failed("write", folder, errno);
  return {};
}

std::expected<std::optional<base::Bytes>, std::string> read_state(const std::filesystem::path& folder,
                                                                  const std::string& name) {
  SHOAL_CHECK(is_state_name(name));
  const std::filesystem::path path = folder / name;
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.is_open()) {
    if (errno == ENOENT) return std::nullopt;
    return failed("read", path, errno);
  }
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return failed("read", path, errno);
  if (!S_ISREG(status.st_mode)) return std::unexpected(fmt::format("cannot read {}: it is no file", path.string()));
  if (static_cast<std::uintmax_t>(status.st_size) > kStateBytesMax) {
    return std::unexpected(fmt::format("cannot read {}: it is longer than {} bytes", path.string(), kStateBytesMax));
  }
  base::Bytes bytes(static_cast<std::size_t>(status.st_size));
  std::size_t have = 0;
  while (have < bytes.size()) {
    const ssize_t count = ::read(file.get(), bytes.data() + have, bytes.size() - have);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failed("read", path, errno);
    if (count == 0) break;
    have += static_cast<std::size_t>(count);
  }
  bytes.resize(have);
  return bytes;
}

base::Duration state_age(const std::filesystem::path& folder, const std::string& name) {
  std::error_code error;
  const auto written = std::filesystem::last_write_time(folder / name, error);
  if (error) return {};
  return std::max(base::Duration{}, base::Duration(std::chrono::file_clock::now() - written));
}

}  // namespace shoal::net
