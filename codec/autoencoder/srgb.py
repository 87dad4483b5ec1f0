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
    profile = image.info.get("icc_profile")
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        image = _eight_bits(image)
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


def _eight_bits(image):
    """Gray of 16 or 32 bits, which Pillow would clip at 255; float32, since a large image is many values."""
    from PIL import Image

    values = np.nan_to_num(np.asarray(image, np.float32), posinf=0, neginf=0)
    if image.mode == "F" and values.max() <= 1:  # as most programs write floats
        full = 1
    else:
        full = 65535 if values.max() > 255 or image.mode.startswith("I;16") else 255
    np.clip(values, 0, full, out=values)
    values *= 255 / full
    return Image.fromarray(np.rint(values, out=values).astype(np.uint8))
