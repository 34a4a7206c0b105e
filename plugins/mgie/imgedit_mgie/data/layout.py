"""The names of what `data mgie prepare` writes."""

from __future__ import annotations

from imgedit_modelkit.shards.work import Kind

KIND = Kind("imgedit-mgie-data/1", "prepare.json", "data mgie prepare")
