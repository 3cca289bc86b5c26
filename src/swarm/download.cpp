#include "swarm/download.hpp"

#include <algorithm>
#include <unordered_map>

#include "base/check.hpp"
#include "swarm/download_source.hpp"
#include "swarm/piece_table.hpp"
#include "swarm/plan.hpp"

namespace shoal::swarm {

namespace {

constexpr std::uint32_t kMismatchesMax = 3;
// A piece is asked for a second time when that ends within this share of the time the first holder still needs.
constexpr double kDoublingShare = 0.8;
// The plan is looked at again after this share of the remaining time, within these limits.
constexpr double kReplanShare = 0.02;
constexpr base::Duration kReplanMin = std::chrono::milliseconds(1);
constexpr base::Duration kReplanMax = std::chrono::milliseconds(50);
// A source that was never asked may be this much faster than those that were: idle, it is worth a try.
constexpr double kUntriedHope = 4;
// Rates below this are silence; the plan divides by them.
constexpr double kRateMin = 1e-3;
// One hand-over costs up to sources^2 steps. What does not fit into this waits for the next look at the plan.
constexpr std::size_t kReplanStepsMax = 4'000'000;

}  // namespace

class Download::Impl {
 public:
  Impl(DownloadOptions options, base::Rng rng)
      : queue_depth_max_(std::max(1u, options.queue_depth_max)),
        table_(options.piece_count, options.not_wanted, plan_, rng) {}

  void add_source(SourceId id, std::span<const base::PieceIndex> listed);
  void set_ready(SourceId id, bool is_ready, base::Instant now);
  void set_queue_depth(SourceId id, std::uint32_t queue_depth);
  void set_in_doubt(SourceSlot slot, bool is_in_doubt);
  void lose_source(SourceId id, base::Instant now);

  void on_piece_sized(SourceId id, base::PieceIndex piece, std::uint64_t size_bytes, base::Instant now);
  void on_payload(SourceId id, std::uint64_t bytes, base::Instant now);
  void on_piece_received(SourceId id, base::PieceIndex piece, base::Instant now);
  void on_piece_refused(SourceId id, base::PieceIndex piece, base::Instant now);
  void on_piece_verified(base::PieceIndex piece) { table_.verify(piece); }
  void on_piece_mismatched(SourceId id, base::PieceIndex piece);

  std::vector<Request> take_requests(base::Instant now);
  [[nodiscard]] std::optional<base::Instant> next_deadline() const;
  [[nodiscard]] DownloadState state();
  [[nodiscard]] const PieceTable& table() const { return table_; }
  [[nodiscard]] double measured_rate(SourceId id, base::Instant now) const;

 private:
  [[nodiscard]] SourceSlot slot_of(SourceId id) const;
  [[nodiscard]] DownloadSource& source_of(SourceId id) { return sources_[slot_of(id).value]; }
  void stop_asking(SourceSlot slot);
  void replan(base::Instant now);
  void set_rates(base::Instant now);
  void double_late_pieces();
  void double_if_late(SourceSlot holder, base::PieceIndex piece, double end_s);
  [[nodiscard]] double holder_end_s(base::PieceIndex piece) const;
  void ask(SourceSlot slot, base::Instant now, std::vector<Request>& requests);

  std::uint32_t queue_depth_max_;
  Plan plan_;
  PieceTable table_;
  std::vector<DownloadSource> sources_;  // by SourceSlot
  std::unordered_map<SourceId, SourceSlot> slots_;
  bool is_rate_known_ = false;
  bool must_replan_ = true;
  base::Instant replan_at_{};
  base::Instant end_at_{};  // expected
};

void Download::Impl::add_source(SourceId id, std::span<const base::PieceIndex> listed) {
  SHOAL_CHECK(!slots_.contains(id));
  slots_[id] = table_.add_source(listed);
  sources_.emplace_back().id = id;
}

void Download::Impl::set_ready(SourceId id, bool is_ready, base::Instant now) {
  const SourceSlot slot = slot_of(id);
  DownloadSource& source = sources_[slot.value];
  if (!is_ready) {
    while (!source.outstanding.empty()) {
      const base::PieceIndex piece = source.outstanding.front().piece;
      source.on_ended(piece, now);
      table_.end_request(slot, piece);
    }
  }
  set_in_doubt(slot, !is_ready);
  source.is_ready = is_ready && !source.is_gone;
  plan_.set_ready(slot, source.is_ready);
  must_replan_ = true;
}

void Download::Impl::set_in_doubt(SourceSlot slot, bool is_in_doubt) {
  sources_[slot.value].is_in_doubt = is_in_doubt;
  table_.set_in_doubt(slot, is_in_doubt);
}

void Download::Impl::set_queue_depth(SourceId id, std::uint32_t queue_depth) {
  source_of(id).queue_depth = std::clamp(queue_depth, 1u, queue_depth_max_);
}

void Download::Impl::lose_source(SourceId id, base::Instant now) {
  set_ready(id, false, now);
  stop_asking(slot_of(id));
}

void Download::Impl::stop_asking(SourceSlot slot) {
  DownloadSource& source = sources_[slot.value];
  if (source.is_gone) return;
  source.is_gone = true;
  source.is_ready = false;
  plan_.set_ready(slot, false);
  table_.remove_source(slot);
  must_replan_ = true;
}

void Download::Impl::on_piece_sized(SourceId id, base::PieceIndex piece, std::uint64_t size_bytes, base::Instant now) {
  source_of(id).on_answering(piece, now).expected_bytes = static_cast<double>(size_bytes);
  table_.set_size(piece, size_bytes);
}

void Download::Impl::on_payload(SourceId id, std::uint64_t bytes, base::Instant now) {
  DownloadSource& source = source_of(id);
  const bool was_warm = source.meter.is_warm();
  source.on_payload(bytes, now);
  if (source.is_in_doubt) set_in_doubt(slot_of(id), false);
  if (!was_warm && source.meter.is_warm()) must_replan_ = true;
}

void Download::Impl::on_piece_received(SourceId id, base::PieceIndex piece, base::Instant now) {
  const SourceSlot slot = slot_of(id);
  if (table_.state(piece) != PieceTable::State::verified) table_.begin_verifying(piece);
  sources_[slot.value].on_ended(piece, now);
  table_.end_request(slot, piece);
}

void Download::Impl::on_piece_refused(SourceId id, base::PieceIndex piece, base::Instant now) {
  const SourceSlot slot = slot_of(id);
  sources_[slot.value].on_ended(piece, now);
  set_in_doubt(slot, false);
  table_.end_request(slot, piece);
  table_.deny(slot, piece);
}

void Download::Impl::on_piece_mismatched(SourceId id, base::PieceIndex piece) {
  const SourceSlot slot = slot_of(id);
  if (table_.state(piece) == PieceTable::State::verifying) {
    table_.forget_size(piece);
    table_.end_verifying(piece);
  }
  table_.deny(slot, piece);
  if (++sources_[slot.value].mismatches >= kMismatchesMax) stop_asking(slot);
}

std::vector<Request> Download::Impl::take_requests(base::Instant now) {
  table_.reclassify_all();
  if (must_replan_ || now >= replan_at_) replan(now);
  std::vector<Request> requests;
  for (std::uint32_t slot = 0; slot < sources_.size(); ++slot) {
    if (sources_[slot].is_ready) ask(SourceSlot(slot), now, requests);
  }
  return requests;
}

void Download::Impl::ask(SourceSlot slot, base::Instant now, std::vector<Request>& requests) {
  DownloadSource& source = sources_[slot.value];
  const double piece_bytes = table_.mean_size().value_or(1);
  const double remaining_s = base::to_seconds(end_at_ - now);
  while (plan_.assigned(slot) > 0 && source.has_room(piece_bytes, remaining_s)) {
    const std::optional<ClassId> group = plan_.pick(slot);
    SHOAL_CHECK(group);
    const base::PieceIndex piece = table_.lowest_open(*group);
    if (table_.is_doubled(piece) && holder_end_s(piece) * kDoublingShare < plan_.busy_s(slot) + plan_.piece_s(slot)) {
      table_.end_doubling(piece);
      continue;
    }
    table_.request(slot, piece);
    source.on_requested(piece, table_.expected_size(piece).value_or(0), now);
    requests.push_back({source.id, piece});
  }
}

void Download::Impl::replan(base::Instant now) {
  for (std::uint32_t slot = 0; slot < sources_.size(); ++slot) {
    if (!sources_[slot].is_in_doubt && sources_[slot].is_silent(now)) set_in_doubt(SourceSlot(slot), true);
  }
  table_.reclassify_all();
  set_rates(now);
  const std::size_t steps = std::max<std::size_t>(1, sources_.size() * sources_.size());
  plan_.rebalance(static_cast<std::uint32_t>(std::max<std::size_t>(1, kReplanStepsMax / steps)));
  if (is_rate_known_) double_late_pieces();
  must_replan_ = false;
  const double end_s = std::min(plan_.end_s(), 1e6);
  end_at_ = now + base::from_seconds(end_s);
  replan_at_ = now + std::clamp(base::from_seconds(kReplanShare * end_s), kReplanMin, kReplanMax);
}

// A source that was not measured yet counts as the mean of the others, more before it is tried, less the longer it is
// silent.
void Download::Impl::set_rates(base::Instant now) {
  double sum = 0;
  std::uint32_t known = 0;
  for (DownloadSource& source : sources_) {
    if (!source.is_ready || !source.meter.is_warm()) continue;
    source.rate_bytes_per_s = source.meter.rate_bytes_per_s(now);
    sum += source.rate_bytes_per_s;
    ++known;
  }
  is_rate_known_ = known > 0;
  const double piece_bytes = table_.mean_size().value_or(1);
  const double usual_s = is_rate_known_ ? piece_bytes * known / std::max(sum, kRateMin) : 1;
  for (std::uint32_t slot = 0; slot < sources_.size(); ++slot) {
    DownloadSource& source = sources_[slot];
    if (!source.is_ready) continue;
    if (!source.meter.is_warm()) {
      const double silent_s =
          source.outstanding.empty() ? 0 : base::to_seconds(now - source.outstanding.front().requested_at);
      const bool is_untried = source.outstanding.empty() && !source.delay_s;
      const double guess_s = is_rate_known_ && is_untried ? usual_s / kUntriedHope : usual_s;
      source.rate_bytes_per_s = piece_bytes / (guess_s + (is_rate_known_ ? silent_s : 0));
    }
    for (Outstanding& request : source.outstanding) {
      if (request.expected_bytes == 0) request.expected_bytes = table_.expected_size(request.piece).value_or(0);
    }
    const double rate = std::max(source.rate_bytes_per_s, kRateMin);
    plan_.set_pace(SourceSlot(slot), source.left_bytes() / rate, piece_bytes / rate);
  }
}

// Opens again, for others, what its holder will not have given when the others could have.
void Download::Impl::double_late_pieces() {
  double soonest_s = -1;
  for (std::uint32_t slot = 0; slot < sources_.size(); ++slot) {
    const double end_s = plan_.end_with_one_more_s(SourceSlot(slot));
    if (sources_[slot].is_ready && (soonest_s < 0 || end_s < soonest_s)) soonest_s = end_s;
  }
  for (std::uint32_t slot = 0; slot < sources_.size(); ++slot) {
    const DownloadSource& source = sources_[slot];
    double end_s = source.left_bytes() / std::max(source.rate_bytes_per_s, kRateMin);
    for (auto request = source.outstanding.rbegin(); request != source.outstanding.rend(); ++request) {
      if (soonest_s >= kDoublingShare * end_s) break;
      double_if_late(SourceSlot(slot), request->piece, end_s);
      end_s -= request->left_bytes() / std::max(source.rate_bytes_per_s, kRateMin);
    }
  }
}

void Download::Impl::double_if_late(SourceSlot holder, base::PieceIndex piece, double end_s) {
  if (table_.state(piece) != PieceTable::State::requested || table_.is_doubled(piece)) return;
  if (table_.holders(piece).size() > 1) return;
  for (const SourceSlot owner : plan_.owners(table_.class_of(piece))) {
    if (owner == holder || !sources_[owner.value].is_ready) continue;
    if (plan_.end_with_one_more_s(owner) < kDoublingShare * end_s) {
      table_.begin_doubling(piece);
      return;
    }
  }
}

double Download::Impl::holder_end_s(base::PieceIndex piece) const {
  const DownloadSource& holder = sources_[table_.holders(piece).front().value];
  double left = 0;
  for (const Outstanding& request : holder.outstanding) {
    left += request.left_bytes();
    if (request.piece == piece) break;
  }
  return left / std::max(holder.rate_bytes_per_s, kRateMin);
}

// Only when a source stands idle while others owe something can time alone change what to ask.
std::optional<base::Instant> Download::Impl::next_deadline() const {
  bool is_idle = false;
  bool is_owed = false;
  for (const DownloadSource& source : sources_) {
    (source.outstanding.empty() ? is_idle : is_owed) |= !source.is_gone && source.is_ready;
  }
  if (!is_idle || !is_owed) return std::nullopt;
  return replan_at_;
}

DownloadState Download::Impl::state() {
  table_.reclassify_all();
  if (table_.unverified() == 0) return DownloadState::done;
  return table_.hopeless() == table_.unverified() ? DownloadState::incomplete : DownloadState::running;
}

double Download::Impl::measured_rate(SourceId id, base::Instant now) const {
  return sources_[slot_of(id).value].meter.rate_bytes_per_s(now);
}

SourceSlot Download::Impl::slot_of(SourceId id) const {
  const auto known = slots_.find(id);
  SHOAL_CHECK(known != slots_.end());
  return known->second;
}

Download::Download(DownloadOptions options, base::Rng rng) : impl_(std::make_unique<Impl>(std::move(options), rng)) {}
Download::~Download() = default;
Download::Download(Download&&) noexcept = default;

void Download::add_source(SourceId source, std::span<const base::PieceIndex> listed, base::Instant) {
  impl_->add_source(source, listed);
}
void Download::on_source_ready(SourceId source, base::Instant now) {
  impl_->set_ready(source, true, now);
}
void Download::on_queue_depth_changed(SourceId source, std::uint32_t queue_depth, base::Instant) {
  impl_->set_queue_depth(source, queue_depth);
}
void Download::on_source_interrupted(SourceId source, base::Instant now) {
  impl_->set_ready(source, false, now);
}
void Download::on_source_gone(SourceId source, base::Instant now) {
  impl_->lose_source(source, now);
}
void Download::on_piece_sized(SourceId source, base::PieceIndex piece, std::uint64_t size_bytes, base::Instant now) {
  impl_->on_piece_sized(source, piece, size_bytes, now);
}
void Download::on_payload(SourceId source, std::uint64_t bytes, base::Instant now) {
  impl_->on_payload(source, bytes, now);
}
void Download::on_piece_received(SourceId source, base::PieceIndex piece, base::Instant now) {
  impl_->on_piece_received(source, piece, now);
}
void Download::on_piece_refused(SourceId source, base::PieceIndex piece, base::Instant now) {
  impl_->on_piece_refused(source, piece, now);
}
void Download::on_piece_verified(SourceId, base::PieceIndex piece, base::Instant) {
  impl_->on_piece_verified(piece);
}
void Download::on_piece_mismatched(SourceId source, base::PieceIndex piece, base::Instant) {
  impl_->on_piece_mismatched(source, piece);
}
std::vector<Request> Download::take_requests(base::Instant now) {
  return impl_->take_requests(now);
}
std::optional<base::Instant> Download::next_deadline() const {
  return impl_->next_deadline();
}
DownloadState Download::state() const {
  return impl_->state();
}
std::vector<base::PieceIndex> Download::missing() const {
  std::vector<base::PieceIndex> result;
  for (std::uint32_t index = 0; index < impl_->table().piece_count(); ++index) {
    const PieceTable::State state = impl_->table().state(base::PieceIndex(index));
    if (state != PieceTable::State::unwanted && state != PieceTable::State::verified) result.emplace_back(index);
  }
  return result;
}
bool Download::is_piece_settled(base::PieceIndex piece) const {
  return impl_->table().state(piece) == PieceTable::State::verified;
}
double Download::rate_bytes_per_s(SourceId source, base::Instant now) const {
  return impl_->measured_rate(source, now);
}

}  // namespace shoal::swarm
