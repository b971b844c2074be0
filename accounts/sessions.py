"""Sessions in the database, as Django keeps them."""

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseSessionStore


class SessionStore(DatabaseSessionStore):
    """Looks up only what can be a session: a cookie with a NUL byte would otherwise be a DataError of PostgreSQL."""

    def _validate_session_key(self, key: str | None) -> bool:
        return super()._validate_session_key(key) and str(key).isascii() and str(key).isalnum()


def forget_sessions_of(user_id: int) -> None:
    """Delete the sessions of a user. Which they are only their content tells, so all are read."""
    for session in SessionStore.get_model_class().objects.iterator():
        if session.get_decoded().get(SESSION_KEY) == str(user_id):
            session.delete()
