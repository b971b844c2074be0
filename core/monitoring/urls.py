"""The page of test errors, for a host without DRF: `path("debug/", include("core.monitoring.urls"))`.

Without DEBUG it answers 404. A host that adds failures of its own routes the view itself, with the keyword `failures`.
"""

from django.urls import path

from core.monitoring.views import sentry_test

urlpatterns = [path("sentry-test/", sentry_test, name="sentry-test")]
