// Drives one PeerSession as a runner and a role do: gives it bytes in reads of any size, writes down what it tells, and
// collects what it sends.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/overloaded.hpp"
#include "swarm/peer_session.hpp"

namespace shoal::swarm {

inline constexpr std::uint32_t kTestPieceBytes = 512 * 1024;
inline constexpr PeerSession::Geometry kTestGeometry{
    .piece_count = 9, .piece_bytes = kTestPieceBytes, .total_bytes = 8ull * kTestPieceBytes + 40'000};

inline std::byte content_at(base::PieceIndex piece, std::uint64_t offset) {
  return static_cast<std::byte>(piece.value * 31 + offset * 7 + offset / 256);
}
inline base::Bytes content_of(const Run& run) {
  base::Bytes bytes(run.size_bytes);
  for (std::uint32_t i = 0; i < run.size_bytes; ++i) bytes[i] = content_at(run.piece, run.offset_bytes + i);
  return bytes;
}

class TestPiece : public seam::ReadablePiece {
 public:
  TestPiece(base::PieceIndex piece, std::uint64_t size_bytes) : piece_(piece), size_bytes_(size_bytes) {}
  [[nodiscard]] std::uint64_t size_bytes() const override { return size_bytes_; }
  std::size_t read_at(std::uint64_t offset, std::span<std::byte> target) const override {
    for (std::size_t i = 0; i < target.size(); ++i) target[i] = content_at(piece_, offset + i);
    return target.size();
  }

 private:
  base::PieceIndex piece_;
  std::uint64_t size_bytes_;
};
inline seam::ReadablePiecePtr test_piece(base::PieceIndex piece) {
  const std::uint64_t begin = std::uint64_t{piece.value} * kTestPieceBytes;
  return std::make_shared<TestPiece>(piece,
                                     std::min<std::uint64_t>(kTestPieceBytes, kTestGeometry.total_bytes - begin));
}

inline wire::PeerId test_id(char letter) {
  wire::PeerId id;
  id.fill(static_cast<std::byte>(letter));
  return id;
}
inline base::Sha1Hash test_info_hash() {
  return base::sha1(base::view_of("the torrent"));
}
inline Run run_of(std::uint32_t piece, std::uint32_t offset_bytes, std::uint32_t size_bytes) {
  return {base::PieceIndex(piece), offset_bytes, size_bytes};
}
// Of whole blocks.
inline Run blocks(std::uint32_t piece, std::uint32_t first, std::uint32_t count) {
  return run_of(piece, first * wire::kBlockBytes, count * wire::kBlockBytes);
}
inline std::string text_of(const Run& run) {
  return std::to_string(run.piece.value) + ":" + std::to_string(run.offset_bytes) + "+" +
         std::to_string(run.size_bytes);
}
inline void append(base::Bytes& bytes, base::ByteView more) {
  bytes.insert(bytes.end(), more.begin(), more.end());
}
// A piece message, whole.
inline base::Bytes block_message(const Run& block) {
  base::Bytes bytes = wire::encode(wire::PieceHead{block});
  append(bytes, content_of(block));
  return bytes;
}

// Words for a message: "request 0:0+16384", "have 3".
inline std::string words_of(const wire::Message& message) {
  const std::string name(wire::name_of(message));
  return std::visit(
      base::Overloaded{
          [&](const wire::Have& have) { return name + " " + std::to_string(have.piece.value); },
          [&](const wire::Request& request) { return name + " " + text_of(request.range); },
          [&](const wire::Cancel& cancel) { return name + " " + text_of(cancel.range); },
          [&](const wire::Reject& reject) { return name + " " + text_of(reject.range); },
          [&](const wire::PieceHead& head) { return name + " " + text_of(head.range); },
          [&](const wire::Extended& extended) { return name + " " + std::to_string(extended.id); },
          [&](const wire::BitfieldMessage& field) { return name + " " + std::to_string(field.bits.size()); },
          [&](const auto&) { return name; },
      },
      message);
}

class PeerSessionDriver {
 public:
  PeerSessionDriver(PeerSessionOptions options, base::BufferPool& pool) : session(std::move(options), pool) {}

  // Gives the bytes as reads of at most `read_bytes_max`; how many were taken.
  std::size_t receive(base::ByteView bytes, std::size_t read_bytes_max = 1u << 20) {
    std::size_t given = 0;
    while (given < bytes.size() && !session.has_ended()) {
      const std::size_t count = read_once(bytes.subspan(given), read_bytes_max);
      if (count == 0) break;
      given += count;
    }
    return given;
  }
  // One read; 0 when the session wants none.
  std::size_t read_once(base::ByteView bytes, std::size_t read_bytes_max) {
    const seam::ReadTargets targets = session.next_read();
    if (targets.size_bytes() == 0) {
      is_reading = false;
      return 0;
    }
    std::size_t count = 0;
    for (const std::span<std::byte> span : targets.spans) {
      const std::size_t part = std::min({span.size(), bytes.size() - count, read_bytes_max - count});
      if (part > 0) std::memcpy(span.data(), bytes.data() + count, part);
      count += part;
      if (part < span.size()) break;
    }
    session.on_bytes(count, now);
    take();
    return count;
  }
  void say(const wire::Message& message) { receive(wire::encode(message)); }

  void take() {
    for (PeerEvent& event : session.take_events()) std::visit([&](auto& each) { on(each); }, event);
    take_actions();
  }
  void take_actions() {
    for (seam::Action& action : session.take_actions()) {
      if (const auto* send = std::get_if<seam::Send>(&action)) {
        ++writes;
        append(output, send->bytes);
      } else if (const auto* send_piece = std::get_if<seam::SendPiece>(&action)) {
        ++writes;
        append(output, send_piece->header);
        base::Bytes payload(send_piece->count_bytes.value());
        EXPECT_EQ(send_piece->piece->read_at(send_piece->offset_bytes, payload), payload.size());
        append(output, payload);
      } else if (std::holds_alternative<seam::ResumeReading>(action)) {
        EXPECT_FALSE(is_reading);
        is_reading = true;
      } else {
        const auto& trace = std::get<seam::MessageTrace>(std::get<seam::Tell>(action).trace);
        traces += (trace.direction == seam::MessageDirection::sent ? "> " : "< ") + trace.message +
                  (trace.detail.empty() ? "" : " " + trace.detail) + "\n";
      }
    }
  }
  // What was told since the last call.
  std::string told() { return std::exchange(log, {}); }
  // The messages sent since the last call, in words; the handshake too.
  std::string sent() {
    std::string words;
    base::ByteView rest(output);
    if (!rest.empty() && rest.front() == wire::kHandshakeFirstByte) {
      words += "handshake; ";
      rest = rest.subspan(wire::kHandshakeBytes);
    }
    while (!rest.empty()) {
      const std::uint32_t length = base::ByteReader(rest).u32();
      const auto message = wire::parse_message(length, rest.subspan(4, length));
      EXPECT_TRUE(message);
      words += words_of(*message) + "; ";
      rest = rest.subspan(4 + std::size_t{length});
    }
    output.clear();
    return words;
  }

  PeerSession session;
  base::Instant now{};
  base::Bytes output;
  std::size_t writes = 0;
  std::string log;
  std::string traces;
  bool is_reading = true;
  std::uint64_t payload_bytes = 0;
  std::vector<Run> arrived;
  std::vector<Run> released;
  bool keeps_buffers = false;
  std::vector<base::Buffer> kept;
  std::optional<PeerEnded> ended;
  std::optional<wire::ExtensionHandshake> extensions;
  std::optional<wire::MetadataPiece> metadata;

 private:
  void on(const PeerReady& ready) {
    log += "ready";
    if (ready.has_fast) log += " fast";
    if (ready.has_extensions) log += " extensions";
    log += "; ";
  }
  void on(const PeerHas& has) { log += "has " + std::to_string(has.piece.value) + "; "; }
  void on(const PeerHasSet& set) {
    log += "has " + std::to_string(set.pieces.count()) + " of " + std::to_string(set.pieces.size()) + "; ";
  }
  void on(const PeerChoked&) { log += "choked; "; }
  void on(const PeerUnchoked&) { log += "unchoked; "; }
  void on(const PeerInterested&) { log += "interested; "; }
  void on(const PeerNotInterested&) { log += "not interested; "; }
  void on(const PeerAllowsFast& allows) { log += "allows " + std::to_string(allows.piece.value) + "; "; }
  void on(const PeerExtensions& told_extensions) {
    extensions = told_extensions.handshake;
    log += "extensions; ";
  }
  void on(const PayloadSeen& seen) {
    EXPECT_GT(seen.bytes, 0u);
    payload_bytes += seen.bytes;
  }
  void on(RunArrived& run) {
    EXPECT_TRUE(std::ranges::equal(run.buffer.bytes().first(run.part.size_bytes), content_of(run.part)));
    arrived.push_back(run.part);
    log += "arrived " + text_of(run.part) + "; ";
    if (keeps_buffers) kept.push_back(std::move(run.buffer));
  }
  void on(const RunReleased& run) {
    released.push_back(run.run);
    log += "released " + text_of(run.run) + "; ";
  }
  void on(const PeerRequested&) { log += "requested; "; }
  void on(const MetadataAsked& asked) { log += "metadata asked " + std::to_string(asked.piece) + "; "; }
  void on(const MetadataArrived& piece) {
    metadata = piece.piece;
    log += "metadata arrived " + std::to_string(piece.piece.piece) + "; ";
  }
  void on(const MetadataRefused& refused) { log += "metadata refused " + std::to_string(refused.piece) + "; "; }
  void on(const PeersTold& peers) {
    log += "peers +" + std::to_string(peers.message.added.size()) + " -" +
           std::to_string(peers.message.dropped.size()) + "; ";
  }
  void on(const PeerEnded& end) {
    EXPECT_FALSE(ended);
    ended = end;
    log += "ended; ";
  }
};

// One session that was dialled, and what the other side may say.
class PeerSessionTest : public ::testing::Test {
 protected:
  static constexpr std::size_t kBuffers = 4;

  static PeerSessionOptions options(bool is_dialled = true) {
    wire::ExtensionHandshake extensions;
    extensions.metadata_id = wire::kOurMetadataId;
    extensions.pex_id = wire::kOurPexId;
    extensions.requests_max = kPeerRequestsMax;
    return {.conn = seam::ConnId(7),
            .remote = {{0x7f000001}, 6881},
            .is_dialled = is_dialled,
            .info_hash = test_info_hash(),
            .our_id = test_id('a'),
            .our_extensions = extensions};
  }
  static wire::Handshake handshake(bool has_fast = true, bool has_extensions = true) {
    return {
        .has_extensions = has_extensions, .has_fast = has_fast, .info_hash = test_info_hash(), .peer_id = test_id('b')};
  }
  void set_manifest(bool has_all = false) {
    peer_.session.set_manifest(kTestGeometry, base::Bitfield(kTestGeometry.piece_count, has_all), peer_.now);
    peer_.take();
  }
  void greet(bool has_fast = true, bool has_extensions = true) {
    peer_.session.start(peer_.now);
    peer_.take();
    peer_.receive(wire::encode(handshake(has_fast, has_extensions)));
  }
  // Through the handshakes, with everything known, unchoked, and nothing to read any more.
  void open(bool has_fast = true) {
    set_manifest();
    greet(has_fast);
    peer_.say(wire::Unchoke{});
    peer_.told();
    peer_.sent();
  }
  void ask(const wire::BlockRange& run) {
    peer_.session.request(run, peer_.now);
    peer_.take();
  }
  void pass(base::Duration duration) {
    peer_.now += duration;
    const auto deadline = peer_.session.next_deadline();
    if (deadline && *deadline <= peer_.now) {
      peer_.session.on_deadline(peer_.now);
      EXPECT_TRUE(!peer_.session.next_deadline() || *peer_.session.next_deadline() > peer_.now);
    }
    peer_.take();
  }
  // Brings so many runs that the link counts as fast.
  void hurry() {
    for (std::uint32_t run = 0; run < 4; ++run) {
      ask(blocks(7, run % 2 * 16, 16));
      pass(std::chrono::milliseconds(10));
      for (std::uint32_t block = 0; block < 16; ++block) {
        peer_.receive(block_message(blocks(7, run % 2 * 16 + block, 1)));
      }
    }
    peer_.told();
    peer_.sent();
    peer_.arrived.clear();
    peer_.payload_bytes = 0;
  }
  [[nodiscard]] std::optional<PeerFailure> failure() const {
    if (!peer_.ended) return std::nullopt;
    return peer_.ended->failure;
  }

  base::BufferPool pool_{kRunBytesMax, kBuffers};
  PeerSessionDriver peer_{options(), pool_};
};

}  // namespace shoal::swarm
