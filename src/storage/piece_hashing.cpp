#include "storage/piece_hashing.hpp"

#include <algorithm>
#include <memory>
#include <mutex>
#include <new>
#include <span>
#include <thread>

#include "base/check.hpp"
#include "base/sha1_pair.hpp"

namespace shoal::storage {
namespace {

using metainfo::FileEntry;

// Big enough that calls cost nothing, small enough that what was read is in the core's own cache when it is hashed.
constexpr std::size_t kHashReadBytes = 128 * 1024;
constexpr std::size_t kPageBytes = 4096;  // the kernel copies faster to where a page begins
// With fewer pieces than this for each processor, two at a time would leave some idle at the end.
constexpr std::size_t kPiecesForPairsMin = 8;

class ReadBuffer {
 public:
  explicit ReadBuffer(std::uint32_t piece_bytes)
      : size_(std::min<std::size_t>(piece_bytes, kHashReadBytes)),
        bytes_(static_cast<std::byte*>(::operator new(size_, std::align_val_t(kPageBytes)))) {}
  // As much of it as there is, and not more than `count`.
  [[nodiscard]] std::span<std::byte> first(std::uint64_t count) const {
    return {bytes_.get(), static_cast<std::size_t>(std::min<std::uint64_t>(count, size_))};
  }

 private:
  struct Free {
    void operator()(std::byte* bytes) const { ::operator delete(bytes, std::align_val_t(kPageBytes)); }
  };
  std::size_t size_;
  std::unique_ptr<std::byte, Free> bytes_;
};

// Buffers that nobody uses at the moment: memory that is new for each piece would cost more than reading it.
class BufferStock {
 public:
  explicit BufferStock(std::uint32_t piece_bytes) : piece_bytes_(piece_bytes) {}

  ReadBuffer take() {
    const std::lock_guard guard(mutex_);
    if (free_.empty()) return ReadBuffer(piece_bytes_);
    ReadBuffer buffer = std::move(free_.back());
    free_.pop_back();
    return buffer;
  }
  void give_back(ReadBuffer buffer) {
    const std::lock_guard guard(mutex_);
    free_.push_back(std::move(buffer));
  }

 private:
  std::uint32_t piece_bytes_;
  std::mutex mutex_;
  std::vector<ReadBuffer> free_;
};

// One piece, from its first byte to its last, through the files it lies in.
class PieceReader {
 public:
  PieceReader(const PieceHashing& hashing, BufferStock& stock, base::PieceIndex piece)
      : hashing_(hashing),
        stock_(stock),
        piece_(piece),
        parts_(parts_of(*hashing.manifest, piece)),
        buffer_(stock.take()),
        left_bytes_(hashing.manifest->size_of(piece)) {}
  ~PieceReader() { stock_.give_back(std::move(buffer_)); }
  PieceReader(const PieceReader&) = delete;
  PieceReader& operator=(const PieceReader&) = delete;

  [[nodiscard]] base::PieceIndex piece() const { return piece_; }
  [[nodiscard]] std::uint64_t left_bytes() const { return left_bytes_; }
  // The file that did not have its part. What next() gives from then on is of no use.
  [[nodiscard]] std::optional<std::size_t> failed_at() const { return failed_at_; }

  // The next bytes, as many as are read at a time.
  base::ByteView next() {
    const std::span<std::byte> bytes = buffer_.first(left_bytes_);
    left_bytes_ -= bytes.size();
    for (std::span<std::byte> rest = bytes; !rest.empty() && !failed_at_;) {
      const std::span<std::byte> part = rest.first(std::min<std::uint64_t>(rest.size(), parts_[at_].range.size_bytes));
      if (!read(part)) failed_at_ = parts_[at_].file;
      rest = rest.subspan(part.size());
      advance(part.size());
    }
    return bytes;
  }

 private:
  bool read(std::span<std::byte> target) {
    const PiecePart& part = parts_[at_];
    if (hashing_.manifest->layout->files[part.file].is_padding) {
      std::ranges::fill(target, std::byte{0});
      return true;
    }
    if (!fd_) fd_ = hashing_.open(part.file);
    return fd_ && read_at(fd_->get(), target, part.range.offset) == target.size();
  }
  void advance(std::size_t bytes) {
    ByteRange& range = parts_[at_].range;
    range.offset += bytes;
    range.size_bytes -= bytes;
    if (range.size_bytes > 0) return;
    ++at_;
    fd_.reset();
  }

  const PieceHashing& hashing_;
  BufferStock& stock_;
  base::PieceIndex piece_;
  std::vector<PiecePart> parts_;
  std::size_t at_ = 0;          // in parts_
  std::optional<UniqueFd> fd_;  // of that part's file
  ReadBuffer buffer_;
  std::uint64_t left_bytes_;
  std::optional<std::size_t> failed_at_;
};

void tell(const PieceHashing& hashing, const PieceReader& reader, const base::Sha1Hash& hash) {
  if (reader.failed_at()) return hashing.on_hashed(reader.piece(), std::unexpected(*reader.failed_at()));
  hashing.on_hashed(reader.piece(), hash);
}

void hash_one(const PieceHashing& hashing, BufferStock& stock, base::PieceIndex piece) {
  PieceReader reader(hashing, stock, piece);
  base::Sha1Hasher hasher;
  while (reader.left_bytes() > 0) {
    const base::ByteView bytes = reader.next();
    if (reader.failed_at()) break;
    hasher.update(bytes);
  }
  tell(hashing, reader, hasher.finish());
}

// Of one size.
void hash_two(const PieceHashing& hashing, BufferStock& stock, base::PieceIndex first, base::PieceIndex second) {
  PieceReader one(hashing, stock, first);
  PieceReader two(hashing, stock, second);
  base::Sha1Pair hasher;
  while (one.left_bytes() > 0) {
    const base::ByteView one_bytes = one.next();
    const base::ByteView two_bytes = two.next();
    if (one.failed_at() && two.failed_at()) break;
    hasher.update(one_bytes, two_bytes);
  }
  const auto [one_hash, two_hash] = hasher.finish();
  tell(hashing, one, one_hash);
  tell(hashing, two, two_hash);
}

}  // namespace

std::vector<PiecePart> parts_of(const metainfo::Manifest& manifest, base::PieceIndex piece) {
  const std::vector<FileEntry>& files = manifest.layout->files;
  std::uint64_t offset = manifest.offset_of(piece);
  const std::uint64_t end = offset + manifest.size_of(piece);
  // The first file that ends behind the piece's first byte.
  auto file = std::ranges::upper_bound(files, offset, {},
                                       [](const FileEntry& entry) { return entry.offset_bytes + entry.size_bytes; });
  std::vector<PiecePart> parts;
  for (; offset < end; ++file) {
    const std::uint64_t size = std::min(end, file->offset_bytes + file->size_bytes) - offset;
    if (size == 0) continue;
    parts.push_back({static_cast<std::size_t>(file - files.begin()), {offset - file->offset_bytes, size}});
    offset += size;
  }
  return parts;
}

void hash_pieces(const PieceHashing& hashing) {
  SHOAL_CHECK(hashing.manifest != nullptr && hashing.manifest->layout);
  const metainfo::Manifest& manifest = *hashing.manifest;
  const std::size_t count = manifest.pieces.size();
  const std::size_t at_once = count >= kPiecesForPairsMin * std::thread::hardware_concurrency() ? 2 : 1;
  BufferStock stock(manifest.layout->piece_bytes);
  std::mutex mutex;
  std::uint64_t done_bytes = 0;
  run_in_parallel((count + at_once - 1) / at_once, [&](std::size_t i) {
    const base::PieceIndex first(static_cast<std::uint32_t>(i * at_once));
    const base::PieceIndex second(first.value + 1);
    const bool has_second = at_once == 2 && second.value < count;
    if (has_second && manifest.size_of(first) == manifest.size_of(second)) {
      hash_two(hashing, stock, first, second);
    } else {
      hash_one(hashing, stock, first);
      if (has_second) hash_one(hashing, stock, second);
    }
    if (!hashing.progress) return;
    const std::lock_guard guard(mutex);
    done_bytes += manifest.size_of(first) + (has_second ? manifest.size_of(second) : 0);
    hashing.progress(done_bytes);
  });
}

}  // namespace shoal::storage
