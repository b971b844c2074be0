"""Alerts end to end: a real error, a real tracker, a mail and two webhooks that arrive; and silence in between."""

import json
import re
import sys
import textwrap
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from bugsink import Bugsink
from environment import REPO
from servers import HOST, choose_port, without_proxy
from storm_cloud import StormCloud

from tests.bugsink_service import require_bugsink

# What the guide tells an operator to put into .tracker/settings.py, with servers that are here.
GUIDE = (REPO / "docs" / "MONITORING.md").read_text(encoding="utf-8")
CHAPTER = GUIDE.partition("\n## Alerts\n")[2].partition("\n## ")[0]
BLOCKS = re.findall(r"^  ```python\n(.*?)^  ```", CHAPTER, re.MULTILINE | re.DOTALL)
SETTINGS = (
    "\n"
    + "".join(map(textwrap.dedent, BLOCKS))
    + """
EMAIL_HOST = "127.0.0.1"
EMAIL_PORT = {port}
EMAIL_USE_TLS = False
EMAIL_HOST_USER = EMAIL_HOST_PASSWORD = ""
BUGSINK["ALERTS_WEBHOOK_ALLOW_LIST"] = ["127.0.0.1"]
"""
)

# What its page Settings > Alerts does.
ADD_WEBHOOK = """\
import json
import django
django.setup()
from alerts.models import MessagingServiceConfig
from projects.models import Project
for kind in ("slack", "custom"):
    MessagingServiceConfig.objects.create(
        project=Project.objects.get(), display_name=kind, kind=kind,
        config=json.dumps({{"webhook_url": "{url}/" + kind}}),
    )
"""


class Mailbox:
    """A mail server on loopback that keeps what it is given."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        # The controller asks its own port whether it is up, so it has to know it.
        self.port = choose_port(0, "")
        self._controller = Controller(self, hostname=HOST, port=self.port, server_hostname="localhost")

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"

    def __enter__(self) -> "Mailbox":
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()


class Chat(ThreadingHTTPServer):
    """An HTTP server on loopback that keeps what is posted to it, by path."""

    def __init__(self) -> None:
        self.posts: dict[str, list[dict[str, Any]]] = {"/slack": [], "/custom": []}
        super().__init__((HOST, 0), self.Handler)
        self.url = f"http://{HOST}:{self.server_address[1]}"

    class Handler(BaseHTTPRequestHandler):
        server: "Chat"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.posts[self.path].append(json.loads(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as mailbox:
        yield mailbox


@pytest.fixture
def chat() -> Iterator[Chat]:
    with Chat() as chat:
        threading.Thread(target=chat.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield chat
        chat.shutdown()


@pytest.fixture
def tracker(tmp_path: Path, mailbox: Mailbox, chat: Chat) -> Iterator[Bugsink]:
    require_bugsink()
    tracker = Bugsink(state=tmp_path / "tracker", settings=SETTINGS.format(port=mailbox.port))
    tracker.run(ADD_WEBHOOK.format(url=chat.url))
    with tracker:
        yield tracker


def divide(server: StormCloud) -> None:
    with pytest.raises(urllib.error.HTTPError, match="500"):
        without_proxy().open(f"{server.base_url}/api/v1/debug/sentry-test/?type=division", timeout=20)


def change_address(tracker: Bugsink, address: str) -> None:
    """Do what the guide says: sign in, Users, edit, the field Email."""
    session = without_proxy(urllib.request.HTTPCookieProcessor())

    def submit(path: str, **fields: str) -> None:
        url = f"{tracker.base_url}{path}"
        page = session.open(url, timeout=20).read().decode()
        (token,) = set(re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page))
        form = urllib.parse.urlencode({"csrfmiddlewaretoken": token, **fields}).encode()
        answer = session.open(urllib.request.Request(url, form, {"Referer": url}), timeout=20)
        assert answer.url != url, "the form was not taken"

    submit("/accounts/login/", username=tracker.account["username"], password=tracker.account["password"])
    assert "/users/1/edit/" in session.open(f"{tracker.base_url}/users/", timeout=20).read().decode()
    submit("/users/1/edit/", username=address)


def issue_with(tracker: Bugsink, copies: int) -> str:
    """Return the id of the only issue once the tracker has counted so many copies of it."""
    (issue,) = tracker.wait_for(lambda it: [i for i in it.issues() if i["digested_event_count"] == copies])
    return str(issue["id"])


def test_a_new_issue_and_a_regression_alert_once_each_and_the_eleventh_copy_does_not(
    tracker: Bugsink, mailbox: Mailbox, chat: Chat, tmp_path: Path
) -> None:
    with StormCloud(Path(sys.executable), state=tmp_path / "server", SENTRY_DSN=tracker.dsn) as server:
        for _ in range(11):
            divide(server)
        issue = issue_with(tracker, copies=11)
        tracker.resolve(issue)
        change_address(tracker, "ops@example.com")
        divide(server)
        assert issue_with(tracker, copies=12) == issue
        # The tracker alerts before it answers, and the server sends the next event after that: nothing is under way.
        divide(server)
        assert issue_with(tracker, copies=13) == issue
    reasons = [str(mail["Subject"]).rpartition(" (")[2] for mail in mailbox.mails]
    assert reasons == ["New issue)", "Regression)"]
    assert [post["alert_reason"] for post in chat.posts["/custom"]] == ["NEW", "REGRESSED"]
    assert len(chat.posts["/slack"]) == 2

    mail = mailbox.mails[0]
    assert mail["From"] == "Bugsink <alerts@example.org>"
    assert [mail["To"] for mail in mailbox.mails] == ["demo@example.org", "ops@example.com"]
    assert str(mail["Subject"]).startswith('"ZeroDivisionError')
    body = mail.get_body(("plain",))
    assert body is not None
    assert f"{tracker.base_url}/issues/issue/{issue}/" in body.get_content()
    assert chat.posts["/custom"][0]["id"] == issue
    assert "ZeroDivisionError" in json.dumps(chat.posts["/slack"][0])
