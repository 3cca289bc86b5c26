// shoal verify: compares the data of a .torrent file with it, and says which files and pieces are wrong or missing.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <memory>

#include "app/json_events.hpp"
#include "app/print.hpp"
#include "app/progress.hpp"
#include "app/torrent_files.hpp"
#include "app/work_progress.hpp"
#include "metainfo/paths.hpp"
#include "storage/share_files.hpp"

namespace shoal::app {
namespace {

namespace fs = std::filesystem;
using State = storage::FileCheck::State;
using Clock = std::chrono::steady_clock;

struct VerifyOptions {
  CommonOptions common;
  std::string torrent;
  std::string path = ".";
};

// As --json says it.
std::string_view word_of(const storage::FileCheck& file) {
  switch (file.state) {
    case State::right:
      return file.pieces_wrong == 0 ? "right" : "unsure";
    case State::missing:
      return "missing";
    case State::wrong_kind:
      return "wrong_kind";
    case State::wrong_size:
      return "wrong_size";
    case State::wrong_link:
      return "wrong_link";
    case State::unreadable:
      return "unreadable";
    case State::wrong_bytes:
      return "wrong_bytes";
  }
  return "unknown";
}

std::string describe(const storage::FileCheck& file, const metainfo::FileEntry& entry) {
  switch (file.state) {
    case State::right:
      return file.pieces_wrong == 0 ? "" : "it shares a piece with a file that is missing or wrong";
    case State::missing:
      return "";
    case State::wrong_kind:
      return entry.link_target.empty() ? "it is not a plain file" : "it is not a link";
    case State::wrong_size:
      return fmt::format("{} of {} bytes", file.size_bytes, entry.size_bytes);
    case State::wrong_link:
      return fmt::format("it does not lead to {}", metainfo::join_path(entry.link_target));
    case State::unreadable:
      return file.reason;
    case State::wrong_bytes:
      return fmt::format("{} of its {}", file.pieces_wrong, counted(file.pieces, "piece"));
  }
  return "";
}

// Runs of pieces that are not right: first and last of each.
std::vector<std::pair<std::uint32_t, std::uint32_t>> wrong_runs(const base::Bitfield& right) {
  std::vector<std::pair<std::uint32_t, std::uint32_t>> runs;
  for (std::uint32_t i = 0; i < right.size(); ++i) {
    if (right.test(base::PieceIndex(i))) continue;
    if (runs.empty() || runs.back().second + 1 != i) runs.emplace_back(i, i);
    runs.back().second = i;
  }
  return runs;
}

std::size_t count_wrong_files(const storage::ShareCheck& check) {
  return static_cast<std::size_t>(
      std::ranges::count_if(check.files, [](const auto& file) { return file.state != State::right; }));
}

void print_json(const metainfo::Manifest& manifest, const fs::path& root, const storage::ShareCheck& check) {
  using boost::json::object;
  for (std::size_t i = 0; i < check.files.size(); ++i) {
    const storage::FileCheck& file = check.files[i];
    const metainfo::FileEntry& entry = manifest.layout->files[i];
    if (entry.is_padding || word_of(file) == "right") continue;
    print_result(boost::json::serialize(object{{"event", "file"},
                                               {"path", to_utf8(metainfo::join_path(entry.path))},
                                               {"state", word_of(file)},
                                               {"detail", to_utf8(describe(file, entry))},
                                               {"bytes", file.size_bytes},
                                               {"bytes_wanted", entry.size_bytes},
                                               {"pieces", file.pieces},
                                               {"pieces_wrong", file.pieces_wrong}}));
  }
  boost::json::array runs;
  for (const auto& [first, last] : wrong_runs(check.right)) runs.push_back(boost::json::array{first, last});
  print_result(boost::json::serialize(object{{"event", "verified"},
                                             {"path", to_utf8(root.native())},
                                             {"is_right", check.is_all_right()},
                                             {"pieces", check.right.size()},
                                             {"pieces_right", check.right.count()},
                                             {"files_wrong", count_wrong_files(check)},
                                             {"wrong_pieces", std::move(runs)}}));
}

// Only what is not right.
std::string list_wrong(const metainfo::Manifest& manifest, const storage::ShareCheck& check) {
  std::string text;
  for (std::size_t i = 0; i < check.files.size(); ++i) {
    const storage::FileCheck& file = check.files[i];
    const metainfo::FileEntry& entry = manifest.layout->files[i];
    if (entry.is_padding || word_of(file) == "right") continue;
    const std::string detail = describe(file, entry);
    std::string word(word_of(file));
    std::ranges::replace(word, '_', ' ');
    text += fmt::format("{:<11}  {}{}{}\n", word, printable(metainfo::join_path(entry.path)),
                        detail.empty() ? "" : ": ", printable(detail));
  }
  std::string runs;
  for (const auto& [first, last] : wrong_runs(check.right)) {
    runs += runs.empty() ? "" : ", ";
    runs += first == last ? fmt::format("{}", first) : fmt::format("{}-{}", first, last);
  }
  if (!runs.empty()) text += fmt::format("{:<11}  {}\n", "pieces", runs);
  return text;
}

ExitCode run_verify(const VerifyOptions& options) {
  const CommonOptions& common = options.common;
  end_on_interrupt();
  const auto torrent = read_torrent(options.torrent);
  if (!torrent) return fail(common, ExitCode::usage, torrent.error());
  print_warnings(common, torrent->warnings);
  const metainfo::Manifest& manifest = torrent->manifest;
  const fs::path root = find_data(manifest, options.path).lexically_normal();
  std::error_code error;
  if (!fs::exists(root, error)) {
    return fail(common, ExitCode::mismatched,
                fmt::format("verify: {} is not there; name the file or folder that {} describes", root.string(),
                            options.torrent));
  }
  WorkProgress progress(common, "checking " + manifest.name, manifest.layout->total_bytes);
  const Clock::time_point begun = Clock::now();
  const storage::ShareCheck check =
      storage::check_share(manifest, root, [&progress](std::uint64_t bytes) { progress.on_done(bytes); });
  progress.finish();
  const double seconds = std::chrono::duration<double>(Clock::now() - begun).count();
  if (common.is_json) {
    print_json(manifest, root, check);
    return check.is_all_right() ? ExitCode::done : ExitCode::mismatched;
  }
  if (check.is_all_right()) {
    print_result(fmt::format("{}: right, {} in {:.2f} s", printable(root.native()),
                             describe_bytes(static_cast<double>(manifest.layout->total_bytes)), seconds));
    return ExitCode::done;
  }
  print_text(stdout, list_wrong(manifest, check));
  std::fflush(stdout);
  return fail(common, ExitCode::mismatched,
              fmt::format("verify: {} is not what {} describes: {} and {} are wrong or missing", root.string(),
                          options.torrent, counted(count_wrong_files(check), "file"),
                          counted(check.right.size() - check.right.count(), "piece")));
}

}  // namespace

void add_verify_command(CLI::App& app, Chosen& chosen) {
  auto options = std::make_shared<VerifyOptions>();
  CLI::App* command = app.add_subcommand("verify", "compare files with what a .torrent file says");
  command->add_option("FILE", options->torrent, "the .torrent file")->required();
  command->add_option("PATH", options->path, "the file or folder it describes, or where that lies")
      ->capture_default_str();
  add_output_options(*command, options->common);
  command->callback([options, &chosen] { chosen.run = [options] { return run_verify(*options); }; });
}

}  // namespace shoal::app
