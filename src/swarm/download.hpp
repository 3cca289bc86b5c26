// Decides which piece to ask of which source, and knows when the download is done or cannot go on. It knows no
// protocol, no connection and no byte of payload: sources are keys, pieces are indices.
//
// Called by the client roles: they report what their sessions saw with on_*, and after each report carry out what
// take_requests() gives. Pieces with equal hashes are one piece here: the role builds the groups and asks for the first
// index of each (a "piece" below is such a group's first index; the others are never asked for).
//
// The aim is the shortest time to the end (docs/ARCHITECTURE.md, "Choosing"): the bytes only some sources have, divided
// by the joint speed of these, bounds it from below for every set of sources. Sources are asked for what is scarce
// first; a slow source never keeps what a faster one would finish sooner; the tail is asked for again elsewhere when
// that ends sooner.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/rng.hpp"
#include "base/strong.hpp"
#include "base/time.hpp"
#include "swarm/source_id.hpp"

namespace shoal::swarm {

struct DownloadOptions {
  std::uint32_t piece_count = 0;
  // Pieces that never have to be asked for: held already, or a repeat of another piece. Sorted.
  std::vector<base::PieceIndex> not_wanted;
  std::uint32_t queue_depth_max = 64;  // outstanding requests of one source that welcomes several
};

struct Request {
  SourceId source;
  base::PieceIndex piece;
  friend bool operator==(const Request&, const Request&) = default;
};

enum class DownloadState : std::uint8_t {
  running,     // something is asked for, or a source that could have something is not gone for good
  done,        // every wanted piece is verified
  incomplete,  // no source is left that could give the pieces that lack: missing()
};

class Download {
 public:
  Download(DownloadOptions options, base::Rng rng);
  ~Download();
  Download(Download&&) noexcept;

  // A source that is said to have `listed`. It may be wrong both ways: it can refuse, and it is asked for a piece that
  // it was not listed for when all listed sources of that piece have refused, are gone or interrupted, or owe an answer
  // for long. Not ready yet.
  void add_source(SourceId source, std::span<const base::PieceIndex> listed, base::Instant now);
  // It can be asked now. queue_depth 1: one outstanding request; more: up to that many (capped by queue_depth_max).
  void on_source_ready(SourceId source, base::Instant now);
  void on_queue_depth_changed(SourceId source, std::uint32_t queue_depth, base::Instant now);
  // Its connection ended: what was asked of it is open again. It may become ready again later.
  void on_source_interrupted(SourceId source, base::Instant now);
  // It never comes back.
  void on_source_gone(SourceId source, base::Instant now);

  // The head of the answer arrived: how long this piece is (not verified yet).
  void on_piece_sized(SourceId source, base::PieceIndex piece, std::uint64_t size_bytes, base::Instant now);
  // Payload arrived, of the piece this source is answering now.
  void on_payload(SourceId source, std::uint64_t bytes, base::Instant now);
  // The whole answer arrived and the source's request is over; the store is still verifying.
  void on_piece_received(SourceId source, base::PieceIndex piece, base::Instant now);
  // The source said it has not got it, or answered an error: its request is over.
  void on_piece_refused(SourceId source, base::PieceIndex piece, base::Instant now);
  void on_piece_verified(SourceId source, base::PieceIndex piece, base::Instant now);
  // The hash differs. The source is not asked for this piece again; after `mismatches_max` it is not asked at all.
  void on_piece_mismatched(SourceId source, base::PieceIndex piece, base::Instant now);

  // What to ask now, in order. Each must be sent, or reported back with on_source_interrupted.
  [[nodiscard]] std::vector<Request> take_requests(base::Instant now);
  // When to call take_requests again though nothing happened (a source may have become too slow).
  [[nodiscard]] std::optional<base::Instant> next_deadline() const;

  [[nodiscard]] DownloadState state() const;
  // Wanted pieces that are not verified, sorted.
  [[nodiscard]] std::vector<base::PieceIndex> missing() const;
  // True when the piece is verified or its bytes are no longer of use (an answer to it should be drained, not stored).
  [[nodiscard]] bool is_piece_settled(base::PieceIndex piece) const;
  // Measured payload rate of a source; 0 before anything arrived.
  [[nodiscard]] double rate_bytes_per_s(SourceId source, base::Instant now) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace shoal::swarm
