"""The program that ``manage.py runserver`` becomes: a daemon at a developer's terminal.

`program` starts it, `console` shows what happens. It loads no code of the site, unless it
was told not to reload: a worker process does, which has the terminal, and is replaced when
the code changes.
"""
