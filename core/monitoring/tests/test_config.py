"""Reading the configuration: what is set counts, what is wrong is said, and nothing raises."""

import os
from pathlib import Path

import pytest

from core.monitoring.config import SentryConfig

DSN = "https://abc123@tracker.example.org/7"


def read(**environment: str) -> SentryConfig:
    return SentryConfig.from_env(environment.get)


def test_without_any_variable_monitoring_is_off_and_nothing_is_wrong() -> None:
    config = read()
    assert not config.enabled
    assert config.problems == ()
    assert (config.traces_sample_rate, config.profiles_sample_rate, config.max_events_per_minute) == (0.1, 0.1, 20)
    assert config.environment == "production"


@pytest.mark.parametrize("blank", ["", " ", "\t\n"])
def test_a_blank_variable_counts_as_unset(blank: str) -> None:
    config = read(SENTRY_DSN=blank, SENTRY_TRACES_SAMPLE_RATE=blank, SENTRY_DEBUG=blank, SENTRY_ENVIRONMENT=blank)
    assert config == SentryConfig()


@pytest.mark.parametrize(
    "dsn",
    [
        "notaurl",
        "ftp://key@host/1",
        "https://host/1",
        "https://key@/1",
        "https://key@host/",
        "https://key@host/project",
        "https://key@host:port/1",
        "https://key@[::1/1",
        "https://key@[::1]:9/3",
        "https://key@host:99999/1",
        "https://key@host\u2100/1",
    ],
)
def test_a_malformed_dsn_turns_monitoring_off_and_names_the_variable_but_not_the_key(dsn: str) -> None:
    config = read(SENTRY_DSN=dsn)
    assert not config.enabled
    (problem,) = config.problems
    assert problem.id == "monitoring.W001"
    assert "SENTRY_DSN" in problem.message
    assert "SENTRY_DSN" in problem.hint
    assert "key@" not in str(problem).replace("<public key>@", "")


@pytest.mark.parametrize("dsn", [DSN, "http://k@127.0.0.1:8/1", "https://k:secret@h/prefix/12"])
def test_what_the_sdk_accepts_is_accepted(dsn: str) -> None:
    from sentry_sdk.utils import Dsn

    assert Dsn(dsn)
    assert read(SENTRY_DSN=f"  {dsn}\n").dsn == dsn


@pytest.mark.parametrize("rate", ["1.5", "-0.1", "50", "10%", "nan", "inf", "much", "0,5", "0.1  # a comment"])
@pytest.mark.parametrize("name", ["SENTRY_TRACES_SAMPLE_RATE", "SENTRY_PROFILES_SAMPLE_RATE"])
def test_an_absurd_rate_is_a_warning_and_the_default_stands(name: str, rate: str) -> None:
    config = read(SENTRY_DSN=DSN, **{name: rate})
    assert config.enabled
    assert (config.traces_sample_rate, config.profiles_sample_rate) == (0.1, 0.1)
    (problem,) = config.problems
    assert problem.id == "monitoring.W002"
    assert name in problem.message
    assert name in problem.hint


@pytest.mark.parametrize(("text", "rate"), [("0", 0.0), ("1", 1.0), ("0.25", 0.25), (" .5 ", 0.5), ("1e-3", 0.001)])
def test_a_rate_within_bounds_is_taken(text: str, rate: float) -> None:
    assert read(SENTRY_TRACES_SAMPLE_RATE=text).traces_sample_rate == rate


@pytest.mark.parametrize(
    ("name", "value"),
    [("SENTRY_MAX_EVENTS_PER_MINUTE", "-1"), ("SENTRY_MAX_EVENTS_PER_MINUTE", "2.5"), ("SENTRY_DEBUG", "maybe")],
)
def test_a_number_or_flag_that_makes_no_sense_is_a_warning(name: str, value: str) -> None:
    config = read(**{name: value})
    assert [p.id for p in config.problems] == ["monitoring.W002"]
    assert (config.max_events_per_minute, config.debug) == (20, False)


def test_a_host_default_gives_way_to_the_variable() -> None:
    host = {"environment": "development", "ignore_paths": ["/health/"]}
    assert SentryConfig.from_env({}.get, **host).environment == "development"
    config = SentryConfig.from_env({"SENTRY_ENVIRONMENT": "staging", "SENTRY_IGNORE_PATHS": "/a/, /b/"}.get, **host)
    assert (config.environment, config.ignore_paths) == ("staging", ("/a/", "/b/"))


def test_what_protects_is_added_to_what_the_host_protects() -> None:
    host = {"sensitive_keys": ["path"], "private_paths": ["/srv/files"]}
    config = SentryConfig.from_env({"SENTRY_SENSITIVE_KEYS": "badge", "SENTRY_PRIVATE_PATHS": "/mnt"}.get, **host)
    assert config.sensitive_keys == ("path", "badge")
    assert config.private_paths == ("/srv/files", "/mnt")


def test_environment_and_git_commit_are_the_second_choice() -> None:
    assert read(ENVIRONMENT="staging").environment == "staging"
    assert read(ENVIRONMENT="staging", SENTRY_ENVIRONMENT="blue").environment == "blue"
    assert read(GIT_COMMIT="abc").release == "abc"
    assert read(GIT_COMMIT="abc", SENTRY_RELEASE="1.2").release == "1.2"


@pytest.mark.parametrize("word", ["unknown", "UNKNOWN", "none", "undefined"])
def test_a_release_that_means_nothing_is_never_sent(word: str) -> None:
    assert read(SENTRY_RELEASE=word).release == ""
    assert read(SENTRY_RELEASE=word, GIT_COMMIT="abc").release == "abc"


def test_the_dsn_can_come_from_a_file_as_container_secrets_do(tmp_path: Path) -> None:
    secret = tmp_path / "dsn"
    secret.write_text(f"{DSN}\n")
    assert read(SENTRY_DSN_FILE=str(secret)).dsn == DSN


def test_a_dsn_file_that_never_ends_does_not_stop_the_server(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for endless in (pipe, Path("/dev/zero")):
        (problem,) = read(SENTRY_DSN_FILE=str(endless)).problems
        assert problem.id == "monitoring.W005"
        assert "it is no regular file" in problem.message
    long = tmp_path / "long"
    long.write_text("x" * 10**6)
    assert [problem.id for problem in read(SENTRY_DSN_FILE=str(long)).problems] == ["monitoring.W001"]


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_dsn_file_that_cannot_be_read_is_a_warning(tmp_path: Path, content: bytes | None) -> None:
    secret = tmp_path / "dsn"
    if content:
        secret.write_bytes(content)
    config = read(SENTRY_DSN_FILE=str(secret))
    assert not config.enabled
    assert [p.id for p in config.problems] == ["monitoring.W005"]
    assert "SENTRY_DSN_FILE" in config.problems[0].hint
