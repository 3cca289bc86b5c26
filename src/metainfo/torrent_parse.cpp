// Reading torrents: everything here comes from strangers.
#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "metainfo/paths.hpp"
#include "metainfo/torrent.hpp"
#include "metainfo/urls.hpp"

namespace shoal::metainfo {
namespace {

constexpr std::size_t kClashWarningsMax = 10;

template <typename Value>
using Parsed = std::expected<Value, TorrentProblem>;

std::unexpected<TorrentProblem> wrong(TorrentError error, std::string detail) {
  return std::unexpected(TorrentProblem{error, std::move(detail)});
}

template <typename Kind>
Parsed<const Kind*> required(const bencode::Value& dictionary, std::string_view key, std::string_view where) {
  const bencode::Value* value = dictionary.find(key);
  const std::string place = fmt::format("{}.{}", where, key);
  if (value == nullptr) return wrong(TorrentError::missing_key, place);
  const Kind* content = std::get_if<Kind>(&value->content);
  if (content == nullptr) return wrong(TorrentError::wrong_type, place);
  return content;
}

// What is wrong with a file is told with its number, from 1: a torrent may have very many.
std::string place_of_file(std::size_t index) {
  return fmt::format("info.files[{}]", index + 1);
}

// One info dictionary. Fills in a torrent from the top of the class to its bottom.
class InfoParser {
 public:
  explicit InfoParser(const bencode::Value& info) : info_(info) {}

  Parsed<Torrent> parse() {
    if (info_.dictionary() == nullptr) return wrong(TorrentError::wrong_type, "info");
    const std::int64_t* version = info_.find_integer("meta version");
    const bool has_version_2 = (version != nullptr && *version >= 2) || info_.find("file tree") != nullptr;
    if (has_version_2 && info_.find("pieces") == nullptr) return wrong(TorrentError::version_2_only, "");
    if (has_version_2) torrent_.warnings.emplace_back("made for versions 1 and 2 of BitTorrent; version 1 is used");
    for (const auto step : {&InfoParser::read_name, &InfoParser::read_piece_length, &InfoParser::read_sizes,
                            &InfoParser::check_clashes, &InfoParser::read_pieces}) {
      if (const Parsed<void> read = (this->*step)(); !read) return std::unexpected(read.error());
    }
    const std::int64_t* is_private = info_.find_integer("private");
    torrent_.is_private = is_private != nullptr && *is_private == 1;
    torrent_.manifest.layout = std::move(layout_);
    torrent_.info.assign(info_.raw.begin(), info_.raw.end());
    torrent_.info_hash = base::sha1(info_.raw);
    return std::move(torrent_);
  }

 private:
  Parsed<void> read_name() {
    // Programs that write other encodings add what the text is in UTF-8.
    const std::string_view* utf8 = info_.find_string("name.utf-8");
    const auto name = required<std::string_view>(info_, "name", "info");
    if (!name) return std::unexpected(name.error());
    torrent_.manifest.name = utf8 != nullptr ? *utf8 : **name;
    if (!is_safe_component(torrent_.manifest.name)) return wrong(TorrentError::bad_path, torrent_.manifest.name);
    return {};
  }

  Parsed<void> read_piece_length() {
    const auto length = required<std::int64_t>(info_, "piece length", "info");
    if (!length) return std::unexpected(length.error());
    if (**length < kPieceBytesMin || **length > kPieceBytesMax) {
      return wrong(TorrentError::bad_piece_length, fmt::format("{}", **length));
    }
    layout_.piece_bytes = static_cast<std::uint32_t>(**length);
    return {};
  }

  Parsed<void> read_sizes() {
    const bencode::Value* files = info_.find("files");
    if (files == nullptr) {
      FileEntry file{.path = {torrent_.manifest.name}};
      if (const Parsed<void> read = read_attributes(info_, file, "info"); !read) return read;
      if (!file.link_target.empty() || file.is_padding) return wrong(TorrentError::no_files, "");
      return add(std::move(file), info_, "info");
    }
    const bencode::List* list = files->list();
    if (list == nullptr) return wrong(TorrentError::wrong_type, "info.files");
    layout_.is_folder = true;
    layout_.files.reserve(list->size());
    for (std::size_t i = 0; i < list->size(); ++i) {
      if (const Parsed<void> read = read_file((*list)[i], place_of_file(i)); !read) return read;
    }
    if (std::ranges::all_of(layout_.files, &FileEntry::is_padding)) return wrong(TorrentError::no_files, "");
    return {};
  }

  Parsed<void> read_file(const bencode::Value& value, const std::string& place) {
    if (value.dictionary() == nullptr) return wrong(TorrentError::wrong_type, place);
    FileEntry file;
    const std::string_view key = value.find_list("path.utf-8") != nullptr ? "path.utf-8" : "path";
    auto path = read_path(value, key, place);
    if (!path) return std::unexpected(path.error());
    file.path = std::move(*path);
    if (const Parsed<void> read = read_attributes(value, file, place); !read) return read;
    return add(std::move(file), value, place);
  }

  // BEP 47. Unknown letters are to be ignored.
  static Parsed<void> read_attributes(const bencode::Value& value, FileEntry& file, const std::string& place) {
    file.modified_s = read_time(value);
    const std::string_view* attributes = value.find_string("attr");
    if (attributes == nullptr) return {};
    file.is_executable = attributes->contains('x');
    file.is_padding = attributes->contains('p');
    if (file.is_padding || !attributes->contains('l')) return {};
    auto target = read_path(value, "symlink path", place);
    if (!target) return std::unexpected(target.error());
    file.link_target = std::move(*target);
    file.is_executable = false;
    return {};
  }

  // A time that no clock shows is as good as none.
  static std::optional<std::int64_t> read_time(const bencode::Value& value) {
    const std::int64_t* seconds = value.find_integer("mtime");
    if (seconds == nullptr || *seconds < 0 || *seconds > kModifiedMax) return std::nullopt;
    return *seconds;
  }

  // A link has no bytes, whatever length it is given.
  Parsed<void> add(FileEntry file, const bencode::Value& value, const std::string& place) {
    if (file.link_target.empty()) {
      const auto length = required<std::int64_t>(value, "length", place);
      if (!length) return std::unexpected(length.error());
      if (**length < 0) return wrong(TorrentError::bad_size, place + ".length");
      file.size_bytes = static_cast<std::uint64_t>(**length);
    }
    if (file.size_bytes > kTotalBytesMax - layout_.total_bytes) return wrong(TorrentError::bad_size, place + ".length");
    file.offset_bytes = layout_.total_bytes;
    layout_.total_bytes += file.size_bytes;
    layout_.files.push_back(std::move(file));
    return {};
  }

  static Parsed<std::vector<std::string>> read_path(const bencode::Value& value, std::string_view key,
                                                    const std::string& place) {
    const auto list = required<bencode::List>(value, key, place);
    if (!list) return std::unexpected(list.error());
    std::vector<std::string> path;
    bool is_safe = !(*list)->empty();
    std::size_t bytes = 0;
    for (const bencode::Value& item : **list) {
      const std::string_view* component = item.string();
      if (component == nullptr) return wrong(TorrentError::wrong_type, fmt::format("{}.{}", place, key));
      is_safe = is_safe && is_safe_component(*component);
      bytes += component->size() + 1;
      path.emplace_back(*component);
    }
    if (!is_safe || bytes > kPathBytesMax + 1) return wrong(TorrentError::bad_path, join_path(path));
    return path;
  }

  Parsed<void> check_clashes() {
    const auto clashes = find_clashes(layout_.files, Letters::exact, 1);
    if (!clashes.empty()) return wrong(TorrentError::duplicate_path, join_path(clashes.front().second->path));
    for (const PathClash& clash : find_clashes(layout_.files, Letters::either_case, kClashWarningsMax)) {
      torrent_.warnings.push_back(fmt::format("{} and {} are one where the case of letters does not count",
                                              join_path(clash.first->path), join_path(clash.second->path)));
    }
    return {};
  }

  Parsed<void> read_pieces() {
    const auto pieces = required<std::string_view>(info_, "pieces", "info");
    if (!pieces) return std::unexpected(pieces.error());
    constexpr std::size_t kHashBytes = base::Sha1Hash::kSize;
    if ((*pieces)->size() % kHashBytes != 0) {
      return wrong(TorrentError::bad_pieces, fmt::format("{} bytes of hashes", (*pieces)->size()));
    }
    const std::uint64_t needed = (layout_.total_bytes + layout_.piece_bytes - 1) / layout_.piece_bytes;
    const std::size_t count = (*pieces)->size() / kHashBytes;
    if (count != needed) {
      return wrong(TorrentError::bad_pieces, fmt::format("{} hashes for {} pieces", count, needed));
    }
    torrent_.manifest.pieces.reserve(count);
    const base::ByteView hashes = base::view_of(**pieces);
    for (std::size_t i = 0; i < count; ++i) {
      torrent_.manifest.pieces.push_back(base::Sha1Hash::from_bytes(hashes.subspan(i * kHashBytes, kHashBytes)));
    }
    return {};
  }

  const bencode::Value& info_;
  Torrent torrent_;
  Layout layout_;
};

// What stands around the info dictionary says where to look and no more: what makes no sense there is left out.
class Surroundings {
 public:
  Surroundings(const bencode::Value& root, Torrent& torrent) : root_(root), torrent_(torrent) {}

  void read() {
    if (const bencode::Value* tiers = root_.find("announce-list")) {
      for (const bencode::Value& tier : items_of(*tiers)) add_tier(tier);
    }
    // It does not count where BEP 12's key is.
    const bencode::Value* announce = root_.find("announce");
    if (torrent_.tracker_tiers.empty() && announce != nullptr) add_tier(*announce);
    if (const bencode::Value* seeds = root_.find("url-list")) {
      for (const bencode::Value& url : items_of(*seeds)) count(add(torrent_.web_seeds, url, kWebSeedsMax));
    }
    if (const std::string_view* comment = root_.find_string("comment")) torrent_.comment = *comment;
    if (const std::string_view* author = root_.find_string("created by")) torrent_.created_by = *author;
    if (const std::int64_t* date = root_.find_integer("creation date")) torrent_.creation_date = *date;
    if (left_out_ > 0) torrent_.warnings.push_back(fmt::format("{} unusable URLs were left out", left_out_));
  }

 private:
  // A string stands for a list of one: BEP 19 allows it, and others write it elsewhere too.
  static std::span<const bencode::Value> items_of(const bencode::Value& value) {
    const bencode::List* list = value.list();
    return list != nullptr ? std::span(*list) : std::span(&value, 1);
  }
  // An empty string is how some say that there is none.
  static bool add(std::vector<std::string>& urls, const bencode::Value& value, std::size_t urls_max) {
    const std::string_view* url = value.string();
    return url != nullptr && (url->empty() || add_url(urls, *url, urls_max));
  }
  void add_tier(const bencode::Value& value) {
    const std::size_t known = trackers_.size();
    for (const bencode::Value& url : items_of(value)) count(add(trackers_, url, kTrackersMax));
    if (trackers_.size() > known) torrent_.tracker_tiers.emplace_back(trackers_.begin() + known, trackers_.end());
  }
  void count(bool is_usable) { left_out_ += is_usable ? 0 : 1; }

  const bencode::Value& root_;
  Torrent& torrent_;
  std::vector<std::string> trackers_;  // of all tiers, each once
  std::size_t left_out_ = 0;
};

Parsed<bencode::Value> parse_dictionary(base::ByteView bytes) {
  if (bytes.size() > kTorrentBytesMax) return wrong(TorrentError::too_big, fmt::format("{} bytes", bytes.size()));
  // A page or another file that was taken for one, rather than one that is damaged.
  const bool is_dictionary = bytes.empty() || bytes.front() == std::byte{'d'};
  if (!is_dictionary) return wrong(TorrentError::not_a_torrent, {});
  auto value = bencode::parse(bytes, bencode::Keys::in_any_order);
  if (!value) {
    return wrong(TorrentError::not_bencode,
                 fmt::format("{} (byte {})", bencode::describe(value.error().error), value.error().offset));
  }
  return std::move(*value);
}

}  // namespace

std::expected<Torrent, TorrentProblem> parse_torrent(base::ByteView bytes) {
  const auto root = parse_dictionary(bytes);
  if (!root) return std::unexpected(root.error());
  const bencode::Value* info = root->find("info");
  if (info == nullptr) return wrong(TorrentError::missing_key, "info");
  auto torrent = InfoParser(*info).parse();
  if (torrent) Surroundings(*root, *torrent).read();
  return torrent;
}

std::expected<Torrent, TorrentProblem> parse_info(base::ByteView info) {
  const auto dictionary = parse_dictionary(info);
  if (!dictionary) return std::unexpected(dictionary.error());
  return InfoParser(*dictionary).parse();
}

}  // namespace shoal::metainfo
