// What a tracker answers over HTTP, request by request: announces and scrapes, the list of shares, publishing, health
// and metrics. Pure; used by roles::TrackerHost, which reads requests and sends the answers.
//
//   GET /announce, /scrape        BEP 3, 7, 23, 48
//   GET /shares                   JSON: [{"name", "info_hash", "size", "files", "seeds", "leechers", "magnet"}]
//   GET /shares/NAME.torrent      the torrent, NAME percent-encoded; an info-hash in hex will do too. It names this
//                                 tracker first, at the address that was asked, unless that is named already, or
//                                 others are in a private one
//   PUT /shares/NAME.torrent      publish it; DELETE takes it back, with ?if=unused only when nobody has or gets it
//   GET /healthz, /metrics, /     for machines that watch, and for a person who looks
//
// Always holds: an answer that can be long has a body that all who are being sent it share; what it costs to make the
// list of shares is spent once in as long as that takes a thousandth part of the time; when there is no room for one
// more share, the one that has been without members the longest makes room.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/time.hpp"
#include "course/asker.hpp"
#include "tracker/share_list.hpp"
#include "tracker/swarms.hpp"
#include "wire/http.hpp"

namespace shoal::tracker {

// The body of a request: a torrent.
inline constexpr std::uint64_t kHttpBodyBytesMax = 64u << 20;

// For each share: as long as that, a page that tells of all shares is not made again. It takes a few microseconds each.
inline constexpr base::Duration kPageValidity = std::chrono::milliseconds(1);
inline constexpr std::size_t kPagesMax = 8;  // kept

struct HttpAnswersOptions {
  std::string tracker_name;
  std::string token;       // `Authorization: Bearer TOKEN` lets others than the local network publish
  std::uint16_t port = 0;  // of this tracker: magnet links name it
};

// How many connections of which kind are open: for /metrics.
struct ConnectionCounts {
  std::size_t silent = 0;
  std::size_t course = 0;
  std::size_t http = 0;
};

struct HttpAnswer {
  wire::HttpResponse response;
  // What follows response.body, from `shared_from` on; may be null.
  std::shared_ptr<const base::Bytes> shared_body;
  std::size_t shared_from = 0;
};

class HttpAnswers {
 public:
  // Both must outlive it.
  HttpAnswers(HttpAnswersOptions options, Swarms& swarms, ShareList& shares)
      : options_(std::move(options)), swarms_(swarms), shares_(shares) {}

  // Whether this request's body should be read at all; else the answer is due now.
  [[nodiscard]] bool wants_body(const wire::HttpRequest& request, const course::Asker& asker) const;
  [[nodiscard]] HttpAnswer answer(const wire::HttpRequest& request, base::ByteView body, const course::Asker& asker,
                                  base::Instant now);

  void set_counts(ConnectionCounts counts) { counts_ = counts; }
  // A share came or went since the last call.
  [[nodiscard]] bool take_is_changed() { return std::exchange(is_changed_, false); }

 private:
  // A page that was made for whoever reaches this host at `local`.
  struct Page {
    std::string_view path;
    base::Ipv4Address local;
    base::Instant made;
    std::shared_ptr<const base::Bytes> body;
  };

  [[nodiscard]] wire::HttpResponse announce(const wire::HttpRequest& request, const course::Asker& asker,
                                            base::Instant now);
  [[nodiscard]] wire::HttpResponse scrape(const wire::HttpRequest& request);
  [[nodiscard]] HttpAnswer share(const wire::HttpRequest& request, base::ByteView body, const course::Asker& asker,
                                 base::Instant now);
  [[nodiscard]] wire::HttpResponse change_share(const wire::HttpRequest& request, base::ByteView body,
                                                const course::Asker& asker, base::Instant now);
  [[nodiscard]] wire::HttpResponse publish(base::ByteView body, base::Instant now);
  [[nodiscard]] const Share* drop_unused();
  [[nodiscard]] wire::HttpResponse take_back(std::string_view name, std::string_view condition);
  [[nodiscard]] wire::HttpResponse metrics() const;
  template <typename Make>
  [[nodiscard]] std::shared_ptr<const base::Bytes> page(std::string_view path, const course::Asker& asker,
                                                        base::Instant now, Make make);
  [[nodiscard]] std::string list(const course::Asker& asker) const;
  [[nodiscard]] std::string front_page(const course::Asker& asker) const;
  [[nodiscard]] bool may_publish(const wire::HttpRequest& request, const course::Asker& asker) const;
  void note_change();

  HttpAnswersOptions options_;
  Swarms& swarms_;
  ShareList& shares_;
  ConnectionCounts counts_;
  std::vector<Page> pages_;  // the oldest first
  std::uint64_t requests_ = 0;
  bool is_changed_ = false;
};

}  // namespace shoal::tracker
