"""C++ text with what is not code blanked out, for the tools that check rules. Lengths and line breaks stay, so every
offset in the result is an offset in the file."""
import pathlib
import re

SOURCE_SUFFIXES = {".cpp", ".hpp"}

_TOKEN = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?\*/)
      | (?P<raw>R"(?P<fence>[^\s()\\]{0,16})\(.*?\)(?P=fence)")
      | (?P<number>\b\d(?:'?[\w.])*)            # before characters: 1'000 opens none
      | (?P<string>"(?:\\.|[^"\\\n])*")
      | (?P<char>'(?:\\.|[^'\\\n])*')""",
    re.VERBOSE | re.DOTALL)
_DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.MULTILINE)


def _spaces(text):
    return re.sub(r"[^\n]", " ", text)


def without_comments(text):
    """Comments are blank; strings and directives stay."""
    return _TOKEN.sub(lambda m: _spaces(m[0]) if m["comment"] else m[0], text)


def only_code(text):
    """Comments, the insides of strings and characters, and preprocessor directives are blank."""
    def blank(match):
        if match["number"]:
            return match[0]
        if match["comment"]:
            return _spaces(match[0])
        return '"' + _spaces(match[0][1:-1]) + '"'
    return _DIRECTIVE.sub(lambda m: _spaces(m[0]), _TOKEN.sub(blank, text))


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def sources(root, *folders):
    """The C++ files below the named folders of root, in order."""
    for folder in folders:
        for path in sorted(pathlib.Path(root, folder).rglob("*")):
            if path.suffix in SOURCE_SUFFIXES and path.is_file():
                yield path
