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
#include "sim/stores.hpp"
#include "swarm/web_seed.hpp"

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
constexpr const char* kHostileTracker = "http://10.0.0.2:8000/announce";
constexpr const char* kWebSeed = "http://10.0.0.3/shared";

// One host of the swarm through all its lives.
struct Member {
  const SwarmHostPlan* plan = nullptr;
  std::unique_ptr<base::BufferPool> buffers;
  std::unique_ptr<CheckedStore> disk;
  std::unique_ptr<SimHost> host;
  // In this life:
  std::optional<base::Instant> opened_at;  // when it knew what its disk holds
  std::uint32_t wrong_pieces = 0;          // that it got
};

class SwarmWorld {
 public:
  SwarmWorld(const SwarmPlan& plan, const SwarmRunOptions& options)
      : plan_(plan), options_(options), rng_(plan.seed ^ 0x5eed), network_(queue_, plan.network, rng_.fork()) {}

  SwarmRunResult run() {
    if (plan_.has_tracker()) add_tracker();
    serve_web();
    for (const SwarmHostPlan& host : plan_.hosts) add_member(host);
    for (const OddPeerPlan& peer : plan_.odd_peers) add_odd_peer(peer);
    for (const FloodPlan& flood : plan_.floods) add_flood(flood);
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
      const auto member = std::ranges::find(members_, &host, [](const Member& each) { return each.host.get(); });
      if (member == members_.end()) return;
      if (std::holds_alternative<seam::ManifestTrace>(trace)) member->opened_at = queue_.now();
      if (const auto* piece = std::get_if<seam::PieceTrace>(&trace)) note_piece(*member, *piece);
      if (const auto* source = std::get_if<seam::SourceTrace>(&trace)) note_source(*source);
    };
  }

  void note_piece(Member& member, const seam::PieceTrace& trace) {
    if (trace.what != seam::PieceTrace::What::mismatched) return;
    ++result_.wrong_pieces;
    ++member.wrong_pieces;
    const auto liars = static_cast<std::uint32_t>(plan_.liars());
    if (liars == 0) return fail("a piece was wrong and nobody lies");
    result_.wrong_pieces_worst = std::max(result_.wrong_pieces_worst, (member.wrong_pieces + liars - 1) / liars);
    const std::size_t under_way = under_way_bytes_max(*member.plan) / plan_.torrent.manifest.layout->piece_bytes;
    if (member.wrong_pieces > liars * (kSpoiledMax + under_way))
      fail(member.plan->endpoint.to_string() + " is lied to for ever");
  }

  // Whose disk is slower than what may come learns of a lie only when all its buffers are full of what came with it.
  [[nodiscard]] std::size_t under_way_bytes_max(const SwarmHostPlan& plan) const {
    // A web seed sends each of its answers at its speed, whatever the link.
    const double web_bytes_per_s = swarm::kFetchesAtOnce * plan_.web_seed.bytes_per_s;
    const bool is_disk_behind = plan.disk_bytes_per_s < plan.link.down_bytes_per_s + web_bytes_per_s;
    return is_disk_behind ? std::max(kUnderWayBytes, plan.buffers_max * kBufferBytes) : kUnderWayBytes;
  }

  void note_source(const seam::SourceTrace& trace) {
    if (trace.status != seam::SourceStatus::gone || !trace.reason.ends_with("gave wrong bytes")) return;
    ++result_.convictions;
    const bool is_host = std::ranges::any_of(
        plan_.hosts, [&](const SwarmHostPlan& host) { return host.endpoint.address == trace.source.address; });
    const bool is_web_seed = trace.source.address == base::Ipv4Address{};
    if (is_host || (is_web_seed && plan_.web_seed.kind != WebSeedKind::lies)) {
      fail(trace.source.to_string() + " is honest and was convicted");
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
      queue_.at(base::Instant{} + kill, [this] {
        result_.tracker_kills_felt += is_anybody_lacking() ? 1 : 0;
        tracker_->crash();
      });
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

  void serve_web() {
    if (plan_.has_hostile_tracker) web_.serve(kHostileTracker, serve_hostile_tracker(rng_.fork()));
    if (plan_.web_seed.kind != WebSeedKind::none) {
      web_.serve(kWebSeed, serve_web_seed(plan_.web_seed, {.url = kWebSeed, .content = whole()}, rng_.fork()));
    }
  }

  SimHost& add_stranger(base::Ipv4Address address, const LinkOptions& link) {
    strangers_.push_back(
        std::make_unique<SimHost>(queue_, network_, HostOptions{.address = address, .link = link}, rng_.fork()));
    return *strangers_.back();
  }

  void add_odd_peer(const OddPeerPlan& plan) {
    SimHost& host = add_stranger(plan.endpoint.address, plan.link);
    OddPeerOptions options{.oddity = plan.oddity,
                           .torrent = plan_.torrent,
                           .pieces = plan_.pieces,
                           .listening = plan.endpoint,
                           .targets = {},
                           .tracker_urls = {}};
    if (plan.dials) {
      for (const SwarmHostPlan& target : plan_.hosts) options.targets.push_back(target.endpoint);
    }
    if (plan.tells_tracker && plan_.uses_http_tracker) options.tracker_urls.push_back(http_tracker());
    queue_.at(base::Instant{} + plan.starts_at, [this, &host, options = std::move(options)] {
      host.boot(make_odd_peer(options, rng_.fork()));
      host.listen(options.listening.port);
    });
  }

  void add_flood(const FloodPlan& plan) {
    SimHost& host = add_stranger(plan.address, plan.link);
    const FloodOptions options{.flood = plan.flood,
                               .target = is_at_tracker(plan.flood) ? kTracker : plan_.hosts[plan.target].endpoint,
                               .info_hash = plan_.torrent.info_hash,
                               .piece_count = plan_.torrent.manifest.piece_count()};
    queue_.at(base::Instant{} + plan.starts_at,
              [this, &host, options] { host.boot(make_flood(options, rng_.fork())); });
  }

  static std::string http_tracker() { return "http://" + kTracker.to_string() + "/announce"; }

  void add_member(const SwarmHostPlan& plan) {
    Member member{.plan = &plan};
    member.buffers = std::make_unique<base::BufferPool>(kBufferBytes, plan.buffers_max);
    member.disk = std::make_unique<CheckedStore>(
        CheckedStoreOptions{.accepts_unverified = options_.broken_rule == BrokenRule::accepts_unverified_pieces,
                            .disk_full_from_put = plan.disk_full_from_put});
    for (std::size_t i = 0; i < plan.holds.size(); ++i) {
      if (plan.holds[i]) member.disk->leave_behind(plan_.pieces[i]);
    }
    member.host = std::make_unique<SimHost>(
        queue_, network_,
        HostOptions{.address = plan.endpoint.address, .link = plan.link, .disk_bytes_per_s = plan.disk_bytes_per_s},
        rng_.fork());
    member.host->store = member.disk.get();
    member.host->library = &member.disk->library();
    member.host->web = &web_;
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
    member.wrong_pieces = 0;
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
    options.is_sequential = plan.is_sequential;
    if (plan_.web_seed.kind != WebSeedKind::none) options.web_seeds.push_back(kWebSeed);
    if (plan_.has_hostile_tracker) options.tracker_tiers.push_back({kHostileTracker});
    if (plan_.uses_http_tracker) options.tracker_tiers.push_back({http_tracker()});
    if (plan_.uses_udp_tracker) options.tracker_tiers.push_back({"udp://" + kTracker.to_string() + "/announce"});
    if (plan.is_named_host_0) options.peers.push_back(plan_.hosts.front().endpoint);
    for (const SwarmHostPlan& other : plan_.hosts) {
      if (other.kind == SwarmHostKind::course_peer) options.peers.push_back(other.endpoint);
    }
    for (const OddPeerPlan& odd : plan_.odd_peers) {
      if (odd.is_named) options.peers.push_back(odd.endpoint);
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
      result_.partitions_felt += is_anybody_lacking() ? 1 : 0;
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
    return member.host->is_running() && is_settled && member.disk->is_finished();
  }

  // Of those who have begun.
  [[nodiscard]] bool is_anybody_lacking() const {
    return std::ranges::any_of(members_,
                               [this](const Member& member) { return member.opened_at && !has_everything(member); });
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
    const base::Bytes content = whole();
    for (const Member& member : members_) {
      if (member.plan->kind == SwarmHostKind::course_peer) continue;
      const std::string name = member.plan->endpoint.to_string();
      if (member.disk->file() != content) fail(name + " ended with other bytes");
      if (member.host->finish()->result != seam::Finish::Result::done) {
        fail(name + " had everything and ended with: " + member.host->finish()->message);
      }
    }
  }

  [[nodiscard]] base::Bytes whole() const {
    base::Bytes content;
    for (const base::Bytes& piece : plan_.pieces) content.insert(content.end(), piece.begin(), piece.end());
    return content;
  }

  [[nodiscard]] bool has_buffers_out() const {
    return std::ranges::any_of(members_, [](const Member& member) { return member.buffers->in_use() > 0; });
  }

  const SwarmPlan& plan_;
  const SwarmRunOptions& options_;
  base::Rng rng_;
  EventQueue queue_;
  Network network_;
  Web web_;
  std::unique_ptr<SimHost> tracker_;
  std::vector<Member> members_;
  std::vector<std::unique_ptr<SimHost>> strangers_;
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
