"""What the `evaluate` hooks of plugins share.

For all of them: which rows are scored (`rows`), a journal, intervals by the bootstrap. For those
that edit pictures by instructions, the whole way from a data set to tables: items, the rows of a
table (`methods`) and their `answers`, the `work`, what is `kept`, `summaries`, `tables`, `cases`,
and a `study` for people. Of these, `encoders` and `details` need torch.
"""
