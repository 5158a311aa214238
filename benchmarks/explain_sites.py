"""Draw `curupira.detect.explain` on the real series of ``samples/rtc-sites``.

    .venv/bin/python benchmarks/explain_sites.py            # docs/figures/explain_sites.png

Each panel is one site: gamma0 VH averaged over its 3 x 3 pixels of 30 m (in linear power; it stands
in for the spatial filters that one pixel cannot have), the series after the seasonal
stabilisation, the reference level, the limit below which an image is flagged, and the flags. The
date of detection lies 60 days after the labelled change; at sites without change it is fixed.

To be seen: at 288 and 40 the history is one year only, and the harmonic, fitted over all images as
the scripts do, takes part of the drop for season (the first months are bent up). At 4 the burnt
savanna hardly differs from its dry season.
"""

from __future__ import annotations

import argparse
import io
from datetime import date, timedelta
from pathlib import Path

import geopandas as gpd
import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from PIL import Image

import curupira as cp

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "samples" / "rtc-sites"
PIXELS = [f"vh_{n}" for n in range(9)]
AFTER = timedelta(days=60)
UNCHANGED_ON = date(2022, 8, 1)
#: Order of the panels: vegetation lost, then changed for a while, then unchanged.
SITES = (288, 250, 40, 4, 66, 206)
#: Okabe and Ito's colours: told apart by colour-blind eyes.
GREY, BLUE, ORANGE, RED = "#999999", "#0072B2", "#E69F00", "#D55E00"


def series_of(rows: pd.DataFrame) -> xr.DataArray:
    """Mean linear gamma0 VH of the 3 x 3 pixels along time."""
    power = rows[PIXELS].to_numpy(np.float32).mean(axis=1)
    times = rows["datetime"].to_numpy("datetime64[ns]")
    return xr.DataArray(power, dims="time", coords={"time": times}).sortby("time")


def explain_sites(folder: Path, preset: str) -> list[tuple[pd.Series, date, xr.Dataset]]:
    """Site, date of detection and the steps, for every site in the order of the panels."""
    sites = gpd.read_file(folder / "sites.geojson").set_index("site_id")
    table = pd.read_parquet(folder / "rtc_3x3_timeseries.parquet")
    explained = []
    for number in SITES:
        site = sites.loc[number]
        changed = pd.notna(site["change_time"])
        on = site["change_time"].date() + AFTER if changed else UNCHANGED_ON
        stack = series_of(table[table["site_id"] == number])
        explained.append((site, on, cp.detect.explain(stack, on, preset)))
    return explained


def draw(axes: Axes, site: pd.Series, on: date, steps: xr.Dataset) -> None:
    """Draw one site."""
    times = steps["time"].to_numpy()
    axes.plot(times, steps["gamma0_db"], ".", color=GREY, ms=3, label="gamma0 VH")
    axes.plot(times, steps["stabilised_db"], color=BLUE, lw=1, label="stabilised")
    axes.plot(times, steps["reference_db"], color="black", lw=1, label="reference level")
    axes.plot(times, steps["limit_db"], "--", color=ORANGE, lw=1.3, label="limit")
    flagged = steps.isel(time=steps["flag"].to_numpy())
    axes.plot(flagged["time"], flagged["stabilised_db"], "o", color=RED, ms=4.5, label="flagged")
    detection = times[steps["period"].to_numpy() == "detection"]
    axes.axvspan(detection.min(), detection.max(), color=ORANGE, alpha=0.12, lw=0)
    if pd.notna(site["change_time"]):
        axes.axvline(site["change_time"], color=RED, lw=1, ls=":")
    label = str(site["change_type"]).capitalize()
    when = f" {site['change_time']:%Y-%m-%d}" if pd.notna(site["change_time"]) else ""
    axes.set_title(
        f"Site {site.name} ({site.geometry.y:.1f}, {site.geometry.x:.1f}): {label}{when}\n"
        f"detection on {on}: {flagged.sizes['time']} of {len(detection)} images flagged",
        fontsize=8.5,
        loc="left",
    )
    axes.xaxis.set_major_formatter(mdates.ConciseDateFormatter(mdates.AutoDateLocator()))
    axes.grid(color="#eeeeee")
    axes.tick_params(labelsize=8)


def main() -> None:
    """Write the picture and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=SAMPLES)
    parser.add_argument("--preset", default="deter_r")
    parser.add_argument("-o", type=Path, default=ROOT / "docs" / "figures" / "explain_sites.png")
    options = parser.parse_args()
    explained = explain_sites(options.data, options.preset)
    figure, panels = plt.subplots(3, 2, figsize=(9, 7.6), layout="constrained")
    print(f"{'site':>4}  {'change':<14} {'season, dB':>10} {'detection':>10} {'flagged':>8}")
    for axes, (site, on, steps) in zip(panels.flat, explained, strict=True):
        draw(axes, site, on, steps)
        swing = float(np.ptp(steps["season_db"].to_numpy()))
        print(
            f"{site.name:>4}  {site['change_type']:<14} {swing:>10.2f} {on!s:>10} "
            f"{int(steps['flag'].sum()):>8}"
        )
    for axes in panels[:, 0]:
        axes.set_ylabel("dB", fontsize=8)
    handles, labels = panels.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, fontsize=8, frameon=False)
    figure.suptitle(
        f"explain, preset {options.preset}: 3 x 3 pixel means of OPERA RTC-S1 (contains modified "
        "Copernicus Sentinel data 2020-2022)",
        fontsize=9,
    )
    options.o.parent.mkdir(parents=True, exist_ok=True)
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=90)
    # A palette is enough for lines and text, and a third of the size.
    Image.open(drawn).convert("RGB").quantize(48).save(options.o, optimize=True)
    print(f"{options.o}: {options.o.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
