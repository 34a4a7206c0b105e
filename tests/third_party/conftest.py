"""The distribution here is installed by the tests; its own tests run inside that installation."""

collect_ignore = ["imgedit-sample-plugin"]
