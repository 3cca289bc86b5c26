// shoal list: what is shared on this network.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <memory>

#include "app/cli.hpp"
#include "app/json_events.hpp"
#include "app/progress.hpp"
#include "app/swarm_options.hpp"

namespace shoal::app {
namespace {

struct ListOptions {
  SwarmOptions swarm;
  double patience_s = base::to_seconds(roles::ShareSearchOptions{}.patience);
};

void print_json(const roles::FoundShare& share) {
  print_result(boost::json::serialize(boost::json::object{{"event", "share"},
                                                          {"name", to_utf8(share.name)},
                                                          {"info_hash", share.info_hash.to_hex()},
                                                          {"size", share.size_bytes},
                                                          {"files", share.files},
                                                          {"seeds", share.seeds},
                                                          {"leechers", share.leechers},
                                                          {"tracker", share.tracker.to_string()}}));
}

ExitCode run_list(const ListOptions& options) {
  const CommonOptions& common = options.swarm.common;
  auto search_options = make_search_options(options.swarm, TrackerUrls::name_shoal_trackers);
  if (!search_options) return fail(common, ExitCode::usage, search_options.error());
  search_options->goal = roles::ShareSearchOptions::Goal::list;
  search_options->patience = base::from_seconds(options.patience_s);
  const auto search = roles::make_share_search(std::move(*search_options));
  const seam::Finish finish = run_search(options.swarm, *search);
  if (finish.result != seam::Finish::Result::done) return fail(common, exit_code_of(finish.result), finish.message);
  const std::vector<roles::FoundShare>& shares = search->result().shares;
  std::size_t width = 0;
  for (const roles::FoundShare& share : shares) width = std::max(width, share.name.size());
  for (const roles::FoundShare& share : shares) {
    if (common.is_json) {
      print_json(share);
      continue;
    }
    print_result(fmt::format("{:<{}}  {:>10}  {} have it, {} are getting it  {}", printable(share.name), width,
                             describe_bytes(static_cast<double>(share.size_bytes)), share.seeds, share.leechers,
                             share.info_hash.to_hex()));
  }
  return ExitCode::done;
}

}  // namespace

void add_list_command(CLI::App& app, Chosen& chosen) {
  auto options = std::make_shared<ListOptions>();
  CLI::App* command = app.add_subcommand("list", "what is shared on this network");
  add_output_options(*command, options->swarm.common);
  command->add_option("--tracker", options->swarm.trackers,
                      "HOST:PORT or URL of a Shoal tracker, instead of looking for one");
  command->add_option("--bind", options->swarm.bind, "look on the interface with this address only");
  command->add_option("--discovery-port", options->swarm.discovery_port, "the UDP port Shoal trackers are found on")
      ->capture_default_str();
  command->add_option("--patience", options->patience_s, "seconds to wait for a first answer")
      ->check(number_in(0.1, 3600))
      ->capture_default_str();
  command->callback([options, &chosen] { chosen.run = [options] { return run_list(*options); }; });
}

}  // namespace shoal::app
