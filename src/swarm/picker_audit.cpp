// What always holds in a Picker, and its public face.
#include <algorithm>

#include "base/check.hpp"
#include "swarm/picker_impl.hpp"

namespace shoal::swarm {

void Picker::Impl::audit() {
#ifdef SHOAL_AUDIT
  // It looks at every piece of every source: big swarms are looked at now and then.
  constexpr std::size_t kStepsPerCall = 4096;
  const std::size_t steps = std::size_t{piece_count_} * (sources_.size() + 1);
  if (++calls_since_audit_ < steps / kStepsPerCall) return;
  calls_since_audit_ = 0;
  audit_pieces();
  audit_begun();
  for (const auto& [id, source] : sources_) audit_source(id, source);
#endif
}

void Picker::Impl::audit_pieces() const {
  fresh_.audit();
  std::uint64_t left_bytes = 0;
  std::uint32_t left_pieces = 0;
  std::uint32_t apart = 0;
  std::vector<std::uint32_t> levels(piece_count_, 0);
  for (const auto& [id, source] : sources_) {
    apart += source.is_counted_apart ? 1 : 0;
    for (base::PieceIndex piece; piece.value < piece_count_; ++piece.value) {
      if (!source.is_counted_apart && source.has.test(piece)) ++levels[piece.value];
    }
  }
  SHOAL_CHECK(apart == sources_with_all_);
  for (base::PieceIndex piece; piece.value < piece_count_; ++piece.value) {
    SHOAL_CHECK(fresh_.level(piece) == levels[piece.value]);
    // A missing piece is fresh or begun, any other one neither.
    const int ways = (fresh_.contains(piece) ? 1 : 0) + (begun_.contains(piece) ? 1 : 0);
    SHOAL_CHECK(ways == (is_missing(piece) ? 1 : 0));
    if (!is_missing(piece)) continue;
    left_bytes += size_of(piece);
    ++left_pieces;
  }
  SHOAL_CHECK(left_bytes == left_bytes_ && left_pieces == left_pieces_);
}

void Picker::Impl::audit_begun() const {
  std::size_t listed = 0;
  std::uint32_t owned = 0;
  for (const auto& [piece, begun] : begun_) {
    begun.audit();
    SHOAL_CHECK(begun.piece() == piece && !begun.is_untouched());
    SHOAL_CHECK(begun.is_listed() == (begun.open_count() > 0));
    SHOAL_CHECK(!begun.owner() || sources_.contains(*begun.owner()));
    owned += begun.owner() ? 1 : 0;
    if (!begun.is_listed()) continue;
    ++listed;
    SHOAL_CHECK(std::find(open_.begin(), open_.end(), &begun) != open_.end());
  }
  SHOAL_CHECK(listed == open_.size() && owned == owned_pieces_);
}

void Picker::Impl::audit_source(SourceId id, const PickerSource& source) const {
  std::uint32_t interesting = 0;
  for (base::PieceIndex piece; piece.value < piece_count_; ++piece.value) {
    if (!source.has.test(piece)) continue;
    SHOAL_CHECK(source.denied.size() == 0 || !source.denied.test(piece));
    interesting += is_missing(piece) ? 1 : 0;
    SHOAL_CHECK(!fresh_.contains(piece) || fresh_.level(piece) >= source.floor);
  }
  SHOAL_CHECK(interesting == source.interesting);
  std::uint64_t asked_blocks = 0;
  for (const PickerSource::Asked& asked : source.asked) {
    const BegunPiece& begun = begun_.at(asked.piece);
    std::uint32_t held = 0;
    for (std::uint32_t block = 0; block < begun.block_count(); ++block) held += begun.is_held(block, id) ? 1 : 0;
    SHOAL_CHECK(held == asked.blocks && held > 0);
    asked_blocks += held;
  }
  SHOAL_CHECK(asked_blocks == source.asked_blocks);
  // And nothing is held that is not counted.
  std::uint64_t held_blocks = 0;
  for (const auto& [piece, begun] : begun_) {
    for (std::uint32_t block = 0; block < begun.block_count(); ++block) held_blocks += begun.is_held(block, id) ? 1 : 0;
  }
  SHOAL_CHECK(held_blocks == source.asked_blocks);
}

// --- Picker: each call, audited ---

namespace {

// Looks at what always holds when a public call is over.
template <typename Impl>
class Audited {
 public:
  explicit Audited(Impl& impl) : impl_(impl) {}
  Audited(const Audited&) = delete;
  Audited& operator=(const Audited&) = delete;
  ~Audited() { impl_.audit(); }
  Impl* operator->() const { return &impl_; }

 private:
  Impl& impl_;
};

}  // namespace

Picker::Picker(PickerOptions options, base::Rng rng)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(rng))) {}
Picker::~Picker() = default;
Picker::Picker(Picker&&) noexcept = default;

void Picker::add_source(SourceId source, SourceKind kind, OriginId origin) {
  Audited(*impl_)->add_source(source, kind, origin);
}
void Picker::remove_source(SourceId source) {
  Audited(*impl_)->remove_source(source);
}
void Picker::on_has(SourceId source, base::PieceIndex piece) {
  Audited(*impl_)->on_has(source, piece);
}
void Picker::on_has_set(SourceId source, const base::Bitfield& pieces) {
  Audited(*impl_)->on_has_set(source, pieces);
}
void Picker::on_denied(SourceId source, base::PieceIndex piece) {
  Audited(*impl_)->on_denied(source, piece);
}
void Picker::on_rate(SourceId source, double rate_bytes_per_s) {
  impl_->on_rate(source, rate_bytes_per_s);
}

std::optional<Run> Picker::pick(SourceId source, base::Instant now) {
  return Audited(*impl_)->pick(source, nullptr, now);
}
std::optional<Run> Picker::pick_among(SourceId source, const std::vector<base::PieceIndex>& pieces, base::Instant now) {
  return Audited(*impl_)->pick(source, &pieces, now);
}
std::optional<Run> Picker::pick_preferring(SourceId source, base::PieceIndex piece, base::Instant now) {
  return Audited(*impl_)->pick_preferring(source, piece, now);
}
std::optional<Run> Picker::on_arrived(SourceId source, const Run& part) {
  return Audited(*impl_)->on_arrived(source, part);
}
void Picker::on_released(SourceId source, const Run& run, base::Instant now) {
  Audited(*impl_)->on_released(source, run, now);
}
std::vector<Picker::Cancelled> Picker::take_cancelled() {
  return impl_->take_cancelled();
}

std::vector<base::PieceIndex> Picker::take_thrown_away() {
  return impl_->take_thrown_away();
}

bool Picker::is_whole(base::PieceIndex piece) const {
  return impl_->is_whole(piece);
}
void Picker::on_verified(base::PieceIndex piece) {
  Audited(*impl_)->on_verified(piece);
}
std::vector<SourceId> Picker::on_mismatched(base::PieceIndex piece) {
  return Audited(*impl_)->on_mismatched(piece);
}
void Picker::on_lost(base::PieceIndex piece) {
  Audited(*impl_)->on_lost(piece);
}

bool Picker::is_interesting(SourceId source) const {
  return impl_->is_interesting(source);
}
bool Picker::has_let_us_down(SourceId source) const {
  return impl_->has_let_us_down(source);
}
bool Picker::is_done() const {
  return impl_->is_done();
}
bool Picker::is_end_game() const {
  return impl_->is_end_game();
}
const base::Bitfield& Picker::verified() const {
  return impl_->verified();
}
std::uint32_t Picker::sources_of(base::PieceIndex piece) const {
  return impl_->sources_of(piece);
}
std::vector<base::PieceIndex> Picker::without_source() const {
  return impl_->without_source();
}
std::uint64_t Picker::left_bytes() const {
  return impl_->left_bytes();
}
std::optional<base::Instant> Picker::next_deadline() const {
  return impl_->next_deadline();
}
void Picker::on_deadline(base::Instant now) {
  impl_->on_deadline(now);
}

}  // namespace shoal::swarm
