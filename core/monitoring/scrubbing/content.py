"""Find what belongs to users: bytes, values in database messages, names of uploads, paths below a private root."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from core.monitoring import rules
from core.monitoring.scrubbing.convert import bare
from core.monitoring.scrubbing.needles import COMMANDS
from core.monitoring.scrubbing.spans import Finder, Span

_BYTES = re.compile(
    # ['a', 'b'] holds no bytes, and what a mail server answers is no content: (535, b'5.7.8 authentication failed')
    r"(?:(?<!')(?=[bB][rR]?')|(?<!\")(?=[bB][rR]?\"))"
    r"(?<!\(\d\d\d, )(?:(?<![\w ])|(?<=[,=:([>] )|(?<=\w )(?=[bB][rR]?['\"][^,:;)\]}]))[bB][rR]?"
    r"(?:'(?:[^'\\]|\\.)+(?:'|$)|\"(?:[^\"\\]|\\.)+(?:\"|$))",
    re.DOTALL,
)
_DATABASE = re.compile(
    r"Key \([^)\n]{1,300}\)=\((?P<key>.{0,2000}?)\)(?= (?:already|is not|is still|conflicts)|\.|$)"
    r"|Failing row contains \((?P<row>.{0,4000})\)"
    r"|Duplicate entry '(?P<entry>.{0,2000}?)' for key|\bVALUES\s{0,4}\((?P<values>[^'\n]{0,2000}'[^\n]{0,4000})\)"
    r"|(?m:^)LINE \d{1,6}: (?P<line>[^'\n]{0,1000}'[^\n]{0,2000})"
    r"|(?:invalid input (?:syntax|value)[^:\n\"]{0,80}|value out of range|malformed \w{1,20} literal): "
    r"\"(?P<literal>[^\n]{0,1000}?)\"(?=\n|$)"
    r"|\bIncorrect \w{1,20} value: '(?P<wrong>[^\n]{0,1000}?)' for "
    r"|\[parameters: (?P<parameters>[\[({][^\n]{1,4000})"
    r"|\bIDENTIFIED (?:WITH \w{1,60} )?(?:BY|AS) (?:PASSWORD )?'(?P<identified>[^'\n]{1,1000})'"
    # The parts of a query, as Django shows them: Exact(Col(accounts_user, accounts.User.email), 'jane')
    r"|\bCol\([^()\n]{1,300}\), "
    r"(?P<lookup>'(?:[^'\\\n]|\\.){1,2000}'|\"(?:[^\"\\\n]|\\.){1,2000}\"|\[[^\]\n]{1,4000}\])"
)
# Between two arguments of a command, also in the repr of a list of them.
_GAP = r"(?:\s{1,4}|['\"],\s?['\"])"
# Commands, and what stands in front of their passwords without telling.
_COMMANDS = (
    (r"docker login|podman login|sshpass|mongo\w{0,10}", rf"-p{_GAP}"),
    (r"(?:mysql|mariadb)\w{0,12}|sshpass|7z[ar]?|rar|unrar", r"-p(?=[^\s'\"])"),
    (r"zip|unzip|ipmitool|sqlcmd|bcp", rf"-P{_GAP}?"),
    (r"openssl", rf"-[kK]{_GAP}"),
    (r"ldap\w{3,12}", rf"-w{_GAP}"),
    (r"snmp\w{3,12}", rf"-[cAX]{_GAP}"),
    (r"redis-cli", rf"-a{_GAP}"),
    (r"htpasswd", rf"-\w{{0,4}}b\w{{0,4}}{_GAP}[^\s'\"]{{1,200}}{_GAP}[^\s'\"]{{1,100}}{_GAP}"),
    (r"smbclient", rf"-U{_GAP}?[^\s%'\"]{{1,100}}%"),
    (r"kubectl", r"--from-literal[= ]['\"]?[\w.-]{1,100}="),
    (r"net use", r"/user:[^\s'\"]{1,100}\s"),
    (r"sqlplus", r"[^\s/'\"-]{1,60}/(?=[^\s'\"@]{1,200}@)"),
)
_OTHERS = r"['\"]?[\s,](?:[^\n]{0,300}?[\s'\"])?"
_COMMAND = re.compile(
    rf"[\s'\"](?:-u|--user)(?:=|{_GAP})['\"]?(?P<user>[^\s:'\"\[]{{1,200}}:[^\s'\"]{{1,200}})|(?:"
    + "".join(rf"\b(?:{command}){_OTHERS}{option}|" for command, option in _COMMANDS)
    + rf"\bvault login{_GAP}(?=[^-\s])|\blogin\s{{1,8}}\S{{1,200}}\s{{1,8}}password\s{{1,4}})"
    + r"['\"]?(?P<password>[^\s'\"]{1,200})"
)
_PROGRAMS = COMMANDS | {"curl", "redis-cli", "7z", "7za", "7zr"}
_UPLOAD = re.compile(
    r"filename\*=[\w-]{1,20}\\{0,4}'[\w-]{0,12}\\{0,4}'(?P<extended>[^\"'\r\n;\\]{1,500})"  # RFC 8187
    r"|filename\*?=(?!None\b|%[rsd]|['\"]?\{)(?P<q>\\?[\"']?)(?P<name>[^\"'\r\n;\\]{1,500})"
    r"|UploadedFile: (?P<up>.{1,300}?)(?= \([\w/.+-]+\)>)"
    r"|(?:\[Errno \d+\] [^:\n]{1,80}: (?P<eq>['\"])|(?<=')\s?-> ')(?P<os>(?![/\\]|[A-Za-z]:)[^'\"\n]{1,500})"
    r"|<(?:DirEntry|TarInfo|ZipInfo filename=|FieldFile:|File:|_io\.\w{1,30} name=)\s?['\"]?"
    r"(?P<entry>[^'\"<>\n]{1,500})"
    r"|path traversal attempt in '(?P<traversal>[^'\n]{1,500})'|There is no item named '(?P<member>[^'\n]{1,500})'"
)
_CODE_FILE = re.compile(r".*\.(?:py|ya?ml|toml|ini|cfg|conf|html|sock|pid|so|mo|po|log|env|sqlite3?)$|[^.]{1,40}$")


def bytes_literals(text: str) -> Iterator[Span]:
    for found in _BYTES.finditer(text):
        yield Span(found.start(), found.end(), rules.BYTES, "bytes")


def database(text: str) -> Iterator[Span]:
    for found in _DATABASE.finditer(text):
        group = found.lastgroup or "key"
        yield Span(found.start(group), found.end(group), rules.FILTERED, "database")


def command(text: str) -> Iterator[Span]:
    for found in _COMMAND.finditer(text):
        yield Span(*found.span(found.lastgroup or "password"), rules.FILTERED, "name")


def secret_arguments(arguments: list[Any]) -> set[int]:
    """Return which items of a list are passwords that only their command tells: {1} for `["mysql", "-phunter2"]`."""
    if not isinstance(arguments[0], str) or bare(arguments[0]).rpartition("/")[2] not in _PROGRAMS:
        return set()
    texts = [bare(each) if isinstance(each, str) else "" for each in arguments]
    starts = list(accumulate((len(text) + 1 for text in texts), initial=0))
    return {bisect_right(starts, span.start) - 1 for span in command(" ".join(texts))}


def upload(text: str) -> Iterator[Span]:
    for found in _UPLOAD.finditer(text):
        group = next(name for name in ("extended", "name", "up", "os", "entry", "traversal", "member") if found[name])
        if group != "os" or not _CODE_FILE.match(found[group]):
            yield Span(found.start(group), found.end(group), rules.FILTERED, "upload")


def private_path_finder(roots: tuple[str, ...]) -> Finder:
    """Return a finder for what follows one of `roots` (file system paths or URL prefixes)."""
    spelled = "|".join(
        re.escape(root).replace("/", r"(?:/{1,4}|%2[Ff]|\\{1,4})") for root in sorted(roots, key=len, reverse=True)
    )
    tail = r"""(?P<rest>(?<=['"])[^'"\n]+|[^\s"'<>?#]+(?: [^\s"'<>:/=]{1,60}){0,6}?\.\w{1,5}\b|[^\s"'<>?#]+)"""
    pattern = re.compile(
        rf"""(?:(?<![\w.-])|(?=/[^/\s]+/))(?P<root>{spelled})(?P<sep>/|%2[Ff]|\\{{1,4}})(?!\{{\w{{1,40}}\}}|<\w{{1,10}}:){tail}"""
    )

    def find(text: str) -> Iterator[Span]:
        for found in pattern.finditer(text):
            start, end = found.span("rest")
            quote = text[found.start() - 1 : found.start()]
            if quote in ("'", '"') and (closing := re.compile(rf"(?<!\\){quote}").search(text, start)):
                end = closing.start()
            yield Span(start, end, rules.FILTERED, "path")

    return find
