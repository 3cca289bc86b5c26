// The closed list of what can happen to a machine. A runner (net's, or the simulator's) makes these; nobody else.
// After Close, ConnectFailed or ConnectionLost no further event names that connection.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/buffer_pool.hpp"
#include "base/bytes.hpp"
#include "base/endpoint.hpp"
#include "seam/ids.hpp"
#include "seam/storage_types.hpp"

namespace shoal::seam {

enum class NetError : std::uint8_t { refused, unreachable, reset, timed_out, other };

// --- TCP ---
struct Connected {  // answers Dial
  ConnId conn;
  base::Endpoint local;
  base::Endpoint remote;
};
struct ConnectFailed {  // answers Dial
  ConnId conn;
  NetError error = NetError::other;
};
struct Accepted {
  ConnId conn;
  base::Endpoint local;
  base::Endpoint remote;
};
// `count` > 0 bytes were placed into the spans that next_read(conn) gave, in their order.
struct BytesArrived {
  ConnId conn;
  std::size_t count = 0;
};
// The other side will send nothing more. The connection can still be written to.
struct InputEnded {
  ConnId conn;
};
// Everything sent so far on this connection was handed to the kernel.
struct OutputDrained {
  ConnId conn;
};
// Broken, both ways. What was not sent is dropped.
struct ConnectionLost {
  ConnId conn;
  NetError error = NetError::other;
};

// --- UDP ---
struct DatagramArrived {
  SocketId socket;
  base::Endpoint from;
  base::Ipv4Address local;  // our address that the sender can be answered from
  base::Bytes bytes;        // may be empty; cut at 64 KiB
};

// --- Storing (a client) ---
struct StoreOpened {  // answers OpenStore
  std::vector<HeldPiece> held;
};
// Answers StoreBlock once the bytes are hashed and written; brings the buffer home.
struct BlockStored {
  WriteId write;
  base::Buffer buffer;
};
struct PieceVerified {  // answers CompletePiece: the hash is right and the piece is in its place
  WriteId write;
};
struct PieceMismatched {  // answers CompletePiece: nothing of it remains
  WriteId write;
};
struct StoreFinished {  // answers FinishStore
  std::string path;     // where the whole file now is
};
// Answers any store action that could not be done. The store takes nothing more until it is opened again.
struct StoreFailed {
  StoreError error;
};

// --- Looking up (a peer) ---
struct PieceLookedUp {  // answers LookUpPiece; null: not there, not readable, or its bytes do not match its name
  LookupId lookup;
  ReadablePiecePtr piece;
};

// --- The rest of the internet ---
struct ByteRange {  // both included, first <= last
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  friend bool operator==(const ByteRange&, const ByteRange&) = default;
};
struct Fetched {  // answers Fetch; any status but a redirect
  FetchId fetch;
  int status = 0;
  base::Bytes body;
  std::optional<ByteRange> range = {};  // which part of the whole the answer says that it is (Content-Range)
};
struct FetchFailed {  // answers Fetch
  FetchId fetch;
  std::string reason;  // in words for a user
  int status = 0;      // of the answer, when only its body was not as wanted
};
struct NameResolved {  // answers Resolve; empty when there is no such name
  ResolveId resolve;
  std::vector<base::Ipv4Address> addresses;
};

// --- Everything else ---
struct DeadlineReached {};  // now >= next_deadline()
struct StopRequested {};    // Ctrl-C, SIGTERM, the terminal is closed: end soon, leave nothing half-written

using Event =
    std::variant<Connected, ConnectFailed, Accepted, BytesArrived, InputEnded, OutputDrained, ConnectionLost,
                 DatagramArrived, StoreOpened, BlockStored, PieceVerified, PieceMismatched, StoreFinished, StoreFailed,
                 PieceLookedUp, Fetched, FetchFailed, NameResolved, DeadlineReached, StopRequested>;

}  // namespace shoal::seam
