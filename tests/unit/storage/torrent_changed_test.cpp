// Files that somebody else cuts, removes or makes longer while they are downloaded.
#include "unit/storage/torrent_fixture.hpp"

namespace shoal::storage::testing {
namespace {

namespace fs = std::filesystem;
using seam::StoreErrorKind;
using Indices = std::vector<std::uint32_t>;

class TorrentChangedTest : public TorrentStoreFixture {
 protected:
  TorrentChangedTest() { share_.file({"big"}, 400'000).file({"small"}, 30'000).cut(); }
  [[nodiscard]] fs::path part(std::string_view file) const { return in(".share.shoal-part") / file; }
  template <typename Result>
  static void expect_changed(const Result& result, std::string_view how) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().kind, StoreErrorKind::failed);
    for (const std::string_view word : {how, std::string_view("run the command again")}) {
      EXPECT_NE(result.error().message.find(word), std::string::npos) << result.error().message;
    }
  }
  void finish_with(const Indices& held) const {
    const auto store = make_store();
    ASSERT_EQ(open_indices(*store, share_.manifest), held);
    Indices missing;
    std::ranges::set_difference(share_.all_pieces(), held, std::back_inserter(missing));
    put_pieces(*store, share_, missing);
    const auto path = store->finish();
    ASSERT_TRUE(path) << path.error().message;
    expect_files(share_, {0, 1});
  }
  [[nodiscard]] Indices all_but(const Indices& missing) const {
    Indices held;
    std::ranges::set_difference(share_.all_pieces(), missing, std::back_inserter(held));
    return held;
  }

  TorrentShare share_{10'000};  // pieces 0-39 big, 40-42 small
};

TEST_F(TorrentChangedTest, SaysAtTheNextWriteThatAFileWasCutShort) {
  {
    const auto store = make_store();
    open_indices(*store, share_.manifest);
    put_pieces(*store, share_, {0, 1, 30, 41});
    fs::resize_file(part("big"), 15'000);
    expect_changed(try_put(*store, share_, 2), "big was cut short");
    expect_changed(try_put(*store, share_, 3), "big was cut short");
  }
  finish_with({0, 41});
}

TEST_F(TorrentChangedTest, SaysAtTheNextWriteThatAFileWasRemoved) {
  {
    const auto store = make_store();
    open_indices(*store, share_.manifest);
    put_pieces(*store, share_, {0, 1, 41});
    fs::remove(part("big"));
    expect_changed(try_put(*store, share_, 2), "big was removed");
  }
  finish_with({41});
}

TEST_F(TorrentChangedTest, DoesNotFinishWithAFileThatWasCutAfterItsLastPiece) {
  {
    const auto store = make_store();
    open_indices(*store, share_.manifest);
    put_pieces(*store, share_, share_.all_pieces());
    fs::resize_file(part("small"), 15'000);
    expect_changed(store->finish(), "small was changed");
  }
  EXPECT_FALSE(fs::exists(in("share")));
  finish_with(all_but({41, 42}));
}

TEST_F(TorrentChangedTest, DoesNotFinishWithAFileThatWasRemovedAfterItsLastPiece) {
  {
    const auto store = make_store();
    open_indices(*store, share_.manifest);
    put_pieces(*store, share_, share_.all_pieces());
    fs::remove(part("small"));
    expect_changed(store->finish(), "small was removed");
  }
  finish_with(all_but({40, 41, 42}));
}

TEST_F(TorrentChangedTest, LeavesNothingBehindWhenNothingOfItIsThere) {
  for (const bool is_removed : {false, true}) {
    {
      const auto store = make_store();
      open_indices(*store, share_.manifest);
      if (is_removed) {
        put_pieces(*store, share_, {0, 1});
        fs::remove_all(in(".share.shoal-part"));
      }
    }
    EXPECT_EQ(names_in(folder_.path()), std::vector<std::string>{}) << is_removed;
  }
}

TEST_F(TorrentChangedTest, CutsOffWhatIsBehindTheEnd) {
  const auto store = make_store();
  open_indices(*store, share_.manifest);
  put_pieces(*store, share_, share_.all_pieces());
  fs::resize_file(part("small"), 50'000);
  const auto path = store->finish();
  ASSERT_TRUE(path) << path.error().message;
  expect_files(share_, {0, 1});
}

TEST_F(TorrentChangedTest, BelievesNoClaimBehindTheEndOfAFile) {
  leave_behind(share_, {0, 1, 20, 41});
  // As a kill leaves it: no word of what the file's size was, and no time that would give the cut away.
  std::string text = journal();
  for (const std::string_view word : {"\nfile 0 ", "\nsynced ", "\nclosed"}) {
    const std::size_t at = text.find(word) + 1;
    text.replace(at, 1, "x");
  }
  const auto modified = fs::last_write_time(in(".share.shoal-journal"));
  write_file(in(".share.shoal-journal"), text);
  fs::last_write_time(in(".share.shoal-journal"), modified);
  fs::resize_file(part("big"), 100'000);
  fs::last_write_time(part("big"), modified);
  finish_with({0, 1, 41});
}

}  // namespace
}  // namespace shoal::storage::testing
