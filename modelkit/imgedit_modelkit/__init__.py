"""What model plugins share: training and its run folder, data readers, features, metrics.

Importing this package, `runs`, `training`, `fingerprints` or a reader imports no torch.
"""
