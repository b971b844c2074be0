FROM python:3.12-slim AS build
# A virtual environment is one folder, which the image below takes over without pip's leftovers.
RUN python -m venv /venv
COPY requirements.txt /tmp/
RUN /venv/bin/pip install --no-cache-dir --disable-pip-version-check -r /tmp/requirements.txt


FROM python:3.12-slim
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    DJANGO_SETTINGS_MODULE=_core.settings.production WEB_CONCURRENCY=2
WORKDIR /app
# The volumes below inherit the owner of these folders.
RUN useradd --uid 10001 --user-group --home-dir /app --shell /usr/sbin/nologin stormcloud \
    && install --directory --owner stormcloud --group stormcloud media logs
COPY --from=build /venv /venv
COPY . .
# Settings for this one command; neither is used at run time.
RUN SECRET_KEY=build-time-only ALLOWED_HOSTS=localhost python manage.py collectstatic --noinput --verbosity 0

# By number: orchestrators check that it is not root without looking into the image.
USER 10001
VOLUME ["/app/media", "/app/logs"]
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["python", "scripts/healthcheck.py"]
# /dev/shm: a worker's heartbeat file on a slow disk would look like a hung worker. "-": the access log on stdout.
CMD ["gunicorn", "_core.wsgi", "--bind", "0.0.0.0:8000", "--worker-class", "gthread", "--threads", "8", \
     "--worker-tmp-dir", "/dev/shm", "--no-control-socket", "--access-logfile", "-"]

# Last, because it differs with every build: the commit becomes the release in the error tracker.
ARG GIT_COMMIT=""
ENV GIT_COMMIT=$GIT_COMMIT
