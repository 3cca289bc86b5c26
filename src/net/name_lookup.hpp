// Names of hosts as addresses, while a machine runs: a name server may take half a minute or never answer, so each
// question waits on a thread of its own kind, at most kLookupThreadsMax of them. Used by the runner (Resolve) and by
// HttpClient. Belongs to the loop's thread.
//
// Always holds: stop() does not wait for a name server. The threads own what they touch, so one that still waits then
// ends on its own or with the program.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/ip/address.hpp>

#include "net/loop.hpp"

namespace shoal::net {

inline constexpr unsigned kLookupThreadsMax = 8;
inline constexpr std::size_t kLookupsWaitingMax = 1024;  // more are answered with nothing at once
inline constexpr std::size_t kAddressesMax = 16;         // of one name; more are left out

using IpAddresses = std::vector<asio::ip::address>;

// Asks the system and waits. Empty when there is no such name.
[[nodiscard]] IpAddresses ask_system(const std::string& host);

class NameLookup {
 public:
  using Ask = std::function<IpAddresses(const std::string& host)>;
  using OnAnswer = std::function<void(const IpAddresses&)>;

  explicit NameLookup(asio::io_context& loop, Ask ask = ask_system);
  ~NameLookup();
  NameLookup(const NameLookup&) = delete;
  NameLookup& operator=(const NameLookup&) = delete;

  // The answer comes later, on the loop, unless stop() comes first.
  void look_up(const std::string& host, OnAnswer on_answer);
  void stop();

 private:
  struct Shared;

  static void work(const std::shared_ptr<Shared>& shared);
  void on_found(std::uint64_t question, const IpAddresses& addresses);

  asio::io_context& loop_;
  std::shared_ptr<Shared> shared_;
  std::map<std::uint64_t, OnAnswer> waiting_;
  std::uint64_t next_question_ = 0;
};

}  // namespace shoal::net
