#include "tracker/share_list.hpp"

#include <gtest/gtest.h>

#include <utility>

#include "unit/tracker/torrents.hpp"

namespace shoal::tracker {
namespace {

TEST(ShareList, FindsASharePublishedByNameAndByInfoHash) {
  ShareList shares;
  const auto published = shares.publish(torrent_file("disk.img"));
  ASSERT_TRUE(published);
  EXPECT_EQ(shares.find("disk.img"), *published);
  EXPECT_EQ(shares.find((*published)->torrent.info_hash.to_hex()), *published);
  EXPECT_EQ(shares.find("other"), nullptr);
}

TEST(ShareList, PublishingTheSameAgainChangesNothing) {
  ShareList shares;
  const auto first = shares.publish(torrent_file("disk.img"));
  const std::uint64_t changes = shares.changes();
  const auto second = shares.publish(torrent_file("disk.img"));
  ASSERT_TRUE(first && second);
  EXPECT_EQ(*first, *second);
  EXPECT_EQ(shares.changes(), changes);
  EXPECT_EQ(shares.all().size(), 1u);
}

TEST(ShareList, TheSameContentWithOtherTrackersAndWebSeedsTakesThePlaceOfTheOld) {
  ShareList shares;
  ASSERT_TRUE(shares.publish(torrent_file("disk.img", 4)));
  const auto first = shares.publish(torrent_file("disk.img", 3));
  ASSERT_TRUE(shares.publish(torrent_file("newest")));
  const std::uint64_t order = (*first)->order;
  metainfo::Torrent torrent = make_torrent("disk.img", 3);
  torrent.tracker_tiers = {{"http://tracker.example/announce"}};
  torrent.web_seeds = {"http://web.example/disk.img"};
  const base::Bytes file = metainfo::encode_torrent(torrent);
  const std::uint64_t changes = shares.changes();
  const auto second = shares.publish(file);
  ASSERT_TRUE(second);
  EXPECT_NE(shares.changes(), changes);
  EXPECT_EQ(*(*second)->torrent_file, file);
  EXPECT_EQ((*second)->torrent.web_seeds, torrent.web_seeds);
  EXPECT_EQ((*second)->torrent.tracker_tiers, torrent.tracker_tiers);
  EXPECT_EQ((*second)->name, "disk.img (2)");
  EXPECT_EQ((*second)->order, order);
  EXPECT_EQ(shares.all().size(), 3u);
  EXPECT_EQ(shares.newest()->name, "newest");
}

TEST(ShareList, WhoHasNoWebSeedTakesNoneAwayFromWhoHas) {
  ShareList shares;
  metainfo::Torrent torrent = make_torrent("disk.img");
  torrent.web_seeds = {"http://web.example/disk.img"};
  ASSERT_TRUE(shares.publish(metainfo::encode_torrent(torrent)));
  ASSERT_TRUE(shares.publish(torrent_file("disk.img")));
  EXPECT_EQ(shares.find("disk.img")->torrent.web_seeds, torrent.web_seeds);
}

TEST(ShareList, WhatTakesThePlaceOfTheOldNeedsRoomToo) {
  constexpr std::size_t kPart = kShareBytesMax / 4;
  ShareList shares;
  for (const std::string name : {"a", "b", "c"}) ASSERT_TRUE(shares.publish(commented_torrent_file(name, kPart)));
  ASSERT_TRUE(shares.publish(torrent_file("d")));
  EXPECT_FALSE(shares.publish(commented_torrent_file("d", kPart)));
  EXPECT_EQ(*shares.find("d")->torrent_file, torrent_file("d"));
  ASSERT_TRUE(shares.publish(torrent_file("a")));
  EXPECT_TRUE(shares.publish(commented_torrent_file("d", kPart)));
}

TEST(ShareList, ASecondContentOfTheSameNameGetsANameOfItsOwn) {
  ShareList shares;
  ASSERT_TRUE(shares.publish(torrent_file("disk.img", 3)));
  const auto second = shares.publish(torrent_file("disk.img", 4));
  ASSERT_TRUE(second);
  EXPECT_EQ((*second)->name, "disk.img (2)");
}

TEST(ShareList, RefusesWhatIsNoTorrentWithTheReason) {
  ShareList shares;
  const auto refused = shares.publish(base::view_of("hello"));
  ASSERT_FALSE(refused);
  EXPECT_FALSE(refused.error().empty());
}

TEST(ShareList, CourseClientsGetTheNewestFileThatFitsTheirProtocol) {
  ShareList shares;
  const auto nobody_has = [](const Share&) { return false; };
  EXPECT_EQ(shares.newest_for_course(nobody_has), nullptr);
  const auto first = shares.publish(torrent_file("first"));
  const auto second = shares.publish(torrent_file("second"));
  ASSERT_TRUE(shares.publish(torrent_file("folder", 3, true)));
  ASSERT_TRUE(shares.publish(torrent_file("too many pieces", 65'536)));
  ASSERT_TRUE(first && second);
  EXPECT_EQ(shares.newest_for_course(nobody_has), *second);
  EXPECT_EQ(shares.newest_for_course([&](const Share& share) { return &share == *first; }), *first)
      << "the newest that somebody has";
  EXPECT_EQ(shares.newest()->name, "too many pieces");
}

TEST(ShareList, RefusesMoreThanItsLimitAndTakesAgainAfterARemoval) {
  ShareList shares;
  for (std::size_t i = 0; i < kSharesMax; ++i) ASSERT_TRUE(shares.publish(torrent_file(std::to_string(i), 1)));
  EXPECT_FALSE(shares.publish(torrent_file("one more", 1)));
  EXPECT_TRUE(shares.remove("5"));
  EXPECT_FALSE(shares.remove("5"));
  EXPECT_TRUE(shares.publish(torrent_file("one more", 1)));
}

TEST(ShareList, WhatIsChosenToBeDroppedMakesRoomForWhatCanBePublished) {
  ShareList shares;
  const Share* dropped = *shares.publish(torrent_file("0", 1));
  for (std::size_t i = 1; i < kSharesMax; ++i) ASSERT_TRUE(shares.publish(torrent_file(std::to_string(i), 1)));
  const auto choose = [&] { return std::exchange(dropped, nullptr); };
  EXPECT_FALSE(shares.publish(base::view_of("no torrent"), choose));
  EXPECT_TRUE(shares.publish(torrent_file("1", 1), choose)) << "it is there";
  EXPECT_NE(shares.find("0"), nullptr);
  EXPECT_TRUE(shares.publish(torrent_file("one more", 1), choose));
  EXPECT_EQ(shares.find("0"), nullptr);
  EXPECT_FALSE(shares.publish(torrent_file("and one more", 1), choose)) << "none was chosen";
}

TEST(ShareList, AShareKeepsTheNameItWasGiven) {
  ShareList before;
  ASSERT_TRUE(before.publish(torrent_file("disk.img", 3)));
  ASSERT_TRUE(before.publish(torrent_file("disk.img", 4)));
  ASSERT_TRUE(before.remove("disk.img"));
  ShareList after;
  EXPECT_TRUE(after.restore(before.save()));
  EXPECT_NE(after.find("disk.img (2)"), nullptr);
  EXPECT_EQ(after.find("disk.img"), nullptr);
}

TEST(ShareList, NoNameStandsBeforeAnInfoHash) {
  ShareList shares;
  const auto wanted = shares.publish(torrent_file("disk.img"));
  ASSERT_TRUE(wanted);
  const std::string hex = (*wanted)->torrent.info_hash.to_hex();
  ASSERT_TRUE(shares.publish(torrent_file(hex)));
  EXPECT_EQ(shares.find(hex), *wanted);
}

TEST(ShareList, WhatWasSavedFitsAFileOfSavedState) {
  constexpr std::uint64_t kStateBytesMax = 256u << 20;  // of net/state_folder.hpp
  constexpr std::uint64_t kNameBytesMax = 300;
  static_assert(kShareBytesMax + kSharesMax * kNameBytesMax < kStateBytesMax);
}

TEST(ShareList, SurvivesARestartInItsOrder) {
  ShareList before;
  ASSERT_TRUE(before.publish(torrent_file("first")));
  ASSERT_TRUE(before.publish(torrent_file("second")));
  ShareList after;
  EXPECT_TRUE(after.restore(before.save()));
  ASSERT_EQ(after.all().size(), 2u);
  EXPECT_EQ(after.newest()->name, "second");
  ShareList spoilt;
  const base::Bytes saved = before.save();
  EXPECT_FALSE(spoilt.restore(base::ByteView(saved).first(saved.size() - 1)));
  EXPECT_TRUE(spoilt.all().empty());
}

}  // namespace
}  // namespace shoal::tracker
