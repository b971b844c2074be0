import pytest
from django.conf import settings
from django.db import OperationalError


def test_health_is_open_and_touches_nothing(anonymous, django_assert_num_queries):
    anonymous.credentials(HTTP_AUTHORIZATION="Bearer outdated")
    answer = anonymous.get("/api/v1/health/")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.django_db
def test_status_asks_what_the_server_depends_on_and_tells_no_more(anonymous):
    answer = anonymous.get("/api/v1/health/status/")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ok",
        "version": settings.VERSION,
        "database": "ok",
        "storage": "ok",
        "monitoring": False,
    }


@pytest.mark.django_db
def test_a_storage_that_cannot_be_written_is_unavailable(anonymous, settings, tmp_path):
    occupied = tmp_path / "occupied"
    occupied.write_text("a file where the storage's folder should be")
    settings.STORMCLOUD_STORAGE_ROOT = str(occupied)
    answer = anonymous.get("/api/v1/health/status/")
    assert answer.status_code == 503
    assert (answer.json()["status"], answer.json()["storage"], answer.json()["database"]) == (
        "unavailable",
        "unavailable",
        "ok",
    )


@pytest.mark.django_db
def test_a_database_that_does_not_answer_is_unavailable(anonymous, monkeypatch, caplog):
    def refuse(*_args):
        raise OperationalError("connection to db.internal refused for user stormcloud")

    monkeypatch.setattr("django.db.backends.utils.CursorWrapper.execute", refuse)
    answer = anonymous.get("/api/v1/health/status/")
    assert (answer.status_code, answer.json()["database"]) == (503, "unavailable")
    assert b"db.internal" not in answer.content
    assert "DATABASE_URL" in caplog.text
