#include "swarm/web_seed.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

#include "base/check.hpp"
#include "swarm/rate_meter.hpp"
#include "wire/http.hpp"

namespace shoal::swarm {

namespace {

constexpr int kStatusOk = 200;
constexpr int kStatusPartialContent = 206;
constexpr base::Duration kBufferRetry = std::chrono::milliseconds(50);

constexpr int kRangeNotSatisfiable = 416;

bool is_lacking(int status) {
  constexpr int kNotFound = 404;
  constexpr int kGone = 410;
  return status == kNotFound || status == kGone || status == kRangeNotSatisfiable;
}

// Bytes of one file that are bytes of a run.
struct Part {
  std::size_t file = 0;
  std::uint64_t file_offset = 0;
  std::uint32_t run_offset = 0;
  std::uint32_t size_bytes = 0;
};

std::string describe(const seam::ByteRange& range) {
  return fmt::format("bytes {}-{}", range.first, range.last);
}

bool is_within(const Run& inner, const Run& outer) {
  return inner.piece == outer.piece && inner.offset_bytes >= outer.offset_bytes &&
         inner.offset_bytes + inner.size_bytes <= outer.offset_bytes + outer.size_bytes;
}

// What has to be fetched for `run`; what lies in padding files is left out.
std::vector<Part> parts_of(const Run& run, const metainfo::Manifest& manifest) {
  const std::uint64_t begin = manifest.offset_of(run.piece) + run.offset_bytes;
  const std::uint64_t end = begin + run.size_bytes;
  const std::vector<metainfo::FileEntry>& files = manifest.layout->files;
  // The first file that ends behind `begin`.
  auto file = std::ranges::partition_point(
      files, [begin](const metainfo::FileEntry& entry) { return entry.offset_bytes + entry.size_bytes <= begin; });
  std::vector<Part> parts;
  for (; file != files.end() && file->offset_bytes < end; ++file) {
    const std::uint64_t from = std::max(begin, file->offset_bytes);
    const std::uint64_t to = std::min(end, file->offset_bytes + file->size_bytes);
    if (file->is_padding || from == to) continue;
    parts.push_back({.file = static_cast<std::size_t>(file - files.begin()),
                     .file_offset = from - file->offset_bytes,
                     .run_offset = static_cast<std::uint32_t>(from - begin),
                     .size_bytes = static_cast<std::uint32_t>(to - from)});
  }
  return parts;
}

std::string url_of(const std::string& base, const metainfo::Manifest& manifest, const metainfo::FileEntry& file) {
  if (!manifest.layout->is_folder) return base.ends_with('/') ? base + wire::percent_encode(manifest.name) : base;
  std::string url = base + (base.ends_with('/') ? "" : "/") + wire::percent_encode(manifest.name);
  for (const std::string& component : file.path) url += "/" + wire::percent_encode(component);
  return url;
}

}  // namespace

class WebSeed::Impl {
 public:
  Impl(WebSeedOptions options, const metainfo::Manifest& manifest, base::BufferPool& buffers)
      : options_(std::move(options)), manifest_(manifest), buffers_(buffers), next_fetch_(options_.first_fetch) {
    SHOAL_CHECK(manifest_.layout.has_value());
    SHOAL_CHECK(buffers_.buffer_bytes() >= wire::kBlockBytes);
  }

  [[nodiscard]] bool has_room(base::Instant now) const {
    if (has_ended_ || now < paused_until_) return false;
    const std::size_t runs = asked_.size() + arrived_.size();
    if (fetches_.size() + waiting_parts() + arrived_.size() < kFetchesAtOnce) return true;
    return runs < kRunsAheadMax && static_cast<double>(bytes_ahead()) < bytes_in(kAheadTime, kAheadBytesMax, now);
  }

  void request(const Run& run, base::Instant now) {
    SHOAL_CHECK(run.size_bytes > 0);
    SHOAL_CHECK(std::uint64_t{run.offset_bytes} + run.size_bytes <= manifest_.size_of(run.piece));
    if (has_ended_ || is_known(run)) {
      events_.emplace_back(RunReleased{run});
      return;
    }
    Asked asked{.run = run, .waiting = parts_of(run, manifest_), .bytes = base::Bytes(run.size_bytes), .missing = 0};
    asked.missing = asked.waiting.size();
    std::ranges::reverse(asked.waiting);  // taken from the back
    asked_.push_back(std::move(asked));
    if (asked_.back().missing == 0) return on_whole(std::prev(asked_.end()), now);  // nothing but padding
    start_fetches(now);
  }

  void cancel(const Run& run, base::Instant now) {
    const auto is_cancelled = [&run](const auto& known) { return is_within(known.run, run); };
    for (auto asked = std::ranges::find_if(asked_, is_cancelled); asked != asked_.end();
         asked = std::ranges::find_if(asked_, is_cancelled)) {
      release(asked);
    }
    std::erase_if(arrived_, [&](const Arrived& arrived) {
      if (!is_cancelled(arrived)) return false;
      events_.emplace_back(RunReleased{rest_of(arrived)});
      return true;
    });
    start_fetches(now);
  }

  void stop() {
    has_ended_ = true;
    while (!asked_.empty()) release(asked_.begin());
    for (const Arrived& arrived : std::exchange(arrived_, {})) events_.emplace_back(RunReleased{rest_of(arrived)});
    buffer_retry_at_.reset();
    is_paused_ = false;
  }

  bool on_event(const seam::Event& event, base::Instant now) {
    latest_ = now;
    if (const auto* fetched = std::get_if<seam::Fetched>(&event)) return on_fetched(*fetched, now);
    if (const auto* failed = std::get_if<seam::FetchFailed>(&event)) {
      const auto node = fetches_.extract(failed->fetch);
      if (node.empty()) return false;
      if (failed->status == kStatusOk && is_big(node.mapped())) return on_all_of_a_big_file(node.mapped(), now);
      on_failure(node.mapped(), failed->reason, now);
      return true;
    }
    return false;
  }

  void on_deadline(base::Instant now) {
    if (buffer_retry_at_ && *buffer_retry_at_ <= now) give_arrived(now);
    start_fetches(now);
  }

  [[nodiscard]] std::optional<base::Instant> next_deadline() const {
    std::optional<base::Instant> deadline = buffer_retry_at_;
    // Who wants to ask again, and parts of runs that began before the pause.
    if (is_paused_ && (!deadline || paused_until_ < *deadline)) deadline = paused_until_;
    return deadline;
  }

  std::vector<WebSeedEvent> take_events() { return std::exchange(events_, {}); }
  seam::Actions take_actions() { return std::exchange(actions_, {}); }
  [[nodiscard]] double rate_bytes_per_s(base::Instant now) const { return rate_.rate_bytes_per_s(now); }

 private:
  struct Asked {
    Run run;
    std::vector<Part> waiting;  // not fetched yet
    base::Bytes bytes;          // zeros where nothing came yet, which is what padding files hold
    std::size_t missing = 0;    // parts
  };
  using AskedAt = std::vector<Asked>::iterator;
  // A whole run that waits for buffers.
  struct Arrived {
    Run run;
    base::Bytes bytes;
    std::uint32_t given_bytes = 0;
  };
  // One range of a file, which may be parts of several runs.
  struct Fetch {
    struct Share {
      Run run;
      Part part;
      bool is_needed = true;
    };
    std::vector<Share> shares;  // in the order of the file, without gaps
    base::Instant begun_at;

    [[nodiscard]] std::size_t file() const { return shares.front().part.file; }
    [[nodiscard]] std::uint64_t first() const { return shares.front().part.file_offset; }
    [[nodiscard]] std::uint64_t end() const { return shares.back().part.file_offset + shares.back().part.size_bytes; }
    [[nodiscard]] std::uint64_t size_bytes() const { return end() - first(); }
    [[nodiscard]] seam::ByteRange range() const { return {.first = first(), .last = end() - 1}; }
  };

  [[nodiscard]] std::size_t waiting_parts() const {
    std::size_t count = 0;
    for (const Asked& asked : asked_) count += asked.waiting.size();
    return count;
  }

  [[nodiscard]] static Run rest_of(const Arrived& arrived) {
    return {.piece = arrived.run.piece,
            .offset_bytes = arrived.run.offset_bytes + arrived.given_bytes,
            .size_bytes = arrived.run.size_bytes - arrived.given_bytes};
  }

  [[nodiscard]] bool is_known(const Run& run) const {
    return std::ranges::find(asked_, run, &Asked::run) != asked_.end() ||
           std::ranges::find(arrived_, run, &Arrived::run) != arrived_.end();
  }

  [[nodiscard]] std::uint64_t bytes_ahead() const {
    std::uint64_t bytes = 0;
    for (const Asked& asked : asked_) bytes += asked.run.size_bytes;
    for (const Arrived& arrived : arrived_) bytes += rest_of(arrived).size_bytes;
    return bytes;
  }

  // What comes in this time; nothing while that is not known.
  [[nodiscard]] double bytes_in(base::Duration time, std::uint64_t bytes_max, base::Instant now) const {
    return std::min(rate_.rate_bytes_per_s(now) * base::to_seconds(time), static_cast<double>(bytes_max));
  }

  [[nodiscard]] const metainfo::FileEntry& file_of(const Fetch& fetch) const {
    return manifest_.layout->files.at(fetch.file());
  }

  // All of it is never taken for a part.
  [[nodiscard]] bool is_big(const Fetch& fetch) const { return file_of(fetch).size_bytes > kWholeFileBytesMax; }

  void start_fetches(base::Instant now) {
    if (now >= paused_until_) is_paused_ = false;
    for (Asked& asked : asked_) {
      while (!is_paused_ && !asked.waiting.empty() && fetches_.size() < kFetchesAtOnce) {
        Fetch fetch{.shares = {}, .begun_at = now};
        take_waiting(asked, fetch);
        lengthen(fetch, now);
        start_fetch(std::move(fetch));
      }
    }
  }

  static void take_waiting(Asked& asked, Fetch& fetch) {
    fetch.shares.push_back({.run = asked.run, .part = asked.waiting.back()});
    asked.waiting.pop_back();
  }

  // By what follows it in its file: a server takes its time for each answer, however short that is.
  void lengthen(Fetch& fetch, base::Instant now) {
    if (!merges_) return;
    const double bytes_max = bytes_in(kRunTimeMax, kFetchBytesMax, now);
    const auto follows = [&](const Asked& asked) {
      if (asked.waiting.empty()) return false;
      const Part& next = asked.waiting.back();
      return next.file == fetch.file() && next.file_offset == fetch.end() &&
             static_cast<double>(fetch.size_bytes() + next.size_bytes) <= bytes_max;
    };
    for (auto next = std::ranges::find_if(asked_, follows); next != asked_.end();
         next = std::ranges::find_if(asked_, follows)) {
      take_waiting(*next, fetch);
    }
  }

  void start_fetch(Fetch fetch) {
    const seam::FetchId id{next_fetch_};
    next_fetch_ += options_.fetch_stride;
    const metainfo::FileEntry& file = file_of(fetch);
    seam::Fetch action{.fetch = id, .url = url_of(options_.url, manifest_, file)};
    if (fetch.size_bytes() < file.size_bytes) {
      action.headers.emplace_back("Range", fmt::format("bytes={}-{}", fetch.first(), fetch.end() - 1));
    }
    const std::uint64_t longest = file.size_bytes <= kWholeFileBytesMax ? file.size_bytes : fetch.size_bytes();
    action.reply_bytes_max = static_cast<std::size_t>(longest);
    action.timeout = kWebSeedTimeout;
    latest_ = fetch.begun_at;
    rate_.on_busy(latest_);
    fetches_.emplace(id, std::move(fetch));
    actions_.emplace_back(std::move(action));
  }

  bool on_fetched(const seam::Fetched& fetched, base::Instant now) {
    const auto node = fetches_.extract(fetched.fetch);
    if (node.empty()) return false;
    const Fetch& fetch = node.mapped();
    const std::uint64_t file_bytes = file_of(fetch).size_bytes;
    // RFC 9110, 15.3.7: a part has to say which one it is, and may be another than was asked for.
    const bool is_part = fetched.status == kStatusPartialContent && fetched.range == fetch.range() &&
                         fetched.body.size() == fetch.size_bytes();
    const bool is_whole = fetched.status == kStatusOk && fetched.body.size() == file_bytes;
    if (is_lacking(fetched.status)) {
      on_lacking(fetch, fetched, now);
      return true;
    }
    if (!is_part && !is_whole) {
      // A part of the range that was asked for: a server may have a longest one.
      if (fetched.status == kStatusPartialContent) merges_ = merges_ && fetch.shares.size() == 1;
      on_failure(fetch, describe_answer(fetched, fetch), now);
      return true;
    }
    failures_ = 0;
    has_given_ = true;
    has_given_range_ = has_given_range_ || (is_part && is_big(fetch));
    rate_.on_payload(fetch.size_bytes(), now);
    if (fetches_.empty()) rate_.on_idle(now);
    for (const Fetch::Share& share : fetch.shares) {
      const std::uint64_t from = share.part.file_offset - (is_whole ? 0 : fetch.first());
      if (share.is_needed) give_part(share, base::ByteView(fetched.body).subspan(from, share.part.size_bytes), now);
    }
    start_fetches(now);
    return true;
  }

  void give_part(const Fetch::Share& share, base::ByteView bytes, base::Instant now) {
    const AskedAt asked = std::ranges::find(asked_, share.run, &Asked::run);
    SHOAL_CHECK(asked != asked_.end() && asked->missing > 0);
    std::ranges::copy(bytes, asked->bytes.begin() + share.part.run_offset);
    if (--asked->missing == 0) on_whole(asked, now);
  }

  [[nodiscard]] std::string describe_answer(const seam::Fetched& fetched, const Fetch& fetch) const {
    const std::string url = url_of(options_.url, manifest_, file_of(fetch));
    if (fetched.status != kStatusOk && fetched.status != kStatusPartialContent) {
      return fmt::format("{} was answered with status {}", url, fetched.status);
    }
    std::string answer = fmt::format("status {} and {} bytes", fetched.status, fetched.body.size());
    if (fetched.status == kStatusPartialContent) {
      answer += fetched.range ? ", which are " + describe(*fetched.range) : ", and does not say which they are";
    }
    return fmt::format("{} of {} were answered with {}", describe(fetch.range()), url, answer);
  }

  void on_whole(AskedAt asked, base::Instant now) {
    arrived_.push_back({.run = asked->run, .bytes = std::move(asked->bytes)});
    asked_.erase(asked);
    give_arrived(now);
  }

  // In slices of whole blocks, as long as the pool has buffers for them.
  void give_arrived(base::Instant now) {
    const auto slice_bytes =
        static_cast<std::uint32_t>(buffers_.buffer_bytes() / wire::kBlockBytes * wire::kBlockBytes);
    buffer_retry_at_.reset();
    while (!arrived_.empty()) {
      Arrived& whole = arrived_.front();
      std::optional<base::Buffer> buffer = buffers_.take();
      if (!buffer) {
        buffer_retry_at_ = now + kBufferRetry;
        return;
      }
      Run part = whole.run;
      part.offset_bytes += whole.given_bytes;
      part.size_bytes = std::min(slice_bytes, whole.run.size_bytes - whole.given_bytes);
      std::memcpy(buffer->bytes().data(), whole.bytes.data() + whole.given_bytes, part.size_bytes);
      events_.emplace_back(RunArrived{.part = part, .buffer = std::move(*buffer)});
      whole.given_bytes += part.size_bytes;
      if (whole.given_bytes == whole.run.size_bytes) arrived_.erase(arrived_.begin());
    }
  }

  void release(AskedAt asked) {
    const Run run = asked->run;
    for (auto& [id, fetch] : fetches_) {
      for (Fetch::Share& share : fetch.shares) share.is_needed = share.is_needed && share.run != run;
    }
    std::erase_if(fetches_, [this](const auto& entry) {
      if (std::ranges::any_of(entry.second.shares, &Fetch::Share::is_needed)) return false;
      actions_.emplace_back(seam::CancelFetch{entry.first});
      return true;
    });
    asked_.erase(asked);
    events_.emplace_back(RunReleased{run});
    if (fetches_.empty()) rate_.on_idle(latest_);
  }

  // Of a fetch that is over.
  void release_shares(const Fetch& fetch) {
    for (const Fetch::Share& share : fetch.shares) {
      if (!share.is_needed) continue;
      const AskedAt asked = std::ranges::find(asked_, share.run, &Asked::run);
      if (asked != asked_.end()) release(asked);
    }
  }

  void on_lacking(const Fetch& fetch, const seam::Fetched& fetched, base::Instant now) {
    release_shares(fetch);
    if (fetched.status == kRangeNotSatisfiable && fetch.shares.size() > 1) {
      merges_ = false;  // which of the runs it lacks is not said
    } else {
      for (const Fetch::Share& share : fetch.shares) {
        if (share.is_needed) events_.emplace_back(RunLacking{share.run});
      }
    }
    if (!has_given_ && ++lacking_ >= kWebSeedLackingMax) {
      stop();
      events_.emplace_back(WebSeedEnded{describe_answer(fetched, fetch)});
      return;
    }
    start_fetches(now);
  }

  // It sends all of a big file for any part, which is refused before it comes and would be so for ever. A cache may do
  // so once, while it asks its own server anew.
  bool on_all_of_a_big_file(const Fetch& fetch, base::Instant now) {
    const bool is_the_first = !all_of_it_at_ || fetch.begun_at <= *all_of_it_at_;
    if (!all_of_it_at_) all_of_it_at_ = now;
    if (has_given_range_ || is_the_first) {
      on_failure(fetch, "all of a big file came instead of a range", now);
      return true;
    }
    stop();
    events_.emplace_back(WebSeedEnded{fmt::format(
        "it does not answer ranges, which files above {} MiB need; use a server that does", kWholeFileBytesMax >> 20)});
    return true;
  }

  void on_failure(const Fetch& fetch, const std::string& reason, base::Instant now) {
    release_shares(fetch);
    // Those that were under way when the last one failed only tell the same again.
    if (fetch.begun_at <= failed_at_) return start_fetches(now);
    failed_at_ = now;
    if (++failures_ >= kWebSeedFailuresMax) {
      stop();
      events_.emplace_back(WebSeedEnded{reason});
      return;
    }
    const base::Duration pause = kWebSeedPauseFirst * (1 << (failures_ - 1));
    paused_until_ = now + pause;
    is_paused_ = true;
    actions_.emplace_back(seam::Tell{seam::NoteTrace{
        .level = seam::NoteTrace::Level::info,
        .text = fmt::format("a web seed failed, next try in {:.0f} s: {}", base::to_seconds(pause), reason)}});
  }

  WebSeedOptions options_;
  const metainfo::Manifest& manifest_;
  base::BufferPool& buffers_;
  std::uint64_t next_fetch_;
  std::vector<Asked> asked_;                // in the order asked; none is without a missing part
  std::map<seam::FetchId, Fetch> fetches_;  // under way, each a part of a run in asked_
  std::vector<Arrived> arrived_;
  std::optional<base::Instant> buffer_retry_at_;
  int failures_ = 0;  // in a row
  int lacking_ = 0;
  bool has_given_ = false;
  bool has_given_range_ = false;               // of a big file
  bool merges_ = true;                         // runs that follow each other into one range
  std::optional<base::Instant> all_of_it_at_;  // when it first sent all of a big file instead of a range
  base::Instant failed_at_ = base::Instant::min();
  base::Instant paused_until_ = base::Instant::min();
  bool is_paused_ = false;
  bool has_ended_ = false;
  base::Instant latest_{};  // of what we were told
  RateMeter rate_;
  std::vector<WebSeedEvent> events_;
  seam::Actions actions_;
};

WebSeed::WebSeed(WebSeedOptions options, const metainfo::Manifest& manifest, base::BufferPool& buffers)
    : impl_(std::make_unique<Impl>(std::move(options), manifest, buffers)) {}
WebSeed::~WebSeed() = default;

bool WebSeed::has_room(base::Instant now) const {
  return impl_->has_room(now);
}
void WebSeed::request(const Run& run, base::Instant now) {
  impl_->request(run, now);
}
void WebSeed::cancel(const Run& run, base::Instant now) {
  impl_->cancel(run, now);
}
void WebSeed::stop() {
  impl_->stop();
}
bool WebSeed::on_event(const seam::Event& event, base::Instant now) {
  return impl_->on_event(event, now);
}
void WebSeed::on_deadline(base::Instant now) {
  impl_->on_deadline(now);
}
std::optional<base::Instant> WebSeed::next_deadline() const {
  return impl_->next_deadline();
}
std::vector<WebSeedEvent> WebSeed::take_events() {
  return impl_->take_events();
}
seam::Actions WebSeed::take_actions() {
  return impl_->take_actions();
}
double WebSeed::rate_bytes_per_s(base::Instant now) const {
  return impl_->rate_bytes_per_s(now);
}

}  // namespace shoal::swarm
