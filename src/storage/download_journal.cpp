#include "storage/download_journal.hpp"

#include <fcntl.h>

#include <cerrno>
#include <charconv>
#include <utility>

namespace shoal::storage {
namespace {

constexpr std::string_view kFirstLine = "shoal journal 1";

std::string manifest_line(const metainfo::Manifest& manifest) {
  base::Sha1Hasher hasher;
  for (const base::Sha1Hash& hash : manifest.pieces) hasher.update(hash.bytes);
  return "manifest " + hasher.finish().to_hex() + " " + std::to_string(manifest.piece_count());
}

std::string usual_line(std::uint64_t usual_bytes) {
  return "usual " + std::to_string(usual_bytes);
}

std::string entry_line(const JournalEntry& entry) {
  const Placement::Extent& extent = entry.extent;
  const bool is_aside = extent.spot.where == Placement::Where::side;
  std::string line = is_aside ? "side " : "part ";
  line += std::to_string(entry.piece.value) + " " + std::to_string(extent.size_bytes);
  if (is_aside) line += " " + std::to_string(extent.spot.offset);
  return line;
}

// The words of one line, each taken as what the caller expects; one that does not fit spoils the line.
class LineReader {
 public:
  explicit LineReader(std::string_view line) : rest_(line) {}

  std::string_view word() {
    const std::size_t end = rest_.find(' ');
    const std::string_view found = rest_.substr(0, end);
    rest_ = end == std::string_view::npos ? std::string_view{} : rest_.substr(end + 1);
    return found;
  }
  std::uint64_t number() {
    const std::string_view digits = word();
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc{} || end != digits.data() + digits.size()) is_ok_ = false;
    return value;
  }
  [[nodiscard]] bool is_done() const { return is_ok_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool is_ok_ = true;
};

void parse_line(std::string_view line, const metainfo::Manifest& manifest, JournalClaims& claims) {
  LineReader reader(line);
  const std::string_view kind = reader.word();
  if (kind == "usual") {
    const std::uint64_t usual_bytes = reader.number();
    if (reader.is_done()) claims.usual_bytes = usual_bytes;
    return;
  }
  if (kind != "part" && kind != "side") return;
  const std::uint64_t piece = reader.number();
  const std::uint64_t size_bytes = reader.number();
  Placement::Spot spot;
  if (kind == "side") spot = {Placement::Where::side, reader.number()};
  if (!reader.is_done() || piece >= manifest.piece_count()) return;
  claims.entries.push_back({base::PieceIndex(static_cast<std::uint32_t>(piece)), {spot, size_bytes}});
}

}  // namespace

JournalClaims parse_journal(std::string_view text, const metainfo::Manifest& manifest) {
  JournalClaims claims;
  for (std::size_t number = 1;; ++number) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) break;
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (number == 1 && line != kFirstLine) return {};
    if (number == 2 && line != manifest_line(manifest)) return {};
    if (number > 2) parse_line(line, manifest, claims);
  }
  return claims;
}

StoreResult<DownloadJournal> DownloadJournal::create(const FolderPtr& folder, const std::string& name,
                                                     const metainfo::Manifest& manifest, const JournalClaims& claims) {
  std::string text = std::string(kFirstLine) + "\n" + manifest_line(manifest) + "\n";
  if (claims.usual_bytes > 0) text += usual_line(claims.usual_bytes) + "\n";
  for (const JournalEntry& entry : claims.entries) text += entry_line(entry) + "\n";
  auto file = TemporaryFile::create(folder, name + "~");
  if (!file) return std::unexpected(std::move(file.error()));
  if (auto written = file->write(base::view_of(text)); !written) return std::unexpected(std::move(written.error()));
  if (auto renamed = file->rename_to(name); !renamed) return std::unexpected(std::move(renamed.error()));
  UniqueFd fd(::openat(folder->fd(), name.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.is_open()) return std::unexpected(store_error(errno, "write", folder->path_of(name)));
  return DownloadJournal(folder->path_of(name), std::move(fd));
}

StoreResult<void> DownloadJournal::add_usual(std::uint64_t usual_bytes) {
  return add_line(usual_line(usual_bytes));
}

StoreResult<void> DownloadJournal::add(const JournalEntry& entry) {
  return add_line(entry_line(entry));
}

StoreResult<void> DownloadJournal::add_line(const std::string& line) {
  const std::string text = line + "\n";
  ssize_t count = 0;
  do {
    count = ::write(fd_.get(), text.data(), text.size());
  } while (count < 0 && errno == EINTR);
  if (count < 0) return std::unexpected(store_error(errno, "write", path_));
  if (static_cast<std::size_t>(count) != text.size()) return std::unexpected(store_error(ENOSPC, "write", path_));
  return {};
}

}  // namespace shoal::storage
