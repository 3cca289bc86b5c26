#include "app/sequence_diagram.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <variant>

namespace shoal::app {
namespace {

// A run of one message, or of a request and its answer, repeated with one participant.
struct Exchange {
  std::string participant;
  const seam::MessageTrace* request = nullptr;
  const seam::MessageTrace* answer = nullptr;
  std::uint32_t count = 1;
};

constexpr std::uint32_t kShownRunMax = 3;  // runs up to this long are drawn out

bool is_alike(const seam::MessageTrace* one, const seam::MessageTrace* other) {
  if (one == nullptr || other == nullptr) return one == other;
  return one->direction == other->direction && one->message == other->message && one->is_datagram == other->is_datagram;
}

// Mermaid reads ';' as the end of a statement and '#' as an escape.
std::string escape(std::string_view text) {
  std::string escaped;
  for (const char letter : text) {
    if (letter == ';' || letter == '#') {
      fmt::format_to(std::back_inserter(escaped), "#{};", static_cast<int>(letter));
    } else {
      escaped.push_back(letter == '\n' ? ' ' : letter);
    }
  }
  return escaped;
}

constexpr std::string_view kSelfId = "self";

void draw_arrow(std::string& text, const Exchange& exchange, const seam::MessageTrace& message) {
  const bool is_sent = message.direction == seam::MessageDirection::sent;
  const std::string_view from = is_sent ? kSelfId : std::string_view(exchange.participant);
  const std::string_view to = is_sent ? std::string_view(exchange.participant) : kSelfId;
  const std::string_view arrow = message.is_datagram ? "-)" : (exchange.answer == &message ? "-->>" : "->>");
  std::string label = message.message;
  if (!message.detail.empty()) label += " " + message.detail;
  if (exchange.count > 1) label += fmt::format(" and {} more", exchange.count - 1);
  fmt::format_to(std::back_inserter(text), "    {}{}{}: {}\n", from, arrow, to, escape(label));
}

void draw(std::string& text, const Exchange& exchange) {
  if (exchange.count > 1) {
    fmt::format_to(std::back_inserter(text), "    loop {} times\n", exchange.count);
  }
  if (exchange.request != nullptr) draw_arrow(text, exchange, *exchange.request);
  if (exchange.answer != nullptr) draw_arrow(text, exchange, *exchange.answer);
  if (exchange.count > 1) text += "    end\n";
}

}  // namespace

void SequenceDiagram::on_trace(const seam::Trace& trace) {
  if (const auto* message = std::get_if<seam::MessageTrace>(&trace)) {
    const std::string name = name_of(message->remote);
    const auto [known, is_new] = ids_.try_emplace(name, fmt::format("p{}", ids_.size() + 1));
    if (is_new) participants_.push_back(name);
    messages_.push_back({*message, known->second});
  } else if (const auto* tracker = std::get_if<seam::TrackerTrace>(&trace)) {
    names_.try_emplace(tracker->tracker, "tracker " + tracker->tracker.to_string());
  }
}

std::string SequenceDiagram::name_of(const base::Endpoint& remote) const {
  if (remote.address == base::Ipv4Address::limited_broadcast()) return "everybody";
  const auto found = names_.find(remote);
  return found != names_.end() ? found->second : remote.to_string();
}

std::string SequenceDiagram::render() const {
  std::vector<Exchange> exchanges;
  std::map<std::string, std::vector<std::size_t>> unanswered;  // by participant: exchanges that wait for their answer
  for (const Message& message : messages_) {
    const bool is_answer = message.trace.direction == seam::MessageDirection::received;
    std::vector<std::size_t>& waiting = unanswered[message.participant];
    if (is_answer && !waiting.empty()) {
      exchanges[waiting.front()].answer = &message.trace;
      waiting.erase(waiting.begin());
      continue;
    }
    if (!is_answer && !message.trace.is_datagram) waiting.push_back(exchanges.size());
    Exchange exchange{.participant = message.participant, .request = nullptr, .answer = nullptr};
    (is_answer ? exchange.answer : exchange.request) = &message.trace;
    exchanges.push_back(std::move(exchange));
  }

  // Fold: with each participant, an exchange like its previous one joins that one's run.
  std::vector<std::vector<std::size_t>> runs;
  std::map<std::string, std::size_t> open_run;
  for (std::size_t i = 0; i < exchanges.size(); ++i) {
    const auto run = open_run.find(exchanges[i].participant);
    if (run != open_run.end()) {
      const Exchange& previous = exchanges[runs[run->second].back()];
      if (is_alike(previous.request, exchanges[i].request) && is_alike(previous.answer, exchanges[i].answer)) {
        runs[run->second].push_back(i);
        continue;
      }
    }
    open_run[exchanges[i].participant] = runs.size();
    runs.push_back({i});
  }

  std::string text = "sequenceDiagram\n";
  fmt::format_to(std::back_inserter(text), "    participant {} as {}\n", kSelfId, escape(self_));
  for (const std::string& name : participants_) {
    fmt::format_to(std::back_inserter(text), "    participant {} as {}\n", ids_.at(name), escape(name));
  }
  for (const std::vector<std::size_t>& run : runs) {
    if (run.size() <= kShownRunMax) {
      for (const std::size_t index : run) draw(text, exchanges[index]);
      continue;
    }
    Exchange folded = exchanges[run.front()];
    folded.count = static_cast<std::uint32_t>(run.size());
    draw(text, folded);
  }
  return text;
}

}  // namespace shoal::app
