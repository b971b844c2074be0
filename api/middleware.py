"""Addresses of the API may be written without their final slash."""

from django.http import HttpRequest, HttpResponseBase
from django.middleware.common import CommonMiddleware

from api.errors import API


class SlashMiddleware(CommonMiddleware):
    """Django's, which answers a missing slash with a redirect; most clients lose an upload's body to one.

    And `curl -T FILE URL` appends the file's name to a URL that ends in a slash.
    """

    def process_request(self, request: HttpRequest) -> HttpResponseBase | None:
        """Add the slash to an address of the API."""
        if request.path_info.startswith(API) and not request.path_info.endswith("/"):
            request.path_info += "/"
            request.path += "/"
        return super().process_request(request)
