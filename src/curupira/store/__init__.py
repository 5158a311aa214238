"""The warning store: the only package that knows the database.

``Store.open`` gives transactions; the modules hold the repository functions, each taking the
transaction's session: ``run``, ``scene``, ``acquisition``, ``observation``, ``warning``,
``review``, ``delivery``, ``meta``.
"""

from curupira.store import (
    acquisition,
    delivery,
    meta,
    observation,
    review,
    run,
    scene,
    warning,
)
from curupira.store.session import Store
from curupira.store.tables import (
    AcquisitionRow,
    DeliveryRow,
    MetaRow,
    ObservationRow,
    ReviewRow,
    RunRow,
    SceneRow,
    WarningRow,
)

__all__ = [
    "AcquisitionRow",
    "DeliveryRow",
    "MetaRow",
    "ObservationRow",
    "ReviewRow",
    "RunRow",
    "SceneRow",
    "Store",
    "WarningRow",
    "acquisition",
    "delivery",
    "meta",
    "observation",
    "review",
    "run",
    "scene",
    "warning",
]
