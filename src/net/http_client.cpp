#include "net/http_client.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/beast/core/string.hpp>

#include "base/check.hpp"
#include "net/content_range.hpp"
#include "net/http_url.hpp"

namespace shoal::net {

namespace {

namespace http = beast::http;

constexpr base::Duration kSweepEvery = std::chrono::seconds(5);
constexpr std::string_view kUserAgent = "Shoal";

bool is_redirect(http::status status) {
  return status == http::status::moved_permanently || status == http::status::found ||
         status == http::status::see_other || status == http::status::temporary_redirect ||
         status == http::status::permanent_redirect;
}

// What is only for the server it was meant for.
bool is_secret(std::string_view header) {
  return beast::iequals(header, "authorization") || beast::iequals(header, "cookie");
}

bool is_one_line(const std::pair<std::string, std::string>& header) {
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < ' ' && c != '\t'; };
  return std::ranges::none_of(header.first, is_control) && std::ranges::none_of(header.second, is_control);
}

std::string_view text_of(const HttpAnswer::const_iterator& field) {
  return {field->value().data(), field->value().size()};
}

// Nothing, too, when it is told twice: nobody could say which one holds.
std::optional<seam::ByteRange> range_of(const HttpAnswer& answer) {
  if (answer.count(http::field::content_range) != 1) return std::nullopt;
  return parse_content_range(text_of(answer.find(http::field::content_range)));
}

std::string base64_of(std::string_view text) {
  std::string encoded((text.size() + 2) / 3 * 4 + 1, '\0');  // OpenSSL ends it with a zero
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(encoded.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  encoded.resize(static_cast<std::size_t>(size));
  return encoded;
}

std::string describe(base::Duration duration) {
  return fmt::format("{:.3g} s", base::to_seconds(duration));
}

std::shared_ptr<const HttpRequestMessage> make_request(const seam::Fetch& fetch, const HttpUrl& url) {
  auto request = std::make_shared<HttpRequestMessage>();
  request->version(11);
  request->method_string(fetch.method);
  request->target(url.target);
  request->set(http::field::host, url.host_and_port());
  request->set(http::field::user_agent, kUserAgent);
  request->set(http::field::accept, "*/*");
  request->set(http::field::accept_encoding, "identity");
  if (!url.user_info.empty()) request->set(http::field::authorization, "Basic " + base64_of(url.user_info));
  for (const auto& [name, value] : fetch.headers) request->set(name, value);
  request->body() = fetch.body;
  if (!fetch.body.empty() || fetch.method == "POST" || fetch.method == "PUT") request->prepare_payload();
  return request;
}

}  // namespace

struct HttpClient::Job {
  Job(asio::io_context& loop, seam::Fetch&& wanted)
      : fetch(std::move(wanted)), timeout_timer(loop), lookup_timer(loop) {}

  seam::Fetch fetch;
  HttpUrl url;
  std::vector<std::string> visited;  // as shown, for a circle; in the order of the redirects
  std::vector<std::string> asked;    // method and URL
  std::shared_ptr<HttpConnection> connection;
  Timer timeout_timer;
  Timer lookup_timer;  // never fires: what waits for an address is woken by cancelling it
  std::optional<IpAddresses> addresses;
  std::string_view stage = "looking for its address";
  std::optional<std::string> abort_reason;
  bool is_cancelled = false;
  int failed_status = 0;
  std::optional<seam::Event> answer;
};

HttpClient::HttpClient(asio::io_context& loop, EventSink& sink, NameLookup& names)
    : loop_(loop), sink_(sink), names_(names), idle_timer_(loop) {}

HttpClient::~HttpClient() = default;

void HttpClient::fetch(seam::Fetch&& fetch) {
  SHOAL_CHECK(!fetch.method.empty());
  const seam::FetchId id = fetch.fetch;
  const auto refuse = [this, id](std::string_view shown, std::string_view reason) {
    sink_.deliver(seam::FetchFailed{.fetch = id, .reason = fmt::format("cannot fetch {}: {}", shown, reason)});
  };
  auto url = parse_http_url(fetch.url);
  if (!url) return refuse(fetch.url, url.error());
  if (!std::ranges::all_of(fetch.headers, is_one_line)) {
    return refuse(url->shown(), "what is to be sent with it has more than one line");
  }
  if (jobs_.size() >= kFetchesMax) {
    return refuse(url->shown(), fmt::format("{} requests are under way already", kFetchesMax));
  }
  const auto job = std::make_shared<Job>(loop_, std::move(fetch));
  job->url = std::move(*url);
  const bool is_new = jobs_.emplace(id, job).second;
  SHOAL_CHECK(is_new);
  job->timeout_timer.expires_after(job->fetch.timeout);
  job->timeout_timer.async_wait([this, job](const ErrorCode& error) {
    if (!error) abort(*job, fmt::format("no answer within {} ({})", describe(job->fetch.timeout), job->stage));
  });
  asio::co_spawn(loop_, run(job), [this, id](const std::exception_ptr& error) {
    // Only memory can be missing.
    if (error) {
      jobs_.at(id)->answer = seam::FetchFailed{.fetch = id, .reason = "cannot fetch anything: no memory is left"};
    }
    end(id);
  });
}

void HttpClient::cancel(seam::FetchId fetch) {
  const auto found = jobs_.find(fetch);
  if (found == jobs_.end()) return;
  found->second->is_cancelled = true;
  abort(*found->second, "cancelled");
}

void HttpClient::cancel_all() {
  for (const auto& [id, job] : jobs_) {
    job->is_cancelled = true;
    abort(*job, "cancelled");
  }
  idle_.clear();
  idle_timer_.cancel();
}

void HttpClient::abort(Job& job, std::string reason) {
  if (job.abort_reason) return;
  job.abort_reason = std::move(reason);
  job.lookup_timer.cancel();
  if (job.connection) job.connection->abort();
}

void HttpClient::end(seam::FetchId id) {
  const JobPtr job = std::move(jobs_.extract(id).mapped());
  job->timeout_timer.cancel();
  if (!job->is_cancelled) sink_.deliver(std::move(*job->answer));
}

asio::awaitable<void> HttpClient::run(JobPtr job) {
  const seam::FetchId id = job->fetch.fetch;
  std::string trouble;
  while (trouble.empty()) {
    Result answer = co_await exchange(job);
    if (job->abort_reason) answer = std::unexpected(*job->abort_reason);
    if (!answer) {
      trouble = std::move(answer.error());
      break;
    }
    const auto is_followed = follow_redirect(*job, *answer);
    if (!is_followed) {
      trouble = is_followed.error();
    } else if (!*is_followed) {
      job->answer = seam::Fetched{.fetch = id,
                                  .status = static_cast<int>(answer->result_int()),
                                  .body = std::move(answer->body()),
                                  .range = range_of(*answer)};
      co_return;
    }
  }
  job->answer = seam::FetchFailed{.fetch = id,
                                  .reason = fmt::format("cannot fetch {}: {}", job->url.shown(), trouble),
                                  .status = job->failed_status};
}

asio::awaitable<HttpClient::Result> HttpClient::exchange(JobPtr job) {
  const auto request = make_request(job->fetch, job->url);
  const std::string origin = job->url.origin();
  // Only a request that changes nothing may be sent again when a kept connection turns out to be closed.
  const bool may_repeat = job->fetch.method == "GET" || job->fetch.method == "HEAD";
  job->connection = may_repeat ? take_idle(origin) : nullptr;
  while (true) {
    const bool is_kept = job->connection != nullptr;
    if (!is_kept) {
      const auto connected = co_await connect(job);
      if (!connected) co_return std::unexpected(connected.error());
    }
    if (job->abort_reason) co_return std::unexpected(*job->abort_reason);
    job->stage = "waiting for the server's answer";
    auto answer = co_await job->connection->ask(request, job->fetch.reply_bytes_max);
    const std::shared_ptr<HttpConnection> connection = std::exchange(job->connection, nullptr);
    if (answer) {
      if (connection->is_reusable()) keep_idle(origin, connection);
      co_return std::move(*answer);
    }
    if (job->abort_reason || !is_kept || !answer.error().is_before_answer) {
      job->failed_status = answer.error().status;
      co_return std::unexpected(std::move(answer.error().reason));
    }
  }
}

asio::awaitable<std::expected<void, std::string>> HttpClient::connect(JobPtr job) {
  asio::ssl::context* tls = nullptr;
  if (job->url.is_https) {
    const auto context = tls_context();
    if (!context) co_return std::unexpected(context.error());
    tls = *context;
  }
  job->stage = "looking for its address";
  IpAddresses addresses = co_await find_addresses(job);
  if (job->abort_reason) co_return std::unexpected(*job->abort_reason);
  job->stage = "connecting";
  job->connection = std::make_shared<HttpConnection>(loop_, tls);
  co_return co_await job->connection->connect(job->url, std::move(addresses));
}

asio::awaitable<IpAddresses> HttpClient::find_addresses(JobPtr job) {
  ErrorCode not_an_address;
  const asio::ip::address address = asio::ip::make_address(job->url.host, not_an_address);
  if (!not_an_address) co_return IpAddresses{address};
  job->addresses.reset();
  job->lookup_timer.expires_at(SteadyClock::time_point::max());
  names_.look_up(job->url.host, [job](const IpAddresses& addresses) {
    job->addresses = addresses;
    job->lookup_timer.cancel();
  });
  if (job->abort_reason) co_return IpAddresses{};
  (void)co_await job->lookup_timer.async_wait(kNoThrow);
  co_return job->addresses.value_or(IpAddresses{});
}

std::expected<bool, std::string> HttpClient::follow_redirect(Job& job, const HttpAnswer& answer) const {
  if (!is_redirect(answer.result())) return false;
  const auto location = answer.find(http::field::location);
  if (location == answer.end()) return std::unexpected("the server redirects, but does not say where to");
  auto next = follow_location(job.url, text_of(location));
  if (!next) return std::unexpected(fmt::format("the server redirects to a wrong address: {}", next.error()));
  if (job.url.is_https && !next->is_https) {
    return std::unexpected(fmt::format("the server redirects to {}, which is not encrypted", next->shown()));
  }

  const http::status status = answer.result();
  const bool becomes_get =
      status == http::status::see_other
          ? job.fetch.method != "HEAD"
          : job.fetch.method == "POST" && (status == http::status::moved_permanently || status == http::status::found);
  job.asked.push_back(job.fetch.method + " " + job.url.origin() + job.url.target);
  job.visited.push_back(job.url.shown());
  if (becomes_get) {
    job.fetch.method = "GET";
    job.fetch.body.clear();
  }
  const std::string again = job.fetch.method + " " + next->origin() + next->target;
  if (std::ranges::find(job.asked, again) != job.asked.end()) {
    return std::unexpected(
        fmt::format("the redirects go in a circle: {} -> {}", fmt::join(job.visited, " -> "), next->shown()));
  }
  if (job.asked.size() > seam::Fetch::kRedirectsMax) {
    return std::unexpected(
        fmt::format("more than {} redirects, the last one to {}", seam::Fetch::kRedirectsMax, next->shown()));
  }
  if (next->origin() != job.url.origin()) {
    std::erase_if(job.fetch.headers, [](const auto& header) { return is_secret(header.first); });
  }
  job.url = std::move(*next);
  return true;
}

std::expected<asio::ssl::context*, std::string> HttpClient::tls_context() {
  if (!tls_) {
    ErrorCode error;
    asio::ssl::context context(asio::ssl::context::tls_client);
    (void)context.set_options(
        asio::ssl::context::default_workarounds | asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1, error);
    if (!error) (void)context.set_default_verify_paths(error);
    if (!error) (void)context.set_verify_mode(asio::ssl::verify_peer, error);
    if (error) return std::unexpected("TLS cannot be set up: " + error.message());
    tls_ = std::move(context);
  }
  return &*tls_;
}

std::shared_ptr<HttpConnection> HttpClient::take_idle(const std::string& origin) {
  while (true) {
    const auto found = std::ranges::find(idle_.rbegin(), idle_.rend(), origin, &Idle::origin);
    if (found == idle_.rend()) return nullptr;
    std::shared_ptr<HttpConnection> connection = std::move(found->connection);
    idle_.erase(std::next(found).base());
    if (connection->is_still_good()) return connection;
  }
}

void HttpClient::keep_idle(std::string origin, std::shared_ptr<HttpConnection> connection) {
  if (std::ranges::count(idle_, origin, &Idle::origin) >= static_cast<std::ptrdiff_t>(kIdlePerServerMax)) return;
  if (idle_.size() == kIdleMax) idle_.erase(idle_.begin());
  idle_.push_back({.origin = std::move(origin), .connection = std::move(connection), .since = SteadyClock::now()});
  if (!std::exchange(is_sweeping_, true)) sweep_idle();
}

void HttpClient::sweep_idle() {
  const auto oldest = SteadyClock::now() - kIdleTimeMax;
  std::erase_if(idle_, [oldest](const Idle& idle) { return idle.since < oldest; });
  is_sweeping_ = !idle_.empty();
  if (!is_sweeping_) return;
  idle_timer_.expires_after(kSweepEvery);
  idle_timer_.async_wait([this](const ErrorCode& error) {
    if (!error) sweep_idle();
  });
}

}  // namespace shoal::net
