#include "swarm/tracker_query.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

#include "base/check.hpp"

namespace shoal::swarm {
namespace {

using base::Instant;
using course::MessageType;

constexpr std::size_t kReadBytesMin = 4 * 1024;

std::string seconds_text(base::Duration duration) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.3g s", base::to_seconds(duration));
  return text.data();
}

}  // namespace

void TrackerQuery::start(Instant now) {
  SHOAL_CHECK(phase_ == Phase::over && !result_);
  started_ = now;
  dial(now);
}

void TrackerQuery::dial(Instant now) {
  received_.clear();
  filled_ = 0;
  header_.reset();
  conn_ = ids_.next();
  phase_ = Phase::connecting;
  deadline_ = now + options_.connect_timeout;
  actions_.push_back(seam::Dial{*conn_, options_.tracker});
}

void TrackerQuery::on_connected(base::Ipv4Address local, Instant now) {
  if (phase_ != Phase::connecting) return;
  local_ = local;
  ++asked_;
  phase_ = Phase::awaiting;
  deadline_ = now + options_.busy_wait;
  actions_.push_back(seam::Send{*conn_, course::encode_get_file_info()});
  trace(seam::MessageDirection::sent, MessageType::get_file_info, "");
}

void TrackerQuery::on_connect_failed(seam::NetError error, Instant now) {
  if (phase_ != Phase::connecting) return;
  conn_.reset();
  switch (error) {
    case seam::NetError::refused:
    case seam::NetError::reset:
      if (now + kRefusedRetryPause <= started_ + kRefusedRetryTime) {
        pause(kRefusedRetryPause, now);
      } else {
        fail(QueryFailure::refused, "refused the connection for " + seconds_text(now - started_));
      }
      return;
    case seam::NetError::timed_out:
      fail(QueryFailure::connect_silent, "did not answer the attempt to connect");
      return;
    case seam::NetError::unreachable:
    case seam::NetError::other:
      fail(QueryFailure::unreachable, "cannot be reached");
      return;
  }
}

seam::ReadTargets TrackerQuery::next_read() {
  seam::ReadTargets targets;
  if (phase_ != Phase::awaiting && phase_ != Phase::receiving) return targets;
  std::size_t wanted = std::max(filled_ + kReadBytesMin, filled_ * 2);
  if (header_) wanted = static_cast<std::size_t>(std::min<std::uint64_t>(wanted, header_->message_bytes()));
  received_.resize(std::max(received_.size(), wanted));
  targets.spans[0] = std::span(received_).subspan(filled_, wanted - filled_);
  return targets;
}

void TrackerQuery::on_bytes(std::size_t count, Instant now) {
  if (phase_ != Phase::awaiting && phase_ != Phase::receiving) return;
  filled_ += count;
  SHOAL_CHECK(filled_ <= received_.size());
  if (phase_ == Phase::awaiting) {
    phase_ = Phase::receiving;
    pace_.restart(now);
  } else {
    pace_.on_bytes(count);
  }
  if (!header_ && !take_header()) return;
  if (filled_ >= header_->message_bytes()) take_answer();
}

bool TrackerQuery::take_header() {
  const auto header = course::parse_header(base::ByteView(received_).first(filled_));
  if (!header) return false;
  const bool is_file_info =
      header->type == static_cast<std::uint8_t>(MessageType::file_info) || header->type == course::kFileInfoOldType;
  const bool is_error = header->type == static_cast<std::uint8_t>(MessageType::error);
  if (header->version != course::kVersion) {
    fail(QueryFailure::malformed, "answered in an unknown protocol version");
  } else if (!is_file_info && !is_error) {
    fail(QueryFailure::malformed, "answered with something else than a FILE_INFO");
  } else if (header->message_bytes() < course::kHeaderBytes) {
    fail(QueryFailure::malformed, "sent a message of an impossible length");
  } else if (is_error ? header->length_dwords > course::kRequestDwordsMax
                      : header->message_bytes() > options_.file_info_bytes_max) {
    fail(QueryFailure::malformed,
         "announced an answer of " + std::to_string(header->message_bytes()) + " bytes, more than is allowed");
  } else {
    header_ = *header;
  }
  return header_.has_value();
}

void TrackerQuery::take_answer() {
  const auto body =
      base::ByteView(received_).subspan(course::kHeaderBytes, static_cast<std::size_t>(header_->body_bytes()));
  if (header_->type == static_cast<std::uint8_t>(MessageType::error)) {
    const auto code = course::parse_error_body(body);
    const std::string name(code ? to_string(*code) : "unknown error code");
    trace(seam::MessageDirection::received, MessageType::error, name);
    fail(QueryFailure::error_answer, "answered with an ERROR (" + name + ")");
    return;
  }
  auto file = course::parse_file_info_body(body);
  if (!file) {
    fail(QueryFailure::malformed,
         "sent a FILE_INFO that cannot be understood (" + std::string(to_string(file.error())) + ")");
    return;
  }
  trace(seam::MessageDirection::received, MessageType::file_info, std::to_string(file->chunks.size()) + " chunks");
  close_all();
  phase_ = Phase::over;
  received_ = {};
  result_ = TrackerAnswer{std::move(*file), local_};
}

void TrackerQuery::on_input_ended(Instant now) {
  if (phase_ != Phase::awaiting && phase_ != Phase::receiving) return;
  close();
  on_broken(now);
}

void TrackerQuery::on_connection_lost(Instant now) {
  if (phase_ != Phase::awaiting && phase_ != Phase::receiving) return;
  conn_.reset();
  on_broken(now);
}

void TrackerQuery::on_broken(Instant now) {
  if (asked_ < kAskTriesMax) {
    pause(kAskRetryPause, now);
  } else {
    fail(QueryFailure::closed, filled_ == 0 ? "closed the connection without an answer"
                                            : "closed the connection in the middle of its answer");
  }
}

void TrackerQuery::on_deadline(Instant now) {
  const auto deadline = next_deadline();
  if (!deadline || now < *deadline) return;
  switch (phase_) {
    case Phase::connecting:
      fail(QueryFailure::connect_silent, "did not answer the attempt to connect for " + seconds_text(now - started_));
      return;
    case Phase::awaiting:
      if (asked_ < kAskTriesMax) {
        // A tracker that serves one at a time may still get to this connection: closed, its answer would be reset.
        waiting_.push_back(*conn_);
        dial(now);
      } else {
        fail(QueryFailure::silent, "accepted the connection but did not answer for " + seconds_text(now - started_) +
                                       "; it may be busy with somebody else");
      }
      return;
    case Phase::receiving:
      if (!pace_.is_kept(now)) fail(QueryFailure::stalled, "stopped in the middle of its answer, or nearly");
      return;
    case Phase::pausing:
      dial(now);
      return;
    case Phase::over:
      return;
  }
}

std::optional<Instant> TrackerQuery::next_deadline() const {
  if (phase_ == Phase::over) return std::nullopt;
  return phase_ == Phase::receiving ? pace_.deadline() : deadline_;
}

void TrackerQuery::pause(base::Duration duration, Instant now) {
  phase_ = Phase::pausing;
  deadline_ = now + duration;
}

void TrackerQuery::close() {
  if (conn_) actions_.push_back(seam::Close{*conn_});
  conn_.reset();
}

void TrackerQuery::close_all() {
  close();
  for (const seam::ConnId conn : std::exchange(waiting_, {})) actions_.push_back(seam::Close{conn});
}

void TrackerQuery::trace(seam::MessageDirection direction, MessageType type, std::string detail) {
  actions_.push_back(seam::Tell{seam::MessageTrace{.direction = direction,
                                                   .remote = options_.tracker,
                                                   .message = std::string(to_string(type)),
                                                   .detail = std::move(detail)}});
}

void TrackerQuery::fail(QueryFailure failure, const std::string& what) {
  close_all();
  phase_ = Phase::over;
  received_ = {};
  result_ = std::unexpected(QueryError{failure, "tracker " + options_.tracker.to_string() + " " + what});
}

}  // namespace shoal::swarm
