#include "tracker/swarm_state.hpp"

#include <algorithm>

namespace shoal::tracker {
namespace {

constexpr std::int64_t kVersion = 2;
constexpr std::uint32_t kAgeMaxS = 24 * 60 * 60;  // and more: as old as that
constexpr std::size_t kSwarmFields = 3;

void append(base::ByteWriter& writer, const Swarm::Member& member, base::Instant now) {
  const auto age_s = std::clamp<std::int64_t>((now - member.seen) / std::chrono::seconds(1), 0, kAgeMaxS);
  writer.u32(member.about.endpoint.address.value).u16(member.about.endpoint.port);
  writer.append(base::ByteView(member.about.peer_id)).u32(member.key).u64(member.about.left_bytes);
  writer.u32(static_cast<std::uint32_t>(age_s)).u8(member.ipv6 ? 1 : 0);
  if (member.ipv6) writer.append(base::ByteView(member.ipv6->address)).u16(member.ipv6->port);
  writer.u16(static_cast<std::uint16_t>(member.about.held.size())).append(member.about.held);
}

Swarm::Member read_member(base::ByteReader& reader, base::Instant saved_at) {
  Swarm::Member member;
  member.about.endpoint.address.value = reader.u32();
  member.about.endpoint.port = reader.u16();
  std::ranges::copy(reader.take(member.about.peer_id.size()), member.about.peer_id.begin());
  member.key = reader.u32();
  member.about.left_bytes = reader.u64();
  member.seen = saved_at - std::chrono::seconds(std::min(reader.u32(), kAgeMaxS));
  if (reader.u8() != 0) {
    wire::Ipv6Endpoint& ipv6 = member.ipv6.emplace();
    std::ranges::copy(reader.take(ipv6.address.size()), ipv6.address.begin());
    ipv6.port = reader.u16();
  }
  const std::uint16_t held = reader.u16();
  member.about.held = base::text_of(reader.take(held));
  return member;
}

std::optional<SavedSwarm> read_swarm(const bencode::Value& saved, base::Instant saved_at) {
  const bencode::List* fields = saved.list();
  if (fields == nullptr || fields->size() != kSwarmFields) return std::nullopt;
  const std::string_view* info_hash = (*fields)[0].string();
  const std::int64_t* downloads = (*fields)[1].integer();
  const std::string_view* members = (*fields)[2].string();
  if (info_hash == nullptr || info_hash->size() != base::Sha1Hash::kSize || downloads == nullptr ||
      !std::in_range<std::uint32_t>(*downloads) || members == nullptr) {
    return std::nullopt;
  }
  SavedSwarm swarm{.info_hash = base::Sha1Hash::from_bytes(base::view_of(*info_hash)),
                   .downloads = static_cast<std::uint32_t>(*downloads),
                   .members = {}};
  base::ByteReader reader(base::view_of(*members));
  while (reader.remaining() > 0) swarm.members.push_back(read_member(reader, saved_at));
  if (!reader.ok()) return std::nullopt;
  return swarm;
}

}  // namespace

SwarmStateWriter::SwarmStateWriter(base::Instant now) : now_(now) {
  writer_.begin_dictionary().key("swarms").begin_list();
}

void SwarmStateWriter::add(const base::Sha1Hash& info_hash, std::uint32_t downloads, const Swarm& swarm) {
  base::ByteWriter members;
  swarm.visit_by_age([&](const Swarm::Member& member) { append(members, member, now_); });
  writer_.begin_list().string(base::ByteView(info_hash.bytes)).integer(downloads);
  writer_.string(base::ByteView(members.take())).end();
}

base::Bytes SwarmStateWriter::take() {
  return writer_.end().key("v").integer(kVersion).end().take();
}

std::optional<std::vector<SavedSwarm>> parse_swarm_state(base::ByteView saved, base::Instant saved_at) {
  const auto value = bencode::parse(saved);
  if (!value) return std::nullopt;
  const std::int64_t* version = value->find_integer("v");
  const bencode::List* list = value->find_list("swarms");
  if (version == nullptr || *version != kVersion || list == nullptr) return std::nullopt;
  std::vector<SavedSwarm> swarms;
  for (const bencode::Value& one : *list) {
    auto swarm = read_swarm(one, saved_at);
    if (!swarm) return std::nullopt;
    swarms.push_back(std::move(*swarm));
  }
  return swarms;
}

}  // namespace shoal::tracker
