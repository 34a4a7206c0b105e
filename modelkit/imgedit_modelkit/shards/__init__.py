"""Data sets that are made shard by shard, resumed after anything, on one machine or a cluster.

A folder holds the request (a JSON record, with hashes of the models), ``index.jsonl`` (the list of
what the rows are made from) and ``shard-00000/`` ... with pictures, ``metadata.jsonl`` (one object
a row) and ``skipped.json`` (what is no row, each with its reason). A shard appears when it is
complete, so the shards that are there say how far the work got.
"""
