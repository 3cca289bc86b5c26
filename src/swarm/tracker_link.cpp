#include "swarm/tracker_link.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace shoal::swarm {
namespace {

using base::Endpoint;
using base::Instant;
using base::Ipv4Address;

// A torrent may name any address; what is sent there goes to one host.
bool is_one_host(Ipv4Address address) {
  const std::uint32_t first = address.value >> 24;
  return first != 0 && first < 224;
}

}  // namespace

TrackerLink::TrackerLink(TrackerUrl url, base::Rng rng) : url_(std::move(url)), udp_(url_.path_and_query, rng) {}

void TrackerLink::announce(wire::AnnounceRequest request, WebIds& ids, base::Duration timeout, Instant now) {
  cancel();
  result_.reset();
  is_under_way_ = true;
  request_ = std::move(request);
  if (url_.scheme != TrackerUrl::Scheme::udp) {
    fetch(ids, timeout);
  } else if (const auto address = url_.address()) {
    on_addresses({*address}, now);
  } else if (request_.event == wire::AnnounceEvent::stopped && !udp_.addresses().empty()) {
    udp_.announce(udp_.addresses(), request_, now);  // there is no time to ask for its name again
    pump_udp();
  } else {
    resolve_ = ids.resolve();
    actions_.push_back(seam::Resolve{*resolve_, url_.host});
  }
}

void TrackerLink::fetch(WebIds& ids, base::Duration timeout) {
  fetch_ = ids.fetch();
  actions_.push_back(seam::Fetch{.fetch = *fetch_,
                                 .url = with_query(url_, wire::encode_announce_query(request_)),
                                 .reply_bytes_max = kAnnounceReplyBytesMax,
                                 .timeout = timeout});
}

void TrackerLink::cancel() {
  if (fetch_) actions_.push_back(seam::CancelFetch{*fetch_});
  fetch_.reset();
  resolve_.reset();
  udp_.cancel();
  is_under_way_ = false;
}

void TrackerLink::on_event(const seam::Event& event, Instant now) {
  if (const auto* fetched = std::get_if<seam::Fetched>(&event)) {
    if (fetched->fetch == fetch_) on_fetched(*fetched);
  } else if (const auto* failed = std::get_if<seam::FetchFailed>(&event)) {
    if (failed->fetch == fetch_) end(wire::Failure{failed->reason});
  } else if (const auto* resolved = std::get_if<seam::NameResolved>(&event)) {
    if (resolved->resolve == resolve_) on_addresses(resolved->addresses, now);
  }
}

void TrackerLink::on_fetched(const seam::Fetched& fetched) {
  // What a tracker says in its own words goes before what a status says.
  if (auto reply = wire::parse_http_announce_reply(fetched.body);
      reply && (fetched.status == 200 || std::holds_alternative<wire::Failure>(*reply))) {
    end(std::move(*reply));
  } else if (fetched.status != 200) {
    end(wire::Failure{fmt::format("answers with HTTP status {}", fetched.status)});
  } else {
    end(wire::Failure{"answers with something else than a tracker's reply"});
  }
}

void TrackerLink::on_addresses(const std::vector<Ipv4Address>& addresses, Instant now) {
  resolve_.reset();
  std::vector<Endpoint> endpoints;
  for (const Ipv4Address address : addresses) {
    const Endpoint endpoint{address, url_.port};
    const bool is_new = std::ranges::find(endpoints, endpoint) == endpoints.end();
    if (is_one_host(address) && is_new && endpoints.size() < kTrackerAddressesMax) endpoints.push_back(endpoint);
  }
  if (endpoints.empty()) {
    end(wire::Failure{addresses.empty() ? "its name is not known" : "its address is none of a host"});
    return;
  }
  udp_.announce(std::move(endpoints), request_, now);
  pump_udp();
}

void TrackerLink::on_datagram(Endpoint from, const wire::UdpReply& reply, Instant now) {
  udp_.on_reply(from, reply, now);
  pump_udp();
}

void TrackerLink::on_deadline(Instant now) {
  udp_.on_deadline(now);
  pump_udp();
}

void TrackerLink::pump_udp() {
  for (auto& datagram : udp_.take_datagrams()) {
    actions_.push_back(seam::SendDatagram{seam::kAnnouncerSocket, datagram.to, std::move(datagram.bytes)});
  }
  if (auto result = udp_.take_result()) end(std::move(*result));
}

void TrackerLink::end(AnnounceResult result) {
  is_under_way_ = false;
  fetch_.reset();
  result_ = std::move(result);
}

bool TrackerLink::is_on_this_host() const {
  return url_.is_on_this_host() || udp_.address().address.is_loopback();
}

Endpoint TrackerLink::endpoint() const {
  if (const auto address = url_.address()) return {*address, url_.port};
  return udp_.address();
}

}  // namespace shoal::swarm
