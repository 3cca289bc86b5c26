#include "roles/server_connections.hpp"

#include <algorithm>
#include <cstddef>
#include <span>

#include "base/check.hpp"

namespace shoal::roles {
namespace {

// Requests are 8 to 28 bytes; this is room for hundreds, and for a whole burst of what is not a request.
constexpr std::size_t kRequestScratchBytes = 16 * 1024;

}  // namespace

ServerConnections::ServerConnections(ServerConnectionsOptions options)
    : options_(options), scratch_(std::make_unique<std::byte[]>(kRequestScratchBytes)) {}

template <typename Act>
void ServerConnections::serve(seam::ConnId conn, Act act) {
  const auto found = connections_.find(conn);
  if (found == connections_.end()) return;
  Connection& connection = found->second;
  act(connection.server);
  while (const auto question = connection.server.take_question()) {
    questions_.push_back({.request = {conn, question->number},
                          .asker = {connection.server.remote().address, connection.local},
                          .remote = connection.server.remote(),
                          .hash = question->hash});
  }
  if (connection.server.is_finished()) return close(found);
  list_deadline(conn, connection);
}

void ServerConnections::on_accepted(const seam::Accepted& event) {
  if (is_stopping() || !has_room_for(event.remote.address)) {
    const std::string why = is_stopping() ? "stopping" : "too many connections";
    actions_.emplace_back(seam::Tell{seam::NoteTrace{.level = seam::NoteTrace::Level::debug,
                                                     .text = "refused " + event.remote.to_string() + ": " + why}});
    actions_.emplace_back(seam::Close{event.conn});
    return;
  }
  const auto [place, is_new] = connections_.try_emplace(
      event.conn, Connection{swarm::CourseServer(options_.server, event.conn, event.remote), event.local.address, {}});
  SHOAL_CHECK(is_new);
}

bool ServerConnections::has_room_for(base::Ipv4Address address) const {
  if (connections_.size() >= options_.connections_max) return false;
  if (address.is_loopback() || connections_.size() < options_.per_address_max) return true;
  const auto is_from_there = [address](const auto& each) { return each.second.server.remote().address == address; };
  return std::ranges::count_if(connections_, is_from_there) < std::ptrdiff_t{options_.per_address_max};
}

void ServerConnections::on_bytes_arrived(const seam::BytesArrived& event, base::Instant now) {
  SHOAL_CHECK(event.count <= kRequestScratchBytes);
  const base::ByteView bytes(scratch_.get(), event.count);
  serve(event.conn, [&](swarm::CourseServer& server) { server.on_bytes(bytes, now, actions_); });
}

void ServerConnections::on_first_bytes(seam::ConnId conn, base::ByteView bytes, base::Instant now) {
  serve(conn, [&](swarm::CourseServer& server) { server.on_bytes(bytes, now, actions_); });
}

void ServerConnections::on_input_ended(const seam::InputEnded& event, base::Instant now) {
  serve(event.conn, [&](swarm::CourseServer& server) { server.on_input_ended(now, actions_); });
}

void ServerConnections::on_output_drained(const seam::OutputDrained& event, base::Instant now) {
  serve(event.conn, [&](swarm::CourseServer& server) { server.on_output_drained(now, actions_); });
}

void ServerConnections::on_connection_lost(const seam::ConnectionLost& event) {
  const auto found = connections_.find(event.conn);
  if (found == connections_.end()) return;
  if (found->second.listed_deadline) deadlines_.erase({*found->second.listed_deadline, event.conn});
  connections_.erase(found);
}

void ServerConnections::on_deadline_reached(base::Instant now) {
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    const seam::ConnId conn = deadlines_.begin()->second;
    serve(conn, [&](swarm::CourseServer& server) { server.on_deadline(now, actions_); });
  }
}

void ServerConnections::on_stop_requested(base::Instant now) {
  if (is_stopping()) return;
  stop_deadline_ = now + kStopTimeout;
  questions_.clear();
  std::vector<seam::ConnId> all;
  all.reserve(connections_.size());
  for (const auto& [conn, connection] : connections_) all.push_back(conn);
  for (const seam::ConnId conn : all) serve(conn, [](swarm::CourseServer& server) { server.stop(); });
}

void ServerConnections::on_piece_looked_up(RequestId request, const seam::ReadablePiecePtr& piece, base::Instant now) {
  serve(request.conn,
        [&](swarm::CourseServer& server) { server.on_piece_looked_up(request.number, piece, now, actions_); });
}

void ServerConnections::on_answer_ready(RequestId request, swarm::Answer answer, base::Instant now) {
  serve(request.conn,
        [&](swarm::CourseServer& server) { server.on_answer_ready(request.number, std::move(answer), now, actions_); });
}

seam::ReadTargets ServerConnections::next_read(seam::ConnId conn) {
  const auto found = connections_.find(conn);
  if (found == connections_.end() || !found->second.server.begin_read()) return {};
  return {{std::span(scratch_.get(), kRequestScratchBytes), {}}};
}

std::optional<base::Instant> ServerConnections::next_deadline() const {
  if (is_stopping()) return stop_deadline_;
  if (deadlines_.empty()) return std::nullopt;
  return deadlines_.begin()->first;
}

void ServerConnections::list_deadline(seam::ConnId conn, Connection& connection) {
  const auto deadline = connection.server.deadline();
  if (deadline == connection.listed_deadline) return;
  if (connection.listed_deadline) deadlines_.erase({*connection.listed_deadline, conn});
  if (deadline) deadlines_.insert({*deadline, conn});
  connection.listed_deadline = deadline;
}

void ServerConnections::close(Connections::iterator found) {
  actions_.emplace_back(seam::Close{found->first});
  if (found->second.listed_deadline) deadlines_.erase({*found->second.listed_deadline, found->first});
  connections_.erase(found);
}

}  // namespace shoal::roles
