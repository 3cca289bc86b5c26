#include "tracker/http_answers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <string_view>
#include <utility>

#include "base/utf8.hpp"
#include "metainfo/magnet.hpp"

namespace shoal::tracker {
namespace {

using wire::HttpRequest;
using wire::HttpResponse;

constexpr std::string_view kSharesFolder = "/shares/";
constexpr std::string_view kTorrentSuffix = ".torrent";
constexpr std::string_view kIfUnused = "if=unused";
constexpr std::string_view kNoShare = "no share of that name; GET /shares lists them\n";

HttpResponse text(int status, std::string_view words) {
  const base::ByteView view = base::view_of(words);
  return {.status = status, .body = base::Bytes(view.begin(), view.end())};
}

HttpResponse bencoded(base::Bytes body) {
  return {.content_type = "text/plain", .body = std::move(body)};
}

HttpResponse not_allowed(std::string_view methods) {
  HttpResponse response = text(405, fmt::format("only {} here\n", methods));
  response.headers.emplace_back("Allow", methods);
  return response;
}

bool is_reading(const HttpRequest& request) {
  return request.method == "GET" || request.method == "HEAD";
}

bool is_share(const HttpRequest& request) {
  return request.path.starts_with(kSharesFolder) && request.path.ends_with(kTorrentSuffix) &&
         request.path.size() > kSharesFolder.size() + kTorrentSuffix.size();
}

// Where an answer to PUT, and a person, finds the share.
std::string path_of(const Share& share) {
  return fmt::format("{}{}{}", kSharesFolder, wire::percent_encode(share.name), kTorrentSuffix);
}

std::string_view share_name(const HttpRequest& request) {
  std::string_view name = request.path;
  name.remove_prefix(kSharesFolder.size());
  name.remove_suffix(kTorrentSuffix.size());
  return name;
}

// Takes as long for every wrong token.
bool is_equal(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) difference |= static_cast<unsigned>(a[i] ^ b[i]);
  return difference == 0;
}

std::string announce_url(std::uint16_t port, const course::Asker& asker) {
  return fmt::format("http://{}:{}/announce", asker.local.to_string(), port);
}

// So that whoever has nothing but the torrent finds the others. The rest of the file goes out as it is kept.
HttpAnswer torrent_of(const Share& share, const std::string& our_url) {
  HttpAnswer answer{.response = {.content_type = "application/x-bittorrent"}, .shared_body = share.torrent_file};
  std::vector<std::vector<std::string>> tiers = share.torrent.tracker_tiers;
  const bool is_named =
      std::ranges::any_of(tiers, [&](const auto& tier) { return std::ranges::find(tier, our_url) != tier.end(); });
  if (is_named || (share.torrent.is_private && !tiers.empty())) return answer;
  tiers.insert(tiers.begin(), {our_url});
  const auto before = base::ByteView(*share.torrent_file).first(share.trackers_begin);
  const base::Bytes trackers = metainfo::encode_trackers(tiers);
  answer.response.body.assign(before.begin(), before.end());
  answer.response.body.insert(answer.response.body.end(), trackers.begin(), trackers.end());
  answer.shared_from = share.trackers_end;
  return answer;
}

std::string magnet_of(const Share& share, std::uint16_t port, const course::Asker& asker) {
  metainfo::Magnet magnet{.info_hash = share.torrent.info_hash, .name = share.torrent.manifest.name};
  magnet.trackers.push_back(announce_url(port, asker));
  return metainfo::encode_magnet(magnet);
}

}  // namespace

bool HttpAnswers::may_publish(const HttpRequest& request, const course::Asker& asker) const {
  // A page from the internet must not publish through the browser of somebody here; browsers say so.
  if (swarms_.is_near(asker.address) && !request.header("origin")) return true;
  const auto header = request.header("authorization");
  constexpr std::string_view kScheme = "Bearer ";
  return !options_.token.empty() && header && header->starts_with(kScheme) &&
         is_equal(header->substr(kScheme.size()), options_.token);
}

bool HttpAnswers::wants_body(const HttpRequest& request, const course::Asker& asker) const {
  return request.method == "PUT" && is_share(request) && may_publish(request, asker);
}

HttpAnswer HttpAnswers::answer(const HttpRequest& request, base::ByteView body, const course::Asker& asker,
                               base::Instant now) {
  ++requests_;
  if (is_share(request)) return share(request, body, asker, now);
  if (!is_reading(request)) return {.response = not_allowed("GET, HEAD")};
  if (request.path == "/announce") return {.response = announce(request, asker, now)};
  if (request.path == "/scrape") return {.response = scrape(request)};
  if (request.path == "/shares" || request.path == kSharesFolder) {
    return {.response = {.content_type = "application/json"},
            .shared_body = page("/shares", asker, now, [&] { return list(asker); })};
  }
  if (request.path == "/healthz") return {.response = text(200, "ok\n")};
  if (request.path == "/metrics") return {.response = metrics()};
  if (request.path == "/") {
    return {.response = {}, .shared_body = page("/", asker, now, [&] { return front_page(asker); })};
  }
  return {.response = text(404, "nothing is here; / says what is\n")};
}

template <typename Make>
std::shared_ptr<const base::Bytes> HttpAnswers::page(std::string_view path, const course::Asker& asker,
                                                     base::Instant now, Make make) {
  std::erase_if(pages_, [&](const Page& page) { return now - page.made >= kPageValidity * shares_.all().size(); });
  const auto found =
      std::ranges::find_if(pages_, [&](const Page& page) { return page.path == path && page.local == asker.local; });
  if (found != pages_.end()) return found->body;
  if (pages_.size() == kPagesMax) pages_.erase(pages_.begin());
  const std::string words = make();
  const base::ByteView view = base::view_of(words);
  pages_.push_back({path, asker.local, now, std::make_shared<const base::Bytes>(view.begin(), view.end())});
  return pages_.back().body;
}

void HttpAnswers::note_change() {
  is_changed_ = true;
  pages_.clear();
}

HttpResponse HttpAnswers::announce(const HttpRequest& request, const course::Asker& asker, base::Instant now) {
  const auto parsed = wire::parse_announce_query(request.query);
  if (!parsed) return bencoded(wire::encode_http_failure(parsed.error()));
  const auto reply = swarms_.announce(*parsed, asker, now);
  if (!reply) return bencoded(wire::encode_http_failure(reply.error()));
  return bencoded(wire::encode_http_announce_reply(*reply, *parsed));
}

HttpResponse HttpAnswers::scrape(const HttpRequest& request) {
  const auto hashes = wire::parse_scrape_query(request.query);
  if (!hashes) return bencoded(wire::encode_http_failure(hashes.error()));
  if (hashes->empty()) return bencoded(wire::encode_http_failure("say which: info_hash is missing"));
  std::vector<wire::ScrapeEntry> entries;
  for (const base::Sha1Hash& info_hash : *hashes) entries.push_back(swarms_.scrape(info_hash));
  return bencoded(wire::encode_http_scrape_reply(entries));
}

std::string HttpAnswers::list(const course::Asker& asker) const {
  boost::json::array shares;
  for (const auto& share : shares_.all()) {
    const wire::ScrapeEntry counts = swarms_.counts(share->torrent.info_hash);
    const metainfo::Layout& layout = *share->torrent.manifest.layout;
    shares.emplace_back(boost::json::object{{"name", base::to_utf8(share->name)},
                                            {"info_hash", share->torrent.info_hash.to_hex()},
                                            {"size", layout.total_bytes},
                                            {"files", layout.files.size()},
                                            {"seeds", counts.seeds},
                                            {"leechers", counts.leechers},
                                            {"magnet", magnet_of(*share, options_.port, asker)}});
  }
  return boost::json::serialize(shares) + "\n";
}

HttpAnswer HttpAnswers::share(const HttpRequest& request, base::ByteView body, const course::Asker& asker,
                              base::Instant now) {
  if (!is_reading(request)) return {.response = change_share(request, body, asker, now)};
  const Share* found = shares_.find(share_name(request));
  if (found == nullptr) return {.response = text(404, kNoShare)};
  return torrent_of(*found, announce_url(options_.port, asker));
}

HttpResponse HttpAnswers::change_share(const HttpRequest& request, base::ByteView body, const course::Asker& asker,
                                       base::Instant now) {
  if (request.method != "PUT" && request.method != "DELETE") return not_allowed("GET, HEAD, PUT, DELETE");
  if (!may_publish(request, asker)) {
    if (options_.token.empty()) return text(403, "only the local network may do that: no --token-file is set here\n");
    HttpResponse refused =
        text(401, "only the local network may do that, or whoever gives this tracker's token with --token-file FILE\n");
    refused.headers.emplace_back("WWW-Authenticate", "Bearer");
    return refused;
  }
  return request.method == "PUT" ? publish(body, now) : take_back(share_name(request), request.query);
}

HttpResponse HttpAnswers::publish(base::ByteView body, base::Instant now) {
  const std::uint64_t newest = shares_.newest() == nullptr ? 0 : shares_.newest()->order;
  const std::uint64_t changes = shares_.changes();
  const auto published = shares_.publish(body, [this] { return drop_unused(); });
  if (!published) return text(400, published.error() + "\n");
  const bool is_new = (*published)->order > newest;
  if (shares_.changes() != changes) note_change();
  swarms_.allow((*published)->torrent.info_hash, now);
  HttpResponse response = text(is_new ? 201 : 200, (*published)->name + "\n");
  response.headers.emplace_back("Location", path_of(**published));
  return response;
}

// Of the shares without members the one that has been so the longest: its swarm is like any other from now on.
const Share* HttpAnswers::drop_unused() {
  const Share* dropped = nullptr;
  std::optional<base::Instant> since;
  for (const auto& share : shares_.all()) {
    const auto empty_since = swarms_.empty_since(share->torrent.info_hash);
    if (!empty_since || (since && *since <= *empty_since)) continue;
    since = empty_since;
    dropped = share.get();
  }
  if (dropped != nullptr) {
    swarms_.forbid(dropped->torrent.info_hash);
    note_change();
  }
  return dropped;
}

HttpResponse HttpAnswers::take_back(std::string_view name, std::string_view condition) {
  const Share* share = shares_.find(name);
  if (share == nullptr) return text(404, kNoShare);
  if (condition == kIfUnused && !swarms_.empty_since(share->torrent.info_hash)) {
    return text(409, "others have it or are getting it\n");
  }
  swarms_.forbid(share->torrent.info_hash);
  shares_.remove(share->torrent.info_hash.to_hex());
  note_change();
  return text(200, "taken back\n");
}

HttpResponse HttpAnswers::metrics() const {
  const Swarms::Totals totals = swarms_.totals();
  std::string page;
  const auto add = [&page](std::string_view name, std::string_view type, std::string_view help, std::uint64_t value) {
    page += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n{0} {3}\n", name, help, type, value);
  };
  add("shoal_tracker_shares", "gauge", "Shares that were published.", shares_.all().size());
  add("shoal_tracker_swarms", "gauge", "Swarms that are known.", totals.swarms);
  add("shoal_tracker_seeds", "gauge", "Members of swarms that have everything.", totals.seeds);
  add("shoal_tracker_leechers", "gauge", "Members of swarms that lack something.", totals.leechers);
  add("shoal_tracker_announces_total", "counter", "Announces over HTTP and UDP.", totals.announces);
  add("shoal_tracker_announces_refused_total", "counter", "Announces that were refused.", totals.refused);
  add("shoal_tracker_scrapes_total", "counter", "Swarms that scrapes asked about.", totals.scrapes);
  add("shoal_tracker_http_requests_total", "counter", "HTTP requests of every kind.", requests_);
  add("shoal_tracker_silent_connections", "gauge", "Open connections that have said nothing yet.", counts_.silent);
  add("shoal_tracker_http_connections", "gauge", "Open HTTP connections.", counts_.http);
  add("shoal_tracker_course_connections", "gauge", "Open connections of course clients.", counts_.course);
  HttpResponse response = text(200, page);
  response.content_type = "text/plain; version=0.0.4";
  return response;
}

std::string HttpAnswers::front_page(const course::Asker& asker) const {
  std::string page = fmt::format("This is the Shoal tracker \"{}\". shoal get fetches from here:\n\n",
                                 base::to_utf8(options_.tracker_name));
  for (const auto& share : shares_.all()) {
    const wire::ScrapeEntry counts = swarms_.counts(share->torrent.info_hash);
    page += fmt::format("  {}  {} bytes, {} have it, {} are getting it\n    {}\n", base::to_utf8(share->name),
                        share->torrent.manifest.layout->total_bytes, counts.seeds, counts.leechers,
                        magnet_of(*share, options_.port, asker));
  }
  if (shares_.all().empty()) page += "  (nothing is shared now)\n";
  page += "\nAnnounce: /announce  Scrape: /scrape  Shares: /shares (JSON)  Metrics: /metrics\n";
  return page;
}

}  // namespace shoal::tracker
