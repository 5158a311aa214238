"""Optical images beside the radar: which there are, their tiles, a picture for the dossier."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Response

from curupira.pipelines.review import MissingError
from curupira.serve.routes.tiles import Level, Place, address_of, image_answer
from curupira.serve.routes.warning import visible
from curupira.serve.site import Asking, Site, SiteHere
from curupira.store.tables import WarningRow

router = APIRouter(prefix="/api", tags=["image"])


def offered(site: Site, row: WarningRow) -> dict[str, list[dict[str, Any]]]:
    """Images nearest to a warning's first flag, with little cloud: before it and since.

    Raises
    ------
    MissingError
        If none are configured.
    SourceError, ConfigError
        If the catalogue cannot be read.
    """
    if not site.optical.configured:
        raise MissingError(
            "no optical images are configured",
            where="[serve] optical_stac",
            remedy="name a STAC catalogue of them",
        )
    west, south, east, north = row.geom.bounds
    box = (round(west, 4), round(south, 4), round(east, 4), round(north, 4))
    return site.optical.around(box, row.first_flag_date, site.now().date())


@router.get("/warnings/{warning_id}/optical")
def images(site: SiteHere, person: Asking, warning_id: str) -> dict[str, list[dict[str, Any]]]:
    """Optical images nearest to the first flag, with little cloud: before it and since."""
    return offered(site, visible(site, person, warning_id))


@router.get("/warnings/{warning_id}/optical/{which}.png")
def picture(
    site: SiteHere, person: Asking, warning_id: str, which: Literal["before", "after"]
) -> Response:
    """A warning's surroundings in the last clear image before its first flag, and in the newest."""
    row = visible(site, person, warning_id)
    found = chosen(offered(site, row))[which]
    content = None if found is None else site.optical.chip(found["image_id"], row.geom.bounds)
    return image_answer(content, warning_id)


def chosen(found: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, Any] | None]:
    """Of the images offered, the nearest before the first flag, and the newest."""
    before, after = found["before"], found["after"]
    return {"before": before[0] if before else None, "after": after[-1] if after else None}


@router.get("/tiles/optical/{image_id}/{z}/{x}/{y}.png")
def tile(site: SiteHere, image_id: str, z: Level, x: Place, y: Place) -> Response:
    """A tile of an optical image that was offered for a warning."""
    return image_answer(site.optical.tile(image_id, address_of(z, x, y)), image_id)
