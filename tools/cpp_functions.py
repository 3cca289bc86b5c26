"""Finds the functions of a C++ file: name, first and last line, number of parameters. It matches braces and reads the
text before each one; it relies on code that compiles and is formatted, and knows no types. What stands inside a
function (lambdas, local classes) belongs to it."""
import dataclasses
import re

import cpp_text

_ACCESS = re.compile(r"\s*\b(public|private|protected)\s*:(?!:)")
_ATTRIBUTE = re.compile(r"\[\[.*?\]\]", re.DOTALL)
_OPERATOR = re.compile(r"\boperator\s*(\(\s*\)|\[\s*\]|\"\"\s*\w+|[^\s\w(]+)")
# What stands before a brace that holds declarations.
_SCOPE = re.compile(r"\b(class|struct|union|namespace)\b|\bextern\s*\"\s*\"\s*$")
# Words before a parenthesis that open no parameter list.
_NOT_NAMES = {"decltype", "noexcept", "alignas", "explicit", "requires", "sizeof", "static_assert", "__attribute__"}
_NOT_FUNCTIONS = re.compile(r"\s*(using|typedef|static_assert|friend\s+(class|struct))\b")
_OPEN, _CLOSE = "([{", ")]}"


@dataclasses.dataclass(frozen=True)
class Function:
    name: str
    first_line: int
    last_line: int
    parameters: int

    @property
    def lines(self):
        return self.last_line - self.first_line + 1


def _matching(text, start):
    """The offset after the bracket that closes the one at `start`."""
    depth = 0
    for index in range(start, len(text)):
        if text[index] in _OPEN:
            depth += 1
        elif text[index] in _CLOSE:
            depth -= 1
            if depth == 0:
                return index + 1
    return len(text)


def _after_angles(text, start):
    """The offset after the > that closes the < at `start`."""
    depth, index = 0, start
    while index < len(text):
        if text[index] in _OPEN:
            index = _matching(text, index)
            continue
        if text[index] == "<":
            depth += 1
        elif text[index] == ">" and text[index - 1] not in "-=":
            depth -= 1
            if depth == 0:
                return index + 1
        index += 1
    return len(text)


def _without_template(head):
    """The head of a declaration without its leading template<...> and requires (...) parts."""
    while match := re.match(r"\s*template\s*<", head):
        head = head[_after_angles(head, match.end() - 1):]
    while match := re.match(r"\s*requires\s*(requires\s*)?\(", head):
        head = head[_matching(head, match.end() - 1):].lstrip()
        head = head[_matching(head, 0):] if head.startswith("{") else head
    return head


def _plain(head):
    head = _ATTRIBUTE.sub(" ", head)
    return _OPERATOR.sub(lambda m: "operator" + "_" * len(m[1]), _without_template(head))


def _parameter_list(head):
    """(name, offset of its parenthesis) of the first parameter list outside template arguments, or None. An = before
    it makes the statement a variable."""
    index = 0
    while index < len(head):
        char = head[index]
        if char == "=":
            return None
        if char == "<" and index and (head[index - 1].isalnum() or head[index - 1] == "_"):
            index = _after_angles(head, index)
            continue
        if char == "(":
            name = re.search(r"([~\w:]+)\s*$", head[:index])
            if name and name[1] not in _NOT_NAMES:
                return name[1], index
        index = _matching(head, index) if char in _OPEN else index + 1
    return None


def _count_parameters(inside):
    if inside.strip() in ("", "void"):
        return 0
    count, index = 1, 0
    while index < len(inside):
        char = inside[index]
        if char == ",":
            count += 1
        if char in _OPEN:
            index = _matching(inside, index)
        elif char == "<" and index and (inside[index - 1].isalnum() or inside[index - 1] == "_"):
            index = _after_angles(inside, index)
        else:
            index += 1
    return count


def _starts_body(head, parameters_end):
    """Whether the brace after `head` opens the function's body; else it initialises a member in the constructor's
    list, where a name stands before it."""
    tail = head[parameters_end:]
    in_member_list = re.match(r"\s*(noexcept\s*(\([^)]*\))?\s*)?:(?!:)", tail)
    return not in_member_list or tail.rstrip()[-1:] in (")", "}")


def functions(text):
    """Every function that is declared or defined in `text` outside other functions, in order."""
    code = cpp_text.only_code(text)
    found = []
    start = index = 0  # the statement being read begins at start
    while index < len(code):
        char = code[index]
        access = _ACCESS.match(code, index) if index == start else None
        if access:
            start = index = access.end()
        elif char == "}":
            start = index = index + 1
        elif char in "([":
            index = _matching(code, index)
        elif char not in "{;":
            index += 1
        elif char == "{" and _opens_scope(code[start:index]):
            start = index = index + 1
        else:
            end = _matching(code, index) if char == "{" else index + 1
            function = _function_at(code, start, index, end)
            if function:
                found.append(function)
            if function or char == ";":
                start = end
            index = end
    return found


def _opens_scope(head):
    plain = _plain(head)
    return bool(_SCOPE.search(plain)) and "enum" not in plain.split() and not _parameter_list(plain)


def _function_at(code, start, index, end):
    """The function whose head is code[start:index] and whose body or semicolon ends at `end`, if it is one."""
    head = code[start:index]
    plain = _plain(head)
    named = None if _NOT_FUNCTIONS.match(plain) else _parameter_list(plain)
    if not named:
        return None
    name, offset = named
    parameters_end = _matching(plain, offset)
    if code[index] == "{" and not _starts_body(plain, parameters_end):
        return None
    inside = plain[offset + 1:parameters_end - 1]
    if name.isupper():  # TEST(Suite, Name) { ... }
        name = ".".join(word.strip() for word in inside.split(",")[:2])
    first = start + len(head) - len(head.lstrip())
    return Function(name, cpp_text.line_of(code, first), cpp_text.line_of(code, end - 1),
                    _count_parameters(inside))
