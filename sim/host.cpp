#include "sim/host.hpp"

#include <algorithm>
#include <utility>

#include "base/check.hpp"

namespace shoal::sim {

namespace {

constexpr base::Duration kNameServerDelay = std::chrono::milliseconds(5);

}  // namespace

SimHost::SimHost(EventQueue& queue, Network& network, HostOptions options, base::Rng rng)
    : queue_(queue),
      network_(network),
      options_(options),
      rng_(std::move(rng)),
      http_fetches_(queue, network, options.address, [this](seam::Event event) { give(std::move(event)); }) {
  network_.add_host(options_.address, options_.link, this);
}

SimHost::~SimHost() = default;

void SimHost::boot(std::unique_ptr<seam::Machine> machine) {
  ++life_;
  machine_ = std::move(machine);
  finish_.reset();
  store_broken_ = false;
  disk_free_ = queue_.now();
  wake_at_.reset();
  wakes_at_once_ = 0;
  network_.set_up(options_.address, true);
  is_draining_ = true;
  machine_->start(queue_.now());
  is_draining_ = false;
  drain();
}

void SimHost::crash() {
  ++life_;
  machine_.reset();
  connections_.clear();
  conns_.clear();
  sockets_.clear();
  http_fetches_.forget_all();
  web_fetches_.clear();
  network_.set_up(options_.address, false);
}

void SimHost::bind(seam::SocketId socket, std::uint16_t port) {
  network_.bind_datagram({options_.address, port});
  sockets_[socket] = {options_.address, port};
}

base::Bytes SimHost::saved_state(const std::string& name) const {
  const auto found = saved_.find(name);
  return found == saved_.end() ? base::Bytes{} : found->second;
}

void SimHost::give(seam::Event event) {
  if (!is_running()) return;
  // The network and the disk answer through the queue, never from inside an action.
  SHOAL_CHECK(!is_draining_);
  is_draining_ = true;
  machine_->on_event(std::move(event), queue_.now());
  is_draining_ = false;
  drain();
}

void SimHost::drain() {
  while (is_running()) {
    seam::Actions actions = machine_->take_actions();
    if (actions.empty()) break;
    for (seam::Action& action : actions) {
      if (finish_) return;
      std::visit([this](auto& concrete) { carry_out(concrete); }, action);
    }
  }
  if (is_running()) schedule_deadline();
}

void SimHost::schedule_deadline() {
  const std::optional<base::Instant> deadline = machine_->next_deadline();
  if (!deadline || (wake_at_ && *wake_at_ <= *deadline)) return;
  wake_at_ = std::max(*deadline, queue_.now());
  queue_.at(*wake_at_, [this, life = life_, when = *wake_at_] { wake(life, when); });
}

void SimHost::wake(std::uint64_t life, base::Instant when) {
  if (life != life_ || !is_running() || wake_at_ != when) return;
  wake_at_.reset();
  const std::optional<base::Instant> due = machine_->next_deadline();
  if (!due || *due > queue_.now()) return schedule_deadline();
  wakes_at_once_ = when == last_wake_ ? wakes_at_once_ + 1 : 0;
  last_wake_ = when;
  if (!is_spinning()) give(seam::DeadlineReached{});
}

std::optional<seam::ConnId> SimHost::conn_of(EndId end) const {
  const auto found = conns_.find(end);
  if (found == conns_.end()) return std::nullopt;
  return found->second;
}

EndId SimHost::end_of(seam::ConnId conn) const {
  const auto found = connections_.find(conn);
  return found == connections_.end() ? EndId{} : found->second.end;
}

void SimHost::forget(seam::ConnId conn) {
  const auto found = connections_.find(conn);
  if (found == connections_.end()) return;
  conns_.erase(found->second.end);
  connections_.erase(found);
}

void SimHost::on_accepted(EndId end, base::Endpoint local, base::Endpoint remote) {
  if (!is_running()) return;
  const seam::ConnId conn{next_accepted_};
  next_accepted_ += 2;
  connections_[conn] = {.end = end};
  conns_[end] = conn;
  give(seam::Accepted{conn, local, remote});
}

void SimHost::on_connected(EndId end, base::Endpoint local, base::Endpoint remote) {
  if (http_fetches_.on_connected(end)) return;
  if (const auto conn = conn_of(end)) give(seam::Connected{*conn, local, remote});
}

void SimHost::on_connect_failed(EndId end, seam::NetError error) {
  if (http_fetches_.on_connect_failed(end)) return;
  const auto conn = conn_of(end);
  if (!conn) return;
  forget(*conn);
  give(seam::ConnectFailed{*conn, error});
}

void SimHost::on_readable(EndId end) {
  if (http_fetches_.on_readable(end)) return;
  if (const auto conn = conn_of(end)) schedule_read(*conn);
}

void SimHost::on_writable(EndId end) {
  if (const auto conn = conn_of(end)) give(seam::OutputDrained{*conn});
}

void SimHost::on_lost(EndId end) {
  if (http_fetches_.on_lost(end)) return;
  const auto conn = conn_of(end);
  if (!conn) return;
  forget(*conn);
  give(seam::ConnectionLost{*conn, seam::NetError::reset});
}

void SimHost::on_datagram(base::Endpoint to, base::Endpoint from, base::Bytes bytes) {
  const auto found = std::ranges::find_if(sockets_, [to](const auto& entry) { return entry.second == to; });
  if (found == sockets_.end()) return;
  give(seam::DatagramArrived{found->first, from, options_.address, std::move(bytes)});
}

void SimHost::schedule_read(seam::ConnId conn) {
  Connection& connection = connections_.at(conn);
  if (connection.read_scheduled) return;
  connection.read_scheduled = true;
  queue_.at(queue_.now(), [this, conn, life = life_] {
    if (life == life_) read(conn);
  });
}

void SimHost::read(seam::ConnId conn) {
  const auto found = connections_.find(conn);
  if (found == connections_.end() || !is_running()) return;
  found->second.read_scheduled = false;
  const EndId end = found->second.end;
  if (network_.readable_bytes(end) == 0) {
    if (network_.is_input_ended(end) && !found->second.input_ended) {
      found->second.input_ended = true;
      give(seam::InputEnded{conn});
    }
    return;
  }
  const seam::ReadTargets targets = machine_->next_read(conn);
  std::size_t limit = targets.size_bytes();
  if (limit == 0) return schedule_deadline();  // until ResumeReading, for which it may want to be woken
  if (options_.splits_reads && rng_.chance(0.3)) limit = 1 + rng_.below(limit);
  std::size_t count = 0;
  for (const std::span<std::byte> target : targets.spans) {
    const std::span<std::byte> part = target.first(std::min(target.size(), limit - count));
    const std::size_t taken = network_.read(end, part);
    count += taken;
    if (taken < part.size()) break;
  }
  SHOAL_CHECK(count > 0);
  give(seam::BytesArrived{conn, count});
  if (connections_.contains(conn)) schedule_read(conn);
}

void SimHost::on_disk(std::uint64_t bytes, std::function<void()> work) {
  const auto duration = base::from_seconds(static_cast<double>(bytes) / options_.disk_bytes_per_s);
  disk_free_ = std::max(disk_free_, queue_.now()) + duration;
  queue_.at(disk_free_, [this, life = life_, work = std::move(work)] {
    if (life == life_ && is_running()) work();
  });
}

void SimHost::store_failed(const seam::StoreError& error) {
  if (std::exchange(store_broken_, true)) return;
  give(seam::StoreFailed{error});
}

void SimHost::carry_out(seam::Dial& action) {
  const EndId end = network_.dial(options_.address, action.remote);
  connections_[action.conn] = {.end = end};
  conns_[end] = action.conn;
}

void SimHost::carry_out(seam::Send& action) {
  network_.write(end_of(action.conn), std::move(action.bytes));
}

void SimHost::carry_out(seam::SendPiece& action) {
  base::Bytes message = std::move(action.header);
  const std::size_t head = message.size();
  const std::uint64_t count = action.count_bytes.value_or(action.piece->size_bytes() - action.offset_bytes);
  SHOAL_CHECK(action.offset_bytes + count <= action.piece->size_bytes());
  message.resize(head + count + action.padding_bytes);
  action.piece->read_at(action.offset_bytes, std::span(message).subspan(head, count));
  network_.write(end_of(action.conn), std::move(message));
}

void SimHost::carry_out(seam::ShutdownSend& action) {
  network_.shutdown_send(end_of(action.conn));
}

void SimHost::carry_out(seam::Close& action) {
  network_.close(end_of(action.conn));
  forget(action.conn);
}

void SimHost::carry_out(seam::ResumeReading& action) {
  if (connections_.contains(action.conn)) schedule_read(action.conn);
}

void SimHost::carry_out(seam::OpenDatagram& action) {
  if (!action.group) return bind(action.socket, next_datagram_port_++);
  if (action.local.is_loopback()) return;
  network_.join_group(options_.address, *action.group);
  sockets_[action.socket] = *action.group;
}

void SimHost::carry_out(seam::SendDatagram& action) {
  const auto found = sockets_.find(action.socket);
  if (found == sockets_.end()) return;
  network_.send_datagram({options_.address, found->second.port}, action.to, std::move(action.bytes));
}

void SimHost::carry_out(seam::CloseDatagram& action) {
  sockets_.erase(action.socket);
}

void SimHost::carry_out(seam::OpenStore& action) {
  SHOAL_CHECK(store != nullptr);
  on_disk(0, [this, manifest = std::move(action.manifest)] {
    store_broken_ = false;
    auto held = store->open(manifest);
    if (!held) return store_failed(held.error());
    give(seam::StoreOpened{*held});
  });
}

void SimHost::carry_out(seam::BeginPiece& action) {
  on_disk(0, [this, action = std::move(action)] {
    if (store_broken_) return;
    if (auto begun = store->begin(action.write, action.places, action.size_bytes); !begun) store_failed(begun.error());
  });
}

void SimHost::carry_out(seam::StoreBlock& action) {
  const std::size_t count = action.count;
  auto shared = std::make_shared<seam::StoreBlock>(std::move(action));
  on_disk(count, [this, shared] {
    storage::StoreResult<void> stored;
    if (!store_broken_)
      stored = store->put(shared->write, shared->offset_bytes, shared->buffer.bytes().first(shared->count));
    give(seam::BlockStored{shared->write, std::move(shared->buffer)});
    if (!stored) store_failed(stored.error());
  });
}

void SimHost::carry_out(seam::CompletePiece& action) {
  on_disk(0, [this, write = action.write] {
    if (store_broken_) return;
    const auto completed = store->complete(write);
    if (!completed) return store_failed(completed.error());
    if (*completed) {
      give(seam::PieceVerified{write});
    } else {
      give(seam::PieceMismatched{write});
    }
  });
}

void SimHost::carry_out(seam::AbandonPiece& action) {
  on_disk(0, [this, write = action.write] {
    if (!store_broken_) store->abandon(write);
  });
}

void SimHost::carry_out(seam::FinishStore&) {
  on_disk(0, [this] {
    if (store_broken_) return;
    const auto finished = store->finish();
    if (!finished) return store_failed(finished.error());
    give(seam::StoreFinished{*finished});
  });
}

void SimHost::carry_out(seam::LookUpPiece& action) {
  on_disk(0, [this, lookup = action.lookup, hash = action.hash] {
    give(seam::PieceLookedUp{lookup, library != nullptr ? library->look_up(hash) : nullptr});
  });
}

void SimHost::carry_out(seam::Fetch& action) {
  if (std::optional<WebReply> reply = web != nullptr ? web->answer(action) : std::nullopt) {
    return answer_fetch(action, std::move(*reply));
  }
  const std::optional<WebPlace> place = web_place_of(action.url);
  const auto addresses = place ? addresses_of(place->host) : std::vector<base::Ipv4Address>{};
  if (addresses.empty()) return answer_fetch(action, {.failure = "cannot fetch " + action.url + ": no such host"});
  http_fetches_.begin(action, *place, addresses.front());
}

void SimHost::answer_fetch(const seam::Fetch& fetch, WebReply reply) {
  const bool is_late = reply.is_silent || reply.delay > fetch.timeout;
  if (is_late) reply.failure = "cannot fetch " + fetch.url + ": no answer in time";
  web_fetches_.insert(fetch.fetch);
  queue_.after(is_late ? fetch.timeout : reply.delay,
               [this, life = life_, id = fetch.fetch, reply = std::move(reply)]() mutable {
                 if (life != life_ || web_fetches_.erase(id) == 0) return;
                 if (reply.failure) return give(seam::FetchFailed{id, *reply.failure});
                 give(seam::Fetched{id, reply.status, std::move(reply.body), reply.range});
               });
}

void SimHost::carry_out(seam::CancelFetch& action) {
  web_fetches_.erase(action.fetch);
  http_fetches_.cancel(action.fetch);
}

void SimHost::carry_out(seam::Resolve& action) {
  queue_.after(kNameServerDelay, [this, life = life_, resolve = action.resolve, addresses = addresses_of(action.host)] {
    if (life == life_) give(seam::NameResolved{resolve, addresses});
  });
}

std::vector<base::Ipv4Address> SimHost::addresses_of(const std::string& name) const {
  if (web != nullptr) return web->addresses_of(name);
  const auto dotted = base::Ipv4Address::parse(name);
  return dotted ? std::vector{*dotted} : std::vector<base::Ipv4Address>{};
}

void SimHost::carry_out(seam::SaveState& action) {
  // Not by on_disk(): what was saved before the end is kept though the machine is done.
  disk_free_ = std::max(disk_free_, queue_.now()) +
               base::from_seconds(static_cast<double>(action.bytes.size()) / options_.disk_bytes_per_s);
  queue_.at(disk_free_, [this, life = life_, name = action.name, bytes = std::move(action.bytes)] {
    if (life == life_) saved_[name] = bytes;
  });
}

void SimHost::carry_out(seam::Tell& action) {
  if (trace_listener) trace_listener(*this, action.trace);
}

void SimHost::carry_out(seam::Finish& action) {
  finish_ = std::move(action);
  finished_at_ = queue_.now();
  for (const auto& [conn, connection] : connections_) network_.close(connection.end);
  connections_.clear();
  conns_.clear();
  sockets_.clear();
  http_fetches_.close_all();
  web_fetches_.clear();
}

}  // namespace shoal::sim
