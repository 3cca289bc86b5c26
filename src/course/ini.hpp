// The ini files of the course directory as sections, keys and values, with their lines. config.cpp turns these into
// meaning; nobody else reads ini files. docs/decisions/0002-own-ini-reader.md says why this is not a library.
//
// The format: [section] headers, `key = value` or `key : value`, split at the first separator; blanks around key and
// value do not count; a line that begins with # or ; is a comment, but both are ordinary characters inside a value,
// and so is %. Lines end with LF, CRLF or CR, the last one may lack its end, and a byte order mark may stand first.
// Keys are the same in either case and are kept in lower case; section names and values are kept as they are.
//
// Always holds for a parsed file: section names are unique, keys are unique within their section, neither is empty.
#pragma once

#include <cstddef>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace shoal::course {

// What is wrong with an ini file, and where. line 0: no one line of it.
struct ConfigError {
  std::size_t line = 0;
  std::string key;      // "alice.port_number", "chunks.7", "chunks" for a section; may be empty
  std::string message;  // what is wrong and what would be right

  // "config/file.ini:12: chunks.7: not a SHA-1 hash (40 hexadecimal digits)"
  [[nodiscard]] std::string describe(std::string_view path) const;
};

template <typename Value>
using Configured = std::expected<Value, ConfigError>;

struct IniEntry {
  std::string key;  // lower case
  std::string value;
  std::size_t line = 0;
};

struct IniSection {
  std::string name;
  std::size_t line = 0;
  std::vector<IniEntry> entries;  // in file order

  // Null when there is none. `key` is lower case.
  [[nodiscard]] const IniEntry* find(std::string_view key) const;
};

struct Ini {
  std::vector<IniSection> sections;  // in file order

  [[nodiscard]] const IniSection* find(std::string_view name) const;
};

[[nodiscard]] Configured<Ini> parse_ini(std::string_view text);

// Without the blanks at both ends.
[[nodiscard]] std::string_view trim_blanks(std::string_view text);

}  // namespace shoal::course
