"""An image as people see it, whatever its file holds: what the command line and bulk work read. Needs Pillow."""

import io

import numpy as np

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".avif", ".bmp", ".tif", ".tiff")
WHITE = (255, 255, 255)


def to_srgb(image, background=WHITE):
    """Pixels of an open image, upright.

    Parameters
    ----------
    image : PIL.Image.Image
    background : (int, int, int)
        Color, 0 to 255, that shows through where the image is transparent.

    Returns
    -------
    (H, W, 3) uint8 array, list of str
        sRGB, and notes about what had to be done.
    """
    from PIL import Image, ImageCms, ImageOps  # here, as the command line reads this file where there is no Pillow

    notes = []
    profile, kind = image.info.get("icc_profile"), image.format
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        image, about = _eight_bits(image, kind)
        notes += about
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if image.getextrema()[3][0] < 255:
            notes.append(f"its transparent parts were laid on #{bytes(background).hex()}")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (*background, 255)), image)
    if profile:
        try:
            if image.mode in ("P", "RGBA"):  # of which the colors alone have the profile
                image = image.convert("RGB")
            own, srgb = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
            image = ImageCms.profileToProfile(image, own, srgb, outputMode="RGB")
        except (OSError, ImageCms.PyCMSError):
            notes.append("its color profile cannot be used and was left out")
    return np.asarray(image.convert("RGB")), notes


def _eight_bits(image, kind):
    """Gray of 16 or 32 bits, which Pillow would clip at 255, and notes. float32, as a large image is many values.

    What is white has to be guessed in whole numbers of 32 bits, and in floats other than 0 to 1, as most programs write
    them: it is said then.
    """
    from PIL import Image

    values = np.asarray(image, np.float32)
    finite = np.isfinite(values)
    low, high = (float(found) for found in (values[finite].min(initial=0), values[finite].max(initial=0)))
    if image.mode == "F" and high <= 1:
        full, known = 1, low >= 0 and finite.all()
    else:
        known = image.mode.startswith("I;16") or kind == "PNG"  # which older versions of Pillow open with 32 bits
        full = 65535 if known or high > 255 else 255
    values = np.where(finite, values, 0).clip(0, full)
    values *= 255 / full
    notes = [] if known else [f"its values, {low:g} to {high:g}, were read as 0 (black) to {full} (white)"]
    return Image.fromarray(np.rint(values, out=values).astype(np.uint8)), notes
