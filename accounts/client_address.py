"""Where a request comes from: one rule for throttling and for the security log."""

import ipaddress

from django.http import HttpRequest
from rest_framework.throttling import BaseThrottle


def client_address(request: HttpRequest | None) -> str:
    """The client's address as text, "" where there is none (a command, a Unix socket).

    REMOTE_ADDR, or behind `STORMCLOUD_PROXIES` proxies the entry of X-Forwarded-For that the outermost of
    them wrote (https://www.django-rest-framework.org/api-guide/throttling/#how-clients-are-identified).
    One client has one spelling: IPv4 as such, also where a socket shows it as `::ffff:192.0.2.7`, and IPv6 without
    its zone (`fe80::1%eth0`), which could hold any text. What is no address stays as it is.
    """
    if request is None:
        return ""
    text = BaseThrottle().get_ident(request) or ""  # type: ignore[arg-type]
    try:
        ip = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return text
    return str(getattr(ip, "ipv4_mapped", None) or ip)
