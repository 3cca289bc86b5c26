#include "roles/http_connections.hpp"

#include <algorithm>
#include <span>

#include "base/ascii.hpp"
#include "base/check.hpp"
#include "roles/shared_body.hpp"

namespace shoal::roles {
namespace {

constexpr std::size_t kHttpScratchBytes = 64 * 1024;
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

base::Bytes bytes_of(std::string_view text) {
  const base::ByteView view = base::view_of(text);
  return {view.begin(), view.end()};
}

base::Duration time_at_the_rate(std::uint64_t bytes) {
  return base::from_seconds(static_cast<double>(bytes) / kHttpBytesPerSecondMin);
}

// RFC 9110, 10.1.1: the client waits for a word before it sends the body.
bool expects_continue(const wire::HttpRequest& request) {
  const auto expected = request.header("expect");
  return expected && !request.is_1_0 && base::is_same_ignoring_case(*expected, "100-continue");
}

}  // namespace

HttpConnections::HttpConnections(tracker::HttpAnswers& answers, seam::Actions& actions, std::size_t connections_max)
    : answers_(answers),
      actions_(actions),
      connections_max_(connections_max),
      scratch_(std::make_unique<std::byte[]>(kHttpScratchBytes)) {}

void HttpConnections::adopt(seam::ConnId conn, const course::Asker& asker, base::ByteView first, base::Instant now) {
  SHOAL_CHECK(!first.empty());
  if (connections_.size() >= connections_max_) make_room();
  const auto [found, is_new] = connections_.try_emplace(conn);
  SHOAL_CHECK(is_new);
  found->second.asker = asker;
  found->second.received.assign(first.begin(), first.end());
  found->second.deadline = now + kHttpHeadTimeout;
  busy_.emplace(found->second.deadline, conn);
  advance(found, now);
}

void HttpConnections::make_room() {
  const Deadlines& deadlines = idle_.empty() ? busy_ : idle_;
  if (!deadlines.empty()) close(connections_.find(deadlines.begin()->second));
}

void HttpConnections::on_bytes_arrived(const seam::BytesArrived& event, base::Instant now) {
  const auto found = connections_.find(event.conn);
  if (found == connections_.end()) return;
  SHOAL_CHECK(event.count <= kHttpScratchBytes);
  Connection& connection = found->second;
  const base::ByteView bytes(scratch_.get(), event.count);
  if (connection.received.empty()) {
    set_deadline(found, now + kHttpHeadTimeout);
  } else if (connection.awaited != nullptr) {
    // What comes buys time, and none in advance: a body that stalls ends soon, however much of it came at once.
    set_deadline(found, std::min(connection.deadline + time_at_the_rate(event.count), now + kHttpGrace));
  }
  connection.received.insert(connection.received.end(), bytes.begin(), bytes.end());
  // Only the end of a line can complete a head: one that trickles in is not read again for each byte.
  const bool is_worth_a_look = connection.awaited != nullptr || connection.received.size() >= wire::kHttpHeadBytesMax ||
                               std::ranges::find(bytes, std::byte{'\n'}) != bytes.end();
  if (is_worth_a_look) advance(found, now);
}

void HttpConnections::on_input_ended(const seam::InputEnded& event) {
  const auto found = connections_.find(event.conn);
  if (found == connections_.end()) return;
  // What is complete is being answered; what is not will never be.
  found->second.is_input_ended = true;
  if (!found->second.is_answering) close(found);
}

void HttpConnections::on_output_drained(const seam::OutputDrained& event, base::Instant now) {
  const auto found = connections_.find(event.conn);
  if (found == connections_.end() || !found->second.is_answering) return;
  Connection& connection = found->second;
  if (connection.is_last) return close(found);
  connection.is_answering = false;
  const bool is_idle = connection.received.empty();
  set_deadline(found, now + (is_idle ? kHttpIdleTimeout : kHttpHeadTimeout), is_idle);
  if (!is_idle) advance(found, now);
  if (connection.is_answering) return;
  if (connection.is_input_ended) return close(found);
  if (std::exchange(connection.is_reading_paused, false)) actions_.emplace_back(seam::ResumeReading{event.conn});
}

void HttpConnections::on_connection_lost(const seam::ConnectionLost& event) {
  const auto found = connections_.find(event.conn);
  if (found != connections_.end()) forget(found);
}

void HttpConnections::on_deadline_reached(base::Instant now) {
  while (!idle_.empty() && idle_.begin()->first <= now) close(connections_.find(idle_.begin()->second));
  while (!busy_.empty() && busy_.begin()->first <= now) {
    const auto found = connections_.find(busy_.begin()->second);
    if (found->second.is_answering) {
      close(found);
    } else {
      respond_with_problem(found, {.status = 408, .reason = "too slow"}, now);
    }
  }
}

void HttpConnections::close_all() {
  while (!connections_.empty()) close(connections_.begin());
}

seam::ReadTargets HttpConnections::next_read(seam::ConnId conn) {
  const auto found = connections_.find(conn);
  if (found == connections_.end()) return {};
  Connection& connection = found->second;
  if (connection.is_answering) {
    connection.is_reading_paused = true;
    return {};
  }
  // Not more than one head, or the body that belongs to it.
  const std::uint64_t whole = connection.awaited == nullptr ? wire::kHttpHeadBytesMax : connection.awaited_bytes();
  SHOAL_CHECK(connection.received.size() < whole);
  const std::uint64_t room = std::min<std::uint64_t>(whole - connection.received.size(), kHttpScratchBytes);
  return {{std::span(scratch_.get(), static_cast<std::size_t>(room)), {}}};
}

std::optional<base::Instant> HttpConnections::next_deadline() const {
  if (idle_.empty() && busy_.empty()) return std::nullopt;
  if (idle_.empty()) return busy_.begin()->first;
  if (busy_.empty()) return idle_.begin()->first;
  return std::min(idle_.begin()->first, busy_.begin()->first);
}

void HttpConnections::advance(Connections::iterator found, base::Instant now) {
  Connection& connection = found->second;
  if (connection.is_answering) return;
  if (connection.awaited == nullptr && !take_head(found, now)) return;
  if (connection.received.size() >= connection.awaited_bytes()) answer(found, now);
}

bool HttpConnections::take_head(Connections::iterator found, base::Instant now) {
  Connection& connection = found->second;
  auto parsed = wire::parse_http_head(connection.received);
  if (!parsed) {
    respond_with_problem(found, parsed.error(), now);
    return false;
  }
  if (!*parsed) return false;
  wire::ParsedHead& head = **parsed;
  wire::HttpRequest& request = head.request;
  if (request.body_bytes > 0 && !answers_.wants_body(request, connection.asker)) {
    // Its body is not read: the answer is the last on this connection.
    request.keeps_alive = false;
    request.body_bytes = 0;
  }
  if (request.body_bytes > tracker::kHttpBodyBytesMax) {
    respond_with_problem(found, {.status = 413, .reason = "that is too big for a torrent"}, now);
    return false;
  }
  if (bodies_bytes_ + request.body_bytes > kBodiesBytesMax) {
    respond_with_problem(found, {.status = 503, .reason = "busy; try again"}, now);
    return false;
  }
  bodies_bytes_ += request.body_bytes;
  connection.awaited = std::make_unique<wire::ParsedHead>(std::move(head));
  if (connection.body_bytes() > 0) await_body(found, now);
  return true;
}

void HttpConnections::await_body(Connections::iterator found, base::Instant now) {
  Connection& connection = found->second;
  set_deadline(found, now + kHttpGrace);
  const bool has_begun = connection.received.size() > connection.awaited->head_bytes;
  if (!has_begun && expects_continue(connection.awaited->request)) {
    actions_.emplace_back(seam::Send{found->first, bytes_of(kContinue)});
  }
  connection.received.reserve(static_cast<std::size_t>(connection.awaited_bytes()));
}

void HttpConnections::answer(Connections::iterator found, base::Instant now) {
  Connection& connection = found->second;
  const wire::HttpRequest& request = connection.awaited->request;
  const base::ByteView body =
      base::ByteView(connection.received).subspan(connection.awaited->head_bytes, connection.body_bytes());
  connection.is_last = !request.keeps_alive;
  respond(found, answers_.answer(request, body, connection.asker, now), request.method == "HEAD", now);
  const base::ByteView rest = base::ByteView(connection.received).subspan(connection.awaited_bytes());
  connection.received = base::Bytes(rest.begin(), rest.end());
  forget_request(connection);
}

void HttpConnections::respond(Connections::iterator found, tracker::HttpAnswer answer, bool is_head,
                              base::Instant now) {
  Connection& connection = found->second;
  connection.is_answering = true;
  const std::uint64_t shared_bytes = answer.shared_body ? answer.shared_body->size() - answer.shared_from : 0;
  const std::uint64_t body_bytes = answer.response.body.size() + shared_bytes;
  set_deadline(found, now + kHttpGrace + time_at_the_rate(is_head ? 0 : body_bytes));
  if (shared_bytes == 0) {
    actions_.emplace_back(
        seam::Send{found->first, wire::encode_http_response(answer.response, !connection.is_last, is_head)});
    return;
  }
  base::Bytes head = wire::encode_http_response_head(answer.response, body_bytes, !connection.is_last);
  if (is_head) {
    actions_.emplace_back(seam::Send{found->first, std::move(head)});
    return;
  }
  head.insert(head.end(), answer.response.body.begin(), answer.response.body.end());
  actions_.emplace_back(
      seam::SendPiece{.conn = found->first,
                      .header = std::move(head),
                      .piece = std::make_shared<const SharedBody>(std::move(answer.shared_body), answer.shared_from)});
}

// Whatever follows cannot be told apart from it any more: the last answer.
void HttpConnections::respond_with_problem(Connections::iterator found, const wire::HttpProblem& problem,
                                           base::Instant now) {
  Connection& connection = found->second;
  connection.is_last = true;
  connection.received = base::Bytes();
  forget_request(connection);
  respond(found, {.response = {.status = problem.status, .body = bytes_of(problem.reason + "\n")}}, false, now);
}

void HttpConnections::forget_request(Connection& connection) {
  bodies_bytes_ -= connection.body_bytes();
  connection.awaited.reset();
}

void HttpConnections::set_deadline(Connections::iterator found, base::Instant deadline, bool is_idle) {
  Connection& connection = found->second;
  (connection.is_idle ? idle_ : busy_).erase({connection.deadline, found->first});
  connection.is_idle = is_idle;
  connection.deadline = deadline;
  (is_idle ? idle_ : busy_).emplace(deadline, found->first);
}

void HttpConnections::forget(Connections::iterator found) {
  forget_request(found->second);
  (found->second.is_idle ? idle_ : busy_).erase({found->second.deadline, found->first});
  connections_.erase(found);
}

void HttpConnections::close(Connections::iterator found) {
  SHOAL_CHECK(found != connections_.end());
  actions_.emplace_back(seam::Close{found->first});
  forget(found);
}

}  // namespace shoal::roles
