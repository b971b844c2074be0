"""Django's admin with two pages more: how monitoring is doing, and the end of security.log."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.apps import AdminConfig
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import URLPattern, URLResolver, path, reverse


class StaffSiteConfig(AdminConfig):
    """Takes the place of `django.contrib.admin` in INSTALLED_APPS."""

    default_site = "_core.admin_site.StaffSite"


class StaffSite(admin.AdminSite):
    """The site that `admin.site` is."""

    site_title = site_header = "Storm Cloud"

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Django's page to sign in; passwords are guessed here no faster than at the API."""
        from api.throttling import seconds_to_wait_for_login

        seconds = seconds_to_wait_for_login(request)
        if seconds:
            page = render_to_string("429.html", {"seconds": seconds})
            return HttpResponse(page, status=429, headers={"Retry-After": str(seconds)})
        return super().login(request, extra_context)

    def get_urls(self) -> list[URLPattern | URLResolver]:
        """Route the pages before those of models."""
        from accounts.security_log_page import security_log_page
        from core.monitoring.admin import status_page

        return [
            path("monitoring/", self.admin_view(status_page), name="monitoring"),
            path("security-log/", self.admin_view(security_log_page), name="security-log"),
            *super().get_urls(),
        ]

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[dict[str, Any]]:
        """List the pages first, as Django lists models: those that this member of staff may see."""
        from accounts.security_log_page import may_read

        pages = [("Monitoring", "admin:monitoring", True), ("Security log", "admin:security-log", may_read(request))]
        apps = super().get_app_list(request, app_label)
        if app_label is not None:
            return apps
        models = [
            {"name": name, "object_name": name, "admin_url": reverse(address), "add_url": None, "view_only": True}
            for name, address, is_allowed in pages
            if is_allowed
        ]
        index = reverse("admin:index")
        return [{"name": "This server", "app_label": "server", "app_url": index, "models": models}, *apps]
