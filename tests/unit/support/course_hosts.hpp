// Trackers and peers for the tests of the course client: a shared file, hosts that serve it, options for each step.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "unit/support/client_world.hpp"

namespace shoal::testing {

using base::Bytes;
using base::Endpoint;
using Link = ClientWorld::Link;
using Dialled = ClientWorld::Dialled;

inline constexpr const char* kTracker = "10.0.0.1:8000";
inline constexpr const char* kAlice = "10.0.0.2:8001";
inline constexpr const char* kBob = "10.0.0.3:8002";

// A file in chunks, and who is said to own each.
struct Shared {
  std::vector<std::string> chunks = {"Hello, BIT", "E! 0123456", "789abc"};
  std::vector<std::vector<std::string>> owners = {{kAlice}, {kAlice, kBob}, {kBob}};
  std::string name = "hello.txt";

  [[nodiscard]] course::FileInfo info() const {
    course::FileInfo file{name, {}};
    for (std::size_t i = 0; i < chunks.size(); ++i) {
      course::ChunkRecord record{base::sha1(base::view_of(chunks[i])), {}};
      for (const std::string& owner : owners.at(i)) record.peers.push_back(endpoint(owner));
      file.chunks.push_back(std::move(record));
    }
    return file;
  }
  [[nodiscard]] std::string whole() const {
    std::string all;
    for (const std::string& chunk : chunks) all += chunk;
    return all;
  }
};

// The hash a GET_CHUNK asks for.
inline base::Sha1Hash asked_hash(const Bytes& message) {
  return base::Sha1Hash::from_bytes(base::ByteView(message).subspan(course::kHeaderBytes));
}
inline std::optional<std::string> find_content(const std::vector<std::string>& chunks, const base::Sha1Hash& hash) {
  for (const std::string& chunk : chunks) {
    if (base::sha1(base::view_of(chunk)) == hash) return chunk;
  }
  return std::nullopt;
}
inline void answer_honestly(Link& link, const Bytes& message, const std::vector<std::string>& chunks,
                            std::uint16_t reserved = 0, base::Duration delay = {}) {
  const auto content = find_content(chunks, asked_hash(message));
  link.send(content ? chunk_message(bytes_of(*content), reserved)
                    : course::encode_error(course::ErrorCode::chunk_not_found, reserved),
            delay);
}
inline void make_honest(ClientWorld::Host& host, const std::vector<std::string>& chunks, std::uint16_t reserved = 0,
                        base::Duration delay = {}) {
  std::map<base::Sha1Hash, std::vector<std::string>> by_hash;
  for (const std::string& chunk : chunks) by_hash[base::sha1(base::view_of(chunk))] = {chunk};
  host.on_message = [=](Link& link, const Bytes& message) {
    const auto found = by_hash.find(asked_hash(message));
    answer_honestly(link, message, found == by_hash.end() ? std::vector<std::string>() : found->second, reserved,
                    delay);
  };
}
inline void make_tracker(ClientWorld::Host& host, const course::FileInfo& file) {
  host.on_message = [file](Link& link, const Bytes&) { link.send(course::encode_file_info(file)); };
}

inline roles::CourseClientOptions step_1(const Shared& shared) {
  return {.file_info = shared.info(), .tracker = {}, .interfaces = {}, .extra_peers = {}};
}
inline roles::CourseClientOptions step_2(std::string_view tracker = kTracker) {
  return {.file_info = {}, .tracker = endpoint(tracker), .interfaces = {}, .extra_peers = {}};
}
inline roles::CourseClientOptions step_3() {
  return {.file_info = {},
          .tracker = {},
          .interfaces = {{base::Ipv4Address::parse("10.0.0.99").value(), std::nullopt}},
          .extra_peers = {}};
}
// Trackers that answer a discovery, each once, in this order.
inline void discoverable(ClientWorld& world, std::vector<std::string> trackers) {
  world.on_datagram = [&world, trackers, is_first = true](const seam::SendDatagram& sent) mutable {
    if (!std::exchange(is_first, false)) return;
    for (const std::string& tracker : trackers) {
      const Endpoint at = endpoint(tracker);
      world.after(1ms, [&world, at, socket = sent.socket] {
        world.feed(seam::DatagramArrived{socket, {at.address, 9000}, {}, course::encode_tracker_info({at, "tracker"})});
      });
    }
  };
}

}  // namespace shoal::testing
