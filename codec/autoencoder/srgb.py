"""An image as people see it, whatever its file holds: what the command line and bulk work read. Needs Pillow."""

import io

import numpy as np

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".avif", ".bmp", ".tif", ".tiff")
WHITE = (255, 255, 255)
ROWS = 256  # of a large image that are worked on at once, so that it costs little memory


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
    from PIL import ExifTags, ImageOps  # here, as the command line reads this file where there is no Pillow

    notes = []
    profile, kind = image.info.get("icc_profile"), image.format
    if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        image, notes = _eight_bits(image, kind)
    to_colors, refused = _from_profile(image, profile)
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    see_through = False
    for top in range(0, image.height, ROWS):  # every step copies what it works on
        band = image.crop((0, top, image.width, min(top + ROWS, image.height)))
        if band.has_transparency_data:
            band, is_clear = _laid_on(background, band)
            see_through |= is_clear
        pixels[top : top + ROWS] = to_colors(band)
    if see_through:
        notes.append(f"its transparent parts were laid on #{bytes(background).hex()}")
    return pixels, notes + refused


def _laid_on(background, image):
    """The image in RGBA on a color, and whether that shows anywhere."""
    from PIL import Image

    image = image.convert("RGBA")
    is_clear = image.getextrema()[3][0] < 255
    return Image.alpha_composite(Image.new("RGBA", image.size, (*background, 255)), image), is_clear


def _from_profile(image, profile: bytes | None):
    """What turns parts of the image into RGB by its color profile, where it has one; and notes."""
    from PIL import Image, ImageCms

    def plain(part):
        return part.convert("RGB")

    if not profile:
        return plain, []
    # Of colors from a palette, or laid on one, the colors alone have the profile.
    mode = "RGB" if image.mode == "P" or image.has_transparency_data else image.mode
    try:
        own, srgb = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
        transform = ImageCms.buildTransform(own, srgb, mode, "RGB")
        ImageCms.applyTransform(Image.new(mode, (1, 1)), transform)
    except (OSError, ImageCms.PyCMSError):
        return plain, ["its color profile cannot be used and was left out"]
    return lambda part: ImageCms.applyTransform(part if part.mode == mode else part.convert(mode), transform), []


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
