#include "storage/torrent_journal.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <utility>

namespace shoal::storage {
namespace {

constexpr const char* kClosedLine = "closed\n";
constexpr std::string_view kFirstLine = "shoal torrent journal 1";
// More than the longest lines for all pieces and files of the biggest torrent that is read.
constexpr std::uint64_t kJournalBytesMax = std::uint64_t{1} << 30;

std::string hex_of(base::ByteView bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  hex.reserve(bytes.size() * 2);
  for (const std::byte byte : bytes) {
    hex += kDigits[std::to_integer<unsigned>(byte) >> 4];
    hex += kDigits[std::to_integer<unsigned>(byte) & 15];
  }
  return hex;
}

std::optional<base::Bitfield> parse_bits(std::string_view hex, std::uint32_t size) {
  const auto digit = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
  };
  if (hex.size() % 2 != 0) return std::nullopt;
  base::Bytes bytes;
  bytes.reserve(hex.size() / 2);
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    const int high = digit(hex[i]);
    const int low = digit(hex[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes.push_back(static_cast<std::byte>(high * 16 + low));
  }
  return base::Bitfield::parse(bytes, size);
}

base::Bitfield bits_of(const std::vector<bool>& flags) {
  base::Bitfield bits(static_cast<std::uint32_t>(flags.size()));
  for (std::uint32_t i = 0; i < bits.size(); ++i) {
    if (flags[i]) bits.set(base::PieceIndex(i));
  }
  return bits;
}

std::string share_line(const JournalKey& key) {
  return "share " + key.info_hash.to_hex() + " " + std::to_string(key.piece_count) + " " +
         std::to_string(key.file_count);
}

std::string file_line(std::uint32_t file, const FileStamp& stamp) {
  return "file " + std::to_string(file) + " " + std::to_string(stamp.size_bytes) + " " +
         std::to_string(stamp.modified_ns) + "\n";
}

std::string dirty_line(std::uint32_t file) {
  return "dirty " + std::to_string(file) + "\n";
}

std::string piece_line(base::PieceIndex piece) {
  return "piece " + std::to_string(piece.value) + "\n";
}

// The words behind the first one of a line, each taken as what the caller expects.
class Words {
 public:
  explicit Words(std::string_view rest) : rest_(rest) {}

  std::string_view word() {
    const std::size_t end = rest_.find(' ');
    const std::string_view found = rest_.substr(0, end);
    rest_ = end == std::string_view::npos ? std::string_view{} : rest_.substr(end + 1);
    return found;
  }
  template <typename Number>
  Number number() {
    const std::string_view digits = word();
    Number value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc{} || end != digits.data() + digits.size()) is_ok_ = false;
    return value;
  }
  [[nodiscard]] bool is_done() const { return is_ok_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool is_ok_ = true;
};

class Parser {
 public:
  Parser(const JournalKey& key, std::string_view boot_id) : key_(key), boot_id_(boot_id) {
    claims_.held = base::Bitfield(key.piece_count);
    claims_.in_tree.assign(key.file_count, true);
  }

  void take(std::string_view line, std::uint64_t line_offset) {
    Words words(line);
    const std::string_view kind = words.word();
    claims_.is_closed = kind == "closed";
    if (kind == "piece") return take_piece(words, line_offset);
    if (kind == "dirty") return take_dirty(words);
    if (kind == "file") return take_file(words);
    if (kind == "synced") return take_synced(words);
    if (kind == "changed") return take_changed(words);
    if (kind == "boot") claims_.is_same_boot = !boot_id_.empty() && words.word() == boot_id_;
    if (kind == "held") {
      if (auto held = parse_bits(words.word(), key_.piece_count)) claims_.held = *std::move(held);
    }
    if (kind == "tree") {
      const auto bits = parse_bits(words.word(), key_.file_count);
      for (std::uint32_t i = 0; bits && i < key_.file_count; ++i) claims_.in_tree[i] = bits->test(base::PieceIndex(i));
    }
  }

  TorrentClaims finish() {
    for (const NewPiece& piece : new_pieces_) claims_.new_pieces.push_back(piece.index);
    // Whatever was noted after that.
    for (const std::uint32_t file : changed_) claims_.files.erase(file);
    return std::move(claims_);
  }

 private:
  struct NewPiece {
    base::PieceIndex index;
    std::uint64_t line_offset = 0;
  };

  void take_piece(Words& words, std::uint64_t line_offset) {
    const auto piece = words.number<std::uint32_t>();
    if (words.is_done() && piece < key_.piece_count) new_pieces_.push_back({base::PieceIndex(piece), line_offset});
  }
  void take_dirty(Words& words) {
    const auto file = words.number<std::uint32_t>();
    if (words.is_done() && file <= key_.file_count) claims_.files[file].is_dirty = true;
  }
  void take_changed(Words& words) {
    const auto file = words.number<std::uint32_t>();
    if (words.is_done() && file <= key_.file_count) changed_.push_back(file);
  }
  void take_file(Words& words) {
    const auto file = words.number<std::uint32_t>();
    FileStamp stamp;
    stamp.size_bytes = words.number<std::uint64_t>();
    stamp.modified_ns = words.number<std::int64_t>();
    if (words.is_done() && file <= key_.file_count) claims_.files[file] = {.stamp = stamp, .is_dirty = false};
  }
  void take_synced(Words& words) {
    const auto offset = words.number<std::uint64_t>();
    if (!words.is_done()) return;
    std::erase_if(new_pieces_, [&](const NewPiece& piece) {
      if (piece.line_offset >= offset) return false;
      claims_.held.set(piece.index);
      return true;
    });
  }

  const JournalKey& key_;
  std::string_view boot_id_;
  TorrentClaims claims_;
  std::vector<NewPiece> new_pieces_;
  std::vector<std::uint32_t> changed_;
};

// The text of a file that is quickly read; empty when it cannot be.
std::string read_text(int fd, std::uint64_t size_bytes) {
  std::string text(size_bytes, '\0');
  text.resize(read_at(fd, std::as_writable_bytes(std::span(text)), 0));
  return text;
}

// Changes with each start of the machine. Empty: not known, then no two runs are of one boot.
std::string read_boot_id() {
  const auto file = open_plain_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", O_RDONLY);
  if (!file) return {};
  const std::string text = read_text(file->fd.get(), 64);
  return text.substr(0, text.find('\n'));
}

}  // namespace

std::expected<TorrentClaims, JournalError> parse_torrent_journal(std::string_view text, const JournalKey& key,
                                                                 std::string_view boot_id) {
  Parser parser(key, boot_id);
  std::size_t number = 0;
  for (std::size_t at = 0;;) {
    const std::size_t end = text.find('\n', at);
    if (end == std::string_view::npos) break;
    const std::string_view line = text.substr(at, end - at);
    ++number;
    if (number == 1 && line != kFirstLine) return std::unexpected(JournalError::unreadable);
    if (number == 2 && line != share_line(key)) return std::unexpected(JournalError::other_share);
    if (number > 2) parser.take(line, at);
    at = end + 1;
  }
  if (number < 2) return std::unexpected(JournalError::unreadable);
  return parser.finish();
}

std::expected<TorrentClaims, JournalError> read_torrent_journal(const Folder& folder, const std::string& name,
                                                                const JournalKey& key) {
  const auto file = folder.open_plain(name, O_RDONLY);
  if (!file || file->version.size_bytes > kJournalBytesMax) return std::unexpected(JournalError::unreadable);
  auto claims = parse_torrent_journal(read_text(file->fd.get(), file->version.size_bytes), key, read_boot_id());
  if (claims) claims->touched_ns = file->version.modified_ns;
  return claims;
}

StoreResult<TorrentJournal> TorrentJournal::create(const FolderPtr& folder, const std::string& name,
                                                   const JournalKey& key, const TorrentClaims& claims) {
  std::string text = std::string(kFirstLine) + "\n" + share_line(key) + "\n";
  if (const std::string boot_id = read_boot_id(); !boot_id.empty()) text += "boot " + boot_id + "\n";
  text += "tree " + hex_of(bits_of(claims.in_tree).bytes()) + "\n";
  text += "held " + hex_of(claims.held.bytes()) + "\n";
  for (const auto& [file, noted] : claims.files) {
    if (noted.stamp) text += file_line(file, *noted.stamp);
    if (noted.is_dirty) text += dirty_line(file);
  }
  for (const base::PieceIndex piece : claims.new_pieces) text += piece_line(piece);
  if (claims.is_closed) text += kClosedLine;
  auto file = TemporaryFile::create(folder, name + "~");
  if (!file) return std::unexpected(std::move(file.error()));
  if (auto written = file->write(base::view_of(text)); !written) return std::unexpected(std::move(written.error()));
  const std::string path = folder->path_of(name);
  // Or the rename might survive a power cut and the text not.
  if (::fdatasync(file->fd()) != 0) return std::unexpected(store_error(errno, "write", path));
  if (auto renamed = file->rename_to(name); !renamed) return std::unexpected(std::move(renamed.error()));
  UniqueFd fd(::openat(folder->fd(), name.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.is_open()) return std::unexpected(store_error(errno, "write", path));
  return TorrentJournal(path, std::move(fd), text.size());
}

StoreResult<void> TorrentJournal::add_dirty(std::uint32_t file) {
  return add(dirty_line(file));
}

StoreResult<void> TorrentJournal::add_pieces(std::span<const base::PieceIndex> pieces) {
  std::string lines;
  for (const base::PieceIndex piece : pieces) lines += piece_line(piece);
  return add(lines);
}

StoreResult<void> TorrentJournal::add_synced(std::span<const Note> notes, std::uint64_t offset) {
  std::string lines;
  for (const Note& note : notes) lines += file_line(note.file, note.stamp);
  return add(lines + "synced " + std::to_string(offset) + "\n");
}

StoreResult<void> TorrentJournal::add_closed() {
  return add(kClosedLine);
}

StoreResult<void> TorrentJournal::add_changed(std::uint32_t file) {
  return add("changed " + std::to_string(file) + "\n");
}

StoreResult<void> TorrentJournal::add_boot_unknown() {
  return add("boot unknown\n");
}

StoreResult<void> TorrentJournal::add(const std::string& lines) {
  base::ByteView rest = base::view_of(lines);
  while (!rest.empty()) {
    const ssize_t count = ::write(fd_.get(), rest.data(), rest.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      const int error_number = errno;
      // No half line for the next one to be glued to. Should this fail too, the two make no sense together.
      (void)!::ftruncate(fd_.get(), static_cast<off_t>(size_bytes_));
      return std::unexpected(store_error(error_number, "write", path_));
    }
    rest = rest.subspan(static_cast<std::size_t>(count));
  }
  size_bytes_ += lines.size();
  return {};
}

StoreResult<void> TorrentJournal::sync() const {
  if (::fdatasync(fd_.get()) != 0) return std::unexpected(store_error(errno, "write", path_));
  return {};
}

void TorrentJournal::touch() const {
  // A file system that cannot: then a restart finds more in doubt.
  (void)::futimens(fd_.get(), nullptr);
}

}  // namespace shoal::storage
