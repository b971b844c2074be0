"""Web pages of other origins, as CORS_ALLOWED_ORIGINS lets them in."""

import pytest

from core import files, shares

APP = "https://app.example.org"
USED = "x-share-password, range, if-range, if-none-match, authorization, content-type, x-csrftoken"


@pytest.fixture(autouse=True)
def one_origin_is_allowed(settings, tmp_path):
    settings.CORS_ALLOWED_ORIGINS = [APP]
    settings.STORMCLOUD_STORAGE_ROOT = str(tmp_path / "media")


def listed(answer, header: str) -> set[str]:
    return {name.strip().lower() for name in answer[header].split(",")}


def test_a_page_may_send_every_header_that_the_api_reads(anonymous, db):
    asks = {"Origin": APP, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": USED}
    answer = anonymous.options("/api/v1/public/x/download/", headers=asks)
    assert answer["Access-Control-Allow-Origin"] == APP
    assert {name.strip() for name in USED.split(",")} <= listed(answer, "Access-Control-Allow-Headers")


def test_a_page_may_read_the_name_the_part_and_the_version_of_a_download(anonymous, ada):
    files.save(ada, "movie.mp4", [b"0123456789"])
    url = f"/api/v1/public/{shares.create(ada, 'movie.mp4').token}/download/"
    answer = anonymous.get(url, headers={"Origin": APP, "Range": "bytes=0-1"})
    assert answer.status_code == 206
    shown = listed(answer, "Access-Control-Expose-Headers")
    for name in ("ETag", "Content-Range", "Content-Disposition", "X-Request-ID"):
        assert name in answer
        assert name.lower() in shown
    assert "x-support-reference" in shown


def test_other_pages_and_other_addresses_are_not_let_in(anonymous, db):
    for origin, url in (("https://evil.example.org", "/api/v1/health/"), (APP, "/admin/login/")):
        assert "Access-Control-Allow-Origin" not in anonymous.get(url, headers={"Origin": origin})
