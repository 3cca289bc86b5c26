#include "storage/placement.hpp"

#include <algorithm>
#include <ranges>

#include "base/check.hpp"

namespace shoal::storage {

using base::PieceIndex;

Placement::Placement(const metainfo::Manifest& manifest) : manifest_(manifest), places_(manifest.pieces.size()) {
  contents_.reserve(manifest.pieces.size());
  for (std::uint32_t i = 0; i < manifest.piece_count(); ++i) {
    contents_[manifest.pieces[i]].places.emplace_back(i);
  }
}

Placement::Content& Placement::content_of(PieceIndex piece) {
  return contents_.at(manifest_.hash_of(piece));
}
const Placement::Content& Placement::content_of(PieceIndex piece) const {
  return contents_.at(manifest_.hash_of(piece));
}

bool Placement::fits(PieceIndex place, std::uint64_t size_bytes) const {
  if (places_.size() == 1) return true;
  if (is_last(place)) return is_usual_proven_;
  if (size_bytes == 0 || size_bytes != usual_bytes_) return false;
  return is_usual_proven_ || offset_in_part(place) <= kUnprovenOffsetMax;
}

bool Placement::is_free(PieceIndex place) const {
  const Place& state = places_.at(place.value);
  return !state.holds && !state.is_taken;
}

std::uint64_t Placement::reserve_side(std::uint64_t size_bytes) {
  if (side_regions_ == 0) side_end_ = 0;
  ++side_regions_;
  const std::uint64_t offset = side_end_;
  side_end_ += size_bytes;
  return offset;
}

void Placement::release_side() {
  SHOAL_CHECK(side_regions_ > 0);
  --side_regions_;
}

void Placement::release_side_if_all_in_place(Content& content) {
  if (!content.side_offset) return;
  // Copies are made in ascending order: backwards, the first look mostly tells.
  if (!std::ranges::all_of(content.places | std::views::reverse, [this](PieceIndex place) { return holds(place); })) {
    return;
  }
  content.side_offset.reset();
  release_side();
}

void Placement::restore_usual(std::uint64_t usual_bytes) {
  usual_bytes_ = usual_bytes;
  is_usual_proven_ = usual_bytes > 0;
}

void Placement::restore(PieceIndex piece, const Extent& extent) {
  Content& content = content_of(piece);
  content.is_verified = true;
  content.size_bytes = extent.size_bytes;
  if (extent.spot.where == Where::part) {
    places_.at(piece.value).holds = true;
  } else if (!content.side_offset) {
    content.side_offset = extent.spot.offset;
    ++side_regions_;
    side_end_ = std::max(side_end_, extent.spot.offset + extent.size_bytes);
  }
}

Placement::Region Placement::reserve(PieceIndex piece, std::uint64_t size_bytes) {
  const Content& content = content_of(piece);
  const bool tells_usual = size_bytes > 0 && !is_last(content.places.front());
  if (tells_usual && !is_usual_proven_ && direct_writes_ == 0) usual_bytes_ = size_bytes;
  if (!content.is_verified) {
    for (const PieceIndex place : content.places) {
      if (!is_free(place) || !fits(place, size_bytes)) continue;
      places_[place.value].is_taken = true;
      ++direct_writes_;
      return {place, size_bytes, {Where::part, offset_in_part(place)}, part_number_};
    }
  }
  return {piece, size_bytes, {Where::side, reserve_side(size_bytes)}, part_number_};
}

void Placement::release(const Region& region) {
  if (region.spot.where == Where::side) {
    release_side();
  } else if (region.part_number == part_number_) {
    places_.at(region.piece.value).is_taken = false;
    --direct_writes_;
  }
}

// A verified piece that is not the last proves the usual size, if none is proven yet.
void Placement::adopt_proven(std::uint64_t size_bytes, Accepted& accepted) {
  if (is_usual_proven_ || size_bytes == 0) return;
  if (size_bytes != usual_bytes_) {
    accepted.exchanges_part = true;
    ++part_number_;
    direct_writes_ = 0;
    for (Place& place : places_) place.is_taken = false;
    usual_bytes_ = size_bytes;
  }
  is_usual_proven_ = true;
  accepted.is_usual_proven = true;
}

Placement::Accepted Placement::accept(const Region& region) {
  Accepted accepted;
  Content& content = content_of(region.piece);
  const bool is_first = !content.is_verified;
  content.is_verified = true;
  content.size_bytes = region.size_bytes;
  if (is_first && !is_last(content.places.front())) adopt_proven(region.size_bytes, accepted);

  accepted.home = region.spot;
  if (region.spot.where == Where::part && region.part_number == part_number_) {
    Place& place = places_.at(region.piece.value);
    place.is_taken = false;
    --direct_writes_;
    place.holds = true;
  } else if (!is_first) {
    // The bytes are there already; this copy of them is of no use.
    release(region);
    accepted.is_news = false;
    accepted.home = find(region.piece)->spot;
  } else if (region.spot.where == Where::side) {
    content.side_offset = region.spot.offset;
  } else {
    content.side_offset = reserve_side(region.size_bytes);
    accepted.needs_rescue = true;
    accepted.home = {Where::side, *content.side_offset};
  }

  if (is_first) {
    for (const PieceIndex place : content.places) {
      if (!is_free(place) || !fits(place, region.size_bytes)) continue;
      places_[place.value].is_taken = true;
      ++direct_writes_;
      accepted.places_to_copy.push_back(place);
    }
  }
  release_side_if_all_in_place(content);
  return accepted;
}

void Placement::fill(PieceIndex place) {
  Place& state = places_.at(place.value);
  SHOAL_CHECK(state.is_taken && !state.holds);
  state.is_taken = false;
  --direct_writes_;
  state.holds = true;
  release_side_if_all_in_place(content_of(place));
}

std::optional<Placement::Extent> Placement::find(PieceIndex piece) const {
  const Content& content = content_of(piece);
  if (!content.is_verified) return std::nullopt;
  if (holds(piece)) return Extent{{Where::part, offset_in_part(piece)}, content.size_bytes};
  for (const PieceIndex place : content.places) {
    if (holds(place)) return Extent{{Where::part, offset_in_part(place)}, content.size_bytes};
  }
  SHOAL_CHECK(content.side_offset.has_value());
  return Extent{{Where::side, *content.side_offset}, content.size_bytes};
}

bool Placement::is_regular() const {
  for (std::uint32_t i = 0; i + 1 < places_.size(); ++i) {
    if (content_of(PieceIndex(i)).size_bytes != usual_bytes_) return false;
  }
  return true;
}

}  // namespace shoal::storage
