#include "storage/streaming_store.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <thread>

#include "unit/storage/torrent_fixture.hpp"

namespace shoal::storage::testing {
namespace {

// The two ends of a pipe, of which the store has the one that blocks.
class StreamingStoreTest : public TorrentStoreFixture {
 protected:
  StreamingStoreTest() {
    share_.file({"share"}, 1'000'000).cut();
    share_.manifest.layout->is_folder = false;
    int ends[2] = {-1, -1};
    if (::pipe2(ends, O_CLOEXEC) != 0) std::abort();
    out_ = UniqueFd(ends[0]);
    in_ = UniqueFd(ends[1]);
  }
  [[nodiscard]] std::unique_ptr<TorrentStore> make_nameless() const {
    return TorrentStore::download(
        {.folder = folder_.path(), .name = {}, .info_hash = {}, .selected = {}, .is_nameless = true});
  }
  // False when nothing comes.
  [[nodiscard]] bool wait_for_bytes() const {
    pollfd waits{.fd = out_.get(), .events = POLLIN, .revents = 0};
    return ::poll(&waits, 1, 20'000) == 1;
  }
  // What is there until the writing end is closed.
  [[nodiscard]] base::Bytes read_to_the_end() const {
    base::Bytes all;
    base::Bytes some(1000);
    for (ssize_t count = 1; count > 0;) {
      count = ::read(out_.get(), some.data(), some.size());
      if (count > 0) all.insert(all.end(), some.begin(), some.begin() + count);
    }
    return all;
  }

  TorrentShare share_{100'000};  // pieces 0-9
  UniqueFd out_;
  UniqueFd in_;
};

TEST_F(StreamingStoreTest, WritesPiecesInOrderToAReaderThatTakesItsTime) {
  base::Bytes got;
  std::jthread reader([&] { got = read_to_the_end(); });
  const auto inner = make_nameless();
  {
    StreamingStore store(*inner, in_.get());
    open_indices(store, share_.manifest);
    put_pieces(store, share_, {3, 1, 0, 2, 9, 8, 7, 6, 5, 4});
    EXPECT_TRUE(store.finish());
  }
  in_ = UniqueFd();
  reader.join();
  EXPECT_TRUE(got == share_.content);
}

TEST_F(StreamingStoreTest, WaitsForAReaderOnlyAsLongAsItMay) {
  const auto inner = make_nameless();
  StreamingStore store(*inner, in_.get());
  open_indices(store, share_.manifest);
  StoreResult<bool> stored = true;
  std::jthread writer([&] { stored = try_put(store, share_, 0); });  // more than a pipe holds
  EXPECT_TRUE(wait_for_bytes());
  store.stop_waiting();
  writer.join();
  ASSERT_FALSE(stored);
  EXPECT_NE(stored.error().message.find("standard output"), std::string::npos) << stored.error().message;
}

TEST_F(StreamingStoreTest, LeavesThePipeBlockingForOthers) {
  const auto inner = make_nameless();
  const StreamingStore store(*inner, in_.get());
  EXPECT_EQ(::fcntl(in_.get(), F_GETFL) & O_NONBLOCK, 0);
}

TEST_F(StreamingStoreTest, AppendsToAFileWhatFollowsWhatIsThere) {
  write_file(in("result"), std::string_view("before"));
  const UniqueFd file(::open(in("result").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  const auto inner = make_nameless();
  StreamingStore store(*inner, file.get());
  open_indices(store, share_.manifest);
  put_pieces(store, share_, share_.all_pieces());
  EXPECT_TRUE(store.finish());
  EXPECT_EQ(read_file(in("result"))->size(), 6 + share_.content.size());
}

}  // namespace
}  // namespace shoal::storage::testing
