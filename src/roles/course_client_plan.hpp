// What a course client is about to do, worked out from a FILE_INFO before anything is opened: which pieces are the
// same, and who is listed for what, at addresses that can be used from here (course-protocol 4.8, 4.20, 4.21). Used by
// the course client only. Values in, a value out.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "base/endpoint.hpp"
#include "base/strong.hpp"
#include "course/messages.hpp"
#include "metainfo/manifest.hpp"

namespace shoal::roles {

// More distinct peers than this are not asked: each is a connection.
inline constexpr std::size_t kSourcesMax = 512;

struct CoursePlan {
  struct Source {
    base::Endpoint endpoint;
    std::vector<base::PieceIndex> listed;  // first indices of groups, sorted
  };

  metainfo::Manifest manifest;
  // For each piece, the first with the same hash: pieces with equal hashes form a group, known by its first index.
  std::vector<base::PieceIndex> first_of;
  std::vector<Source> sources;       // distinct endpoints
  bool has_dropped_sources = false;  // more than kSourcesMax were listed
};

struct CoursePlanContext {
  std::optional<base::Endpoint> tracker;  // who said so; nothing: our own configuration
  bool is_tracker_on_this_host = false;
  std::vector<base::Endpoint> extra_peers;
};

// `name` is a safe base name.
[[nodiscard]] CoursePlan make_course_plan(const course::FileInfo& file, std::string name,
                                          const CoursePlanContext& context);

// Where a listed peer can be reached from here, or nothing when it cannot: 0.0.0.0, and 127.x from another host, mean
// the host that said so.
[[nodiscard]] std::optional<base::Endpoint> usable_peer(base::Endpoint listed, const CoursePlanContext& context);

}  // namespace shoal::roles
