"""Tell what stands behind a sensitive name and is no secret."""

from __future__ import annotations

import re

from core.monitoring import rules

MARKERS = (rules.FILTERED, rules.TOKEN, rules.CARD, rules.BYTES, rules.PEM, rules.IPV4, rules.IPV6)
_PLACEHOLDER = re.compile(
    r"(?:(?:Bearer|Basic|Token|\{[\w.:!\[\]'\"]{0,60}\})[ :/_.-]?){2,6}"
    r"|%s|%\(\w{1,60}\)[sdr]|\?|\$\d{1,3}|:[a-z_]\w{0,60}|\$?\{[\w.:!<>^+*-]{0,60}\}|\{\{.{0,60}\}\}|%\}.*|<\w{1,40}>"
    r"|<(?:built-in |bound )?(?:function|method|class|module) [^<>]{1,200}>"
    r"|\*+|\.{2,}|…|lambda.*|[xX]{3,}|\[\]|\{\}|\(\)"
)
# What a form or serializer says of a field: {"password": ["This field is required."]}
_COMPLAINT = re.compile(
    r"\[?(?:ErrorDetail\(string=)?['\"]?"
    r"(?:This|The|Your|Enter|Ensure|Please|Invalid|Not a|A valid|Unable|Incorrect|Must|May not|Either)\b"
    r"(?: [A-Za-z][a-z']{0,20},?| \d{1,4}){2,20}\.['\"]?(?:, ?code='\w{1,40}'\))?"
    r"(?:, ?['\"][A-Z][^'\"]{0,200}['\"])?\]?"
)
_SHORTEST_NUMBER = 3
_KEY_FILE = re.compile(r"(?:/[\w.-]{1,60}){1,8}\.(?:pem|key|crt|p12)")


def stays(value: str, name: str) -> bool:
    """Say whether the value of a sensitive name is none: a placeholder, a complaint, a plain word, already redacted."""
    bare = value.strip(" '\"\\.,:!?)]}>[{(").lower()
    return (
        (not bare and not value.strip(" \\'\""))
        or bare in rules.PLAIN_VALUES
        or (bare.replace("_", "").isalpha() and name.lower().endswith(bare))  # client(access_key_id=key_id)
        or (bare.isdigit() and len(bare) < _SHORTEST_NUMBER)  # tokens: 3
        or _KEY_FILE.fullmatch(value) is not None
        or value in MARKERS
        or _PLACEHOLDER.fullmatch(value) is not None
        or _COMPLAINT.fullmatch(value) is not None
    )
