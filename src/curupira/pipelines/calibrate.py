"""Measure, on a workspace's own images and masks, what a preset takes from the literature."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from shapely.geometry.base import BaseGeometry

from curupira.blocks import Window, split
from curupira.cog import write_atomic
from curupira.config import Workspace
from curupira.cube.archive import Cube
from curupira.detect.baseline import deseasonalise, despeckle
from curupira.detect.calibration import (
    Clutter,
    DistanceLaw,
    FalseRate,
    clutter,
    clutter_drops,
    false_rates,
    fit_distance_law,
)
from curupira.detect.geometry import lia_mask
from curupira.detect.threshold import threshold_db
from curupira.errors import ConfigError, InputError
from curupira.grid import SIRGAS_2000, project
from curupira.pipelines import masks
from curupira.pipelines.corrections import as_known
from curupira.pipelines.images import Detector, Image, rasterise, track
from curupira.pipelines.masks import MONITORED
from curupira.pipelines.reading import read_block
from curupira.pipelines.regions import COPIES
from curupira.pipelines.usable import usable_images
from curupira.progress import Report, silent
from curupira.records import group_acquisitions
from curupira.report.distance import DistanceView, distance_figure
from curupira.report.sheet import SheetFigure, SheetSection, render_sheet
from curupira.report.style import LINE_DPI
from curupira.report.tables import Table
from curupira.sources.history import distances_to_earlier, read_dated
from curupira.store import warning as warnings
from curupira.store.quality import held
from curupira.store.session import Store
from curupira.units import to_db

#: Side of a block of the sample, pixels.
BLOCK_PX = 128
#: Pixels of the sample this far apart share no filter window (Quegan-Yu 5 and Lee 7 pixels).
SPACING_PX = 12
#: Forest this close to a warning of any status is not sampled, metres.
WARNED_M = 100.0
#: Series with fewer images have no usable spread.
MINIMUM_IMAGES = 10
Series = npt.NDArray[np.float32]


@dataclass(frozen=True)
class CalibrateOptions:
    """What is measured.

    ``images``: images in a run of mean minus minimum, None for whole series. ``sample``: forest
    pixels at most. ``far_m``: only forest this far from deforestation. ``thresholds``: T.
    """

    images: int | None = None
    sample: int = 2000
    far_m: float = 1000.0
    thresholds: tuple[float, ...] = (1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 3.94)
    seed: int = 0


@dataclass(frozen=True)
class Calibration:
    """What was found. ``published`` are false rates with the preset's own mean and spread.

    ``law`` is None where there are too few distances; ``law_note`` says where they come from.
    """

    preset: str
    pixels: int
    images: int
    notice: str
    clutter: Clutter
    rates: list[FalseRate]
    published: list[FalseRate]
    law: DistanceLaw | None
    law_note: str
    view: DistanceView

    @property
    def override(self) -> dict[str, float]:
        """Values for ``[algorithm] override`` that would follow; nothing is changed."""
        found = {
            "clutter_mean_db": round(self.clutter.mean_db, 3),
            "clutter_sd_db": round(self.clutter.sd_db, 3),
        }
        if self.law is not None:
            found |= {"distance_mu": round(self.law.mu, 4), "distance_s": round(self.law.s, 4)}
        return found

    def document(self) -> dict[str, Any]:
        """Plain values, for ``--json``."""
        return {
            "preset": self.preset,
            "pixels": self.pixels,
            "images": self.images,
            "clutter": asdict(self.clutter),
            "false_rates": [asdict(rate) for rate in self.rates],
            "false_rates_of_preset": [asdict(rate) for rate in self.published],
            "distance_law": None if self.law is None else asdict(self.law),
            "distance_source": self.law_note,
            "override": self.override,
        }


def calibrate(
    workspace: Workspace, options: CalibrateOptions, *, now: datetime, report: Report = silent
) -> Calibration:
    """Measure clutter, false rate and distance law. Reads only; the monitor file stays as it is.

    Raises
    ------
    ConfigError
        If the workspace has no images yet.
    InputError
        If too little forest is undisturbed and far enough, or the series are too short.
    """
    store = Store.open(workspace.monitor.store.url, base=workspace.folder, create=False)
    with store, store.reading() as session:
        accepted = [(row.scene, row.quality) for row in held(session) if row.accepted]
        rows = warnings.supported(session)
        shapes = [row.geom for row in rows]
        confirmed = [
            float(row.distance_to_deforestation_m)
            for row in rows
            if row.confirmed_at is not None and row.distance_to_deforestation_m is not None
        ]
    known = group_acquisitions([scene for scene, _ in accepted])
    if not known:
        raise ConfigError("no images yet", where=workspace.folder, remedy="use `curupira run`")
    grid, params = workspace.grid, workspace.monitor.quality
    detector = Detector.of(
        workspace,
        as_known(Cube.open(workspace.cube_path, grid).reader(), accepted, params, grid),
        masks.load(workspace, now),
    )
    crs = str(detector.grid.crs)
    warned = [project(g, SIRGAS_2000, crs).buffer(WARNED_M) for g in shapes]
    series, pixels = _sample(detector, usable_images(known, detector), warned, options)
    report(1, 2, "sampled the forest")
    found = clutter(series, options.images)
    drops = clutter_drops(series, options.images)
    own = detector.params.threshold
    law, law_note = _distance_law(workspace, crs, confirmed)
    report(2, 2, "measured")
    return Calibration(
        preset=detector.preset.name,
        pixels=pixels,
        images=series.shape[0],
        notice=workspace.attribution(a.day.year for a in known),
        clutter=found,
        rates=false_rates(drops, options.thresholds, mean_db=found.mean_db, sd_db=found.sd_db),
        published=false_rates(
            drops, options.thresholds, mean_db=own.clutter_mean_db, sd_db=own.clutter_sd_db
        ),
        law=law,
        law_note=law_note,
        view=_view(detector, law),
    )


def _sample(
    detector: Detector,
    images: Sequence[Image],
    warned: Sequence[BaseGeometry],
    options: CalibrateOptions,
) -> tuple[Series, int]:
    """Filtered series ``(time, series)`` in dB of undisturbed forest, one a track and pixel.

    Tracks have images of their own; shorter ones are padded with NaN. One block is held at a time.
    """
    whole = Window(0, detector.grid.shape.y, 0, detector.grid.shape.x)
    side = min(BLOCK_PX, _side(detector, len(images)))
    blocks = list(split(whole, side))
    rng = np.random.default_rng(options.seed)
    found: list[Series] = []
    pixels = 0
    for index in rng.permutation(len(blocks)):
        window = blocks[index]
        chosen = _chosen(detector, window, warned, options.far_m)[: options.sample - pixels]
        if not len(chosen):
            continue
        pixels += len(chosen)
        found += _series(detector, images, window, chosen)
        if pixels >= options.sample:
            break
    if not found:
        raise InputError(
            f"no undisturbed forest lies {options.far_m:g} m or more from deforestation",
            where="curupira calibrate",
            remedy="give a smaller --far-m, or more images",
        )
    longest = max(part.shape[0] for part in found)
    padded = [
        np.pad(part, ((0, longest - part.shape[0]), (0, 0)), constant_values=np.nan)
        for part in found
    ]
    return np.concatenate(padded, axis=1), pixels


def _side(detector: Detector, images: int) -> int:
    side = int((detector.memory / (4 * COPIES * max(images, 1))) ** 0.5)
    return max(SPACING_PX, side - 2 * detector.params.halo)


def _chosen(
    detector: Detector, window: Window, warned: Sequence[BaseGeometry], far_m: float
) -> npt.NDArray[np.intp]:
    """Rows and columns ``(pixels, 2)`` of a block's sample, on a lattice of ``SPACING_PX``."""
    good = detector.masks.read_zones(window) == MONITORED
    distance = detector.masks.read_distance(window)
    if distance is not None:
        good &= distance >= far_m
    good &= ~rasterise(warned, detector.grid, window)
    lattice = np.zeros(window.shape, dtype=bool)
    lattice[SPACING_PX // 2 :: SPACING_PX, SPACING_PX // 2 :: SPACING_PX] = True
    return np.argwhere(good & lattice)


def _series(
    detector: Detector, images: Sequence[Image], window: Window, chosen: npt.NDArray[np.intp]
) -> Iterator[Series]:
    """Stabilised, filtered dB ``(time, pixels)`` of the chosen pixels, track by track."""
    params = detector.params
    whole = Window(0, detector.grid.shape.y, 0, detector.grid.shape.x)
    outer = window.grow(params.halo, whole)
    inner = window.relative_to(outer)
    for one in sorted({track(i.acquisition) for i in images}):
        own = [i for i in images if track(i.acquisition) == one]
        if len(own) < MINIMUM_IMAGES:
            continue
        block = read_block(detector, own, outer)
        every = np.ones(len(own), dtype=bool)
        db = to_db(
            despeckle(deseasonalise(block.vh, block.times, every, params), every, params.speckle)
        )
        if block.lia_deg is not None:
            db[~lia_mask(block.lia_deg, params.geometry)] = np.nan
        rows, columns = chosen.T
        yield db[:, rows + inner.y0, columns + inner.x0]


def _distance_law(
    workspace: Workspace, crs: str, confirmed: Sequence[float]
) -> tuple[DistanceLaw | None, str]:
    params = workspace.monitor.masks
    if params.deforestation_date_field:
        shapes, years = read_dated(
            params.deforestation, params.deforestation_date_field, base=workspace.folder, crs=crs
        )
        distance = distances_to_earlier(shapes, years)
        source = "each year's deforestation to that of the years before"
    else:
        distance = np.asarray(confirmed, dtype=np.float64)
        source = "confirmed warnings to the deforestation mask"
    try:
        return fit_distance_law(distance), source
    except InputError as error:
        return None, f"{source}: {error.what}"


def _view(detector: Detector, law: DistanceLaw | None) -> DistanceView:
    params = detector.params.threshold
    distance = np.logspace(1, 4, 301)
    return DistanceView(
        edges=() if law is None else (*(b.low for b in law.bins), law.bins[-1].high),
        counts=() if law is None else tuple(b.n for b in law.bins),
        mu=None if law is None else law.mu,
        s=None if law is None else law.s,
        distance_m=distance,
        threshold_db=threshold_db(distance, params).astype(np.float64),
        law=params.threshold_law,
    )


def in_words(found: Calibration) -> list[str]:
    """The result as lines of text."""
    c, images = found.clutter, found.clutter.images or found.images
    lines = [
        f"{found.pixels} pixels of undisturbed forest, {c.n} runs of {images} images",
        f"clutter, mean minus minimum: {c.mean_db:.2f} +- {c.sd_db:.2f} dB (paper: 1.31 +- 0.35)",
        "    T   nominal  observed (95 % interval)      with the preset's own mean and spread",
    ]
    lines += [
        f" {a.t:4.2f} {a.nominal:9.3%} {a.observed:9.3%} ({a.low:.3%} to {a.high:.3%})"
        f"   {b.observed:9.3%} ({b.low:.3%} to {b.high:.3%})"
        for a, b in zip(found.rates, found.published, strict=True)
    ]
    if found.law is None:
        lines.append(f"distance law: none ({found.law_note})")
    else:
        lines.append(
            f"distance law: mu = {found.law.mu:.4f} ({10**found.law.mu:.0f} m), "
            f"s = {found.law.s:.4f}; {found.law.n} distances, {found.law.left_out} left out "
            f"({found.law_note}; paper: 2.40633, 0.29973)"
        )
    pairs = ", ".join(f"{key} = {value}" for key, value in found.override.items())
    return [*lines, f"would follow in [algorithm]: override = {{ {pairs} }}"]


def check_picture(path: Path) -> None:
    """Refuse the name of a picture that ``write_picture`` cannot write.

    Raises
    ------
    ConfigError
        If it ends neither with ``.png`` nor with ``.html``.
    """
    if path.suffix.lower() not in (".png", ".html", ".htm"):
        raise ConfigError("neither .png nor .html", where=path, remedy="name the file so")


def write_picture(found: Calibration, path: Path) -> None:
    """Write the paper's Figure 5 as ``.png``, or with all numbers as ``.html``.

    Raises
    ------
    ConfigError
        If the file name has another ending.
    StoreError
        If the disk refuses.
    """
    check_picture(path)
    figure = distance_figure(found.view)
    if path.suffix.lower() == ".png":
        picture = io.BytesIO()
        figure.savefig(picture, format="png", dpi=LINE_DPI)
        write_atomic(path, picture.getvalue())
        return
    rates = Table(
        caption="Share of undisturbed runs beyond mean + T sd",
        columns=("T", "Nominal", "Observed", "95 % interval", "With the preset's numbers"),
        rows=tuple(
            (
                f"{a.t:g}",
                f"{a.nominal:.4%}",
                f"{a.observed:.4%}",
                f"{a.low:.4%} to {a.high:.4%}",
                f"{b.observed:.4%}",
            )
            for a, b in zip(found.rates, found.published, strict=True)
        ),
        numeric=(True,) * 5,
    )
    words = in_words(found)
    page = render_sheet(
        "Calibration",
        f"Preset {found.preset}",
        [
            SheetSection("Clutter and false rate", (words[0], words[1]), (rates,)),
            SheetSection(
                "Distance of new clearings to older ones",
                tuple(words[-2:]),
                figures=(
                    SheetFigure(
                        figure,
                        "Histogram of log10 distance with a logistic density; threshold law",
                        f"Distances: {found.law_note}.",
                    ),
                ),
            ),
        ],
        found.notice,
    )
    write_atomic(path, page.encode())
