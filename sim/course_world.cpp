#include "sim/course_world.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/buffer_pool.hpp"
#include "roles/course_client.hpp"
#include "roles/course_peer.hpp"
#include "roles/course_tracker.hpp"
#include "sim/describe_trace.hpp"
#include "sim/host.hpp"
#include "sim/stores.hpp"

namespace shoal::sim {
namespace {

using std::chrono::seconds;

constexpr base::Duration kRunMax = seconds(600);     // of virtual time: beyond it the client counts as hanging
constexpr base::Duration kFaultsOver = seconds(30);  // after the beginning, nothing new breaks
constexpr int kLossyRunsMax = 20;                    // with lost datagrams, a search may fail this often
constexpr base::Ipv4Address kClientAddress{0x0a000001};
constexpr base::Ipv4Address kFlooderAddress{0x0a000002};

class FixedShare : public tracker::ShareProvider {
 public:
  explicit FixedShare(course::FileInfo info) : share_(std::make_shared<const course::FileInfo>(std::move(info))) {}
  std::shared_ptr<const course::FileInfo> current() override { return share_; }

 private:
  std::shared_ptr<const course::FileInfo> share_;
};

class CourseWorld {
 public:
  CourseWorld(const CoursePlan& plan, const CourseRunOptions& options)
      : plan_(plan),
        options_(options),
        rng_(plan.seed ^ 0x5eed),
        buffers_(plan.buffer_bytes, plan.buffers_max),
        network_(queue_, plan.network, rng_.fork()),
        store_({.accepts_unverified = options.broken_rule == BrokenRule::accepts_unverified_pieces,
                .disk_full_from_put = plan.disk_full_from_put}),
        client_(queue_, network_,
                {.address = kClientAddress, .link = plan.client_link, .disk_bytes_per_s = plan.disk_bytes_per_s},
                rng_.fork()) {
    client_.store = &store_;
    client_.trace_listener = listener();
  }

  CourseRunResult run() {
    for (const PeerPlan& peer : plan_.peers) add_peer(peer);
    for (const TrackerPlan& tracker : plan_.trackers) add_tracker(tracker);
    if (plan_.has_flooder) add_flooder();
    schedule_faults();
    queue_.at(base::Instant{}, [this] { boot_client(); });
    while (result_.failure.empty() && !is_over_) {
      if (queue_.is_empty()) {
        fail("nothing is left to happen and the client has not ended");
        break;
      }
      if (queue_.next_time() > run_began_ + kRunMax) {
        fail("the client hangs");
        break;
      }
      queue_.step();
      if (client_.is_spinning()) fail("the client spins");
      if (std::ranges::any_of(hosts_, [](const auto& host) { return host->is_spinning(); })) fail("a server spins");
      if (client_.finish() && !is_end_handled_) on_client_end();
    }
    result_.virtual_seconds = base::to_seconds(queue_.now().time_since_epoch());
    result_.trace_hash = trace_hash_;
    // Buffers under way go home before their pool does.
    client_.crash();
    while (!queue_.is_empty() && buffers_.in_use() > 0) queue_.step();
    if (result_.failure.empty() && buffers_.in_use() > 0) fail("a buffer never came home");
    return result_;
  }

 private:
  SimHost::TraceListener listener() {
    return [this](const SimHost& host, const seam::Trace& trace) {
      const std::string line = fmt::format("{:10.6f} {:>10} {}", base::to_seconds(queue_.now().time_since_epoch()),
                                           host.address().to_string(), describe_trace(trace));
      for (const char letter : line) trace_hash_ = (trace_hash_ ^ static_cast<unsigned char>(letter)) * 1099511628211u;
      if (options_.log) options_.log(line);
    };
  }

  void fail(const std::string& what) {
    if (result_.failure.empty()) result_.failure = what;
  }

  SimHost& add_host(base::Ipv4Address address, const LinkOptions& link) {
    hosts_.push_back(
        std::make_unique<SimHost>(queue_, network_, HostOptions{.address = address, .link = link}, rng_.fork()));
    hosts_.back()->trace_listener = listener();
    return *hosts_.back();
  }

  void boot_peer(SimHost& host, const PeerPlan& peer) {
    host.boot(
        make_odd(roles::make_course_peer({.welcomes_pipelining = peer.welcomes_pipelining}), peer.oddity, rng_.fork()));
    if (peer.is_there) host.listen(peer.endpoint.port);
  }

  void add_peer(const PeerPlan& peer) {
    SimHost& host = add_host(peer.endpoint.address, peer.link);
    libraries_.push_back(std::make_unique<storage::MemoryPieceLibrary>());
    for (std::size_t i = 0; i < plan_.chunks.size(); ++i) {
      if (peer.owns[i]) libraries_.back()->add(plan_.chunks[i]);
    }
    host.library = libraries_.back().get();
    boot_peer(host, peer);
    if (!peer.crash_at) return;
    queue_.at(base::Instant{} + *peer.crash_at, [&host] { host.crash(); });
    if (!peer.reboot_after) return;
    queue_.at(base::Instant{} + *peer.crash_at + *peer.reboot_after, [this, &host, &peer] { boot_peer(host, peer); });
  }

  void add_tracker(const TrackerPlan& tracker) {
    SimHost& host = add_host(tracker.endpoint.address, {});
    course::FileInfo info = plan_.file_info();
    if (tracker.lists_nobody) {
      for (course::ChunkRecord& record : info.chunks) record.peers.clear();
    }
    shares_.push_back(std::make_unique<FixedShare>(std::move(info)));
    host.boot(
        make_odd(roles::make_course_tracker({.name = tracker.name, .listening = tracker.endpoint}, *shares_.back()),
                 tracker.oddity, rng_.fork()));
    if (tracker.is_there) {
      host.listen(tracker.endpoint.port);
      host.bind_discovery(course::kDiscoveryPort);
    }
    if (tracker.crash_at) queue_.at(base::Instant{} + *tracker.crash_at, [&host] { host.crash(); });
  }

  void add_flooder() {
    SimHost& host = add_host(kFlooderAddress, {});
    const base::Bytes request =
        course::encode_get_chunk(plan_.chunks.empty() ? base::Sha1Hash{} : base::sha1(plan_.chunks.front()));
    host.boot(make_flooder(plan_.peers.front().endpoint, request, rng_.fork()));
  }

  void schedule_faults() {
    for (const base::Duration when : plan_.client_crashes) {
      queue_.at(base::Instant{} + when, [this] { crash_client(); });
    }
    if (plan_.partition_at) {
      queue_.at(base::Instant{} + *plan_.partition_at, [this] { network_.set_partition({kClientAddress}); });
      queue_.at(base::Instant{} + *plan_.partition_at + plan_.partition_for, [this] { network_.set_partition({}); });
    }
  }

  void boot_client() {
    ++result_.client_runs;
    run_began_ = queue_.now();
    is_end_handled_ = false;
    roles::CourseClientOptions options;
    switch (plan_.step) {
      case Step::from_files:
        options.file_info = plan_.file_info();
        break;
      case Step::from_tracker:
        options.tracker = plan_.trackers.front().endpoint;
        break;
      case Step::by_discovery:
        options.interfaces = {{.address = kClientAddress, .broadcast = std::nullopt}};
        break;
    }
    for (const PeerPlan& peer : plan_.peers) options.extra_peers.push_back(peer.endpoint);
    client_.boot(roles::make_course_client(std::move(options), buffers_, rng_.fork()));
  }

  void crash_client() {
    if (!client_.is_running()) return;
    client_.crash();
    store_.crash();
    queue_.after(std::chrono::milliseconds(100), [this] { boot_client(); });
  }

  // A fresh run once the faults are over has no excuse.
  void on_client_end() {
    is_end_handled_ = true;
    const seam::Finish& finish = *client_.finish();
    if (options_.log) {
      options_.log(fmt::format("client ended: result {} {}", static_cast<int>(finish.result), finish.message));
    }
    if (finish.result == seam::Finish::Result::done) return judge_file();
    if (finish.message.empty()) return fail("an end without a message");
    if (is_last_run_ && !is_excused(finish)) return judge_missing(finish);
    is_last_run_ = true;
    store_.make_room();
    queue_.at(base::Instant{} + kFaultsOver, [this] { boot_client(); });
  }

  // All datagrams of the honest tracker can be lost once, but not every time.
  bool is_excused(const seam::Finish& finish) const {
    using Result = seam::Finish::Result;
    const bool got_a_list = finish.result == Result::incomplete || finish.result == Result::mismatched;
    return plan_.network.datagram_loss > 0 && plan_.step == Step::by_discovery && !got_a_list &&
           result_.client_runs < kLossyRunsMax;
  }

  void judge_file() {
    is_over_ = true;
    if (store_.file() != plan_.file()) fail("the file differs from the original");
  }

  void judge_missing(const seam::Finish& finish) {
    is_over_ = true;
    using Result = seam::Finish::Result;
    if (finish.result != Result::incomplete && finish.result != Result::mismatched) {
      return fail("a run without new faults ended with: " + finish.message);
    }
    for (const base::PieceIndex piece : finish.missing) {
      if (std::ranges::count(plan_.hopeless, piece.value) == 0) {
        return fail(
            fmt::format("chunk {} is called missing though an honest peer has it: {}", piece.value, finish.message));
      }
    }
    if (finish.missing.empty()) fail("incomplete, but nothing is missing");
  }

  const CoursePlan& plan_;
  const CourseRunOptions& options_;
  base::Rng rng_;
  base::BufferPool buffers_;
  EventQueue queue_;
  Network network_;
  CheckedStore store_;
  SimHost client_;
  std::vector<std::unique_ptr<SimHost>> hosts_;
  std::vector<std::unique_ptr<storage::MemoryPieceLibrary>> libraries_;
  std::vector<std::unique_ptr<FixedShare>> shares_;
  CourseRunResult result_;
  std::uint64_t trace_hash_ = 14695981039346656037u;
  base::Instant run_began_{};
  bool is_over_ = false;
  bool is_end_handled_ = false;
  bool is_last_run_ = false;
};

}  // namespace

CourseRunResult run_course_world(const CoursePlan& plan, const CourseRunOptions& options) {
  CourseWorld world(plan, options);
  return world.run();
}

}  // namespace shoal::sim
