"""What the gates look for word for word, and which finder has to read a text that has it. Data only.

The finders are those of `text.py`.
"""

from __future__ import annotations

from typing import Final

from core.monitoring.scrubbing import vendors

NEEDLES: Final[dict[str, tuple[str, ...]]] = {
    "@": ("mail", "url"),
    "%40": ("mail",),
    "%2540": ("mail",),
    "\\u0040": ("mail",),
    "&#64;": ("mail",),
    " -u": ("command",),
    "--user": ("command",),
    "'-u'": ("command",),
    "$": ("token",),
    "%24": ("token",),
    "' -> '": ("upload",),
    "::": ("ip",),
    **{inside.literal: ("token",) for inside in vendors.INSIDE},
}
# What is only looked for where a word of it is, in any case: which words there are is known anyway.
NEEDLES_OF_WORDS: Final[dict[str, tuple[str, str]]] = {
    "begin": ("-----BEGIN ", "pem"),
    "password": (" password ", "command"),
    "key": ("Key (", "database"),
    "failing": ("Failing row", "database"),
    "duplicate": ("Duplicate entry", "database"),
    "values": ("VALUES", "database"),
    "identified": ("IDENTIFIED", "database"),
    "line": ("LINE ", "database"),
    "invalid": ("invalid input", "database"),
    "value": ("value out of", "database"),
    "malformed": ("malformed ", "database"),
    "incorrect": ("Incorrect ", "database"),
    "parameters": ("[parameters", "database"),
    "col": ("Col(", "database"),
    "filename": ("filename", "upload"),
    "uploaded": ("UploadedFile", "upload"),
    "errno": ("[Errno", "upload"),
    "dir": ("<DirEntry", "upload"),
    "tar": ("<TarInfo", "upload"),
    "zip": ("<ZipInfo", "upload"),
    "field": ("<FieldFile", "upload"),
    "file": ("<File", "upload"),
    "io": ("<_io.", "upload"),
    "net": ("net use", "command"),
    "z": ("7z", "command"),
    "za": ("7za", "command"),
    "zr": ("7zr", "command"),
    "traversal": ("path traversal", "upload"),
    "named": ("no item named", "upload"),
}
# Commands that take a password without a telling name before it.
COMMANDS: Final = frozenset(
    """
    docker podman sshpass mongo mongosh mongodump mongorestore mongoimport mongoexport mysql mysqldump mysqladmin
    mysqlimport mysqlcheck mysqlshow mysqlbinlog mysqlpump mysqlslap mysqlsh mariadb rar unrar zip unzip ipmitool sqlcmd
    bcp openssl ldapsearch ldapmodify ldapadd ldapdelete ldapmodrdn ldapcompare ldapwhoami ldappasswd snmpwalk snmpget
    snmpset snmpgetnext snmpbulkget snmpbulkwalk snmptable snmpstatus snmptrap redis htpasswd smbclient kubectl sqlplus
    vault
    """.split()
)
IN_LOWER_CASE: Final = {"b'": ("bytes",), 'b"': ("bytes",), "br'": ("bytes",), 'br"': ("bytes",)}
WITH_DIGITS_AS_ZEROS: Final[dict[str, tuple[str, ...]]] = {
    "00-0000": ("card", "numbers"),
    "00.0000": ("card", "numbers"),
    "0 0000": ("card", "iban", "numbers"),
    "0%00": ("card",),
    "0_00": ("card",),
    "+0": ("card", "numbers"),
    "(000)": ("numbers",),
    "0-0": ("ip",),
}
