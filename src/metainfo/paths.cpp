#include "metainfo/paths.hpp"

#include <algorithm>

#include "base/ascii.hpp"

namespace shoal::metainfo {
namespace {

// Component by component, so that a folder stands right before everything in it.
class PathOrder {
 public:
  explicit PathOrder(Letters letters) : letters_(letters) {}

  bool operator()(const FileEntry* left, const FileEntry* right) const {
    return std::ranges::lexicographical_compare(
        left->path, right->path, [this](const std::string& a, const std::string& b) { return compare(a, b) < 0; });
  }
  [[nodiscard]] bool is_same_or_above(const FileEntry& upper, const FileEntry& lower_one) const {
    return upper.path.size() <= lower_one.path.size() &&
           std::ranges::equal(upper.path, std::span(lower_one.path).first(upper.path.size()),
                              [this](const std::string& a, const std::string& b) { return compare(a, b) == 0; });
  }

 private:
  [[nodiscard]] int compare(std::string_view a, std::string_view b) const {
    if (letters_ == Letters::exact) return a.compare(b);
    const auto [left, right] = std::ranges::mismatch(a, b, base::is_same_letter);
    if (left == a.end() || right == b.end()) return (left != a.end()) - (right != b.end());
    return static_cast<unsigned char>(base::ascii_lower(*left)) < static_cast<unsigned char>(base::ascii_lower(*right))
               ? -1
               : 1;
  }

  Letters letters_;
};

}  // namespace

bool is_safe_component(std::string_view component) {
  return !component.empty() && component != "." && component != ".." && component.size() <= kComponentBytesMax &&
         component.find_first_of(std::string_view("\0/", 2)) == std::string_view::npos;
}

std::string join_path(std::span<const std::string> path) {
  std::string joined;
  for (const std::string& component : path) {
    if (!joined.empty()) joined += '/';
    joined += component;
  }
  return joined;
}

std::vector<PathClash> find_clashes(std::span<const FileEntry> files, Letters letters, std::size_t clashes_max) {
  std::vector<const FileEntry*> sorted;
  sorted.reserve(files.size());
  for (const FileEntry& file : files) {
    if (!file.is_padding) sorted.push_back(&file);
  }
  const PathOrder order(letters);
  std::ranges::sort(sorted, order);
  std::vector<PathClash> clashes;
  for (std::size_t i = 1; i < sorted.size() && clashes.size() < clashes_max; ++i) {
    if (order.is_same_or_above(*sorted[i - 1], *sorted[i])) clashes.push_back({sorted[i - 1], sorted[i]});
  }
  return clashes;
}

}  // namespace shoal::metainfo
