// The download of a course client: dials everybody who is listed, keeps one connection to each, carries the decisions
// of swarm::Download to the sessions and what the sessions see back, and moves payload on to the store.
// Used by the course client only; events in, actions out.
//
// Always holds: one connection for each source; a source is given up after kStrikesMax failures without an answer in
// between, so the download ends; a piece that was verified is not written again; nothing is asked after close().
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/buffer_pool.hpp"
#include "base/rng.hpp"
#include "roles/course_client.hpp"
#include "roles/course_client_plan.hpp"
#include "roles/course_client_report.hpp"
#include "seam/machine.hpp"
#include "swarm/conn_ids.hpp"
#include "swarm/course_session.hpp"
#include "swarm/download.hpp"

namespace shoal::roles {

// A source that failed this often without an answer in between is gone. A failure that cost a whole time-out counts
// twice: by then the others have waited long enough.
inline constexpr int kStrikesMax = 3;
inline constexpr int kTimeoutStrikes = 2;
// Pauses before the second and the third try: a peer that is just being started is found within 2.5 s.
inline constexpr base::Duration kFirstRetryPause = std::chrono::milliseconds(500);
inline constexpr base::Duration kLaterRetryPause = std::chrono::seconds(2);
// How long an answer nobody needs any more is read on, so that a peer that cannot stop sees no reset (4.3).
inline constexpr base::Duration kDrainMax = std::chrono::seconds(3);

class CourseDownload {
 public:
  enum class State : std::uint8_t { running, complete, incomplete };

  // Everything referred to must outlive it. `held` is what the store has already.
  struct Parts {
    const CourseClientOptions& options;
    const CoursePlan& plan;
    const std::vector<seam::HeldPiece>& held;
    base::BufferPool& buffers;
    swarm::ConnIds& ids;
  };
  CourseDownload(Parts parts, base::Rng rng);

  void start(base::Instant now);
  void on_event(seam::Event&& event, base::Instant now);
  // Closes what is open; connections to old peers that are in the middle of an answer linger for kDrainMax at most.
  void close(base::Instant now);
  // Gives up what is half-written, at once.
  void abandon();

  [[nodiscard]] seam::ReadTargets next_read(seam::ConnId conn);
  [[nodiscard]] std::optional<base::Instant> next_deadline() const;
  [[nodiscard]] seam::Actions take_actions() { return std::exchange(actions_, {}); }

  // complete and incomplete are said only when the store owes nothing.
  [[nodiscard]] State state() const;
  [[nodiscard]] bool is_anything_open() const { return !source_of_conn_.empty(); }
  [[nodiscard]] std::vector<base::PieceIndex> missing() const;  // all indices, sorted
  [[nodiscard]] std::vector<SourceRecord> source_records() const;

 private:
  enum class Link : std::uint8_t {
    none,  // before the first dial, and while waiting to retry
    dialing,
    open,     // a session
    dormant,  // the peer closed a connection on which nothing was asked; dialled again when it is asked
    gone,
  };
  struct Source {
    SourceRecord record;
    Link link = Link::none;
    seam::ConnId conn;
    std::optional<base::Instant> deadline;  // of dialing; of the pause before the next try
    std::unique_ptr<swarm::CourseSession> session;
    std::optional<seam::WriteId> write;           // where the answer that is arriving goes
    std::vector<base::PieceIndex> asked_dormant;  // to be asked once connected again
    bool is_ready = false;                        // as swarm::Download was told
    int strikes = 0;
    std::optional<base::PieceIndex> suspect;  // asked first on a connection that ended without an answer
  };
  struct Write {
    swarm::SourceId source;
    base::PieceIndex piece;
    std::uint64_t size_bytes = 0;
    std::uint64_t stored_bytes = 0;  // or on their way to the store
    bool is_complete = false;        // the store is verifying
  };
  struct Failure {
    std::string trouble;
    int strikes = 1;
  };

  // Connections (course_client_download.cpp)
  void dial(swarm::SourceId id, base::Instant now);
  void on_connected(swarm::SourceId id, base::Instant now);
  void on_deadline(base::Instant now);
  void on_session_ended(swarm::SourceId id, swarm::SessionFailure failure, base::Instant now);
  void blame_piece(swarm::SourceId id, base::PieceIndex piece, bool is_certain, base::Instant now);
  void lose(swarm::SourceId id, Failure failure, base::Instant now);
  void hang_up(Source& source);
  [[nodiscard]] std::optional<swarm::SourceId> source_of(seam::ConnId conn) const;
  [[nodiscard]] Source& at(swarm::SourceId id) { return sources_[id.value]; }

  // Pieces (course_client_pieces.cpp)
  void settle(base::Instant now);
  void ask(const swarm::Request& request, base::Instant now);
  void serve_session(swarm::SourceId id, base::Instant now);
  void on_session_event(swarm::SourceId id, swarm::SessionEvent&& event, base::Instant now);
  void on_answer_began(swarm::SourceId id, const swarm::AnswerBegan& began, base::Instant now);
  void on_block(Source& source, swarm::BlockArrived& block);
  void on_answer_received(swarm::SourceId id, base::PieceIndex piece, base::Instant now);
  void on_wrong_bytes(swarm::SourceId id, base::PieceIndex piece, base::Instant now);
  void on_verified(seam::WriteId write, base::Instant now);
  void on_mismatched(seam::WriteId write, base::Instant now);
  void abandon_write(Source& source);
  void tell_source(const Source& source, seam::SourceStatus status, std::string reason);
  void tell_piece(seam::PieceTrace::What what, base::PieceIndex piece, const Source& source, std::uint64_t bytes = 0);

  const CourseClientOptions& options_;
  const CoursePlan& plan_;
  base::BufferPool& buffers_;
  swarm::ConnIds& ids_;
  std::vector<std::vector<base::PieceIndex>> places_;  // by first index: what a piece fills; empty: held already
  swarm::Download download_;
  std::vector<Source> sources_;  // by SourceId
  std::unordered_map<seam::ConnId, swarm::SourceId> source_of_conn_;
  std::unordered_map<seam::WriteId, Write> writes_;
  std::uint64_t next_write_ = 1;
  std::size_t blocks_at_store_ = 0;
  std::optional<base::Instant> drain_ends_;  // set by close()
  seam::Actions actions_;
};

}  // namespace shoal::roles
