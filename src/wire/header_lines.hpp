// The lines of an HTTP head, and of what is written like one. Used by http and local_discovery.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace shoal::wire {

// Takes whole lines from the front. A line ends with a line feed; a carriage return before it belongs to the end.
class HeaderLines {
 public:
  explicit HeaderLines(std::string_view text) : rest_(text) {}

  // Without its end. Nothing when no whole line is left.
  std::optional<std::string_view> next();
  [[nodiscard]] std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

struct HeaderField {
  std::string name;  // in lower case
  std::string_view value;
};
// "Name: value" with blanks around the value only. Nothing when there is no name, or a character that a field cannot
// have.
[[nodiscard]] std::optional<HeaderField> parse_header_field(std::string_view line);

// RFC 9110, 5.6.2: names of methods and fields.
[[nodiscard]] bool is_token(std::string_view text);
[[nodiscard]] std::string_view without_blanks_around(std::string_view text);

}  // namespace shoal::wire
