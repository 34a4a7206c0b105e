"""The vocabulary of edits: named operations, their parameters, and definition profiles.

An `Operation` says what an edit is called, which parameters it takes in which units, and how its
pixels are computed. The constants of that mathematics live in a `Profile`, so that a profile
fitted to other data can replace them. The core's operations are declared in `imad` and the modules
beside it; plugins add their own through the `register_operations` hook.
"""

from imgedit_plugins.operations.profiles import DEFAULT_PROFILE, Profile, load_profile
from imgedit_plugins.operations.vocabulary import (
    Constant,
    Inverse,
    Kind,
    Operation,
    Parameter,
    Parameters,
    ParameterValue,
    Points,
    Vocabulary,
    default_vocabulary,
)

__all__ = [
    "DEFAULT_PROFILE",
    "Constant",
    "Inverse",
    "Kind",
    "Operation",
    "Parameter",
    "ParameterValue",
    "Parameters",
    "Points",
    "Profile",
    "Vocabulary",
    "default_vocabulary",
    "load_profile",
]
