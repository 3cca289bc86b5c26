// Draws the messages that were really exchanged as a Mermaid sequence diagram: fed with a machine's traces, it writes
// the text at the end. Long runs of the same exchange with the same participant are folded into one pair of arrows
// with a count, so that a diagram of ten thousand chunks still fits a page.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/endpoint.hpp"
#include "seam/trace.hpp"

namespace shoal::app {

class SequenceDiagram {
 public:
  // `self`: how the diagram calls the traced machine.
  explicit SequenceDiagram(std::string self) : self_(std::move(self)) {}

  // Gives an address a name to be shown instead of it ("alice").
  void name_participant(const base::Endpoint& endpoint, const std::string& name) { names_[endpoint] = name; }
  void on_trace(const seam::Trace& trace);
  [[nodiscard]] std::string render() const;

 private:
  // Everything exchanged with one participant is folded on its own, in the order it began.
  struct Message {
    seam::MessageTrace trace;
    std::string participant;  // its id
  };

  [[nodiscard]] std::string name_of(const base::Endpoint& remote) const;

  std::string self_;
  std::map<base::Endpoint, std::string> names_;
  // Ids stand for names in the diagram's arrows, because a ':' would end them.
  std::map<std::string, std::string> ids_;
  std::vector<std::string> participants_;  // names, in order of appearance
  std::vector<Message> messages_;
};

}  // namespace shoal::app
