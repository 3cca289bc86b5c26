#include "course/ini.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "base/ascii.hpp"

namespace shoal::course {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr std::string_view kBlanks = " \t\v\f";

bool is_comment(std::string_view line) {
  return line.starts_with('#') || line.starts_with(';');
}

class IniParser {
 public:
  Configured<Ini> parse(std::string_view text) {
    if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
    while (!text.empty()) {
      ++line_number_;
      const std::string_view line = trim_blanks(take_line(text));
      if (line.empty() || is_comment(line)) continue;
      const auto added = line.starts_with('[') ? add_section(line) : add_entry(line);
      if (!added) return std::unexpected(added.error());
    }
    return std::move(ini_);
  }

 private:
  static std::string_view take_line(std::string_view& text) {
    const std::size_t end = text.find_first_of("\r\n");
    const std::string_view line = text.substr(0, end);
    if (end == std::string_view::npos) {
      text = {};
    } else {
      text.remove_prefix(text.substr(end).starts_with("\r\n") ? end + 2 : end + 1);
    }
    return line;
  }

  Configured<void> add_section(std::string_view line) {
    const std::size_t end = line.find(']');
    if (end == std::string_view::npos) return wrong("", "a section header lacks its ']'");
    const std::string_view rest = trim_blanks(line.substr(end + 1));
    if (!rest.empty() && !is_comment(rest)) return wrong("", "something stands behind the section header's ']'");
    std::string name(line.substr(1, end - 1));
    if (name.empty()) return wrong("", "a section has no name");
    const auto [known, is_new] = section_lines_.try_emplace(name, line_number_);
    if (!is_new) return wrong(name, fmt::format("this section is there already, at line {}", known->second));
    ini_.sections.push_back({std::move(name), line_number_, {}});
    key_lines_.clear();
    return {};
  }

  Configured<void> add_entry(std::string_view line) {
    const std::size_t separator = line.find_first_of("=:");
    if (separator == std::string_view::npos) return wrong("", "neither a [section], nor 'key = value', nor a comment");
    std::string key = base::ascii_lower(trim_blanks(line.substr(0, separator)));
    if (key.empty()) return wrong("", fmt::format("nothing stands before the '{}'", line[separator]));
    if (ini_.sections.empty()) return wrong(std::move(key), "stands before the first [section]");
    IniSection& section = ini_.sections.back();
    const auto [known, is_new] = key_lines_.try_emplace(key, line_number_);
    if (!is_new) {
      return wrong(section.name + "." + key, fmt::format("is there already, at line {}", known->second));
    }
    section.entries.push_back({std::move(key), std::string(trim_blanks(line.substr(separator + 1))), line_number_});
    return {};
  }

  [[nodiscard]] std::unexpected<ConfigError> wrong(std::string key, std::string message) const {
    return std::unexpected(ConfigError{line_number_, std::move(key), std::move(message)});
  }

  Ini ini_;
  std::size_t line_number_ = 0;
  std::unordered_map<std::string, std::size_t> section_lines_;
  std::unordered_map<std::string, std::size_t> key_lines_;  // of the section being read
};

}  // namespace

std::string ConfigError::describe(std::string_view path) const {
  std::string text(path);
  if (line > 0) text += fmt::format(":{}", line);
  if (!key.empty()) text += ": " + key;
  return text + ": " + message;
}

const IniEntry* IniSection::find(std::string_view key) const {
  const auto found = std::ranges::find(entries, key, &IniEntry::key);
  return found == entries.end() ? nullptr : &*found;
}

const IniSection* Ini::find(std::string_view name) const {
  const auto found = std::ranges::find(sections, name, &IniSection::name);
  return found == sections.end() ? nullptr : &*found;
}

Configured<Ini> parse_ini(std::string_view text) {
  return IniParser().parse(text);
}

std::string_view trim_blanks(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

}  // namespace shoal::course
