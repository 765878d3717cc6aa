"""A site with sessions and users, and a database in memory that all threads share."""

SECRET_KEY = "for tests"
DEBUG = False
USE_TZ = True
ALLOWED_HOSTS = ["example.com", ".sub.example.com", "[::1]"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "txchannels.django",
    "txchannels.django.delay",
    "tests.django.binding.shelves",
]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": "file:txchannels_tests?mode=memory&cache=shared",
    }
}
