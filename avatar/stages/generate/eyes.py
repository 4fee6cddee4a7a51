"""The eyes: a white that stays, an iris that looks, under lids that the mesh moves."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from avatar.core.curves import clamped
from avatar.core.face.head import HeadShape, compose, iris_offset
from avatar.core.face.topology import EYE_RINGS, IRISES
from avatar.core.frames import Float32, Motion, UInt8Image
from avatar.stages.generate.deform import Pose
from avatar.stages.generate.fill import fill_unknown
from avatar.stages.generate.lid_cover import LidCover
from avatar.stages.generate.lid_seam import LidSeam
from avatar.stages.generate.overlay import Box, blend_into, box_around, polygon_mask

# In eye widths: how far an iris may be from the middle of its eye, beyond which it would leave its
# socket; what is noise of a gaze that stays; and from which shift on the eye is drawn anew.
_FARTHEST = np.array([0.27, 0.17], np.float32)
_STILL, _OWN_LOOK = 0.012, 0.012
# How far lids are shut when what lies between them begins to fade, and when it is gone.
_FADES, _GONE = 0.8, 0.97
# How much around an eye its lids need, eye widths.
_AROUND = 0.5
# From which closure on lids cover an eye, and over how much more it takes to be all of it.
_SQUEEZED = 0.06, 0.12
# White is at least as light as this share of the skin around it, and evenly so: what is darker
# are lashes, shadows and what is left of an iris.
_LIGHT_AS_SKIN, _EVEN = 0.85, 0.82
# The shadow of lids and lashes on a white: how dark at its edge, and its reach in eye widths.
_EDGE_SHADOW, _SHADOW_REACH = 0.3, 0.07


class EyeLayer:
    """One eye of the avatar, taken from its photograph.

    ``canvas``: uint8 (H, W, 3) RGB. ``landmarks_px``: float32 (478, 3) on it. ``side``: 0 is the
    person's left eye, 1 the right.
    """

    def __init__(
        self, canvas: UInt8Image, landmarks_px: Float32, head: HeadShape, side: int
    ) -> None:
        self._ring, self._iris, self._side = EYE_RINGS[side], IRISES[side], side
        self._outer, self._inner = int(self._ring[0]), int(self._ring[8])
        outer, inner = head.shape[self._outer], head.shape[self._inner]
        self._middle_rest = (outer + inner) / 2
        self._width_rest = float(np.linalg.norm(outer - inner))
        self._rest_points = self._frame(landmarks_px, head.rotation, head.centre_px, head.scale_px)
        self._iris_px = landmarks_px[self._iris[0], :2].copy()
        self._looks = iris_offset(head.shape)[side]
        rim = landmarks_px[self._iris[1:], :2]
        self._radius_px = float(np.linalg.norm(rim - self._iris_px, axis=1).mean())
        width_px = self._width_rest * head.scale_px
        box = box_around(landmarks_px[self._ring], _AROUND * width_px + 2, canvas)
        self.box = box
        """What of the canvas its lids take up, (left, top, right, bottom); None beside it."""
        if box is not None:
            self._cut(canvas, landmarks_px, head.scale_px)

    def _frame(
        self,
        landmarks_px: Float32,
        rotation: Float32,
        centre_px: Float32,
        scale_px: float,
    ) -> Float32:
        """Return three points, float32 (3, 2), that carry the eyeball: both corners and 'up'."""
        up = self._middle_rest + np.array([0, 0.5 * self._width_rest, 0], np.float32)
        pair = compose(np.stack([self._middle_rest, up]), rotation, centre_px, scale_px)[:, :2]
        outer, inner = landmarks_px[self._outer, :2], landmarks_px[self._inner, :2]
        return np.stack([outer, inner, (outer + inner) / 2 + pair[1] - pair[0]]).astype(np.float32)

    def _cut(self, canvas: UInt8Image, landmarks_px: Float32, scale_px: float) -> None:
        """Cut the eye from the photo and separate white and iris."""
        import cv2

        assert self.box is not None
        x0, y0, x1, y1 = self.box
        patch = canvas[y0:y1, x0:x1].copy()
        inside = polygon_mask(landmarks_px[self._ring], self.box) > 127
        y, x = np.mgrid[y0:y1, x0:x1].astype(np.float32) + 0.5
        distance = np.hypot(x - self._iris_px[0], y - self._iris_px[1])
        disc = distance < self._radius_px * 1.18 + 1.0
        kernel = np.ones((3, 3), np.uint8)
        white = (cv2.erode(inside.astype(np.uint8), kernel) > 0) & ~disc
        self._white = _spread(patch, white, _skin_light(canvas, landmarks_px[self._ring]))
        reach = _SHADOW_REACH * self._width_rest * scale_px
        self._white = _shadowed(self._white, inside, white, max(reach, 0.5))
        ring_px = landmarks_px[self._ring]
        self._cover = LidCover(canvas, self.box, ring_px, self._iris_px, self._radius_px)
        self._seam = LidSeam(patch, self._cover.skin, self.box, ring_px)
        self._iris_patch = _whole_iris(
            patch, inside, self._iris_px - np.array([x0, y0], np.float32)
        )
        soft = np.clip((self._radius_px - distance) / max(0.12 * self._radius_px, 1.0) + 0.5, 0, 1)
        self._iris_alpha = (soft * 255).astype(np.uint8)
        # Where the photo's own iris has to go: the disc and its dark rim.
        wide = np.clip(1.5 - (distance / max(self._radius_px, 1.0) - 1.0) / 0.2, 0, 1)
        self._own_iris = (wide * 255).astype(np.uint8)
        # But for where the iris was, an open eye is the photo's own up to its corners.
        blend_into(self._white, (0, 0, x1 - x0, y1 - y0), patch, _kept(inside, self._own_iris))

    def cover(self, layer: NDArray[np.uint8], pose: Pose) -> NDArray[np.uint8] | None:
        """Paint over in ``layer``, uint8 (H, W, 4), what lids cover; see ``LidCover.paint``."""
        if self.box is None:
            return None
        return self._cover.paint(layer, float(pose.eye_closure[self._side]))

    def uncover(self, layer: NDArray[np.uint8], kept: NDArray[np.uint8] | None) -> None:
        """Undo ``cover``."""
        if self.box is not None:
            self._cover.restore(layer, kept)

    def draw(self, image: UInt8Image, pose: Pose, motion: Motion) -> None:
        """Draw the eye into ``image``, in place, where ``pose`` has it."""
        ring_px = pose.landmarks_px[self._ring]
        box = box_around(ring_px, 2, image)
        shut = float(pose.eye_closure[self._side])
        if self.box is None or box is None:
            return
        open_share = clamped((_GONE - shut) / (_GONE - _FADES), 0, 1)
        if open_share > 0:
            self._draw_open(image, box, pose, motion, open_share)
        self._seam.draw(image, ring_px, shut)

    def _draw_open(
        self, image: UInt8Image, box: Box, pose: Pose, motion: Motion, open_share: float
    ) -> None:
        """Draw what shows between the lids into the ``box`` of ``image``, in place."""
        import cv2

        assert self.box is not None
        ring_px, shut = pose.landmarks_px[self._ring], float(pose.eye_closure[self._side])
        here = np.array(box[:2], np.float32)
        rest = self._rest_points - np.array(self.box[:2], np.float32)
        now = self._frame(pose.landmarks_px, pose.rotation, pose.centre_px, pose.scale_px) - here
        place = np.asarray(cv2.getAffineTransform(rest - 0.5, now - 0.5), np.float64)
        size = (box[2] - box[0], box[3] - box[1])
        flags, border = cv2.INTER_LINEAR, cv2.BORDER_REPLICATE
        shift = self._look(place, pose, motion, here)
        # An eye that looks where it looks in the photo is the photo's own, as the mesh drew it.
        # Anything between would show two irises. Lids that come down cover an eye, where the mesh
        # squeezes what is between them.
        turned = open_share * clamped(math.hypot(*shift) / (_OWN_LOOK * _width(now)), 0, 1)
        covered = open_share * clamped((shut - _SQUEEZED[0]) / _SQUEEZED[1], 0, 1)
        if max(turned, covered) <= 0:
            return
        eye = np.asarray(
            cv2.warpAffine(self._white, place, size, flags=flags, borderMode=border), np.uint8
        )
        look = place.copy()
        look[:, 2] += shift
        iris = cv2.warpAffine(self._iris_patch, look, size, flags=flags, borderMode=border)
        alpha = cv2.warpAffine(self._iris_alpha, look, size, flags=flags)
        blend_into(eye, (0, 0, *size), np.asarray(iris, np.uint8), np.asarray(alpha, np.uint8))
        # Corners, lashes and the lid's shadow stay the photo's own.
        left = cv2.warpAffine(self._own_iris, place, size, flags=flags)
        mask = polygon_mask(ring_px, box, feather_px=0.6)
        changed = np.asarray(cv2.max(left, alpha), np.float32) * np.float32(turned / 255)
        blend_into(image, box, eye, (mask * np.maximum(changed, covered)).astype(np.uint8))

    def _look(
        self, place: NDArray[np.float64], pose: Pose, motion: Motion, origin: Float32
    ) -> NDArray[np.float64]:
        """Return how far the iris is from where the photo has it, pixels (x, y)."""
        if motion.absolute and motion.track is not None:
            wanted = pose.landmarks_px[self._iris[0], :2] - origin - 0.5
            home = self._iris_px - np.array(self.box[:2] if self.box else (0, 0)) - 0.5
            shift = wanted - (place[:, :2] @ home + place[:, 2])
        else:
            gaze = self._within_socket(_calm(motion.gaze[self._side]))
            width = self._width_rest * pose.scale_px
            turned = pose.rotation @ np.array([gaze[0], -gaze[1], 0], np.float32)
            shift = np.array([turned[0], -turned[1]]) * width
        return np.asarray(shift, np.float64)

    def _within_socket(self, gaze: Float32) -> Float32:
        """Return how far the iris goes, float32 (2,), eye widths, so that it stays in its eye."""
        low = np.minimum(-_FARTHEST - self._looks, 0)
        high = np.maximum(_FARTHEST - self._looks, 0)
        room = np.maximum(np.where(gaze > 0, high, -low), 1e-3)
        bent = np.sign(gaze) * room * np.tanh((np.abs(gaze) / room) ** 3) ** (1 / 3)
        return np.asarray(bent, np.float32)


def _calm(gaze: Float32) -> Float32:
    """Return ``gaze`` with what is noise taken out: small shifts ever less."""
    square = float(gaze @ gaze)
    return np.asarray(gaze * np.float32(square / (square + _STILL**2)), np.float32)


def _kept(inside: NDArray[np.bool_], iris: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return how much of an eye stays as it is when its iris moves, uint8 (h, w)."""
    import cv2

    whole = cv2.erode(inside.astype(np.uint8) * 255, np.ones((3, 3), np.uint8))
    return np.asarray(cv2.subtract(cv2.GaussianBlur(whole, (3, 3), 0), iris), np.uint8)


def _skin_light(canvas: UInt8Image, ring_px: Float32) -> float:
    """Return how light the skin below the eye is, 0 to 255."""
    width = float(np.linalg.norm(ring_px[0, :2] - ring_px[8, :2]))
    below = ring_px[9:16, :2] + np.array([0, 0.3 * width], np.float32)
    height, across = canvas.shape[:2]
    x, y = np.clip(below[:, 0], 0, across - 1), np.clip(below[:, 1], 0, height - 1)
    return float(np.median(canvas[y.astype(int), x.astype(int)].mean(axis=1)))


def _width(points: Float32) -> float:
    """Return the eye's width of its three carrying points, pixels."""
    return max(math.dist(points[0], points[1]), 1.0)


def _spread(patch: UInt8Image, known: NDArray[np.bool_], skin_light: float) -> UInt8Image:
    """Fill everything but ``known`` from it, smoothly, with what a white of an eye may look like.

    ``skin_light``: how light the skin beside the eye is, 0 to 255.
    """
    import cv2

    least = _LIGHT_AS_SKIN * skin_light
    light = patch.astype(np.float32).mean(axis=2)
    bright = known & (light >= (np.percentile(light[known], 60) if known.any() else 0))
    enough = int(bright.sum()) >= 8
    white = np.percentile(patch[bright], 70, axis=0) if enough else np.full(3, 0.9 * skin_light)
    white = np.asarray(white, np.float32)
    # Whites in the shadow of lashes are grey, not dark: lifted, with less of the shadow's hue.
    lacking = float(np.clip(1 - white.mean() / max(least, 1), 0, 1))
    white = white + lacking * (np.float32(least) - white)
    filled = np.broadcast_to(white, patch.shape).astype(np.float32)
    if enough and lacking < 0.1:
        filled = fill_unknown(patch, np.asarray(bright, np.float32)).astype(np.float32)
    dark = filled.mean(axis=2, keepdims=True)
    filled = filled * np.maximum(1, _EVEN * white.mean() / np.maximum(dark, 1))
    even = known & (light >= _EVEN * white.mean())
    own = cv2.GaussianBlur(even.astype(np.float32), (3, 3), 0)[..., None] * even[..., None]
    return np.asarray(np.clip(patch * own + filled * (1 - own) + 0.5, 0, 255), np.uint8)


def _shadowed(
    white: UInt8Image, inside: NDArray[np.bool_], known: NDArray[np.bool_], reach_px: float
) -> UInt8Image:
    """Darken what was filled towards the eye's edge; what is ``known`` has its own shadow."""
    import cv2

    deep = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 3)
    shadow = _EDGE_SHADOW * np.exp(-deep / reach_px) * ~known
    shadow = cv2.GaussianBlur(shadow.astype(np.float32), (3, 3), 0)[..., None]
    return np.asarray(white * (1 - shadow) + 0.5, np.uint8)


def _whole_iris(patch: UInt8Image, inside: NDArray[np.bool_], centre: Float32) -> UInt8Image:
    """Complete the iris where a lid covers it, from the point opposite its centre."""
    import cv2

    height, width = inside.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    across_x, across_y = (2 * centre - 1).astype(np.float32)[:, None, None] - np.stack([x, y])
    mirrored = cv2.remap(patch, across_x, across_y, cv2.INTER_LINEAR)
    seen = cv2.erode(inside.astype(np.uint8), np.ones((3, 3), np.uint8))
    seen_across = cv2.remap(seen, across_x, across_y, cv2.INTER_NEAREST) > 0
    whole = np.where((seen > 0)[..., None], patch, mirrored).astype(np.uint8)
    neither = ((seen == 0) & ~seen_across).astype(np.uint8) * 255
    if neither.all():
        return patch
    return np.asarray(cv2.inpaint(whole, neither, 3, cv2.INPAINT_TELEA), np.uint8)
