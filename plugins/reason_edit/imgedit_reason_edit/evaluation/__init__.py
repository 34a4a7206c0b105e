"""`evaluate reason_edit`: the tables and figures of the paper, on its benchmark and on others."""
