"""Which paths can be the address of a stored file: one spelling for each, and none that means more than it shows."""

import re
import unicodedata

from core.storage.base import InvalidPath

MAX_PATH_BYTES = 1024  # an S3 key has no more, and a PostgreSQL index entry holds it
MAX_NAME_BYTES = 255  # NAME_MAX of the usual Linux file systems
RESERVED_PREFIX = ".stormcloud-"  # half-written files; never a name of a user's

# Reserved in every directory and with every suffix:
# https://learn.microsoft.com/en-us/windows/win32/fileio/naming-a-file#naming-conventions
_DEVICES = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"} | {
    port + digit for port in ("COM", "LPT") for digit in "0123456789"
}
_DRIVE = re.compile(r"[A-Za-z]:")
# Control characters; formatting ones (bidirectional overrides, zero width); line separators; half surrogate pairs.
_INVISIBLE = {"Cc", "Cf", "Zl", "Zp", "Cs"}
# Letters and symbols by their category, with nothing to see.
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")
# Joiners belong to the spelling of many languages and of many emoji; beside ASCII and in a row they would only hide.
_JOINER = re.compile(r"(?<=[^\x00-\x7f\u200c\u200d])[\u200c\u200d](?=[^\x00-\x7f\u200c\u200d])")


def normalize(path: str) -> str:
    """The one spelling (Unicode NFC) of a relative path like `reports/2026.pdf`, or `InvalidPath`, which says why."""
    plain = path.isascii() and path.isprintable()  # most are, and a long listing checks many
    if not plain and any(map(_is_invisible, _JOINER.sub("", path))):
        raise InvalidPath("The path contains a control or invisible character. Remove it.")
    path = unicodedata.normalize("NFC", path)
    if not path:
        raise InvalidPath("The path is empty. Name a file or directory.")
    if "\\" in path:
        raise InvalidPath("The path contains a backslash. Separate directories with '/'.")
    if path.startswith("/"):
        raise InvalidPath("The path is absolute. Give it relative to your own files.")
    if len(path.encode()) > MAX_PATH_BYTES:
        raise InvalidPath(f"The path is longer than {MAX_PATH_BYTES} bytes. Shorten it.")
    for name in path.split("/"):
        _check_name(name)
    return path


def _is_invisible(character: str) -> bool:
    return character in _BLANK or unicodedata.category(character) in _INVISIBLE


def _check_name(name: str) -> None:
    # What other systems read into it: two full-width dots are '..' for them, and U+2100 is 'a/c'.
    meaning = unicodedata.normalize("NFKC", name)
    if not name:
        raise InvalidPath("The path contains an empty name. Write one '/' between names and none at the end.")
    if set(meaning) == {"."}:
        raise InvalidPath("The path contains a name of dots only. Name each directory.")
    if "/" in meaning or "\\" in meaning:
        raise InvalidPath("A name in the path contains a character that stands for a slash. Remove it.")
    if _DRIVE.match(name):
        raise InvalidPath("A name in the path begins like a drive, such as C:. Choose another.")
    if name.endswith(".") or name[-1].isspace():
        raise InvalidPath("A name in the path ends with a dot or a space. Remove it.")
    if meaning.partition(".")[0].rstrip().upper() in _DEVICES:
        raise InvalidPath("A name in the path is a device on Windows, such as CON or NUL. Choose another.")
    if name.lower().startswith(RESERVED_PREFIX):
        raise InvalidPath(f"Names that begin with '{RESERVED_PREFIX}' are the server's own. Choose another.")
    if len(name.encode()) > MAX_NAME_BYTES:
        raise InvalidPath(f"A name in the path is longer than {MAX_NAME_BYTES} bytes. Shorten it.")


def is_usable(path: str) -> bool:
    """Whether a path found on the medium is one that a user could have written."""
    try:
        return normalize(path) == path
    except InvalidPath:
        return False
