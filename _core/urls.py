"""The addresses of the server: the API, its documentation and the staff's admin."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="swagger-ui")),
    path("admin/", admin.site.urls),
    path("api/v1/", include("api.v1.urls")),
]

handler400 = "api.errors.bad_request"
handler403 = "api.errors.permission_denied"
handler404 = "api.errors.not_found"
handler500 = "api.errors.server_error"
