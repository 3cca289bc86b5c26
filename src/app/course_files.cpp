// shoal course split, merge and check: the course's scripts.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "app/cli.hpp"
#include "app/json_events.hpp"
#include "app/progress.hpp"
#include "course/config.hpp"
#include "storage/course_files.hpp"

namespace shoal::app {
namespace {

namespace fs = std::filesystem;
using storage::CourseFileError;

ExitCode exit_code_of(CourseFileError::Kind kind) {
  switch (kind) {
    case CourseFileError::Kind::unreadable:
    case CourseFileError::Kind::too_many_chunks:
    case CourseFileError::Kind::in_use:
      return ExitCode::usage;
    case CourseFileError::Kind::missing_chunks:
      return ExitCode::incomplete;
    case CourseFileError::Kind::wrong_chunks:
      return ExitCode::mismatched;
    case CourseFileError::Kind::disk_full:
    case CourseFileError::Kind::unwritable:
    case CourseFileError::Kind::failed:
      return ExitCode::disk;
  }
  return ExitCode::internal_error;
}

// --- split ---

struct SplitCommand {
  CommonOptions common;
  std::string file;
  std::string chunk_size = "512K";
  std::vector<std::string> peers{"alice", "bob"};
};

// The original's place in the course directory. A hard link where possible, else a copy.
Read<void> place_original(const fs::path& file, const fs::path& place) {
  std::error_code error;
  if (fs::equivalent(file, place, error)) return {};
  fs::create_directories(place.parent_path(), error);
  const fs::path beside = place.string() + ".new";
  fs::remove(beside, error);
  fs::create_hard_link(fs::canonical(file, error), beside, error);
  if (error) fs::copy_file(file, beside, error);
  if (!error) fs::rename(beside, place, error);
  if (!error) return {};
  std::error_code ignored;
  fs::remove(beside, ignored);
  return std::unexpected(fmt::format("{}: the original cannot be placed there: {}", place.string(), error.message()));
}

bool has_peers(const CourseFolder& folder) {
  std::error_code ignored;
  return fs::exists(folder.peers_ini(), ignored);
}

Read<void> provide_peers(const CourseFolder& folder, const std::vector<std::string>& names) {
  if (has_peers(folder)) return {};
  return write_text(folder.peers_ini(), course::encode_peers_ini(course::default_peers(names)));
}

// An existing peers.ini stays; it must know every peer.
Read<void> check_peers(const CourseFolder& folder, const std::vector<std::string>& names) {
  if (!has_peers(folder)) return {};
  const auto peers = read_peers(folder);
  if (!peers) return std::unexpected(peers.error());
  for (const std::string& name : names) {
    if (peers->find(name) != nullptr) continue;
    return std::unexpected(fmt::format("{}: [{}]: the section is missing; add it with ip_address and port_number",
                                       folder.peers_ini().string(), name));
  }
  return {};
}

std::string describe_owners(const SplitCommand& command, const storage::SplitFile& split) {
  std::string text;
  for (std::size_t peer = 0; peer < command.peers.size(); ++peer) {
    const auto owns = [peer](const std::vector<std::size_t>& owners) { return std::ranges::count(owners, peer) > 0; };
    text += fmt::format("{}{} has {}", text.empty() ? "" : ", ", command.peers[peer],
                        std::ranges::count_if(split.owners, owns));
  }
  return text;
}

std::optional<std::string> find_bad_peer_name(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (!course::is_peer_name(name) || std::ranges::count(names, name) > 1) return name;
  }
  return std::nullopt;
}

ExitCode run_split(const SplitCommand& command) {
  const CourseFolder folder = command.common.folder();
  const auto chunk_bytes = parse_size(command.chunk_size);
  if (!chunk_bytes || *chunk_bytes == 0 || *chunk_bytes > UINT32_MAX) {
    return fail(
        command.common, ExitCode::usage,
        fmt::format("--chunk-size {}: not a size from 1 byte to under 4G, such as 512K or 2M", command.chunk_size));
  }
  if (const auto bad = find_bad_peer_name(command.peers)) {
    return fail(
        command.common, ExitCode::usage,
        fmt::format("--peers {}: peers need distinct plain names, without '/' or ',', and not \"tracker\"", *bad));
  }
  const std::string name = fs::path(command.file).filename().string();
  if (!course::fits_file_ini(name)) {
    return fail(command.common, ExitCode::usage,
                fmt::format("{}: file.ini cannot hold this name; give the file a plain one", command.file));
  }
  if (const auto known = check_peers(folder, command.peers); !known) {
    return fail(command.common, ExitCode::usage, known.error());
  }
  const std::size_t peers = command.peers.size();
  const auto split = storage::split_file({.file = command.file,
                                          .directory = folder.root,
                                          .chunk_bytes = *chunk_bytes,
                                          .chunks_max = course::kChunksMax,
                                          .peers = command.peers,
                                          .owners_of_chunk = [peers](std::uint32_t index, std::uint32_t count) {
                                            return course::owners_of_chunk(index, count, peers);
                                          }});
  if (!split) {
    std::string message = split.error().message;
    if (split.error().kind == CourseFileError::Kind::too_many_chunks) {
      message += fmt::format("; the smallest --chunk-size that fits is {}",
                             course::smallest_chunk_size(split.error().file_bytes));
    }
    return fail(command.common, exit_code_of(split.error().kind), message);
  }
  if (const auto provided = provide_peers(folder, command.peers); !provided) {
    return fail(command.common, ExitCode::disk, provided.error());
  }
  course::FileConfig config{.filename = name, .chunks = split->chunks, .owners = {}};
  for (const std::vector<std::size_t>& owners : split->owners) {
    std::vector<std::string>& names = config.owners.emplace_back();
    for (const std::size_t owner : owners) names.push_back(command.peers[owner]);
  }
  if (const auto placed = place_original(command.file, folder.originals() / name); !placed) {
    return fail(command.common, ExitCode::disk, placed.error());
  }
  if (const auto written = write_text(folder.file_ini(), course::encode_file_ini(config)); !written) {
    return fail(command.common, ExitCode::disk, written.error());
  }
  if (command.common.is_json) {
    print_result(json_of_result("split", name, split->file_bytes, static_cast<std::uint32_t>(split->chunks.size())));
  } else if (!command.common.is_quiet) {
    print_result(fmt::format("{}: {} in {} of {}: {}", name, describe_bytes(static_cast<double>(split->file_bytes)),
                             counted(split->chunks.size(), "chunk"), describe_bytes(static_cast<double>(*chunk_bytes)),
                             describe_owners(command, *split)));
  }
  return ExitCode::done;
}

// --- merge and check ---

struct ResultCommand {
  CommonOptions common;
  std::string client = "charlie";
  std::string output;
};

// What the client wrote beside its result (steps 2 and 3), else the configuration.
Read<course::FileConfig> read_result_config(const CourseFolder& folder, const std::string& client) {
  std::error_code error;
  const fs::path beside = folder.chunks_of(client) / "file.ini";
  return read_file_config(fs::exists(beside, error) ? beside : folder.file_ini());
}

ExitCode run_merge(const ResultCommand& command) {
  const CourseFolder folder = command.common.folder();
  const auto config = read_result_config(folder, command.client);
  if (!config) return fail(command.common, ExitCode::usage, config.error());
  const fs::path chunks = folder.chunks_of(command.client);
  const fs::path output = command.output.empty() ? chunks / config->filename : fs::path(command.output);
  const auto merged = storage::merge_chunks(chunks, config->chunks, output);
  if (!merged) return fail(command.common, exit_code_of(merged.error().kind), merged.error().message);
  if (command.common.is_json) {
    print_result(json_of_result("merged", output.string(), *merged, static_cast<std::uint32_t>(config->chunks.size())));
  } else if (!command.common.is_quiet) {
    print_result(fmt::format("{}: {} merged from {}", output.string(), describe_bytes(static_cast<double>(*merged)),
                             counted(config->chunks.size(), "chunk")));
  }
  return ExitCode::done;
}

ExitCode run_check(const ResultCommand& command) {
  const CourseFolder folder = command.common.folder();
  const auto config = read_result_config(folder, command.client);
  if (!config) return fail(command.common, ExitCode::usage, config.error());
  const fs::path original = folder.originals() / config->filename;
  const fs::path result =
      command.output.empty() ? folder.chunks_of(command.client) / config->filename : fs::path(command.output);
  const auto compared = storage::compare_files(original, result);
  if (!compared) return fail(command.common, exit_code_of(compared.error().kind), compared.error().message);
  if (!compared->is_equal()) {
    return fail(command.common, ExitCode::mismatched,
                fmt::format("{} differs from {} from byte {} on ({} and {} bytes)", result.string(), original.string(),
                            *compared->first_difference, compared->second_bytes, compared->first_bytes));
  }
  if (command.common.is_json) {
    print_result(json_of_result("equal", result.string(), compared->first_bytes,
                                static_cast<std::uint32_t>(config->chunks.size())));
  } else if (!command.common.is_quiet) {
    print_result(fmt::format("{} equals {} ({})", result.string(), original.string(),
                             describe_bytes(static_cast<double>(compared->first_bytes))));
  }
  return ExitCode::done;
}

void add_result_command(CLI::App& course, Chosen& chosen, const std::string& name, const std::string& description,
                        ExitCode (*run)(const ResultCommand&)) {
  auto options = std::make_shared<ResultCommand>();
  CLI::App* command = course.add_subcommand(name, description);
  add_common_options(*command, options->common);
  command->add_option("--name", options->client, "whose result: the folder below chunks/")->capture_default_str();
  command->add_option("--output", options->output, "the merged file (default: chunks/NAME/<file name>)");
  command->callback([options, run, &chosen] { chosen.run = [options, run] { return run(*options); }; });
}

}  // namespace

void add_split_command(CLI::App& course, Chosen& chosen) {
  auto options = std::make_shared<SplitCommand>();
  CLI::App* command = course.add_subcommand("split", "cut a file into chunks for the peers, and describe it");
  command->add_option("FILE", options->file, "the file to share")->required();
  add_common_options(*command, options->common);
  command->add_option("--chunk-size", options->chunk_size, "bytes in a chunk: 1000, 512K, 2M")->capture_default_str();
  command->add_option("--peers", options->peers, "who owns the chunks")->delimiter(',')->capture_default_str();
  command->callback([options, &chosen] { chosen.run = [options] { return run_split(*options); }; });
}

void add_merge_command(CLI::App& course, Chosen& chosen) {
  add_result_command(course, chosen, "merge", "put a client's chunks together into the file", run_merge);
}

void add_check_command(CLI::App& course, Chosen& chosen) {
  add_result_command(course, chosen, "check", "compare a client's file with the original", run_check);
}

}  // namespace shoal::app
