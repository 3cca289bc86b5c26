#include "metainfo/selection.hpp"

#include <algorithm>
#include <cstdint>

#include "base/check.hpp"
#include "metainfo/paths.hpp"

namespace shoal::metainfo {
namespace {

enum class TokenKind : std::uint8_t { literal, one_character, in_component, across, components };

struct Token {
  TokenKind kind = TokenKind::literal;
  char letter = '\0';  // of a literal
};

std::vector<Token> tokens_of(std::string_view pattern) {
  std::vector<Token> tokens;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const std::string_view rest = pattern.substr(i);
    if (rest.starts_with("**/") && (i == 0 || pattern[i - 1] == '/')) {
      tokens.push_back({TokenKind::components});
      i += 2;
    } else if (rest.starts_with("**")) {
      tokens.push_back({TokenKind::across});
      ++i;
    } else if (rest.front() == '*') {
      tokens.push_back({TokenKind::in_component});
    } else if (rest.front() == '?') {
      tokens.push_back({TokenKind::one_character});
    } else {
      tokens.push_back({TokenKind::literal, rest.front()});
    }
  }
  return tokens;
}

bool continues_character(char letter) {
  return (static_cast<unsigned char>(letter) & 0xc0u) == 0x80u;
}

// `reached[i]`: the tokens so far match the first i bytes of the path. Adds one more token; no backtracking, so that no
// pattern takes long.
std::vector<bool> step(const std::vector<bool>& reached, std::string_view path, const Token& token) {
  std::vector<bool> next(reached.size());
  bool carries = false;  // some earlier position is reached and this token can stretch from there to here
  for (std::size_t i = 0; i < reached.size(); ++i) {
    const char before = i > 0 ? path[i - 1] : '\0';
    switch (token.kind) {
      case TokenKind::literal:
        next[i] = i > 0 && reached[i - 1] && before == token.letter;
        break;
      case TokenKind::one_character:
        // `carries`: the character that began at a reached position is not over yet.
        carries = i > 0 && ((reached[i - 1] && before != '/') || (carries && continues_character(before)));
        next[i] = carries && (i == path.size() || !continues_character(path[i]));
        break;
      case TokenKind::in_component:
        carries = reached[i] || (carries && before != '/');
        next[i] = carries;
        break;
      case TokenKind::across:
        carries = carries || reached[i];
        next[i] = carries;
        break;
      case TokenKind::components:
        next[i] = reached[i] || (carries && before == '/');
        carries = carries || reached[i];
        break;
    }
  }
  return next;
}

bool matches(std::string_view path, const std::vector<Token>& tokens) {
  std::vector<bool> reached(path.size() + 1);
  reached[0] = true;
  for (const Token& token : tokens) {
    reached = step(reached, path, token);
    if (std::ranges::find(reached, true) == reached.end()) return false;
  }
  return reached.back();
}

std::string_view last_component(std::string_view path) {
  return path.substr(path.rfind('/') + 1);  // npos + 1 is 0: all of it
}

}  // namespace

bool matches_glob(std::string_view path, std::string_view pattern) {
  if (pattern.find('/') == std::string_view::npos) path = last_component(path);
  return matches(path, tokens_of(pattern));
}

std::vector<bool> select_files(const Layout& layout, const std::vector<std::string>& patterns) {
  std::vector<bool> selected(layout.files.size());
  for (std::size_t i = 0; i < layout.files.size(); ++i) {
    const FileEntry& file = layout.files[i];
    if (file.is_padding) continue;
    const std::string path = join_path(file.path);
    selected[i] = patterns.empty() ||
                  std::ranges::any_of(patterns, [&](const std::string& glob) { return matches_glob(path, glob); });
  }
  return selected;
}

base::Bitfield pieces_of_files(const Layout& layout, const std::vector<bool>& selected) {
  SHOAL_CHECK(selected.size() == layout.files.size());
  if (layout.total_bytes == 0) return {};
  base::Bitfield pieces(static_cast<std::uint32_t>((layout.total_bytes - 1) / layout.piece_bytes + 1));
  for (std::size_t i = 0; i < layout.files.size(); ++i) {
    if (selected[i]) for_each_piece(layout, layout.files[i], [&](base::PieceIndex piece) { pieces.set(piece); });
  }
  return pieces;
}

}  // namespace shoal::metainfo
