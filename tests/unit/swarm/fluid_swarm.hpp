// A small world in virtual time for testing Download: sources with rates and latencies answer requests in order, like
// fluid through pipes. No protocol, no bytes. Also the least time any choice could need, to compare with.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <queue>
#include <set>
#include <vector>

#include "base/check.hpp"
#include "base/rng.hpp"
#include "swarm/download.hpp"

namespace shoal::swarm::test {

inline constexpr double kNever = std::numeric_limits<double>::infinity();

struct FluidSource {
  double rate_bytes_per_s = 1e6;
  double latency_s = 0.001;  // from a request to the beginning of its answer
  std::uint32_t queue_depth = 1;
  std::vector<bool> has;         // truly
  std::vector<bool> listed;      // said to have; empty: as `has`
  double burst_bytes = 0;        // the first bytes come at once
  double changes_at_s = kNever;  // from then on its rate is `later_rate_bytes_per_s`
  double later_rate_bytes_per_s = 0;
  double dies_at_s = kNever;  // its connection breaks and it never comes back
  bool is_liar = false;       // every answer is wrong

  [[nodiscard]] double rate_at(double time_s) const {
    if (time_s >= dies_at_s) return 0;
    return time_s >= changes_at_s ? later_rate_bytes_per_s : rate_bytes_per_s;
  }
  // What it can send from 0 to `time_s`.
  [[nodiscard]] double capacity_bytes(double time_s) const {
    const double alive = std::min(time_s, dies_at_s);
    const double early = std::min(alive, changes_at_s);
    return burst_bytes + early * rate_bytes_per_s + (alive - early) * later_rate_bytes_per_s;
  }
  // When `bytes` begun at `start_s` are sent.
  [[nodiscard]] double sent_at(double start_s, double bytes) const {
    double end_s = start_s + bytes / rate_bytes_per_s;
    if (end_s > changes_at_s) {
      const double begin_s = std::max(start_s, changes_at_s);
      const double left = bytes - (begin_s - start_s) * rate_bytes_per_s;
      end_s = later_rate_bytes_per_s > 0 ? begin_s + left / later_rate_bytes_per_s : kNever;
    }
    return end_s > dies_at_s ? kNever : end_s;
  }
};

struct FluidResult {
  DownloadState state = DownloadState::running;
  double end_s = 0;
  std::uint64_t answered = 0;                                 // pieces sent by all sources together, duplicates too
  std::size_t outstanding_max = 0;                            // of one source
  std::map<std::uint32_t, std::vector<std::uint32_t>> asked;  // by source, in order
};

class FluidSwarm {
 public:
  FluidSwarm(std::vector<double> sizes, std::vector<FluidSource> sources)
      : sizes_(std::move(sizes)),
        sources_(std::move(sources)),
        servers_(sources_.size()),
        download_({.piece_count = static_cast<std::uint32_t>(sizes_.size()), .not_wanted = {}}, base::Rng(1)) {}

  FluidResult run(double limit_s = 1e6) {
    for (std::uint32_t index = 0; index < sources_.size(); ++index) introduce(index);
    ask();
    while (download_.state() == DownloadState::running && step(limit_s)) {
    }
    result_.state = download_.state();
    result_.end_s = now_s_;
    return result_;
  }

 private:
  enum class What : std::uint8_t { request, sent, payload, refused, died };
  struct Event {
    double at_s = 0;
    std::uint64_t order = 0;
    What what = What::request;
    std::uint32_t source = 0;
    std::uint32_t piece = 0;
    double bytes = 0;
    bool is_first = false;
    bool is_last = false;
    bool operator>(const Event& other) const { return std::pair(at_s, order) > std::pair(other.at_s, other.order); }
  };
  struct Server {
    std::deque<std::uint32_t> waiting;
    bool is_busy = false;
    bool is_dead = false;
    double burst_left = 0;
    std::size_t outstanding = 0;
  };
  static constexpr double kStepSeconds = 0.005;

  [[nodiscard]] base::Instant now() const { return base::Instant(base::Duration(std::llround(now_s_ * 1e9))); }
  void schedule(Event event) {
    if (event.at_s == kNever) return;
    event.order = next_order_++;
    events_.push(event);
  }

  void introduce(std::uint32_t index) {
    const FluidSource& source = sources_[index];
    const std::vector<bool>& listed = source.listed.empty() ? source.has : source.listed;
    std::vector<base::PieceIndex> pieces;
    for (std::uint32_t piece = 0; piece < listed.size(); ++piece) {
      if (listed[piece]) pieces.emplace_back(piece);
    }
    download_.add_source(SourceId(index), pieces, now());
    download_.on_source_ready(SourceId(index), now());
    download_.on_queue_depth_changed(SourceId(index), source.queue_depth, now());
    servers_[index].burst_left = source.burst_bytes;
    schedule({.at_s = source.dies_at_s, .what = What::died, .source = index});
  }

  bool step(double limit_s) {
    const auto deadline = download_.next_deadline();
    const double deadline_s = deadline ? base::to_seconds(deadline->time_since_epoch()) : kNever;
    const double event_s = events_.empty() ? kNever : events_.top().at_s;
    const double next_s = std::max(now_s_, std::min(deadline_s, event_s));
    if (next_s > limit_s) return false;
    SHOAL_CHECK(next_s > now_s_ || ++standing_still_ < 1'000'000);
    if (next_s > now_s_) standing_still_ = 0;
    now_s_ = next_s;
    if (event_s <= deadline_s) {
      const Event event = events_.top();
      events_.pop();
      if (!servers_[event.source].is_dead) handle(event);
    }
    ask();
    return true;
  }

  void handle(const Event& event) {
    Server& server = servers_[event.source];
    switch (event.what) {
      case What::request:
        server.waiting.push_back(event.piece);
        serve(event.source);
        break;
      case What::sent:
        if (event.is_last) {
          server.is_busy = false;
          serve(event.source);
        } else {
          send_step(event);
        }
        break;
      case What::payload:
        deliver(event);
        break;
      case What::refused:
        --server.outstanding;
        download_.on_piece_refused(SourceId(event.source), base::PieceIndex(event.piece), now());
        break;
      case What::died:
        server.is_dead = true;
        download_.on_source_gone(SourceId(event.source), now());
        break;
    }
  }

  void serve(std::uint32_t index) {
    Server& server = servers_[index];
    const double half_way_s = sources_[index].latency_s / 2;
    while (!server.is_busy && !server.waiting.empty()) {
      const std::uint32_t piece = server.waiting.front();
      server.waiting.pop_front();
      if (!sources_[index].has[piece]) {
        schedule({.at_s = now_s_ + half_way_s, .what = What::refused, .source = index, .piece = piece});
        continue;
      }
      server.is_busy = true;
      ++result_.answered;
      send_step({.what = What::sent, .source = index, .piece = piece, .bytes = sizes_[piece], .is_first = true});
    }
  }

  // `rest.bytes` are still to be sent; each step is a few milliseconds' worth.
  void send_step(Event rest) {
    Server& server = servers_[rest.source];
    const FluidSource& source = sources_[rest.source];
    const double step = std::min(rest.bytes, std::max(1.0, std::ceil(source.rate_at(now_s_) * kStepSeconds)));
    const double free = std::min(step, server.burst_left);
    server.burst_left -= free;
    const double done_s = free >= step ? now_s_ : source.sent_at(now_s_, step - free);
    const bool is_last = step >= rest.bytes;
    Event arrival{.at_s = done_s + source.latency_s / 2,
                  .what = What::payload,
                  .source = rest.source,
                  .piece = rest.piece,
                  .bytes = step,
                  .is_first = rest.is_first,
                  .is_last = is_last};
    schedule(arrival);
    rest.at_s = done_s;
    rest.bytes -= step;
    rest.is_first = false;
    rest.is_last = is_last;
    schedule(rest);
  }

  void deliver(const Event& event) {
    const SourceId source(event.source);
    const base::PieceIndex piece(event.piece);
    if (event.is_first) download_.on_piece_sized(source, piece, static_cast<std::uint64_t>(sizes_[event.piece]), now());
    download_.on_payload(source, static_cast<std::uint64_t>(event.bytes), now());
    if (!event.is_last) return;
    --servers_[event.source].outstanding;
    const bool was_settled = download_.is_piece_settled(piece);
    download_.on_piece_received(source, piece, now());
    if (was_settled) return;
    if (sources_[event.source].is_liar) {
      download_.on_piece_mismatched(source, piece, now());
    } else {
      download_.on_piece_verified(source, piece, now());
    }
  }

  void ask() {
    for (const Request& request : download_.take_requests(now())) {
      const std::uint32_t index = request.source.value;
      SHOAL_CHECK(!servers_[index].is_dead && !download_.is_piece_settled(request.piece));
      result_.asked[index].push_back(request.piece.value);
      result_.outstanding_max = std::max(result_.outstanding_max, ++servers_[index].outstanding);
      SHOAL_CHECK(servers_[index].outstanding <= sources_[index].queue_depth);
      schedule({.at_s = now_s_ + sources_[index].latency_s / 2,
                .what = What::request,
                .source = index,
                .piece = request.piece.value});
    }
    const auto deadline = download_.next_deadline();
    SHOAL_CHECK(!deadline || *deadline > now());
  }

  std::vector<double> sizes_;
  std::vector<FluidSource> sources_;
  std::vector<Server> servers_;
  Download download_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::uint64_t next_order_ = 0;
  std::uint32_t standing_still_ = 0;
  double now_s_ = 0;
  FluidResult result_;
};

// The least time in which the sources could give everything, for pieces of `size` bytes: for each set of sources, the
// pieces that only they have, at their joint speed. `is_whole`: no piece is cut, so each source gives whole ones.
inline double least_time_s(const std::vector<FluidSource>& sources, std::size_t pieces, double size,
                           bool is_whole = false) {
  const std::size_t sets = std::size_t{1} << sources.size();
  std::vector<double> only(sets, 0);
  for (std::size_t piece = 0; piece < pieces; ++piece) {
    std::size_t owners = 0;
    for (std::size_t index = 0; index < sources.size(); ++index) {
      if (sources[index].has[piece]) owners |= std::size_t{1} << index;
    }
    only[owners] += 1;
  }
  for (std::size_t bit = 1; bit < sets; bit <<= 1) {
    for (std::size_t set = 0; set < sets; ++set) {
      if (set & bit) only[set] += only[set ^ bit];
    }
  }
  const auto given_by = [&](std::size_t set, double time_s) {
    double sum = 0;
    for (std::size_t index = 0; index < sources.size(); ++index) {
      if (!(set >> index & 1)) continue;
      // Without pipelining every answer costs its latency.
      const FluidSource& source = sources[index];
      const double cost = source.queue_depth > 1 ? 0 : source.latency_s * source.rate_at(0);
      const double count = source.capacity_bytes(time_s) / (size + cost);
      sum += is_whole ? std::floor(count + 1e-9) : count;
    }
    return sum;
  };
  double least = 0;
  for (std::size_t set = 1; set < sets; ++set) {
    if (given_by(set, least) >= only[set] * (1 - 1e-12)) continue;
    double low = least;
    double high = std::max(least, 1e-6);
    while (given_by(set, high) < only[set] && high < 1e9) high *= 2;
    for (int halving = 0; halving < 50; ++halving) {
      const double middle = (low + high) / 2;
      (given_by(set, middle) >= only[set] ? high : low) = middle;
    }
    least = high;
  }
  return least;
}

}  // namespace shoal::swarm::test
