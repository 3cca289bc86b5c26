// The giving half of a swarm host: which peers are unchoked, the blocks they ask for, and course clients on the same
// port. Used by SwarmHost, which hands it what happened to links and connections.
//
// Always holds: nothing is given before the store was opened, and then only verified pieces; no more is given than the
// limit allows, to peers and course clients together; who waits for tokens is served in turn. (How much waits to be
// sent to one peer is bounded by its session.)
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <variant>

#include "base/bitfield.hpp"
#include "base/rng.hpp"
#include "metainfo/manifest.hpp"
#include "roles/piece_lookups.hpp"
#include "roles/server_connections.hpp"
#include "roles/swarm_context.hpp"
#include "roles/token_bucket.hpp"
#include "swarm/upload_slots.hpp"

namespace shoal::roles {

// Connections of course clients from one address: some open one for each chunk, and many may be behind a router. Not
// from 127.x.
inline constexpr std::uint32_t kCoursePerAddressMax = 500;

class SwarmUploads {
 public:
  // The context must outlive it.
  SwarmUploads(SwarmContext& context, base::Rng rng);

  // What there is to give; both must outlive this.
  void begin(const metainfo::Manifest& manifest, const base::Bitfield& verified);
  void set_seeding(bool is_seeding) { is_seeding_ = is_seeding; }

  // Peers.
  void on_interested(SwarmLink& link, base::Instant now);
  void on_not_interested(SwarmLink& link, base::Instant now);
  void on_gone(SwarmLink& link);
  void serve(SwarmLink& link, base::Instant now);  // it asked for something, or there is room again
  // How long it could have asked for something, all turns together, since it last did.
  [[nodiscard]] static base::Duration offered_in_vain(const SwarmLink& link, base::Instant now);

  // Course clients: the first byte of the connection was read already.
  void accept_course(const seam::Accepted& accepted, std::byte first, base::Instant now);
  [[nodiscard]] seam::ReadTargets next_read(seam::ConnId conn) { return server_.next_read(conn); }
  // Events of connections that are no links, and PieceLookedUp.
  void on_event(const seam::Event& event, base::Instant now);
  void stop(base::Instant now);
  [[nodiscard]] bool is_stopped(base::Instant now) const { return server_.is_stopped(now); }

  void on_deadline(base::Instant now);
  [[nodiscard]] std::optional<base::Instant> next_deadline() const;

 private:
  struct CourseAnswer {
    Question question;
    seam::ReadablePiecePtr piece;
  };

  void review(base::Instant now);
  void choke(SwarmLink& link, bool is_choking, base::Instant now);
  // True when another block may follow.
  bool give_block(SwarmLink& link, const wire::BlockRange& range, base::Instant now);
  void on_looked_up(const seam::PieceLookedUp& event, base::Instant now);
  void reject(SwarmLink& link, const base::Sha1Hash& hash, base::Instant now);
  void note_loss(const base::Sha1Hash& hash, base::Instant now);
  void take_questions(base::Instant now);
  void answer(const Question& question, const seam::ReadablePiecePtr& piece, base::Instant now);
  void serve_those_who_wait(base::Instant now);
  void wait_for_tokens(base::Instant now);

  SwarmContext& context_;
  const metainfo::Manifest* manifest_ = nullptr;
  const base::Bitfield* verified_ = nullptr;
  swarm::UploadSlots slots_;
  PieceLookups lookups_;
  TokenBucket bucket_;
  ServerConnections server_;
  std::deque<std::variant<swarm::SourceId, CourseAnswer>> waiting_;  // for tokens: each peer once
  std::optional<base::Instant> tokens_at_;
  std::optional<base::Instant> last_review_;
  bool is_seeding_ = false;
  bool has_noted_loss_ = false;
  base::Instant next_loss_search_{};
};

}  // namespace shoal::roles
