// One document from the web, as a machine: `shoal get URL` begins with it. It ends with Finish and keeps what it got.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <utility>

#include "base/bytes.hpp"
#include "seam/machine.hpp"

namespace shoal::roles {

class UrlFetch final : public seam::Machine {
 public:
  UrlFetch(std::string url, std::size_t bytes_max) : url_(std::move(url)), bytes_max_(bytes_max) {}

  void start(base::Instant now) override;
  void on_event(seam::Event&& event, base::Instant now) override;
  [[nodiscard]] seam::ReadTargets next_read(seam::ConnId) override { return {}; }
  [[nodiscard]] std::optional<base::Instant> next_deadline() const override { return std::nullopt; }
  [[nodiscard]] seam::Actions take_actions() override { return std::exchange(actions_, {}); }

  // After Finish::Result::done.
  [[nodiscard]] const base::Bytes& body() const { return body_; }

 private:
  void end(seam::Finish::Result result, std::string message);

  std::string url_;
  std::size_t bytes_max_;
  base::Bytes body_;
  seam::Actions actions_;
};

}  // namespace shoal::roles
