#include "roles/name_files.hpp"

#include <algorithm>
#include <span>

#include "metainfo/paths.hpp"
#include "metainfo/selection.hpp"

namespace shoal::roles {
namespace {

constexpr std::size_t kNamedMax = 10;

std::string join_names(const std::vector<const metainfo::FileEntry*>& files) {
  std::string names;
  for (const metainfo::FileEntry* file : std::span(files).first(std::min(files.size(), kNamedMax))) {
    names += (names.empty() ? "" : ", ") + metainfo::join_path(file->path);
  }
  if (files.size() > kNamedMax) names += " and " + std::to_string(files.size() - kNamedMax) + " more";
  return names;
}

bool has_bytes_in(const metainfo::Layout& layout, const metainfo::FileEntry& file,
                  const std::vector<base::PieceIndex>& pieces) {
  bool has_any = false;
  metainfo::for_each_piece(
      layout, file, [&](base::PieceIndex piece) { has_any = has_any || std::ranges::binary_search(pieces, piece); });
  return has_any;
}

}  // namespace

std::string name_files(const metainfo::Layout& layout) {
  std::vector<const metainfo::FileEntry*> files;
  for (const metainfo::FileEntry& file : layout.files) {
    if (!file.is_padding) files.push_back(&file);
  }
  return join_names(files);
}

std::string name_files_with(const metainfo::Layout& layout, const std::vector<base::PieceIndex>& pieces,
                            const std::vector<std::string>& selected) {
  const std::vector<bool> is_selected = metainfo::select_files(layout, selected);
  std::vector<const metainfo::FileEntry*> files;
  for (std::size_t i = 0; i < layout.files.size(); ++i) {
    if (is_selected[i] && has_bytes_in(layout, layout.files[i], pieces)) files.push_back(&layout.files[i]);
  }
  return join_names(files);
}

}  // namespace shoal::roles
