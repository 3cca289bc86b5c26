#include "roles/url_fetch.hpp"

#include <fmt/format.h>

#include "wire/http.hpp"

namespace shoal::roles {

void UrlFetch::start(base::Instant) {
  actions_.push_back(fetch_);
}

void UrlFetch::on_event(seam::Event&& event, base::Instant) {
  using Result = seam::Finish::Result;
  if (auto* fetched = std::get_if<seam::Fetched>(&event)) {
    if (fetched->status != wire::kHttpOk) {
      return end(Result::nothing_found,
                 fmt::format("{}: the server answered with status {}", fetch_.url, fetched->status));
    }
    body_ = std::move(fetched->body);
    end(Result::done, {});
  } else if (const auto* failed = std::get_if<seam::FetchFailed>(&event)) {
    end(Result::nothing_found, fmt::format("{}: {}", fetch_.url, failed->reason));
  } else if (std::holds_alternative<seam::StopRequested>(event)) {
    actions_.push_back(seam::CancelFetch{fetch_.fetch});
    end(Result::interrupted, "interrupted");
  }
}

void UrlFetch::end(seam::Finish::Result result, std::string message) {
  actions_.push_back(seam::Finish{.result = result, .message = std::move(message)});
}

}  // namespace shoal::roles
