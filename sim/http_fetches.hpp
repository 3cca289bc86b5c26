// The HTTP client of one simulated host: fetches from servers that are machines in the same network, over simulated
// TCP. A connection for each request; no redirects. Used by SimHost, which passes on what the network tells.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "base/bytes.hpp"
#include "base/endpoint.hpp"
#include "seam/actions.hpp"
#include "seam/events.hpp"
#include "sim/event_queue.hpp"
#include "sim/network.hpp"

namespace shoal::sim {

// "http://HOST[:PORT]/..." in parts; nothing for anything else.
struct WebPlace {
  std::string host;
  std::uint16_t port = 80;
  std::string target;
};
[[nodiscard]] std::optional<WebPlace> web_place_of(const std::string& url);

class HttpFetches {
 public:
  // `give` is called from the queue, never from inside begin() or cancel().
  HttpFetches(EventQueue& queue, Network& network, base::Ipv4Address self, std::function<void(seam::Event)> give);

  void begin(const seam::Fetch& fetch, const WebPlace& place, base::Ipv4Address server);
  void cancel(seam::FetchId fetch);
  void close_all();
  // The host is gone; its connections are the network's business.
  void forget_all() { under_way_.clear(); }

  // True when `end` is one of its connections.
  bool on_connected(EndId end);
  bool on_connect_failed(EndId end);
  bool on_readable(EndId end);
  bool on_lost(EndId end);

 private:
  struct UnderWay {
    seam::FetchId fetch;
    std::string url;
    base::Bytes request;
    std::string answer;
    std::size_t reply_bytes_max = 0;
  };

  void fail(EndId end, const std::string& reason);
  void succeed(EndId end, int status, std::string_view body);
  // Ends the fetch when its answer is whole, or wrong.
  void look_at_answer(EndId end);

  EventQueue& queue_;
  Network& network_;
  base::Ipv4Address self_;
  std::function<void(seam::Event)> give_;
  std::map<EndId, UnderWay> under_way_;
};

}  // namespace shoal::sim
