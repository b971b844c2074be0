import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.storage.base import InvalidPath
from core.storage.paths import MAX_NAME_BYTES, MAX_PATH_BYTES, is_usable, normalize

ACCEPTED = [
    "a.txt",
    "reports/2026/annual report.pdf",
    ".gitignore",
    "...hidden",
    "console.log",  # only the name before the first dot can be a device
    "con-fusion/nullable.txt",
    "com10",
    "Meeting 10:30.txt",
    "naïve/日本語/Ελληνικά.txt",
    "wait…",
    "50%.txt",
    "%2e%2e",  # decoded once by the server; this is a name with percent signs
    "n" * MAX_NAME_BYTES,
    "/".join(["n" * 100] * 10),
    "\U0001f468\u200d\U0001f469\u200d\U0001f467.png",
    "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645.txt",
]

REFUSED = {
    "empty": ["", "/", "a//b", "a/", "/a"],
    "dots": [
        ".",
        "..",
        "../a",
        "a/..",
        "a/../b",
        "a/./b",
        "...",
        "\uff0e\uff0e",
        "a/\u2024\u2024/b",
        "\u2025",
        "\ufe52",
    ],
    "absolute": ["/etc/passwd", "C:/Windows", "c:x", "docs/C:x"],
    "backslash": ["..\\a", "a\\b", "\\\\server\\share", "a\uff3cb"],
    "slash in disguise": ["a\uff0fb", "\u2100"],
    "control": ["a\0b", "\0", "a\nb", "a\rb", "a\x1b[31m", "a\x7f", "a\x85b", "a\u2028b", "a\u2029b"],
    "invisible": ["a\u200bb", "a\u200db", "\ufeffa", "a\u00adb", "a\u2060b", "a\U000e0041", "\u3164", "a\u2800b"],
    "joiner that joins nothing": ["\u200dé", "é\u200d", "é\u200d/é", "é\u200d\u200dé", "é\u200cb"],
    "bidirectional": ["a\u202egpj.exe", "a\u2066b", "a\u200fb"],
    "surrogate": ["a\ud800b", "\udcff"],
    "trailing": ["a.", "a ", "a/b./c", "a /b", "a\u00a0", "a\u3000"],
    "device": [
        "CON",
        "nul",
        "a/PRN",
        "aux.txt",
        "COM1",
        "lpt9.tar.gz",
        "COM¹",
        "CONOUT$",
        "\uff23\uff2f\uff2e",
        "nul .txt",
    ],
    "reserved": [".stormcloud-tmp", "a/.StormCloud-x"],
    "long": ["n" * (MAX_NAME_BYTES + 1), "é" * 128, "/".join(["n" * 100] * 11), "a/" * 512 + "b"],
}


@pytest.mark.parametrize("path", ACCEPTED)
def test_an_honest_path_stays_as_it_is(path):
    assert normalize(path) == path
    assert is_usable(path)


@pytest.mark.parametrize(("why", "path"), [(why, path) for why, paths in REFUSED.items() for path in paths])
def test_a_path_that_means_more_than_it_shows_is_refused(why, path):
    with pytest.raises(InvalidPath) as refused:
        normalize(path)
    # The message names the fix and repeats nothing that could break a terminal or a log line.
    assert str(refused.value).isprintable()
    assert not is_usable(path)


def test_two_spellings_of_one_name_become_one():
    assert normalize("re\u0301sume\u0301.txt") == "r\u00e9sum\u00e9.txt"
    assert not is_usable("re\u0301sume\u0301.txt")


@given(st.text(st.characters(codec=None), max_size=60) | st.text("./\\ aA:\0\u202e\uff0econ", max_size=40))
@example("a" * MAX_PATH_BYTES)
def test_whatever_is_accepted_is_safe_below_a_directory(path):
    try:
        accepted = normalize(path)
    except InvalidPath:
        return
    assert normalize(accepted) == accepted
    assert len(accepted.encode()) <= MAX_PATH_BYTES
    for spelling in (accepted, unicodedata.normalize("NFKC", accepted)):
        assert not spelling.startswith("/")
        assert not {"", ".", ".."} & set(spelling.split("/"))
        assert not set(spelling) & {"\0", "\\", "\n", "\u202e"}


@given(st.binary(max_size=30))
def test_any_name_found_on_a_disk_can_be_judged(name):
    usable = is_usable(name.decode("utf-8", "surrogateescape"))
    assert isinstance(usable, bool)
