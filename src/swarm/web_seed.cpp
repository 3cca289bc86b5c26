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

bool is_lacking(int status) {
  constexpr int kNotFound = 404;
  constexpr int kGone = 410;
  constexpr int kRangeNotSatisfiable = 416;
  return status == kNotFound || status == kGone || status == kRangeNotSatisfiable;
}

// Bytes of one file that are bytes of a run.
struct Part {
  std::size_t file = 0;
  std::uint64_t file_offset = 0;
  std::uint32_t run_offset = 0;
  std::uint32_t size_bytes = 0;
};

seam::ByteRange range_of(const Part& part) {
  return {.first = part.file_offset, .last = part.file_offset + part.size_bytes - 1};
}

std::string describe(const seam::ByteRange& range) {
  return fmt::format("bytes {}-{}", range.first, range.last);
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
    return !has_ended_ && now >= paused_until_ && fetches_.size() + waiting_parts() + arrived_.size() < kFetchesAtOnce;
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

  void cancel(const Run& run) {
    const auto arrived = std::ranges::find(arrived_, run, &Arrived::run);
    const auto asked = std::ranges::find(asked_, run, &Asked::run);
    if (asked != asked_.end()) {
      release(asked);
    } else if (arrived != arrived_.end()) {
      events_.emplace_back(RunReleased{rest_of(*arrived)});
      arrived_.erase(arrived);
    }
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
      if (failed->status == kStatusOk && is_big(node.mapped().part) && !has_given_range_) {
        on_no_ranges();
      } else {
        on_failure(node.mapped(), failed->reason, now);
      }
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
  struct Fetch {
    Run run;
    Part part;
    base::Instant begun_at;
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

  [[nodiscard]] const metainfo::FileEntry& file_of(const Part& part) const {
    return manifest_.layout->files.at(part.file);
  }

  // All of it is never taken for a part.
  [[nodiscard]] bool is_big(const Part& part) const { return file_of(part).size_bytes > kWholeFileBytesMax; }

  void start_fetches(base::Instant now) {
    if (now >= paused_until_) is_paused_ = false;
    for (Asked& asked : asked_) {
      while (!is_paused_ && !asked.waiting.empty() && fetches_.size() < kFetchesAtOnce) {
        start_fetch(asked, asked.waiting.back(), now);
        asked.waiting.pop_back();
      }
    }
  }

  void start_fetch(const Asked& asked, const Part& part, base::Instant now) {
    const seam::FetchId id{next_fetch_};
    next_fetch_ += options_.fetch_stride;
    const metainfo::FileEntry& file = file_of(part);
    seam::Fetch fetch{.fetch = id, .url = url_of(options_.url, manifest_, file)};
    if (part.size_bytes < file.size_bytes) {
      const seam::ByteRange range = range_of(part);
      fetch.headers.emplace_back("Range", fmt::format("bytes={}-{}", range.first, range.last));
    }
    const std::uint64_t longest = file.size_bytes <= kWholeFileBytesMax ? file.size_bytes : part.size_bytes;
    fetch.reply_bytes_max = static_cast<std::size_t>(longest);
    fetch.timeout = kWebSeedTimeout;
    fetches_.emplace(id, Fetch{.run = asked.run, .part = part, .begun_at = now});
    rate_.on_busy(now);
    latest_ = now;
    actions_.emplace_back(std::move(fetch));
  }

  bool on_fetched(const seam::Fetched& fetched, base::Instant now) {
    const auto node = fetches_.extract(fetched.fetch);
    if (node.empty()) return false;
    const Fetch& fetch = node.mapped();
    const std::uint64_t file_bytes = file_of(fetch.part).size_bytes;
    // RFC 9110, 15.3.7: a part has to say which one it is, and may be another than was asked for.
    const bool is_part = fetched.status == kStatusPartialContent && fetched.range == range_of(fetch.part) &&
                         fetched.body.size() == fetch.part.size_bytes;
    const bool is_whole = fetched.status == kStatusOk && fetched.body.size() == file_bytes;
    if (is_lacking(fetched.status)) {
      on_lacking(fetch, describe_answer(fetched, fetch.part), now);
      return true;
    }
    if (!is_part && !is_whole) {
      on_failure(fetch, describe_answer(fetched, fetch.part), now);
      return true;
    }
    failures_ = 0;
    has_given_ = true;
    has_given_range_ = has_given_range_ || is_part;
    rate_.on_payload(fetch.part.size_bytes, now);
    if (fetches_.empty()) rate_.on_idle(now);
    const AskedAt asked = std::ranges::find(asked_, fetch.run, &Asked::run);
    SHOAL_CHECK(asked != asked_.end() && asked->missing > 0);
    const std::byte* from = fetched.body.data() + (is_whole ? fetch.part.file_offset : 0);
    std::memcpy(asked->bytes.data() + fetch.part.run_offset, from, fetch.part.size_bytes);
    if (--asked->missing == 0) on_whole(asked, now);
    start_fetches(now);
    return true;
  }

  [[nodiscard]] std::string describe_answer(const seam::Fetched& fetched, const Part& part) const {
    const std::string url = url_of(options_.url, manifest_, file_of(part));
    if (fetched.status != kStatusOk && fetched.status != kStatusPartialContent) {
      return fmt::format("{} was answered with status {}", url, fetched.status);
    }
    std::string answer = fmt::format("status {} and {} bytes", fetched.status, fetched.body.size());
    if (fetched.status == kStatusPartialContent) {
      answer += fetched.range ? ", which are " + describe(*fetched.range) : ", and does not say which they are";
    }
    return fmt::format("{} of {} were answered with {}", describe(range_of(part)), url, answer);
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
    std::erase_if(fetches_, [this, &run](const auto& entry) {
      if (entry.second.run != run) return false;
      actions_.emplace_back(seam::CancelFetch{entry.first});
      return true;
    });
    asked_.erase(asked);
    events_.emplace_back(RunReleased{run});
    if (fetches_.empty()) rate_.on_idle(latest_);
  }

  void on_lacking(const Fetch& fetch, const std::string& reason, base::Instant now) {
    const AskedAt asked = std::ranges::find(asked_, fetch.run, &Asked::run);
    SHOAL_CHECK(asked != asked_.end());
    release(asked);
    events_.emplace_back(RunLacking{fetch.run});
    if (!has_given_ && ++lacking_ >= kWebSeedLackingMax) {
      stop();
      events_.emplace_back(WebSeedEnded{reason});
      return;
    }
    start_fetches(now);
  }

  // It sends all of a big file for any part, which is refused before it comes and would be so for ever. One that once
  // gave a part may only have been busy (a cache that asked its own server anew).
  void on_no_ranges() {
    stop();
    events_.emplace_back(WebSeedEnded{fmt::format(
        "it does not answer ranges, which files above {} MiB need; use a server that does", kWholeFileBytesMax >> 20)});
  }

  void on_failure(const Fetch& fetch, const std::string& reason, base::Instant now) {
    const AskedAt asked = std::ranges::find(asked_, fetch.run, &Asked::run);
    SHOAL_CHECK(asked != asked_.end());
    release(asked);
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
  bool has_given_range_ = false;
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
void WebSeed::cancel(const Run& run) {
  impl_->cancel(run);
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
