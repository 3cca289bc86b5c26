#include "roles/http_connections.hpp"

#include <algorithm>
#include <span>

#include "base/check.hpp"

namespace shoal::roles {
namespace {

constexpr std::size_t kScratchBytes = 64 * 1024;
constexpr int kTooMuch = 413;
constexpr int kBusy = 503;

}  // namespace

HttpConnections::HttpConnections(tracker::HttpAnswers& answers, seam::Actions& actions)
    : answers_(answers), actions_(actions), scratch_(std::make_unique<std::byte[]>(kScratchBytes)) {}

void HttpConnections::adopt(seam::ConnId conn, const course::Asker& asker, base::ByteView first, base::Instant now) {
  if (connections_.size() >= kHttpConnectionsMax) {
    actions_.emplace_back(seam::Close{conn});
    return;
  }
  const auto found = connections_.try_emplace(conn).first;
  found->second.asker = asker;
  found->second.received.assign(first.begin(), first.end());
  set_deadline(conn, found->second, now + kHttpHeadTimeout);
  advance(found, now);
}

void HttpConnections::on_bytes_arrived(const seam::BytesArrived& event, base::Instant now) {
  const auto found = connections_.find(event.conn);
  if (found == connections_.end()) return;
  SHOAL_CHECK(event.count <= kScratchBytes);
  Connection& connection = found->second;
  // The idle time is over: a head has begun.
  if (connection.received.empty()) set_deadline(event.conn, connection, now + kHttpHeadTimeout);
  connection.received.insert(connection.received.end(), scratch_.get(), scratch_.get() + event.count);
  advance(found, now);
}

void HttpConnections::on_input_ended(const seam::InputEnded& event, base::Instant) {
  const auto found = connections_.find(event.conn);
  if (found == connections_.end()) return;
  found->second.is_input_ended = true;
  if (!found->second.is_answering) close(found);
}

void HttpConnections::on_output_drained(const seam::OutputDrained& event, base::Instant now) {
  const auto found = connections_.find(event.conn);
  if (found == connections_.end() || !found->second.is_answering) return;
  Connection& connection = found->second;
  connection.is_answering = false;
  if (connection.is_last || connection.is_input_ended) return close(found);
  set_deadline(event.conn, connection, now + (connection.received.empty() ? kHttpIdleTimeout : kHttpHeadTimeout));
  if (std::exchange(connection.is_reading_paused, false)) actions_.emplace_back(seam::ResumeReading{event.conn});
  advance(found, now);
}

void HttpConnections::on_connection_lost(const seam::ConnectionLost& event) {
  const auto found = connections_.find(event.conn);
  if (found == connections_.end()) return;
  release_body(found->second);
  set_deadline(event.conn, found->second, std::nullopt);
  connections_.erase(found);
}

void HttpConnections::on_deadline_reached(base::Instant now) {
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    close(connections_.find(deadlines_.begin()->second));
  }
}

void HttpConnections::close_all() {
  while (!connections_.empty()) close(connections_.begin());
}

seam::ReadTargets HttpConnections::next_read(seam::ConnId conn) {
  const auto found = connections_.find(conn);
  if (found == connections_.end()) return {};
  Connection& connection = found->second;
  // What follows an unanswered request waits in the kernel.
  if (connection.is_answering) {
    connection.is_reading_paused = true;
    return {};
  }
  return {{std::span(scratch_.get(), kScratchBytes), {}}};
}

std::optional<base::Instant> HttpConnections::next_deadline() const {
  if (deadlines_.empty()) return std::nullopt;
  return deadlines_.begin()->first;
}

void HttpConnections::advance(Connections::iterator found, base::Instant now) {
  const seam::ConnId conn = found->first;
  Connection& connection = found->second;
  if (connection.is_answering || connection.received.empty()) return;
  if (!take_request(conn, connection, now)) return;
  set_deadline(conn, connection, now + kHttpAnswerTimeout);
}

bool HttpConnections::take_request(seam::ConnId conn, Connection& connection, base::Instant now) {
  if (!connection.awaited) {
    auto parsed = wire::parse_http_head(connection.received);
    if (!parsed) {
      respond_with_problem(conn, connection, parsed.error());
      return true;
    }
    if (!*parsed) return false;
    wire::ParsedHead& head = **parsed;
    const bool wants_body = head.request.body_bytes > 0 && answers_.wants_body(head.request, connection.asker);
    if (wants_body && head.request.body_bytes > tracker::kHttpBodyBytesMax) {
      respond_with_problem(conn, connection, {.status = kTooMuch, .reason = "that is too big for a torrent"});
      return true;
    }
    if (wants_body && bodies_bytes_ + head.request.body_bytes > kBodiesBytesMax) {
      respond_with_problem(conn, connection, {.status = kBusy, .reason = "busy; try again"});
      return true;
    }
    if (!wants_body && head.request.body_bytes > 0) {
      // Its body is not read: the answer is the last on this connection.
      head.request.keeps_alive = false;
      head.request.body_bytes = 0;
    }
    connection.body_reserved = head.request.body_bytes;
    bodies_bytes_ += connection.body_reserved;
    if (connection.body_reserved > 0) set_deadline(conn, connection, now + kHttpBodyTimeout);
    connection.awaited = std::move(head);
  }
  const wire::ParsedHead& head = *connection.awaited;
  const std::uint64_t whole = head.head_bytes + head.request.body_bytes;
  if (connection.received.size() < whole) return false;
  const base::ByteView body = base::ByteView(connection.received).subspan(head.head_bytes, head.request.body_bytes);
  const wire::HttpResponse response = answers_.answer(head.request, body, connection.asker, now);
  connection.is_last = !head.request.keeps_alive;
  respond(conn, connection, response, head.request.method == "HEAD");
  connection.received.erase(connection.received.begin(),
                            connection.received.begin() + static_cast<std::ptrdiff_t>(whole));
  if (connection.received.empty()) connection.received.shrink_to_fit();
  release_body(connection);
  connection.awaited.reset();
  return true;
}

void HttpConnections::respond(seam::ConnId conn, Connection& connection, const wire::HttpResponse& response,
                              bool is_head) {
  actions_.emplace_back(seam::Send{conn, wire::encode_http_response(response, !connection.is_last, is_head)});
  connection.is_answering = true;
}

void HttpConnections::respond_with_problem(seam::ConnId conn, Connection& connection,
                                           const wire::HttpProblem& problem) {
  const std::string words = problem.reason + "\n";
  const base::ByteView view = base::view_of(words);
  connection.is_last = true;
  connection.received.clear();
  respond(conn, connection, {.status = problem.status, .body = base::Bytes(view.begin(), view.end())}, false);
}

void HttpConnections::release_body(Connection& connection) {
  bodies_bytes_ -= std::exchange(connection.body_reserved, 0);
}

void HttpConnections::set_deadline(seam::ConnId conn, Connection& connection, std::optional<base::Instant> deadline) {
  if (connection.deadline) deadlines_.erase({*connection.deadline, conn});
  if (deadline) deadlines_.insert({*deadline, conn});
  connection.deadline = deadline;
}

void HttpConnections::close(Connections::iterator found) {
  SHOAL_CHECK(found != connections_.end());
  release_body(found->second);
  set_deadline(found->first, found->second, std::nullopt);
  actions_.emplace_back(seam::Close{found->first});
  connections_.erase(found);
}

}  // namespace shoal::roles
