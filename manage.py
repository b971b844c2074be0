#!/usr/bin/env python3
"""Django's command line. The settings module comes from the environment or `.env`, else development."""

import sys

from _core import use_settings

if __name__ == "__main__":
    use_settings(default="_core.settings.dev")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
