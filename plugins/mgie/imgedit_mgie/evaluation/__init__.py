"""`evaluate mgie`: the tables and figures of the paper, from data in the published layouts."""
