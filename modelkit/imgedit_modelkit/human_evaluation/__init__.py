"""Human evaluation: people rank the texts or pictures of several systems on a local web page.

`Study` says what is ranked, `serve` shows it to one person and keeps the answers in a JSON file,
`summarise` makes figures of such files. No torch here.
"""

from imgedit_modelkit.human_evaluation.results import Summary, read_results, summarise
from imgedit_modelkit.human_evaluation.server import EvaluationServer
from imgedit_modelkit.human_evaluation.study import Candidate, Criterion, Item, Study, read_study

__all__ = [
    "Candidate",
    "Criterion",
    "EvaluationServer",
    "Item",
    "Study",
    "Summary",
    "read_results",
    "read_study",
    "summarise",
]
