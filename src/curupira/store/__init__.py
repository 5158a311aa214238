"""The warning store: the only package that knows the database.

``Store.open`` gives transactions; the modules hold the repository functions, each taking the
transaction's session: ``run``, ``scene``, ``acquisition``, ``observation``, ``warning``,
``candidate``, ``review``, ``sample``, ``edit``, ``account``, ``delivery``, ``meta``.
"""

from curupira.store import (
    account,
    acquisition,
    candidate,
    delivery,
    edit,
    meta,
    observation,
    review,
    run,
    sample,
    scene,
    warning,
)
from curupira.store.session import Store
from curupira.store.tables import (
    AccountRow,
    AcquisitionRow,
    CandidateRow,
    DeliveryRow,
    EditRow,
    MetaRow,
    ObservationRow,
    ReviewRow,
    RunRow,
    SampleRow,
    SceneRow,
    WarningRow,
)

__all__ = [
    "AccountRow",
    "AcquisitionRow",
    "CandidateRow",
    "DeliveryRow",
    "EditRow",
    "MetaRow",
    "ObservationRow",
    "ReviewRow",
    "RunRow",
    "SampleRow",
    "SceneRow",
    "Store",
    "WarningRow",
    "account",
    "acquisition",
    "candidate",
    "delivery",
    "edit",
    "meta",
    "observation",
    "review",
    "run",
    "sample",
    "scene",
    "warning",
]
