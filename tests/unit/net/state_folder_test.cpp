#include "net/state_folder.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <fstream>

#include "net/state_writer.hpp"
#include "unit/net/fake_machine.hpp"

namespace shoal::net {
namespace {

class StateFolder : public ::testing::Test {
 protected:
  StateFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "shoal-state-XXXXXX").string();
    top_ = ::mkdtemp(pattern.data());
  }
  ~StateFolder() override { std::filesystem::remove_all(top_); }

  [[nodiscard]] std::filesystem::path folder() const { return top_ / "new" / "folder"; }
  [[nodiscard]] std::string read(const std::string& name) const {
    const auto bytes = read_state(folder(), name);
    EXPECT_TRUE(bytes.has_value()) << bytes.error();
    return bytes && *bytes ? std::string(base::text_of(**bytes)) : "nothing";
  }

  std::filesystem::path top_;
};

TEST_F(StateFolder, GivesBackWhatWasWritten) {
  EXPECT_EQ(read("shares"), "nothing");
  EXPECT_TRUE(write_state(folder(), "shares", bytes_of("first")).has_value());
  EXPECT_TRUE(write_state(folder(), "swarms", bytes_of("")).has_value());
  EXPECT_EQ(read("shares"), "first");
  EXPECT_EQ(read("swarms"), "");
  EXPECT_TRUE(write_state(folder(), "shares", bytes_of("2")).has_value());
  EXPECT_EQ(read("shares"), "2");
}

TEST_F(StateFolder, KnowsHowOldAFileIs) {
  using std::chrono::hours;
  EXPECT_EQ(state_age(folder(), "shares"), base::Duration{}) << "there is none";
  ASSERT_TRUE(write_state(folder(), "shares", bytes_of("x")).has_value());
  EXPECT_LT(state_age(folder(), "shares"), hours(1));
  const auto written_at = [this](auto when) { std::filesystem::last_write_time(folder() / "shares", when); };
  written_at(std::chrono::file_clock::now() - hours(8));
  EXPECT_GE(state_age(folder(), "shares"), hours(8));
  EXPECT_LT(state_age(folder(), "shares"), hours(9));
  written_at(std::chrono::file_clock::now() + hours(8));
  EXPECT_EQ(state_age(folder(), "shares"), base::Duration{}) << "the clock was set back";
}

TEST_F(StateFolder, HoldsNothingButWhatWasWritten) {
  EXPECT_TRUE(write_state(folder(), "shares", bytes_of("x")).has_value());
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder())) names.push_back(entry.path().filename());
  EXPECT_EQ(names, std::vector<std::string>{"shares"});
}

TEST_F(StateFolder, IsNotForOtherUsersToRead) {
  EXPECT_TRUE(write_state(folder(), "shares", bytes_of("token")).has_value());
  EXPECT_EQ(std::filesystem::status(folder() / "shares").permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

TEST_F(StateFolder, KeepsTheOldFileWhenTheNewOneCannotBeWritten) {
  EXPECT_TRUE(write_state(folder(), "shares", bytes_of("old")).has_value());
  // Something is in the way of the temporary.
  std::filesystem::create_directory(folder() / ".shares.new");
  const auto written = write_state(folder(), "shares", bytes_of("new"));
  ASSERT_FALSE(written.has_value());
  EXPECT_NE(written.error().find("cannot write " + (folder() / ".shares.new").string()), std::string::npos);
  EXPECT_EQ(read("shares"), "old");
}

TEST_F(StateFolder, ReplacesWhatAnInterruptedWriteLeft) {
  std::filesystem::create_directories(folder());
  std::ofstream(folder() / ".shares.new") << "half of someth";
  EXPECT_EQ(read("shares"), "nothing");
  EXPECT_TRUE(write_state(folder(), "shares", bytes_of("new")).has_value());
  EXPECT_EQ(read("shares"), "new");
}

TEST_F(StateFolder, SaysWhyItCannotBeMade) {
  std::ofstream(top_ / "file") << "in the way";
  const auto written = write_state(top_ / "file" / "folder", "shares", bytes_of("x"));
  ASSERT_FALSE(written.has_value());
  EXPECT_NE(written.error().find("cannot create the folder"), std::string::npos) << written.error();
}

TEST_F(StateFolder, ReadsOnlyFiles) {
  std::filesystem::create_directories(folder() / "shares");
  EXPECT_FALSE(read_state(folder(), "shares").has_value());
  ASSERT_EQ(::mkfifo((folder() / "pipe").c_str(), 0600), 0);
  EXPECT_FALSE(read_state(folder(), "pipe").has_value());
}

TEST(StateName, IsAPlainFileName) {
  for (const std::string good : {"shares", "a-b_C.9"}) EXPECT_TRUE(is_state_name(good)) << good;
  for (const std::string bad : {"", ".", "..", ".hidden", "a/b", "a b", "\xc3\xa4"})
    EXPECT_FALSE(is_state_name(bad)) << bad;
  EXPECT_FALSE(is_state_name(std::string(129, 'x')));
}

TEST_F(StateFolder, HasTheLastOfEachNameWhenTheWriterStops) {
  StateWriter writer(folder(), [] {});
  for (int i = 0; i <= 300; ++i) {
    writer.save("shares", bytes_of("shares " + std::to_string(i)));
    writer.save("swarms", bytes_of("swarms " + std::to_string(i)));
  }
  writer.stop();
  EXPECT_EQ(read("shares"), "shares 300");
  EXPECT_EQ(read("swarms"), "swarms 300");
  EXPECT_TRUE(writer.take_troubles().empty());
}

TEST_F(StateFolder, ReportsTheSameTroubleOnceUntilItIsOver) {
  std::filesystem::create_directories(folder() / ".shares.new");
  std::atomic<int> reported = 0;
  StateWriter writer(folder(), [&] { ++reported; });
  const auto write_and_wait = [&](const std::string& name, const std::string& text) {
    writer.save(name, bytes_of(text));
    while (read(name) != text) std::this_thread::yield();
  };
  const auto fail_twice = [&](const std::string& sign) {
    // The one that can be written tells that the one before it was tried.
    for (int i = 0; i < 2; ++i) {
      writer.save("shares", bytes_of("x"));
      write_and_wait("swarms", sign + std::to_string(i));
    }
  };
  fail_twice("first");
  EXPECT_EQ(reported, 1);
  std::filesystem::remove(folder() / ".shares.new");
  write_and_wait("shares", "works again");
  std::filesystem::create_directories(folder() / ".shares.new");
  fail_twice("second");
  EXPECT_EQ(reported, 2);
  writer.stop();
  EXPECT_EQ(writer.take_troubles().size(), 2u);
}

TEST_F(StateFolder, HasWhatCouldNotBeWrittenBeforeOnceItCanBe) {
  std::filesystem::create_directories(folder() / ".shares.new");
  std::atomic<int> reported = 0;
  StateWriter writer(folder(), [&] { ++reported; }, std::chrono::milliseconds(1));
  writer.save("shares", bytes_of("the only one"));
  while (reported == 0) std::this_thread::yield();
  std::filesystem::remove(folder() / ".shares.new");
  while (read("shares") != "the only one") std::this_thread::yield();
  EXPECT_EQ(reported, 1);
}

TEST_F(StateFolder, HasWhatCouldNotBeWrittenBeforeWhenTheWriterStops) {
  std::filesystem::create_directories(folder() / ".shares.new");
  std::atomic<int> reported = 0;
  StateWriter writer(folder(), [&] { ++reported; }, std::chrono::hours(1));
  writer.save("shares", bytes_of("the only one"));
  while (reported == 0) std::this_thread::yield();
  std::filesystem::remove(folder() / ".shares.new");
  writer.stop();
  EXPECT_EQ(read("shares"), "the only one");
}

TEST_F(StateFolder, HasTheNewerContentThoughTheOlderCouldNotBeWritten) {
  std::filesystem::create_directories(folder() / ".shares.new");
  std::atomic<int> reported = 0;
  StateWriter writer(folder(), [&] { ++reported; }, std::chrono::hours(1));
  writer.save("shares", bytes_of("older"));
  while (reported == 0) std::this_thread::yield();
  std::filesystem::remove(folder() / ".shares.new");
  writer.save("shares", bytes_of("newer"));
  while (read("shares") != "newer") std::this_thread::yield();
  writer.stop();
  EXPECT_EQ(read("shares"), "newer");
}

TEST_F(StateFolder, HoldsWhatAMachineSavedJustBeforeItsEnd) {
  Runner runner({.state_folder = folder()});
  FakeMachine machine;
  machine.on_start = [](FakeMachine& self) {
    self.want(seam::SaveState{.name = "shares", .bytes = bytes_of("early")});
    self.want(seam::SaveState{.name = "shares", .bytes = bytes_of("late")});
    self.finish();
  };
  (void)runner.run(machine);
  EXPECT_EQ(read("shares"), "late");
}

TEST_F(StateFolder, ThatCannotBeWrittenIsAWarning) {
  std::ofstream(top_ / "new") << "in the way";
  std::vector<std::string> warnings;
  Runner runner({.state_folder = folder(), .on_trace = [&](const seam::Trace& trace, base::Instant) {
                   const auto* note = std::get_if<seam::NoteTrace>(&trace);
                   if (note != nullptr && note->level == seam::NoteTrace::Level::warning)
                     warnings.push_back(note->text);
                 }});
  FakeMachine machine;
  machine.on_start = [](FakeMachine& self) {
    self.want(seam::SaveState{.name = "shares", .bytes = bytes_of("x")});
    self.finish();
  };
  (void)runner.run(machine);
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_NE(warnings[0].find("cannot create the folder"), std::string::npos) << warnings[0];
}

TEST(StateFolderOfARunner, MayBeMissing) {
  Runner runner({});
  FakeMachine machine;
  machine.on_start = [](FakeMachine& self) {
    self.want(seam::SaveState{.name = "shares", .bytes = bytes_of("x")});
    self.finish("went on");
  };
  EXPECT_EQ(runner.run(machine).message, "went on");
}

}  // namespace
}  // namespace shoal::net
