// For the tests of WebSeed: what it is asked for, what it fetches, and a server that answers as a test says.
#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "swarm/web_seed.hpp"

namespace shoal::swarm::test {

using namespace std::chrono_literals;

inline constexpr std::uint32_t kPieceBytes = 4 * wire::kBlockBytes;
inline constexpr base::Instant kStart{};

inline std::string content_of(std::size_t count, std::uint32_t seed = 1) {
  std::string bytes(count, '\0');
  for (char& byte : bytes) {
    seed = seed * 1664525 + 1013904223;
    byte = static_cast<char>(seed >> 24);
  }
  return bytes;
}

inline metainfo::Manifest manifest_of(std::vector<metainfo::FileEntry> files, bool is_folder) {
  metainfo::Manifest manifest{.name = "the share", .pieces = {}, .layout = metainfo::Layout{}};
  metainfo::Layout& layout = *manifest.layout;
  layout.piece_bytes = kPieceBytes;
  layout.is_folder = is_folder;
  for (metainfo::FileEntry& file : files) {
    file.offset_bytes = layout.total_bytes;
    layout.total_bytes += file.size_bytes;
  }
  layout.files = std::move(files);
  manifest.pieces.resize((layout.total_bytes + kPieceBytes - 1) / kPieceBytes);
  return manifest;
}

inline metainfo::Manifest one_file(std::uint64_t size_bytes) {
  return manifest_of({{.path = {"the share"}, .size_bytes = size_bytes}}, false);
}

inline Run run_of(std::uint32_t piece, std::uint32_t offset, std::uint32_t size) {
  return {.piece = base::PieceIndex(piece), .offset_bytes = offset, .size_bytes = size};
}

using Range = seam::ByteRange;

inline std::optional<Range> range_of(const seam::Fetch& fetch) {
  for (const auto& [name, value] : fetch.headers) {
    Range range;
    if (name == "Range" && std::sscanf(value.c_str(), "bytes=%lu-%lu", &range.first, &range.last) == 2) return range;
  }
  return std::nullopt;
}

// A web seed, and what it asks for; files by URL to answer from.
class Seeding {
 public:
  explicit Seeding(metainfo::Manifest described, std::string url = "http://host/file")
      : manifest(std::move(described)),
        seed({.url = std::move(url), .first_fetch = 7, .fetch_stride = 3}, manifest, buffers) {}
  ~Seeding() {
    const std::vector<WebSeedEvent> dropped = seed.take_events();  // buffers go home first
  }

  // The fetches that began since; those under way are in `open`.
  std::vector<seam::Fetch> take_fetches() {
    std::vector<seam::Fetch> begun;
    for (seam::Action& action : seed.take_actions()) {
      if (auto* fetch = std::get_if<seam::Fetch>(&action)) {
        begun.push_back(*fetch);
        open.emplace(fetch->fetch, std::move(*fetch));
      } else if (const auto* cancel = std::get_if<seam::CancelFetch>(&action)) {
        EXPECT_EQ(open.erase(cancel->fetch), 1u);
      } else if (const auto* tell = std::get_if<seam::Tell>(&action)) {
        ++notes;
        noted = std::get<seam::NoteTrace>(tell->trace).text;
      }
      EXPECT_LE(open.size(), kFetchesAtOnce);
    }
    return begun;
  }

  // As a server that holds `files` and knows ranges.
  void answer_all() {
    while (true) {
      take_fetches();
      if (open.empty()) return;
      const seam::Fetch fetch = open.begin()->second;
      const std::string& file = files.at(fetch.url);
      const auto range = range_of(fetch);
      answer(fetch.fetch, range ? 206 : 200, range ? file.substr(range->first, range->last - range->first + 1) : file);
    }
  }
  // A 206 says that it is what was asked for.
  void answer(seam::FetchId fetch, int status, const std::string& body) {
    answer(fetch, status, body, status == 206 ? range_of(open.at(fetch)) : std::nullopt);
  }
  void answer(seam::FetchId fetch, int status, const std::string& body, std::optional<Range> range) {
    EXPECT_EQ(open.erase(fetch), 1u);
    const base::ByteView view = base::view_of(body);
    EXPECT_TRUE(seed.on_event(seam::Fetched{fetch, status, {view.begin(), view.end()}, range}, now));
    take_fetches();
  }
  void fail(seam::FetchId fetch, int status = 0) {
    EXPECT_EQ(open.erase(fetch), 1u);
    EXPECT_TRUE(seed.on_event(seam::FetchFailed{fetch, "no answer", status}, now));
    take_fetches();
  }
  // Asks for one run, of which the answer with `status` breaks off.
  void fail_next(int status) {
    seed.request(run_of(0, 0, wire::kBlockBytes), now);
    take_fetches();
    fail(open.begin()->first, status);
  }
  // Asks for one run and answers with `status` and `body`.
  void answer_next(int status, const std::string& body) {
    seed.request(run_of(0, 0, wire::kBlockBytes), now);
    take_fetches();
    answer(open.begin()->first, status, body);
  }

  struct Seen {
    std::map<Run, std::string> arrived;
    std::vector<Run> released;
    std::vector<Run> lacking;
    std::optional<std::string> ended;
  };
  Seen take_seen() {
    Seen seen;
    for (WebSeedEvent& event : seed.take_events()) {
      if (auto* run = std::get_if<RunArrived>(&event)) {
        seen.arrived[run->part] = base::text_of(base::ByteView(run->buffer.bytes()).first(run->part.size_bytes));
      } else if (const auto* released = std::get_if<RunReleased>(&event)) {
        seen.released.push_back(released->run);
      } else if (const auto* lacking = std::get_if<RunLacking>(&event)) {
        seen.lacking.push_back(lacking->run);
      } else {
        seen.ended = std::get<WebSeedEnded>(event).reason;
      }
    }
    return seen;
  }

  metainfo::Manifest manifest;
  base::BufferPool buffers{kRunBytesMax, 8};
  WebSeed seed;
  base::Instant now = kStart;
  std::map<std::string, std::string> files;
  std::map<seam::FetchId, seam::Fetch> open;
  int notes = 0;
  std::string noted;  // the last one
};

}  // namespace shoal::swarm::test
