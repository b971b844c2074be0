"""Find e-mail addresses, IP addresses and the user part of URLs."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from core.monitoring import rules
from core.monitoring.scrubbing.spans import Span

_LOCAL = re.compile(r"[\w.!#$&'*+/=?^`{|}~%-]{1,64}")
_DOMAIN = re.compile(r"(?:[^\W_](?:[\w-]{0,62}[^\W_])?\.){1,8}[^\W\d_]{2,24}(?![\w-])")
_AT = re.compile(r"@|%(?:25)?40|\\u0040|&#64;")
_NO_MAIL_DOMAIN = re.compile(r"\d+x\.(?:png|jpe?g|gif|webp|svg|avif)$|.*\.(?:service|socket|timer|mount|target)$")
_USERINFO = re.compile(
    r"://(?:(?P<user>[^\s/?#\"'<>@:\\]{0,200}):(?!\d{1,5}/)[^\s\"'<>@]{0,500}(?:@[^\s\"'<>@/?#]{1,100}){0,2}"
    r"|[^\s/?#\"'<>@:\\]{1,500})@"
)
# As drivers of Go and of Oracle write them.
_DRIVER_URL = re.compile(
    r"(?:(?<![\w/.])\w{1,60}:|\bthin:\w{1,60}/)(?P<password>[^@\s/'\"]{1,200})@(?=(?:tcp|unix)\(|[\w.-]{1,200}:\d|\d{1,3}(?:\.\d{1,3}){3}|localhost\b)"
)
_PLAIN_USER = re.compile(r"[a-z][a-z_-]{0,15}")
_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
# Also in the names that providers give to addresses: ip-10-0-0-5.ec2.internal.
_PROVIDERS = r"(?:ip|ec2|host|cpe|dsl|adsl|dyn|dynamic|pool|static|dhcp|ppp|cable|client|node)-"
_IPV4 = re.compile(
    rf"(?<![A-Za-z0-9.])(?P<host>{_PROVIDERS})?{_OCTET}(?P<dot>[.-]){_OCTET}(?P=dot){_OCTET}(?P=dot){_OCTET}(?![\w-]|\.\d)"
)
_IPV4_STAYS = re.compile(r"(?:127\.0\.0\.1|0\.0\.0\.0|255\.[\d.]+)")
_VERSION_BEFORE = re.compile(
    r"(?:\b(?:version|versions|ver|release|build|section|chapter|rule)['\"]?\s?[:=]?\s?['\"]?|==|[<>~!]=\s?|[A-Za-z]-|"
    r"(?:^|[\s(;\"'])[A-Z][A-Za-z-]{1,24}/)$",
    re.IGNORECASE,
)
_IPV6 = re.compile(
    r"(?<![0-9A-Za-z:.])(?:[A-Za-z_][\w-]{0,30}:)?(?P<address>[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}"
    r"(?:(?<=:)\d{1,3}(?:\.\d{1,3}){3})?)(?![\w:])"
)


def mail(text: str) -> Iterator[Span]:
    for at in _AT.finditer(text):
        before = text[max(0, at.start() - 64) : at.start()][::-1]
        found = _LOCAL.match(before)
        domain = _DOMAIN.match(text, at.end())
        if not found or not domain or _NO_MAIL_DOMAIN.match(domain[0]):
            continue
        local = found[0][::-1]
        local = local[max(local.rfind(c) for c in "=?&/{|'") + 1 :]
        if "%" in local:
            local = re.split(r"%[0-9A-Fa-f]{2}", local)[-1]
        local = local.lstrip(".")
        if not local or local.endswith("***") or local == "git":
            continue
        start = at.start() - len(local)
        if _PLAIN_USER.fullmatch(local) and text.endswith("://", 0, start):
            continue
        shown = local[:2] if len(local) > 2 else ""
        yield Span(start, at.start(), f"{shown}***", "email")


def url(text: str) -> Iterator[Span]:
    for found in _DRIVER_URL.finditer(text):
        yield Span(*found.span("password"), rules.FILTERED, "url")
    for found in _USERINFO.finditer(text):
        start, end = found.start() + 3, found.end() - 1
        if found["user"] is None and _PLAIN_USER.fullmatch(text, start, end):
            continue
        yield Span(start, end, rules.FILTERED, "url")


def ip(text: str) -> Iterator[Span]:
    for found in _IPV4.finditer(text):
        if (found["dot"] == "-") != bool(found["host"]):
            continue
        if _IPV4_STAYS.fullmatch(found[0]) or _VERSION_BEFORE.search(text[max(0, found.start() - 32) : found.start()]):
            continue
        yield Span(found.start(), found.end(), rules.IPV4, "ipv4")
    if text.count(":") < 2:
        return
    for found in _IPV6.finditer(text):
        # `fe80::1` or `peer:2001:db8::1`: what stands before the first colon may be part of it or its name.
        for start in (found.start(), found.start("address")):
            if _is_ipv6(text[start : found.end()]):
                yield Span(start, found.end(), rules.IPV6, "ipv6")
                break


def _is_ipv6(address: str) -> bool:
    if ("::" in address and len(address) < 6) or (address.count(":") < 7 and "::" not in address):
        return False
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        return False
    return True
