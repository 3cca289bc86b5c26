// A small world of whole hosts for the tests of the swarm roles: machines connected by byte streams with a delay,
// stores in memory that hash what they are given, datagrams to groups, HTTP as the test answers it, virtual time.
// Single threaded and without I/O. (The big simulated world, with bandwidth and faults, is sim/.)
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/buffer_pool.hpp"
#include "base/sha1.hpp"
#include "seam/machine.hpp"
#include "support/memory_piece.hpp"

namespace shoal::testing {

using namespace std::chrono_literals;

class SwarmWorld {
 public:
  class Host {
   public:
    Host(SwarmWorld& world, base::Endpoint listening) : world_(world), listening_(listening), pool_(256 * 1024, 32) {}

    void boot(std::unique_ptr<seam::Machine> machine) {
      machine_ = std::move(machine);
      open_fetches_.clear();
      machine_->start(world_.now_);
      carry_out();
    }
    void stop() { feed(seam::StopRequested{}); }
    // The power is cut.
    void kill() {
      machine_.reset();
      for (auto& [conn, end] : std::exchange(ends_, {})) world_.hang_up(*end, seam::NetError::reset);
    }

    [[nodiscard]] base::BufferPool& pool() { return pool_; }
    [[nodiscard]] base::Endpoint listening() const { return listening_; }
    [[nodiscard]] const std::optional<seam::Finish>& finish() const { return finish_; }
    [[nodiscard]] bool is_running() const { return machine_ != nullptr && !finish_; }
    [[nodiscard]] std::size_t connections() const { return ends_.size(); }
    [[nodiscard]] std::uint64_t fetches() const { return fetches_; }
    [[nodiscard]] std::uint64_t given_bytes() const { return payload_bytes_; }
    void put(const base::Bytes& piece) { disk_[base::sha1(piece)] = piece; }
    [[nodiscard]] bool has(const base::Sha1Hash& hash) const { return disk_.contains(hash); }
    template <typename Entry>
    [[nodiscard]] std::vector<Entry> traces() const {
      std::vector<Entry> found;
      for (const seam::Trace& trace : traces_) {
        if (const auto* entry = std::get_if<Entry>(&trace)) found.push_back(*entry);
      }
      return found;
    }
    [[nodiscard]] bool has_noted(std::string_view part) const {
      return std::ranges::any_of(traces<seam::NoteTrace>(), [&](const seam::NoteTrace& note) {
        return note.text.find(part) != std::string::npos;
      });
    }

    bool is_reachable = true;                             // else dialling it gets no answer
    base::Duration opening_time{};                        // of its store
    std::function<base::Bytes(base::Bytes)> bends_piece;  // what it gives for a piece it has
    std::optional<std::uint64_t> disk_room_bytes;         // of what is stored from now on
    std::set<base::Sha1Hash> fails_behind;                // stores them, and is full before it says so
    std::set<base::Sha1Hash> hidden;                      // has them, but cannot find them when asked
    bool swallows_pieces = false;                         // what it gives never leaves it
    std::size_t open_datagrams = 0;
    std::size_t open_groups = 0;                    // those of them that are for multicast
    std::vector<seam::SendDatagram> own_datagrams;  // sent from the others; nobody hears them

    // Comes from somebody who is not in this world.
    void hear(seam::DatagramArrived datagram) {
      later([this, datagram = std::move(datagram)] { feed(datagram); });
    }

   private:
    friend class SwarmWorld;
    struct Write {
      base::Sha1Hash hash;
      base::Bytes bytes;
    };
    struct End {
      Host* host = nullptr;
      seam::ConnId conn;
      End* peer = nullptr;
      base::Bytes unread;
      bool is_open = true;
      bool is_ending = false;
      bool is_drain_due = false;
      base::Instant last_arrival{};
    };

    void feed(seam::Event event) {
      if (!is_running()) return;
      machine_->on_event(std::move(event), world_.now_);
      carry_out();
    }
    void later(std::function<void()> what, base::Duration delay = {}) {
      world_.after(delay, [this, machine = machine_.get(), what = std::move(what)] {
        if (machine_.get() == machine && is_running()) what();
      });
    }
    void carry_out() {
      while (is_running()) {
        seam::Actions actions = machine_->take_actions();
        if (actions.empty()) return;
        for (seam::Action& action : actions) {
          if (!is_running()) return;
          std::visit([this](auto& each) { on(each); }, action);
        }
      }
    }
    void read(End& end) {
      while (end.is_open && is_running() && !end.unread.empty()) {
        const seam::ReadTargets targets = machine_->next_read(end.conn);
        std::size_t count = 0;
        for (const std::span<std::byte> span : targets.spans) {
          const std::size_t part = std::min(span.size(), end.unread.size() - count);
          if (part > 0) std::memcpy(span.data(), end.unread.data() + count, part);
          count += part;
        }
        if (count == 0) return;
        end.unread.erase(end.unread.begin(), end.unread.begin() + static_cast<std::ptrdiff_t>(count));
        feed(seam::BytesArrived{end.conn, count});
      }
      if (end.is_open && end.is_ending && end.unread.empty()) {
        end.is_ending = false;
        feed(seam::InputEnded{end.conn});
      }
    }
    End* find(seam::ConnId conn) {
      const auto found = ends_.find(conn);
      return found == ends_.end() ? nullptr : found->second.get();
    }

    void on(seam::Dial& dial) {
      EXPECT_EQ(dial.conn.value % 2, 1u) << "machines dial odd numbers";
      auto end = std::make_shared<End>();
      end->host = this;
      end->conn = dial.conn;
      ends_[dial.conn] = end;
      ++world_.dials[dial.remote];
      world_.after(kDelay, [this, end, dial] {
        if (!end->is_open) return;
        Host* target = world_.find(dial.remote);
        if (target != nullptr && !target->is_reachable) return;
        if (target == nullptr || !target->is_running()) {
          end->is_open = false;
          ends_.erase(dial.conn);
          feed(seam::ConnectFailed{dial.conn, seam::NetError::refused});
          return;
        }
        const base::Endpoint local{listening_.address, world_.next_port_++};
        auto other = std::make_shared<End>();
        other->host = target;
        other->conn = seam::ConnId(target->next_accepted_);
        target->next_accepted_ += 2;
        other->peer = end.get();
        end->peer = other.get();
        target->ends_[other->conn] = other;
        world_.kept_.push_back(end);
        world_.kept_.push_back(other);
        target->feed(seam::Accepted{other->conn, dial.remote, local});
        feed(seam::Connected{dial.conn, local, dial.remote});
      });
    }
    void send(seam::ConnId conn, base::Bytes bytes) {
      End* end = find(conn);
      if (end == nullptr || end->peer == nullptr) return;
      sent_bytes_ += bytes.size();
      const base::Instant arrival = std::max(end->last_arrival, world_.now_ + kDelay);
      end->last_arrival = arrival;
      world_.at(arrival, [to = end->peer, bytes = std::move(bytes)] {
        if (!to->is_open) return;
        to->unread.insert(to->unread.end(), bytes.begin(), bytes.end());
        to->host->read(*to);
      });
      if (std::exchange(end->is_drain_due, true)) return;
      later([this, conn] {
        End* drained = find(conn);
        if (drained == nullptr) return;
        drained->is_drain_due = false;
        feed(seam::OutputDrained{conn});
      });
    }
    void on(seam::Send& send_action) { send(send_action.conn, std::move(send_action.bytes)); }
    void on(seam::SendPiece& piece) {
      if (swallows_pieces) return;
      base::Bytes bytes = std::move(piece.header);
      const std::size_t head = bytes.size();
      const std::uint64_t count = piece.count_bytes.value_or(piece.piece->size_bytes() - piece.offset_bytes);
      bytes.resize(head + static_cast<std::size_t>(count) + piece.padding_bytes);
      piece.piece->read_at(piece.offset_bytes, std::span(bytes).subspan(head, static_cast<std::size_t>(count)));
      payload_bytes_ += count;
      send(piece.conn, std::move(bytes));
    }
    void on(seam::ShutdownSend& shutdown) {
      if (End* end = find(shutdown.conn)) world_.end_stream(*end);
    }
    void on(seam::Close& close) {
      const auto node = ends_.extract(close.conn);
      if (node.empty()) return;
      node.mapped()->is_open = false;
      world_.end_stream(*node.mapped());
    }
    void on(seam::ResumeReading& resume) {
      later([this, conn = resume.conn] {
        if (End* end = find(conn)) read(*end);
      });
    }
    void on(seam::OpenDatagram& open) {
      ++open_datagrams;
      if (open.group) ++open_groups;
      sockets_[open.socket] = open.group;
    }
    void on(seam::CloseDatagram& close) {
      --open_datagrams;
      if (sockets_.at(close.socket)) --open_groups;
      sockets_.erase(close.socket);
    }
    void on(seam::SendDatagram& datagram) {
      if (!sockets_.at(datagram.socket)) return own_datagrams.push_back(datagram);
      ++world_.datagrams;
      for (const auto& host : world_.hosts_) {
        for (const auto& [socket, group] : host->sockets_) {
          if (group != datagram.to) continue;
          host->later([host = host.get(), to = socket, from = listening_.address, bytes = datagram.bytes] {
            host->feed(seam::DatagramArrived{to, {from, 6771}, host->listening_.address, bytes});
          });
        }
      }
    }
    void on(seam::OpenStore& open) {
      manifest_ = open.manifest;
      writes_.clear();
      is_store_broken_ = false;
      std::vector<seam::HeldPiece> held;
      for (std::uint32_t i = 0; i < manifest_.piece_count(); ++i) {
        const auto found = disk_.find(manifest_.pieces[i]);
        if (found != disk_.end()) held.push_back({base::PieceIndex(i), found->second.size()});
      }
      later([this, held] { feed(seam::StoreOpened{held}); }, opening_time);
    }
    void on(seam::BeginPiece& begin) {
      if (is_store_broken_) return;
      EXPECT_EQ(begin.places.size(), 1u);
      writes_[begin.write] = {manifest_.hash_of(begin.places.front()),
                              base::Bytes(static_cast<std::size_t>(begin.size_bytes))};
    }
    void on(seam::StoreBlock& block) {
      auto buffer = std::make_shared<base::Buffer>(std::move(block.buffer));
      const bool fits = !disk_room_bytes || *disk_room_bytes >= block.count;
      if (!is_store_broken_ && fits) {
        if (disk_room_bytes) *disk_room_bytes -= block.count;
        base::Bytes& bytes = writes_.at(block.write).bytes;
        EXPECT_LE(block.offset_bytes + block.count, bytes.size());
        std::memcpy(bytes.data() + block.offset_bytes, buffer->bytes().data(), block.count);
      } else if (!std::exchange(is_store_broken_, true)) {
        later([this] { feed(seam::StoreFailed{{seam::StoreErrorKind::disk_full, "no space left on device"}}); });
      }
      later([this, write = block.write, buffer] { feed(seam::BlockStored{write, std::move(*buffer)}); });
    }
    void on(seam::CompletePiece& complete) {
      if (is_store_broken_) return;
      auto node = writes_.extract(complete.write);
      later([this, write = complete.write, done = std::move(node.mapped())] {
        if (base::sha1(done.bytes) != done.hash) return feed(seam::PieceMismatched{write});
        disk_[done.hash] = done.bytes;
        if (is_store_broken_) return;
        if (fails_behind.erase(done.hash) == 0) return feed(seam::PieceVerified{write});
        is_store_broken_ = true;
        feed(seam::StoreFailed{{seam::StoreErrorKind::disk_full, "no space left on device"}});
      });
    }
    void on(seam::AbandonPiece& abandon) { writes_.erase(abandon.write); }
    void on(seam::FinishStore&) {
      EXPECT_TRUE(writes_.empty()) << "pieces are under way";
      ++finished_stores_;
      later([this] { feed(seam::StoreFinished{"out/" + manifest_.name}); });
    }
    void on(seam::LookUpPiece& lookup) {
      const auto found = disk_.find(lookup.hash);
      seam::ReadablePiecePtr piece;
      if (found != disk_.end() && !hidden.contains(lookup.hash)) {
        piece = std::make_shared<MemoryPiece>(bends_piece ? bends_piece(found->second) : found->second);
      }
      later([this, id = lookup.lookup, piece] { feed(seam::PieceLookedUp{id, piece}); });
    }
    void on(seam::Fetch& fetch) {
      ++fetches_;
      EXPECT_TRUE(open_fetches_.insert(fetch.fetch).second);
      // What is cancelled in the meantime was never asked.
      world_.after(kDelay, [this, machine = machine_.get(), fetch] {
        if (machine_.get() != machine || !is_running() || !open_fetches_.contains(fetch.fetch)) return;
        auto answer = world_.on_fetch ? world_.on_fetch(fetch) : std::nullopt;
        if (answer) answer->fetch = fetch.fetch;
        world_.after(kDelay, [this, machine, id = fetch.fetch, answer = std::move(answer)]() mutable {
          if (machine_.get() != machine || !is_running() || open_fetches_.erase(id) == 0) return;
          if (answer) {
            feed(std::move(*answer));
          } else {
            feed(seam::FetchFailed{id, "nobody is there"});
          }
        });
      });
    }
    void on(seam::CancelFetch& cancel) { open_fetches_.erase(cancel.fetch); }
    void on(seam::Resolve& resolve) {
      later([this, id = resolve.resolve] { feed(seam::NameResolved{id, {}}); });
    }
    void on(seam::SaveState&) {}
    void on(seam::Tell& tell) { traces_.push_back(std::move(tell.trace)); }
    void on(seam::Finish& finish) {
      finish_ = std::move(finish);
      for (auto& [conn, end] : std::exchange(ends_, {})) {
        end->is_open = false;
        world_.end_stream(*end);
      }
    }

    SwarmWorld& world_;
    base::Endpoint listening_;
    base::BufferPool pool_;
    std::map<base::Sha1Hash, base::Bytes> disk_;
    metainfo::Manifest manifest_;
    std::map<seam::WriteId, Write> writes_;
    bool is_store_broken_ = false;
    int finished_stores_ = 0;
    std::map<seam::ConnId, std::shared_ptr<End>> ends_;
    std::map<seam::SocketId, std::optional<base::Endpoint>> sockets_;
    std::uint64_t next_accepted_ = 2;
    std::uint64_t sent_bytes_ = 0;
    std::uint64_t payload_bytes_ = 0;
    std::uint64_t fetches_ = 0;
    std::set<seam::FetchId> open_fetches_;
    std::vector<seam::Trace> traces_;
    std::optional<seam::Finish> finish_;
    std::unique_ptr<seam::Machine> machine_;  // before the pool goes
  };

  // Hosts that are still running let go of their buffers before their pools go.
  ~SwarmWorld() {
    later_.clear();
    for (const auto& host : hosts_) host->machine_.reset();
  }

  Host& add(std::string_view listening) {
    hosts_.push_back(std::make_unique<Host>(*this, base::Endpoint::parse(listening).value()));
    return *hosts_.back();
  }
  Host* find(base::Endpoint listening) {
    const auto found = std::ranges::find(hosts_, listening, [](const auto& host) { return host->listening(); });
    return found == hosts_.end() ? nullptr : found->get();
  }

  // Until it is so; false when that takes longer than `limit`.
  bool run_until(const std::function<bool()>& is_so, base::Duration limit = 300s) {
    const base::Instant end = now_ + limit;
    while (!is_so()) {
      if (!step(end)) {
        now_ = end;
        return is_so();
      }
    }
    return true;
  }
  void run_for(base::Duration time) {
    run_until([] { return false; }, time);
  }
  void at(base::Instant when, std::function<void()> what) { later_.emplace(std::max(when, now_), std::move(what)); }
  void after(base::Duration delay, std::function<void()> what) { at(now_ + delay, std::move(what)); }
  [[nodiscard]] base::Instant now() const { return now_; }

  // The answer, whatever fetch it names; nothing: it fails.
  std::function<std::optional<seam::Fetched>(const seam::Fetch&)> on_fetch;
  std::map<base::Endpoint, int> dials;
  int datagrams = 0;

 private:
  using End = Host::End;
  static constexpr base::Duration kDelay = 1ms;
  static constexpr int kStepsAtOnceMax = 200'000;

  bool step(base::Instant end) {
    Host* due = nullptr;
    std::optional<base::Instant> next = later_.empty() ? std::nullopt : std::optional(later_.begin()->first);
    for (const auto& host : hosts_) {
      if (!host->is_running()) continue;
      const auto deadline = host->machine_->next_deadline();
      if (!deadline || (next && *deadline >= *next)) continue;
      next = deadline;
      due = host.get();
    }
    if (!next || *next > end) return false;
    steps_at_once_ = *next > now_ ? 0 : steps_at_once_ + 1;
    if (steps_at_once_ > kStepsAtOnceMax) {
      ADD_FAILURE() << "the world spins at " << base::to_seconds(now_.time_since_epoch()) << " s";
      return false;
    }
    now_ = std::max(now_, *next);
    if (due != nullptr) {
      due->feed(seam::DeadlineReached{});
    } else {
      const auto what = std::move(later_.begin()->second);
      later_.erase(later_.begin());
      what();
    }
    return true;
  }
  void end_stream(End& end) {
    if (end.peer == nullptr) return;
    at(std::max(end.last_arrival, now_ + kDelay), [to = end.peer] {
      if (!to->is_open) return;
      to->is_ending = true;
      to->host->read(*to);
    });
  }
  void hang_up(End& end, seam::NetError error) {
    end.is_open = false;
    if (end.peer == nullptr) return;
    after(kDelay, [to = end.peer, error] {
      if (!to->is_open) return;
      to->is_open = false;
      to->host->ends_.erase(to->conn);
      to->host->feed(seam::ConnectionLost{to->conn, error});
    });
  }

  base::Instant now_{1h};
  std::multimap<base::Instant, std::function<void()>> later_;  // equal times: in the order of insertion
  std::vector<std::unique_ptr<Host>> hosts_;
  std::vector<std::shared_ptr<End>> kept_;  // both ends know each other
  std::uint16_t next_port_ = 40000;
  int steps_at_once_ = 0;
};

}  // namespace shoal::testing
