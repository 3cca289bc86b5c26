// A whole swarm of made-up sources around one Picker, played at random beside a simple reference: for each block who is
// asked for it, whether it is here, and whether it is wrong. The reference checks every answer of the picker; the
// picker checks itself (audits). Used by picker_swarm_test.cpp.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "swarm/picker.hpp"

namespace shoal::swarm::test {

enum class Lies : std::uint8_t { never, sometimes, in_company };  // in_company: where others gave of the piece too

struct SwarmOptions {
  std::uint64_t seed = 0;
  std::uint32_t piece_count = 40;
  std::uint32_t piece_blocks = 20;
  std::uint32_t last_piece_bytes = 5000;
  std::uint32_t honest = 5;
  std::uint32_t liars = 0;
  Lies how = Lies::sometimes;
  double lie_chance = 0.2;  // for each part that a liar sends
  bool liars_have_all = false;
  bool is_sequential = false;
  bool has_course_peers = false;
  bool has_unwanted = false;
};

class PickerSwarm {
 public:
  explicit PickerSwarm(const SwarmOptions& options);

  // Anything may happen: sources come and go, choke, deny, fall silent, gain pieces, lose them; the disk loses some.
  void play_chaos(int steps);
  // Nothing goes wrong any more but that liars lie; one honest source has everything. Until done.
  void finish();

  // The first thing that was not as it should be; "" when all was well.
  [[nodiscard]] const std::string& complaint() const { return complaint_; }
  [[nodiscard]] bool is_done() const { return picker_.is_done(); }
  [[nodiscard]] std::uint32_t convicted_liars() const { return convicted_; }
  [[nodiscard]] std::uint32_t wrong_pieces() const { return wrong_pieces_; }

 private:
  struct Member {
    bool is_liar = false;
    OriginId origin;
    SourceKind kind = SourceKind::blocks;
    base::Bitfield has;
    base::Bitfield denied;
    bool is_silent = false;
    std::deque<Run> queue;  // what it will send, in order; also what was cancelled and is under way
  };
  struct Block {
    std::set<SourceId> holders;
    bool is_here = false;
    bool is_wrong = false;
  };
  struct Piece {
    std::vector<Block> blocks;
    std::set<SourceId> givers;
    bool is_verifying = false;
    bool is_verified = false;
  };
  static constexpr std::uint64_t kOrigins = 4;
  using Members = std::map<SourceId, Member>;

  void complain(const std::string& what);
  void step();
  void join(bool is_liar, bool has_all, OriginId origin = {});
  void leave(SourceId id);
  bool ask(SourceId id);
  bool deliver(SourceId id);
  void check_stored(SourceId id, const Run& part, const Run& stored);
  void choke(SourceId id);
  void deny(SourceId id);
  void gain(SourceId id);
  void lose();
  bool verify_one();
  void obey_cancels();
  void forget_thrown_away();
  void note_whole(base::PieceIndex piece);
  void release_in_reference(SourceId id, const Run& run);
  void check_answers();
  [[nodiscard]] std::uint32_t piece_size(base::PieceIndex piece) const;
  [[nodiscard]] std::pair<std::uint32_t, std::uint32_t> span(const Run& run) const;  // of blocks: [first, end)
  [[nodiscard]] SourceId any_member();
  [[nodiscard]] base::PieceIndex any_piece();
  [[nodiscard]] base::Bitfield any_set();

  SwarmOptions options_;
  base::Rng rng_;
  base::Bitfield wanted_;
  Picker picker_;
  base::Instant now_{};
  Members members_;
  std::uint32_t next_id_ = 0;
  std::vector<Piece> pieces_;
  std::deque<base::PieceIndex> verifying_;
  std::uint32_t convicted_ = 0;
  std::uint32_t wrong_pieces_ = 0;
  std::set<base::PieceIndex> thrown_away_;  // at the last call
  std::string complaint_;
};

}  // namespace shoal::swarm::test
