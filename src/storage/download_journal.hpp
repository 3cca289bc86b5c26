// What a single-file download has verified so far, so that the next run goes on where this one ended. A line is added
// after each piece's bytes are written; a last line that was cut short is no line. Nobody believes the journal: it only
// says where to look, and what is there is hashed again, so that a lying one costs time and nothing else.
//
//   shoal journal 1
//   manifest <SHA-1 of all piece hashes> <their number>
//   usual <bytes>                     the size that makes a place: piece i is at i * usual of the part file
//   part <piece> <bytes>              verified, in its place
//   side <piece> <bytes> <offset>     verified, in the side file
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "metainfo/manifest.hpp"
#include "storage/folder.hpp"
#include "storage/placement.hpp"

namespace shoal::storage {

struct JournalEntry {
  base::PieceIndex piece;
  Placement::Extent extent;
};

struct JournalClaims {
  std::uint64_t usual_bytes = 0;
  std::vector<JournalEntry> entries;
};

// Nothing when it is of another manifest or no journal at all. Lines that make no sense are left out.
[[nodiscard]] JournalClaims parse_journal(std::string_view text, const metainfo::Manifest& manifest);

class DownloadJournal {
 public:
  // Replaces the file `name` by one with these claims, in one step.
  static StoreResult<DownloadJournal> create(const FolderPtr& folder, const std::string& name,
                                             const metainfo::Manifest& manifest, const JournalClaims& claims);

  StoreResult<void> add_usual(std::uint64_t usual_bytes);
  StoreResult<void> add(const JournalEntry& entry);

 private:
  DownloadJournal(std::string path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
  StoreResult<void> add_line(const std::string& line);

  std::string path_;
  UniqueFd fd_;
};

}  // namespace shoal::storage
