// A connection to a BitTorrent peer that sends whatever it likes, however it is split, while this side asks, cancels,
// gives, chokes, runs out of buffers and lets time pass. A plain reading of the stream beside it knows every block that
// was ever sent; what was asked must come once, with the bytes of one of those, or be released once; what goes out must
// be messages that this side may send.
//
// The input: a byte for the options, then steps, each a byte (see Step) and what belongs to it.
#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <variant>
#include <vector>

#include "fuzz/input.hpp"
#include "swarm/peer_session.hpp"

namespace shoal::swarm {
namespace {

constexpr std::size_t kStreamBytesMax = 512 * 1024;  // quick
constexpr std::size_t kBuffers = 4;
constexpr PeerSession::Geometry kGeometry{
    .piece_count = 5, .piece_bytes = 320 * 1024, .total_bytes = 4ull * 320 * 1024 + 20'000};

enum class Step : std::uint8_t {
  send_bytes,      // count, bytes
  send_handshake,  // flags
  send_message,    // id, a range (see range()): one of the fixed forms
  send_extended,   // extension, count, bytes
  answer,          // which open block: its piece message
  send_payload,    // count (2): so many bytes, each different from its neighbours
  ask,             // a run
  cancel,          // a run
  give,            // how many
  refuse,          // one
  set_choking,     // which
  set_manifest,
  say,  // what: have, interest, metadata, exchange
  drain,
  bring_home,   // the store gives the oldest buffer back
  take_buffer,  // another session takes one
  pass_time,    // tenths of a second
  end_input,
};
constexpr std::size_t kSteps = 18;

class PatternPiece : public seam::ReadablePiece {
 public:
  explicit PatternPiece(std::uint64_t size_bytes) : size_bytes_(size_bytes) {}
  [[nodiscard]] std::uint64_t size_bytes() const override { return size_bytes_; }
  std::size_t read_at(std::uint64_t, std::span<std::byte> target) const override { return target.size(); }

 private:
  std::uint64_t size_bytes_;
};

bool is_in_torrent(const wire::BlockRange& range) {
  if (range.piece.value >= kGeometry.piece_count || range.size_bytes == 0) return false;
  const std::uint64_t begin = std::uint64_t{range.piece.value} * kGeometry.piece_bytes;
  const std::uint64_t size = std::min<std::uint64_t>(kGeometry.piece_bytes, kGeometry.total_bytes - begin);
  return std::uint64_t{range.offset_bytes} + range.size_bytes <= size;
}

// All that was read, as the messages it begins with.
class Reading {
 public:
  void go_on(base::ByteView stream) {
    if (at_ == 0) {
      if (stream.size() < wire::kHandshakeBytes) return;
      at_ = wire::kHandshakeBytes;
    }
    while (stream.size() - at_ >= 4) {
      const std::uint32_t length = base::ByteReader(stream.subspan(at_)).u32();
      if (stream.size() - at_ - 4 < length) return;
      const auto message = wire::parse_message(length, stream.subspan(at_ + 4, length));
      if (message) {
        if (const auto* head = std::get_if<wire::PieceHead>(&*message)) {
          blocks_[head->range].push_back(at_ + wire::kPieceHeadBytes);
        }
      }
      at_ += 4 + std::size_t{length};
    }
  }
  [[nodiscard]] bool has_sent(base::ByteView stream, const wire::BlockRange& block, base::ByteView bytes) const {
    const auto found = blocks_.find(block);
    if (found == blocks_.end()) return false;
    return std::ranges::any_of(
        found->second, [&](std::size_t at) { return std::ranges::equal(stream.subspan(at, block.size_bytes), bytes); });
  }

 private:
  std::size_t at_ = 0;
  std::map<wire::BlockRange, std::vector<std::size_t>> blocks_;  // where in the stream their bytes begin
};

class Talk {
 public:
  explicit Talk(std::uint8_t options)
      : pool_(kRunBytesMax, kBuffers),
        session_({.conn = seam::ConnId(1),
                  .is_dialled = (options & 1) != 0,
                  .our_extensions = {.metadata_id = wire::kOurMetadataId,
                                     .pex_id = static_cast<std::uint8_t>((options & 2) != 0 ? wire::kOurPexId : 0)}},
                 pool_) {
    if ((options & 4) != 0) set_manifest();
    session_.start(now_);
    settle();
    if ((options & 8) == 0) return;
    send_handshake((options & 16) != 0, true);
    send(wire::encode(wire::Unchoke{}));
    session_.set_choking(false, now_);
    settle();
  }

  void take(Step step, fuzz::Script& script) {
    switch (step) {
      case Step::send_bytes:
        return send(script.bytes());
      case Step::send_handshake: {
        const std::uint8_t flags = script.u8();
        return send_handshake((flags & 1) != 0, (flags & 2) != 0);
      }
      case Step::send_message:
        return send(message(script));
      case Step::send_extended: {
        const std::uint8_t id = script.u8();
        const base::ByteView payload = script.bytes();
        return send(wire::encode(wire::Extended{id, base::Bytes(payload.begin(), payload.end())}));
      }
      case Step::answer:
        return answer(script.u8());
      case Step::send_payload:
        return send(payload(script.u16()));
      case Step::end_input:
        has_peer_ended_ = true;
        return read();
      case Step::bring_home:
        if (!away_.empty()) away_.pop_front();
        return offer_buffer();
      case Step::take_buffer:
        if (auto buffer = pool_.take()) away_.push_back(std::move(*buffer));
        return offer_buffer();
      case Step::pass_time:
        return pass(script.pause());
      default:
        act(step, script);
        settle();
        return read();
    }
  }
  // Once every buffer is home, nothing may be left waiting, and silence ends everything.
  void end() {
    while (!away_.empty()) {
      away_.pop_front();
      offer_buffer();
    }
    SHOAL_CHECK(has_ended_ || !session_.wants_buffer());
    SHOAL_CHECK(has_ended_ || (unread_.is_empty() && !has_peer_ended_));
    for (int waits = 0; session_.next_deadline(); ++waits) {
      SHOAL_CHECK(waits < 20);
      pass(*session_.next_deadline() - now_);
      session_.on_output_drained(now_);
    }
    SHOAL_CHECK(has_ended_ && open_.empty());
  }

 private:
  // What a role does.
  void act(Step step, fuzz::Script& script) {
    if (step == Step::set_manifest) return set_manifest();
    if (step == Step::ask && has_manifest_) return ask(range(script, true));
    if (step == Step::cancel && has_manifest_) return session_.cancel(range(script, true), now_);
    if (step == Step::set_choking) return session_.set_choking((script.u8() & 1) != 0, now_);
    if (step == Step::drain) return session_.on_output_drained(now_);
    if (step == Step::say) return say(script.u8());
    if (step != Step::give && step != Step::refuse) return;
    for (std::size_t left = script.below(32); left > 0 && session_.next_upload(); --left) {
      const wire::BlockRange asked = *session_.next_upload();
      SHOAL_CHECK(has_manifest_ && is_in_torrent(asked) && asked.size_bytes <= wire::kRequestBytesMax);
      SHOAL_CHECK(!session_.is_choking());
      if (step == Step::refuse) {
        session_.reject_upload(now_);
      } else {
        session_.send_block(std::make_shared<PatternPiece>(kGeometry.piece_bytes), now_);
      }
      settle();
    }
  }
  void say(std::uint8_t what) {
    const std::uint32_t piece = what / 8u % kGeometry.piece_count;
    switch (what % 8) {
      case 0:
        return session_.send_have(base::PieceIndex(piece), now_);
      case 1:
        return session_.set_interested((what & 8) != 0, now_);
      case 2:
        return session_.send_metadata_request(piece, now_);
      case 3:
        return session_.send_metadata({.piece = piece, .total_bytes = 9, .bytes = base::Bytes(9)}, now_);
      case 4:
        return session_.send_metadata_reject(piece, now_);
      case 5:
        return session_.send_pex({}, now_);
      case 6:
        return session_.send_extensions({.pex_id = wire::kOurPexId}, now_);
      default:
        return;
    }
  }
  void set_manifest() {
    if (has_manifest_) return;
    has_manifest_ = true;
    base::Bitfield held(kGeometry.piece_count);
    held.set(base::PieceIndex(1));
    session_.set_manifest(kGeometry, held, now_);
  }
  void ask(const Run& run) {
    if (has_ended_ || run.size_bytes > kRunBytesMax) return;
    // A role asks for nothing twice.
    for (std::uint32_t number = 0; number < block_count(run); ++number) {
      if (open_.contains(block_at(run, number))) return;
    }
    for (std::uint32_t number = 0; number < block_count(run); ++number) open_.insert(block_at(run, number));
    session_.request(run, now_);
  }

  // Three bytes: piece, offset, size; always of blocks of the torrent when it `is_ours`.
  static wire::BlockRange range(fuzz::Script& script, bool is_ours) {
    const std::uint8_t piece = script.u8();
    const std::uint32_t first = script.u8();
    const std::uint32_t count = script.u8();
    wire::BlockRange range{base::PieceIndex(piece), first * wire::kBlockBytes, count * 1000};
    if (is_ours || (count & 128) != 0) {
      range.piece = base::PieceIndex(piece % kGeometry.piece_count);
      const std::uint32_t size = range.piece.value + 1 == kGeometry.piece_count ? 20'000 : kGeometry.piece_bytes;
      const std::uint32_t number_of_blocks = (size + wire::kBlockBytes - 1) / wire::kBlockBytes;
      range.offset_bytes = first % number_of_blocks * wire::kBlockBytes;
      const std::uint32_t wanted = (1 + count % (is_ours ? kRunBlocksMax : 1)) * wire::kBlockBytes;
      range.size_bytes = std::min(wanted, size - range.offset_bytes);
    }
    return range;
  }
  static base::Bytes message(fuzz::Script& script) {
    const std::uint8_t id = script.u8();
    const wire::BlockRange about = range(script, false);
    switch (id % 14) {
      case 0:
        return wire::encode(wire::Choke{});
      case 1:
        return wire::encode(wire::Unchoke{});
      case 2:
        return wire::encode(wire::Interested{});
      case 3:
        return wire::encode(wire::NotInterested{});
      case 4:
        return wire::encode(wire::Have{about.piece});
      case 5:
        return wire::encode(wire::BitfieldMessage{{static_cast<std::byte>(about.offset_bytes >> 14)}});
      case 6:
        return wire::encode(wire::Request{about});
      case 7:
        return wire::encode(wire::PieceHead{about});
      case 8:
        return wire::encode(wire::Cancel{about});
      case 9:
        return wire::encode(wire::HaveAll{});
      case 10:
        return wire::encode(wire::HaveNone{});
      case 11:
        return wire::encode(wire::Reject{about});
      case 12:
        return wire::encode(wire::AllowedFast{about.piece});
      default:
        return wire::encode(wire::KeepAlive{});
    }
  }
  void answer(std::uint8_t which) {
    if (open_.empty()) return;
    const wire::BlockRange block = *std::next(open_.begin(), which % static_cast<std::ptrdiff_t>(open_.size()));
    send(wire::encode(wire::PieceHead{block}));
    send(payload(block.size_bytes));
  }
  base::Bytes payload(std::size_t count) {
    base::Bytes bytes(count);
    ++payloads_;
    for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::byte>(payloads_ + i * 7 + i / 256);
    return bytes;
  }
  void send_handshake(bool has_fast, bool has_extensions) {
    wire::Handshake handshake{.has_extensions = has_extensions, .has_fast = has_fast};
    handshake.peer_id.fill(std::byte{1});
    if (unread_.size_bytes() == 0) has_fast_ = has_fast;
    send(wire::encode(handshake));
  }
  void send(base::ByteView bytes) {
    if (has_peer_ended_ || unread_.size_bytes() + bytes.size() > kStreamBytesMax) return;
    unread_.add(bytes);
    read();
  }
  // Reads as a runner does: while there is something, and until the session gives no room.
  void read() {
    while (is_reading_ && !has_ended_ && (!unread_.is_empty() || has_peer_ended_)) {
      const seam::ReadTargets targets = session_.next_read();
      is_reading_ = targets.size_bytes() > 0;
      if (!is_reading_) break;
      if (unread_.is_empty()) {
        session_.on_input_ended(now_);
        settle();
        break;
      }
      const std::size_t count = unread_.read_into(targets).size();
      reading_.go_on(unread_.read());
      session_.on_bytes(count, now_);
      settle();
    }
    SHOAL_CHECK(is_reading_ || has_ended_ || session_.wants_buffer());
  }
  void offer_buffer() {
    session_.on_buffer_available(now_);
    settle();
    SHOAL_CHECK(!session_.wants_buffer() || pool_.available() == 0);
    read();
  }
  void pass(base::Duration duration) {
    now_ += duration;
    session_.on_deadline(now_);
    settle();
    SHOAL_CHECK(!session_.next_deadline() || *session_.next_deadline() > now_);
    offer_buffer();
  }

  // After each call.
  void settle() {
    for (PeerEvent& event : session_.take_events()) {
      SHOAL_CHECK(!has_ended_);
      std::visit([&](auto& each) { on(each); }, event);
    }
    for (seam::Action& action : session_.take_actions()) {
      if (const auto* send = std::get_if<seam::Send>(&action)) {
        sent_.insert(sent_.end(), send->bytes.begin(), send->bytes.end());
      } else if (const auto* block = std::get_if<seam::SendPiece>(&action)) {
        SHOAL_CHECK(sent_.empty() && block->header.size() == wire::kPieceHeadBytes);
        SHOAL_CHECK(block->offset_bytes + block->count_bytes.value() <= block->piece->size_bytes());
      } else if (std::holds_alternative<seam::ResumeReading>(action)) {
        SHOAL_CHECK(!is_reading_);
        is_reading_ = true;
      } else {
        SHOAL_CHECK(std::holds_alternative<seam::Tell>(action));
      }
      judge_sent();
    }
    SHOAL_CHECK(session_.has_ended() == has_ended_);
    SHOAL_CHECK(pool_.in_use() - away_.size() <= (has_ended_ ? 0 : RunSlabs::kSlabsMax));
    SHOAL_CHECK(!has_ended_ || open_.empty());
    SHOAL_CHECK(payload_bytes_ >= arrived_bytes_);
    if (!has_ended_) SHOAL_CHECK(session_.next_deadline());
  }
  void judge_sent() {
    if (!is_greeted_ && sent_.size() >= wire::kHandshakeBytes) {
      is_greeted_ = true;
      SHOAL_CHECK(wire::parse_handshake(base::ByteView(sent_).first(wire::kHandshakeBytes)));
      sent_.erase(sent_.begin(), sent_.begin() + wire::kHandshakeBytes);
    }
    base::ByteView rest(sent_);
    while (!rest.empty()) {
      SHOAL_CHECK(rest.size() >= 4);
      const std::uint32_t length = base::ByteReader(rest).u32();
      SHOAL_CHECK(rest.size() >= 4 + std::size_t{length});
      const auto message = wire::parse_message(length, rest.subspan(4, length));
      SHOAL_CHECK(message && !std::holds_alternative<wire::PieceHead>(*message));
      SHOAL_CHECK(has_fast_.value_or(true) || !std::holds_alternative<wire::Reject>(*message));
      if (const auto* request = std::get_if<wire::Request>(&*message)) SHOAL_CHECK(is_in_torrent(request->range));
      rest = rest.subspan(4 + std::size_t{length});
    }
    sent_.clear();
  }
  void close(const Run& run) {
    for (std::uint32_t number = 0; number < block_count(run); ++number) {
      SHOAL_CHECK(open_.erase(block_at(run, number)) == 1);
    }
  }
  void on(RunArrived& arrived) {
    SHOAL_CHECK(arrived.part.size_bytes > 0 && arrived.part.size_bytes <= kRunBytesMax);
    close(arrived.part);
    arrived_bytes_ += arrived.part.size_bytes;
    for (std::uint32_t number = 0; number < block_count(arrived.part); ++number) {
      const wire::BlockRange block = block_at(arrived.part, number);
      const auto bytes = arrived.buffer.bytes().subspan(number * wire::kBlockBytes, block.size_bytes);
      SHOAL_CHECK(reading_.has_sent(unread_.read(), block, bytes));
    }
    away_.push_back(std::move(arrived.buffer));
  }
  void on(const RunReleased& released) { close(released.run); }
  void on(const PayloadSeen& seen) {
    SHOAL_CHECK(seen.bytes > 0);
    payload_bytes_ += seen.bytes;
  }
  void on(const PeerReady& ready) {
    SHOAL_CHECK(!is_ready_);
    is_ready_ = true;
    has_fast_ = ready.has_fast;
  }
  void on(const PeerHas& has) { SHOAL_CHECK(is_ready_ && has_manifest_ && has.piece.value < kGeometry.piece_count); }
  void on(const PeerHasSet& set) { SHOAL_CHECK(is_ready_ && set.pieces.size() == kGeometry.piece_count); }
  void on(const PeerAllowsFast& allows) {
    SHOAL_CHECK(*has_fast_ && has_manifest_ && allows.piece.value < kGeometry.piece_count);
  }
  void on(const PeerChoked&) { SHOAL_CHECK(std::exchange(is_unchoked_, false)); }
  void on(const PeerUnchoked&) { SHOAL_CHECK(!std::exchange(is_unchoked_, true)); }
  void on(const PeerEnded&) { has_ended_ = true; }
  void on(const auto&) { SHOAL_CHECK(is_ready_); }

  base::Instant now_{};
  base::BufferPool pool_;
  std::deque<base::Buffer> away_;  // at the store, or with other sessions
  PeerSession session_;
  fuzz::Unread unread_;
  Reading reading_;
  std::size_t payloads_ = 0;
  bool has_peer_ended_ = false;
  bool is_reading_ = true;

  base::Bytes sent_;
  bool is_greeted_ = false;
  bool is_ready_ = false;
  bool has_ended_ = false;
  bool has_manifest_ = false;
  bool is_unchoked_ = false;
  std::optional<bool> has_fast_;
  std::set<wire::BlockRange> open_;
  std::uint64_t payload_bytes_ = 0;
  std::uint64_t arrived_bytes_ = 0;
};

}  // namespace
}  // namespace shoal::swarm

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace shoal;
  fuzz::Script script(data, size);
  swarm::Talk talk(script.u8());
  while (!script.is_over()) talk.take(static_cast<swarm::Step>(script.below(swarm::kSteps)), script);
  talk.end();
  return 0;
}
