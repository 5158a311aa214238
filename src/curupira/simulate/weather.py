"""What differs from image to image: rain cells, moisture, noise along slices. Pure."""

from __future__ import annotations

import numpy as np

from curupira.codes import OrbitState
from curupira.simulate.fields import Field32, gaussian_field
from curupira.simulate.params import District, RainWorld, World
from curupira.simulate.scenes import Pass
from curupira.simulate.views import Seam

Shape = tuple[int, int]


def rain_share(world: World, scene: Pass) -> float:
    """Chance that an image of the district holds rain cells, by season and pass."""
    p = world.rain
    rainy = scene.acquired.month in world.sequence.rainy_months
    share = p.image_share_rainy if rainy else p.image_share_dry
    if scene.orbit_state is OrbitState.ASCENDING:
        share *= p.ascending_factor
    return min(1.0, share)


def rain_db(world: World, district: District, scene: Pass, shape: Shape) -> Field32:
    """Two-way loss by rain in an image: dB, ``(y, x)`` in steps of ``coarse_m``."""
    rng = district.rng("rain", scene.index)
    loss = np.zeros(shape, dtype=np.float32)
    if rng.random() >= rain_share(world, scene):
        return loss
    cells = int(rng.integers(world.rain.cells[0], world.rain.cells[1] + 1))
    for _ in range(cells):
        loss += _cell(world.rain, world.place.coarse_m, shape, rng)
    return loss


def _cell(p: RainWorld, coarse_m: float, shape: Shape, rng: np.random.Generator) -> Field32:
    radius = rng.uniform(*p.radius_m) / coarse_m
    # Cells that only touch the district count as well.
    centre_y, centre_x = (rng.uniform(-0.7 * radius, n + 0.7 * radius) for n in shape)
    peak = float(np.exp(rng.uniform(*np.log(p.peak_db))))
    y, x = np.ogrid[: shape[0], : shape[1]]
    far = np.sqrt((y - centre_y) ** 2 + (x - centre_x) ** 2) / radius
    # Flat within, an edge of about a third of the radius.
    return np.asarray(peak / (1 + np.exp(np.minimum((far - 1) * 9, 50))), dtype=np.float32)


def local_spread(world: World, district: District, shape: Shape) -> Field32:
    """Factor of the moisture's deviation at each place: lognormal, ``(y, x)`` coarse."""
    p = world.forest
    field = gaussian_field(shape, p.local_scale_m / world.place.coarse_m, district.rng("local sd"))
    return np.asarray(np.exp(np.float32(p.local_sd_ln) * field), dtype=np.float32)


def local_season(world: World, district: District, shape: Shape) -> Field32:
    """Cosine and sine of each place's own season: dB, ``(2, y, x)`` coarse.

    Forests of one district green and shed at different times; it comes on top of what they share.
    """
    p = world.forest
    sd = np.float32(abs(district.draw("season between", p.season_between_db)))
    sigma = p.season_scale_m / world.place.coarse_m
    fields = [gaussian_field(shape, sigma, district.rng("local season", k)) for k in range(2)]
    return np.stack(fields) * sd


def season_db(season: Field32, scene: Pass) -> Field32:
    """What the places' own seasons add to an image: dB, ``(y, x)`` in steps of ``coarse_m``."""
    angle = 2 * np.pi * scene.acquired.timetuple().tm_yday / 365.25
    along, across = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return np.asarray(along * season[0] + across * season[1], dtype=np.float32)


def moisture_db(world: World, district: District, scene: Pass, spread: Field32) -> Field32:
    """Patches of moisture in an image: dB, ``(y, x)`` in steps of ``coarse_m``."""
    p = world.forest
    shape = (spread.shape[0], spread.shape[1])
    total = np.zeros(shape, dtype=np.float32)
    for number, scale in enumerate(p.moisture_scales_m):
        rng = district.rng("moisture", scene.index, number)
        total += gaussian_field(shape, scale / world.place.coarse_m, rng)
    sd = abs(district.draw("moisture sd", p.moisture_sd_db)) / np.sqrt(len(p.moisture_scales_m))
    return np.asarray(total * np.float32(sd) * spread, dtype=np.float32)


def border_noise(
    image: Field32, seam: Seam, world: World, district: District, scene: Pass
) -> Field32:
    """Weaken an image along the seam of its slices, in the passes that have such noise."""
    p = world.border
    rng = district.rng("border", scene.index)
    if rng.random() >= p.noise_share:
        return image
    width = float(rng.uniform(*p.width_m))
    factor = np.clip(np.abs(seam.behind_m) / width, 10 ** (p.level_db / 10), 1)
    return np.asarray(image * factor, dtype=np.float32)
