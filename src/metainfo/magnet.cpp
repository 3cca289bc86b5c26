#include "metainfo/magnet.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/ascii.hpp"
#include "metainfo/urls.hpp"

namespace shoal::metainfo {
namespace {

// The text behind the prefix; nothing when it begins otherwise.
std::optional<std::string_view> behind(std::string_view text, std::string_view prefix) {
  if (text.size() < prefix.size() || !base::is_same_ignoring_case(text.substr(0, prefix.size()), prefix))
    return std::nullopt;
  return text.substr(prefix.size());
}

int hex_value(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  const char letter = base::ascii_lower(digit);
  return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

std::optional<std::string> unescape(std::string_view text) {
  std::string plain;
  plain.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      plain += text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
    if (high < 0 || low < 0) return std::nullopt;
    plain += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return plain;
}

std::string escape(std::string_view text) {
  constexpr std::string_view kPlain = "-._~";
  std::string escaped;
  for (const char c : text) {
    const bool is_plain = (base::ascii_lower(c) >= 'a' && base::ascii_lower(c) <= 'z') || (c >= '0' && c <= '9') ||
                          kPlain.find(c) != std::string_view::npos;
    if (is_plain) {
      escaped += c;
    } else {
      escaped += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return escaped;
}

// RFC 4648, without padding: 32 characters of 5 bits are the 20 bytes.
std::optional<InfoHash> parse_base32(std::string_view text) {
  constexpr std::size_t kCharacters = InfoHash::kSize * 8 / 5;
  if (text.size() != kCharacters) return std::nullopt;
  InfoHash hash;
  std::uint32_t bits = 0;
  int bit_count = 0;
  std::size_t written = 0;
  for (const char c : text) {
    const char letter = base::ascii_lower(c);
    const bool is_letter = letter >= 'a' && letter <= 'z';
    if (!is_letter && (letter < '2' || letter > '7')) return std::nullopt;
    bits = bits << 5 | static_cast<std::uint32_t>(is_letter ? letter - 'a' : letter - '2' + 26);
    bit_count += 5;
    if (bit_count >= 8) {
      bit_count -= 8;
      hash.bytes[written++] = static_cast<std::byte>(bits >> bit_count);
    }
  }
  return hash;
}

class MagnetParser {
 public:
  std::expected<Magnet, MagnetError> parse(std::string_view text) {
    if (text.size() > kMagnetBytesMax) return std::unexpected(MagnetError::too_long);
    auto rest = behind(text, "magnet:?");
    if (!rest) return std::unexpected(MagnetError::not_a_magnet);
    while (!rest->empty()) {
      const std::size_t end = std::min(rest->find('&'), rest->size());
      if (const auto error = take(rest->substr(0, end))) return std::unexpected(*error);
      rest->remove_prefix(std::min(end + 1, rest->size()));
    }
    if (!has_hash_) return std::unexpected(has_version_2_ ? MagnetError::version_2_only : MagnetError::no_info_hash);
    return std::move(magnet_);
  }

 private:
  std::optional<MagnetError> take(std::string_view parameter) {
    const std::size_t equals = parameter.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    std::string_view key = parameter.substr(0, equals);
    // "tr.1" and "tr.2" are how some write a key several times.
    if (const std::size_t dot = key.rfind('.'); dot != std::string_view::npos && is_number(key.substr(dot + 1))) {
      key = key.substr(0, dot);
    }
    std::string raw(parameter.substr(equals + 1));
    const bool is_name = base::is_same_ignoring_case(key, "dn");
    if (is_name) std::ranges::replace(raw, '+', ' ');  // as forms are encoded; in a URL it is itself
    auto value = unescape(raw);
    if (base::is_same_ignoring_case(key, "xt")) return value ? take_topic(*value) : MagnetError::bad_escape;
    if (!value && is_name) value = std::move(raw);  // "100% real": typed by hand
    if (!value) return std::nullopt;
    if (base::is_same_ignoring_case(key, "tr")) add_url(magnet_.trackers, *value, kTrackersMax);
    if (base::is_same_ignoring_case(key, "ws")) add_url(magnet_.web_seeds, *value, kWebSeedsMax);
    if (base::is_same_ignoring_case(key, "x.pe")) take_peer(*value);
    if (is_name) magnet_.name = std::move(*value);
    return std::nullopt;
  }

  std::optional<MagnetError> take_topic(std::string_view topic) {
    if (behind(topic, "urn:btmh:")) has_version_2_ = true;
    const auto digits = behind(topic, "urn:btih:");
    if (!digits) return std::nullopt;
    auto hash = InfoHash::parse_hex(*digits);
    if (!hash) hash = parse_base32(*digits);
    if (!hash) return MagnetError::bad_info_hash;
    if (has_hash_ && magnet_.info_hash != *hash) return MagnetError::two_info_hashes;
    magnet_.info_hash = *hash;
    has_hash_ = true;
    return std::nullopt;
  }
  void take_peer(std::string_view text) {
    const auto peer = base::Endpoint::parse(text);
    const bool is_known = peer && std::ranges::find(magnet_.peers, *peer) != magnet_.peers.end();
    if (!peer || peer->port == 0 || is_known || magnet_.peers.size() == kMagnetPeersMax) return;
    magnet_.peers.push_back(*peer);
  }
  static bool is_number(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
  }

  Magnet magnet_;
  bool has_hash_ = false;
  bool has_version_2_ = false;
};

}  // namespace

std::string_view describe(MagnetError error) {
  switch (error) {
    case MagnetError::not_a_magnet:
      return "a magnet link begins with magnet:?";
    case MagnetError::too_long:
      return "it is longer than any magnet link";
    case MagnetError::no_info_hash:
      return "it names no torrent: xt=urn:btih: is missing";
    case MagnetError::bad_info_hash:
      return "the info hash is neither 40 hexadecimal digits nor 32 of base 32";
    case MagnetError::two_info_hashes:
      return "it names two different torrents";
    case MagnetError::version_2_only:
      return "it is for version 2 of BitTorrent only, which is not spoken here; one made for both versions would do";
    case MagnetError::bad_escape:
      return "a % is not followed by two hexadecimal digits";
  }
  return "unknown";
}

std::expected<Magnet, MagnetError> parse_magnet(std::string_view text) {
  return MagnetParser().parse(text);
}

std::string encode_magnet(const Magnet& magnet) {
  std::string text = "magnet:?xt=urn:btih:" + magnet.info_hash.to_hex();
  if (!magnet.name.empty()) text += "&dn=" + escape(magnet.name);
  for (const std::string& url : magnet.trackers) text += "&tr=" + escape(url);
  for (const std::string& url : magnet.web_seeds) text += "&ws=" + escape(url);
  for (const base::Endpoint& peer : magnet.peers) text += "&x.pe=" + peer.to_string();
  return text;
}

}  // namespace shoal::metainfo
