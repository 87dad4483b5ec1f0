#!/usr/bin/env bash
# Guess: the number of threads changes how long AVIF encoding takes, not the file.
# Seen (Pillow 12.0.0 with libavif 1.3.0): an image of 1024x1024 at quality 10 and speed 6 takes 7846 bytes with one thread and
# 7902 with two or more; without autotiling 7532 and 7646. So figures depend on the machine unless max_threads is set, and
# Pillow's default of autotiling costs 3 to 4 %. Fails when that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pillow==12.0.0 scikit-image==0.25.2
"$folder/venv/bin/python" - <<'PYTHON'
import io

import skimage.data
from PIL import Image, features

image = Image.fromarray(skimage.data.astronaut()).resize((1024, 1024))


def size(threads, autotiling):
    file = io.BytesIO()
    image.save(file, "AVIF", quality=10, speed=6, max_threads=threads, autotiling=autotiling)
    return len(file.getvalue())


print("libavif", features.version("avif"))
tiled, whole = ({threads: size(threads, tiles) for threads in (1, 2, 4)} for tiles in (True, False))
print("bytes by threads, autotiling:", tiled, "without:", whole)
assert tiled[1] < tiled[2] == tiled[4]
assert whole[1] < whole[2] == whole[4]
assert all(1.02 < tiled[threads] / whole[threads] < 1.06 for threads in tiled)
PYTHON
