// One open connection to a BitTorrent peer, both directions (BEP 3, 6, 10, with 9 and 11 inside): takes messages apart
// while they arrive, hands payload out in slabs of the pool, keeps the protocol's promises. Bytes in, events out; it
// decides nothing about pieces and opens and closes nothing.
//
// Called by roles::SwarmHost, which dials or accepts, owns the session, carries its actions out, and closes the
// connection after PeerEnded.
//
// Always holds: payload is handed out only for what was asked of this peer and not cancelled; what was asked is
// answered by exactly one RunArrived or RunReleased for each part of it; requests of the peer are kept up to
// kPeerRequestsMax, beyond that rejected (or dropped without BEP 6); at most two slabs are held, none for longer than
// kSlabHeldMax and none by a slow peer; a peer that sends nothing for kSilenceMax, or no whole block of what it owes
// for kBlockMax, is ended, and one that sends nothing of what it owes for kStallMax is asked for one block at a time
// until it gives again; a block is not waited for that the peer has passed over; floods (haves, requests, metadata,
// exchange, answers nobody asked for) end it.
//
// peer_session.cpp is its life from the handshake to the end; peer_session_receive.cpp takes the stream apart,
// peer_session_messages.cpp says what each message means, peer_session_blocks.cpp is both directions of payload.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/bitfield.hpp"
#include "base/buffer_pool.hpp"
#include "base/endpoint.hpp"
#include "base/time.hpp"
#include "seam/actions.hpp"
#include "seam/machine.hpp"
#include "swarm/asked_runs.hpp"
#include "swarm/flood_guard.hpp"
#include "swarm/peer_output.hpp"
#include "swarm/peer_pieces.hpp"
#include "swarm/picker.hpp"
#include "swarm/request_window.hpp"
#include "swarm/run_slabs.hpp"
#include "wire/extensions.hpp"
#include "wire/peer_messages.hpp"

namespace shoal::swarm {

inline constexpr std::size_t kPeerRequestsMax = 2048;            // `reqq` that we announce
inline constexpr std::size_t kOurRequestsMax = 2048;             // blocks asked for, whatever the peer allows
inline constexpr std::size_t kUsualRequestsMax = 250;            // of a peer that does not say (BEP 10)
inline constexpr std::uint32_t kPeerMessageBytesMax = 1u << 20;  // bitfields and extended messages may be this long
inline constexpr base::Duration kKeepAliveEvery = std::chrono::seconds(110);
inline constexpr base::Duration kSilenceMax = std::chrono::seconds(180);
inline constexpr base::Duration kHandshakeTimeout = std::chrono::seconds(15);
inline constexpr base::Duration kStallMax = std::chrono::seconds(30);   // asked, and not a byte of it came
inline constexpr base::Duration kBlockMax = std::chrono::seconds(180);  // asked, and not one block came whole
// A block was lost or dropped when so many came that were asked for after it, and it is as old as this.
inline constexpr std::uint32_t kOvertakenBlocks = 32;
inline constexpr base::Duration kOvertakenAfter = std::chrono::seconds(10);
inline constexpr base::Duration kSlabHeldMax = std::chrono::seconds(1);
inline constexpr std::size_t kPeerScratchBytes = 64 * 1024;
inline constexpr std::size_t kAllowedFastMax = 64;  // pieces of it that are remembered

enum class PeerFailure : std::uint8_t {
  closed,          // the other side ended it
  not_bittorrent,  // no handshake of BEP 3
  course_peer,     // what came instead begins like a course message: worth a course connection
  wrong_info_hash,
  ourselves,    // our own peer id
  bad_message,  // length or content does not fit; detail says which
  flood,        // too much of what brings nothing; detail says of what
  silent,       // handshake, keep-alive or answer overdue
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
struct PeerHasSet {  // bitfield, have all, have none; without a manifest it is kept and told by set_manifest()
  base::Bitfield pieces;
};
struct PeerChoked {};
struct PeerUnchoked {};
struct PeerInterested {};
struct PeerNotInterested {};
struct PeerAllowsFast {
  base::PieceIndex piece;
};
struct PeerExtensions {  // may come again; merged with what came before
  wire::ExtensionHandshake handshake;
};
struct PayloadSeen {  // of what was asked; for rates, before RunArrived
  std::uint64_t bytes = 0;
};
// RunArrived (run_slabs.hpp): whole blocks of a run, usually all of it.
struct RunReleased {  // will not come: choked, rejected, cancelled, ended
  Run run;
};
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
  // The pool must outlive it; its buffers hold kRunBytesMax.
  PeerSession(PeerSessionOptions options, base::BufferPool& buffers);

  void start(base::Instant now);
  // Geometry, from the start or once metadata came; `held` is what we tell the peer after the handshakes (or now).
  // Before it, haves are kept as they came and nothing can be asked. Called once.
  struct Geometry {
    std::uint32_t piece_count = 0;
    std::uint32_t piece_bytes = 0;
    std::uint64_t total_bytes = 0;
  };
  void set_manifest(const Geometry& geometry, const base::Bitfield& held, base::Instant now);

  [[nodiscard]] seam::ReadTargets next_read();
  void on_bytes(std::size_t count, base::Instant now);
  void on_input_ended(base::Instant now);  // also when the connection is lost
  void on_output_drained(base::Instant now);
  void on_deadline(base::Instant now);
  // Goes on when it waited for a buffer and needs to wait no longer; else does nothing.
  void on_buffer_available(base::Instant now);
  [[nodiscard]] std::optional<base::Instant> next_deadline() const;
  [[nodiscard]] std::vector<PeerEvent> take_events() { return std::exchange(events_, {}); }
  [[nodiscard]] seam::Actions take_actions() { return output_.take_actions(); }
  [[nodiscard]] bool has_ended() const { return has_ended_; }

  // --- Downloading ---
  void set_interested(bool is_interested, base::Instant now);  // sent only when it changes
  // How many bytes more should be asked for now: the bandwidth-delay product of this link as measured, at least four
  // blocks, 0 when enough is under way; of a stalled peer one block in all. While choked 0 (but see request()).
  [[nodiscard]] std::uint64_t room_bytes(base::Instant now) const;
  // What the peer's queue has no room for goes out later. While choked only pieces of PeerAllowsFast can be asked for,
  // of a stalled peer only one block: the rest is released at once.
  void request(const Run& run, base::Instant now);
  // RunReleased follows for whatever of this range was asked and has not arrived.
  void cancel(const Run& range, base::Instant now);
  [[nodiscard]] double rate_bytes_per_s(base::Instant now) const { return window_.rate_bytes_per_s(now); }
  [[nodiscard]] bool is_choked() const { return is_choked_; }      // by the peer
  [[nodiscard]] bool is_stalled() const { return is_stalled_; }    // it owes blocks and is silent, or was until now
  [[nodiscard]] bool wants_buffer() const { return is_blocked_; }  // the pool was empty: nothing is read

  // --- Uploading ---
  void set_choking(bool is_choking, base::Instant now);  // choking rejects (BEP 6) or drops what is queued
  [[nodiscard]] bool is_choking() const { return is_choking_; }
  [[nodiscard]] bool is_peer_interested() const { return is_peer_interested_; }
  // It waits for blocks it asked for, or takes what is on its way.
  [[nodiscard]] bool is_peer_taking() const { return !uploads_.empty() || unsent_bytes() > 0; }
  // The oldest request of the peer that was not answered yet: a range of the torrent, not always of a piece that we
  // have. Nothing while the peer is choked, or enough is on its way to the kernel; then PeerRequested says when to go
  // on.
  [[nodiscard]] std::optional<wire::BlockRange> next_upload() const;
  // Answers next_upload(). `piece` is the whole piece.
  void send_block(const seam::ReadablePiecePtr& piece, base::Instant now);
  void reject_upload(base::Instant now);  // cannot be read any more
  // Bytes handed to the runner and not yet with the kernel.
  [[nodiscard]] std::uint64_t unsent_bytes() const { return output_.unsent_bytes(); }

  // --- The rest --- nothing is sent before PeerReady, or when the peer does not speak it
  void send_have(base::PieceIndex piece, base::Instant now);  // not when the peer has it, unless it is a seed's first
  void send_metadata_request(std::uint32_t piece, base::Instant now);
  void send_metadata(const wire::MetadataPiece& piece, base::Instant now);
  void send_metadata_reject(std::uint32_t piece, base::Instant now);
  void send_pex(const wire::PexMessage& message, base::Instant now);
  // Ours have changed: metadata size, upload only.
  void send_extensions(const wire::ExtensionHandshake& handshake, base::Instant now);
  // The peer's, merged.
  [[nodiscard]] const std::optional<wire::ExtensionHandshake>& extensions() const { return extensions_; }
  [[nodiscard]] bool speaks_exchange() const { return pex_id() != 0; }

 private:
  enum class Phase : std::uint8_t {
    handshake,
    message,  // the head of one, or the whole of a short one
    gather,   // the rest of a long one
    block,    // payload that was asked for
    skip,     // bytes nobody wants
  };

  // --- The stream (peer_session_receive.cpp) --- each take_* is true when there may be more to take
  [[nodiscard]] base::ByteView unread() const { return {scratch_.get() + begin_, end_ - begin_}; }
  void advance(base::Instant now);
  [[nodiscard]] bool take_handshake(base::Instant now);
  [[nodiscard]] bool take_message(base::Instant now);
  [[nodiscard]] bool take_long_message(std::uint32_t length, base::Instant now);
  [[nodiscard]] bool take_gathered(base::Instant now);
  [[nodiscard]] bool take_block(base::Instant now);
  [[nodiscard]] bool take_skipped();
  void begin_block(const wire::BlockRange& block, base::Instant now);
  [[nodiscard]] bool find_room(base::Instant now);
  void count_payload(std::uint32_t bytes, base::Instant now);
  void finish_block(base::Instant now);
  void abandon_block();
  void leave_slab();
  void unblock(base::Instant now);

  // --- Messages (peer_session_messages.cpp) ---
  void on_message(const wire::Message& message, base::Instant now);
  void on(const wire::Choke&, base::Instant now);
  void on(const wire::Unchoke&, base::Instant now);
  void on(const wire::Have& have, base::Instant now);
  void on(const wire::BitfieldMessage& field, base::Instant now);
  void on(const wire::Request& request, base::Instant now);
  void on(const wire::Cancel& cancel, base::Instant now);
  void on(const wire::Reject& reject, base::Instant now);
  void on(const wire::AllowedFast& allowed, base::Instant now);
  void on(const wire::Extended& extended, base::Instant now);
  void on_interest(bool is_interested, base::Instant now);
  void on_set(PeerPieces::Verdict verdict);
  void on_later_set(const wire::Message& message, base::Instant now);
  void on_extensions(base::ByteView payload, base::Instant now);
  void on_metadata(base::ByteView payload, base::Instant now);
  void on_exchange(base::ByteView payload, base::Instant now);
  void spend_patience(double amount, std::string_view on_what, base::Instant now);

  // --- Life (peer_session.cpp) ---
  void send_hello(base::Instant now);
  void become_ready(const wire::Handshake& handshake, base::Instant now);
  void tell_held(base::Instant now);
  void send_extension_handshake(base::Instant now);
  // The peer's; 0 when it does not speak it.
  [[nodiscard]] std::uint8_t metadata_id() const { return extensions_ ? extensions_->metadata_id.value_or(0) : 0; }
  [[nodiscard]] std::uint8_t pex_id() const { return extensions_ ? extensions_->pex_id.value_or(0) : 0; }
  [[nodiscard]] bool is_in_torrent(const wire::BlockRange& range) const;
  void end(PeerFailure failure, std::string detail);
  void audit() const;

  // --- Payload (peer_session_blocks.cpp) ---
  void send_requests(base::Instant now);
  void release(const AskedRuns::Withdrawn& withdrawn);
  void take_back(const AskedRuns::Withdrawn& withdrawn, base::Instant now);
  void stall(base::Instant now);
  void hand_over_settled(base::Instant now);
  void tell_handed_over(base::Instant now);
  void report_payload(base::Instant now);
  void refuse(const wire::BlockRange& range, base::Instant now);
  [[nodiscard]] bool is_fast_link(base::Instant now) const;
  [[nodiscard]] std::size_t requests_max() const;
  [[nodiscard]] bool is_allowed_fast(base::PieceIndex piece) const;

  PeerSessionOptions options_;
  PeerOutput output_;
  std::vector<PeerEvent> events_;
  bool is_hello_sent_ = false;
  bool is_ready_ = false;
  bool has_ended_ = false;
  bool has_fast_ = false;        // both sides speak BEP 6
  bool has_extensions_ = false;  // both sides speak BEP 10
  base::Instant started_at_{};

  std::optional<Geometry> geometry_;
  base::Bitfield held_;         // until the peer was told
  PeerPieces pieces_;           // the peer's
  bool has_said_much_ = false;  // what a set comes before
  bool has_told_seed_ = false;
  std::optional<wire::ExtensionHandshake> extensions_;
  std::vector<std::uint32_t> metadata_asked_;

  // The stream.
  Phase phase_ = Phase::handshake;
  std::unique_ptr<std::byte[]> scratch_;  // kPeerScratchBytes, only while there is something to do
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  base::Bytes gathered_;
  std::uint32_t gather_bytes_ = 0;
  std::uint32_t skip_left_ = 0;
  bool is_input_ended_ = false;
  bool is_blocked_ = false;       // no buffer was free
  bool is_read_stopped_ = false;  // next_read() gave nothing
  base::Instant received_at_{};

  // The block that arrives. It goes straight into its slab, or on a slow link through the scratch, so that no slab
  // waits for it.
  wire::BlockRange block_;
  Run block_run_;
  bool is_direct_ = false;
  std::uint32_t block_counted_ = 0;
  std::span<std::byte> block_room_;  // of the slab, what is not filled yet

  // What is asked.
  bool is_choked_ = true;
  bool is_stalled_ = false;
  bool is_interested_ = false;
  std::vector<base::PieceIndex> allowed_fast_;
  AskedRuns asked_;
  LateAnswers late_;
  RunSlabs slabs_;
  RequestWindow window_;
  std::uint64_t payload_bytes_ = 0;  // arrived and not reported yet
  std::size_t rejects_in_a_row_ = 0;
  base::Instant owed_since_{};   // or since bytes of it came, or it was asked again
  base::Instant block_since_{};  // or since a block of it came

  // What is given.
  bool is_choking_ = true;
  bool is_peer_interested_ = false;
  std::deque<wire::BlockRange> uploads_;

  // For messages that bring nothing, requests that are refused, metadata, exchange.
  FloodGuard patience_;
  FloodGuard refusals_;
  FloodGuard metadata_;
  FloodGuard exchange_;
};

}  // namespace shoal::swarm
