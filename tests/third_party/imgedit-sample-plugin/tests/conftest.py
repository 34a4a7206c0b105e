"""The fixtures of imgedit-plugins: manager, photograph, job, cancelled_job."""

pytest_plugins = ["imgedit_plugins.testing"]
