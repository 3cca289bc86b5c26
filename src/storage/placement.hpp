// Decides where the bytes of each piece of a single-file download go. Pure: single_file_store.cpp does what it says.
//
// The size of a piece is not known before somebody sends it, and the first who tells may lie. So: the first piece that
// is not the last one says what the usual size U might be, and the first one verified proves it. With U, piece i
// belongs at i * U of the part file, and is written there directly. What does not fit goes to the side file: another
// size than U, a place that already has a writer or its verified bytes, the last piece while U is not proven. When a
// piece of another size is verified before U is proven, U was a lie: its part file is exchanged for an empty one.
//
// Always holds: a place has at most one writer; a place that holds verified bytes has none; only a proven U has places
// that hold anything.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/sha1.hpp"
#include "base/strong.hpp"
#include "metainfo/manifest.hpp"

namespace shoal::storage {

class Placement {
 public:
  enum class Where : std::uint8_t { part, side };
  struct Spot {
    Where where = Where::part;
    std::uint64_t offset = 0;
    friend bool operator==(const Spot&, const Spot&) = default;
  };
  // One write's own region, from reserve() until release() or accept().
  struct Region {
    base::PieceIndex piece;  // the place it fills, or for the side file any index of its content
    std::uint64_t size_bytes = 0;
    Spot spot;
    std::uint32_t part_number = 0;  // which of the successive part files
  };
  struct Accepted {
    bool exchanges_part = false;   // do first: from now on an empty file is the part file
    bool is_usual_proven = false;  // by this piece
    // Its bytes lie in a part file that was exchanged: copy them to `home`.
    bool needs_rescue = false;
    bool is_news = true;                           // home is where no verified bytes were before
    Spot home;                                     // where the verified bytes are
    std::vector<base::PieceIndex> places_to_copy;  // more places for them: copy, then fill()
  };
  struct Extent {
    Spot spot;
    std::uint64_t size_bytes = 0;
  };

  // Nobody's word alone makes a file reach further than this: a file system's limit would end the download.
  static constexpr std::uint64_t kUnprovenOffsetMax = std::uint64_t{1} << 40;

  Placement() = default;
  explicit Placement(const metainfo::Manifest& manifest);

  // --- what an earlier download left, verified again ---
  void restore_usual(std::uint64_t usual_bytes);
  void restore(base::PieceIndex piece, const Extent& extent);

  // --- a download's writes ---
  [[nodiscard]] Region reserve(base::PieceIndex piece, std::uint64_t size_bytes);
  // Nothing of it is to remain.
  void release(const Region& region);
  // All of it is written and verified.
  [[nodiscard]] Accepted accept(const Region& region);
  // A place that accept() asked to copy to holds its bytes now.
  void fill(base::PieceIndex place);

  // --- what there is ---
  [[nodiscard]] std::uint64_t usual_bytes() const { return usual_bytes_; }  // 0: nobody told
  [[nodiscard]] std::uint32_t part_number() const { return part_number_; }
  [[nodiscard]] std::optional<Extent> find(base::PieceIndex piece) const;  // nothing: not verified
  // With every piece verified: whether each belongs at index * U, so that the part file becomes the file.
  [[nodiscard]] bool is_regular() const;
  [[nodiscard]] bool holds(base::PieceIndex place) const { return places_.at(place.value).holds; }
  [[nodiscard]] std::uint64_t offset_in_part(base::PieceIndex place) const { return place.value * usual_bytes_; }

 private:
  struct Place {
    bool holds = false;     // verified bytes
    bool is_taken = false;  // by the one write or copy that goes there
  };
  struct Content {
    std::vector<base::PieceIndex> places;  // ascending
    bool is_verified = false;
    std::uint64_t size_bytes = 0;
    std::optional<std::uint64_t> side_offset;  // verified bytes there
  };

  [[nodiscard]] Content& content_of(base::PieceIndex piece);
  [[nodiscard]] const Content& content_of(base::PieceIndex piece) const;
  [[nodiscard]] bool is_last(base::PieceIndex piece) const { return piece.value + 1 == places_.size(); }
  [[nodiscard]] bool fits(base::PieceIndex place, std::uint64_t size_bytes) const;
  [[nodiscard]] bool is_free(base::PieceIndex place) const;
  [[nodiscard]] std::uint64_t reserve_side(std::uint64_t size_bytes);
  void release_side();
  void release_side_if_all_in_place(Content& content);
  void adopt_proven(std::uint64_t size_bytes, Accepted& accepted);

  metainfo::Manifest manifest_;
  std::vector<Place> places_;
  std::unordered_map<base::Sha1Hash, Content> contents_;
  std::uint64_t usual_bytes_ = 0;
  bool is_usual_proven_ = false;
  std::uint32_t part_number_ = 0;
  std::size_t direct_writes_ = 0;  // into the present part file
  std::uint64_t side_end_ = 0;
  std::size_t side_regions_ = 0;
};

}  // namespace shoal::storage
