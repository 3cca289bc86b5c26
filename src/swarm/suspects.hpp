// Who may have lied, when a piece that several sources gave was wrong. Part of the Picker, which has a suspect give
// whole pieces alone: such a piece says for sure.
//
// Always holds: only who gave a wrong piece alone is convicted.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>

#include "swarm/source_id.hpp"

namespace shoal::swarm {

class Suspects {
 public:
  [[nodiscard]] bool is_suspect(SourceId source) const;
  // A piece was right, and this source alone gave it.
  void on_right_alone(SourceId source);
  // A piece was wrong. Gives who is convicted; else all of them are suspects.
  [[nodiscard]] std::optional<SourceId> on_wrong(std::span<const SourceId> givers);
  // It went, or is convicted.
  void forget(SourceId source) { records_.erase(source); }

 private:
  struct Record {
    std::uint32_t times = 0;        // it was among the givers of a wrong piece
    std::uint32_t pieces_owed = 0;  // right ones of its own, until it is cleared
  };
  std::unordered_map<SourceId, Record> records_;
};

}  // namespace shoal::swarm
