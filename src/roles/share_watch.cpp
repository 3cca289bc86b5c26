#include "roles/share_watch.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "roles/swarm_context.hpp"
#include "wire/http.hpp"

namespace shoal::roles {
namespace {

using base::Instant;
using Result = seam::Finish::Result;
using wire::AnnounceEvent;

constexpr base::Duration kLookTimeout = std::chrono::seconds(5);
constexpr base::Duration kIntervalUsual = std::chrono::minutes(2);
constexpr base::Duration kIntervalLeast = std::chrono::seconds(30);
constexpr base::Duration kIntervalMost = std::chrono::minutes(30);
constexpr int kStatusNotFound = 404;

}  // namespace

void ShareWatch::start(Instant now) {
  next_look_ = now + kWatchEvery;
  if (options_.announces) announce(AnnounceEvent::started);
}

void ShareWatch::on_event(seam::Event&& event, Instant now) {
  if (is_over_) return;
  if (std::holds_alternative<seam::StopRequested>(event)) {
    stop(now);
  } else if (std::holds_alternative<seam::DeadlineReached>(event)) {
    on_deadline(now);
  } else if (const auto* fetched = std::get_if<seam::Fetched>(&event)) {
    on_answered(fetched->fetch, fetched, now);
  } else if (const auto* failed = std::get_if<seam::FetchFailed>(&event)) {
    on_answered(failed->fetch, nullptr, now);
  }
}

std::optional<Instant> ShareWatch::next_deadline() const {
  if (is_over_) return std::nullopt;
  return ends_ ? ends_ : earlier(next_look_, next_announce_);
}

void ShareWatch::on_deadline(Instant now) {
  if (ends_) {
    if (now < *ends_) return;
    return end(is_stopping_ ? Result::interrupted : Result::nothing_found, trouble_);
  }
  if (next_look_ && now >= *next_look_) look();
  if (next_announce_ && now >= *next_announce_) {
    announce(is_known_there_ ? AnnounceEvent::none : AnnounceEvent::started);
  }
}

void ShareWatch::look() {
  next_look_.reset();
  looking_ = ask({.fetch = {}, .url = {}, .method = "HEAD", .timeout = kLookTimeout},
                 fmt::format("/shares/{}.torrent", options_.info_hash.to_hex()));
}

void ShareWatch::announce(AnnounceEvent event) {
  next_announce_.reset();
  const wire::AnnounceRequest request{.info_hash = options_.info_hash,
                                      .peer_id = options_.peer_id,
                                      .port = options_.port,
                                      .event = event,
                                      .peers_wanted = 0};
  announcing_ = ask({.fetch = {}, .url = {}}, "/announce?" + wire::encode_announce_query(request));
}

void ShareWatch::on_answered(seam::FetchId fetch, const seam::Fetched* answer, Instant now) {
  if (fetch == looking_) {
    looking_.reset();
    on_looked(answer, now);
  } else if (fetch == announcing_) {
    announcing_.reset();
    on_announced(answer, now);
  }
}

void ShareWatch::on_looked(const seam::Fetched* answer, Instant now) {
  if (ends_) return;
  misses_ = answer == nullptr ? misses_ + 1 : 0;
  const bool is_forgotten = answer != nullptr && answer->status == kStatusNotFound;
  if (!is_forgotten && misses_ < kMissesMax) {
    next_look_ = now + (misses_ > 0 ? kWatchAgain : kWatchEvery);
    return;
  }
  trouble_ = fmt::format("tracker {} {}", options_.tracker.to_string(),
                         is_forgotten ? "does not list the share any more" : "does not answer any more");
  ends_ = now + base::from_seconds(rng_.unit() * base::to_seconds(options_.wait_max));
}

void ShareWatch::on_announced(const seam::Fetched* answer, Instant now) {
  if (is_stopping_) return end(Result::interrupted, {});
  const auto parsed = answer == nullptr || answer->status != wire::kHttpOk
                          ? std::nullopt
                          : wire::parse_http_announce_reply(answer->body);
  const auto* reply = parsed ? std::get_if<wire::AnnounceReply>(&*parsed) : nullptr;
  if (reply == nullptr) {
    next_announce_ = now + kWatchEvery;
    return;
  }
  is_known_there_ = true;
  const base::Duration wanted = std::chrono::seconds(reply->interval_s);
  next_announce_ = now + (reply->interval_s == 0 ? kIntervalUsual : std::clamp(wanted, kIntervalLeast, kIntervalMost));
}

void ShareWatch::stop(Instant now) {
  if (is_stopping_) return;
  is_stopping_ = true;
  if (looking_) actions_.emplace_back(seam::CancelFetch{*looking_});
  if (announcing_) actions_.emplace_back(seam::CancelFetch{*announcing_});
  looking_.reset();
  if (!is_known_there_ && !announcing_) return end(Result::interrupted, {});
  announce(AnnounceEvent::stopped);
  ends_ = now + kWatchStopPatience;
}

seam::FetchId ShareWatch::ask(seam::Fetch fetch, std::string_view path) {
  fetch.fetch = seam::FetchId(++last_fetch_);
  fetch.url = fmt::format("http://{}{}", options_.tracker.to_string(), path);
  actions_.emplace_back(fetch);
  return fetch.fetch;
}

void ShareWatch::end(Result result, std::string message) {
  is_over_ = true;
  for (const auto& fetch : {looking_, announcing_}) {
    if (fetch) actions_.emplace_back(seam::CancelFetch{*fetch});
  }
  actions_.emplace_back(seam::Finish{.result = result, .message = std::move(message), .missing = {}, .path = ""});
}

}  // namespace shoal::roles
