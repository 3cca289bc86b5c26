#include "metainfo/torrent.hpp"

#include <algorithm>
#include <bit>

#include "base/check.hpp"

namespace shoal::metainfo {
namespace {

void write_path(bencode::Writer& out, std::string_view key, const std::vector<std::string>& path) {
  out.key(key).begin_list();
  for (const std::string& component : path) out.string(component);
  out.end();
}

std::string attributes_of(const FileEntry& file) {
  std::string letters;
  if (!file.link_target.empty()) letters += 'l';
  if (file.is_padding) letters += 'p';
  if (file.is_executable) letters += 'x';
  return letters;
}

// A plain file has no attributes, so that its dictionary is what every other program makes of it.
void write_attributes(bencode::Writer& out, const FileEntry& file) {
  const std::string letters = attributes_of(file);
  if (!letters.empty()) out.key("attr").string(letters);
}

// Not of BEP 3 or 47, but libtorrent writes it, and others keep it.
void write_time(bencode::Writer& out, const FileEntry& file) {
  if (file.modified_s) out.key("mtime").integer(*file.modified_s);
}

void write_files(bencode::Writer& out, const Layout& layout) {
  out.key("files").begin_list();
  for (const FileEntry& file : layout.files) {
    out.begin_dictionary();
    write_attributes(out, file);
    out.key("length").integer(static_cast<std::int64_t>(file.size_bytes));
    write_time(out, file);
    write_path(out, "path", file.path);
    if (!file.link_target.empty()) write_path(out, "symlink path", file.link_target);
    out.end();
  }
  out.end();
}

void write_trackers(bencode::Writer& out, const std::vector<std::vector<std::string>>& tiers) {
  if (tiers.empty()) return;
  SHOAL_CHECK(!tiers.front().empty());
  out.key("announce").string(tiers.front().front());
  if (tiers.size() == 1 && tiers.front().size() == 1) return;
  out.key("announce-list").begin_list();
  for (const auto& tier : tiers) {
    out.begin_list();
    for (const std::string& url : tier) out.string(url);
    out.end();
  }
  out.end();
}

void write_web_seeds(bencode::Writer& out, const std::vector<std::string>& urls) {
  if (urls.empty()) return;
  out.key("url-list");
  if (urls.size() == 1) {  // BEP 19 knows both forms, and some programs only this one
    out.string(urls.front());
    return;
  }
  out.begin_list();
  for (const std::string& url : urls) out.string(url);
  out.end();
}

std::string_view what_is_wrong(TorrentError error) {
  switch (error) {
    case TorrentError::not_a_torrent:
      return "it is not a .torrent file";
    case TorrentError::not_bencode:
      return "not bencoded as a torrent is";
    case TorrentError::missing_key:
      return "it lacks a key";
    case TorrentError::wrong_type:
      return "a value is of the wrong type";
    case TorrentError::bad_piece_length:
      return "the piece length is not one that can be used";
    case TorrentError::bad_pieces:
      return "the piece hashes do not fit the sizes of the files";
    case TorrentError::bad_size:
      return "a size is negative, or all together are too big";
    case TorrentError::bad_path:
      return "a path could lead out of the folder, or is no path a disk can hold";
    case TorrentError::duplicate_path:
      return "two files claim one place";
    case TorrentError::no_files:
      return "it has no files";
    case TorrentError::version_2_only:
      return "it is for version 2 of BitTorrent only, which is not spoken here; one made for both versions would do";
    case TorrentError::too_big:
      return "it is too big";
  }
  return "unknown";
}

}  // namespace

std::string TorrentProblem::describe() const {
  std::string text(what_is_wrong(error));
  if (!detail.empty()) text += ": " + detail;
  return text;
}

base::Bytes encode_info(const Manifest& manifest, bool is_private) {
  SHOAL_CHECK(manifest.layout && !manifest.layout->files.empty());
  const Layout& layout = *manifest.layout;
  bencode::Writer out;
  out.begin_dictionary();
  if (layout.is_folder) {
    write_files(out, layout);
  } else {
    SHOAL_CHECK(layout.files.size() == 1);
    write_attributes(out, layout.files.front());
    out.key("length").integer(static_cast<std::int64_t>(layout.total_bytes));
    write_time(out, layout.files.front());
  }
  out.key("name").string(manifest.name);
  out.key("piece length").integer(layout.piece_bytes);
  base::ByteWriter hashes(manifest.pieces.size() * base::Sha1Hash::kSize);
  for (const base::Sha1Hash& hash : manifest.pieces) hashes.append(base::ByteView(hash.bytes));
  out.key("pieces").string(base::ByteView(hashes.take()));
  if (is_private) out.key("private").integer(1);
  return out.end().take();
}

base::Bytes encode_trackers(const std::vector<std::vector<std::string>>& tiers) {
  bencode::Writer out;
  out.begin_dictionary();
  write_trackers(out, tiers);
  const base::Bytes dictionary = out.end().take();
  return {dictionary.begin() + 1, dictionary.end() - 1};
}

base::Bytes encode_torrent(const Torrent& torrent) {
  bencode::Writer out;
  out.begin_dictionary();
  write_trackers(out, torrent.tracker_tiers);
  if (!torrent.comment.empty()) out.key("comment").string(torrent.comment);
  if (!torrent.created_by.empty()) out.key("created by").string(torrent.created_by);
  if (torrent.creation_date) out.key("creation date").integer(*torrent.creation_date);
  out.key("info").raw(torrent.info);
  write_web_seeds(out, torrent.web_seeds);
  return out.end().take();
}

Torrent make_torrent(Manifest manifest, bool is_private) {
  Torrent torrent{.info = encode_info(manifest, is_private), .is_private = is_private};
  torrent.info_hash = base::sha1(torrent.info);
  torrent.manifest = std::move(manifest);
  return torrent;
}

std::uint32_t choose_piece_bytes(std::uint64_t total_bytes) {
  constexpr std::uint64_t kPiecesMin = 1000;
  constexpr std::uint64_t kSmallest = 16 * 1024;
  constexpr std::uint64_t kLargest = 16 * 1024 * 1024;
  return static_cast<std::uint32_t>(std::clamp(std::bit_floor(total_bytes / kPiecesMin), kSmallest, kLargest));
}

}  // namespace shoal::metainfo
