// Bencoding (BEP 3): untrusted bytes to a value or an error, and values to bytes. Used by metainfo, wire and the
// tracker.
//
// Always holds: a decoded value remembers which bytes it was (`raw`), so that an info dictionary hashes to what its
// author hashed; nesting deeper than kDepthMax, more than kValuesMax values, a length beyond the input, repeated keys,
// leading zeros and "-0" are errors, and so are unsorted keys unless they are allowed; the input outlives the value
// (strings are views into it).
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.hpp"

namespace shoal::bencode {

inline constexpr int kDepthMax = 32;
inline constexpr std::size_t kValuesMax = 2u << 20;

enum class Error : std::uint8_t {
  truncated,    // the input ends inside a value
  bad_integer,  // empty, leading zero, -0, not a number, or outside int64
  bad_length,   // of a string: leading zero, not a number, or outside int64
  too_deep,
  too_many_values,
  key_not_string,
  unsorted_keys,  // also repeated ones
  bad_token,      // a byte that begins no value
  trailing_bytes,
};
[[nodiscard]] std::string_view describe(Error error);

struct ErrorAt {
  Error error = Error::truncated;
  std::size_t offset = 0;  // where in the input the value begins that is wrong
  friend bool operator==(const ErrorAt&, const ErrorAt&) = default;
};

class Value;
struct Entry;
using List = std::vector<Value>;
using Dictionary = std::vector<Entry>;  // sorted by key

class Value {
 public:
  std::variant<std::int64_t, std::string_view, List, Dictionary> content;
  base::ByteView raw;  // the encoding it was decoded from

  // Null when it is of another kind.
  [[nodiscard]] const std::int64_t* integer() const { return std::get_if<std::int64_t>(&content); }
  [[nodiscard]] const std::string_view* string() const { return std::get_if<std::string_view>(&content); }
  [[nodiscard]] const List* list() const { return std::get_if<List>(&content); }
  [[nodiscard]] const Dictionary* dictionary() const { return std::get_if<Dictionary>(&content); }
  // The value under a key of a dictionary; null when this is none or has no such key.
  [[nodiscard]] const Value* find(std::string_view key) const;
  // The same, of that kind.
  [[nodiscard]] const std::int64_t* find_integer(std::string_view key) const;
  [[nodiscard]] const std::string_view* find_string(std::string_view key) const;
  [[nodiscard]] const List* find_list(std::string_view key) const;
};

struct Entry {
  std::string_view key;
  Value value;
};

// Some programs write .torrent files, and some trackers their answers, with keys as they come, and all others read
// them.
enum class Keys : std::uint8_t { sorted, in_any_order };

// The whole input is one value.
[[nodiscard]] std::expected<Value, ErrorAt> parse(base::ByteView bytes, Keys keys = Keys::sorted);
// The value at the front; what follows it is left alone (BEP 9: payload behind a dictionary). `raw` tells its length.
[[nodiscard]] std::expected<Value, ErrorAt> parse_prefix(base::ByteView bytes, Keys keys = Keys::sorted);

// Writes values one after the other: begin_dictionary() key() integer() ... end(). Keys must come sorted (checked).
class Writer {
 public:
  Writer& integer(std::int64_t value);
  Writer& string(std::string_view value);
  Writer& string(base::ByteView value) { return string(base::text_of(value)); }
  Writer& raw(base::ByteView encoded);  // a whole encoded value
  Writer& begin_list();
  Writer& begin_dictionary();
  Writer& key(std::string_view key);
  Writer& end();
  [[nodiscard]] base::Bytes take();  // everything begun was ended

 private:
  struct Open {
    bool is_dictionary = false;
    bool awaits_value = false;  // a key was written
    std::optional<std::string> last_key;
  };
  void before_value();
  Writer& append(std::string_view text);

  std::vector<Open> open_;
  base::Bytes bytes_;
};

}  // namespace shoal::bencode
