#include "storage/chunk_folder.hpp"

#include <utility>

namespace shoal::storage {
namespace {

constexpr std::string_view kLockName = ".shoal.lock";
constexpr std::string_view kTemporaryPrefix = ".shoal-";
constexpr std::string_view kTemporarySuffix = ".part";

bool is_temporary(std::string_view name) {
  return name.starts_with(kTemporaryPrefix) && name.ends_with(kTemporarySuffix);
}

}  // namespace

StoreResult<std::unique_ptr<ChunkFolder>> ChunkFolder::open(const std::filesystem::path& path) {
  auto folder = Folder::open(path, Folder::Missing::is_created);
  if (!folder) return std::unexpected(std::move(folder.error()));
  auto lock = LockFile::acquire(*folder, std::string(kLockName), path.native());
  if (!lock) return std::unexpected(std::move(lock.error()));
  for (const std::string& name : (*folder)->names()) {
    if (is_temporary(name)) (*folder)->remove(name);
  }
  return std::unique_ptr<ChunkFolder>(new ChunkFolder(*std::move(folder), *std::move(lock)));
}

bool ChunkFolder::is_reserved(std::string_view name) {
  constexpr std::string_view kChunkSuffix = ".bin";
  const bool is_chunk = name.ends_with(kChunkSuffix) &&
                        base::Sha1Hash::parse_hex(name.substr(0, name.size() - kChunkSuffix.size())).has_value();
  return is_temporary(name) || is_chunk || name == kLockName;
}

StoreResult<TemporaryFile> ChunkFolder::make_temporary() {
  std::string name(kTemporaryPrefix);
  name.append(std::to_string(temporaries_++)).append(kTemporarySuffix);
  return TemporaryFile::create(folder_, std::move(name));
}

}  // namespace shoal::storage
