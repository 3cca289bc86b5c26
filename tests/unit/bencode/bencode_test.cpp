#include "bencode/bencode.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace shoal::bencode {
namespace {

using namespace std::string_literals;

// A value as a person writes it: 7, "text", [1, 2], {"a": 1}.
std::string shown(const Value& value) {
  if (const auto* integer = value.integer()) return std::to_string(*integer);
  if (const auto* string = value.string()) return '"' + std::string(*string) + '"';
  std::string text;
  if (const auto* list = value.list()) {
    for (const Value& item : *list) text += (text.empty() ? "" : ", ") + shown(item);
    return "[" + text + "]";
  }
  for (const auto& [key, item] : *value.dictionary()) {
    text += (text.empty() ? "\"" : ", \"") + std::string(key) + "\": " + shown(item);
  }
  return "{" + text + "}";
}

std::string read(std::string_view encoded) {
  const auto value = parse(base::view_of(encoded));
  return value ? shown(*value) : "error: " + std::string(describe(value.error().error));
}

ErrorAt error_of(std::string_view encoded) {
  const auto value = parse(base::view_of(encoded));
  EXPECT_FALSE(value) << encoded.substr(0, 80);
  return value ? ErrorAt{} : value.error();
}

void expect_error(std::string_view encoded, Error error, std::size_t offset) {
  const ErrorAt found = error_of(encoded);
  EXPECT_EQ(describe(found.error), describe(error)) << encoded.substr(0, 80);
  EXPECT_EQ(found.offset, offset) << encoded.substr(0, 80);
}

std::string written(Writer& writer) {
  return std::string(base::text_of(writer.take()));
}

TEST(Bencode, ReadsTheExamplesOfTheSpecification) {
  EXPECT_EQ(read("4:spam"), "\"spam\"");
  EXPECT_EQ(read("i3e"), "3");
  EXPECT_EQ(read("i-3e"), "-3");
  EXPECT_EQ(read("l4:spam4:eggse"), "[\"spam\", \"eggs\"]");
  EXPECT_EQ(read("d3:cow3:moo4:spam4:eggse"), "{\"cow\": \"moo\", \"spam\": \"eggs\"}");
  EXPECT_EQ(read("d4:spaml1:a1:bee"), "{\"spam\": [\"a\", \"b\"]}");
}

TEST(Bencode, ReadsWhatIsEmpty) {
  EXPECT_EQ(read("0:"), "\"\"");
  EXPECT_EQ(read("le"), "[]");
  EXPECT_EQ(read("de"), "{}");
  EXPECT_EQ(read("d0:0:e"), "{\"\": \"\"}");
}

TEST(Bencode, AStringHoldsAnyBytes) {
  EXPECT_EQ(read("4:\0\xff:e"s), "\"\0\xff:e\""s);
  EXPECT_EQ(read("10:0123456789"), "\"0123456789\"");
}

TEST(Bencode, ReadsEverySixtyFourBitInteger) {
  EXPECT_EQ(read("i0e"), "0");
  EXPECT_EQ(read("i9223372036854775807e"), "9223372036854775807");
  EXPECT_EQ(read("i-9223372036854775808e"), "-9223372036854775808");
}

TEST(Bencode, KeysAreOrderedAsBytes) {
  EXPECT_EQ(read("d1:Bi1e1:ai2e2:aai3e1:\xffi4ee"), "{\"B\": 1, \"a\": 2, \"aa\": 3, \"\xff\": 4}");
}

TEST(Bencode, RefusesIntegersThatAreNone) {
  for (const std::string_view wrong : {"ie", "i-e", "i+1e", "i1.5e", "i 1e", "i1 e", "ixe", "i--1e", "i1-e"}) {
    expect_error(wrong, Error::bad_integer, 0);
  }
  expect_error("li1ei1-1ee", Error::bad_integer, 4);
}

TEST(Bencode, RefusesSpellingsOfAnIntegerBesideTheOne) {
  for (const std::string_view wrong : {"i01e", "i00e", "i-0e", "i-01e"}) expect_error(wrong, Error::bad_integer, 0);
}

TEST(Bencode, RefusesIntegersBeyondSixtyFourBits) {
  expect_error("i9223372036854775808e", Error::bad_integer, 0);
  expect_error("i-9223372036854775809e", Error::bad_integer, 0);
  expect_error("i" + std::string(1000, '9') + "e", Error::bad_integer, 0);
}

TEST(Bencode, RefusesLengthsThatAreNone) {
  for (const std::string_view wrong : {"1a", "1-:a", "01:a", "00:", "1 :a"}) expect_error(wrong, Error::bad_length, 0);
  expect_error("-1:a", Error::bad_token, 0);
}

TEST(Bencode, AHugeLengthIsRefusedBeforeAnythingIsReserved) {
  expect_error("5:spam", Error::truncated, 0);
  expect_error("9223372036854775807:spam", Error::truncated, 0);
  expect_error("99999999999999999999:spam", Error::bad_length, 0);
  expect_error("l4:spam4294967297:ae", Error::truncated, 7);
}

TEST(Bencode, RefusesBytesThatBeginNothing) {
  for (const std::string_view wrong : {"e", "x", " i1e", ":", "-", "\xff"}) expect_error(wrong, Error::bad_token, 0);
  expect_error("d1:ae", Error::bad_token, 4);
}

TEST(Bencode, RefusesWhatFollowsTheEnd) {
  expect_error("i1ei2e", Error::trailing_bytes, 3);
  expect_error("dee", Error::trailing_bytes, 2);
  expect_error("4:spam\n", Error::trailing_bytes, 6);
}

TEST(Bencode, RefusesKeysThatAreNotStrings) {
  expect_error("di1ei2ee", Error::key_not_string, 1);
  expect_error("d1:ai1elee", Error::key_not_string, 7);
}

TEST(Bencode, RefusesUnsortedKeys) {
  expect_error("d1:bi1e1:ai2ee", Error::unsorted_keys, 7);
  expect_error("d2:aai1e1:ai2ee", Error::unsorted_keys, 8);
  expect_error("d1:ai1e1:Bi2ee", Error::unsorted_keys, 7);
}

TEST(Bencode, RefusesAKeyThatIsThereTwice) {
  expect_error("d1:ai1e1:ai1ee", Error::unsorted_keys, 7);
  expect_error("d0:i1e0:i1ee", Error::unsorted_keys, 6);
}

TEST(Bencode, SortsKeysThatMayComeInAnyOrder) {
  const std::string_view text = "d1:bi1e1:ad1:yi2e1:xi3ee1:ci4ee";
  const auto value = parse(base::view_of(text), Keys::in_any_order);
  ASSERT_TRUE(value);
  EXPECT_EQ(*value->find_integer("b"), 1);
  EXPECT_EQ(*value->find_integer("c"), 4);
  EXPECT_EQ(*value->find("a")->find_integer("x"), 3);
  EXPECT_EQ(base::text_of(value->find("a")->raw), "d1:yi2e1:xi3ee") << "as it was written";
  EXPECT_EQ(base::text_of(value->raw), text);
}

TEST(Bencode, RefusesAKeyThatIsThereTwiceInAnyOrder) {
  const auto twice = [](std::string_view text) {
    const auto value = parse(base::view_of(text), Keys::in_any_order);
    return value ? ErrorAt{} : value.error();
  };
  EXPECT_EQ(twice("d1:ai1e1:ai1ee"), (ErrorAt{Error::unsorted_keys, 7}));
  EXPECT_EQ(twice("d1:bi1e1:ai1e1:bi2ee"), (ErrorAt{Error::unsorted_keys, 13}));
  EXPECT_EQ(twice("d1:bi1e0:i1e1:ci1e0:i2ee"), (ErrorAt{Error::unsorted_keys, 18}));
}

TEST(Bencode, NestsAsDeepAsTheLimitAndNoDeeper) {
  const auto nested = [](int depth, const std::string& open) {
    std::string text;
    for (int i = 0; i < depth; ++i) text += open;
    return text + (open == "l" ? "" : "le") + std::string(depth, 'e');
  };
  EXPECT_TRUE(parse(base::view_of(nested(kDepthMax, "l"))));
  EXPECT_TRUE(parse(base::view_of(nested(kDepthMax - 1, "d1:a"))));
  expect_error(nested(kDepthMax + 1, "l"), Error::too_deep, kDepthMax);
  expect_error(nested(kDepthMax + 1, "d1:a"), Error::too_deep, 4 * kDepthMax);
  expect_error(std::string(1'000'000, 'l'), Error::too_deep, kDepthMax);
  expect_error(std::string(1'000'000, 'd'), Error::key_not_string, 1);
}

TEST(Bencode, HoldsAsManyValuesAsTheLimitAndNoMore) {
  std::string many = "l";
  many.reserve(2 * kValuesMax + 2);
  for (std::size_t i = 1; i < kValuesMax; ++i) many += "0:";
  EXPECT_TRUE(parse(base::view_of(many + "e")));
  expect_error(many + "0:e", Error::too_many_values, many.size());
}

TEST(Bencode, EveryPrefixIsTruncatedAndNothingElse) {
  const std::string whole = "d1:ai-12e4:listl0:10:0123456789i0ed1:xleee4:spam4:eggse";
  ASSERT_TRUE(parse(base::view_of(whole)));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(error_of(whole.substr(0, size)).error, Error::truncated) << size;
  }
}

TEST(Bencode, AValueRemembersItsBytes) {
  const std::string_view encoded = "d4:infod1:ai1ee5:piecelee";
  const auto root = parse(base::view_of(encoded));
  ASSERT_TRUE(root);
  EXPECT_EQ(base::text_of(root->raw), encoded);
  ASSERT_NE(root->find("info"), nullptr);
  EXPECT_EQ(base::text_of(root->find("info")->raw), "d1:ai1ee");
  EXPECT_EQ(base::text_of(root->find("info")->find("a")->raw), "i1e");
}

TEST(Bencode, APrefixLeavesWhatFollowsAlone) {
  const auto value = parse_prefix(base::view_of("d8:msg_typei1eepayload"));
  ASSERT_TRUE(value);
  EXPECT_EQ(value->raw.size(), std::string_view("d8:msg_typei1ee").size());
  EXPECT_FALSE(parse_prefix(base::view_of("d8:msg_typei1e")));
  EXPECT_FALSE(parse_prefix({}));
}

TEST(Bencode, SortsKeysOfAPrefixThatMayComeInAnyOrder) {
  const std::string_view text = "d5:piecei7e8:msg_typei1ee";
  const std::string with_payload = std::string(text) + "payload";
  const auto value = parse_prefix(base::view_of(with_payload), Keys::in_any_order);
  ASSERT_TRUE(value);
  EXPECT_EQ(*value->find_integer("msg_type"), 1);
  EXPECT_EQ(*value->find_integer("piece"), 7);
  EXPECT_EQ(base::text_of(value->raw), text);
  EXPECT_FALSE(parse_prefix(base::view_of(with_payload)));
  EXPECT_FALSE(parse_prefix(base::view_of("d1:bi1e1:ai1e1:bi2ee"), Keys::in_any_order));
}

TEST(Bencode, FindsByKeyAndKind) {
  const auto root = parse(base::view_of("d1:ai1e1:bl2:xxe1:c3:abce"));
  ASSERT_TRUE(root);
  EXPECT_EQ(*root->find_integer("a"), 1);
  EXPECT_EQ(root->find_list("b")->size(), 1u);
  EXPECT_EQ(*root->find_string("c"), "abc");
  EXPECT_EQ(root->find("d"), nullptr);
  EXPECT_EQ(root->find(""), nullptr);
  EXPECT_EQ(root->find_string("a"), nullptr);
  EXPECT_EQ(root->find_integer("c"), nullptr);
  EXPECT_EQ(root->find_list("a"), nullptr);
  EXPECT_EQ(root->find("a")->find("a"), nullptr);
}

TEST(Bencode, WritesWhatItReads) {
  Writer writer;
  writer.begin_dictionary().key("a").integer(-5).key("b").begin_list().string("x").string("").begin_list().end().end();
  writer.key("c").begin_dictionary().end().key("d").raw(base::view_of("i7e")).end();
  EXPECT_EQ(written(writer), "d1:ai-5e1:bl1:x0:lee1:cde1:di7ee");
}

TEST(Bencode, WritesOneValueAfterTheOther) {
  Writer writer;
  writer.integer(std::numeric_limits<std::int64_t>::min()).string("a:b");
  EXPECT_EQ(written(writer), "i-9223372036854775808e3:a:b");
  EXPECT_EQ(written(writer), "");
}

TEST(BencodeDeathTest, WritingUnsortedKeysIsABug) {
  Writer writer;
  writer.begin_dictionary().key("b").integer(1);
  EXPECT_DEATH(writer.key("a"), "last_key");
  EXPECT_DEATH(writer.key("b"), "last_key");
}

TEST(BencodeDeathTest, WritingHalfAValueIsABug) {
  Writer writer;
  writer.begin_dictionary();
  EXPECT_DEATH(writer.integer(1), "awaits_value");
  EXPECT_DEATH((void)writer.take(), "open_");
  writer.key("a");
  EXPECT_DEATH(writer.end(), "awaits_value");
  EXPECT_DEATH(writer.key("b"), "awaits_value");
}

}  // namespace
}  // namespace shoal::bencode
