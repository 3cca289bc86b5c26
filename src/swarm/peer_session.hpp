// One open connection to a BitTorrent peer, both directions (BEP 3, 6, 10, with 9 and 11 inside): takes messages apart
// while they arrive, hands payload out in slabs of the pool, keeps the protocol's promises. Bytes in, events out; it
// decides nothing about pieces and opens and closes nothing.
//
// Called by roles::SwarmHost, which dials or accepts, owns the session, carries its actions out, and closes the
// connection after PeerEnded.
//
// Always holds: payload is handed out only for what was asked of this peer and not cancelled long ago; what was asked
// is answered by exactly one RunArrived or RunReleased for each part of it; requests of the peer are kept up to
// kPeerRequestsMax, beyond that rejected (or dropped without BEP 6); at most two slabs are held; a peer that sends
// nothing for kSilenceMax, or nothing of what it owes for kStallMax, is ended; floods (haves, metadata, exchange) end
// it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bitfield.hpp"
#include "base/buffer_pool.hpp"
#include "base/endpoint.hpp"
#include "base/time.hpp"
#include "seam/actions.hpp"
#include "seam/machine.hpp"
#include "swarm/picker.hpp"
#include "wire/extensions.hpp"
#include "wire/peer_messages.hpp"

namespace shoal::swarm {

inline constexpr std::size_t kPeerRequestsMax = 512;             // `reqq` that we announce
inline constexpr std::size_t kOurRequestsMax = 2048;             // blocks asked for, whatever the peer allows
inline constexpr std::uint32_t kPeerMessageBytesMax = 1u << 20;  // bitfields and extended messages may be this long
inline constexpr base::Duration kKeepAliveEvery = std::chrono::seconds(110);
inline constexpr base::Duration kSilenceMax = std::chrono::seconds(180);
inline constexpr base::Duration kHandshakeTimeout = std::chrono::seconds(15);
inline constexpr base::Duration kStallMax = std::chrono::seconds(30);  // asked, unchoked, and nothing came

enum class PeerFailure : std::uint8_t {
  closed,          // the other side ended it
  not_bittorrent,  // no handshake of BEP 3
  course_peer,     // what came instead begins like a course message: worth a course connection
  wrong_info_hash,
  ourselves,    // our own peer id
  bad_message,  // length or content does not fit; detail says which
  flood,
  silent,  // handshake, keep-alive or answer overdue
};
[[nodiscard]] std::string_view describe(PeerFailure failure);

// --- What the peer did ---
struct PeerReady {  // both handshakes are through; bitfield etc. was sent by us
  wire::PeerId peer_id;
  bool has_fast = false;
  bool has_extensions = false;
};
struct PeerHas {
  base::PieceIndex piece;
};
struct PeerHasSet {
  base::Bitfield pieces;
};  // bitfield, have all, have none; without a manifest it is kept and told by set_manifest()
struct PeerChoked {};
struct PeerUnchoked {};
struct PeerInterested {};
struct PeerNotInterested {};
struct PeerAllowsFast {
  base::PieceIndex piece;
};
struct PeerExtensions {
  wire::ExtensionHandshake handshake;
};  // may come again
struct PayloadSeen {
  std::uint64_t bytes = 0;
};                   // for rates, before RunArrived
struct RunArrived {  // the first `count` bytes of `buffer` are `part`: a whole run, or as much of it as will come
  Run part;
  base::Buffer buffer;
};
struct RunReleased {
  Run run;
};                        // will not come: choked, rejected, cancelled
struct PeerRequested {};  // next_upload() has something new
struct MetadataAsked {
  std::uint32_t piece = 0;
};
struct MetadataArrived {
  wire::MetadataPiece piece;
};
struct MetadataRefused {
  std::uint32_t piece = 0;
};
struct PeersTold {
  wire::PexMessage message;
};
struct PeerEnded {  // nothing more is sent or taken; everything asked was released before
  PeerFailure failure;
  std::string detail;
};
using PeerEvent = std::variant<PeerReady, PeerHas, PeerHasSet, PeerChoked, PeerUnchoked, PeerInterested,
                               PeerNotInterested, PeerAllowsFast, PeerExtensions, PayloadSeen, RunArrived, RunReleased,
                               PeerRequested, MetadataAsked, MetadataArrived, MetadataRefused, PeersTold, PeerEnded>;

struct PeerSessionOptions {
  seam::ConnId conn;
  base::Endpoint remote;
  bool is_dialled = true;  // we speak first; else the peer's handshake is awaited
  base::Sha1Hash info_hash;
  wire::PeerId our_id{};
  wire::ExtensionHandshake our_extensions;  // sent when the peer speaks BEP 10
};

class PeerSession {
 public:
  // The pool must outlive it.
  PeerSession(PeerSessionOptions options, base::BufferPool& buffers);
  ~PeerSession();

  void start(base::Instant now);
  // Geometry, from the start or once metadata came; `held` is what we tell the peer after the handshakes (or now).
  // Before it, haves are kept as they came and nothing can be asked.
  struct Geometry {
    std::uint32_t piece_count = 0;
    std::uint32_t piece_bytes = 0;
    std::uint64_t total_bytes = 0;
  };
  void set_manifest(const Geometry& geometry, const base::Bitfield& held, base::Instant now);

  [[nodiscard]] seam::ReadTargets next_read();
  void on_bytes(std::size_t count, base::Instant now);
  void on_input_ended(base::Instant now);
  void on_output_drained(base::Instant now);
  void on_deadline(base::Instant now);
  [[nodiscard]] std::optional<base::Instant> next_deadline() const;
  [[nodiscard]] std::vector<PeerEvent> take_events();
  [[nodiscard]] seam::Actions take_actions();

  // --- Downloading ---
  void set_interested(bool is_interested, base::Instant now);  // sent only when it changes
  // How many bytes more should be asked for now: the bandwidth-delay product of this link as measured, at least four
  // blocks, 0 when enough is under way. While choked 0 (but see request()).
  [[nodiscard]] std::uint64_t room_bytes(base::Instant now) const;
  void request(const Run& run, base::Instant now);
  void cancel(const Run& run, base::Instant now);  // with BEP 6 an answer still comes; RunReleased follows in any case
  [[nodiscard]] double rate_bytes_per_s(base::Instant now) const;
  [[nodiscard]] bool is_choked() const;     // by the peer
  [[nodiscard]] bool wants_buffer() const;  // next_read() gave nothing because the pool was empty

  // --- Uploading ---
  void set_choking(bool is_choking, base::Instant now);  // choking rejects (BEP 6) or drops what is queued
  [[nodiscard]] bool is_choking() const;
  [[nodiscard]] bool is_peer_interested() const;
  // The oldest request of the peer that was not answered yet. Only while it is unchoked.
  [[nodiscard]] std::optional<wire::BlockRange> next_upload() const;
  // Answers next_upload(). `piece` is the whole piece.
  void send_block(const seam::ReadablePiecePtr& piece, base::Instant now);
  void reject_upload(base::Instant now);  // cannot be read any more
  // Bytes handed to the runner and not yet with the kernel.
  [[nodiscard]] std::uint64_t unsent_bytes() const;

  // --- The rest ---
  void send_have(base::PieceIndex piece, base::Instant now);  // not when the peer has it, unless it is a seed's first
  void send_metadata_request(std::uint32_t piece, base::Instant now);
  void send_metadata(const wire::MetadataPiece& piece, base::Instant now);
  void send_metadata_reject(std::uint32_t piece, base::Instant now);
  void send_pex(const wire::PexMessage& message, base::Instant now);
  void send_extensions(const wire::ExtensionHandshake& handshake,
                       base::Instant now);  // changed: metadata size, upload only
  [[nodiscard]] const std::optional<wire::ExtensionHandshake>& extensions() const;  // the peer's, merged

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace shoal::swarm
