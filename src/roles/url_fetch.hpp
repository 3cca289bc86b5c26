// One HTTP request, as a machine: `shoal get URL` begins with it, `shoal share` ends with one. It ends with Finish and
// keeps what it got.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "base/bytes.hpp"
#include "seam/machine.hpp"

namespace shoal::roles {

class UrlFetch final : public seam::Machine {
 public:
  explicit UrlFetch(seam::Fetch fetch) : fetch_(std::move(fetch)) {}

  void start(base::Instant now) override;
  void on_event(seam::Event&& event, base::Instant now) override;
  [[nodiscard]] seam::ReadTargets next_read(seam::ConnId) override { return {}; }
  [[nodiscard]] std::optional<base::Instant> next_deadline() const override { return std::nullopt; }
  [[nodiscard]] seam::Actions take_actions() override { return std::exchange(actions_, {}); }

  // After Finish::Result::done.
  [[nodiscard]] const base::Bytes& body() const { return body_; }

 private:
  void end(seam::Finish::Result result, std::string message);

  seam::Fetch fetch_;
  base::Bytes body_;
  seam::Actions actions_;
};

}  // namespace shoal::roles
