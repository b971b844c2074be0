"""What `manage.py check` says."""

from collections.abc import Callable

import pytest
from django.core.checks import WARNING
from django.test import override_settings

from core.monitoring import checks
from core.monitoring.checks import check_monitoring
from core.monitoring.sdk import SDK_MISSING, Monitoring, active, init_sentry
from core.monitoring.testing import Receiver

Start = Callable[..., bool]


def test_without_monitoring_the_checks_pass() -> None:
    assert active() == Monitoring()
    assert check_monitoring() == []


def test_a_sound_configuration_passes(start: Start) -> None:
    start()
    assert check_monitoring() == []


@override_settings(MIDDLEWARE=[])
def test_a_missing_middleware_is_found_only_when_monitoring_is_on(start: Start) -> None:
    assert check_monitoring() == []
    start()
    (finding,) = check_monitoring()
    assert finding.id == "monitoring.W004"
    assert "core.middleware.SentryContextMiddleware" in finding.hint


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"SENTRY_DSN": "notaurl"}, "monitoring.W001"),
        ({"SENTRY_TRACES_SAMPLE_RATE": "2"}, "monitoring.W002"),
        ({"SENTRY_DSN": "", "SENTRY_DSN_FILE": "/nowhere/dsn"}, "monitoring.W005"),
    ],
)
def test_each_problem_is_a_warning_whose_hint_names_the_variable(
    start: Start, environment: dict[str, str], expected: str
) -> None:
    start(**environment)
    (finding,) = check_monitoring()
    assert finding.id == expected
    assert finding.level == WARNING, "an error would stop runserver and migrate"
    assert list(environment)[-1] in finding.hint


def test_a_missing_sdk_has_a_check_of_its_own(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sentry_sdk", None)
    start()
    assert [f.id for f in check_monitoring()] == [SDK_MISSING.id]


@pytest.mark.parametrize("pattern", ["(", ".*", "(a+)+"])
def test_a_bad_pattern_of_the_host_is_found_and_the_good_one_works(
    start: Start, receiver: Receiver, pattern: str
) -> None:
    assert start({"patterns": {"badge": r"BADGE-\d{4}", "broken": pattern}})
    (finding,) = check_monitoring()
    assert finding.id == "monitoring.W007"
    assert "broken" in finding.msg
    assert active().scrubber.text("BADGE-1234 at the door") == "[Filtered] at the door"


def test_every_id_is_in_the_table_of_the_module() -> None:
    for number in range(1, 8):
        assert f"monitoring.W00{number}" in (checks.__doc__ or "")


def test_init_is_safe_to_call_again(start: Start) -> None:
    assert start()
    assert start()
    assert init_sentry() in (True, False)
