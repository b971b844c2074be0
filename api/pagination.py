"""Lists come in pages, and no client can ask for all at once."""

from rest_framework.pagination import LimitOffsetPagination


class BoundedPagination(LimitOffsetPagination):
    """`?limit=` and `?offset=`; also keeps numbers away from the database that it cannot hold."""

    max_limit = 1000
