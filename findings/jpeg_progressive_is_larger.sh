#!/usr/bin/env bash
# Guess: progressive JPEG files are a few percent smaller than baseline ones with optimized tables, as usual for photographs.
# Seen (Pillow 12.0.0): below about 6 kB for 512x512 they are 10 to 20 % larger, because every scan carries tables of its own.
# (And the lowest quality is not the smallest file: 1 and 2 differ by a few bytes, either way.) Fails when that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pillow==12.0.0 scikit-image==0.25.2
"$folder/venv/bin/python" - <<'PYTHON'
import io

import skimage.data
from PIL import Image, features


def size(image, quality, progressive):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality, optimize=True, progressive=progressive)
    return len(file.getvalue())


print("libjpeg-turbo", features.version("libjpeg_turbo"))
for name in ("astronaut", "coffee", "chelsea"):
    image = Image.fromarray(getattr(skimage.data, name)())
    for quality in (1, 2, 5, 75):
        baseline, progressive = size(image, quality, False), size(image, quality, True)
        print(f"{name}, quality {quality}: {baseline} bytes baseline, {progressive} progressive")
        assert (progressive > 1.09 * baseline) if quality <= 5 else (progressive < baseline)
PYTHON
