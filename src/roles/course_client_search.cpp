#include "roles/course_client_search.hpp"

#include <algorithm>
#include <iterator>

namespace shoal::roles {
namespace {

using base::Instant;
using Result = seam::Finish::Result;
using TrackerFate = seam::TrackerTrace::What;

seam::Tell tracker_trace(TrackerFate what, const base::Endpoint& tracker, std::string name, std::string reason) {
  return {seam::TrackerTrace{.what = what, .tracker = tracker, .name = std::move(name), .reason = std::move(reason)}};
}

}  // namespace

std::string describe_addresses(const std::vector<LocalInterface>& interfaces) {
  std::string text;
  for (const LocalInterface& each : interfaces) text += (text.empty() ? "" : ", ") + each.address.to_string();
  return text;
}

CourseSearch::CourseSearch(const CourseClientOptions& options, swarm::ConnIds& ids) : options_(options), ids_(ids) {}

void CourseSearch::start(Instant now) {
  if (options_.tracker) {
    actions_.push_back(tracker_trace(TrackerFate::chosen, *options_.tracker, "", "it was named"));
    ask(*options_.tracker, now);
  } else {
    discovery::FinderOptions finder{
        .interfaces = {}, .port = options_.discovery_port, .timeout = options_.discovery_timeout};
    for (const LocalInterface& each : options_.interfaces) finder.interfaces.push_back({each.address, each.broadcast});
    finder_.emplace(std::move(finder));
    finder_->start(now);
  }
  advance(now);
}

void CourseSearch::go_on(Instant now) {
  note_failure(swarm::QueryFailure::malformed,
               "the peers that tracker " + asked_.to_string() + " lists do not give the whole file");
  result_.reset();
  finder_->start(now);
  advance(now);
}

void CourseSearch::ask(const base::Endpoint& tracker, Instant now) {
  asked_ = tracker;
  query_.emplace(swarm::TrackerQueryOptions{.tracker = tracker,
                                            .file_info_bytes_max = options_.file_info_bytes_max,
                                            .connect_timeout = options_.connect_timeout,
                                            .stall_timeout = options_.stall_timeout,
                                            .busy_wait = options_.tracker_busy_wait},
                 ids_);
  query_->start(now);
}

void CourseSearch::on_event(const seam::Event& event, Instant now) {
  if (result_) return;
  const auto is_ours = [&](seam::ConnId conn) { return query_ && query_->conn() == conn; };
  if (const auto* connected = std::get_if<seam::Connected>(&event)) {
    if (is_ours(connected->conn)) query_->on_connected(connected->local.address, now);
  } else if (const auto* failed = std::get_if<seam::ConnectFailed>(&event)) {
    if (is_ours(failed->conn)) query_->on_connect_failed(failed->error, now);
  } else if (const auto* bytes = std::get_if<seam::BytesArrived>(&event)) {
    if (is_ours(bytes->conn)) query_->on_bytes(bytes->count, now);
  } else if (const auto* ended = std::get_if<seam::InputEnded>(&event)) {
    if (is_ours(ended->conn)) query_->on_input_ended(now);
  } else if (const auto* lost = std::get_if<seam::ConnectionLost>(&event)) {
    if (is_ours(lost->conn)) query_->on_connection_lost(now);
  } else if (const auto* datagram = std::get_if<seam::DatagramArrived>(&event)) {
    if (finder_) finder_->on_datagram(*datagram, now);
  } else if (std::holds_alternative<seam::DeadlineReached>(event)) {
    if (query_) query_->on_deadline(now);
    if (finder_) finder_->on_deadline(now);
  }
  advance(now);
}

void CourseSearch::advance(Instant now) {
  while (!result_) {
    if (query_) {
      collect(query_->take_actions());
      if (!query_->result()) break;
      take_answer();
      query_.reset();
    } else if (const auto next = finder_ ? finder_->take_next() : std::nullopt) {
      const std::string reason =
          !failures_.empty()      ? "the next to answer, after " + asked_.to_string() + " did not serve"
          : finder_->found() == 1 ? std::string("the only one that has answered")
                                  : "the first of " + std::to_string(finder_->found()) + " to answer";
      actions_.push_back(tracker_trace(TrackerFate::chosen, next->tracker, next->name, reason));
      ask(next->tracker, now);
    } else if (!finder_ || finder_->is_over()) {
      give_up();
    } else {
      break;
    }
  }
  if (result_ && finder_) finder_->stop();
  if (finder_) collect(finder_->take_actions());
}

void CourseSearch::take_answer() {
  const auto& answer = *query_->result();
  if (!answer) {
    note_failure(answer.error().failure, answer.error().message);
    return;
  }
  if (answer->file.filename.empty() && answer->file.chunks.empty()) {
    note_failure(
        swarm::QueryFailure::malformed,
        "tracker " + asked_.to_string() + " has no file for course clients; try again when one is shared there");
    return;
  }
  auto name = course::safe_file_name(answer->file.filename);
  if (!name) {
    note_failure(swarm::QueryFailure::malformed,
                 "tracker " + asked_.to_string() + " names a file that cannot be created here");
    return;
  }
  FoundFile found{answer->file, std::move(*name), asked_,
                  asked_.address.is_loopback() || answer->local == asked_.address};
  if (finder_ && !is_listing_anybody(found.file)) {
    note_failure(swarm::QueryFailure::malformed, "tracker " + asked_.to_string() + " lists nobody who has the file");
    if (!last_resort_) last_resort_ = std::move(found);
    return;
  }
  result_ = std::move(found);
}

bool CourseSearch::is_listing_anybody(const course::FileInfo& file) const {
  return file.chunks.empty() || !options_.extra_peers.empty() ||
         std::ranges::any_of(file.chunks, [](const course::ChunkRecord& chunk) { return !chunk.peers.empty(); });
}

void CourseSearch::note_failure(swarm::QueryFailure failure, std::string message) {
  actions_.push_back(tracker_trace(TrackerFate::failed, asked_, "", message));
  failures_.push_back(failure);
  failure_messages_.append(failure_messages_.empty() ? "" : "; ").append(message);
}

void CourseSearch::give_up() {
  is_exhausted_ = true;
  if (last_resort_) {
    result_ = std::move(*last_resort_);
    return;
  }
  seam::Finish finish;
  if (failures_.empty()) {
    finish.result = Result::nothing_found;
    finish.message = "no tracker answered on UDP port " + std::to_string(options_.discovery_port) + ", asked from " +
                     describe_addresses(options_.interfaces);
    finish.message += "; start one with 'shoal course tracker', or name one with '--step 2 --tracker HOST:PORT'";
  } else {
    const auto is_refusal = [](swarm::QueryFailure failure) { return failure == swarm::QueryFailure::refused; };
    finish.result = std::ranges::all_of(failures_, is_refusal)          ? Result::refused
                    : std::ranges::all_of(failures_, swarm::is_timeout) ? Result::timed_out
                                                                        : Result::nothing_found;
    finish.message = failure_messages_ + "; check that the tracker runs and shares a file, or name another one";
  }
  result_ = std::unexpected(std::move(finish));
}

seam::ReadTargets CourseSearch::next_read(seam::ConnId conn) {
  if (!query_ || query_->conn() != conn) return {};
  return query_->next_read();
}

std::optional<Instant> CourseSearch::next_deadline() const {
  std::optional<Instant> next;
  if (query_) next = query_->next_deadline();
  if (finder_) {
    const auto other = finder_->next_deadline();
    if (other && (!next || *other < *next)) next = other;
  }
  return next;
}

seam::Actions CourseSearch::take_actions() {
  return std::exchange(actions_, {});
}

void CourseSearch::collect(seam::Actions actions) {
  actions_.insert(actions_.end(), std::make_move_iterator(actions.begin()), std::make_move_iterator(actions.end()));
}

}  // namespace shoal::roles
