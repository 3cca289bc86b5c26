#include "wire/ipv6.hpp"

#include <fmt/format.h>

#include <charconv>
#include <vector>

#include "base/endpoint.hpp"

namespace shoal::wire {
namespace {

constexpr std::size_t kGroups = 8;

std::optional<std::uint16_t> parse_group(std::string_view text) {
  std::uint16_t group = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), group, 16);
  if (text.size() > 4 || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return group;
}

// Groups with a colon between them; none when `text` is empty. The last one may be an IPv4 address, which is two.
std::optional<std::vector<std::uint16_t>> parse_groups(std::string_view text, bool may_end_in_ipv4) {
  std::vector<std::uint16_t> groups;
  bool is_more = !text.empty();
  while (is_more) {
    const std::size_t colon = text.find(':');
    is_more = colon != std::string_view::npos;
    const auto group = parse_group(text.substr(0, colon));
    const auto ipv4 = is_more || !may_end_in_ipv4 ? std::nullopt : base::Ipv4Address::parse(text);
    if (ipv4) {
      groups.push_back(static_cast<std::uint16_t>(ipv4->value >> 16));
      groups.push_back(static_cast<std::uint16_t>(ipv4->value));
    } else if (group) {
      groups.push_back(*group);
    } else {
      return std::nullopt;
    }
    if (groups.size() > kGroups) return std::nullopt;
    if (is_more) text.remove_prefix(colon + 1);
  }
  return groups;
}

std::uint16_t group_of(const Ipv6Address& address, std::size_t index) {
  return static_cast<std::uint16_t>(std::to_integer<unsigned>(address[2 * index]) << 8 |
                                    std::to_integer<unsigned>(address[2 * index + 1]));
}

}  // namespace

std::optional<Ipv6Address> parse_ipv6(std::string_view text) {
  const std::size_t gap = text.find("::");
  const bool has_gap = gap != std::string_view::npos;
  const auto front = parse_groups(text.substr(0, gap), !has_gap);
  const auto back = parse_groups(has_gap ? text.substr(gap + 2) : std::string_view(), true);
  if (!front || !back) return std::nullopt;
  const std::size_t told = front->size() + back->size();
  if (has_gap ? told >= kGroups : told != kGroups) return std::nullopt;
  Ipv6Address address{};
  const auto put = [&address](std::size_t index, std::uint16_t group) {
    address[2 * index] = static_cast<std::byte>(group >> 8);
    address[2 * index + 1] = static_cast<std::byte>(group);
  };
  for (std::size_t i = 0; i < front->size(); ++i) put(i, (*front)[i]);
  for (std::size_t i = 0; i < back->size(); ++i) put(kGroups - back->size() + i, (*back)[i]);
  return address;
}

std::string to_string(const Ipv6Address& address) {
  std::string text;
  for (std::size_t i = 0; i < kGroups; ++i) text += fmt::format("{}{:x}", i == 0 ? "" : ":", group_of(address, i));
  return text;
}

std::optional<Ipv6Endpoint> parse_ipv6_endpoint(std::string_view text, std::uint16_t usual_port) {
  if (!text.starts_with('[')) {
    const auto address = parse_ipv6(text);
    if (!address) return std::nullopt;
    return Ipv6Endpoint{*address, usual_port};
  }
  const std::size_t end = text.find("]:");
  if (end == std::string_view::npos) return std::nullopt;
  const auto address = parse_ipv6(text.substr(1, end - 1));
  const auto port = base::parse_port(text.substr(end + 2));
  if (!address || !port) return std::nullopt;
  return Ipv6Endpoint{*address, *port};
}

std::string to_string(const Ipv6Endpoint& endpoint) {
  return fmt::format("[{}]:{}", to_string(endpoint.address), endpoint.port);
}

}  // namespace shoal::wire
