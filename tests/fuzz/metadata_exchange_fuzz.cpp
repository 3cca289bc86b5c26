// Getting metadata among peers that say anything at any time. Nothing but the true metadata may ever be taken for it,
// nobody is asked for more than the limits, and once one honest peer joins, it wins in bounded time.
//
// The input: a byte for the size of the metadata, then steps, each a byte (see Step), a byte for the peer, and the
// rest.
#include <map>
#include <set>
#include <vector>

#include "base/rng.hpp"
#include "fuzz/input.hpp"
#include "swarm/metadata_exchange.hpp"

namespace shoal::swarm {
namespace {

using base::Bytes;
using base::Instant;

constexpr std::uint32_t kPiece = wire::kMetadataPieceBytes;
constexpr std::size_t kPeers = 40;
constexpr SourceId kHonest(1000);

enum class Step : std::uint8_t { add, remove, true_piece, false_piece, odd_piece, refuse, pause, ask, answer };
constexpr std::size_t kSteps = 9;

class World {
 public:
  explicit World(std::uint8_t size) : info_(make_info(size)), exchange_(base::sha1(info_)) {}

  void take(Step step, fuzz::Script& script) {
    const SourceId peer(static_cast<std::uint32_t>(script.below(kPeers)));
    switch (step) {
      case Step::add:
        add(peer, script);
        break;
      case Step::remove:
        exchange_.remove_peer(peer, now_);
        asked_.erase(peer);
        break;
      case Step::true_piece:
        exchange_.on_piece(peer, piece_of(script.u8()), now_);
        break;
      case Step::false_piece: {
        wire::MetadataPiece piece = piece_of(script.u8());
        if (!piece.bytes.empty()) piece.bytes.back() ^= std::byte{1};
        exchange_.on_piece(peer, piece, now_);
        break;
      }
      case Step::odd_piece: {
        const std::uint32_t index = script.u16();
        const std::uint32_t total = script.u16();
        exchange_.on_piece(peer, {index * index, total * 16, Bytes(script.u16())}, now_);
        break;
      }
      case Step::refuse:
        exchange_.on_refused(peer, script.u8(), now_);
        break;
      case Step::pause:
        pass(script.pause());
        break;
      case Step::ask:
        take_asks();
        break;
      case Step::answer:
        check_answer(peer, script.u16());
        break;
    }
    check();
  }

  // Whatever happened, one honest peer is enough.
  void end() {
    const Instant joined = now_;
    exchange_.add_peer(kHonest, static_cast<std::uint32_t>(info_.size()), now_);
    while (!exchange_.info()) {
      for (const auto& ask : take_asks()) {
        if (ask.peer == kHonest) exchange_.on_piece(kHonest, piece_of(ask.piece), now_);
      }
      check();
      if (exchange_.info()) break;
      SHOAL_CHECK(exchange_.next_deadline() || !asked_[kHonest].empty());
      if (const auto deadline = exchange_.next_deadline()) advance(*deadline);
      SHOAL_CHECK(now_ - joined < std::chrono::hours(4));
    }
    SHOAL_CHECK(*exchange_.info() == info_ && !exchange_.next_deadline());
  }

 private:
  static Bytes make_info(std::uint8_t size) {
    base::Rng rng(size);
    Bytes info(1 + std::size_t{size} * size * 4);
    for (std::byte& each : info) each = static_cast<std::byte>(rng.next());
    return info;
  }
  [[nodiscard]] wire::MetadataPiece piece_of(std::uint32_t piece) const {
    const std::size_t begin = std::min<std::size_t>(info_.size(), std::size_t{piece} * kPiece);
    const std::size_t end = std::min<std::size_t>(info_.size(), begin + kPiece);
    return {
        piece, static_cast<std::uint32_t>(info_.size()),
        Bytes(info_.begin() + static_cast<std::ptrdiff_t>(begin), info_.begin() + static_cast<std::ptrdiff_t>(end))};
  }
  void add(SourceId peer, fuzz::Script& script) {
    const std::uint8_t kind = script.u8();
    const std::uint32_t claim = kind % 4 == 0   ? static_cast<std::uint32_t>(info_.size())
                                : kind % 4 == 1 ? script.u16()
                                : kind % 4 == 2 ? script.u16() * 1024u
                                                : kMetadataBytesMax;
    exchange_.add_peer(peer, claim, now_);
  }
  std::vector<MetadataExchange::Ask> take_asks() {
    const auto asks = exchange_.take_asks(now_);
    std::map<SourceId, std::size_t> of_each;
    for (const auto& ask : asks) {
      SHOAL_CHECK(++of_each[ask.peer] <= kAskedAtOnce && ask.piece < kMetadataBytesMax / kPiece);
      asked_[ask.peer].insert(ask.piece);
    }
    return asks;
  }
  void pass(base::Duration duration) {
    const Instant end = now_ + duration;
    while (exchange_.next_deadline() && *exchange_.next_deadline() <= end) advance(*exchange_.next_deadline());
    now_ = end;
  }
  void advance(Instant deadline) {
    now_ = std::max(now_, deadline);
    exchange_.on_deadline(now_);
    SHOAL_CHECK(!exchange_.next_deadline() || *exchange_.next_deadline() > now_);
  }
  void check_answer(SourceId peer, std::uint32_t piece) {
    const auto answer = exchange_.answer(peer, piece);
    SHOAL_CHECK(!answer || (exchange_.info() && *answer == piece_of(piece) && !answer->bytes.empty()));
  }
  void check() {
    SHOAL_CHECK(!exchange_.info() || *exchange_.info() == info_);
    for (const SourceId liar : exchange_.take_liars()) {
      SHOAL_CHECK(liar != kHonest && asked_.contains(liar));
      asked_.erase(liar);
    }
  }

  Bytes info_;
  MetadataExchange exchange_;
  Instant now_{};
  std::map<SourceId, std::set<std::uint32_t>> asked_;
};

}  // namespace
}  // namespace shoal::swarm

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace shoal;
  fuzz::Script script(data, size);
  swarm::World world(script.u8());
  while (!script.is_over()) world.take(static_cast<swarm::Step>(script.below(swarm::kSteps)), script);
  world.end();
  return 0;
}
