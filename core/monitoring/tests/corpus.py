# ruff: noqa: E501  # a case stays on one line
"""Secrets that must not leave, positions they turn up in, and texts that only look like secrets."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

# kind -> a text as it stands in the wild, with what must be gone from it.
SECRETS: dict[str, tuple[str, str]] = {
    "password in a form": ("username=jo&password=hunter2%21x&next=/", "hunter2"),
    "password in JSON": ('{"user": {"password": "hun ter,2"}}', "ter,2"),
    "password in escaped JSON": (json.dumps({"body": json.dumps({"newPassword": "hunt3r-2"})}), "hunt3r-2"),
    "password in JSON twice escaped": (json.dumps(json.dumps({"a": json.dumps({"passwd": "hunt3r-2"})})), "hunt3r-2"),
    "password in a repr": ("LoginSerializer(data={'username': 'jo', 'password': 'hunter2'})", "hunter2"),
    "password in a dataclass": ("Credentials(user='jo', password='hunter2', port=5432)", "hunter2"),
    "password in a query dict": ("<QueryDict: {'password': ['hunter2', 'hunter3']}>", "hunter3"),
    "password in a flag": ("psql --password=hunter2 -h db", "hunter2"),
    "password in a spaced flag": ("mysql --password hunter2 -h db", "hunter2"),
    "password with symbols": ("login failed: password=p@ss,w0rd;x&y!", "w0rd"),
    "password with an ampersand": ("password=ab&cd!ef", "cd!ef"),
    "password in YAML": ("db:\n  password: hunter2\n  host: x", "hunter2"),
    "password in XML": ("<login><password>hunter2</password></login>", "hunter2"),
    "password in SQL": ("UPDATE users SET password = 'hunter2' WHERE id = 1", "hunter2"),
    "password in an insert": ("INSERT INTO users (name, password) VALUES ('jo', 'hunter2')", "hunter2"),
    "password percent-encoded": (quote('{"password": "hunter2"}'), "hunter2"),
    "password in a multipart body": ('name="password"\r\n\r\nhunter2\r\n--b', "hunter2"),
    "password in prose": ("The password is hunter2.", "hunter2"),
    "password of curl": ("curl -u admin:hunter2 https://x.test", "hunter2"),
    "password hash": ("pbkdf2_sha256$600000$Ab3dEf6hIj$Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmE=", "Zm9vYmFy"),
    "bcrypt hash": ("hash $2b$12$KIXQ4N1Oe1b1bZ2G0y0u9u1pY5mJ3xW7Qz8L2aB4cD6eF8gH0iJ2k", "KIXQ4N1O"),
    "bearer": ("Authorization: Bearer s3cr3t-value", "s3cr3t-value"),
    "bearer in a repr": ("{'Authorization': 'Bearer s3cr3tvalue'}", "s3cr3tvalue"),
    "basic": ("sent header Basic am86aHVudGVyMg==", "am86aHVudGVyMg"),
    "header dump": ("Host: x\r\nX-Share-Password: hunter2\r\nAccept: */*", "hunter2"),
    "header list": ("[('host', 'x'), ('x-api-key', 'hunter2')]", "hunter2"),
    "cookie header": ("Cookie: theme=dark; sessionid=abcdef123456; x=y", "abcdef123456"),
    "set-cookie header": ("Set-Cookie: sessionid=abcdef123456; Path=/", "abcdef123456"),
    "token in a URL": ("GET https://x.test/verify?token=abc-123-def&n=1", "abc-123-def"),
    "token in a path query": ("/verify/?uid=3&verification_token=abc123", "abc123"),
    "user in a URL": ("postgres://app:hunter2@db.internal:5432/app", "hunter2"),
    "dsn": ("SENTRY_DSN=https://0123456789abcdef0123456789abcdef@o1.ingest.example/1", "0123456789abcdef"),
    "API key": ("key 'Zk3_" + "aB9-xY7q" * 8 + "'", "aB9-xY7q"),
    "JWT": ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P", "dozjgNry"),
    "argon2 hash": (
        "argon2$argon2id$v=19$m=102400,t=2,p=8$Zk3Q7w9vT4bR8nLw1Hs5$Jd3YxKp2Mv7cZk3Q7w9vT4bR8nLw",
        "Jd3YxKp2",
    ),
    "token without a name": ("could not open Zk3Q7w9vT4bR8nLw1Hs5Jd3YxKp2Mv7c twice", "nLw1Hs5"),
    "session key in a cache key": (":1:django.contrib.sessions.cachezk3q7w9vt4br8nlw1hs5jd3yxkp2mv7c", "vt4br8nl"),
    "token of a password reset": ("GET /reset/MQ/d5k2x9-9f8e7d6c5b4a39281706f5e4d3c2b1a0/ 200", "5b4a3928"),
    "vendor's key percent-encoded": ("/a?b=%7B%22x%22%3A%22ghp_Zk3Q7w9vT4bR8nLw1Hs5%22%7D", "T4bR8nLw"),
    "AWS key": ("AKIAIOSFODNN7EXAMPLE in use", "IOSFODNN7"),
    "private key": (
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\nAAAABG5vbmU\n-----END OPENSSH PRIVATE KEY-----",
        "b3BlbnNz",
    ),
    "e-mail": ("could not mail john.doe@example.com today", "john.doe"),
    "e-mail percent-encoded": ("/users?email=john.doe%40example.com", "john.doe"),
    "e-mail in angle brackets": ("To: John <john.doe@mail.example.co.uk>,", "john.doe"),
    "IPv4": ("connection from 203.0.113.77:52311 refused", "203.0.113.77"),
    "IPv4 in a cache key": (":1:throttle_anon_203.0.113.77", "203.0.113.77"),
    "IPv6": ("from 2001:db8:85a3::8a2e:370:7334 refused", "8a2e:370"),
    "IPv6 in brackets": ("http://[2001:db8::1234]:8000/", "db8::1234"),
    "card": ("card 4532-1234-5678-9010 declined", "5678"),
    "card run together": ("number=4111111111111111", "411111"),
    "card spaced": ("card 4111 1111 1111 1111 ok", "1111 1111"),
    "phone": ("call 555-123-4567", "555-123"),
    "phone abroad": ("call +44 20 7946 0958 now", "7946"),
    "SSN": ("ssn is 078-05-1120", "078-05"),
    "IBAN": ("to DE89 3704 0044 0532 0130 00", "3704"),
    "PostgreSQL detail": ("DETAIL:  Key (username)=(john.d) already exists.", "john.d"),
    "bytes": ("body was b'name,secret\\n1,2'", "name,secret"),
    "upload": ("<TemporaryUploadedFile: my taxes.pdf (application/pdf)>", "taxes"),
    "multipart file": ('Content-Disposition: form-data; name="file"; filename="my taxes.pdf"', "taxes"),
    "environment": ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "K7MDENG"),
    "argv repr": ("['manage.py', 'x', '--api-key', 'hunter2']", "hunter2"),
    "name and value": ('[{"name": "password", "value": "hunter2"}]', "hunter2"),
    "Go struct": ("{User:jo Password:hunter2 Port:5432}", "hunter2"),
    "Go variable": ('var apiToken string = "hunter2"', "hunter2"),
    "YAML block": ("db:\n  password: |\n    hunter2\n    hunter3\n  host: x", "hunter3"),
    "YAML block in a repr": ("{'body': 'token: >-\\n  hunter2\\n  hunter3\\nhost: x'}", "hunter3"),
    "quoted behind its name": ("set password 'hunter2' now", "hunter2"),
    "PHP array": ("['password' => 'hunter2']", "hunter2"),
    "Ruby hash": (':password => "hunter2"', "hunter2"),
    "INI": ("[db]\nuser = x\npassword = hunter2\n", "hunter2"),
    "two words": ("API key: hunter2", "hunter2"),
    "typed": ('password: str = "hunter2"', "hunter2"),
    "typescript": ('const apiToken: string = "hunter2x";', "hunter2x"),
    "unclosed": ("{'password': 'hunter2 is cut o", "hunter2"),
    "bracketed name": ("user[password]=hunter2", "hunter2"),
    "environ": ("os.environ['API_TOKEN'] = 'hunter2'", "hunter2"),
    "HTML input": ('<input name="csrfmiddlewaretoken" value="hunter2">', "hunter2"),
    "unicode escapes": ("\\u0022password\\u0022: \\u0022hunter2\\u0022", "hunter2"),
    "list of headers in bytes": ("[(b'authorization', b'Bearer hunter2')]", "hunter2"),
}

HARMLESS: tuple[str, ...] = tuple(
    line
    for line in """
version 1.2.3.4
pip install sentry-sdk==2.75.0 django==5.2.19.1
Chrome/120.0.6099.109 Safari/537.36
Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36
python-requests/2.31.0
listening on 127.0.0.1:8000
bound to 0.0.0.0:443 and [::]:443
::1
2024-01-02T03:04:05.123456+00:00
2024-01-02 03:04:05,123
Tue, 02 Jan 2024 03:04:05 GMT
1700000000
1700000000123
1700000000123456789
1700000000.123456
550e8400-e29b-41d4-a716-446655440000
3f786850e387550fdab836ed7e6dc881de23001b
d41d8cd98f00b204e9800998ecf8427e
ETag: "33a64df551425fcc55e4d42a148795d9f25f89d4"
12,345,678 bytes
1.5 GiB of 2.0 GiB used
3.14159265358979
6.02214076e+23
#ff00aa
rgb(255, 0, 170)
django.contrib.sessions.middleware.SessionMiddleware
django.contrib.auth.backends.ModelBackend
rest_framework.authentication.TokenAuthentication
accounts.authentication.ApiKeyAuthentication
core.storage.local.LocalStorageBackend
port 5432
00:1b:44:11:3a:b7
sha256:9f86d081
docker.io/library/python:3.11-slim
File "/app/accounts/auth.py", line 12, in authenticate
Traceback (most recent call last):
ValueError: invalid literal for int() with base 10: 'abc'
KeyError: 'token'
KeyError: 'password'
AttributeError: 'NoneType' object has no attribute 'session'
TypeError: login() missing 1 required positional argument: 'password'
TypeError: __init__() got an unexpected keyword argument 'token'
SELECT "auth_user"."id", "auth_user"."password" FROM "auth_user" WHERE "auth_user"."id" = %s LIMIT 21
SELECT "django_session"."session_key" FROM "django_session" WHERE ("django_session"."expire_date" > %s AND "django_session"."session_key" = %s)
UPDATE "accounts_apikey" SET "key_hash" = %s WHERE "id" = %s
INSERT INTO "t" ("token", "user_id") VALUES (%s, %s) RETURNING "id"
WHERE password = %(password)s
SELECT * FROM users WHERE token = $1
SELECT * FROM users WHERE token = ?
UNIQUE constraint failed: accounts_user.username
relation "auth_token" does not exist
The author of this keyboard is a monkey.
The session expired after 30 minutes.
Your session has expired, please log in again.
CSRF Failed: CSRF token missing.
CSRF verification failed. Request aborted.
Invalid token.
Invalid token: expired
Token is invalid or expired
Authentication credentials were not provided.
Bearer token is missing
Basic authentication is disabled
Token refresh failed
token refresh failed after 3 attempts
This password is too short. It must contain at least 8 characters.
password: This field is required.
Password must not be empty
The password is too common.
Enter a valid password
the key is missing
Key 'color' not found
missing key: color
primary key violation
the secret to good code is tests
pass the salt
tokens used: 1234
max_tokens=4096
prompt_tokens: 12, completion_tokens: 30, total_tokens: 42
"max_tokens": 4096
session_timeout=3600
session_count: 12
password_changed_at: 2024-01-02
auth_method=session
auth_method: api_key
token_type=bearer
"token_type": "Bearer"
key_id=7
author=John
authors: Jane
keyboard=us
tokenizer=cl100k_base
monkey=george
primary_key=True
foreign_key=accounts.User
cache_key=views.decorators
sorted(rows, key=lambda row: row.id)
max(sizes, key=len)
password = form.cleaned_data["password"]
password=password
token: str
the token string was 12 characters long
token: str | None = None
def login(request, username: str, password: str) -> None:
user.set_password(password)
if not user.check_password(password):
token = secrets.token_urlsafe(48)
session = requests.Session()
session_key = request.session.session_key
api_key = request.headers.get("X-Api-Key")
auth = get_authorization_header(request).split()
SECRET_KEY = config("SECRET_KEY")
self.token = token
return self.get_response(request)
fields = ("username", "password", "email")
["username", "password"]
{% csrf_token %}
/api/v1/auth/tokens/<uuid:key_id>/revoke/
/api/v1/public/{token}/download/
POST /api/v1/auth/login/ 401
GET /api/v1/files/{path}/ 200 12ms
https://example.com/docs/authentication#tokens
https://example.com/a?page=2&sort=name
git@github.com:org/repo.git
ssh://git@github.com/org/repo.git
logo@2x.png
react@18.2.0
@scope/package@1.2.3
@login_required
@property
<User: 42>
<WSGIRequest: GET '/api/v1/health/'>
<django.contrib.sessions.backends.db.SessionStore object at 0x7f3c5c0b2d90>
<function login at 0x7f3c5c0b2d90>
order 4111111111111112
invoice 2024-000123
ISBN 978-3-16-148410-0
1138442398712250368
x = a[1::2]
std::vector<std::string>
Foo::Bar.baz
10:20:30
HTTP 500
[Errno 111] Connection refused
[Errno 2] No such file or directory: '/etc/app.conf'
ConnectionError: HTTPConnectionPool(host='localhost', port=8000): Max retries exceeded with url: /x
could not translate host name "db" to address
test_an_upload_that_is_larger_than_the_quota_of_its_organization_is_refused
/static/js/main.7d5c1a2b3c4d.chunk.js
assets/index-Pa5A8xqC.js
:1:views.decorators.cache.cache_page..GET.9f8e7d6c5b4a39281706f5e4d3c2b1a0.0a1b2c3d4e5f60718293a4b5c6d7e8f9.en-us.UTC
00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
foo-1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl
web-7d9f8b6c5d-x2k4j
01ARZ3NDEKTSV4RRFFQ69G5FAV
AbstractAuthenticatedUserSessionSerializerFactoryWithPermissionsMixin
0.10.20.30.40
1.3.6.1.4.1.311
section 3.2.1.4
255.255.255.0
5 of 10 (50%)
-2.5e-10
a-b-c-d-e
1-2-3
2019 2020 2021 2022
lib-1.2.3.4.tar.gz
v1.2.3.4
release 4.18.0.305
{'count': 3, 'next': None}
{"status": "ok", "database": true}
{"errors": {"password": ["required"]}}
""".splitlines()
    if line
)


def frame(**local: Any) -> dict[str, Any]:
    return {"filename": "a.py", "function": "f", "module": "app.views", "lineno": 3, "vars": local}


def _exception(**value: Any) -> dict[str, Any]:
    return {"exception": {"values": [{"type": "ValueError", **value}]}}


POSITIONS: dict[str, Callable[[str], dict[str, Any]]] = {
    "message": lambda text: {"message": text},
    "logentry": lambda text: {"logentry": {"message": "%s", "formatted": text, "params": [text]}},
    "exception value": lambda text: _exception(value=text),
    "mechanism data": lambda text: _exception(value="x", mechanism={"type": "django", "data": {"note": text}}),
    "locals": lambda text: _exception(stacktrace={"frames": [frame(value=text)]}),
    "nested locals": lambda text: _exception(stacktrace={"frames": [frame(value={"a": [{"b": text}]})]}),
    "thread": lambda text: {
        "threads": {"values": [{"id": 1, "name": text, "stacktrace": {"frames": [frame(a=text)]}}]}
    },
    "breadcrumb": lambda text: {"breadcrumbs": {"values": [{"message": text, "category": "x"}]}},
    "breadcrumb data": lambda text: {"breadcrumbs": {"values": [{"data": {"note": text}}]}},
    "tag": lambda text: {"tags": {"note": text}},
    "tag pair": lambda text: {"tags": [["note", text]]},
    "extra": lambda text: {"extra": {"note": text}},
    "extra key": lambda text: {"extra": {text: 1}},
    "context": lambda text: {"contexts": {"storage": {"backend": text}}},
    "trace data": lambda text: {"contexts": {"trace": {"trace_id": "a", "data": {"x": text}, "description": text}}},
    "user": lambda text: {"user": {"id": 1, "username": text}},
    "url": lambda text: {"request": {"url": text, "query_string": text}},
    "header": lambda text: {"request": {"headers": {"X-Note": text, "Referer": text}}},
    "environment": lambda text: {"request": {"env": {"NOTE": text}}},
    "body": lambda text: {"request": {"data": text}},
    "JSON body": lambda text: {"request": {"data": {"a": [text, {"b": text}]}}},
    "transaction": lambda text: {"transaction": text},
    "fingerprint": lambda text: {"fingerprint": ["{{ default }}", text]},
    "span": lambda text: {"spans": [{"op": "db", "description": text, "data": {"x": text}, "tags": {"y": text}}]},
    "logger": lambda text: {"logger": text, "server_name": text},
    "unknown field": lambda text: {"something_new": {"x": [text]}},
    "tuple and set": lambda text: {"extra": {"a": (text,), "b": {text}}},
}
