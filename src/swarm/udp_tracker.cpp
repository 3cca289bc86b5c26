#include "swarm/udp_tracker.hpp"

#include <algorithm>

#include "base/check.hpp"
#include "base/overloaded.hpp"

namespace shoal::swarm {
namespace {

using base::Endpoint;
using base::Instant;

constexpr std::uint8_t kUrlDataOption = 2;  // BEP 41
constexpr std::size_t kUrlDataBytesMax = 255;

// Behind the announce, in as many options as it takes. There is nothing to say of a URL that ends with host and port.
void append_url_data(base::Bytes& datagram, std::string_view url_data) {
  if (url_data.empty() || url_data == "/") return;
  base::ByteWriter options;
  for (; !url_data.empty(); url_data.remove_prefix(std::min(url_data.size(), kUrlDataBytesMax))) {
    const std::string_view part = url_data.substr(0, kUrlDataBytesMax);
    options.u8(kUrlDataOption).u8(static_cast<std::uint8_t>(part.size())).append(part);
  }
  const base::Bytes bytes = options.take();
  datagram.insert(datagram.end(), bytes.begin(), bytes.end());
}

}  // namespace

void UdpTracker::announce(std::vector<Endpoint> addresses, wire::AnnounceRequest request, Instant now) {
  SHOAL_CHECK(!addresses.empty());
  const Endpoint last = address();
  const auto same = std::ranges::find(addresses, last);
  addresses_ = std::move(addresses);
  at_ = same == addresses_.end() ? 0 : static_cast<std::size_t>(same - addresses_.begin());
  request_ = std::move(request);
  has_announced_ = false;
  repeats_ = 0;
  transaction_of_ = {};
  result_.reset();
  send(now);
}

bool UdpTracker::is_connected(Instant now) const {
  return connection_ && connection_->tracker == address() && now < connection_->since + kUdpConnectionLife;
}

void UdpTracker::send(Instant now) {
  phase_ = is_connected(now) ? Phase::announcing : Phase::connecting;
  // The same question to the same address keeps its number, so that a late answer is one.
  if (transaction_of_ != std::pair(phase_, address())) {
    transaction_of_ = {phase_, address()};
    transaction_ = static_cast<std::uint32_t>(rng_.next());
  }
  base::Bytes bytes;
  if (phase_ == Phase::connecting) {
    bytes = wire::encode(wire::UdpRequest(wire::UdpConnect{.transaction = transaction_}));
  } else {
    bytes = wire::encode(wire::UdpRequest(
        wire::UdpAnnounce{.connection = connection_->id, .transaction = transaction_, .request = request_}));
    append_url_data(bytes, url_data_);
    has_announced_ = true;
  }
  datagrams_.push_back({address(), std::move(bytes)});
  repeat_at_ = now + kUdpFirstWait * (1 << repeats_);
}

void UdpTracker::on_reply(Endpoint from, const wire::UdpReply& reply, Instant now) {
  if (phase_ == Phase::idle || from != address()) return;
  std::visit(base::Overloaded{
                 [&](const wire::UdpConnected& connected) {
                   if (phase_ != Phase::connecting || connected.transaction != transaction_) return;
                   connection_ = Connection{.tracker = from, .id = connected.connection, .since = now};
                   repeats_ = 0;
                   send(now);
                 },
                 [&](const wire::UdpAnnounced& announced) {
                   if (phase_ == Phase::announcing && announced.transaction == transaction_) end(announced.reply);
                 },
                 [](const wire::UdpScraped&) {},
                 [&](const wire::UdpFailed& failed) {
                   if (failed.transaction != transaction_) return;
                   connection_.reset();  // it may be what the tracker did not like
                   end(wire::Failure{failed.reason});
                 },
             },
             reply);
}

void UdpTracker::end(AnnounceResult result) {
  phase_ = Phase::idle;
  repeats_ = 0;
  result_ = std::move(result);
}

void UdpTracker::on_deadline(Instant now) {
  if (phase_ == Phase::idle || now < repeat_at_) return;
  if (repeats_ == kUdpRepeatsMax) {
    end(wire::Failure{"does not answer"});
    return;
  }
  ++repeats_;
  at_ = (at_ + 1) % addresses_.size();
  send(now);
}

std::optional<Instant> UdpTracker::next_deadline() const {
  if (phase_ == Phase::idle) return std::nullopt;
  return repeat_at_;
}

}  // namespace shoal::swarm
