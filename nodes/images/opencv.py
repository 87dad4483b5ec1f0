"""OpenCV, which users have in one of several builds, or not at all."""


def import_cv2():
    try:
        import cv2
    except ImportError as error:
        raise ImportError(
            "Finding edges needs OpenCV, which is not installed. Install opencv-python into the Python that runs "
            "ComfyUI and restart ComfyUI."
        ) from error
    return cv2
