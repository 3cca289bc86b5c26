#include "net/runner.hpp"

#include <algorithm>
#include <csignal>
#include <deque>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/signal_set.hpp>

#include "net/connections.hpp"
#include "net/datagram.hpp"
#include "net/http_client.hpp"
#include "net/listener.hpp"
#include "net/loop.hpp"
#include "net/name_lookup.hpp"
#include "net/state_writer.hpp"
#include "net/workers.hpp"

namespace shoal::net {

namespace {

constexpr base::Duration kTickEvery = std::chrono::milliseconds(500);
// A deadline further away is looked at again then.
constexpr base::Duration kTimerMax = std::chrono::hours(1);
constexpr int kOneThread = 1;

bool is_about(const seam::Event& event, seam::ConnId conn) {
  return std::visit(
      [conn](const auto& happened) {
        if constexpr (requires { happened.conn; }) {
          return happened.conn == conn;
        } else {
          return false;
        }
      },
      event);
}

bool is_about(const seam::Event& event, seam::FetchId fetch) {
  const auto* fetched = std::get_if<seam::Fetched>(&event);
  const auto* failed = std::get_if<seam::FetchFailed>(&event);
  return (fetched != nullptr && fetched->fetch == fetch) || (failed != nullptr && failed->fetch == fetch);
}

}  // namespace

class Runner::Impl final : public EventSink {
 public:
  explicit Impl(RunnerOptions options) noexcept
      : options_(std::move(options)),
        loop_(kOneThread),
        signals_(loop_),
        timer_(loop_),
        tick_timer_(loop_),
        connections_(loop_, *this),
        datagrams_(loop_, *this),
        listener_(loop_),
        names_(loop_),
        http_(loop_, *this, names_) {
    raise_open_files_limit();
    // sendfile has no other way of being told not to raise it.
    std::signal(SIGPIPE, SIG_IGN);
    if (options_.stops_on_signals) catch_signals();
  }

  std::expected<base::Endpoint, NetFailure> listen_tcp(base::Endpoint local) { return listener_.open(local); }
  std::expected<base::Endpoint, NetFailure> open_discovery_socket(base::Endpoint local) {
    return datagrams_.open_discovery(local);
  }
  std::expected<base::Endpoint, NetFailure> open_tracker_socket(base::Endpoint local) {
    return datagrams_.open_tracker(local);
  }
  seam::Finish run(seam::Machine& machine);
  void request_stop() {
    asio::post(loop_, [this] { on_stop(); });
  }

  [[nodiscard]] seam::ReadTargets next_read(seam::ConnId conn) override;
  void deliver(seam::Event&& event) override;
  void note(std::string text) override {
    tell(seam::NoteTrace{.level = seam::NoteTrace::Level::debug, .text = std::move(text)});
  }

 private:
  [[nodiscard]] base::Instant now() const { return base::Instant(SteadyClock::now() - started_); }
  void tell(const seam::Trace& trace) {
    if (options_.on_trace) options_.on_trace(trace, now());
  }

  void start_workers();
  void start_state_writer();
  void tell_state_troubles();
  void catch_signals();
  void wait_for_signal();
  void on_stop();
  void end(seam::Finish finish);
  void close_everything();

  // Until the machine wants nothing more and no event waits.
  void settle();
  void carry_out_actions();
  void update_timer();
  void tick();

  void carry_out(seam::Dial& action) { connections_.dial(action); }
  void carry_out(seam::Send& action);
  void carry_out(seam::SendPiece& action);
  void carry_out(seam::ShutdownSend& action) { connections_.shutdown_send(action.conn); }
  void carry_out(seam::Close& action);
  void carry_out(seam::ResumeReading& action) { connections_.resume_reading(action.conn); }
  void carry_out(seam::OpenDatagram& action) { datagrams_.open(action); }
  void carry_out(seam::SendDatagram& action) { datagrams_.send(action); }
  void carry_out(seam::CloseDatagram& action) { datagrams_.close(action.socket); }
  void carry_out(seam::OpenStore& action) { workers_->submit(std::move(action)); }
  void carry_out(seam::BeginPiece& action) { workers_->submit(std::move(action)); }
  void carry_out(seam::StoreBlock& action) { workers_->submit(std::move(action)); }
  void carry_out(seam::CompletePiece& action) { workers_->submit(action); }
  void carry_out(seam::AbandonPiece& action) { workers_->submit(action); }
  void carry_out(seam::FinishStore& action) { workers_->submit(action); }
  void carry_out(seam::LookUpPiece& action);
  void carry_out(seam::Fetch& action) { http_.fetch(std::move(action)); }
  void carry_out(seam::CancelFetch& action);
  void carry_out(seam::Resolve& action);
  void carry_out(seam::SaveState& action);
  void carry_out(seam::Tell& action) { tell(action.trace); }
  void carry_out(seam::Finish& action) { end(std::move(action)); }

  RunnerOptions options_;
  asio::io_context loop_;
  asio::signal_set signals_;
  Timer timer_;
  Timer tick_timer_;
  std::optional<base::Instant> timer_set_for_;
  Connections connections_;
  Datagrams datagrams_;
  Listener listener_;
  NameLookup names_;
  HttpClient http_;
  std::optional<StateWriter> state_writer_;
  std::optional<Workers> workers_;

  seam::Machine* machine_ = nullptr;
  SteadyClock::time_point started_ = SteadyClock::now();
  // What happened while actions were carried out. Each action adds a few at most.
  std::deque<seam::Event> events_;
  bool is_settling_ = false;
  bool was_stop_requested_ = false;
  bool is_hurried_ = false;
  std::optional<seam::Finish> finish_;
};

seam::Finish Runner::Impl::run(seam::Machine& machine) {
  SHOAL_CHECK(machine_ == nullptr);
  machine_ = &machine;
  started_ = SteadyClock::now();
  start_workers();
  start_state_writer();
  if (listener_.is_open()) {
    listener_.start([this](UniqueFd socket, base::Endpoint local, base::Endpoint remote) {
      connections_.accept(std::move(socket), local, remote);
    });
  }
  datagrams_.start();

  if (options_.on_tick) tick();
  const auto work_guard = asio::make_work_guard(loop_);
  is_settling_ = true;
  machine.start(now());
  carry_out_actions();
  is_settling_ = false;
  settle();
  if (!finish_) loop_.run();
  if (options_.on_tick) options_.on_tick(now());  // how long it took
  close_everything();
  return std::move(*finish_);
}

void Runner::Impl::start_workers() {
  workers_.emplace(WorkersOptions{
      .threads = options_.pool_threads, .store = options_.store, .library = options_.library, .on_results = [this] {
        asio::post(loop_, [this] {
          for (seam::Event& event : workers_->take_results()) deliver(std::move(event));
        });
      }});
}

void Runner::Impl::start_state_writer() {
  if (!options_.state_folder) return;
  state_writer_.emplace(*options_.state_folder, [this] { asio::post(loop_, [this] { tell_state_troubles(); }); });
}

void Runner::Impl::tell_state_troubles() {
  for (std::string& trouble : state_writer_->take_troubles()) {
    tell(seam::NoteTrace{.level = seam::NoteTrace::Level::warning, .text = std::move(trouble)});
  }
}

void Runner::Impl::catch_signals() {
  ErrorCode error;
  const auto is_caught = [&](int number) { return !signals_.add(number, error); };
  struct sigaction hangup{};
  const bool outlives_its_terminal = ::sigaction(SIGHUP, nullptr, &hangup) == 0 && hangup.sa_handler == SIG_IGN;
  if (!is_caught(SIGINT) || !is_caught(SIGTERM) || (!outlives_its_terminal && !is_caught(SIGHUP))) {
    note("cannot catch signals: " + error.message());
  }
  wait_for_signal();
}

void Runner::Impl::wait_for_signal() {
  signals_.async_wait([this](const ErrorCode& error, int number) {
    if (error) return;
    wait_for_signal();
    // A terminal that is closed may say so twice, itself and by its shell: that is no hurry, and once is enough.
    if (number == SIGHUP) std::signal(SIGHUP, SIG_IGN);
    if (number != SIGHUP || !was_stop_requested_) on_stop();
  });
}

void Runner::Impl::on_stop() {
  if (!std::exchange(was_stop_requested_, true)) return deliver(seam::StopRequested{});
  is_hurried_ = true;
  end({.result = seam::Finish::Result::interrupted, .message = "interrupted", .missing = {}, .path = {}});
}

void Runner::Impl::end(seam::Finish finish) {
  if (!finish_) finish_ = std::move(finish);
  loop_.stop();
}

void Runner::Impl::close_everything() {
  loop_.restart();
  events_.clear();
  timer_.cancel();
  tick_timer_.cancel();
  listener_.close();
  datagrams_.close_all();
  connections_.close_all();
  http_.cancel_all();
  names_.stop();
  while (!http_.is_quiet()) loop_.run_one();
  while (!connections_.is_quiet() && !is_hurried_) loop_.run_one();
  connections_.close_now();
  // A job under way may take long: from here on a signal ends the program at once, which harms no stored piece.
  ErrorCode error;
  if (signals_.clear(error)) note("cannot let go of signals: " + error.message());
  workers_->stop();
  if (state_writer_) {
    state_writer_->stop();
    tell_state_troubles();
  }
}

seam::ReadTargets Runner::Impl::next_read(seam::ConnId conn) {
  const seam::ReadTargets targets = machine_->next_read(conn);
  if (targets.size_bytes() == 0 && !finish_) update_timer();  // it may wait for a time
  return targets;
}

void Runner::Impl::deliver(seam::Event&& event) {
  if (finish_) return;
  events_.push_back(std::move(event));
  if (!is_settling_) settle();
}

void Runner::Impl::settle() {
  is_settling_ = true;
  while (!events_.empty() && !finish_) {
    seam::Event event = std::move(events_.front());
    events_.pop_front();
    // Something was sent since: that will be told when it has left, too.
    const auto* drained = std::get_if<seam::OutputDrained>(&event);
    if (drained != nullptr && !connections_.is_drained(drained->conn)) continue;
    machine_->on_event(std::move(event), now());
    carry_out_actions();
  }
  is_settling_ = false;
  if (!finish_) update_timer();
}

void Runner::Impl::carry_out_actions() {
  while (true) {
    seam::Actions actions = machine_->take_actions();
    if (actions.empty()) return;
    for (seam::Action& action : actions) {
      std::visit([this](auto& wanted) { carry_out(wanted); }, action);
      if (finish_) return;
    }
  }
}

void Runner::Impl::tick() {
  tick_timer_.expires_after(kTickEvery);
  tick_timer_.async_wait([this](const ErrorCode& error) {
    if (error || finish_) return;
    options_.on_tick(now());
    tick();
  });
}

void Runner::Impl::update_timer() {
  const std::optional<base::Instant> deadline = machine_->next_deadline();
  // One that is set too early finds out when it fires: deadlines move away all the time, and setting costs.
  if (!deadline || (timer_set_for_ && *timer_set_for_ <= *deadline)) return;
  const base::Instant time = now();
  timer_set_for_ = std::min(*deadline, time + kTimerMax);
  timer_.expires_at(started_ + timer_set_for_->time_since_epoch());
  timer_.async_wait([this](const ErrorCode& error) {
    if (error || finish_) return;
    timer_set_for_.reset();
    const std::optional<base::Instant> due = machine_->next_deadline();
    if (due && *due <= now()) return deliver(seam::DeadlineReached{});
    update_timer();
  });
}

void Runner::Impl::carry_out(seam::Send& action) {
  OutgoingMessage message;
  message.head = std::move(action.bytes);
  connections_.send(action.conn, std::move(message));
}

void Runner::Impl::carry_out(seam::SendPiece& action) {
  SHOAL_CHECK(action.piece != nullptr);
  const std::uint64_t piece_bytes = action.piece->size_bytes();
  SHOAL_CHECK(action.offset_bytes <= piece_bytes);
  const std::uint64_t count = action.count_bytes.value_or(piece_bytes - action.offset_bytes);
  SHOAL_CHECK(count <= piece_bytes - action.offset_bytes);
  connections_.send(action.conn, {.head = std::move(action.header),
                                  .piece = std::move(action.piece),
                                  .piece_offset = action.offset_bytes,
                                  .piece_bytes = count,
                                  .padding_bytes = action.padding_bytes});
}

void Runner::Impl::carry_out(seam::Close& action) {
  std::erase_if(events_, [&action](const seam::Event& event) { return is_about(event, action.conn); });
  connections_.close(action.conn);
}

void Runner::Impl::carry_out(seam::LookUpPiece& action) {
  SHOAL_CHECK(options_.library != nullptr);
  if (auto piece = options_.library->look_up_verified(action.hash)) {
    return deliver(seam::PieceLookedUp{.lookup = action.lookup, .piece = std::move(*piece)});
  }
  workers_->look_up(action);
}

void Runner::Impl::carry_out(seam::CancelFetch& action) {
  std::erase_if(events_, [&action](const seam::Event& event) { return is_about(event, action.fetch); });
  http_.cancel(action.fetch);
}

void Runner::Impl::carry_out(seam::Resolve& action) {
  if (const auto dotted = base::Ipv4Address::parse(action.host)) {
    return deliver(seam::NameResolved{.resolve = action.resolve, .addresses = {*dotted}});
  }
  names_.look_up(action.host, [this, resolve = action.resolve](const IpAddresses& found) {
    seam::NameResolved resolved{.resolve = resolve, .addresses = {}};
    for (const asio::ip::address& address : found) {
      if (address.is_v4()) resolved.addresses.push_back({address.to_v4().to_uint()});
    }
    deliver(std::move(resolved));
  });
}

void Runner::Impl::carry_out(seam::SaveState& action) {
  if (state_writer_) state_writer_->save(action.name, std::move(action.bytes));
}

Runner::Runner(RunnerOptions options) noexcept : impl_(std::make_unique<Impl>(std::move(options))) {}
Runner::~Runner() = default;

std::expected<base::Endpoint, NetFailure> Runner::listen_tcp(base::Endpoint local) {
  return impl_->listen_tcp(local);
}

std::expected<base::Endpoint, NetFailure> Runner::open_discovery_socket(base::Ipv4Address bind, std::uint16_t port) {
  return impl_->open_discovery_socket({.address = bind, .port = port});
}

std::expected<base::Endpoint, NetFailure> Runner::open_tracker_socket(base::Ipv4Address bind, std::uint16_t port) {
  return impl_->open_tracker_socket({.address = bind, .port = port});
}

seam::Finish Runner::run(seam::Machine& machine) {
  return impl_->run(machine);
}
void Runner::request_stop() {
  impl_->request_stop();
}

}  // namespace shoal::net
