#include "storage/chunk_directory.hpp"

#include <fcntl.h>

#include <chrono>
#include <utility>

namespace shoal::storage {
namespace {

// A verdict on a file that changed this recently is not remembered.
constexpr std::chrono::nanoseconds kClockTickMax = std::chrono::milliseconds(20);
constexpr int kAttemptsMax = 3;

class FilePiece final : public seam::ReadablePiece {
 public:
  explicit FilePiece(PlainFile file) : file_(std::move(file)) {}

  [[nodiscard]] std::uint64_t size_bytes() const override { return file_.version.size_bytes; }
  std::size_t read_at(std::uint64_t offset, std::span<std::byte> target) const override {
    return storage::read_at(file_.fd.get(), target, offset);
  }
  [[nodiscard]] int file_descriptor() const override { return file_.fd.get(); }

 private:
  PlainFile file_;
};

}  // namespace

ChunkDirectory::ChunkDirectory(std::filesystem::path folder) : folder_(std::move(folder)) {}

std::optional<PlainFile> ChunkDirectory::open_piece(const base::Sha1Hash& hash) const {
  const std::filesystem::path path = folder_ / (hash.to_hex() + ".bin");
  auto file = open_plain_file(AT_FDCWD, path.c_str(), O_RDONLY);
  if (!file) return std::nullopt;
  return *std::move(file);
}

std::optional<bool> ChunkDirectory::known_verdict(const base::Sha1Hash& hash, const FileVersion& version) {
  const std::lock_guard guard(mutex_);
  const auto found = verdicts_.find(hash);
  if (found == verdicts_.end() || found->second.version != version) return std::nullopt;
  return found->second.is_right;
}

std::optional<seam::ReadablePiecePtr> ChunkDirectory::look_up_verified(const base::Sha1Hash& hash) {
  auto file = open_piece(hash);
  if (!file) return seam::ReadablePiecePtr{};
  const std::optional<bool> is_right = known_verdict(hash, file->version);
  if (!is_right) return std::nullopt;
  return *is_right ? std::make_shared<const FilePiece>(*std::move(file)) : seam::ReadablePiecePtr{};
}

seam::ReadablePiecePtr ChunkDirectory::look_up(const base::Sha1Hash& hash) {
  for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
    auto file = open_piece(hash);
    if (!file) return nullptr;
    const std::optional<bool> is_right = judge(hash, *file);
    if (!is_right) continue;  // it changed under the hashing
    return *is_right ? std::make_shared<const FilePiece>(*std::move(file)) : nullptr;
  }
  return nullptr;
}

// Whether this version is right; nothing when it is no longer this version.
std::optional<bool> ChunkDirectory::judge(const base::Sha1Hash& hash, const PlainFile& file) {
  std::shared_ptr<Hashing> hashing;
  {
    std::unique_lock lock(mutex_);
    if (const auto found = verdicts_.find(hash); found != verdicts_.end() && found->second.version == file.version) {
      return found->second.is_right;
    }
    if (const auto found = hashing_.find(hash); found != hashing_.end() && found->second->version == file.version) {
      const std::shared_ptr<Hashing> other = found->second;
      hashed_.wait(lock, [&] { return other->is_done; });
      return other->is_right;
    }
    hashing = std::make_shared<Hashing>(Hashing{.version = file.version, .is_done = false, .is_right = std::nullopt});
    hashing_.insert_or_assign(hash, hashing);
  }

  const bool may_remember = is_settled(file.version, kClockTickMax);
  const std::optional<base::Sha1Hash> found = hash_range(file.fd.get(), {0, file.version.size_bytes});
  const auto version = version_of(file.fd.get());
  const bool is_same = version && *version == file.version;

  const std::lock_guard guard(mutex_);
  hashing->is_done = true;
  if (is_same) hashing->is_right = found == hash;
  // That it could not be read may pass; that its bytes are wrong stays.
  if (is_same && found && may_remember) remember(hash, {file.version, *hashing->is_right});
  if (const auto mine = hashing_.find(hash); mine != hashing_.end() && mine->second == hashing) hashing_.erase(mine);
  hashed_.notify_all();
  return hashing->is_right;
}

void ChunkDirectory::remember(const base::Sha1Hash& hash, const Verdict& verdict) {
  if (verdicts_.size() >= kVerdictsMax && !verdicts_.contains(hash)) verdicts_.erase(verdicts_.begin());
  verdicts_.insert_or_assign(hash, verdict);
}

}  // namespace shoal::storage
