// The simulator's runner: carries out one machine's actions on the simulated network and disk, in virtual time. The
// same machines run under net's runner. Reads are split at random places, so that no machine can rely on a boundary.
//
// A host has one address and one interface. A socket for a group at 127.0.0.1 hears nothing and is not heard.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "base/rng.hpp"
#include "seam/machine.hpp"
#include "sim/event_queue.hpp"
#include "sim/http_fetches.hpp"
#include "sim/network.hpp"
#include "sim/web.hpp"
#include "storage/piece_library.hpp"
#include "storage/piece_store.hpp"

namespace shoal::sim {

struct HostOptions {
  base::Ipv4Address address;
  LinkOptions link;
  double disk_bytes_per_s = 1e9;
  bool splits_reads = true;  // at random places; off for speed measurements
};

class SimHost : public HostPort {
 public:
  using TraceListener = std::function<void(const SimHost&, const seam::Trace&)>;

  SimHost(EventQueue& queue, Network& network, HostOptions options, base::Rng rng);
  ~SimHost() override;

  // What the machine needs; each may stay null. Set before boot().
  storage::PieceStore* store = nullptr;
  storage::PieceLibrary* library = nullptr;
  const Web* web = nullptr;  // besides the network itself
  TraceListener trace_listener;

  // Starts the machine now. A host can be booted again after crash().
  void boot(std::unique_ptr<seam::Machine> machine);
  // The power is cut: the machine is gone, connections break, stored pieces stay.
  void crash();
  void listen(std::uint16_t port) { network_.listen({options_.address, port}); }
  void bind_discovery(std::uint16_t port) { bind(seam::kDiscoverySocket, port); }
  void bind_tracker(std::uint16_t port) { bind(seam::kTrackerSocket, port); }
  void request_stop() { give(seam::StopRequested{}); }

  // What a machine of this host saved, also in an earlier life; empty when there is nothing of that name.
  [[nodiscard]] base::Bytes saved_state(const std::string& name) const;
  [[nodiscard]] const std::optional<seam::Finish>& finish() const { return finish_; }
  [[nodiscard]] base::Instant finished_at() const { return finished_at_; }
  [[nodiscard]] base::Ipv4Address address() const { return options_.address; }
  // It asked to be woken again and again without time moving on: in the world that is a core at full load.
  [[nodiscard]] bool is_spinning() const { return wakes_at_once_ > kWakesAtOnceMax; }
  [[nodiscard]] bool is_running() const { return machine_ != nullptr && !finish_; }

  void on_accepted(EndId end, base::Endpoint local, base::Endpoint remote) override;
  void on_connected(EndId end, base::Endpoint local, base::Endpoint remote) override;
  void on_connect_failed(EndId end, seam::NetError error) override;
  void on_readable(EndId end) override;
  void on_writable(EndId end) override;
  void on_lost(EndId end) override;
  void on_datagram(base::Endpoint to, base::Endpoint from, base::Bytes bytes) override;

 private:
  static constexpr int kWakesAtOnceMax = 1000;

  struct Connection {
    EndId end;
    bool input_ended = false;
    bool read_scheduled = false;
  };

  void bind(seam::SocketId socket, std::uint16_t port);
  void give(seam::Event event);
  [[nodiscard]] std::vector<base::Ipv4Address> addresses_of(const std::string& name) const;
  // Gives what comes of `fetch`, unless it was cancelled.
  void answer_fetch(const seam::Fetch& fetch, WebReply reply);
  void drain();
  void schedule_deadline();
  void wake(std::uint64_t life, base::Instant when);
  void schedule_read(seam::ConnId conn);
  void read(seam::ConnId conn);
  std::optional<seam::ConnId> conn_of(EndId end) const;
  void forget(seam::ConnId conn);
  EndId end_of(seam::ConnId conn) const;
  // Runs `work` when the disk has moved `bytes`, in the order asked; never after a crash.
  void on_disk(std::uint64_t bytes, std::function<void()> work);
  void store_failed(const seam::StoreError& error);

  void carry_out(seam::Dial& action);
  void carry_out(seam::Send& action);
  void carry_out(seam::SendPiece& action);
  void carry_out(seam::ShutdownSend& action);
  void carry_out(seam::Close& action);
  void carry_out(seam::ResumeReading& action);
  void carry_out(seam::OpenDatagram& action);
  void carry_out(seam::SendDatagram& action);
  void carry_out(seam::CloseDatagram& action);
  void carry_out(seam::OpenStore& action);
  void carry_out(seam::BeginPiece& action);
  void carry_out(seam::StoreBlock& action);
  void carry_out(seam::CompletePiece& action);
  void carry_out(seam::AbandonPiece& action);
  void carry_out(seam::FinishStore& action);
  void carry_out(seam::LookUpPiece& action);
  void carry_out(seam::Fetch& action);
  void carry_out(seam::CancelFetch& action);
  void carry_out(seam::Resolve& action);
  void carry_out(seam::SaveState& action);
  void carry_out(seam::Tell& action);
  void carry_out(seam::Finish& action);

  EventQueue& queue_;
  Network& network_;
  HostOptions options_;
  base::Rng rng_;
  std::unique_ptr<seam::Machine> machine_;
  std::uint64_t life_ = 0;  // counts boots and crashes: what an earlier life scheduled is void
  bool is_draining_ = false;
  bool store_broken_ = false;
  std::optional<seam::Finish> finish_;
  base::Instant finished_at_{};
  std::map<seam::ConnId, Connection> connections_;
  std::map<EndId, seam::ConnId> conns_;
  std::uint64_t next_accepted_ = 2;
  std::map<seam::SocketId, base::Endpoint> sockets_;  // where each hears: our address or a group, with the port
  HttpFetches http_fetches_;
  std::set<seam::FetchId> web_fetches_;  // under way at `web`
  std::map<std::string, base::Bytes> saved_;
  std::uint16_t next_datagram_port_ = 50000;
  base::Instant disk_free_{};
  std::optional<base::Instant> wake_at_;  // a wake-up is queued for then
  base::Instant last_wake_{};
  int wakes_at_once_ = 0;  // without time moving on
};

}  // namespace shoal::sim
