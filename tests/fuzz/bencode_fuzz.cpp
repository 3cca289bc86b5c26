// Bencoding has one spelling for each value: whatever is accepted is written back byte for byte, every value's own
// bytes read as that value alone, and an error points into the input. Where keys may come in any order, all are found.
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/check.hpp"
#include "bencode/bencode.hpp"

namespace shoal::bencode {
namespace {

void write(Writer& out, const Value& value) {
  if (const auto* integer = value.integer()) {
    out.integer(*integer);
  } else if (const auto* string = value.string()) {
    out.string(*string);
  } else if (const auto* list = value.list()) {
    out.begin_list();
    for (const Value& item : *list) write(out, item);
    out.end();
  } else {
    out.begin_dictionary();
    for (const auto& [key, item] : *value.dictionary()) write(out.key(key), item);
    out.end();
  }
}

base::Bytes written(const Value& value) {
  Writer out;
  write(out, value);
  return out.take();
}

// The values inside are read again too, but only some levels deep: each level costs the whole input once more.
void check_inside(const Value& value, int levels) {
  SHOAL_CHECK(std::ranges::equal(written(value), value.raw));
  if (levels == 0) return;
  if (const auto* list = value.list()) {
    for (const Value& item : *list) check_inside(item, levels - 1);
  }
  if (const auto* dictionary = value.dictionary()) {
    for (const auto& [key, item] : *dictionary) {
      SHOAL_CHECK(value.find(key) == &item);
      check_inside(item, levels - 1);
    }
  }
}

// Keys in any order: everything is found, and what is sorted reads the same.
void check_any_order(base::ByteView input, bool is_sorted) {
  const auto value = parse(input, Keys::in_any_order);
  SHOAL_CHECK(value || !is_sorted);
  SHOAL_CHECK(!value || parse_prefix(input, Keys::in_any_order));
  if (!value || value->dictionary() == nullptr) return;
  for (const auto& [key, item] : *value->dictionary()) SHOAL_CHECK(value->find(key) == &item);
  SHOAL_CHECK(!is_sorted || std::ranges::equal(written(*value), input));
}

void check(base::ByteView input) {
  const auto prefix = parse_prefix(input);
  const auto whole = parse(input);
  check_any_order(input, whole.has_value());
  if (!prefix) {
    SHOAL_CHECK(!whole && whole.error() == prefix.error());
    SHOAL_CHECK(prefix.error().offset <= input.size());
    SHOAL_CHECK(!describe(prefix.error().error).empty());
    return;
  }
  const bool is_whole = prefix->raw.size() == input.size();
  SHOAL_CHECK(whole.has_value() == is_whole);
  SHOAL_CHECK(is_whole || whole.error() == (ErrorAt{Error::trailing_bytes, prefix->raw.size()}));
  SHOAL_CHECK(prefix->raw.data() == input.data());
  check_inside(*prefix, 3);
  // What was read does not depend on what follows.
  SHOAL_CHECK(parse(input.first(prefix->raw.size())));
  const auto cut = parse(input.first(prefix->raw.size() - 1));
  SHOAL_CHECK(!cut && cut.error().error == Error::truncated);
}

}  // namespace
}  // namespace shoal::bencode

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  shoal::bencode::check(std::as_bytes(std::span(data, size)));
  return 0;
}
