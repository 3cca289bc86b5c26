#include "net/state_writer.hpp"

#include <system_error>
#include <utility>

#include "base/check.hpp"
#include "net/state_folder.hpp"

namespace shoal::net {

StateWriter::StateWriter(std::filesystem::path folder, std::function<void()> on_trouble)
    : folder_(std::move(folder)), on_trouble_(std::move(on_trouble)) {}

StateWriter::~StateWriter() {
  stop();
}

void StateWriter::save(const std::string& name, base::Bytes bytes) {
  SHOAL_CHECK(is_state_name(name));
  const Lock lock(mutex_);
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
  write_waiting(lock);
}

void StateWriter::work() {
  Lock lock(mutex_);
  while (!is_stopping_) {
    work_arrived_.wait(lock, [this] { return is_stopping_ || !waiting_.empty(); });
    write_waiting(lock);
  }
}

void StateWriter::write_waiting(Lock& lock) {
  while (!waiting_.empty()) {
    const auto next = waiting_.extract(waiting_.begin());
    lock.unlock();
    const std::expected<void, std::string> written = write_state(folder_, next.key(), next.mapped());
    lock.lock();
    const std::string trouble = written ? std::string() : written.error();
    if (std::exchange(trouble_of_[next.key()], trouble) == trouble || trouble.empty()) continue;
    troubles_.push_back(trouble);
    on_trouble_();
  }
}

}  // namespace shoal::net
