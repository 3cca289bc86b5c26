#include "net/state_writer.hpp"

#include <system_error>
#include <utility>

#include "base/check.hpp"
#include "net/state_folder.hpp"

namespace shoal::net {

StateWriter::StateWriter(std::filesystem::path folder, std::function<void()> on_trouble, base::Duration retry_every)
    : folder_(std::move(folder)), on_trouble_(std::move(on_trouble)), retry_every_(retry_every) {}

StateWriter::~StateWriter() {
  stop();
}

void StateWriter::save(const std::string& name, base::Bytes bytes) {
  SHOAL_CHECK(is_state_name(name));
  const Lock lock(mutex_);
  failed_.erase(name);
  waiting_.insert_or_assign(name, std::move(bytes));
  if (!thread_.joinable()) {
    try {
      thread_ = std::thread([this] { work(); });
    } catch (const std::system_error&) {
      return;  // stop() writes it
    }
  }
  work_arrived_.notify_one();
}

std::vector<std::string> StateWriter::take_troubles() {
  const Lock lock(mutex_);
  return std::exchange(troubles_, {});
}

void StateWriter::stop() {
  {
    const Lock lock(mutex_);
    is_stopping_ = true;
  }
  work_arrived_.notify_one();
  if (thread_.joinable()) thread_.join();
  Lock lock(mutex_);
  waiting_.merge(failed_);
  write_waiting(lock);
  failed_.clear();
}

void StateWriter::work() {
  Lock lock(mutex_);
  const auto is_awaited = [this] { return is_stopping_ || !waiting_.empty(); };
  while (!is_stopping_) {
    if (failed_.empty()) {
      work_arrived_.wait(lock, is_awaited);
    } else if (!work_arrived_.wait_until(lock, retry_at_, is_awaited) ||
               std::chrono::steady_clock::now() >= retry_at_) {
      waiting_.merge(failed_);
    }
    write_waiting(lock);
  }
}

void StateWriter::write_waiting(Lock& lock) {
  while (!waiting_.empty()) {
    auto next = waiting_.extract(waiting_.begin());
    lock.unlock();
    const std::expected<void, std::string> written = write_state(folder_, next.key(), next.mapped());
    lock.lock();
    const std::string trouble = written ? std::string() : written.error();
    const bool is_told = std::exchange(trouble_of_[next.key()], trouble) == trouble;
    if (!written && !waiting_.contains(next.key())) {
      if (failed_.empty()) retry_at_ = std::chrono::steady_clock::now() + retry_every_;
      failed_.insert(std::move(next));
    }
    if (is_told || trouble.empty()) continue;
    troubles_.push_back(trouble);
    on_trouble_();
  }
}

}  // namespace shoal::net
