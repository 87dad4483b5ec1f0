#!/usr/bin/env bash
# Guess: Image.save(file, "JXL", distance=12) writes a smaller file than distance=1, as cjxl does.
# Seen (pillow-jxl-plugin 1.3.8): the option is accepted and has no effect, without or with quality. Only quality counts.
# So a comparison that asks for a distance measures quality 90 instead, without a word. Fails when that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pillow==12.0.0 pillow-jxl-plugin==1.3.8 scikit-image==0.25.2
"$folder/venv/bin/python" - <<'PYTHON'
import importlib.metadata
import io

import pillow_jxl  # noqa: F401  registers the format
import skimage.data
from PIL import Image

image = Image.fromarray(skimage.data.astronaut())


def size(**options):
    file = io.BytesIO()
    image.save(file, "JXL", **options)
    return len(file.getvalue())


print("pillow-jxl-plugin", importlib.metadata.version("pillow-jxl-plugin"))
plain, near, far = size(), size(distance=1.0), size(distance=12.0)
print(f"no option: {plain} bytes, distance 1: {near}, distance 12: {far}, quality 10: {size(quality=10)}")
assert plain == near == far == size(quality=90)
assert size(quality=50, distance=1.0) == size(quality=50, distance=12.0) == size(quality=50) < plain
PYTHON
