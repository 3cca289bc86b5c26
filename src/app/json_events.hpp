// --json: every trace a user may want, as one JSON object per line on stdout. Field names are stable.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/endpoint.hpp"
#include "base/time.hpp"
#include "base/utf8.hpp"
#include "seam/actions.hpp"
#include "seam/trace.hpp"

namespace shoal::app {

// The events of one machine, as its runner gives them.
class JsonEvents {
 public:
  // `begun_after`: how long the program had run when the machine began, for events count from the program's begin.
  explicit JsonEvents(base::Duration begun_after) : begun_after_(begun_after) {}

  // Nothing for traces that are only of use inside (single messages, single reads).
  [[nodiscard]] std::optional<std::string> describe(const seam::Trace& trace, base::Instant now);
  [[nodiscard]] std::string describe(const seam::Finish& finish, base::Instant now) const;

 private:
  const base::Duration begun_after_;
  std::map<base::Endpoint, std::string> web_seeds_;  // their URLs
};

[[nodiscard]] std::string json_of_error(const std::string& message, int exit_code);
// What split, merge and check made or found.
[[nodiscard]] std::string json_of_result(std::string_view what, std::string_view path, std::uint64_t bytes,
                                         std::uint32_t chunks);
[[nodiscard]] std::string json_of_listening(const std::string& what, const std::string& endpoint);

using base::to_utf8;

}  // namespace shoal::app
