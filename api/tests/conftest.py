import pytest
from django.core.cache import cache
from rest_framework.test import APIClient

from accounts import api_keys
from accounts.models import User

PASSWORD = "correct horse battery staple"


@pytest.fixture(autouse=True)
def nobody_has_tried_before():
    """Throttles count in the cache, which outlives a test."""
    cache.clear()


@pytest.fixture
def ada(db) -> User:
    return User.objects.create_user("ada", "ada@example.org", PASSWORD)


@pytest.fixture
def anonymous() -> APIClient:
    """A visitor whose browser checks nothing for us: CSRF protection is on, and a 500 is an answer."""
    return APIClient(enforce_csrf_checks=True, raise_request_exception=False)


@pytest.fixture
def by_key(ada) -> APIClient:
    """Ada, with an API key."""
    client = APIClient(enforce_csrf_checks=True, raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {api_keys.create(ada, 'tests')[1]}")
    return client
