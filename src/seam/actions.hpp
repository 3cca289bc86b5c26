// The closed list of what a machine can want from the world. A runner carries them out in order; it answers with the
// events named beside them. Actions on a connection that is already gone are ignored.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/buffer_pool.hpp"
#include "base/bytes.hpp"
#include "base/endpoint.hpp"
#include "base/sha1.hpp"
#include "base/strong.hpp"
#include "base/time.hpp"
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
// header, then the bytes of `piece` from `offset_bytes` on (`count_bytes` of them, or all), then `padding_bytes` zeros,
// as one message that is always completed: when the file turns out shorter than it was, zeros take its place (the
// receiver's hash check refuses them). -> OutputDrained
struct SendPiece {
  ConnId conn;
  base::Bytes header;
  ReadablePiecePtr piece;
  std::uint32_t padding_bytes = 0;
  std::uint64_t offset_bytes = 0;
  std::optional<std::uint64_t> count_bytes = {};
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
// Bound to `local` and `port` (0: an ephemeral one); broadcast allowed. With a group: on its port, which others may
// share, hearing what is sent to the group on the interface of `local`; what is sent to it goes out there with a TTL
// of 1.
struct OpenDatagram {
  SocketId socket;
  base::Ipv4Address local;
  std::optional<base::Endpoint> group = {};
  std::uint16_t port = 0;
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
  base::Bytes torrent = {};  // a .torrent file to keep beside what is not finished; empty: none
};
// `places` are the indices, all with the same hash, that this piece fills; `size_bytes` is exact.
struct BeginPiece {
  WriteId write;
  std::vector<base::PieceIndex> places;
  std::uint64_t size_bytes = 0;
};
// `count` bytes of the piece, at the front of the buffer -> BlockStored. Stores that do not know how their pieces are
// laid out want them in order.
struct StoreBlock {
  WriteId write;
  base::Buffer buffer;
  std::size_t count = 0;
  std::uint64_t offset_bytes = 0;  // in the piece
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

// --- The rest of the internet ---
// One HTTP or HTTPS request; redirects are followed (kRedirectsMax), certificates are checked -> Fetched or FetchFailed
struct Fetch {
  static constexpr int kRedirectsMax = 5;
  FetchId fetch;
  std::string url;
  std::string method = "GET";
  base::Bytes body = {};
  std::vector<std::pair<std::string, std::string>> headers = {};
  std::size_t reply_bytes_max = 1u << 20;  // of the answer's body; a longer one fails
  base::Duration timeout = std::chrono::seconds(15);
};
struct CancelFetch {  // no event follows
  FetchId fetch;
};
struct Resolve {  // the IPv4 addresses of a host name -> NameResolved
  ResolveId resolve;
  std::string host;
};

// --- Everything else ---
// What the next run begins with: replaces the file of this name in the runner's state folder, in one step. No answer.
struct SaveState {
  std::string name;
  base::Bytes bytes;
};
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
    unfit,          // what there is cannot be had the way it was asked for
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
                            LookUpPiece, Fetch, CancelFetch, Resolve, SaveState, Tell, Finish>;
using Actions = std::vector<Action>;

}  // namespace shoal::seam
