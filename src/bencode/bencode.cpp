#include "bencode/bencode.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "base/check.hpp"

namespace shoal::bencode {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// A decimal number as bencoding writes it: no sign but '-', no leading zero, no "-0".
std::optional<std::int64_t> parse_number(std::string_view digits) {
  const std::string_view magnitude = digits.starts_with('-') ? digits.substr(1) : digits;
  if (magnitude.empty() || !is_digit(magnitude.front())) return std::nullopt;
  if (magnitude.front() == '0' && digits.size() > 1) return std::nullopt;
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

class Parser {
 public:
  Parser(base::ByteView bytes, Keys keys) : bytes_(bytes), text_(base::text_of(bytes)), keys_(keys) {}

  // Nesting is bounded, and so is recursion. `depth`: how many lists and dictionaries are open.
  std::expected<Value, ErrorAt> value(int depth) {
    const std::size_t begin = at_;
    if (at_ == text_.size()) return wrong(Error::truncated, begin);
    if (++values_ > kValuesMax) return wrong(Error::too_many_values, begin);
    Value value;
    if (const auto read = content(value, depth); !read) return std::unexpected(read.error());
    value.raw = bytes_.subspan(begin, at_ - begin);
    return value;
  }
  [[nodiscard]] std::size_t at() const { return at_; }

 private:
  using Read = std::expected<void, ErrorAt>;

  static std::unexpected<ErrorAt> wrong(Error error, std::size_t offset) {
    return std::unexpected(ErrorAt{error, offset});
  }

  Read content(Value& value, int depth) {
    const char first = text_[at_];
    if (first == 'i') return integer(value.content.emplace<std::int64_t>());
    if (is_digit(first)) return string(value.content.emplace<std::string_view>());
    if (first != 'l' && first != 'd') return wrong(Error::bad_token, at_);
    if (depth == kDepthMax) return wrong(Error::too_deep, at_);
    ++at_;
    return first == 'l' ? list(value.content.emplace<List>(), depth + 1)
                        : dictionary(value.content.emplace<Dictionary>(), depth + 1);
  }

  // What stands before the next `end` byte as a number. An input that ends inside what could still become one is cut
  // short; anything else is `otherwise`.
  std::expected<std::int64_t, ErrorAt> number_before(char end, std::size_t value_begin, Error otherwise) {
    std::size_t stop = at_;
    while (stop < text_.size() && (is_digit(text_[stop]) || text_[stop] == '-')) ++stop;
    const std::string_view digits = text_.substr(at_, stop - at_);
    const auto number = parse_number(digits);
    if (stop == text_.size() && (number || digits.empty() || digits == "-"))
      return wrong(Error::truncated, value_begin);
    if (!number || text_[stop] != end) return wrong(otherwise, value_begin);
    at_ = stop + 1;
    return *number;
  }

  Read integer(std::int64_t& integer) {
    const std::size_t begin = at_++;
    const auto number = number_before('e', begin, Error::bad_integer);
    if (!number) return std::unexpected(number.error());
    integer = *number;
    return {};
  }

  Read string(std::string_view& string) {
    const std::size_t begin = at_;
    const auto length = number_before(':', begin, Error::bad_length);
    if (!length) return std::unexpected(length.error());
    if (static_cast<std::uint64_t>(*length) > text_.size() - at_) return wrong(Error::truncated, begin);
    string = text_.substr(at_, static_cast<std::size_t>(*length));
    at_ += string.size();
    return {};
  }

  Read list(List& list, int depth) {
    while (at_ < text_.size() && text_[at_] != 'e') {
      auto item = value(depth);
      if (!item) return std::unexpected(item.error());
      list.push_back(std::move(*item));
    }
    return end_of_container();
  }

  Read dictionary(Dictionary& dictionary, int depth) {
    bool is_sorted = true;
    while (at_ < text_.size() && text_[at_] != 'e') {
      const std::size_t key_begin = at_;
      if (!is_digit(text_[at_])) return wrong(Error::key_not_string, key_begin);
      std::string_view key;
      if (const Read read = string(key); !read) return read;
      if (!dictionary.empty() && key <= dictionary.back().key) {
        if (keys_ == Keys::sorted || key == dictionary.back().key) return wrong(Error::unsorted_keys, key_begin);
        is_sorted = false;
      }
      auto item = value(depth);
      if (!item) return std::unexpected(item.error());
      dictionary.push_back({key, std::move(*item)});
    }
    if (!is_sorted) {
      if (const Read sorted = sort(dictionary); !sorted) return sorted;
    }
    return end_of_container();
  }

  Read sort(Dictionary& dictionary) {
    // The same keys stay in the order of the input.
    std::ranges::sort(dictionary, {}, [](const Entry& entry) { return std::pair(entry.key, entry.key.data()); });
    const auto same = std::ranges::adjacent_find(dictionary, {}, &Entry::key);
    if (same == dictionary.end()) return {};
    const std::string_view again = std::next(same)->key;
    const std::size_t length_bytes = std::to_string(again.size()).size() + 1;
    return wrong(Error::unsorted_keys, static_cast<std::size_t>(again.data() - text_.data()) - length_bytes);
  }

  Read end_of_container() {
    if (at_ == text_.size()) return wrong(Error::truncated, at_);
    ++at_;
    return {};
  }

  base::ByteView bytes_;
  std::string_view text_;  // the same bytes
  Keys keys_;
  std::size_t at_ = 0;
  std::size_t values_ = 0;
};

template <typename Kind>
const Kind* find_kind(const Value& dictionary, std::string_view key) {
  const Value* value = dictionary.find(key);
  return value == nullptr ? nullptr : std::get_if<Kind>(&value->content);
}

}  // namespace

std::string_view describe(Error error) {
  switch (error) {
    case Error::truncated:
      return "it ends inside a value";
    case Error::bad_integer:
      return "an integer is empty, not a number, has a leading zero or does not fit in 64 bits";
    case Error::bad_length:
      return "the length of a string is not a number or has a leading zero";
    case Error::too_deep:
      return "lists and dictionaries are nested too deeply";
    case Error::too_many_values:
      return "there are too many values";
    case Error::key_not_string:
      return "the key of a dictionary is not a string";
    case Error::unsorted_keys:
      return "the keys of a dictionary are not sorted, or one is there twice";
    case Error::bad_token:
      return "a byte begins no value";
    case Error::trailing_bytes:
      return "something follows its end";
  }
  return "unknown";
}

const Value* Value::find(std::string_view key) const {
  const Dictionary* entries = dictionary();
  if (entries == nullptr) return nullptr;
  const auto found = std::ranges::lower_bound(*entries, key, {}, &Entry::key);
  return found != entries->end() && found->key == key ? &found->value : nullptr;
}

const std::int64_t* Value::find_integer(std::string_view key) const {
  return find_kind<std::int64_t>(*this, key);
}

const std::string_view* Value::find_string(std::string_view key) const {
  return find_kind<std::string_view>(*this, key);
}

const List* Value::find_list(std::string_view key) const {
  return find_kind<List>(*this, key);
}

std::expected<Value, ErrorAt> parse(base::ByteView bytes, Keys keys) {
  auto value = Parser(bytes, keys).value(0);
  if (value && value->raw.size() != bytes.size()) {
    return std::unexpected(ErrorAt{Error::trailing_bytes, value->raw.size()});
  }
  return value;
}

std::expected<Value, ErrorAt> parse_prefix(base::ByteView bytes, Keys keys) {
  return Parser(bytes, keys).value(0);
}

Writer& Writer::integer(std::int64_t value) {
  before_value();
  return append("i").append(std::to_string(value)).append("e");
}

Writer& Writer::string(std::string_view value) {
  before_value();
  return append(std::to_string(value.size())).append(":").append(value);
}

Writer& Writer::raw(base::ByteView encoded) {
  SHOAL_CHECK(!encoded.empty());
  before_value();
  return append(base::text_of(encoded));
}

Writer& Writer::begin_list() {
  before_value();
  open_.push_back({});
  return append("l");
}

Writer& Writer::begin_dictionary() {
  before_value();
  open_.push_back({.is_dictionary = true});
  return append("d");
}

Writer& Writer::key(std::string_view key) {
  SHOAL_CHECK(!open_.empty() && open_.back().is_dictionary && !open_.back().awaits_value);
  Open& dictionary = open_.back();
  SHOAL_CHECK(!dictionary.last_key || *dictionary.last_key < key);
  dictionary.last_key = key;
  dictionary.awaits_value = true;
  return append(std::to_string(key.size())).append(":").append(key);
}

Writer& Writer::end() {
  SHOAL_CHECK(!open_.empty() && !open_.back().awaits_value);
  open_.pop_back();
  return append("e");
}

base::Bytes Writer::take() {
  SHOAL_CHECK(open_.empty());
  return std::exchange(bytes_, {});
}

void Writer::before_value() {
  if (open_.empty() || !open_.back().is_dictionary) return;
  SHOAL_CHECK(open_.back().awaits_value);
  open_.back().awaits_value = false;
}

Writer& Writer::append(std::string_view text) {
  const base::ByteView bytes = base::view_of(text);
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  return *this;
}

}  // namespace shoal::bencode
