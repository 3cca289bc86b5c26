#include "storage/streaming_store.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <iterator>
#include <limits>
#include <utility>

#include "storage/files.hpp"

namespace shoal::storage {
namespace {

std::unexpected<seam::StoreError> failed(std::string what) {
  return std::unexpected(seam::StoreError{.kind = seam::StoreErrorKind::failed, .message = std::move(what)});
}

// Whoever else has the pipe may count on it to block; opened anew it is not the same to them.
UniqueFd open_own_pipe(int stream) {
  struct stat status{};
  if (::fstat(stream, &status) != 0 || !S_ISFIFO(status.st_mode)) return {};
  const std::string path = "/proc/self/fd/" + std::to_string(stream);
  return UniqueFd(::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
}

std::size_t room_of(int stream) {
  struct stat status{};
  const int flags = ::fcntl(stream, F_GETFL);
  const bool never_waits =
      (flags >= 0 && (flags & O_NONBLOCK) != 0) || (::fstat(stream, &status) == 0 && S_ISREG(status.st_mode));
  return never_waits ? std::numeric_limits<std::size_t>::max() : PIPE_BUF;
}

}  // namespace

StreamingStore::StreamingStore(TorrentStore& inner, int stream)
    : inner_(inner),
      own_pipe_(open_own_pipe(stream)),
      stream_(own_pipe_.is_open() ? own_pipe_.get() : stream),
      room_bytes_(room_of(stream_)),
      stop_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

StoreResult<std::vector<seam::HeldPiece>> StreamingStore::open(const metainfo::Manifest& manifest) {
  if (!manifest.layout || manifest.layout->is_folder) {
    return std::unexpected(seam::StoreError{.kind = seam::StoreErrorKind::unfit,
                                            .message = manifest.name +
                                                       " is a folder, and --stdout writes one file; get it without "
                                                       "--stdout, then for example `tar c` it"});
  }
  auto held = inner_.open(manifest);
  if (!held) return held;
  const std::scoped_lock lock(mutex_);
  manifest_ = manifest;
  for (const seam::HeldPiece& one : *held) {
    if (one.piece.value >= next_) verified_.insert(one.piece);
  }
  if (const auto written = write_what_is_next(); !written) return std::unexpected(written.error());
  return held;
}

StoreResult<void> StreamingStore::begin(seam::WriteId write, std::vector<base::PieceIndex> places,
                                        std::uint64_t size_bytes) {
  {
    const std::scoped_lock lock(mutex_);
    places_[write] = places;
  }
  return inner_.begin(write, std::move(places), size_bytes);
}

StoreResult<void> StreamingStore::put(seam::WriteId write, std::uint64_t offset_bytes, base::ByteView bytes) {
  return inner_.put(write, offset_bytes, bytes);
}

StoreResult<bool> StreamingStore::complete(seam::WriteId write) {
  auto is_right = inner_.complete(write);
  const std::scoped_lock lock(mutex_);
  const auto found = places_.find(write);
  if (found == places_.end()) return is_right;
  const std::vector<base::PieceIndex> places = std::move(found->second);
  places_.erase(found);
  if (!is_right || !*is_right) return is_right;
  verified_.insert(places.begin(), places.end());
  if (const auto written = write_what_is_next(); !written) return std::unexpected(written.error());
  return is_right;
}

void StreamingStore::abandon(seam::WriteId write) {
  {
    const std::scoped_lock lock(mutex_);
    places_.erase(write);
  }
  inner_.abandon(write);
}

StoreResult<std::string> StreamingStore::finish() {
  {
    const std::scoped_lock lock(mutex_);
    if (const auto written = write_what_is_next(); !written) return std::unexpected(written.error());
    if (next_ != manifest_.piece_count()) return failed(manifest_.name + ": not everything could be written");
  }
  return inner_.finish();
}

StoreResult<void> StreamingStore::write_what_is_next() {
  while (!verified_.empty() && verified_.begin()->value == next_) {
    if (const auto written = write_piece(*verified_.begin()); !written) return written;
    verified_.erase(verified_.begin());
    ++next_;
  }
  return {};
}

StoreResult<void> StreamingStore::write_piece(base::PieceIndex piece) {
  const seam::ReadablePiecePtr content = inner_.look_up(manifest_.hash_of(piece));
  if (content == nullptr) return failed(manifest_.name + ": a verified piece cannot be read back");
  std::vector<std::byte> buffer(kReadBytes);
  for (std::uint64_t offset = 0; offset < content->size_bytes();) {
    const std::size_t wanted = std::min<std::uint64_t>(buffer.size(), content->size_bytes() - offset);
    const std::size_t count = content->read_at(offset, std::span(buffer).first(wanted));
    if (count == 0) return failed(manifest_.name + ": a verified piece cannot be read back");
    if (auto written = write_out(base::ByteView(buffer).first(count)); !written) return written;
    offset += count;
  }
  return {};
}

StoreResult<void> StreamingStore::write_out(base::ByteView bytes) {
  const auto is_passing = [] { return errno == EINTR || errno == EAGAIN; };
  while (!bytes.empty()) {
    pollfd waits[] = {{.fd = stream_, .events = POLLOUT, .revents = 0},
                      {.fd = stop_.get(), .events = POLLIN, .revents = 0}};
    if (::poll(waits, std::size(waits), -1) < 0) {
      if (is_passing()) continue;
      return failed(std::string("standard output: ") + std::strerror(errno));
    }
    if (waits[1].revents != 0) return failed("standard output: nobody has read it until the end");
    const ssize_t written = ::write(stream_, bytes.data(), std::min(bytes.size(), room_bytes_));
    if (written < 0 && !is_passing()) return failed(std::string("standard output: ") + std::strerror(errno));
    if (written > 0) bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

void StreamingStore::stop_waiting() {
  (void)::eventfd_write(stop_.get(), 1);
}

}  // namespace shoal::storage
