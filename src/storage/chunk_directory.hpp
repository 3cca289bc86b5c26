// The pieces a peer owns: FOLDER/<40 lower-case hex>.bin, looked up by name at each request, so that a file removed a
// moment ago is not there and one added is served. The folder itself may come and go too.
//
// Always holds: a piece is given only when the whole file was hashed since it last changed (device, inode, size,
// modification and change time). Links, devices and folders are never opened as pieces. Memory does not grow with piece
// size or with the number of requests.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "storage/files.hpp"
#include "storage/piece_library.hpp"

namespace shoal::storage {

class ChunkDirectory final : public PieceLibrary {
 public:
  // How many files' verdicts are remembered; beyond it some are forgotten and hashed again when asked for.
  static constexpr std::size_t kVerdictsMax = 131072;

  explicit ChunkDirectory(std::filesystem::path folder);

  std::optional<seam::ReadablePiecePtr> look_up_verified(const base::Sha1Hash& hash) override;
  seam::ReadablePiecePtr look_up(const base::Sha1Hash& hash) override;

 private:
  struct Verdict {
    FileVersion version;
    bool is_right = false;
  };
  struct Hashing {  // one thread hashes this version, others wait for what it finds
    FileVersion version;
    bool is_done = false;
    std::optional<bool> is_right;  // nothing when the file changed under the hashing
  };

  [[nodiscard]] std::optional<PlainFile> open_piece(const base::Sha1Hash& hash) const;
  [[nodiscard]] std::optional<bool> known_verdict(const base::Sha1Hash& hash, const FileVersion& version);
  [[nodiscard]] std::optional<bool> judge(const base::Sha1Hash& hash, const PlainFile& file);
  void remember(const base::Sha1Hash& hash, const Verdict& verdict);

  const std::filesystem::path folder_;
  std::mutex mutex_;
  std::condition_variable hashed_;
  std::unordered_map<base::Sha1Hash, Verdict> verdicts_;
  std::unordered_map<base::Sha1Hash, std::shared_ptr<Hashing>> hashing_;
};

}  // namespace shoal::storage
