// A web seed between a picker that asks and cancels as it likes and a server that answers anything, in any order, while
// buffers come and go. What was asked comes once, or is released once; bytes of another range are never taken.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <map>
#include <optional>
#include <vector>

#include "base/check.hpp"
#include "fuzz/input.hpp"
#include "swarm/web_seed.hpp"

namespace shoal::swarm {
namespace {

constexpr std::uint32_t kPieceBytes = 3 * wire::kBlockBytes;

metainfo::Manifest make_manifest(fuzz::Script& script) {
  metainfo::Layout layout{.piece_bytes = kPieceBytes, .is_folder = script.below(2) == 1};
  const std::size_t files = layout.is_folder ? 1 + script.below(6) : 1;
  for (std::size_t i = 0; i < files; ++i) {
    const std::uint64_t size = script.u16() * (1 + script.below(3)) + (i == 0 ? 1 : 0);
    layout.files.push_back({.path = {"f"},
                            .offset_bytes = layout.total_bytes,
                            .size_bytes = size,
                            .is_padding = layout.is_folder && script.below(4) == 0});
    layout.total_bytes += size;
  }
  metainfo::Manifest manifest{.name = "share", .pieces = {}, .layout = layout};
  manifest.pieces.resize((layout.total_bytes + kPieceBytes - 1) / kPieceBytes);
  return manifest;
}

constexpr std::byte kStrayed{0xff};

seam::ByteRange asked_of(const seam::Fetch& fetch) {
  // Files are small enough to come whole.
  seam::ByteRange range{.first = 0, .last = fetch.reply_bytes_max - 1};
  for (const auto& [name, value] : fetch.headers) {
    SHOAL_CHECK(std::sscanf(value.c_str(), "bytes=%lu-%lu", &range.first, &range.last) == 2);
  }
  return range;
}

class World {
 public:
  explicit World(fuzz::Script script) : script_(script) {}
  ~World() { taken_.clear(); }

  void play() {
    while (!script_.is_over()) {
      step();
      settle();
    }
    seed_.stop();
    settle();
    SHOAL_CHECK(missing_.empty() && open_.empty());
    SHOAL_CHECK(!seed_.has_room(now_) && !seed_.next_deadline());
  }

 private:
  void step() {
    switch (script_.below(6)) {
      case 0:
        return ask();
      case 1:
        return answer();
      case 2:
        if (!missing_.empty()) seed_.cancel(std::next(missing_.begin(), pick(missing_.size()))->first, now_);
        return;
      case 3:
        now_ += script_.pause();
        if (seed_.next_deadline() && *seed_.next_deadline() <= now_) seed_.on_deadline(now_);
        return;
      case 4:
        if (auto buffer = buffers_.take()) taken_.push_back(std::move(*buffer));
        return;
      default:
        taken_.clear();
        return;
    }
  }

  std::ptrdiff_t pick(std::size_t count) { return static_cast<std::ptrdiff_t>(script_.below(count)); }

  void ask() {
    const base::PieceIndex piece(static_cast<std::uint32_t>(script_.below(manifest_.pieces.size())));
    const std::uint32_t piece_bytes = manifest_.size_of(piece);
    const std::uint32_t blocks = (piece_bytes + wire::kBlockBytes - 1) / wire::kBlockBytes;
    const auto offset = static_cast<std::uint32_t>(script_.below(blocks)) * wire::kBlockBytes;
    const Run run{piece, offset, std::min(kPieceBytes, piece_bytes - offset)};
    // The picker asks for a run once.
    if (missing_.contains(run) || !seed_.has_room(now_)) return;
    missing_[run] = run.size_bytes;
    seed_.request(run, now_);
  }

  void answer() {
    if (open_.empty()) return;
    const auto at = std::next(open_.begin(), pick(open_.size()));
    const auto [id, fetch] = *at;
    open_.erase(at);
    static constexpr std::array kStatuses{206, 200, 404, 503, 206, 200};
    const std::size_t kind = script_.below(kStatuses.size() + 1);
    if (kind == kStatuses.size()) {
      SHOAL_CHECK(seed_.on_event(seam::FetchFailed{id, "failed"}, now_));
      return;
    }
    // A runner gives no more than was allowed; the right length is most likely that.
    const std::size_t longest = fetch.reply_bytes_max;
    seam::Fetched fetched{.fetch = id, .status = kStatuses.at(kind)};
    if (fetched.status == 206) {
      answer_part(fetch, fetched);
    } else {
      fetched.body.resize(script_.below(3) == 0 ? script_.u16() % (longest + 1) : longest);
    }
    SHOAL_CHECK(seed_.on_event(std::move(fetched), now_));
  }

  void answer_part(const seam::Fetch& fetch, seam::Fetched& fetched) {
    const seam::ByteRange asked = asked_of(fetch);
    const std::size_t count = asked.last - asked.first + 1;
    fetched.range = asked;
    const std::size_t kind = script_.below(6);
    if (kind == 0) fetched.range.reset();
    if (kind == 1) fetched.range = {asked.first + 1, asked.last + 1};
    if (kind == 2) fetched.range->first = script_.u16() % (asked.last + 1);
    const std::byte content = fetched.range == asked ? std::byte{0} : kStrayed;
    fetched.body = base::Bytes(script_.below(4) == 0 ? script_.u16() % (count + 1) : count, content);
  }

  void settle() {
    for (seam::Action& action : seed_.take_actions()) {
      if (const auto* fetch = std::get_if<seam::Fetch>(&action)) {
        SHOAL_CHECK(open_.emplace(fetch->fetch, *fetch).second);
      } else if (const auto* cancel = std::get_if<seam::CancelFetch>(&action)) {
        SHOAL_CHECK(open_.erase(cancel->fetch) == 1);
      }
    }
    SHOAL_CHECK(open_.size() <= kFetchesAtOnce);
    for (WebSeedEvent& event : seed_.take_events()) {
      if (auto* arrived = std::get_if<RunArrived>(&event)) {
        SHOAL_CHECK(arrived->part.size_bytes <= arrived->buffer.bytes().size());
        const auto bytes = arrived->buffer.bytes().first(arrived->part.size_bytes);
        SHOAL_CHECK(std::ranges::find(bytes, kStrayed) == bytes.end());
        settle(arrived->part);
      } else if (const auto* released = std::get_if<RunReleased>(&event)) {
        settle(released->run);
      } else if (std::holds_alternative<WebSeedEnded>(event)) {
        SHOAL_CHECK(!has_ended_);
        has_ended_ = true;
      }
    }
  }

  // This part of a run came, or will not.
  void settle(const Run& part) {
    for (auto& [run, missing] : missing_) {
      const bool is_in = run.piece == part.piece && run.offset_bytes <= part.offset_bytes &&
                         part.offset_bytes + part.size_bytes <= run.offset_bytes + run.size_bytes;
      // Runs that overlap end alike: the one this belongs to lacks just what is behind its beginning.
      if (!is_in || run.offset_bytes + run.size_bytes - missing != part.offset_bytes) continue;
      missing -= part.size_bytes;
      if (missing == 0) missing_.erase(run);
      return;
    }
    SHOAL_CHECK(false);
  }

  fuzz::Script script_;
  metainfo::Manifest manifest_ = make_manifest(script_);
  base::BufferPool buffers_{2 * wire::kBlockBytes, 3};
  std::vector<base::Buffer> taken_;
  WebSeed seed_{{.url = "http://host/"}, manifest_, buffers_};
  base::Instant now_{};
  std::map<Run, std::uint32_t> missing_;  // what was asked, and how much of it neither came nor was released
  std::map<seam::FetchId, seam::Fetch> open_;
  bool has_ended_ = false;
};

}  // namespace
}  // namespace shoal::swarm

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  shoal::swarm::World(shoal::fuzz::Script(data, size)).play();
  return 0;
}
