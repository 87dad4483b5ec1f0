#!/usr/bin/env bash
# Guess: the spatial correlation coefficient (Zhou, Civco and Silander 1998) of an image with itself is 1, as its other
# similarities are.
# Seen (sewar 0.4.10): where an image is flat, its details have no variance, and each such place counts as 0. The astronaut of
# scikit-image has 0.934 with itself, coffee 1.0; noise has 1.0, and 0.516 where its upper half is one color. So by this measure a
# perfect copy of a drawing may be worse than a bad copy of a photograph. Fails when that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet sewar==0.4.10 scikit-image==0.26.0
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import skimage.data
from sewar.full_ref import scc, ssim, uqi

noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
half_flat = noise.copy()
half_flat[:128] = 90
images = {"astronaut": skimage.data.astronaut(), "coffee": skimage.data.coffee(), "noise": noise, "half flat": half_flat}
found = {name: scc(image, image) for name, image in images.items()}
print("with itself:", {name: round(float(value), 4) for name, value in found.items()})
assert ssim(half_flat, half_flat)[0] == uqi(half_flat, half_flat) == 1
assert found["noise"] == 1 and found["coffee"] > 0.9999
assert 0.92 < found["astronaut"] < 0.95
assert 0.5 < found["half flat"] < 0.53
PYTHON
