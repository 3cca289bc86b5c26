// The connections of a swarm host that it takes pieces from or gives blocks to: BitTorrent peers, course peers we
// dialled, and accepted ones that have not said yet what they speak. (Course clients are in ServerConnections.) A table
// with what each part of the host knows of each connection; the parts decide, this file only keeps.
//
// Always holds: a SourceId is never given twice; a link that was forgotten stays readable until sweep(), so that nobody
// who walks over the links meets a hole; deadlines are found in O(log links).
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/bitfield.hpp"
#include "base/endpoint.hpp"
#include "base/time.hpp"
#include "seam/ids.hpp"
#include "swarm/course_session.hpp"
#include "swarm/peer_book.hpp"
#include "swarm/peer_session.hpp"
#include "swarm/rate_meter.hpp"

namespace shoal::roles {

struct SwarmLink {
  enum class Stage : std::uint8_t {
    dialing,
    unknown,  // accepted, before its first byte
    open,     // one of the two sessions is there
    gone,     // forgotten; destroyed at the next sweep
  };

  seam::ConnId conn;
  swarm::SourceId source;
  base::Endpoint local;  // of accepted ones
  base::Endpoint remote;
  Stage stage = Stage::dialing;
  bool is_dialled = false;
  swarm::PeerProtocol protocol = swarm::PeerProtocol::bittorrent;
  base::Instant since{};
  std::optional<base::Instant> deadline;  // of dialing, and of the first byte
  std::unique_ptr<swarm::PeerSession> peer;
  std::unique_ptr<swarm::CourseSession> course;
  std::vector<base::Endpoint> addresses;  // under which the peer book counts it as connected
  std::optional<std::string> ended;       // why the session is over; the host takes the link down

  // A BitTorrent peer.
  bool is_ready = false;  // the handshakes are through
  wire::PeerId peer_id{};
  base::Bitfield has;  // of size 0 before the manifest is known
  bool is_upload_only = false;

  // Taking from it.
  bool is_source = false;            // the picker knows it
  bool wants_asking = false;         // something changed since it was last asked
  std::uint64_t asked_bytes = 0;     // and not answered
  std::uint64_t brought_bytes = 0;   // payload
  std::uint64_t brought_before = 0;  // at the last review of the upload slots
  std::vector<base::PieceIndex> allowed_fast;
  std::optional<base::PieceIndex> last_asked;
  bool is_starved = false;    // waits for a buffer
  bool is_held_back = false;  // waits for tokens of the limit
  // Of a course peer: its rate, and the answer that is arriving.
  swarm::RateMeter meter;
  std::uint64_t answer_bytes = 0;
  bool is_answer_unwanted = false;
  int wrong_answers = 0;

  // Giving to it.
  bool is_new = true;  // since the last review of the upload slots
  std::uint64_t taken_bytes = 0;
  std::uint64_t taken_before = 0;   // at that review
  base::Instant offered_at{};       // when it was unchoked or, later, took something
  base::Duration offered_before{};  // how long it was unchoked before that, and has taken nothing since
  bool awaits_lookup = false;
  bool awaits_tokens = false;

  // Peer exchange: what it was told, and when it is told next.
  std::set<base::Endpoint> told;
  std::optional<base::Instant> tell_at;

  [[nodiscard]] bool is_gone() const { return stage == Stage::gone; }
  [[nodiscard]] bool is_peer() const { return peer != nullptr && is_ready; }
  [[nodiscard]] bool is_seed() const { return has.size() > 0 && has.is_all(); }
};

class SwarmLinks {
 public:
  using Table = std::map<swarm::SourceId, std::unique_ptr<SwarmLink>>;  // in the order in which they came

  SwarmLink& add(seam::ConnId conn, base::Endpoint remote, base::Instant now);
  // Null when it is gone.
  [[nodiscard]] SwarmLink* find(seam::ConnId conn) const;
  [[nodiscard]] SwarmLink* find(swarm::SourceId source) const;
  [[nodiscard]] const Table& all() const { return links_; }  // also those that are gone, until sweep()
  [[nodiscard]] std::size_t size() const { return by_conn_.size(); }
  struct Counts {
    std::size_t dialled = 0;  // by us, with those that are
    std::size_t dialing = 0;
    std::size_t accepted = 0;  // besides those that are
    std::size_t unknown = 0;
  };
  [[nodiscard]] Counts count() const;
  [[nodiscard]] std::size_t count_accepted_from(base::Ipv4Address address) const;
  // A source that is no connection.
  [[nodiscard]] swarm::SourceId next_source() { return swarm::SourceId(++last_source_); }

  // Something was done with its session: what comes of it is to be seen to.
  void touch(SwarmLink& link);
  [[nodiscard]] SwarmLink* take_touched();
  [[nodiscard]] bool has_touched() const { return !touched_.empty(); }

  // Its deadline may have changed.
  void relist(SwarmLink& link);
  [[nodiscard]] std::optional<base::Instant> next_deadline() const;
  [[nodiscard]] SwarmLink* take_due(base::Instant now);

  void forget(SwarmLink& link);
  void sweep();

 private:
  struct Notes {  // of a link, for this table only
    std::optional<base::Instant> listed_deadline;
    bool is_touched = false;
  };

  Table links_;
  std::unordered_map<seam::ConnId, SwarmLink*> by_conn_;
  std::unordered_map<swarm::SourceId, Notes> notes_;
  std::deque<swarm::SourceId> touched_;                            // each once
  std::set<std::pair<base::Instant, swarm::SourceId>> deadlines_;  // at most one for each link
  std::vector<swarm::SourceId> forgotten_;
  std::uint32_t last_source_ = 0;
};

}  // namespace shoal::roles
