// The web of a simulated world: servers that are no machines, by the beginning of their URLs, and the names of hosts.
// What a host fetches goes to them; a URL of no such server goes over the simulated network (http_fetches.hpp), so that
// trackers that are machines answer themselves. Shared by all hosts of a world; changed by it at any time, for faults.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/endpoint.hpp"
#include "base/time.hpp"
#include "seam/actions.hpp"
#include "seam/events.hpp"

namespace shoal::sim {

struct WebReply {
  int status = 200;
  base::Bytes body = {};
  std::optional<seam::ByteRange> range = {};  // of a 206: what the body is
  base::Duration delay = std::chrono::milliseconds(10);
  std::optional<std::string> failure = {};  // instead of an answer
  bool is_silent = false;                   // nothing until the fetch times out
};

class Web {
 public:
  using Handler = std::function<WebReply(const seam::Fetch& fetch)>;

  // Replaces the handler of the same beginning; the longest that fits is asked.
  void serve(std::string url_begin, Handler handler) { handlers_[std::move(url_begin)] = std::move(handler); }
  void stop_serving(const std::string& url_begin) { handlers_.erase(url_begin); }
  void name(std::string host, std::vector<base::Ipv4Address> addresses) {
    addresses_[std::move(host)] = std::move(addresses);
  }

  // Nothing when no server has the URL. An answer longer than the fetch allows has become a failure.
  [[nodiscard]] std::optional<WebReply> answer(const seam::Fetch& fetch) const;
  // Empty when there is no such name.
  [[nodiscard]] std::vector<base::Ipv4Address> addresses_of(const std::string& host) const;

 private:
  std::map<std::string, Handler> handlers_;
  std::map<std::string, std::vector<base::Ipv4Address>> addresses_;
};

// A file of this URL and content, given whole or by ranges; anything else below the handler's beginning is 404.
struct WebFile {
  std::string url;
  base::Bytes content;
};
// Takes `bytes_per_s` for what it sends, one answer after the other does not wait.
[[nodiscard]] Web::Handler serve_files(std::vector<WebFile> files, double bytes_per_s);

}  // namespace shoal::sim
