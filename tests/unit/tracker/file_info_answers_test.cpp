#include "tracker/file_info_answers.hpp"

#include <gtest/gtest.h>

#include "support/server_script.hpp"
#include "unit/tracker/hosts.hpp"

namespace shoal::tracker {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr base::Endpoint kLoopback{base::Ipv4Address::loopback(), 8001};
constexpr course::Asker kRemote{{0x0a000009}, {0x0a000001}};
constexpr course::Asker kOutsider{{0x0a000008}, kRemote.local};  // is not told of bob
constexpr course::Asker kLocal{base::Ipv4Address::loopback(), base::Ipv4Address::loopback()};

struct FixedShare final : ShareProvider {
  std::shared_ptr<const course::FileInfo> current() override {
    ++asked;
    return share;
  }
  void set(std::vector<base::Endpoint> peers, std::string name = "f") {
    share = std::make_shared<const course::FileInfo>(
        course::FileInfo{.filename = std::move(name), .chunks = {{.hash = {}, .peers = std::move(peers)}}});
  }
  std::shared_ptr<const course::FileInfo> share;
  bool may_tell(const course::Asker& asker, base::Endpoint peer) const override {
    return peer != kBob || asker.address != kOutsider.address;
  }
  bool are_alike(const course::Asker& one, const course::Asker& other) const override {
    return (one.address == kOutsider.address) == (other.address == kOutsider.address);
  }
  int asked = 0;
};

class FileInfoAnswersTest : public ::testing::Test {
 public:
  FileInfoAnswersTest() { share.set({kAlice, kBob}); }

  AskId ask(const course::Asker& asker = kRemote) {
    const AskId id{seam::ConnId(2), next_request++};
    answers.on_asked(id, asker, now, actions);
    note_answers();
    return id;
  }
  // The probes under way end: these peers accept, the others refuse.
  void probe_results(std::vector<base::Endpoint> accepting) {
    for (const seam::Dial& dial : testing::all_of<seam::Dial>(std::exchange(actions, {}))) {
      if (std::ranges::find(accepting, dial.remote) != accepting.end()) {
        answers.on_connected({.conn = dial.conn, .local = {}, .remote = dial.remote}, now, actions);
      } else {
        answers.on_connect_failed({.conn = dial.conn, .error = seam::NetError::refused}, now, actions);
      }
      note_answers();
    }
  }
  void note_answers() {
    for (FileInfoAnswer& answer : answers.take_answers()) {
      EXPECT_FALSE(told.contains(answer.ask.request)) << "answered twice";
      told[answer.ask.request] = answer.message;
    }
  }
  std::vector<base::Endpoint> peers_told(AskId id) {
    const auto found = told.find(id.request);
    if (found == told.end()) return {};
    return course::parse_file_info_body(base::ByteView(*found->second).subspan(course::kHeaderBytes))
        ->chunks.at(0)
        .peers;
  }
  [[nodiscard]] bool is_answered(AskId id) const { return told.contains(id.request); }
  [[nodiscard]] std::size_t dials() const { return testing::all_of<seam::Dial>(actions).size(); }

  base::Instant now;
  FixedShare share;
  seam::Actions actions;
  FileInfoAnswers answers{share, {.validity = seconds(2), .timeout = milliseconds(300)}};
  std::map<std::uint64_t, std::shared_ptr<const base::Bytes>> told;
  std::uint64_t next_request = 0;
};

TEST_F(FileInfoAnswersTest, TellsOnlyPeersThatAcceptConnections) {
  const AskId id = ask();
  EXPECT_FALSE(is_answered(id));
  EXPECT_EQ(dials(), 2u) << "all probes at once";
  probe_results({kBob});
  EXPECT_EQ(peers_told(id), std::vector{kBob});
}

TEST_F(FileInfoAnswersTest, TellsEveryPeerOfAChunkRatherThanNone) {
  const AskId id = ask();
  probe_results({});
  EXPECT_EQ(peers_told(id), (std::vector{kAlice, kBob}));
}

TEST_F(FileInfoAnswersTest, AnswersAtOnceWhenThereIsNothingToProbe) {
  share.set({});
  EXPECT_TRUE(is_answered(ask()));
  EXPECT_EQ(dials(), 0u);
}

TEST_F(FileInfoAnswersTest, WaitsNoLongerThanTheProbeTimeout) {
  const AskId id = ask();
  EXPECT_EQ(answers.next_deadline(), now + milliseconds(300));
  now += milliseconds(300);
  answers.on_deadline_reached(now, actions);
  note_answers();
  EXPECT_TRUE(is_answered(id));
}

TEST_F(FileInfoAnswersTest, LetsAllThatAskMeanwhileShareTheProbes) {
  std::vector<AskId> ids;
  ids.reserve(100);
  for (int i = 0; i < 100; ++i) ids.push_back(ask());
  EXPECT_EQ(dials(), 2u);
  probe_results({kAlice});
  for (const AskId id : ids) EXPECT_EQ(peers_told(id), std::vector{kAlice});
}

TEST_F(FileInfoAnswersTest, AnswersFromOneEncodedMessageWhileItIsValid) {
  const AskId first = ask();
  probe_results({kAlice, kBob});
  for (int i = 0; i < 1000; ++i) {
    const AskId id = ask();
    ASSERT_EQ(told.at(id.request), told.at(first.request)) << "the same bytes, not equal ones";
  }
  EXPECT_EQ(dials(), 0u);
}

TEST_F(FileInfoAnswersTest, KeepsTheMessagesOfSeveralKindsOfAskers) {
  const AskId remote = ask(kRemote);
  probe_results({kAlice, kBob});
  const AskId local = ask(kLocal);
  EXPECT_EQ(told.at(ask(kRemote).request), told.at(remote.request));
  EXPECT_EQ(told.at(ask(kLocal).request), told.at(local.request));
  EXPECT_EQ(answers.views_kept(), 2u);
}

TEST_F(FileInfoAnswersTest, TellsApartAskersOnThisHostAndOnOthersThatCameToTheSameAddress) {
  share.set({kLoopback});
  const AskId remote = ask(kRemote);
  const AskId here = ask({kRemote.local, kRemote.local});
  probe_results({});
  EXPECT_EQ(peers_told(remote), (std::vector<base::Endpoint>{{kRemote.local, kLoopback.port}}));
  EXPECT_EQ(peers_told(here), std::vector{kLoopback});
}

TEST_F(FileInfoAnswersTest, TellsApartAskersWhoMayBeToldOfDifferentPeers) {
  const AskId outsider = ask(kOutsider);
  EXPECT_EQ(dials(), 1u) << "whom it is not told of nobody has to try";
  const AskId other = ask(kRemote);
  probe_results({kAlice, kBob});
  EXPECT_EQ(peers_told(outsider), std::vector{kAlice});
  EXPECT_EQ(peers_told(other), (std::vector{kAlice, kBob}));
  share.set({kBob});
  EXPECT_TRUE(peers_told(ask(kOutsider)).empty()) << "nobody is left";
}

TEST_F(FileInfoAnswersTest, ProbesAgainAfterTheValidityAndNoticesAPeerThatWentAndCame) {
  const AskId first = ask();
  probe_results({kAlice, kBob});
  now += seconds(2);
  const AskId second = ask();
  EXPECT_FALSE(is_answered(second));
  probe_results({kAlice});
  EXPECT_EQ(peers_told(second), std::vector{kAlice});
  now += seconds(2);
  const AskId third = ask();
  probe_results({kAlice, kBob});
  EXPECT_EQ(peers_told(third), peers_told(first));
}

TEST_F(FileInfoAnswersTest, TellsANewShareFromTheNextRequestOn) {
  ask();
  probe_results({kAlice, kBob});
  share.set({kAlice}, "another");
  const AskId id = ask();
  ASSERT_TRUE(is_answered(id)) << "its peer was probed a moment ago";
  EXPECT_EQ(peers_told(id), std::vector{kAlice});
  EXPECT_EQ(answers.views_kept(), 1u) << "nobody will ask for the old share again";
}

TEST_F(FileInfoAnswersTest, AnswersThoseWhoWaitedWhileTheShareChanged) {
  const AskId old = ask();
  share.set({kAlice}, "another");
  const AskId next = ask();
  EXPECT_EQ(dials(), 2u);
  probe_results({kAlice, kBob});
  EXPECT_EQ(peers_told(old), (std::vector{kAlice, kBob}));
  EXPECT_EQ(peers_told(next), std::vector{kAlice});
}

TEST_F(FileInfoAnswersTest, ProbesTheAddressThatTheAskerIsTold) {
  share.set({kLoopback});
  const AskId remote = ask(kRemote);
  const AskId local = ask(kLocal);
  const base::Endpoint through_the_network{kRemote.local, kLoopback.port};
  probe_results({through_the_network, kLoopback});
  EXPECT_EQ(peers_told(remote), std::vector{through_the_network});
  EXPECT_EQ(peers_told(local), std::vector{kLoopback});
}

TEST_F(FileInfoAnswersTest, KeepsFewViewsHoweverManyAddressesItIsAskedAt) {
  for (std::uint32_t i = 0; i < 100; ++i) {
    const AskId id = ask({{0x0a000009}, {0x0a010000 + i}});
    probe_results({kAlice, kBob});
    ASSERT_TRUE(is_answered(id));
    EXPECT_LE(answers.views_kept(), FileInfoAnswers::kViewsMax);
  }
}

TEST_F(FileInfoAnswersTest, AnswersEveryoneWhenMoreViewsAreWaitedForThanAreKept) {
  std::vector<AskId> ids;
  ids.reserve(20);
  for (std::uint32_t i = 0; i < 20; ++i) ids.push_back(ask({{0x0a000009}, {0x0a010000 + i}}));
  probe_results({kAlice});
  for (const AskId id : ids) EXPECT_EQ(peers_told(id), std::vector{kAlice});
}

TEST_F(FileInfoAnswersTest, EncodesAnEmptyFile) {
  share.share = std::make_shared<const course::FileInfo>(course::FileInfo{.filename = "empty", .chunks = {}});
  const AskId id = ask();
  ASSERT_TRUE(is_answered(id));
  EXPECT_EQ(*told.at(id.request), course::encode_file_info({"empty", {}}));
}

}  // namespace
}  // namespace shoal::tracker
