"""How much leaves: traced requests, and copies of one error."""

import logging

import pytest

from core.monitoring.sampling import MAX_ISSUES, StormGuard, traces_sampler


def error(kind: str = "ValueError", line: int = 1) -> dict:
    frame = {"module": "shop.views", "function": "buy", "lineno": line}
    return {"exception": {"values": [{"type": kind, "stacktrace": {"frames": [frame]}}]}}


@pytest.mark.parametrize(
    "context",
    [
        {"wsgi_environ": {"PATH_INFO": "/health/live/"}},
        {"wsgi_environ": {"PATH_INFO": "/health"}},
        {"asgi_scope": {"path": "/health/"}},
        {"asgi_scope": {"path": "/cloud/health/", "root_path": "/cloud"}},
    ],
)
@pytest.mark.parametrize("parent", [None, True])
def test_ignored_paths_are_never_traced_even_when_the_caller_is(context: dict, parent: bool | None) -> None:
    sample = traces_sampler(1.0, ("/health/",))
    assert sample({**context, "parent_sampled": parent}) == 0.0


def test_the_callers_decision_wins_over_the_rate_so_that_traces_join() -> None:
    sample = traces_sampler(0.25, ())
    assert sample({"wsgi_environ": {"PATH_INFO": "/x/"}, "parent_sampled": True}) == 1.0
    assert sample({"wsgi_environ": {"PATH_INFO": "/x/"}, "parent_sampled": False}) == 0.0
    assert sample({"wsgi_environ": {"PATH_INFO": "/x/"}, "parent_sampled": None}) == 0.25
    assert sample({}) == 0.25


def test_a_callers_word_counts_a_hundred_times_a_minute_and_then_the_rate_does() -> None:
    now = [0.0]
    nothing, everything = (traces_sampler(rate, (), clock=lambda: now[0]) for rate in (1e-12, 1.0))
    asked = {"parent_sampled": True, "wsgi_environ": {}}
    undecided = {**asked, "parent_sampled": None, "transaction_context": {"parent_span_id": "00f067aa0ba902b7"}}
    assert [nothing(asked) for _ in range(150)] == [1.0] * 100 + [0.0] * 50
    # The SDK compares the rate with a number that comes from the caller, too.
    assert nothing(undecided) == 0.0
    assert nothing({"parent_sampled": None}) == 1e-12
    assert nothing({"parent_sampled": False}) == 0.0
    assert [everything(undecided) for _ in range(150)] == [1.0] * 150
    now[0] = 60.0
    assert nothing(asked) == 1.0
    assert nothing(undecided) == 1e-12


def test_a_task_of_a_traced_request_is_traced_however_many_there_are() -> None:
    sample = traces_sampler(1e-12, ())
    assert [sample({"parent_sampled": True, "celery_job": {}}) for _ in range(150)] == [1.0] * 150


def test_the_twenty_first_copy_within_a_minute_is_counted_not_sent() -> None:
    now = [0.0]
    guard = StormGuard(20, clock=lambda: now[0])
    assert [guard.allows(error()) for _ in range(25)] == [True] * 20 + [False] * 5
    assert guard.held_back == 5
    assert guard.allows(error("KeyError"))
    assert guard.allows(error(line=2))
    now[0] = 60.0
    assert guard.allows(error())


def test_transactions_and_check_ins_are_not_held_back() -> None:
    guard = StormGuard(1)
    for kind in ("transaction", "check_in"):
        assert all(guard.allows({"type": kind}) for _ in range(3))


def test_zero_means_no_limit() -> None:
    assert all(StormGuard(0).allows(error()) for _ in range(100))


def test_messages_from_one_log_line_are_one_issue_whatever_their_arguments() -> None:
    guard = StormGuard(1)
    event = {"logger": "app", "logentry": {"message": "user %s failed"}}
    assert guard.allows({**event, "extra": 1})
    assert not guard.allows({**event, "extra": 2})
    assert guard.allows({"message": "user %s failed"})


def test_a_storm_is_named_once_in_the_local_log(caplog: pytest.LogCaptureFixture) -> None:
    guard = StormGuard(2)
    with caplog.at_level(logging.WARNING, "core.monitoring"):
        for _ in range(10):
            guard.allows(error())
    assert len(caplog.records) == 1
    assert "ValueError" in caplog.text


def test_memory_stays_bounded_when_every_error_is_another_issue() -> None:
    guard = StormGuard(1)
    for line in range(MAX_ISSUES * 2):
        guard.allows(error(line=line))
    assert len(guard._issues) == MAX_ISSUES


def test_memory_stays_bounded_when_every_message_is_long() -> None:
    guard = StormGuard(1)
    guard.allows({"message": "x" * 1_000_000})
    assert not guard.allows({"message": "x" * 1_000_001})
    assert sum(len(part) for issue in guard._issues for part in issue) < 1000
