// Who may have lied, when a piece that several sources gave was wrong. Part of the Picker, which has a suspect give
// whole pieces alone: such a piece says for sure.
//
// What is noted is noted of the origin, so that hanging up and coming back clears nobody. Several hosts may share an
// origin: then all of them give alone for a while, which costs an honest one little.
//
// Always holds: nobody is convicted here; at most kSuspectsMax origins are remembered, the oldest are forgotten first.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <unordered_map>

#include "swarm/source_id.hpp"

namespace shoal::swarm {

inline constexpr std::size_t kSuspectsMax = 4096;

class Suspects {
 public:
  [[nodiscard]] bool is_suspect(OriginId origin) const;
  // A piece was right, and a source of this origin alone gave it.
  void on_right_alone(OriginId origin);
  // A piece was wrong, and several gave it: all of them are suspects. An origin may come twice.
  void on_wrong(std::span<const OriginId> givers);

 private:
  struct Record {
    std::uint32_t times = 0;        // it was among the givers of a wrong piece
    std::uint32_t pieces_owed = 0;  // right ones of its own, until it is cleared
  };
  std::unordered_map<OriginId, Record> records_;
  std::deque<OriginId> in_order_;  // in which they were first suspected
};

}  // namespace shoal::swarm
