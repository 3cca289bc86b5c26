// Carries out Fetch: asks web servers, with HTTP/1.1 over TCP or TLS. Redirects are followed, connections are kept for
// the next request to the same server, certificates are checked against the system's store (or SSL_CERT_FILE and
// SSL_CERT_DIR). Used by the runner. Belongs to the loop's thread.
//
// Always holds: each fetch() is answered by exactly one Fetched or FetchFailed, within its timeout, unless cancel() or
// cancel_all() comes first; every coroutine is in jobs_ until it has ended; nothing asked over TLS is ever redirected
// to where anybody can listen.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/http_connection.hpp"
#include "net/loop.hpp"
#include "net/name_lookup.hpp"
#include "seam/actions.hpp"

namespace shoal::net {

inline constexpr std::size_t kFetchesMax = 512;  // under way; more fail at once
// Connections kept for the next request.
inline constexpr std::size_t kIdlePerServerMax = 8;
inline constexpr std::size_t kIdleMax = 64;
inline constexpr base::Duration kIdleTimeMax = std::chrono::seconds(20);

class HttpClient {
 public:
  // Both outlive it.
  HttpClient(asio::io_context& loop, EventSink& sink, NameLookup& names);
  ~HttpClient();

  // The actions of the same names.
  void fetch(seam::Fetch&& fetch);
  void cancel(seam::FetchId fetch);

  // The run ends: no answers any more. is_quiet() once nothing of it runs, which takes no waiting for anybody.
  void cancel_all();
  [[nodiscard]] bool is_quiet() const { return jobs_.empty(); }

 private:
  struct Job;
  using JobPtr = std::shared_ptr<Job>;
  struct Idle {
    std::string origin;
    std::shared_ptr<HttpConnection> connection;
    SteadyClock::time_point since;
  };
  using Result = std::expected<HttpAnswer, std::string>;

  // What a job does, from its first request to its answer.
  [[nodiscard]] asio::awaitable<void> run(JobPtr job);
  [[nodiscard]] asio::awaitable<Result> exchange(JobPtr job);
  [[nodiscard]] asio::awaitable<std::expected<void, std::string>> connect(JobPtr job);
  [[nodiscard]] asio::awaitable<IpAddresses> find_addresses(JobPtr job);

  void abort(Job& job, std::string reason);
  void end(seam::FetchId id);
  // True when `job` goes on where the answer leads, false when the answer is no redirect.
  [[nodiscard]] std::expected<bool, std::string> follow_redirect(Job& job, const HttpAnswer& answer) const;
  [[nodiscard]] std::expected<asio::ssl::context*, std::string> tls_context();

  [[nodiscard]] std::shared_ptr<HttpConnection> take_idle(const std::string& origin);
  void keep_idle(std::string origin, std::shared_ptr<HttpConnection> connection);
  void sweep_idle();

  asio::io_context& loop_;
  EventSink& sink_;
  NameLookup& names_;
  std::optional<asio::ssl::context> tls_;
  std::map<seam::FetchId, JobPtr> jobs_;
  std::vector<Idle> idle_;  // the one used longest ago first
  Timer idle_timer_;
  bool is_sweeping_ = false;
};

}  // namespace shoal::net
