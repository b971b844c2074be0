"""What a user of Storm Cloud does in the demo, over HTTP like anybody else."""

from __future__ import annotations

import email
import email.policy
import http.cookiejar
import json
import re
import secrets
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from environment import SetupError
from servers import without_proxy

# Of a block that is reserved for documentation (RFC 5737), so in an event it could only be the visitor's.
ADDRESS = "203.0.113.7"


@dataclass
class Visitor:
    """A person with a browser: keeps cookies, and remembers every secret that the server must not pass on."""

    base_url: str
    mailbox: Path  # where the server's console, and so its mail, is written
    username: str = "ada"
    email: str = "ada.lovelace@example.org"
    password: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    api_key: str = ""

    def __post_init__(self) -> None:
        self.cookies = http.cookiejar.CookieJar()
        self.browser = without_proxy(urllib.request.HTTPCookieProcessor(self.cookies))

    def secrets(self) -> dict[str, str]:
        """Return what must never leave the server, by a name for people."""
        session = next((cookie.value or "" for cookie in self.cookies if cookie.name == "sessionid"), "")
        return {
            "the password": self.password,
            "the API key": self.api_key,
            "the session": session,
            "the e-mail address": self.email,
            "the visitor's IP address": ADDRESS,
        }

    def register(self) -> None:
        """Make an account and follow the link in the mail."""
        account = {"username": self.username, "email": self.email, "password": self.password}
        self._call("POST", "auth/register/", account)
        link = re.search(r"[?&]token=([\w-]+)", self._last_mail())
        if not link:
            raise SetupError(f"The server sent no verification mail; see {self.mailbox}.")
        self._call("POST", "auth/verify-email/", {"token": link[1]})

    def sign_in(self) -> None:
        """Mistype the password once, then sign in and make an API key."""
        self._call(
            "POST",
            "auth/login/",
            {"username": self.username, "password": "wrong-password"},
            expect=(401,),
        )
        self._call("POST", "auth/login/", {"username": self.username, "password": self.password})
        self.api_key = self._call("POST", "auth/tokens/", {"name": "demo"})["key"]

    def store_and_share(self) -> None:
        """Upload a file and share it, with the API key."""
        self._call("PUT", "files/letters/to-charles.txt/upload/", b"The engine weaves algebraical patterns.")
        self._call("POST", "shares/", {"path": "letters/to-charles.txt"})

    def provoke(self, kind: str) -> None:
        """Make the server fail, with the API key and a search for a file; the server answers 500."""
        self._call("GET", f"debug/sentry-test/?type={kind}&search=to-charles&q=to-charles", expect=(500,))

    def _last_mail(self) -> str:
        """Return the text of the newest mail among what the server printed, "" if there is none."""
        _, begin, printed = self.mailbox.read_text(encoding="utf-8").rpartition("Content-Type: text/plain")
        # Django's console backend ends a mail with a line of dashes; newer versions of it encode the text.
        mail = email.message_from_string(begin + printed.partition(f"\n{'-' * 79}\n")[0], policy=email.policy.default)
        return mail.get_content() if begin else ""

    def _call(self, method: str, path: str, body: Any = None, expect: tuple[int, ...] = (200, 201, 202)) -> Any:
        headers = {"Accept": "application/json", "X-Forwarded-For": ADDRESS}
        if isinstance(body, bytes):
            headers["Content-Type"] = "application/octet-stream"
        elif body is not None:
            body = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        if self.api_key:
            headers["Authorization"] = f"Bearer {self.api_key}"
        for cookie in self.cookies:
            if cookie.name == "csrftoken":
                headers["X-CSRFToken"] = cookie.value or ""
        url = f"{self.base_url}/api/v1/{path}"
        request = urllib.request.Request(url, data=body, headers=headers, method=method)  # noqa: S310 (http)
        try:
            with self.browser.open(request, timeout=30) as response:
                status, answer = response.status, response.read()
        except urllib.error.HTTPError as error:
            status, answer = error.code, error.read()
        if status not in expect:
            raise SetupError(f"{method} {url} was answered with {status}:\n\n{answer[:1000].decode(errors='replace')}")
        return json.loads(answer) if answer[:1] in (b"{", b"[") else None
