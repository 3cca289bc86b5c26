// The half of SwarmHost that leads from one phase to the next: from a magnet link to a manifest, to a store, to the
// whole, to the end.
#include <algorithm>
#include <utility>

#include "base/check.hpp"
#include "metainfo/selection.hpp"
#include "roles/course_client_report.hpp"
#include "roles/name_files.hpp"
#include "roles/swarm_host_machine.hpp"

namespace shoal::roles {

using base::Instant;
using base::PieceIndex;
using Level = seam::NoteTrace::Level;
using Result = seam::Finish::Result;

namespace {

// Before the size is known something has to be left, or trackers take us for a seed.
constexpr std::uint64_t kLeftUnknown = 1;

// Those of `more` that are not there yet.
void add_missing(std::vector<std::string>& urls, const std::vector<std::string>& more) {
  for (const std::string& url : more) {
    if (std::ranges::find(urls, url) == urls.end()) urls.push_back(url);
  }
}

// No `wanted`: everything is.
seam::ManifestTrace describe_manifest(const metainfo::Manifest& manifest, const base::Bitfield& held,
                                      const base::Bitfield& wanted) {
  seam::ManifestTrace trace{.name = manifest.name,
                            .piece_count = manifest.piece_count(),
                            .pieces_wanted = manifest.piece_count(),
                            .pieces_held = held.count()};
  if (wanted.size() == 0) return trace;
  trace.pieces_wanted = wanted.count();
  trace.pieces_held = 0;
  for (std::uint32_t i = 0; i < wanted.size(); ++i) {
    const base::PieceIndex piece(i);
    if (wanted.test(piece) && held.test(piece)) ++trace.pieces_held;
  }
  return trace;
}

std::vector<std::vector<std::string>> all_tiers(const SwarmHostOptions& options) {
  auto tiers = options.tracker_tiers;
  if (!options.torrent) return tiers;
  const auto is_there = [&](const std::string& url) {
    return std::ranges::any_of(tiers, [&](const auto& tier) { return std::ranges::find(tier, url) != tier.end(); });
  };
  for (std::vector<std::string> tier : options.torrent->tracker_tiers) {
    std::erase_if(tier, is_there);
    if (!tier.empty()) tiers.push_back(std::move(tier));
  }
  return tiers;
}

}  // namespace

// --- Metadata ---

void SwarmHost::advance_metadata(Instant now) {
  if (phase_ != Phase::getting_metadata) return;
  for (const swarm::SourceId liar : metadata_.take_liars()) {
    if (SwarmLink* link = context_.links.find(liar)) ban({link->remote, link->peer_id}, now);
  }
  if (metadata_.info()) return on_metadata(*metadata_.info(), now);
  for (const swarm::MetadataExchange::Ask& ask : metadata_.take_asks(now)) {
    SwarmLink* link = context_.links.find(ask.peer);
    if (link == nullptr) continue;
    link->peer->send_metadata_request(ask.piece, now);
    context_.links.touch(*link);
  }
}

void SwarmHost::on_metadata(const base::Bytes& info, Instant now) {
  auto parsed = metainfo::parse_info(info);
  if (!parsed) {
    stop({.result = Result::nothing_found,
          .message = "the description of " + context_.options.info_hash.to_hex() +
                     " that peers give cannot be used: " + parsed.error().describe(),
          .missing = {},
          .path = ""},
         now);
    return;
  }
  context_.options.torrent = std::move(*parsed);
  if (torrent().is_private) {
    // Who was found otherwise than by trackers and the user is none of ours: those are dialled again.
    context_.is_private = true;
    search_.become_private(now);
    for (const auto& [source, link] : context_.links.all()) {
      if (link->is_gone() || !link->is_dialled) continue;
      link->addresses.clear();
      lose(*link, "is not asked again unless a tracker names it: the torrent is private", now);
    }
  }
  open_store(now);
}

void SwarmHost::begin_search(Instant now) {
  next_tick_ = now + kTickEvery;
  next_need_ = now + kNeedEvery;
  search_.start(all_tiers(context_.options), now);
}

// --- The store ---

bool SwarmHost::selects_nothing() const {
  const auto& selected = context_.options.selected;
  if (selected.empty()) return false;
  const auto files = metainfo::select_files(*torrent().manifest.layout, selected);
  return std::ranges::find(files, true) == files.end();
}

void SwarmHost::open_store(Instant now) {
  reopen_at_.reset();
  if (selects_nothing()) {
    return stop({.result = Result::unfit,
                 .message = "no file of " + torrent().manifest.name + " is selected by --select; it holds " +
                            name_files(*torrent().manifest.layout),
                 .missing = {},
                 .path = ""},
                now);
  }
  if (!download_) phase_ = Phase::opening;
  metainfo::Torrent kept{.info = torrent().info, .tracker_tiers = all_tiers(context_.options)};
  kept.web_seeds = context_.options.web_seeds;
  add_missing(kept.web_seeds, torrent().web_seeds);
  context_.actions.emplace_back(
      seam::OpenStore{.manifest = torrent().manifest, .torrent = metainfo::encode_torrent(kept)});
}

void SwarmHost::on_store_opened(const std::vector<seam::HeldPiece>& held, Instant now) {
  if (phase_ == Phase::stopping) return;
  is_store_open_ = true;
  if (download_) {
    download_->on_store_opened(held, now);
  } else {
    begin_download(held, now);
  }
}

void SwarmHost::begin_download(const std::vector<seam::HeldPiece>& held, Instant now) {
  const metainfo::Manifest& manifest = torrent().manifest;
  base::Bitfield bits(manifest.piece_count());
  for (const seam::HeldPiece& piece : held) bits.set(piece.piece);
  base::Bitfield wanted;
  if (!context_.options.selected.empty()) {
    wanted = metainfo::pieces_of_files(*manifest.layout,
                                       metainfo::select_files(*manifest.layout, context_.options.selected));
  }
  context_.tell(describe_manifest(manifest, bits, wanted));
  was_complete_at_start_ = bits.is_all();
  announced_pieces_ = bits.count();
  auto web_seeds = context_.options.web_seeds;
  add_missing(web_seeds, torrent().web_seeds);
  download_.emplace(SwarmDownload::Parts{context_, manifest, std::move(bits), std::move(wanted), std::move(web_seeds)},
                    rng_.fork(), now);
  uploads_.begin(manifest, download_->picker().verified());
  phase_ = Phase::downloading;
  for (const auto& [source, link] : context_.links.all()) {
    if (link->is_gone() || !link->peer) continue;
    if (link->is_ready) download_->add(*link, now);
    set_manifest(*link, now);
    context_.links.touch(*link);
  }
  hear_those_who_waited(now);
  last_hope_ = now;
  if (next_tick_) {
    tell_extensions(now);  // the metadata is here now
  } else {
    begin_search(now);
  }
  for (const base::Endpoint& peer : std::exchange(course_peers_ahead_, {})) {
    dial(peer, swarm::PeerProtocol::course, now);
  }
}

void SwarmHost::on_store_failed(seam::StoreError&& error, Instant now) {
  is_store_open_ = false;
  if (download_) download_->on_store_failed();
  if (phase_ == Phase::finishing) phase_ = Phase::downloading;
  if (phase_ == Phase::stopping) return;
  if (error.kind != seam::StoreErrorKind::disk_full) {
    const auto result = error.kind == seam::StoreErrorKind::unfit ? Result::unfit : Result::disk;
    stop({.result = result, .message = std::move(error.message), .missing = {}, .path = ""}, now);
    return;
  }
  reopen_at_ = now + kDiskRetryEvery;
  if (std::exchange(is_disk_full_, true)) return;
  context_.note(Level::warning, "waiting for room on the disk: " + error.message);
}

// --- The end ---

void SwarmHost::check_progress(Instant now) {
  if (phase_ == Phase::downloading && is_store_open_ && download_->is_done()) {
    phase_ = Phase::finishing;
    context_.actions.emplace_back(seam::FinishStore{});
  }
  if (phase_ == Phase::giving) {
    const auto& ratio = context_.options.gives_until_ratio;
    const double enough = ratio ? *ratio * static_cast<double>(download_->wanted_bytes()) : 0;
    const bool has_given_enough = ratio && static_cast<double>(context_.uploaded_bytes) >= enough;
    if (has_given_enough || (gives_until_ && now >= *gives_until_)) stop(done(), now);
  }
  if (phase_ != Phase::stopping) return;
  const bool is_quiet = search_.is_stopped() && uploads_.is_stopped(now) &&
                        (!download_ || !is_store_open_ || !download_->is_store_busy());
  if (!is_quiet && now < stop_deadline_) return;
  phase_ = Phase::over;
  context_.actions.emplace_back(std::move(*finish_));
}

void SwarmHost::on_store_finished(std::string path, Instant now) {
  path_ = std::move(path);
  if (phase_ != Phase::finishing) return;
  uploads_.set_seeding(true);
  search_.book().set_seeding(true);
  if (download_->is_everything_verified() && !was_complete_at_start_) search_.on_completed(now);
  if (!gives()) return stop(done(), now);
  phase_ = Phase::giving;
  if (context_.options.gives_for) gives_until_ = now + *context_.options.gives_for;
  // Of what one shares oneself that is no news.
  context_.note(was_complete_at_start_ ? Level::debug : Level::info,
                (context_.options.selected.empty()
                     ? torrent().manifest.name + " is complete; giving it to others"
                     : "the selected files of " + torrent().manifest.name + " are complete; giving them to others"));
  tell_extensions(now);
  lose_pointless(now);
}

bool SwarmHost::gives() const {
  const SwarmHostOptions& options = context_.options;
  return options.gives_after_done || options.gives_for || options.gives_until_ratio;
}

seam::Finish SwarmHost::done() const {
  return {.result = Result::done, .message = "got " + torrent().manifest.name, .missing = {}, .path = path_};
}

void SwarmHost::on_stop_requested(Instant now) {
  if (phase_ == Phase::stopping) return;
  if (phase_ == Phase::giving) return stop(done(), now);
  const bool has_any = download_ && !download_->picker().verified().is_none();
  stop({.result = Result::interrupted,
        .message = !has_any ? "interrupted before anything had arrived"
                   : context_.options.keeps_what_came
                       ? "interrupted; the pieces that have arrived are kept, run this again to go on"
                       : "interrupted; nothing of it is kept",
        .missing = {},
        .path = ""},
       now);
}

void SwarmHost::stop(seam::Finish finish, Instant now) {
  if (phase_ == Phase::stopping) return;
  phase_ = Phase::stopping;
  finish_ = std::move(finish);
  stop_deadline_ = now + kStopMax;
  reopen_at_.reset();
  next_tick_.reset();
  if (download_) download_->stop();
  uploads_.stop(now);
  search_.stop(now);
  for (const auto& [source, link] : context_.links.all()) {
    if (!link->is_gone()) lose(*link, "is not needed any more", now);
  }
}

bool SwarmHost::is_hopeful(Instant now) const {
  return download_ ? download_->is_hopeful() : metadata_.is_hopeful(now);
}

void SwarmHost::give_up(Instant now) {
  seam::Finish finish{.result = Result::incomplete, .message = "", .missing = {}, .path = ""};
  std::string& text = finish.message;
  if (download_) {
    finish.missing = download_->missing();
    if (download_->has_mismatched()) finish.result = Result::mismatched;
    text = std::to_string(finish.missing.size()) + " of " + std::to_string(torrent().manifest.piece_count()) +
           " pieces of " + torrent().manifest.name + " are missing (" + describe_ranges(finish.missing);
    const metainfo::Layout& layout = *torrent().manifest.layout;
    const std::string files = name_files_with(layout, finish.missing, context_.options.selected);
    if (layout.is_folder && !files.empty()) text += ", of " + files;
    text += "): nobody who gives them was found";
  } else {
    text = "nobody was found who can say what " + context_.options.info_hash.to_hex() + " is";
  }
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(*context_.options.no_source_timeout).count();
  text += " within " + std::to_string(seconds) + " s; ";
  const std::size_t known = search_.book().known();
  text +=
      known == 0 ? "no peer is known" : std::to_string(known) + (known == 1 ? " peer is known" : " peers are known");
  for (const auto& [endpoint, trouble] : troubles_) text += "; " + endpoint.to_string() + " " + trouble;
  if (const std::string trouble = search_.troubles(); !trouble.empty()) text += "; tracker " + trouble;
  if (search_.trackers() == 0) text += "; no tracker was asked, as none is named";
  if (download_ && context_.options.keeps_what_came) text += "; what has arrived is kept";
  text += std::string("; run this again when somebody shares ") + (download_ ? "the rest" : "it");
  stop(std::move(finish), now);
}

swarm::AnnounceStatus SwarmHost::announce_status() const {
  return {.uploaded = context_.uploaded_bytes,
          .downloaded = context_.downloaded_bytes,
          .left = download_ ? download_->unverified_bytes() : kLeftUnknown,
          .held = download_ ? download_->held_ranges() : ""};
}

}  // namespace shoal::roles
