"""Every setting, read from the environment; each has a default that works on one machine.

The environment variables are listed in docs/reference/settings.md.
"""

from __future__ import annotations

import logging
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from environs import Env, EnvError, validate

from controlplane import environment

BASE_DIR = Path(__file__).resolve().parent.parent


def _list(name: str, default: list[str]) -> list[str]:
    """A comma-separated list; spaces around its entries don't count."""
    return [entry.strip() for entry in env.list(name, default) if entry.strip()]


LIVE_WAYS = validate.OneOf(("sse", "poll", "off"), error="{input!r} is not allowed: use {choices}")

try:
    env = Env()
    DEBUG = env.bool("DEBUG", False)
    DATA_DIR = environment.data_folder(env.str("CONTROLPLANE_DATA", str(BASE_DIR / "data")))
    CONTROLPLANE_MODULES = _list("CONTROLPLANE_MODULES", ["examples.concurrency_controls"])
    ALLOWED_HOSTS = _list("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
    CSRF_TRUSTED_ORIGINS = _list("CSRF_TRUSTED_ORIGINS", [])
    TIME_ZONE = environment.time_zone(env.str("TIME_ZONE", "UTC"))
    HTTPS = env.bool("HTTPS", False)
    SECRET_KEY = env.str("SECRET_KEY", "")
    DATABASE_URL = env.str("DATABASE_URL", "")
    REDIS_URL = env.str("REDIS_URL", "")
    RESERVE_AFTER = env.float("RESERVE_AFTER", 60.0, validate=validate.Range(min=0))
    KEEP_RUNS = env.int("KEEP_RUNS", 0, validate=validate.Range(min=0, max=36500))
    KEEP_LOGS = env.int("KEEP_LOGS", 0, validate=validate.Range(min=0, max=36500))
    KEEP_OUTPUTS = env.int("KEEP_OUTPUTS", 0, validate=validate.Range(min=0, max=36500))
    KEEP_SAMPLES = env.float("KEEP_SAMPLES", 0.25, validate=validate.Range(min=0, max=36500))
    KEEP_MINUTES = env.float("KEEP_MINUTES", 14, validate=validate.Range(min=0, max=36500))
    KEEP_HOURS = env.float("KEEP_HOURS", 400, validate=validate.Range(min=0, max=36500))
    KEEP_PROCESS_OPS = env.int("KEEP_PROCESS_OPS", 100, validate=validate.Range(min=1, max=1_000_000))
    KEEP_PROCESS_SECONDS = env.float("KEEP_PROCESS_SECONDS", 10.0, validate=validate.Range(min=0, max=3600))
    CRASH_RETRIES = env.int("CRASH_RETRIES", 1, validate=validate.Range(min=0, max=100))
    LIVE = env.str("LIVE", "sse", validate=LIVE_WAYS)
    LOG_LEVEL = env.log_level("LOG_LEVEL", logging.INFO)
except EnvError as error:
    raise ImproperlyConfigured(str(error)) from error

if not SECRET_KEY:
    if DATA_DIR:
        SECRET_KEY = environment.kept_secret(DATA_DIR)
    elif DEBUG:
        SECRET_KEY = "only-for-debugging-without-a-data-folder"
    else:
        raise ImproperlyConfigured(
            "SECRET_KEY is not set. Set it, or set CONTROLPLANE_DATA to a folder in which one is made and kept."
        )

# --- applications -----------------------------------------------------------------------------------

INSTALLED_APPS = [
    "controlplane",
    "controlplane.dashboard",
    "runs",
    "pools",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "servestatic.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_htmx",
    "django_rq",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "controlplane.dashboard.middleware.content_security_policy",
    "servestatic.middleware.ServeStaticMiddleware",
    "controlplane.dashboard.middleware.Compressed",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "controlplane.dashboard.roles.SignedIn",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "controlplane.dashboard.middleware.say_not_allowed",
    "controlplane.dashboard.middleware.RefuseNul",
]

ROOT_URLCONF = "controlplane.urls"
ASGI_APPLICATION = "controlplane.asgi.application"
WSGI_APPLICATION = "controlplane.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": False,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "controlplane.dashboard.context.page",
            ],
            "builtins": [
                "controlplane.dashboard.templatetags.sluice",
                "controlplane.dashboard.templatetags.filtering",
                "controlplane.dashboard.templatetags.findings",
                "controlplane.dashboard.templatetags.ledger",
                "controlplane.dashboard.templatetags.launching",
                "controlplane.dashboard.templatetags.spent",
            ],
        },
    }
]

# --- the database: the truth ------------------------------------------------------------------------

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True

DATABASES = {"default": environment.database(DATABASE_URL, DATA_DIR)}

# --- Redis: wake-ups --------------------------------------------------------------------------------

# Without REDIS_URL, `manage.py up` runs a private Redis that listens on this socket.
PRIVATE_REDIS_SOCKET = None
if not REDIS_URL:
    if not DATA_DIR:
        raise ImproperlyConfigured("Set REDIS_URL, or CONTROLPLANE_DATA to the folder for a private Redis.")
    PRIVATE_REDIS_SOCKET = environment.private_socket(DATA_DIR)
    REDIS_URL = f"unix://{PRIVATE_REDIS_SOCKET}?db=0"
REDIS_URL = environment.redis_url(REDIS_URL)

# All queues share this connection; an op names its queue, and workers are started for it.
RQ_QUEUES = {"default": {"URL": REDIS_URL}}
# JSON, so that whoever can write to Redis can't hand us a pickle.
RQ = {"SERIALIZER": "rq.serializers.JSONSerializer", "COMMIT_MODE": "auto"}

# --- files ------------------------------------------------------------------------------------------

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = (DATA_DIR or BASE_DIR) / "static-files"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "servestatic.storage.CompressedManifestStaticFilesStorage"},
    # What ops return, when it is not a small JSON value. Any Django storage will do.
    "outputs": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {
            "location": str((DATA_DIR or BASE_DIR) / "outputs"),
            "file_permissions_mode": 0o600,
            "directory_permissions_mode": 0o700,
        },
    },
}

# --- who may come in --------------------------------------------------------------------------------

AUTHENTICATION_BACKENDS = ["controlplane.dashboard.roles.Backend"]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "overview"
LOGOUT_REDIRECT_URL = "login"
PASSWORD_RESET_TIMEOUT = 60 * 60  # seconds that a one-time login link is good for
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
SESSION_ENGINE = "controlplane.dashboard.sessions"
SESSION_COOKIE_NAME = "sluice_session"
CSRF_COOKIE_NAME = "sluice_csrf"
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "controlplane.dashboard.views.errors.csrf_failure"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = 60 * 60 * 24 * 365 if HTTPS else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
SILENCED_SYSTEM_CHECKS: list[str] = []

# --- words ------------------------------------------------------------------------------------------

LANGUAGE_CODE = "en"
USE_I18N = False

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname:<7} {name}: {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        "django.request": {"level": "ERROR"},
        "uvicorn": {"level": "WARNING"},
        "rq": {"level": "WARNING"},
    },
}

# --- the engine -------------------------------------------------------------------------------------

# Seconds that a started op counts as alive without being renewed; the launcher renews every third of it.
LEASE_SECONDS = 15.0
# RESERVE_AFTER: seconds after which slots are kept for who is passed again and again by those behind it in line.
# CRASH_RETRIES: how often an op is tried again after a crash, before its own retry policy applies.
# Seconds that a canceled op has to clean up before it is killed.
CANCEL_GRACE_SECONDS = 10.0
