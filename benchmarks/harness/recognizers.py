"""What a person would recognize in an image: whose face it is, and what the lettering says.

By networks that packages bring and that nothing here was trained near. Faces: dlib's detector, its five landmarks and
its ResNet (King, 2017), whose author takes two faces less than 0.6 apart for one person. Lettering: PP-OCRv6 (Baidu,
2026) by rapidocr.
"""

import functools
from dataclasses import dataclass

import numpy as np

SAME_PERSON = 0.6
MIN_SCORE, MIN_WIDTH = 0.2, 48  # of a face: dlib's score of the detection, and pixels
MIN_CONFIDENCE, MIN_LENGTH = 0.9, 4  # of a line of lettering, in characters
MARGIN = 0.1  # around a line, in shares of its height


@dataclass(frozen=True)
class Line:
    box: tuple[slice, slice]  # rows and columns
    height: int  # pixels
    text: str


class Recognized:
    """What is recognized in an original, an (H, W, 3) uint8 image, and what becomes of it."""

    def __init__(self, original: np.ndarray):
        self.faces = find_faces(original)
        self.descriptors = [describe(original, face) for face in self.faces]
        self.lines = find_lines(original)

    def __bool__(self):
        return bool(self.faces or self.lines)

    def compare(self, original: np.ndarray, restored: np.ndarray, shared) -> dict[str, list]:
        """The arguments are those of `figures.measure`.

        Returns "distances" of the descriptors and "found", whether the detector still sees a face there, for each face;
        and "lines": [height, number of characters, number of wrong ones] for each line.
        """
        still = find_faces(restored) if self.faces else []
        errors = [min(distance(line.text, read(restored[line.box])[0]), len(line.text)) for line in self.lines]
        return {
            "distances": [
                float(np.linalg.norm(known - describe(restored, face)))
                for face, known in zip(self.faces, self.descriptors, strict=True)
            ],
            "found": [any(overlap(face, other) > 0.5 for other in still) for face in self.faces],
            "lines": [[line.height, len(line.text), wrong] for line, wrong in zip(self.lines, errors, strict=True)],
        }


def find_faces(pixels: np.ndarray) -> list:
    """dlib's rectangles."""
    found, scores, _ = face_models()[0].run(np.ascontiguousarray(pixels), 1, MIN_SCORE)
    return [face for face in found if face.width() >= MIN_WIDTH]


def describe(pixels: np.ndarray, face) -> np.ndarray:
    """128 values of the face in this rectangle, aligned by the landmarks that it has in these pixels."""
    _, landmarks, network = face_models()
    pixels = np.ascontiguousarray(pixels)
    return np.array(network.compute_face_descriptor(pixels, landmarks(pixels, face)))


def overlap(one, other) -> float:
    """Intersection over union."""
    shared = one.intersect(other).area()
    return shared / (one.area() + other.area() - shared)


def find_lines(pixels: np.ndarray) -> list[Line]:
    """The lines that are read with confidence, as they are read once more from their box alone."""
    boxes, found = reader()(as_bgr(pixels), use_det=True, use_cls=False, use_rec=True).boxes, []
    for corners in [] if boxes is None else boxes:
        left, top = np.floor(corners.min(0)).astype(int)
        right, bottom = np.ceil(corners.max(0)).astype(int)
        margin = round(MARGIN * (bottom - top))
        box = slice(max(top - margin, 0), bottom + margin), slice(max(left - margin, 0), right + margin)
        text, confidence = read(pixels[box])
        if len(text) >= MIN_LENGTH and confidence >= MIN_CONFIDENCE:
            found.append(Line(box, int(bottom - top), text))
    return found


def read(pixels: np.ndarray) -> tuple[str, float]:
    """The text of a line in small letters, without spaces, which the reader guesses; and its confidence, 0 to 1."""
    made = reader()(as_bgr(pixels), use_det=False, use_cls=False, use_rec=True)
    if not made.txts:
        return "", 0.0
    return "".join(made.txts[0].casefold().split()), float(made.scores[0])


def as_bgr(pixels: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(pixels[..., ::-1])


def distance(one: str, other: str) -> int:
    """Levenshtein's: how many characters to insert, delete or replace."""
    costs = list(range(len(other) + 1))
    for row, letter in enumerate(one, 1):
        corner, costs[0] = costs[0], row
        for column, theirs in enumerate(other, 1):
            least = min(costs[column] + 1, costs[column - 1] + 1, corner + (letter != theirs))
            corner, costs[column] = costs[column], least
    return costs[-1]


@functools.cache
def face_models() -> tuple:
    """Detector, landmarks and network."""
    import dlib
    import face_recognition_models as files

    landmarks = dlib.shape_predictor(files.pose_predictor_five_point_model_location())
    network = dlib.face_recognition_model_v1(files.face_recognition_model_location())
    return dlib.get_frontal_face_detector(), landmarks, network


@functools.cache
def reader():
    from rapidocr import RapidOCR

    one = dict.fromkeys((f"EngineConfig.onnxruntime.{kind}_op_num_threads" for kind in ("intra", "inter")), 1)
    return RapidOCR(params={"Global.log_level": "critical", **one})
