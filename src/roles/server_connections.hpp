// All connections of a server of the course protocol, accepted and served: what the peer role and the tracker role have
// in common. A role hands every event about accepted connections here, then takes the questions and answers them.
//
// Always holds: at most connections_max connections, at most per_address_max of them from one address; one scratch for
// reading, whatever their number, because a read is consumed before the next one begins (seam/machine.hpp).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/time.hpp"
#include "course/asker.hpp"
#include "seam/actions.hpp"
#include "seam/events.hpp"
#include "seam/ids.hpp"
#include "seam/machine.hpp"
#include "swarm/course_server.hpp"

namespace shoal::roles {

struct ServerConnectionsOptions {
  swarm::CourseServerOptions server;
  std::uint32_t connections_max = 20000;                                      // beyond it, new ones are closed at once
  std::uint32_t per_address_max = std::numeric_limits<std::uint32_t>::max();  // likewise; not of 127.x
};

// Which request of which connection.
struct RequestId {
  seam::ConnId conn;
  swarm::CourseServer::RequestNumber number;
};

struct Question {
  RequestId request;
  course::Asker asker;
  base::Endpoint remote;
  base::Sha1Hash hash;  // of a GET_CHUNK
};

class ServerConnections {
 public:
  // After StopRequested, answers that have begun get this long to end.
  static constexpr base::Duration kStopTimeout = std::chrono::seconds(3);

  explicit ServerConnections(ServerConnectionsOptions options);
  ServerConnections(const ServerConnections&) = delete;  // connections point to the options
  ServerConnections& operator=(const ServerConnections&) = delete;

  void on_accepted(const seam::Accepted& event);
  // What was read of it before it was handed here.
  void on_first_bytes(seam::ConnId conn, base::ByteView bytes, base::Instant now);
  void on_bytes_arrived(const seam::BytesArrived& event, base::Instant now);
  void on_input_ended(const seam::InputEnded& event, base::Instant now);
  void on_output_drained(const seam::OutputDrained& event, base::Instant now);
  void on_connection_lost(const seam::ConnectionLost& event);
  void on_deadline_reached(base::Instant now);
  void on_stop_requested(base::Instant now);
  // Answers to questions; ignored when the connection is gone.
  void on_piece_looked_up(RequestId request, const seam::ReadablePiecePtr& piece, base::Instant now);
  void on_answer_ready(RequestId request, swarm::Answer answer, base::Instant now);

  [[nodiscard]] seam::ReadTargets next_read(seam::ConnId conn);
  [[nodiscard]] std::optional<base::Instant> next_deadline() const;
  // What has to be fetched now, in the order in which it should be.
  [[nodiscard]] std::vector<Question> take_questions() { return std::exchange(questions_, {}); }
  // The role appends its own here, so that all leave in order.
  [[nodiscard]] seam::Actions& actions() { return actions_; }
  [[nodiscard]] bool is_stopping() const { return stop_deadline_.has_value(); }
  // Everything that was begun before the stop has ended, or its time is over.
  [[nodiscard]] bool is_stopped(base::Instant now) const {
    return is_stopping() && (connections_.empty() || now >= *stop_deadline_);
  }
  [[nodiscard]] std::size_t size() const { return connections_.size(); }
  [[nodiscard]] bool owns(seam::ConnId conn) const { return connections_.contains(conn); }

 private:
  struct Connection {
    swarm::CourseServer server;
    base::Ipv4Address local;
    std::optional<base::Instant> listed_deadline;  // as it stands in deadlines_
  };
  using Connections = std::unordered_map<seam::ConnId, Connection>;

  [[nodiscard]] bool has_room_for(base::Ipv4Address address) const;

  // `act(server)` on a connection that still exists, and what follows from it: questions, its deadline, its end.
  template <typename Act>
  void serve(seam::ConnId conn, Act act);
  void list_deadline(seam::ConnId conn, Connection& connection);
  void close(Connections::iterator found);

  ServerConnectionsOptions options_;
  Connections connections_;
  std::set<std::pair<base::Instant, seam::ConnId>> deadlines_;  // at most one for each connection
  std::optional<base::Instant> stop_deadline_;
  std::vector<Question> questions_;
  seam::Actions actions_;
  std::unique_ptr<std::byte[]> scratch_;
};

}  // namespace shoal::roles
