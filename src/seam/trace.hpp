// What a machine tells about itself: one structured stream that progress lines, --json, sequence diagrams, logs and the
// simulator's checkers all read. A runner hands each entry, with its time, to whoever listens; it never comes back.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/endpoint.hpp"
#include "base/sha1.hpp"
#include "base/strong.hpp"

namespace shoal::seam {

enum class MessageDirection : std::uint8_t { sent, received };

// A whole protocol message crossed the wire.
struct MessageTrace {
  MessageDirection direction = MessageDirection::sent;
  bool is_datagram = false;
  base::Endpoint remote;
  std::string message;  // the protocol's name for it: "GET_CHUNK"
  std::string detail;  // what distinguishes it: "chunk 12", "CHUNK_NOT_FOUND", "tracker at 10.0.0.1:8000"; may be empty
};

// A tracker answered discovery, or was chosen, or was given up.
struct TrackerTrace {
  enum class What : std::uint8_t { found, chosen, failed } what = What::found;
  base::Endpoint tracker;
  std::string name;
  std::string reason;  // why it was chosen or given up, in words for a user
};

// The file is known now.
struct ManifestTrace {
  std::string name;
  std::uint32_t piece_count = 0;
  std::uint32_t pieces_wanted = 0;  // all, or those of the selected files
  std::uint32_t pieces_held = 0;    // of the wanted ones: were there before
};

enum class SourceStatus : std::uint8_t { connecting, ready, waiting_to_retry, gone };

struct SourceTrace {
  base::Endpoint source;
  SourceStatus status = SourceStatus::connecting;
  std::string reason;  // for waiting_to_retry and gone: what happened, in words for a user
  std::string url;     // of a web seed, whose `source` is no address but stands for it in other traces
};

// A piece changed hands. `bytes` is its size when known.
struct PieceTrace {
  enum class What : std::uint8_t { requested, verified, refused, mismatched, dropped } what = What::requested;
  base::PieceIndex piece;
  base::Endpoint source;
  std::uint64_t bytes = 0;
};

// Payload arrived (not yet verified); for rates.
struct PayloadTrace {
  base::Endpoint source;
  std::uint64_t bytes = 0;
};

// Payload was handed to the kernel for somebody who asked for it.
struct UploadTrace {
  base::Endpoint remote;
  std::uint64_t bytes = 0;
};

// Anything else a user or an operator should read.
struct NoteTrace {
  enum class Level : std::uint8_t { debug, info, warning } level = Level::info;
  std::string text;
};

using Trace = std::variant<MessageTrace, TrackerTrace, ManifestTrace, SourceTrace, PieceTrace, PayloadTrace,
                           UploadTrace, NoteTrace>;

}  // namespace shoal::seam
