// A world for one serving machine: connections are byte strings in both directions, a step is one event, and whatever
// the machine wants is written down. Lookups, dials and drains are answered when the test says so, or at once.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "seam/machine.hpp"
#include "support/server_script.hpp"

namespace shoal::roles {

// ERROR messages of the course protocol, by their code.
inline const std::string kError0 = "010600000000000300000000";
inline const std::string kError1 = "010600000000000300010000";
inline const std::string kError2 = "010600000000000300020000";

class ServerHarness {
 public:
  explicit ServerHarness(std::unique_ptr<seam::Machine> machine) : machine_(std::move(machine)) {
    machine_->start(now);
    carry_out();
  }

  // --- What happens ---
  seam::ConnId accept(base::Endpoint remote = {{0x0a000009}, 40000}, base::Ipv4Address local = {0x0a000001}) {
    const seam::ConnId conn(next_conn_);
    next_conn_ += 2;
    open_.insert(conn);
    event(seam::Accepted{conn, {local, 8001}, remote});
    return conn;
  }
  // As many reads as the machine gives room for; the rest waits, as in the kernel.
  void send(seam::ConnId conn, const base::Bytes& bytes) {
    base::Bytes& unread = unread_[conn];
    unread.insert(unread.end(), bytes.begin(), bytes.end());
    read(conn);
  }
  void end_input(seam::ConnId conn) { event(seam::InputEnded{conn}); }
  void reset(seam::ConnId conn) {
    open_.erase(conn);
    event(seam::ConnectionLost{conn, seam::NetError::reset});
  }
  void drain(seam::ConnId conn) {
    if (undrained_.erase(conn) > 0) event(seam::OutputDrained{conn});
  }
  void answer_lookup(std::size_t index) {
    const seam::LookUpPiece asked = lookups.at(index);
    lookups.erase(lookups.begin() + static_cast<std::ptrdiff_t>(index));
    const auto found = library.find(asked.hash);
    event(seam::PieceLookedUp{asked.lookup, found == library.end() ? nullptr : found->second});
  }
  void wait(base::Duration time) {
    const base::Instant end = now + time;
    while (machine_->next_deadline() && *machine_->next_deadline() <= end) {
      now = std::max(now, *machine_->next_deadline());
      event(seam::DeadlineReached{});
    }
    now = end;
  }
  void event(seam::Event&& happened) {
    machine_->on_event(std::move(happened), now);
    carry_out();
  }

  // --- What the machine did ---
  // What left on this connection since the last call.
  std::string received(seam::ConnId conn) { return testing::to_hex(std::exchange(received_[conn], {})); }
  [[nodiscard]] bool is_open(seam::ConnId conn) const { return open_.contains(conn); }
  [[nodiscard]] std::size_t unread_bytes(seam::ConnId conn) { return unread_[conn].size(); }
  seam::Machine& machine() { return *machine_; }

  base::Instant now{std::chrono::hours(1)};
  std::map<base::Sha1Hash, seam::ReadablePiecePtr> library;
  bool is_library_quick = true;
  bool is_sending_quick = true;
  std::deque<seam::LookUpPiece> lookups;  // not answered yet
  std::vector<seam::Dial> dials;
  std::vector<seam::SendDatagram> datagrams;
  std::vector<seam::MessageTrace> traces;
  std::vector<std::string> notes;  // of what an operator should read
  std::vector<seam::SaveState> saves;
  std::optional<seam::Finish> finish;

 private:
  void read(seam::ConnId conn) {
    base::Bytes& unread = unread_[conn];
    while (!unread.empty() && open_.contains(conn)) {
      const seam::ReadTargets targets = machine_->next_read(conn);
      const std::size_t count = std::min(unread.size(), targets.spans[0].size());
      if (count == 0) return;
      std::memcpy(targets.spans[0].data(), unread.data(), count);
      unread.erase(unread.begin(), unread.begin() + static_cast<std::ptrdiff_t>(count));
      event(seam::BytesArrived{conn, count});
    }
    static_cast<void>(machine_->next_read(conn));  // a runner asks again, and is told when to stop
  }

  void carry_out() {
    for (seam::Actions actions = machine_->take_actions(); !actions.empty(); actions = machine_->take_actions()) {
      for (const seam::Action& action : actions) carry_out(action);
    }
    if (is_library_quick && !lookups.empty()) answer_lookup(0);
    if (is_sending_quick && !undrained_.empty()) drain(*undrained_.begin());
    if (!resumed_.empty()) {
      const seam::ConnId conn = *resumed_.begin();
      resumed_.erase(conn);
      read(conn);
    }
  }

  void carry_out(const seam::Action& action) {
    ASSERT_FALSE(finish) << "an action after Finish";
    if (const auto message = testing::message_of(action)) {
      const auto& [conn, bytes] = *message;
      if (!open_.contains(conn)) return;
      received_[conn].insert(received_[conn].end(), bytes.begin(), bytes.end());
      undrained_.insert(conn);
    } else if (const auto* close = std::get_if<seam::Close>(&action)) {
      open_.erase(close->conn);
      undrained_.erase(close->conn);
    } else if (const auto* resume = std::get_if<seam::ResumeReading>(&action)) {
      resumed_.insert(resume->conn);
    } else if (const auto* lookup = std::get_if<seam::LookUpPiece>(&action)) {
      lookups.push_back(*lookup);
    } else if (const auto* dial = std::get_if<seam::Dial>(&action)) {
      EXPECT_EQ(dial->conn.value % 2, 1u) << "machines dial odd numbers";
      open_.insert(dial->conn);
      dials.push_back(*dial);
    } else if (const auto* datagram = std::get_if<seam::SendDatagram>(&action)) {
      datagrams.push_back(*datagram);
    } else if (const auto* end = std::get_if<seam::Finish>(&action)) {
      finish = *end;
    } else if (const auto* tell = std::get_if<seam::Tell>(&action)) {
      if (const auto* message_trace = std::get_if<seam::MessageTrace>(&tell->trace)) traces.push_back(*message_trace);
      if (const auto* note = std::get_if<seam::NoteTrace>(&tell->trace)) notes.push_back(note->text);
    } else if (const auto* save = std::get_if<seam::SaveState>(&action)) {
      saves.push_back(*save);
    } else {
      FAIL() << "a server has no use for action " << action.index();
    }
  }

  std::unique_ptr<seam::Machine> machine_;
  std::map<seam::ConnId, base::Bytes> unread_;
  std::map<seam::ConnId, base::Bytes> received_;
  std::set<seam::ConnId> open_;
  std::set<seam::ConnId> undrained_;
  std::set<seam::ConnId> resumed_;
  std::uint64_t next_conn_ = 2;
};

}  // namespace shoal::roles
