// Two sessions that talk to each other over a wire that splits what it carries anywhere, while both ask, give, choke,
// cancel and run out of buffers at random. Each block that is asked for must come or be released, once, and what comes
// must be right.
#include <cstdlib>
#include <map>

#include "base/rng.hpp"
#include "peer_session_driver.hpp"
#include "support/rounds.hpp"

namespace shoal::swarm {
namespace {

using namespace std::chrono_literals;
using base::PieceIndex;

class Side {
 public:
  Side(PeerSessionOptions options, bool may_reject, base::Rng rng)
      : may_reject_(may_reject), pool_(kRunBytesMax, 3), driver_(std::move(options), pool_), rng_(std::move(rng)) {}

  void begin(base::Instant now) {
    driver_.now = now;
    driver_.session.set_manifest(kTestGeometry, base::Bitfield(kTestGeometry.piece_count, true), now);
    driver_.session.start(now);
    settle();
  }
  // Bytes of the other side, in one read; how many were taken.
  std::size_t read(base::ByteView bytes) {
    if (!driver_.is_reading || bytes.empty()) return 0;
    const std::size_t count = driver_.read_once(bytes, 1 + rng_.below(rng_.chance(0.5) ? 50 : 100'000));
    settle();
    return count;
  }
  // Something that a role might do.
  void act() {
    PeerSession& session = driver_.session;
    switch (rng_.below(9)) {
      case 0:
      case 1:
        if (session.room_bytes(driver_.now) > 0) ask();
        break;
      case 2:
      case 3:
      case 4:
        give();
        break;
      case 5:
        if (rng_.chance(0.05)) session.set_choking(!session.is_choking(), driver_.now);
        break;
      case 6:
        if (rng_.chance(0.2)) session.cancel(random_run(), driver_.now);
        break;
      case 7:
        if (away_.size() < 3) {
          if (auto buffer = pool_.take()) away_.push_back(std::move(*buffer));
        }
        break;
      case 8:
        bring_home();
        break;
      default:
        break;
    }
    settle();
  }
  void pass(base::Duration duration) {
    driver_.now += duration;
    const auto deadline = driver_.session.next_deadline();
    if (deadline && *deadline <= driver_.now) driver_.session.on_deadline(driver_.now);
    settle();
  }
  void drain() {
    driver_.session.on_output_drained(driver_.now);
    settle();
  }
  void calm_down() {
    driver_.session.set_choking(false, driver_.now);
    bring_home();
    give();
    settle();
  }
  void bring_home() {
    away_.clear();
    driver_.session.on_buffer_available(driver_.now);
  }
  void give() {
    while (const auto range = driver_.session.next_upload()) {
      // Without BEP 6 nobody would hear of it.
      if (may_reject_ && rng_.chance(0.05)) {
        driver_.session.reject_upload(driver_.now);
      } else {
        driver_.session.send_block(test_piece(range->piece), driver_.now);
      }
    }
  }
  // After every call: what is open is what was asked and neither came nor was released.
  void settle() {
    driver_.take();
    EXPECT_FALSE(driver_.ended) << (driver_.ended ? driver_.ended->detail : "");
    for (const Run& run : std::exchange(driver_.arrived, {})) {
      arrived_blocks_ += block_count(run);
      close(run);
    }
    for (const Run& run : std::exchange(driver_.released, {})) close(run);
    output_.insert(output_.end(), driver_.output.begin(), driver_.output.end());
    driver_.output.clear();
  }
  [[nodiscard]] base::Bytes& output() { return output_; }
  [[nodiscard]] std::size_t open_blocks() const { return open_.size(); }
  [[nodiscard]] std::size_t arrived_blocks() const { return arrived_blocks_; }
  [[nodiscard]] std::size_t buffers_in_use() const { return pool_.in_use(); }

 private:
  Run random_run() {
    const auto piece = static_cast<std::uint32_t>(rng_.below(9));
    if (piece == 8) return run_of(8, 0, 40'000);
    const auto first = static_cast<std::uint32_t>(rng_.below(32));
    return blocks(piece, first, static_cast<std::uint32_t>(1 + rng_.below(std::min(16u, 32 - first))));
  }
  void ask() {
    const Run run = random_run();
    // A role asks for nothing twice.
    for (std::uint32_t number = 0; number < block_count(run); ++number) {
      if (open_.contains(block_at(run, number))) return;
    }
    for (std::uint32_t number = 0; number < block_count(run); ++number) open_[block_at(run, number)] = true;
    driver_.session.request(run, driver_.now);
  }
  void close(const Run& run) {
    for (std::uint32_t number = 0; number < block_count(run); ++number) {
      EXPECT_EQ(open_.erase(block_at(run, number)), 1u) << text_of(run);
    }
  }

  bool may_reject_;
  base::BufferPool pool_;
  std::vector<base::Buffer> away_;  // with other sessions
  PeerSessionDriver driver_;
  base::Rng rng_;
  base::Bytes output_;  // on the wire
  std::map<Run, bool> open_;
  std::size_t arrived_blocks_ = 0;
};

class Conversation {
 public:
  Conversation(std::uint64_t seed, bool has_fast)
      : rng_(seed),
        has_fast_(has_fast),
        one_(options(true), has_fast, rng_.fork()),
        other_(options(false), has_fast, rng_.fork()) {}

  void play() {
    one_.begin({});
    other_.begin({});
    for (int turn = 0; turn < 3000 && !::testing::Test::HasFailure(); ++turn) {
      carry(one_, other_);
      carry(other_, one_);
      one_.act();
      other_.act();
      if (rng_.chance(0.3)) pass(std::chrono::microseconds(rng_.below(2000)));
      if (rng_.chance(0.01)) pass(std::chrono::milliseconds(rng_.below(1500)));
    }
    // Once both are kind, everything ends well.
    for (int turn = 0; turn < 100'000 && !::testing::Test::HasFailure(); ++turn) {
      carry(one_, other_);
      carry(other_, one_);
      one_.calm_down();
      other_.calm_down();
      if (one_.output().empty() && other_.output().empty()) break;
    }
    pass(kSlabHeldMax);
    for (const Side* side : {&one_, &other_}) {
      EXPECT_EQ(side->open_blocks(), 0u);
      EXPECT_EQ(side->buffers_in_use(), 0u);
    }
  }
  [[nodiscard]] std::size_t arrived_blocks() const { return one_.arrived_blocks() + other_.arrived_blocks(); }

 private:
  static PeerSessionOptions options(bool is_dialled) {
    PeerSessionOptions options{.conn = seam::ConnId(1),
                               .remote = {{0x7f000001}, 6881},
                               .is_dialled = is_dialled,
                               .info_hash = test_info_hash(),
                               .our_id = test_id(is_dialled ? 'a' : 'b')};
    options.our_extensions.requests_max = kPeerRequestsMax;
    return options;
  }
  void carry(Side& from, Side& to) {
    // Takes the fast extension's flag out of the handshakes.
    base::Bytes& output = from.output();
    bool& is_greeted = &from == &one_ ? is_one_greeted_ : is_other_greeted_;
    if (!is_greeted && output.size() >= wire::kHandshakeBytes) {
      is_greeted = true;
      if (!has_fast_) output[27] &= ~std::byte{0x04};
    }
    for (int reads = 0; reads < 8; ++reads) {
      const std::size_t count = to.read(output);
      if (count == 0) break;
      output.erase(output.begin(), output.begin() + static_cast<std::ptrdiff_t>(count));
    }
    if (output.size() < 200'000) from.drain();
  }
  void pass(base::Duration duration) {
    one_.pass(duration);
    other_.pass(duration);
  }

  base::Rng rng_;
  bool has_fast_;
  Side one_;
  Side other_;
  bool is_one_greeted_ = false;
  bool is_other_greeted_ = false;
};

constexpr std::size_t kConversations = rounds_of(10);

void play_some(bool has_fast) {
  std::size_t arrived_blocks = 0;
  for (std::uint64_t seed = 1; seed <= kConversations && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Conversation conversation(seed, has_fast);
    conversation.play();
    arrived_blocks += conversation.arrived_blocks();
  }
  EXPECT_GT(arrived_blocks, kConversations * 500);
}

TEST(PeerSessionPair, ExchangesBlocksOverAnyFragmentationWithTheFastExtension) {
  play_some(true);
}

TEST(PeerSessionPair, ExchangesBlocksOverAnyFragmentationWithoutIt) {
  play_some(false);
}

}  // namespace
}  // namespace shoal::swarm
