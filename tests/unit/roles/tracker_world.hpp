// A whole tracker in a harness, and what its HTTP clients say and hear.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "roles/tracker_host.hpp"
#include "unit/roles/server_harness.hpp"
#include "unit/tracker/torrents.hpp"

namespace shoal::roles {

inline constexpr base::Endpoint kNeighbour{{0xc0a80002}, 40000};
inline constexpr base::Endpoint kStranger{{0x08080808}, 40000};
inline constexpr base::Ipv4Address kUs{0xc0a80001};

// As it came over the wire; `rest` is what stood behind it.
struct HeardResponse {
  int status = 0;  // 0: none
  std::string head;
  std::string body;
  std::string rest;
};

// The first response in `text`; the body of one to HEAD is not looked for.
inline HeardResponse parse_response(const std::string& text, bool is_head = false) {
  HeardResponse heard;
  const std::size_t end = text.find("\r\n\r\n");
  if (!text.starts_with("HTTP/1.1 ") || end == std::string::npos) return heard;
  heard.status = std::stoi(text.substr(9, 3));
  heard.head = text.substr(0, end + 4);
  const std::string field = "Content-Length: ";
  const std::size_t at = heard.head.find(field);
  const std::size_t size = at == std::string::npos || is_head ? 0 : std::stoul(heard.head.substr(at + field.size()));
  heard.body = text.substr(heard.head.size(), size);
  heard.rest = text.substr(std::min(text.size(), heard.head.size() + size));
  return heard;
}

inline std::string get(std::string_view target, std::string_view more = {}) {
  return "GET " + std::string(target) + " HTTP/1.1\r\nHost: t\r\n" + std::string(more) + "\r\n";
}

inline std::string put(std::string_view name, std::uint64_t body_bytes, std::string_view more = {}) {
  return "PUT /shares/" + std::string(name) +
         ".torrent HTTP/1.1\r\nHost: t\r\nContent-Length: " + std::to_string(body_bytes) + "\r\n" + std::string(more) +
         "\r\n";
}

inline std::string announce(const std::string& share, std::string_view client, std::uint64_t left,
                            std::string held = {}) {
  wire::AnnounceRequest request{
      .info_hash = tracker::make_torrent(share).info_hash, .port = 6881, .left = left, .held = std::move(held)};
  std::ranges::copy(base::view_of(client), request.peer_id.begin());
  return get("/announce?" + wire::encode_announce_query(request));
}

struct Tracker : ServerHarness {
  explicit Tracker(TrackerHostOptions options = {}) : ServerHarness(make(std::move(options))) {}

  static std::unique_ptr<seam::Machine> make(TrackerHostOptions options) {
    options.listening = {kUs, 8000};
    return make_tracker_host(std::move(options), nullptr, base::Rng(1));
  }

  seam::ConnId accept_from(base::Endpoint remote = kNeighbour) { return accept(remote, kUs); }
  void say(seam::ConnId conn, std::string_view text) { send(conn, testing::bytes_of(text)); }
  // What arrived since the last call.
  std::string hear(seam::ConnId conn) { return std::string(base::text_of(testing::from_hex(received(conn)))); }
  HeardResponse ask(seam::ConnId conn, std::string_view request) {
    say(conn, request);
    return parse_response(hear(conn), request.starts_with("HEAD"));
  }
  HeardResponse ask(std::string_view request, base::Endpoint remote = kNeighbour) {
    const seam::ConnId conn = accept_from(remote);
    HeardResponse heard = ask(conn, request);
    if (is_open(conn)) reset(conn);
    return heard;
  }
  void publish(const std::string& name, std::uint32_t pieces = 3) {
    const base::Bytes torrent = tracker::torrent_file(name, pieces);
    const auto heard = ask(put("any", torrent.size()) + std::string(base::text_of(torrent)));
    EXPECT_EQ(heard.status, 201) << heard.body;
  }
};

}  // namespace shoal::roles
