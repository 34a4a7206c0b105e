"""One edit for many pictures: which files, where to, in parallel, and which of them stand out.

`find_pictures` lists the pictures of folders, `plan_tasks` says where each result goes, a
`Journal` in the output folder knows what was done, `run_batch` works on several pictures at a
time, and `find_outliers` picks those that the edit hit far harder than the rest.
"""

from imgedit_plugins.batch.inputs import Skipped, Source, find_pictures
from imgedit_plugins.batch.journal import JOURNAL, Journal, Record, fingerprint
from imgedit_plugins.batch.outliers import Figures, Outlier, find_outliers, measure
from imgedit_plugins.batch.running import Outcome, Told, Turn, default_jobs, run_batch
from imgedit_plugins.batch.tasks import SUFFIXES, Task, plan_tasks, to_do

__all__ = [
    "JOURNAL",
    "SUFFIXES",
    "Figures",
    "Journal",
    "Outcome",
    "Outlier",
    "Record",
    "Skipped",
    "Source",
    "Task",
    "Told",
    "Turn",
    "default_jobs",
    "find_outliers",
    "find_pictures",
    "fingerprint",
    "measure",
    "plan_tasks",
    "run_batch",
    "to_do",
]
