"""The Django project that every server under measurement serves."""
