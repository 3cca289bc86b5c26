#include "sim/swarm_world.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "base/buffer_pool.hpp"
#include "roles/course_peer.hpp"
#include "roles/swarm_host.hpp"
#include "roles/tracker_host.hpp"
#include "sim/describe_trace.hpp"
#include "sim/host.hpp"
#include "storage/memory.hpp"

namespace shoal::sim {
namespace {

using std::chrono::seconds;

constexpr base::Duration kRunMax = seconds(3600);   // of virtual time: beyond it somebody counts as hanging
constexpr base::Duration kEndMax = seconds(15);     // from the stop to the end of everybody
constexpr base::Duration kRoomAfter = seconds(45);  // full disks get room
// After it was opened a disk may still hold what an earlier life has made.
constexpr base::Duration kSettlesWithin = seconds(1);
constexpr base::Duration kLookEvery = std::chrono::milliseconds(250);
constexpr std::size_t kBufferBytes = 256 * 1024;
constexpr base::Endpoint kTracker{{0x0a000001}, 8000};

// One host of the swarm through all its lives.
struct Member {
  const SwarmHostPlan* plan = nullptr;
  std::unique_ptr<base::BufferPool> buffers;
  std::unique_ptr<storage::MemoryPieceStore> disk;
  std::unique_ptr<SimHost> host;
  std::optional<base::Instant> opened_at;  // when it knew in this life what its disk holds
};

class SwarmWorld {
 public:
  SwarmWorld(const SwarmPlan& plan, const SwarmRunOptions& options)
      : plan_(plan), options_(options), rng_(plan.seed ^ 0x5eed), network_(queue_, plan.network, rng_.fork()) {}

  SwarmRunResult run() {
    if (plan_.has_tracker()) add_tracker();
    for (const SwarmHostPlan& host : plan_.hosts) add_member(host);
    schedule_faults();
    play([this] { return is_everything_everywhere(); }, "nobody has everything in time: ", base::Instant{} + kRunMax);
    next_look_ = queue_.now();
    stop_all();
    play([this] { return is_everybody_over(); }, "does not end: ", queue_.now() + kEndMax);
    judge();
    for (Member& member : members_) member.host->crash();
    if (tracker_) tracker_->crash();
    while (!queue_.is_empty() && has_buffers_out()) queue_.step();
    if (has_buffers_out()) fail("a buffer never came home");
    result_.virtual_seconds = base::to_seconds(queue_.now().time_since_epoch());
    result_.trace_hash = trace_hash_;
    return result_;
  }

 private:
  template <typename Done>
  void play(Done is_done, std::string_view complaint, base::Instant until) {
    while (result_.failure.empty()) {
      // Looking at every disk after every step would be most of the work.
      if (queue_.now() >= next_look_) {
        if (is_done()) return;
        next_look_ = queue_.now() + kLookEvery;
      }
      if (queue_.is_empty() || queue_.next_time() > until) {
        if (!is_done()) fail(std::string(complaint) + laggards());
        return;
      }
      queue_.step();
      if (std::ranges::any_of(members_, [](const Member& member) { return member.host->is_spinning(); })) {
        fail("a host spins");
      }
      if (tracker_ && tracker_->is_spinning()) fail("the tracker spins");
    }
  }

  SimHost::TraceListener listener() {
    return [this](const SimHost& host, const seam::Trace& trace) {
      const std::string line = fmt::format("{:10.6f} {:>10} {}", base::to_seconds(queue_.now().time_since_epoch()),
                                           host.address().to_string(), describe_trace(trace));
      for (const char letter : line) trace_hash_ = (trace_hash_ ^ static_cast<unsigned char>(letter)) * 1099511628211u;
      if (options_.log) options_.log(line);
      if (std::holds_alternative<seam::ManifestTrace>(trace)) note_opened(host);
    };
  }

  void note_opened(const SimHost& host) {
    for (Member& member : members_) {
      if (member.host.get() == &host) member.opened_at = queue_.now();
    }
  }

  void fail(const std::string& what) {
    if (result_.failure.empty()) result_.failure = what;
  }

  void add_tracker() {
    tracker_ =
        std::make_unique<SimHost>(queue_, network_, HostOptions{.address = kTracker.address, .link = {}}, rng_.fork());
    tracker_->trace_listener = listener();
    boot_tracker();
    for (const base::Duration kill : plan_.tracker_kills) {
      queue_.at(base::Instant{} + kill, [this] { tracker_->crash(); });
      queue_.at(base::Instant{} + kill + kRebootAfter, [this] {
        if (!tracker_->is_running()) boot_tracker();
      });
    }
  }

  void boot_tracker() {
    roles::TrackerHostOptions options{.listening = kTracker};
    options.saved_shares = tracker_->saved_state(roles::kSharesState);
    options.saved_swarms = tracker_->saved_state(roles::kSwarmsState);
    tracker_->boot(roles::make_tracker_host(std::move(options), nullptr, rng_.fork()));
    tracker_->listen(kTracker.port);
    tracker_->bind_tracker(kTracker.port);
  }

  void add_member(const SwarmHostPlan& plan) {
    Member member{.plan = &plan};
    member.buffers = std::make_unique<base::BufferPool>(kBufferBytes, plan.buffers_max);
    member.disk = std::make_unique<storage::MemoryPieceStore>(
        storage::MemoryStoreFaults{.disk_full_from_put = plan.disk_full_from_put, .flipped_puts = {}});
    for (std::size_t i = 0; i < plan.holds.size(); ++i) {
      if (plan.holds[i]) member.disk->leave_behind(plan_.pieces[i]);
    }
    member.host = std::make_unique<SimHost>(
        queue_, network_,
        HostOptions{.address = plan.endpoint.address, .link = plan.link, .disk_bytes_per_s = plan.disk_bytes_per_s},
        rng_.fork());
    member.host->store = member.disk.get();
    member.host->library = member.disk.get();
    member.host->trace_listener = listener();
    const std::size_t number = members_.size();
    members_.push_back(std::move(member));
    queue_.at(base::Instant{} + plan.starts_at, [this, number] { boot(number); });
    for (const base::Duration kill : plan.kills) {
      queue_.at(base::Instant{} + kill, [this, number] { crash(number); });
    }
    if (plan.disk_full_from_put) {
      queue_.at(base::Instant{} + kRoomAfter, [this, number] { members_[number].disk->make_room(); });
    }
  }

  void boot(std::size_t number) {
    Member& member = members_[number];
    if (member.host->is_running() || is_stopping_) return;
    member.opened_at.reset();
    if (member.plan->kind == SwarmHostKind::course_peer) {
      // A course peer gives what is on its disk; opening finds that.
      static_cast<void>(member.disk->open(plan_.torrent.manifest));
      member.host->boot(roles::make_course_peer({}));
    } else {
      member.host->boot(roles::make_swarm_host(options_of(member), *member.buffers, rng_.fork()));
    }
    member.host->listen(member.plan->endpoint.port);
  }

  roles::SwarmHostOptions options_of(const Member& member) {
    const SwarmHostPlan& plan = *member.plan;
    roles::SwarmHostOptions options{.info_hash = plan_.torrent.info_hash};
    if (plan.knows_metadata) options.torrent = plan_.torrent;
    for (std::size_t i = 0; i < options.peer_id.size(); ++i) {
      options.peer_id[i] = static_cast<std::byte>(i < 8 ? "-SH0001-"[i] : rng_.next() & 0xff);
    }
    options.listening = plan.endpoint;
    options.interfaces = {plan.endpoint.address};
    options.uses_local_discovery = plan_.uses_local_discovery;
    options.uses_exchange = plan_.uses_exchange;
    options.gives_after_done = true;
    options.limit_down_bytes_per_s = plan.limit_down_bytes_per_s;
    options.limit_up_bytes_per_s = plan.limit_up_bytes_per_s;
    if (plan_.uses_http_tracker) options.tracker_tiers.push_back({"http://" + kTracker.to_string() + "/announce"});
    if (plan_.uses_udp_tracker) options.tracker_tiers.push_back({"udp://" + kTracker.to_string() + "/announce"});
    if (plan.is_named_host_0) options.peers.push_back(plan_.hosts.front().endpoint);
    for (const SwarmHostPlan& other : plan_.hosts) {
      if (other.kind == SwarmHostKind::course_peer) options.peers.push_back(other.endpoint);
    }
    return options;
  }

  void crash(std::size_t number) {
    Member& member = members_[number];
    if (!member.host->is_running() || is_stopping_) return;
    member.host->crash();
    member.disk->crash();
    queue_.after(kRebootAfter, [this, number] { boot(number); });
  }

  void schedule_faults() {
    if (!plan_.partition_at) return;
    queue_.at(base::Instant{} + *plan_.partition_at, [this] {
      std::set<base::Ipv4Address> upper;
      for (std::size_t i = members_.size() / 2; i < members_.size(); ++i) {
        upper.insert(members_[i].plan->endpoint.address);
      }
      network_.set_partition(upper);
    });
    queue_.at(base::Instant{} + *plan_.partition_at + plan_.partition_for, [this] { network_.set_partition({}); });
  }

  [[nodiscard]] bool has_everything(const Member& member) const {
    if (member.plan->kind == SwarmHostKind::course_peer) return true;
    const bool is_settled = member.opened_at && queue_.now() - *member.opened_at > kSettlesWithin;
    return member.host->is_running() && is_settled && member.disk->file().has_value();
  }

  [[nodiscard]] bool is_everything_everywhere() const {
    return std::ranges::all_of(members_, [this](const Member& member) { return has_everything(member); });
  }

  [[nodiscard]] bool is_everybody_over() const {
    return std::ranges::none_of(members_, [](const Member& member) { return member.host->is_running(); });
  }

  [[nodiscard]] std::string laggards() const {
    std::string names;
    for (const Member& member : members_) {
      if (is_stopping_ ? !member.host->is_running() : has_everything(member)) continue;
      names += member.plan->endpoint.to_string() + " ";
      if (member.host->finish()) names += "(" + member.host->finish()->message + ") ";
    }
    return names;
  }

  void stop_all() {
    is_stopping_ = true;
    for (Member& member : members_) member.host->request_stop();
  }

  void judge() {
    if (!result_.failure.empty()) return;
    base::Bytes whole;
    for (const base::Bytes& piece : plan_.pieces) whole.insert(whole.end(), piece.begin(), piece.end());
    for (const Member& member : members_) {
      if (member.plan->kind == SwarmHostKind::course_peer) continue;
      const std::string name = member.plan->endpoint.to_string();
      if (member.disk->file() != whole) fail(name + " ended with other bytes");
      if (member.host->finish()->result != seam::Finish::Result::done) {
        fail(name + " had everything and ended with: " + member.host->finish()->message);
      }
    }
  }

  [[nodiscard]] bool has_buffers_out() const {
    return std::ranges::any_of(members_, [](const Member& member) { return member.buffers->in_use() > 0; });
  }

  const SwarmPlan& plan_;
  const SwarmRunOptions& options_;
  base::Rng rng_;
  EventQueue queue_;
  Network network_;
  std::unique_ptr<SimHost> tracker_;
  std::vector<Member> members_;
  SwarmRunResult result_;
  std::uint64_t trace_hash_ = 14695981039346656037u;
  bool is_stopping_ = false;
  base::Instant next_look_{};
};

}  // namespace

SwarmRunResult run_swarm_world(const SwarmPlan& plan, const SwarmRunOptions& options) {
  SwarmWorld world(plan, options);
  return world.run();
}

}  // namespace shoal::sim
