// The course's scripts: cut a file into chunks for the peers that will share it, put a client's chunks together again,
// and compare the result with the original. Called by `shoal course split|merge|check`.
//
// Everything streams, so that memory does not grow with the file or the chunks. What is written appears under its final
// name in one step, or not at all; other files in the folders stay.
#pragma once

#include <cstdint>
#include <expected>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/sha1.hpp"
#include "base/strong.hpp"

namespace shoal::storage {

struct CourseFileError {
  enum class Kind : std::uint8_t {
    unreadable,       // an input is not there, not a plain file, or cannot be read
    too_many_chunks,  // for the size asked; nothing was written
    missing_chunks,   // `chunks` says which
    wrong_chunks,     // their bytes do not match their names; `chunks` says which
    disk_full,
    unwritable,
    in_use,  // another command works in the same place
    failed,  // any other I/O error
  } kind = Kind::failed;
  std::string message;  // one line: what was tried, on which path, what happened
  std::vector<base::PieceIndex> chunks;
  std::uint64_t file_bytes = 0;  // of the file, for too_many_chunks
};
template <typename Value>
using CourseFileResult = std::expected<Value, CourseFileError>;

struct SplitOptions {
  std::filesystem::path file;
  std::filesystem::path directory;  // DIR: chunks go to DIR/chunks/<peer>/<40 hex>.bin
  std::uint64_t chunk_bytes = 512 * 1024;
  std::uint32_t chunks_max = 65535;
  std::vector<std::string> peers;  // folder names
  // Which of `peers` own chunk `index` of `count`. Called once for each chunk, in order, before anything is written.
  std::function<std::vector<std::size_t>(std::uint32_t index, std::uint32_t count)> owners_of_chunk;
};

struct SplitFile {
  std::uint64_t file_bytes = 0;
  std::vector<base::Sha1Hash> chunks;            // in file order
  std::vector<std::vector<std::size_t>> owners;  // of each chunk, indices into peers
};

[[nodiscard]] CourseFileResult<SplitFile> split_file(const SplitOptions& options);

// FOLDER/<40 hex>.bin for each hash, in this order, each one verified, into `output` (replaced). Gives its size.
[[nodiscard]] CourseFileResult<std::uint64_t> merge_chunks(const std::filesystem::path& folder,
                                                           std::span<const base::Sha1Hash> chunks,
                                                           const std::filesystem::path& output);

struct Comparison {
  std::uint64_t first_bytes = 0;  // sizes
  std::uint64_t second_bytes = 0;
  // Where they begin to differ: the end of the shorter when one is the beginning of the other. Nothing: equal.
  std::optional<std::uint64_t> first_difference;

  [[nodiscard]] bool is_equal() const { return !first_difference.has_value(); }
};

// Links are followed here: both files are the user's own.
[[nodiscard]] CourseFileResult<Comparison> compare_files(const std::filesystem::path& first,
                                                         const std::filesystem::path& second);

}  // namespace shoal::storage
