// The closed list of what a machine can want from the world. A runner carries them out in order; it answers with the
// events named beside them. Actions on a connection that is already gone are ignored.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/buffer_pool.hpp"
#include "base/bytes.hpp"
#include "base/endpoint.hpp"
#include "base/sha1.hpp"
#include "base/strong.hpp"
#include "metainfo/manifest.hpp"
#include "seam/ids.hpp"
#include "seam/storage_types.hpp"
#include "seam/trace.hpp"

namespace shoal::seam {

// --- TCP ---
struct Dial {  // -> Connected or ConnectFailed
  ConnId conn;
  base::Endpoint remote;
};
// Queued behind what was sent before; one Send is one write. -> OutputDrained when the queue is empty
struct Send {
  ConnId conn;
  base::Bytes bytes;
};
// header, then the whole of `piece`, then `padding_bytes` zeros, as one message that is always completed: when the file
// turns out shorter than it was, zeros take its place (the receiver's hash check refuses them). -> OutputDrained
struct SendPiece {
  ConnId conn;
  base::Bytes header;
  ReadablePiecePtr piece;
  std::uint32_t padding_bytes = 0;
};
struct ShutdownSend {  // FIN once everything queued is sent; reading goes on
  ConnId conn;
};
// Close without a reset where that is possible: what arrived unread is discarded first. No event follows.
struct Close {
  ConnId conn;
};
// next_read(conn) gave nothing before and would give something now.
struct ResumeReading {
  ConnId conn;
};

// --- UDP ---
struct OpenDatagram {  // bound to `local` and an ephemeral port; broadcast allowed
  SocketId socket;
  base::Ipv4Address local;
};
struct SendDatagram {  // lost silently when the network refuses it
  SocketId socket;
  base::Endpoint to;
  base::Bytes bytes;
};
struct CloseDatagram {
  SocketId socket;
};

// --- Storing (a client) --- each may be answered by StoreFailed instead
struct OpenStore {  // -> StoreOpened
  metainfo::Manifest manifest;
};
// `places` are the indices, all with the same hash, that this piece fills; `size_bytes` is exact.
struct BeginPiece {
  WriteId write;
  std::vector<base::PieceIndex> places;
  std::uint64_t size_bytes = 0;
};
struct StoreBlock {  // the next `count` bytes of the piece, at the front of the buffer -> BlockStored
  WriteId write;
  base::Buffer buffer;
  std::size_t count = 0;
};
struct CompletePiece {  // all bytes are there -> PieceVerified or PieceMismatched
  WriteId write;
};
struct AbandonPiece {  // forget it; blocks under way still come home with BlockStored
  WriteId write;
};
struct FinishStore {  // all pieces are verified: make the file -> StoreFinished
};

// --- Looking up (a peer) ---
struct LookUpPiece {  // -> PieceLookedUp
  LookupId lookup;
  base::Sha1Hash hash;
};

// --- Everything else ---
struct Tell {  // no answer
  Trace trace;
};
// The machine is done; what it has open is closed by the runner (gracefully, see Close). No event follows.
struct Finish {
  enum class Result : std::uint8_t {
    done,
    nothing_found,  // no tracker, no share
    incomplete,     // pieces without a source
    mismatched,     // incomplete, and some of it because all that arrived did not match its hash
    disk,           // full or unwritable
    timed_out,
    refused,
    interrupted,
  } result = Result::done;
  std::string message;                    // for a user: what was tried, what happened, what to do
  std::vector<base::PieceIndex> missing;  // for incomplete and mismatched
  std::string path;                       // for done: the file
};

using Action = std::variant<Dial, Send, SendPiece, ShutdownSend, Close, ResumeReading, OpenDatagram, SendDatagram,
                            CloseDatagram, OpenStore, BeginPiece, StoreBlock, CompletePiece, AbandonPiece, FinishStore,
                            LookUpPiece, Tell, Finish>;
using Actions = std::vector<Action>;

}  // namespace shoal::seam
