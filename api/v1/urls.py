"""Every address of version 1."""

from django.conf import settings
from django.urls import URLPattern, URLResolver, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from api.v1 import admin, audit, auth, debug, dirs, files, health, index, keys, shares

urlpatterns: list[URLPattern | URLResolver] = [
    path("health/", health.Health.as_view(), name="health"),
    path("health/status/", health.Status.as_view(), name="health-status"),
    path("auth/register/", auth.Register.as_view(), name="auth-register"),
    path("auth/verify-email/", auth.VerifyEmail.as_view(), name="auth-verify-email"),
    path("auth/resend-verification/", auth.ResendVerification.as_view(), name="auth-resend-verification"),
    path("auth/login/", auth.Login.as_view(), name="auth-login"),
    path("auth/logout/", auth.Logout.as_view(), name="auth-logout"),
    path("auth/me/", auth.Me.as_view(), name="auth-me"),
    path("auth/deactivate/", auth.Deactivate.as_view(), name="auth-deactivate"),
    path("auth/delete/", auth.Delete.as_view(), name="auth-delete"),
    path("auth/tokens/", keys.Keys.as_view(), name="auth-tokens"),
    path("auth/tokens/<uuid:key_id>/revoke/", keys.RevokeKey.as_view(), name="auth-token-revoke"),
    path("admin/users/", admin.Users.as_view(), name="admin-users"),
    path("admin/users/<int:user_id>/", admin.OneUser.as_view(), name="admin-user"),
    path("admin/keys/", admin.AllKeys.as_view(), name="admin-keys"),
    path("admin/keys/<uuid:key_id>/revoke/", admin.RevokeAnyKey.as_view(), name="admin-key-revoke"),
    path("admin/audits/", audit.Runs.as_view(), name="admin-audits"),
    path("admin/violations/", audit.Violations.as_view(), name="admin-violations"),
    path("admin/violations/export/", audit.ExportViolations.as_view(), name="admin-violations-export"),
    path("admin/violations/<uuid:violation_id>/acknowledge/", audit.Acknowledge.as_view(), name="admin-acknowledge"),
    path("dirs/", dirs.TopDirectoryView.as_view(), name="dirs-top"),
    path("dirs/<path:path>/create/", dirs.CreateDirectoryView.as_view(), name="dirs-create"),
    path("dirs/<path:path>/", dirs.DirectoryView.as_view(), name="dirs"),
    path("files/<path:path>/upload/", files.UploadView.as_view(), name="files-upload"),
    path("files/<path:path>/download/", files.DownloadView.as_view(), name="files-download"),
    path("files/<path:path>/delete/", files.DeleteView.as_view(), name="files-delete"),
    path("files/<path:path>/move/", files.MoveView.as_view(), name="files-move"),
    path("files/<path:path>/copy/", files.CopyView.as_view(), name="files-copy"),
    path("files/<path:path>/", files.FileView.as_view(), name="files"),
    path("shares/", shares.SharesView.as_view(), name="shares"),
    path("shares/<uuid:id>/", shares.ShareView.as_view(), name="share"),
    path("public/<str:token>/", shares.PublicView.as_view(), name="public-share"),
    path("public/<str:token>/download/", shares.PublicDownloadView.as_view(), name="public-share-download"),
    path("index/rebuild/", index.RebuildView.as_view(), name="index-rebuild"),
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("schema/swagger-ui/", SpectacularSwaggerView.as_view(url_name="schema"), name="swagger-ui"),
]

if settings.DEBUG:
    urlpatterns.append(path("debug/sentry-test/", debug.sentry_test, name="sentry-test"))
