"""What is sensitive: names, values and their examples. Data only; `scrubbing/` applies it.

Change a rule here and its examples beside it: the tests run every example, and docs/RULES.md lists the same rules.
"""

from __future__ import annotations

from typing import NamedTuple

FILTERED = "[Filtered]"
CARD = "XXXX-XXXX-XXXX-XXXX"
IPV4 = "XXX.XXX.XXX.XXX"
IPV6 = "[Filtered IP]"
TOKEN = "[REDACTED_TOKEN]"  # noqa: S105
PEM = "[Filtered PEM]"
BYTES = "[bytes]"
CUT = "[cut]"

# A name is split into lower-case segments: "X-API-Key2" is ("x", "api", "key"). It is sensitive if one is here ...
SENSITIVE_WORDS = frozenset(
    """
    password passwords passwd passcode passwort pwd pw pass passphrase secret secrets token tokens apikey apikeys
    apitoken authtoken accesstoken refreshtoken auth authorization oauth credential credentials cred creds cookie
    cookies csrf csrftoken xsrf session sessionid sessid phpsessid jsessionid sid cvv cvc cvv2 ssn dsn jwt otp totp pin
    nonce2fa mfa passkey privatekey publickey secretkey encryptionkey accesskey creditcard cardnumber ipaddress ipaddr
    ip forwarded signature sig saml mnemonic webhook htpasswd keytab iban psk bearer recoverycode hmac nonce kubeconfig
    pgpass privkey pubkey dbpass userpass keypass storepass psw pswd psswd ccnumber passport dob birthdate birthday
    kennwort motdepasse senha rootpw passwrd pwhash xprv sessionkey authkey accesskeyid authheader authheaders
    authcookie sessioncookie masterkey signingkey storagekey appkey passwordhash passhash tokenhash secrethash
    tokenvalue secretvalue accesstokens refreshtokens authentication pws pwdhash passwdhash dbpw dbpwd bindpw rootpass
    adminpass sshpass upwd userpwd dpop otpauth contrasena mdp wachtwoord losenord passord adgangskode kodeord haslo
    heslo salasana jelszo sifre geheimnis zugangsdaten zugangscode kreditkarte kreditkartennummer jeton segreto segredo
    requirepass authorisation pasword passwor paswd secert tokn
    contraseña lösenord hasło jelszó şifre пароль токен секрет 密码 口令 密钥 令牌 パスワード
    トークン 비밀번호 암호
    """.split()
)
# ... or ends in one of these, written as one word (`csrfmiddlewaretoken`, `dbpassword`) ...
SENSITIVE_ENDINGS = (
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "sessionid",
    "privatekey",
    "secretkey",
)
# ... or has these segments next to each other ...
SENSITIVE_PHRASES = frozenset(
    tuple(phrase.split())
    for phrase in """
    api key|private key|public key|secret key|encryption key|access key|signing key|master key|account key
    shared key|admin key|ssh key|gpg key|service key|license key|licence key|storage key|client key|app key
    application key|integration key|auth key|deploy key|write key|ingest key|sending key|host key|user key
    consumer key|server key|subscription key|hmac key|aes key|rsa key|decryption key|fernet key|webhook key|root key
    session key|token key|key hash|hashed key|raw key|full key|plain key|security key|recovery key|backup key
    publishable key|project key|rest key|search key|maps key|vault key|push key|vapid key|credit card|card number
    card no|card num|cc number|social security|x real ip|remote addr|remote address|client addr|remote host|real ip
    client ip|connecting ip|peer addr|peer address|ip address|recovery code|backup code|backup codes|recovery codes
    security code|verification code|one time code|auth code|authorization code|seed phrase|connection string
    database url|redis url|broker url|account number|routing number|pass phrase|pass word|pass code|sort code
    magic link|api keys|secret keys|private keys|signing keys|encryption keys|access keys|fernet keys|ssh keys
    recovery keys|activation key|reset key|invitation key|invite key|wrapping key|ssl key|tls key|cert key|pgp key
    priv key|wallet key|stripe key|openai key|anthropic key|google key|github key|gitlab key|aws key|azure key
    algolia key|sendgrid key|mailgun key|twilio key|mapbox key|firebase key|datadog key|recaptcha key|sentry key
    activation code|confirmation code|confirm code|reset code|login code|sms code|invitation code|invite code
    device code|factor code|fa code|access code|pairing code|reset link|reset url|verification link|verification url
    activation link|activation url|confirmation link|confirmation url|invite link|invite url|login link|signed url
    presigned url|wallet seed|master seed|security answer|secret answer|maiden name|date of birth|birth date
    national id|identity number|id card|tax id|tax number|driver license|drivers license|driver licence
    insurance number|health id|cc num|security question|onetime code|password salt|hash salt|field salt|kdf salt
    bank account|account no|acct number|routing no|service ticket|granting ticket|sso ticket|kerberos ticket
    access key id|data key|serial key|instrumentation key|functions key|key material|key data|conn str
    connection str|github pat|gitlab pat|azure pat|gh pat|honeycomb team|mot de passe|clave secreta|clave api
    cle secrete|cle api|chave secreta|chave api|chiave segreta|chiave api|sec key|enc key|dec key|unseal key
    wifi key|network key|recovery phrase|backup phrase|one time link|share link|rapidapi key|appwrite key
    client cert|captcha response|turnstile response|jenkins crumb|websocket key|relay state|api schluessel
    """.replace("\n", "|").split("|")
    if phrase.strip()
)
# ... or is exactly one of these.
SENSITIVE_ALONE = frozenset({"key", "code_verifier", "sharedkey", "x_forwarded", "client_assertion", "salt", "pan"})

# A name with one of these segments at its end (or start) only describes a secret: `max_tokens`, `auth_method`. Its
# value stays if it looks like a description: a number, a word, a date. Anything else goes, as in `token_type: 9f8a...`.
DESCRIBING_ENDS = frozenset(
    """
    count counts length len size sizes limit limits max min total totals ttl timeout timeouts expiry expires expired
    expiration expire age at on type types method methods status state enabled disabled required valid invalid verified
    attempts failures retries errors validators validation field fields version policy strength backend backends engine
    provider providers scheme schemes samesite secure httponly class classes serializer serializers form forms view
    views middleware table rate rates created updated rotated changed index position format hasher hashers domain budget
    usage used remaining duration interval lifetime prefix mode level kind days hours minutes seconds exempt module
    models model app apps source header headers path paths url uri domain hashers origins per name names label input
    output permission permissions required family visible consent banner protection
    """.split()
)
DESCRIBING_STARTS = frozenset(
    """
    max min num total n has is needs requires require use uses allow allows allowed count prompt completion number
    input output cached reasoning supports supported enable disable should can must show hide with without no not
    missing invalid
    """.split()
)
# Names that end in one of these tell nothing secret: `jwt_algorithm`.
PUBLIC_ENDS = frozenset({"algorithm", "algorithms"})
# Names that look sensitive and are not, written as segments.
NEAR_MISSES = frozenset(
    tuple(name.split())
    for name in """
    primary key|foreign key|cache key|sort key|partition key|idempotency key|object key|row key|unique key
    routing key|lookup key|group key|translation key|dict key|keys|pass rate|pass count|pass through|bypass
    compass|session replay|session engine|cookie age|auth user|auth group|auth permission|django session|sessions
    passed|passing|secretary|tokenizer|author|authors|authored|authority|keyboard|monkey|keynote|hotkey|turkey
    donkey|key name|key names|key id|key ids|ip version|oauth scopes|function signature|method signature
    signature version|pass args|two pass|first pass|second pass|key prefix|pin memory|webhook id|webhook ids
    forwarded proto|forwarded protocol|forwarded port
    webhook event|webhook events|stop token|stop tokens|pad token|eos token|bos token|unk token
    """.replace("\n", "|").split("|")
    if name.strip()
)
# Their value runs to the end of the line when it stands in text.
WHOLE_LINE_NAMES = frozenset(
    {
        "cookie",
        "set-cookie",
        "authorization",
        "proxy-authorization",
        "x-forwarded-for",
        "forwarded",
        "passphrase",
        "mnemonic",
    }
)
# `password: required` says something about a password and is not one.
PLAIN_VALUES = frozenset(
    """
    a an the this that these those it its is are was were be been being not no none null nil true false undefined
    nan yes and or of in on at to for from with without by as if but so must should may might can cannot could
    will would has have had does do did required missing invalid expired empty blank unknown failed failure wrong
    incorrect mismatch unset optional set changed updated created deleted revoked ok okay valid verified rejected
    denied error errors unauthorized forbidden absent present redacted removed filtered hidden masked str string
    int integer float bool boolean bytes object any list dict tuple type char text varchar number self cls args
    kwargs default authentication authorized please enter check try user your you we they i bearer basic token key
    session cookie auth authorization csrf jwt field value header eof accepted enabled disabled static dynamic
    same-origin include omit none secret
    """.split()
)


class Rule(NamedTuple):
    """A value rule: its id in `_meta`, what it is, what replaces a hit, and examples that are also its tests."""

    id: str
    about: str
    becomes: str
    hits: tuple[tuple[str, str], ...]  # (text, text after scrubbing)
    misses: tuple[str, ...]  # texts that stay as they are


VALUE_RULES: tuple[Rule, ...] = (
    Rule(
        "card",
        "card numbers: four groups of four; other lengths and run-together digits if Luhn-valid",
        CARD,
        (
            ("paid with 4532-1234-5678-9010 today", f"paid with {CARD} today"),
            ("card 4111 1111 1111 1111", f"card {CARD}"),
            ("n=4111111111111111;", f"n={CARD};"),
            ("amex 3782 822463 10005.", f"amex {CARD}."),
            ("amex 378282246310005", f"amex {CARD}"),
            ("4111%201111%201111%201111", CARD),
            ("\x1b[31m4111111111111111\x1b[0m", f"\x1b[31m{CARD}\x1b[0m"),
        ),
        (
            "order 4111111111111112",
            "at 1700000000000 ms, 1700000000000000000 ns",
            "in 2019 2020 2021 2022",
            "550e8400-e29b-41d4-a716-446655440000",
            "snowflake 1138442398712250368",
        ),
    ),
    Rule(
        "email",
        "e-mail addresses, also percent-encoded; the first two letters and the domain stay",
        "jo***@example.com",
        (
            ("mail john.doe@example.com!", "mail jo***@example.com!"),
            ("?to=john.doe%40example.com&x=1", "?to=jo***%40example.com&x=1"),
            ("<jo@example.com>", "<***@example.com>"),
            ("jürgen@müller.example", "jü***@müller.example"),
        ),
        (
            "git@github.com:org/repo.git",
            "ssh://git@github.com/org/repo",
            "logo@2x.png",
            "react@18.2.0",
            "@property",
            "@app.route('/x')",
            "getty@tty1.service",
            "jo***@example.com",
            "a @ b",
        ),
    ),
    Rule(
        "phone",
        "phone numbers; the last four digits stay",
        "XXX-XXX-4567",
        (
            ("call 555-123-4567", "call XXX-XXX-4567"),
            ("call (555) 123-4567 now", "call XXX-XXX-4567 now"),
            ("call +44 20 7946 0958", "call XXX-XXX-0958"),
            ("tel:+15551234567", "tel:XXX-XXX-4567"),
            ("1-800-555-1234", "XXX-XXX-1234"),
            ("line one\\n555-123-4567", "line one\\nXXX-XXX-4567"),
            ("note=%2B44%2020%207946%200958", "note=XXX-XXX-0958"),
        ),
        (
            "2024-01-02",
            "2024-01-02T03:04:05+00:00",
            "x = a +12345678",
            "1e+10",
            "555-1234",
            "10-20-30",
            "978-3-16-148410-0",
        ),
    ),
    Rule(
        "ssn",
        "US social security numbers",
        FILTERED,
        (("it is 078-05-1120.", f"it is {FILTERED}."),),
        ("000-12-3456", "666-12-3456", "978-05-1120", "078-05-11203", "2024-05-1120"),
    ),
    Rule(
        "iban",
        "IBANs with a valid checksum",
        FILTERED,
        (("to DE89370400440532013000.", f"to {FILTERED}."), ("GB82 WEST 1234 5698 7654 32", FILTERED)),
        ("DE89370400440532013001", "AB12CD34EF56GH78IJ90", "SKU AA11 2222 3333"),
    ),
    Rule(
        "ipv4",
        "IPv4 addresses; not loopback, the unspecified address, masks, nor four-part versions that are written as such",
        IPV4,
        (
            ("from 10.0.0.5:8080", f"from {IPV4}:8080"),
            ("http://192.168.1.20/x", f"http://{IPV4}/x"),
            ("peer ('203.0.113.9', 443)", f"peer ('{IPV4}', 443)"),
            ("ip 10.0.0.5.", f"ip {IPV4}."),
            ("ip-10-0-0-5.ec2.internal", f"{IPV4}.ec2.internal"),
            ("ec2-203-0-113-9.compute.example", f"{IPV4}.compute.example"),
            ("next=http%3A%2F%2F203.0.113.9%2Fx", f"next=http%3A%2F%2F{IPV4}%2Fx"),
        ),
        (
            "127.0.0.1:8000 0.0.0.0 255.255.255.0",
            "version 1.2.3.4",
            "v1.2.3.4",
            "foo==1.2.3.4",
            "foo-1.2.3.4.tar.gz",
            "Chrome/120.0.0.0 Safari/537.36",
            "Chrome/120.0.6099.109",
            "oid 1.3.6.1.4.1",
            "1.2.3",
            "999.1.1.1",
        ),
    ),
    Rule(
        "ipv6",
        "IPv6 addresses; not ::1 nor ::",
        IPV6,
        (
            ("from 2001:db8::ff00:42:8329 on", f"from {IPV6} on"),
            ("[fe80::1%eth0]:443", f"[{IPV6}%eth0]:443"),
            ("2001:0db8:85a3:0000:0000:8a2e:0370:7334", IPV6),
            ("throttle:2001:db8::1", f"throttle:{IPV6}"),
        ),
        ("::1", "std::string", "a[1::2]", "x[::2]", "12:34:56", "00:1b:44:11:3a:b7", "Foo::Bar", "at 03:04:05:06"),
    ),
    Rule(
        "token",
        "random words from 22 characters on (not hexadecimal, UUIDs, names), 64 and more of URL-safe base64, "
        "password hashes, and the shapes of vendors' keys",
        TOKEN,
        (
            ("key " + "aB3_x9-Q" * 8 + " ok", f"key {TOKEN} ok"),
            ("a" * 64, TOKEN),
            ("0123456789abcdef" * 4, TOKEN),
            ("pbkdf2_sha256$1000000$abcDEF123$" + "Zm9vYmFy" * 5 + "abc=", TOKEN),
            ("argon2$argon2id$v=19$m=102400,t=2,p=8$" + "Zm9vYmFy" * 4 + "$" + "Zm9vYmFy" * 4, TOKEN),
            ("link /s/Zk3Q7w9vT4bR8nLw1Hs5Jd/open", f"link /s/{TOKEN}/open"),
            ("saw p2M/Zk3Q7w9vT4bR8nLw1Hs5Jd+3YxK= here", f"saw {TOKEN} here"),
            ("sessions/zk3q7w9vt4br8nlw1hs5jd3yxkp2mv7c", f"sessions/{TOKEN}"),
            ("cut\\nghp_Zk3Q7w9vT4bR8nLw1Hs5", f"cut\\n{TOKEN}"),
            ("%22ghp_Zk3Q7w9vT4bR8nLw1Hs5%22", f"%22{TOKEN}%22"),
            ("cut off: ghp_Zk3Q7w9vT4...", f"cut off: {TOKEN}..."),
            ("/reset/Nw8c49875Hw0FvZ-HPKeP2-jtjilqxEFDURvUfkNOrc/", f"/reset/{TOKEN}/"),
        ),
        (
            "3f786850e387550fdab836ed7e6dc881de23001b",
            "550e8400-e29b-41d4-a716-446655440000",
            "test_an_upload_that_is_larger_than_the_quota_of_its_organization_is_refused",
            "-" * 80,
            "_" * 80,
            "TestUploadRejectsFilesWhenTheQuotaIsExceededAndReturnsAHelpfulErrorMessage",
            "getUtf8ByteLengthOfX509CertV3",
            "Qwen2-VL-72B-Instruct-AWQ-4bit",
            "01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "V1StGXR8_Z5jdHi6B-myT",
            "----WebKitFormBoundary7MA4YWxkTrZu0gW",
            "static/js/main.7d5c1a2b3c4d.chunk.js",
            "foo-1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
            "web-7d9f8b6c5d-x2k4j",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "sha256-B2yPHKaXnvFWtRChIbabYmUBFZdVfKKXHbWtWidDVF8=",
            "sk_live_settings_of_the_shop_and_its_customers",
        ),
    ),
    Rule(
        "scheme",
        "what follows Bearer, Basic, Token and Digest",
        f"Bearer {FILTERED}",
        (
            ("sent Bearer abc123", f"sent Bearer {FILTERED}"),
            ("sent Basic dXNlcjpwYXNz", f"sent Basic {FILTERED}"),
            ("sent 'Token 9944b09199c62bcf'", f"sent 'Token {FILTERED}'"),
            ("Bearer%20abc123", f"Bearer%20{FILTERED}"),
            ('sent Digest username="jane", response="9f8a"', f"sent Digest {FILTERED}"),
        ),
        (
            "Bearer token is missing",
            "Basic authentication",
            "Basic usage",
            "Token expired",
            "token refresh failed",
            "Bearer authentication required",
            'WWW-Authenticate: Bearer realm="api"',
        ),
    ),
    Rule(
        "url",
        "user and password in a URL",
        f"scheme://{FILTERED}@host",
        (
            ("postgres://app:hunter2@db:5432/x", f"postgres://{FILTERED}@db:5432/x"),
            ("redis://:pa/ss@cache:6379/0", f"redis://{FILTERED}@cache:6379/0"),
            ("https://9f8a7b6c5d4e3f2a@o1.ingest.sentry.io/2", f"https://{FILTERED}@o1.ingest.sentry.io/2"),
            ("postgres://app:a@b@db:5432/x", f"postgres://{FILTERED}@db:5432/x"),
            ("app:hunter2@tcp(db:3306)/x", f"app:{FILTERED}@tcp(db:3306)/x"),
            ("host = 'jane:hunter2@localhost'", f"host = 'jane:{FILTERED}@localhost'"),
            ("jdbc:oracle:thin:app/hunter2@db:1521", f"jdbc:oracle:thin:app/{FILTERED}@db:1521"),
        ),
        ("http://localhost:8000/@john", "https://example.com/a?b=c", "ssh://deploy@build/x"),
    ),
    Rule(
        "pem",
        "PEM blocks",
        PEM,
        (
            ("a -----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- b", f"a {PEM} b"),
            ("-----BEGIN PRIVATE KEY-----\\nMIIE...", PEM),
        ),
        ("-----BEGINNING-----", "BEGIN; SELECT 1; END"),
    ),
    Rule(
        "name",
        "the value of a sensitive name, in every spelling of name and value",
        FILTERED,
        (
            ("password=hunter2", f"password={FILTERED}"),
            ("a=1&user%5Bpassword%5D=hunter2&b=2", f"a=1&user%5Bpassword%5D={FILTERED}&b=2"),
            ("{'password': 'a b', 'n': 1}", f"{{'password': '{FILTERED}', 'n': 1}}"),
            ('{"a": "{\\"apiKey\\": \\"x y\\"}"}', f'{{"a": "{{\\"apiKey\\": \\"{FILTERED}\\"}}"}}'),
            ("run --password hunter2 --all", f"run --password {FILTERED} --all"),
            ("['x', '--password', 'hunter2']", f"['x', '--password', '{FILTERED}']"),
            ("X-Api-Key: hunter2\nHost: x", f"X-Api-Key: {FILTERED}\nHost: x"),
            ("Cookie: a=b; c=d\nHost: x", f"Cookie: {FILTERED}\nHost: x"),
            ("<QueryDict: {'password': ['hunter2']}>", f"<QueryDict: {{'password': {FILTERED}}}>"),
            ("WHERE \"session_key\" = 'abc'", f"WHERE \"session_key\" = '{FILTERED}'"),
            ("<password>hunter2</password>", f"<password>{FILTERED}</password>"),
            ("('X-Share-Password', 'hunter2')", f"('X-Share-Password', '{FILTERED}')"),
            ("the password is hunter2", f"the password is {FILTERED}"),
            ("%22password%22%3A%22hunter2%22", f"%22password%22%3A%22{FILTERED}%22"),
            ("x\\npassword=hunter2", f"x\\npassword={FILTERED}"),
            ("password[]=hunter2", f"password[]={FILTERED}"),
            ("password -> hunter2", f"password -> {FILTERED}"),
            ("\u201cpassword\u201d: \u201ca b\u201d", f"\u201cpassword\u201d: \u201c{FILTERED}\u201d"),
            ("password\uff1ahunter2", f"password\uff1a{FILTERED}"),
            ("| password | hunter2 |", f"| password | {FILTERED} |"),
            ("password\thunter2", f"password\t{FILTERED}"),
            ("next=%252Fx%253Fpassword%253Dhunter2", f"next=%252Fx%253Fpassword%253D{FILTERED}"),
            ("<password><![CDATA[hunter2]]></password>", f"<password><![CDATA[{FILTERED}]]></password>"),
            ('<add key="password" value="hunter2" />', f'<add key="password" value="{FILTERED}" />'),
            ("<input value='hunter2' name='password'>", f"<input value='{FILTERED}' name='password'>"),
            ("('user[password]', 'hunter2')", f"('user[password]', '{FILTERED}')"),
            ("mysql -u root -phunter2 -h db", f"mysql -u root -p{FILTERED} -h db"),
            ("curl -u jane:hunter2 https://x", f"curl -u {FILTERED} https://x"),
            ("machine x login jane password hunter2", f"machine x login jane password {FILTERED}"),
            ("- name: DB_PASSWORD\n  value: hunter2", f"- name: DB_PASSWORD\n  value: {FILTERED}"),
            ("token a1b2c3d4 has expired", f"token {FILTERED} has expired"),
            ("API key 9f8a7b6c5d4e revoked", f"API key {FILTERED} revoked"),
            ("password changed from tr0ub4dor to c0rr3ct-h0rse", f"password changed from {FILTERED} to {FILTERED}"),
            ("Password for user jane is c0rr3ct-h0rse.", f"Password for user jane is {FILTERED}."),
            ("your one time code: 482913", f"your one time code: {FILTERED}"),
            ("GET /reset/token/a1b2c3d4/", f"GET /reset/token/{FILTERED}/"),
            ("user.setPassword('c0rr3ct-h0rse')", f"user.setPassword('{FILTERED}')"),
            ("password=SecretStr('c0rr3ct-h0rse')", f"password=SecretStr('{FILTERED}')"),
            ('<password type="text">hunter2</password>', f'<password type="text">{FILTERED}</password>'),
            ('<param name="token">hunter2</param>', f'<param name="token">{FILTERED}</param>'),
            ("<key>Password</key>\n<string>hunter2</string>", f"<key>Password</key>\n<string>{FILTERED}</string>"),
            ("name,password\njane,hunter2\njoe,", f"name,password\njane,{FILTERED}\njoe,"),
            (" id | token \n----+-----\n 1 | abc", f" id | token \n----+-----\n 1 | {FILTERED}"),
            ("unzip -P hunter2 a.zip", f"unzip -P {FILTERED} a.zip"),
            ("7za x -phunter2 a.7z", f"7za x -p{FILTERED} a.7z"),
            ("snmpbulkwalk -v2c -c hunter2 host", f"snmpbulkwalk -v2c -c {FILTERED} host"),
            ("['ldapsearch', '-w', 'hunter2', '-x']", f"['ldapsearch', '-w', '{FILTERED}', '-x']"),
            ("ваш пароль: hunter2", f"ваш пароль: {FILTERED}"),
        ),
        (
            'password = form.cleaned_data["password"]',
            "max_tokens=4096",
            "password=password",
            "token: str",
            'WHERE "session_key" = %s',
            "password = %(password)s",
            "invalid token: expired",
            "the session is closed",
            "sorted(x, key=lambda row: row.id)",
            "author=John",
            "fields = ('username', 'password', 'email')",
            "{% csrf_token %}",
            "KeyError: 'token'",
            "Key 'color' not found",
            "auth_method=session",
            f"password={FILTERED}",
            "Unexpected token '<' at position 0",
            "unexpected token: EOF",
            '{"password": ["This field is required."]}',
            "jwt_algorithm=HS256",
            "key = f'{prefix}:{name}'",
            "cookie = SimpleCookie()",
            "Parse error near token 'end'",
            "{'password': [ErrorDetail(string='This password is too common.', code='too_common')]}",
            "sorted by key=name, key=str.lower",
            "connect(aws_access_key_id=key_id)",
            "PASSWORD_HASHERS=['django.contrib.auth.hashers.Argon2PasswordHasher']",
            "token_url=https://auth.example.com/oauth/token",
            "ssl_key: /etc/ssl/private/site.key",
            "API_KEY_MAX_PER_USER=10",
            "tokens: 3",
            "webhook: enabled",
            "username\tpassword\temail",
            "def find(token) -> str:",
            "session 550e8400-e29b-41d4-a716-446655440000 not found",
            "password hashed with pbkdf2-sha256",
            "session opened 2026-01-02T03:04:05",
            "the token of user-1-2 has expired in 2d12h",
            "pass 'strict' to refuse it",
            "GET /tokens/list/",
            "username,password\n",
            "X-Forwarded-Proto: https",
            "<key>CFBundleName</key>",
            "sorted(key=<built-in function neg>)",
            "cp -p a.txt b.txt",
        ),
    ),
    Rule(
        "bytes",
        "bytes literals and memory views",
        BYTES,
        (("body b'abc\\'d' end", f"body {BYTES} end"), ("x=b'cut off...", f"x={BYTES}")),
        ("b''", "['a', 'b', 'c']", "web'site'", "job's b", "(535, b'5.7.8 authentication failed')"),
    ),
    Rule(
        "database",
        "values that PostgreSQL and MySQL quote in their messages, and those in Django's queries",
        FILTERED,
        (
            ("DETAIL:  Key (username)=(john) already exists.", f"DETAIL:  Key (username)=({FILTERED}) already exists."),
            ("DETAIL:  Failing row contains (1, john, null).", f"DETAIL:  Failing row contains ({FILTERED})."),
            ("Duplicate entry 'john' for key 'u.name'", f"Duplicate entry '{FILTERED}' for key 'u.name'"),
            ("CREATE USER 'app' IDENTIFIED BY 'a b'", f"CREATE USER 'app' IDENTIFIED BY '{FILTERED}'"),
            ("LINE 1: SELECT 'john'::uuid", f"LINE 1: {FILTERED}"),
            ('invalid input syntax for type uuid: "john"', f'invalid input syntax for type uuid: "{FILTERED}"'),
            ("Exact(Col(users, accounts.User.name), 'john')", f"Exact(Col(users, accounts.User.name), {FILTERED})"),
        ),
        ("UNIQUE constraint failed: accounts_user.username",),
    ),
    Rule(
        "upload",
        "names of uploaded files in multipart headers and reprs",
        FILTERED,
        (
            ('form-data; name="file"; filename="tax 2024.pdf"', f'form-data; name="file"; filename="{FILTERED}"'),
            (
                "<InMemoryUploadedFile: tax.pdf (application/pdf)>",
                f"<InMemoryUploadedFile: {FILTERED} (application/pdf)>",
            ),
            ("[Errno 2] No such file or directory: 'tax.pdf'", f"[Errno 2] No such file or directory: '{FILTERED}'"),
            ("<DirEntry 'tax.pdf'>", f"<DirEntry '{FILTERED}'>"),
        ),
        ('File "/app/views.py", line 3', "[Errno 2] No such file or directory: '/etc/app.conf'"),
    ),
)
