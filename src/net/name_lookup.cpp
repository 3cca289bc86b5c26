#include "net/name_lookup.hpp"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "net/socket.hpp"

namespace shoal::net {

namespace {

std::optional<asio::ip::address> address_of(const addrinfo& entry) {
  if (entry.ai_family == AF_INET && entry.ai_addrlen >= sizeof(sockaddr_in)) {
    sockaddr_in ipv4{};
    std::memcpy(&ipv4, entry.ai_addr, sizeof ipv4);
    return asio::ip::address_v4(ntohl(ipv4.sin_addr.s_addr));
  }
  if (entry.ai_family == AF_INET6 && entry.ai_addrlen >= sizeof(sockaddr_in6)) {
    sockaddr_in6 ipv6{};
    std::memcpy(&ipv6, entry.ai_addr, sizeof ipv6);
    asio::ip::address_v6::bytes_type bytes{};
    std::memcpy(bytes.data(), &ipv6.sin6_addr, bytes.size());
    return asio::ip::address_v6(bytes, ipv6.sin6_scope_id);
  }
  return std::nullopt;
}

}  // namespace

IpAddresses ask_system(const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (::getaddrinfo(host.c_str(), nullptr, &hints, &list) != 0 || list == nullptr) return {};
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(list, &::freeaddrinfo);
  IpAddresses found;
  for (const addrinfo* entry = list; entry != nullptr && found.size() < kAddressesMax; entry = entry->ai_next) {
    const auto address = address_of(*entry);
    if (address && std::ranges::find(found, *address) == found.end()) found.push_back(*address);
  }
  return found;
}

struct NameLookup::Shared {
  struct Question {
    std::uint64_t number = 0;
    std::string host;
  };

  Ask ask;
  std::mutex mutex;
  std::condition_variable question_arrived;
  // Everything below is guarded by mutex.
  std::function<void(std::uint64_t, IpAddresses)> give;  // empty once stopped
  std::deque<Question> questions;
  unsigned threads = 0;
  unsigned idle_threads = 0;
};

NameLookup::NameLookup(asio::io_context& loop, Ask ask) : loop_(loop), shared_(std::make_shared<Shared>()) {
  shared_->ask = std::move(ask);
  shared_->give = [this](std::uint64_t question, IpAddresses addresses) {
    asio::post(loop_, [this, question, addresses = std::move(addresses)] { on_found(question, addresses); });
  };
}

NameLookup::~NameLookup() {
  stop();
}

void NameLookup::look_up(const std::string& host, OnAnswer on_answer) {
  const std::uint64_t question = next_question_++;
  waiting_.emplace(question, std::move(on_answer));
  const std::lock_guard lock(shared_->mutex);
  if (!shared_->give) return;
  if (shared_->questions.size() == kLookupsWaitingMax) return shared_->give(question, {});
  shared_->questions.push_back({.number = question, .host = host});
  if (shared_->questions.size() > shared_->idle_threads && shared_->threads < kLookupThreadsMax) {
    try {
      std::thread([shared = shared_] { work(shared); }).detach();
      ++shared_->threads;
    } catch (const std::system_error&) {
      // Those that are there do as well.
      if (shared_->threads == 0) {
        shared_->questions.clear();
        return shared_->give(question, {});
      }
    }
  }
  shared_->question_arrived.notify_one();
}

void NameLookup::stop() {
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->give = nullptr;
    shared_->questions.clear();
  }
  shared_->question_arrived.notify_all();
  waiting_.clear();
}

void NameLookup::work(const std::shared_ptr<Shared>& shared) {
  std::unique_lock lock(shared->mutex);
  while (true) {
    ++shared->idle_threads;
    shared->question_arrived.wait(lock, [&shared] { return !shared->give || !shared->questions.empty(); });
    --shared->idle_threads;
    if (!shared->give) return;
    const Shared::Question question = std::move(shared->questions.front());
    shared->questions.pop_front();
    lock.unlock();
    IpAddresses addresses = shared->ask(question.host);
    lock.lock();
    if (shared->give) shared->give(question.number, std::move(addresses));
  }
}

void NameLookup::on_found(std::uint64_t question, const IpAddresses& addresses) {
  auto node = waiting_.extract(question);
  if (!node.empty()) node.mapped()(addresses);
}

}  // namespace shoal::net
