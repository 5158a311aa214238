"""True metadata of Sentinel-1 GRD products (samples/grd) and scenes synthesised on them."""

from pathlib import Path

from curupira.grd import fields
from curupira.grd.synthesise import SynthesisParams, synthesise

SAMPLES = Path(__file__).parents[2] / "samples" / "grd"
(S1A,) = SAMPLES.glob("S1A_IW_*.zip")
(S1B,) = SAMPLES.glob("S1B_IW_*.zip")
(EOF,) = SAMPLES.glob("*.EOF")

#: Across the seam of the first two sub-swaths of both products, where the noise jumps.
ROWS, COLS = (3000, 3400), (8600, 9100)


def scene(target, template=S1A, sigma0=None, **params):
    """A small SAFE folder; 400 x 500 pixels of sigma0 0.1 without speckle unless told otherwise."""
    given = {"rows": ROWS, "cols": COLS, "looks": None} | params
    sigma0 = sigma0 if sigma0 is not None else {"VV": fields.flat(0.1)}
    return synthesise(template, target, sigma0, SynthesisParams(**given))
