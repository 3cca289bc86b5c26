// The machine behind make_swarm_host(): owns the connections and their sessions, hands what they say to the parts
// (SwarmSearch finds others, SwarmDownload takes, SwarmUploads gives) and leads from one phase to the next:
//
//   getting_metadata -> opening -> downloading -> finishing -> giving -> stopping -> over
//
// It begins at `opening` when the torrent is known; a disk that is full leads back to `opening` for a while; any phase
// can lead to `stopping`. Used by roles/swarm_host*.cpp only.
//
// While the store is opened nobody is dialled and who comes is not listened to.
//
// Always holds: at most connections_max links besides kUnknownMax that have not said what they speak, with places left
// for those we dial and for those who dial us, whoever fills the others; one connection to each peer at an address;
// nobody is served who is banned; every announce is followed by "stopped", unless nobody listens.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "roles/swarm_context.hpp"
#include "roles/swarm_download.hpp"
#include "roles/swarm_search.hpp"
#include "roles/swarm_uploads.hpp"
#include "seam/machine.hpp"
#include "swarm/conn_ids.hpp"
#include "swarm/metadata_exchange.hpp"

namespace shoal::roles {

inline constexpr std::size_t kUnknownMax = 64;
inline constexpr base::Duration kFirstByteTimeout = std::chrono::seconds(15);
// Of connections_max, neither those we dial nor those who dial us take more.
inline constexpr std::uint32_t kShareNumerator = 4;
inline constexpr std::uint32_t kShareDenominator = 5;
// Who dial us from one address, where many may be behind a router. Not of 127.x.
inline constexpr std::size_t kAcceptedPerAddressMax = 20;
inline constexpr base::Duration kDoubleWindow = std::chrono::seconds(10);    // two hosts dial each other at once
inline constexpr base::Duration kPeersTurn = std::chrono::milliseconds(10);  // to read, before web seeds are asked
inline constexpr base::Duration kTickEvery = std::chrono::seconds(1);
inline constexpr base::Duration kUselessFor = std::chrono::seconds(60);  // then it makes room when all places are taken
inline constexpr base::Duration kDiskRetryEvery = std::chrono::seconds(5);
inline constexpr base::Duration kStopMax = std::chrono::seconds(4);       // for trackers, answers and writes to end
inline constexpr base::Duration kHopelessTold = std::chrono::seconds(5);  // then a user hears why nothing comes
inline constexpr std::size_t kTroublesTold = 5;
inline constexpr std::size_t kBannedHereMax = 100;

class SwarmHost final : public seam::Machine {
 public:
  SwarmHost(SwarmHostOptions options, base::BufferPool& buffers, base::Rng rng);

  void start(base::Instant now) override;
  void on_event(seam::Event&& event, base::Instant now) override;
  seam::ReadTargets next_read(seam::ConnId conn) override;
  std::optional<base::Instant> next_deadline() const override;
  seam::Actions take_actions() override { return std::exchange(context_.actions, {}); }

 private:
  enum class Phase : std::uint8_t { getting_metadata, opening, downloading, finishing, giving, stopping, over };

  // swarm_host.cpp
  void dispatch(seam::Event& event, base::Instant now);
  void on_bytes(const seam::BytesArrived& event, base::Instant now);
  void on_deadline(base::Instant now);
  void tick(base::Instant now);
  // Until nothing follows from what happened any more.
  void settle(base::Instant now);
  void serve(SwarmLink& link, base::Instant now);
  void take_results(base::Instant now);
  void note_starved(SwarmLink& link);
  void resume_starved(base::Instant now);
  void resume_held_back(base::Instant now);

  // Connections (swarm_host_links.cpp)
  [[nodiscard]] std::size_t share_max() const;
  [[nodiscard]] bool is_full(const SwarmLinks::Counts& counts) const;
  [[nodiscard]] bool has_room_to_dial() const;
  [[nodiscard]] std::optional<std::string> why_no_room_for(const SwarmLink& accepted) const;
  void dial_more(base::Instant now);
  void dial(base::Endpoint endpoint, swarm::PeerProtocol protocol, base::Instant now);
  void on_accepted(const seam::Accepted& event, base::Instant now);
  void on_connected(SwarmLink& link, base::Instant now);
  void hear_those_who_waited(base::Instant now);
  void on_first_byte(SwarmLink& link, base::Instant now);
  void begin_peer(SwarmLink& link, base::Instant now);
  void begin_course(SwarmLink& link, base::Instant now);
  void on_link_deadline(SwarmLink& link, base::Instant now);
  void lose(SwarmLink& link, const std::string& reason, base::Instant now);
  void lose_pointless(base::Instant now);
  void make_room(base::Instant now);
  [[nodiscard]] bool is_of_use(const SwarmLink& link, base::Instant now) const;
  void ban(const Liar& liar, base::Instant now);
  [[nodiscard]] bool is_banned_here(const Liar& who) const;
  [[nodiscard]] SwarmLink* find_double(const SwarmLink& link) const;
  [[nodiscard]] bool is_double_worse(const SwarmLink& link, const SwarmLink& other, base::Instant now) const;
  [[nodiscard]] bool is_pointless(const SwarmLink& link) const;
  [[nodiscard]] bool is_named_by_user(base::Endpoint endpoint) const;
  void note_trouble(base::Endpoint address, const std::string& reason);

  // What BitTorrent peers say (swarm_host_peers.cpp)
  void on_peer_event(SwarmLink& link, swarm::PeerEvent&& event, base::Instant now);
  void on_ready(SwarmLink& link, const swarm::PeerReady& ready, base::Instant now);
  void on_extensions(SwarmLink& link, const wire::ExtensionHandshake& handshake, base::Instant now);
  void on_peer_ended(SwarmLink& link, const swarm::PeerEnded& ended, base::Instant now);
  void on_metadata_asked(SwarmLink& link, std::uint32_t piece, base::Instant now);
  [[nodiscard]] wire::ExtensionHandshake our_extensions(const SwarmLink& link) const;
  void tell_extensions(base::Instant now);
  void set_manifest(SwarmLink& link, base::Instant now);

  // Phases (swarm_host_phases.cpp)
  void advance_metadata(base::Instant now);
  void on_metadata(const base::Bytes& info, base::Instant now);
  void begin_search(base::Instant now);
  void open_store(base::Instant now);
  [[nodiscard]] bool selects_nothing() const;
  void on_store_opened(const std::vector<seam::HeldPiece>& held, base::Instant now);
  void begin_download(const std::vector<seam::HeldPiece>& held, base::Instant now);
  void on_store_failed(seam::StoreError&& error, base::Instant now);
  void on_store_finished(std::string path, base::Instant now);
  void check_progress(base::Instant now);
  void give_up(base::Instant now);
  void stop(seam::Finish finish, base::Instant now);
  void on_stop_requested(base::Instant now);
  [[nodiscard]] bool gives() const;
  [[nodiscard]] seam::Finish done() const;
  [[nodiscard]] bool is_hopeful(base::Instant now) const;
  [[nodiscard]] swarm::AnnounceStatus announce_status() const;
  [[nodiscard]] const metainfo::Torrent& torrent() const { return *context_.options.torrent; }

  SwarmContext context_;
  base::Rng rng_;
  swarm::ConnIds ids_;
  Phase phase_ = Phase::opening;
  base::Instant now_{};  // of the latest event, for next_read()
  swarm::MetadataExchange metadata_;
  SwarmSearch search_;
  std::optional<SwarmDownload> download_;
  SwarmUploads uploads_;                            // refers to the download's bits
  std::deque<swarm::SourceId> held_back_;           // each once; waits for tokens
  std::deque<swarm::SourceId> starved_;             // each once; waits for a buffer
  std::byte first_byte_{};                          // of an accepted connection; read and judged before the next
  std::vector<base::Endpoint> course_peers_ahead_;  // known before there is anything to ask them for
  // Banned on this host, where one address is many peers: the latest kBannedHereMax.
  std::deque<Liar> banned_here_;
  std::map<base::Endpoint, std::string> troubles_;  // why the latest kTroublesTold connections failed

  bool is_store_open_ = false;
  bool is_disk_full_ = false;  // and the user was told
  std::optional<base::Instant> reopen_at_;
  bool was_complete_at_start_ = false;
  std::string path_;  // of what was made
  std::optional<base::Instant> next_tick_;
  base::Instant next_need_{};  // when trackers may be asked for more again
  std::uint32_t announced_pieces_ = 0;
  base::Instant last_hope_{};
  bool is_hopeless_told_ = false;
  std::uint64_t hoped_bytes_ = 0;  // downloaded then
  std::optional<base::Instant> gives_until_;
  std::optional<seam::Finish> finish_;  // how it ends, while stopping
  base::Instant stop_deadline_{};
};

}  // namespace shoal::roles
