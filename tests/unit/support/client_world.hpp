// A small scripted world for one client machine: hosts that answer as the test says, a store in memory, virtual time.
// Single-threaded and without I/O; used by the tests of roles/ (the whole simulated world is sim/).
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/buffer_pool.hpp"
#include "base/overloaded.hpp"
#include "base/sha1.hpp"
#include "roles/course_client.hpp"
#include "support/texts.hpp"

namespace shoal::testing {

using namespace std::chrono_literals;

inline base::Bytes chunk_message(base::ByteView content, const base::Sha1Hash& hash, std::uint16_t reserved = 0) {
  const auto frame = course::encode_chunk_frame(hash, static_cast<std::uint32_t>(content.size()), reserved);
  base::Bytes message = frame.head;
  message.insert(message.end(), content.begin(), content.end());
  message.resize(message.size() + frame.padding_bytes);
  return message;
}
inline base::Bytes chunk_message(const base::Bytes& content, std::uint16_t reserved = 0) {
  return chunk_message(content, base::sha1(content), reserved);
}

class ClientWorld {
 public:
  // The other end of a connection the client dialled.
  class Link {
   public:
    Link(ClientWorld& world, seam::ConnId conn) : world_(world), conn_(conn) {}
    void send(base::Bytes bytes, base::Duration delay = {}) {
      world_.after(delay, [this, bytes = std::move(bytes)] {
        waiting_.insert(waiting_.end(), bytes.begin(), bytes.end());
        deliver();
      });
    }
    void end(base::Duration delay = {}) {
      world_.after(delay, [this] {
        is_ending_ = true;
        deliver();
      });
    }
    void reset(base::Duration delay = {}) {
      world_.after(delay, [this] {
        if (std::exchange(is_open_, false)) world_.feed(seam::ConnectionLost{conn_, seam::NetError::reset});
      });
    }

   private:
    friend class ClientWorld;
    void deliver() {
      while (is_open_ && !waiting_.empty()) {
        const seam::ReadTargets targets = world_.machine_->next_read(conn_);
        if (targets.size_bytes() == 0) return;
        std::size_t count = 0;
        for (const std::span<std::byte> span : targets.spans) {
          const std::size_t part = std::min({span.size(), waiting_.size() - count, world_.read_bytes_max - count});
          if (part > 0) std::memcpy(span.data(), waiting_.data() + count, part);
          count += part;
        }
        waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(count));
        world_.feed(seam::BytesArrived{conn_, count});
      }
      if (is_open_ && is_ending_ && waiting_.empty()) {
        is_ending_ = false;
        world_.feed(seam::InputEnded{conn_});
      }
    }

    ClientWorld& world_;
    seam::ConnId conn_;
    base::Bytes waiting_;
    bool is_open_ = true;
    bool is_ending_ = false;
  };

  enum class Dialled { accepts, refuses, stays_silent };
  struct Host {
    std::function<Dialled()> on_dial = [] { return Dialled::accepts; };
    std::function<void(Link&)> on_connect = [](Link&) {};
    std::function<void(Link&, const base::Bytes&)> on_message = [](Link&, const base::Bytes&) {};
    int dials = 0;
    std::vector<base::Bytes> messages;
  };

  explicit ClientWorld(roles::CourseClientOptions options, std::size_t buffer_bytes = 256 * 1024,
                       std::size_t buffers_max = 16)
      : pool_(buffer_bytes, buffers_max),
        machine_(roles::make_course_client(std::move(options), pool_, base::Rng(7))) {}

  Host& host(std::string_view name) { return hosts_[endpoint(name)]; }

  // Runs until the client is done. A client that is not done by then hangs, which is a failure.
  const seam::Finish& run(base::Duration limit = 120s) {
    if (!std::exchange(has_started_, true)) {
      machine_->start(now_);
      carry_out();
    }
    const base::Instant end = now_ + limit;
    while (!finish_) {
      if (!step(end)) break;
    }
    EXPECT_TRUE(finish_) << "not done after " << base::to_seconds(limit) << " s";
    if (!finish_) finish_.emplace();
    return *finish_;
  }
  void feed(seam::Event event) {
    if (finish_) return;
    machine_->on_event(std::move(event), now_);
    carry_out();
  }
  void after(base::Duration delay, std::function<void()> what) { later_.emplace(now_ + delay, std::move(what)); }

  [[nodiscard]] base::Duration elapsed() const { return now_.time_since_epoch(); }
  [[nodiscard]] std::string file() const {
    std::string text;
    for (const auto& piece : pieces_) text += piece ? *piece : "?";
    return text;
  }
  [[nodiscard]] std::size_t buffers_in_use() const { return pool_.in_use(); }
  template <typename Entry>
  [[nodiscard]] std::vector<Entry> traces() const {
    std::vector<Entry> found;
    for (const seam::Trace& trace : traces_) {
      if (const auto* entry = std::get_if<Entry>(&trace)) found.push_back(*entry);
    }
    return found;
  }

  std::size_t read_bytes_max = 1 << 20;         // of one read
  std::vector<std::string> held;                // contents that are in the store from before
  std::optional<seam::StoreError> store_error;  // answers the first StoreBlock
  base::Duration store_delay{};
  std::vector<seam::SendDatagram> datagrams;
  std::function<void(const seam::SendDatagram&)> on_datagram = [](const seam::SendDatagram&) {};
  std::size_t store_blocks = 0;
  std::optional<metainfo::Manifest> manifest;
  bool was_store_finished = false;
  std::size_t open_datagrams = 0;

 private:
  struct Writing {
    std::vector<base::PieceIndex> places;
    std::uint64_t size_bytes = 0;
    std::string content;
  };

  bool step(base::Instant end) {
    const auto deadline = machine_->next_deadline();
    const bool is_event_next = !later_.empty() && (!deadline || later_.begin()->first <= *deadline);
    if (!is_event_next && !deadline) return false;
    const base::Instant next = is_event_next ? later_.begin()->first : *deadline;
    if (next > end) return false;
    now_ = std::max(now_, next);
    if (is_event_next) {
      const auto what = std::move(later_.begin()->second);
      later_.erase(later_.begin());
      what();
    } else {
      feed(seam::DeadlineReached{});
    }
    return true;
  }

  void carry_out() {
    for (seam::Actions actions = machine_->take_actions(); !actions.empty(); actions = machine_->take_actions()) {
      for (seam::Action& action : actions) {
        std::visit([&](auto& each) { on(each); }, action);
      }
    }
  }

  void on(seam::Dial& dial) {
    Host& host = hosts_[dial.remote];
    ++host.dials;
    remote_of_[dial.conn] = dial.remote;
    auto& link = links_[dial.conn] = std::make_unique<Link>(*this, dial.conn);
    const Dialled result = host.on_dial();
    if (result == Dialled::stays_silent) return;
    after({}, [this, &host, link = link.get(), dial, result] {
      if (!link->is_open_) return;
      if (result == Dialled::refuses) {
        link->is_open_ = false;
        feed(seam::ConnectFailed{dial.conn, seam::NetError::refused});
        return;
      }
      feed(seam::Connected{dial.conn, {base::Ipv4Address::parse("10.0.0.99").value(), 5000}, dial.remote});
      if (link->is_open_) host.on_connect(*link);
    });
  }
  void on(seam::Send& send) {
    Link& link = *links_.at(send.conn);
    if (!link.is_open_) return;
    Host& host = hosts_[remote_of_.at(send.conn)];
    host.messages.push_back(send.bytes);
    after({}, [&host, &link, bytes = std::move(send.bytes)] {
      if (link.is_open_) host.on_message(link, bytes);
    });
  }
  void on(seam::Close& close) {
    if (const auto link = links_.find(close.conn); link != links_.end()) link->second->is_open_ = false;
  }
  void on(seam::ResumeReading& resume) {
    after({}, [link = links_.at(resume.conn).get()] { link->deliver(); });
  }
  void on(seam::OpenDatagram&) { ++open_datagrams; }
  void on(seam::CloseDatagram&) { --open_datagrams; }
  void on(seam::SendDatagram& send) {
    datagrams.push_back(send);
    on_datagram(send);
  }
  void on(seam::OpenStore& open) {
    manifest = open.manifest;
    pieces_.assign(open.manifest.pieces.size(), std::nullopt);
    std::vector<seam::HeldPiece> found;
    for (std::uint32_t i = 0; i < pieces_.size(); ++i) {
      for (const std::string& content : held) {
        if (base::sha1(base::view_of(content)) != open.manifest.pieces[i]) continue;
        pieces_[i] = content;
        found.push_back({base::PieceIndex(i), content.size()});
      }
    }
    after({}, [this, found] { feed(seam::StoreOpened{found}); });
  }
  void on(seam::BeginPiece& begin) { writing_[begin.write] = {begin.places, begin.size_bytes, ""}; }
  void on(seam::StoreBlock& block) {
    ++store_blocks;
    if (store_error) {
      const base::Buffer home = std::move(block.buffer);
      after({}, [this] { feed(seam::StoreFailed{*store_error}); });
      return;
    }
    EXPECT_GT(block.count, 0u);
    writing_.at(block.write).content += base::text_of(base::ByteView(block.buffer.bytes()).first(block.count));
    auto buffer = std::make_shared<base::Buffer>(std::move(block.buffer));
    after(store_delay, [this, write = block.write, buffer] { feed(seam::BlockStored{write, std::move(*buffer)}); });
  }
  void on(seam::CompletePiece& complete) {
    if (store_error) return;  // it takes nothing more
    const Writing done = writing_.at(complete.write);
    writing_.erase(complete.write);
    EXPECT_EQ(done.content.size(), done.size_bytes);
    EXPECT_FALSE(done.places.empty());
    after(store_delay, [this, done, write = complete.write] {
      if (base::sha1(base::view_of(done.content)) != manifest->hash_of(done.places.front())) {
        feed(seam::PieceMismatched{write});
        return;
      }
      for (const base::PieceIndex place : done.places) pieces_.at(place.value) = done.content;
      feed(seam::PieceVerified{write});
    });
  }
  void on(seam::AbandonPiece& abandon) { writing_.erase(abandon.write); }
  void on(seam::FinishStore&) {
    EXPECT_TRUE(writing_.empty()) << "pieces are under way";
    was_store_finished = true;
    after({}, [this] { feed(seam::StoreFinished{"out/" + manifest->name}); });
  }
  void on(seam::Tell& tell) { traces_.push_back(std::move(tell.trace)); }
  void on(seam::Finish& finish) { finish_ = std::move(finish); }
  void on(seam::SendPiece&) { ADD_FAILURE() << "a client serves nothing"; }
  void on(seam::ShutdownSend&) {}
  void on(seam::LookUpPiece&) { ADD_FAILURE() << "a client looks nothing up"; }
  void on(seam::Fetch&) { ADD_FAILURE() << "a course client fetches nothing"; }
  void on(seam::CancelFetch&) { ADD_FAILURE() << "a course client fetches nothing"; }
  void on(seam::Resolve&) { ADD_FAILURE() << "a course client resolves nothing"; }
  void on(seam::SaveState&) { ADD_FAILURE() << "a course client saves nothing"; }

  base::BufferPool pool_;
  base::Instant now_{};
  bool has_started_ = false;
  std::map<base::Endpoint, Host> hosts_;
  std::map<seam::ConnId, base::Endpoint> remote_of_;
  std::map<seam::ConnId, std::unique_ptr<Link>> links_;
  std::map<seam::WriteId, Writing> writing_;
  std::vector<std::optional<std::string>> pieces_;
  std::vector<seam::Trace> traces_;
  std::optional<seam::Finish> finish_;
  std::multimap<base::Instant, std::function<void()>> later_;  // equal times: in the order of insertion
  std::unique_ptr<seam::Machine> machine_;                     // after the pool
};

}  // namespace shoal::testing
