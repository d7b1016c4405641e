"""Parse the lines of a requirements file as pip does, and check single requirements."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from posixpath import basename
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from ds01.dataclass import dataclass
from ds01.errors import UsageError

if TYPE_CHECKING:
    from packaging.requirements import Requirement

EXAMPLE_REQUIREMENTS = '"pandas>=2.0,<3", torch, "name @ git+https://HOST/PATH"'
_EXAMPLE_HINT = f"write requirements like {EXAMPLE_REQUIREMENTS}"
_COMMENT = re.compile(r"(^|\s+)#.*$")  # pip's
_FOLDERS = re.compile(r"\.{0,2}/|\.{1,2}(\[|$)|~|([a-z]+\+)?file:|[A-Za-z]:\\")
_ARCHIVES = (".whl", ".zip", ".tar.gz", ".tar.bz2", ".tar.xz", ".tgz", ".tbz", ".txz")
_SCHEME = re.compile(r"[a-z]+(\+[a-z]+)?://")
_REPOSITORY = re.compile(r"(git|hg|svn|bzr)\+(https?|ssh|git|svn)://\S+")


@dataclass(frozen=True)
class RequirementLine:
    """`written` is the text in the file, line ends included; `content` what pip uses of it, possibly nothing."""

    written: str
    content: str

    @property
    def comment(self) -> str:
        """The comment after the content, with the space before it."""
        found = _COMMENT.search(_strip_line_end(self.written.splitlines(keepends=True)[-1]))
        return found[0] if found and self.content else ""


def logical_lines(text: str) -> Iterator[RequirementLine]:
    """Yield the logical lines: continued lines are joined, and a comment ends a continued line."""
    written, joined = "", ""
    for line in text.splitlines(keepends=True):  # pip too splits at all line ends of Unicode
        stripped = _strip_line_end(line)
        written += line
        is_comment = _COMMENT.match(stripped) is not None
        if stripped.endswith("\\") and not is_comment:
            joined += stripped.strip("\\")
            continue
        joined += f" {stripped}" if is_comment else stripped
        yield RequirementLine(written, _COMMENT.sub("", joined).strip())
        written, joined = "", ""
    if written:
        yield RequirementLine(written, _COMMENT.sub("", joined).strip())


def split_options(content: str) -> tuple[str, str]:
    """Split a line into requirement and options; pip splits at the first word with a hyphen."""
    words = content.split(" ")
    option_start = next((number for number, word in enumerate(words) if word.startswith("-")), len(words))
    return " ".join(words[:option_start]).strip(), " ".join(words[option_start:]).strip()


def check_requirement(requirement: str, *, in_file: bool = False) -> None:
    """Raise UsageError for text that pip would refuse, or not read as a single requirement.

    `in_file`: a URL need not name an archive; on a command line such a URL is probably a mistake.
    """
    text = requirement.strip()
    shown = text if len(text) < 80 else f"{text[:80]}…"
    if has_control_characters(requirement):
        raise UsageError(
            f"{shown!r} contains a line break or another control character",
            hint=_EXAMPLE_HINT,
        )
    if text.startswith("-"):
        raise UsageError(
            f"'{shown}' is an option of pip", hint="write options into a file and name it: `--requirements FILE`"
        )
    if _is_local(text):
        raise UsageError(
            f"'{shown}' is a file or a directory of yours",
            why="the build sees none of your directories",
            hint="put it into a Git repository, and write: NAME @ git+https://HOST/PATH",
        )
    if re.search(r"\s[-#]", text) or text.endswith("\\"):
        raise UsageError(f"'{shown}' is more than one requirement to pip", hint=_EXAMPLE_HINT)
    address = _without_marker(text)
    if not (_is_address(address) or (in_file and _is_page(address))):
        _check_scheme(text, shown)
        _require_valid(text, shown)
    elif address != text:
        _check_marker(text, shown)


def has_control_characters(text: str) -> bool:
    """Return whether a text contains line ends of any kind, or characters that UTF-8 cannot encode."""
    return any(unicodedata.category(letter) in ("Cc", "Zl", "Zp", "Cs") for letter in text)


def requirement_name(requirement: str) -> str | None:
    """Return the identity of a requirement: the package's normalised name, or else its URL without the revision.

    None if the text is not a requirement.
    """
    from packaging.utils import canonicalize_name

    text = _without_marker(split_options(requirement.strip())[0])
    if _is_address(text):
        package_name = _name_from_address(text)
        return canonicalize_name(package_name) if package_name else _without_revision(text)
    parsed = _parse_or_none(text)
    return None if parsed is None else canonicalize_name(parsed.name)


def is_requirement(text: str) -> bool:
    """Return whether a text is a single requirement, whether or not its URL can be reached."""
    return _parse_or_none(text) is not None


def bare_name(requirement: str) -> str | None:
    """Return the package's name if there is nothing else: no version, extras, marker or URL."""
    from packaging.utils import canonicalize_name

    parsed = _parse_or_none(requirement)
    if parsed is None or parsed.specifier or parsed.extras or parsed.url or parsed.marker:
        return None
    return canonicalize_name(parsed.name)


def _strip_line_end(line: str) -> str:
    stripped = line.splitlines()
    return stripped[0] if stripped else ""


def _parse_or_none(text: str) -> Requirement | None:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        return Requirement(text)
    except InvalidRequirement:
        return None


def _require_valid(text: str, shown: str) -> None:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        parsed = Requirement(text)
    except InvalidRequirement as error:
        hint = "write ==2.0, with two =" if re.search(r"[^=<>!~]=[^=]", text) else _EXAMPLE_HINT
        why = str(error).partition("\n")[0]
        raise UsageError(f"'{shown}' is not a requirement that pip understands", why=why, hint=hint) from None
    if parsed.url is not None and not re.match(r"https?://\S+$", parsed.url) and not _is_address(parsed.url):
        raise UsageError(
            f"'{shown}' is at an address that a build cannot reach",
            why=f"it is {parsed.url}",
            hint="use an address like https://HOST/FILE.whl or git+https://HOST/PATH",
        )


def _check_scheme(text: str, shown: str) -> None:
    """Raise UsageError for a URL that pip cannot install from; anything else passes."""
    if not _SCHEME.match(text):
        return
    if re.search(r"\s", text):
        raise UsageError(
            f"'{shown}' has text after its URL that pip takes as part of it",
            why="pip needs a space on both sides of the semicolon before an environment marker",
            hint="write it like https://HOST/FILE.whl ; python_version < '3.12'",
        )
    is_page = _is_page(text)
    raise UsageError(
        f"'{shown}' is at an address that a build cannot install from",
        why=f"it does not end in the name of an archive ({', '.join(_ARCHIVES[:3])})"
        if is_page
        else "its scheme is neither https nor git+https",
        hint="use an address like https://HOST/FILE.whl or git+https://HOST/PATH",
    )


def _is_local(text: str) -> bool:
    if _FOLDERS.match(text):
        return True
    stripped = text.partition("[")[0].partition(";")[0].strip().lower()
    return "://" not in text and "@" not in text and ("/" in stripped or stripped.endswith(_ARCHIVES))


def _is_address(text: str) -> bool:
    """Return whether the text is a URL that pip accepts in place of a requirement."""
    if _REPOSITORY.fullmatch(text):
        return True
    return _is_page(text) and _url_path(text).lower().endswith(_ARCHIVES)


def _is_page(text: str) -> bool:
    return re.fullmatch(r"https?://\S+", text) is not None


def _without_marker(text: str) -> str:
    """Return a URL without the environment marker after it, which a space separates; other text is unchanged."""
    address = text.partition("; ")[0].rstrip()
    return address if _is_address(address) or _is_page(address) else text


def _check_marker(text: str, shown: str) -> None:
    from packaging.markers import InvalidMarker, Marker

    try:
        Marker(text.partition("; ")[2])
    except InvalidMarker as error:
        why = str(error).partition("\n")[0]
        hint = "like https://HOST/FILE.whl ; python_version < '3.12'"
        raise UsageError(f"the environment marker of '{shown}' is wrong", why=why, hint=hint) from None


def _name_from_address(address: str) -> str | None:
    """Return the package's name in a URL: from its fragment, or from the file name."""
    from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename

    egg = parse_qs(address.partition("#")[2]).get("egg")
    if egg:
        return egg[0].partition("[")[0]
    file = basename(unquote(_url_path(address)))
    try:
        return str(parse_wheel_filename(file)[0] if file.endswith(".whl") else parse_sdist_filename(file)[0])
    except (InvalidWheelFilename, InvalidSdistFilename):
        return None


def _without_revision(address: str) -> str:
    before, slash, last = address.partition("#")[0].rpartition("/")
    return f"{before}{slash}{last.partition('@')[0]}"


def _url_path(address: str) -> str:
    try:
        return urlsplit(address).path
    except ValueError:  # such as an unclosed bracket in the host
        return ""
