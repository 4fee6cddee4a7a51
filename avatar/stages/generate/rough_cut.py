"""Where about a person is in a photograph: the solid part, and how wide its rim is in doubt.

GrabCut (Rother, Kolmogorov, Blake 2004), seeded by where the landmarks put face, skull, neck and
shoulders. No learned weights: nothing to download, and the licence of nothing to mind.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from avatar.core.face.topology import FACE_OVAL
from avatar.core.frames import Float32, UInt8Image
from avatar.stages.generate.colour_odds import binned, histogram, soft_odds, unmixed
from avatar.stages.generate.face_frame import FaceFrame, pixel_places
from avatar.stages.generate.raster import sample

# The face's height while cutting, and the picture's largest area: enough for hair, small enough
# for a second or two.
_FACE_PX, _AREA_PX = 90.0, 330_000
_ROUNDS = 5
# Hair that the cut may have lost: rays it is looked for along; L*a*b* distances (8 bits a channel)
# that are no edge, that are still skin, and by which hair is darker than skin.
_RAYS = 72
_UNSEEN, _SKIN_LIKE, _DARKER = 14.0, 40.0, 60.0
# What of it is within this of its rim is in doubt, half face heights.
_HAIR_RIM = 0.25
# Pixels that a histogram needs; how much a colour must say, natural logarithms of odds.
_ENOUGH = 200
_MORE_ODDS, _LESS_ODDS = 0.7, 2.0
# What GrabCut says for and against a person, and how far it counts against colours and the place.
_GRABBED, _LOST = 1.0, 0.8
# A head with its hair: half its width and height, and its middle; shoulders; half faces.
_HAIR, _MIDDLE, _BROAD = (1.35, 1.55), 0.15, 2.6
# No arm reaches farther aside, half face widths; below the lap, half face heights, clothes may.
_WIDEST, _LAP, _WIDER = 4.5, -2.5, 1.5
# What is farther away is not looked at, half faces.
_NEAR = 8.0
# A head ends, and clothes of any colour begin, here, half face heights below the face's middle.
_HEAD = -1.0


def rough_cut(
    image: UInt8Image, landmarks_px: Float32, frame: FaceFrame, others: Sequence[FaceFrame]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return 1 where the person is, uint8 (h, w), coarsely, and 1 where the person may also be.

    Both are of the whole picture, smaller.

    ``image``: uint8 (H, W, 3) RGB. ``landmarks_px``: float32 (478, 3) in it. ``others``: further
    faces, which count as background.
    """
    import cv2

    height, width = image.shape[:2]
    ratio = min(
        1.0, _FACE_PX / (2 * float(frame.half_px[1])), float(np.sqrt(_AREA_PX / (height * width)))
    )
    size = max(1, round(width * ratio)), max(1, round(height * ratio))
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    corner, part = _around(frame.scaled(ratio, np.zeros(2, np.float32)), small.shape)
    local, *elsewhere = (
        each.scaled(ratio, corner / np.float32(ratio)) for each in (frame, *others)
    )
    oval = landmarks_px[FACE_OVAL, :2] * np.float32(ratio) - corner
    cuts = np.zeros((2, *small.shape[:2]), np.uint8)
    cuts[:, *part] = _grab_cut(np.ascontiguousarray(small[part]), local, oval, elsewhere)
    return cuts[0], cuts[1]


def _around(frame: FaceFrame, shape: tuple[int, ...]) -> tuple[Float32, tuple[slice, slice]]:
    """Return the (x, y) corner and the rows and columns of what of a picture is near a person.

    What stands farther away says nothing of the wall behind them.
    """
    height, width = shape[:2]
    middle, half = frame.body.centre_px, frame.body.half_px
    left, right = (round(float(middle[0] + side * _NEAR * half[0])) for side in (-1, 1))
    top = round(float(middle[1] - _NEAR * half[1]))
    left, top = min(max(left, 0), width - 1), min(max(top, 0), height - 1)
    corner = np.array([left, top], np.float32)
    return corner, (slice(top, height), slice(left, max(left + 1, min(right, width))))


def _grab_cut(
    image: UInt8Image, frame: FaceFrame, oval_px: Float32, others: Sequence[FaceFrame]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return 1 where the person is, uint8 (h, w), and 1 where the person may also be."""
    import cv2

    seeds = _seeds(image.shape[:2], frame, oval_px, others)
    given = seeds.copy()
    never, surely = seeds == cv2.GC_BGD, seeds == cv2.GC_FGD
    if not np.isin(seeds, (cv2.GC_BGD, cv2.GC_PR_BGD)).any():
        # A picture that is filled by a face has nothing else to tell it from.
        return np.ones(seeds.shape, np.uint8), np.ones(seeds.shape, np.uint8)
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(1)  # k-means inside starts at random; the same photo must give the same cut
    cv2.grabCut(
        image, seeds, (0, 0, 0, 0), background, foreground, _ROUNDS, cv2.GC_INIT_WITH_MASK
    )  # fmt: skip
    person = np.isin(seeds, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    person = _by_colour(person, given, image, frame)
    person = _without_wall(_with_more(person, image, frame, never), image, frame, never, surely)
    _, parts = cv2.connectedComponents(person)
    x, y = np.clip(frame.centre_px, 0, np.array(image.shape[1::-1]) - 1).astype(int)
    person = (parts == parts[y, x]).astype(np.uint8)
    for operation, size in ((cv2.MORPH_CLOSE, 7), (cv2.MORPH_OPEN, 3)):
        ball = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
        person = np.asarray(cv2.morphologyEx(person, operation, ball), np.uint8)
    return _sure_hair(person, image, frame), _with_hair(person.copy(), image, frame)


def _by_colour(
    person: NDArray[np.uint8], seeds: NDArray[np.uint8], image: UInt8Image, frame: FaceFrame
) -> NDArray[np.uint8]:
    """Return ``person``, uint8 (h, w) of 0 and 1, with hair and clothes that GrabCut lost.

    It counts colours in five kinds each, and what it once took for wall is wall to it. Here what
    it found is one voice beside the place and the colours: of the crown less those of the wall, of
    the face and the chest. ``seeds``: as ``_seeds`` gives them.
    """
    import cv2

    uv = frame.coordinates(pixel_places(image.shape))
    u, v = np.abs(uv[..., 0]), uv[..., 1]
    across, level = _body(pixel_places(image.shape), frame)
    face = (u / 0.95) ** 2 + (v / 0.98) ** 2 < 1
    crown = (u < 0.9) & (v > 0.85) & (v < 1.45) & ~face
    never, surely = seeds == cv2.GC_BGD, seeds == cv2.GC_FGD
    if min(int(each.sum()) for each in (crown, face, never)) < _ENOUGH:
        return person
    index = binned(image)
    skin, chest = histogram(index[face]), surely & (level < -1.4)
    clothes = histogram(index[chest]) if int(chest.sum()) >= _ENOUGH else skin
    away = np.hypot(u / _HAIR[0], (v - _MIDDLE) / _HAIR[1])
    shoulders = np.minimum(0.65 + 3.0 * np.maximum(-1.1 - level, 0), _BROAD)
    about = np.where(level > -1.0, 3 * (1.0 - away), 1.5 * (shoulders - across))
    heard = np.where(person > 0, _GRABBED, -_LOST) + np.clip(about, -2, 1)
    # What is wall, and hair, is known better once it was looked for.
    wall, hairy = never, np.zeros_like(never)
    for _ in range(2):
        behind = histogram(index[wall])
        hair = unmixed(histogram(index[crown]), behind)
        if int(hairy.sum()) >= _ENOUGH:
            hair = (hair + histogram(index[hairy])) / 2
        head = np.maximum(hair, skin)
        own = np.where(level > -1.1, head[index], np.maximum(head, clothes)[index])
        held = (soft_odds(image, np.log(own / behind[index])) + heard > 0) | surely
        held &= ~never
        wall = never | (~held & (away < 2.2))
        hairy = held & ~face & (v > -0.9) & (away < 1.6)
    # Above a head may be a hat of any colour: there nothing is taken away.
    beside = (u > 0.9) & (v < 0.6) & (v > _HEAD)
    return np.asarray(held | ((person > 0) & ~beside), np.uint8)


def _with_more(
    person: NDArray[np.uint8], image: UInt8Image, frame: FaceFrame, background: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """Add what has the hair's or the clothes' colours and not the background's, to 0 and 1.

    Hair that hangs beside the face is background by its place; taken into the background's
    colours, GrabCut never finds it again. Here ``background``, bool (h, w), is what must be that.
    """
    import cv2

    uv = frame.coordinates(pixel_places(image.shape))
    u, v = np.abs(uv[..., 0]), uv[..., 1]
    across, level = _body(pixel_places(image.shape), frame)
    index, held = binned(image), person > 0
    hairy = _sure_hair(person, image, frame) > 0
    face = (u / 0.95) ** 2 + (v / 0.98) ** 2 < 1
    away = cv2.distanceTransform(1 - person, cv2.DIST_L2, 5) / float(frame.half_px[1])
    wall, skin = background & ~held, face & (v < 0.5)
    added = held.copy()
    # Hair seldom stands far off above; it hangs far down.
    hair_cost = away * np.where(v > 0.6, 3.0, 1.0)
    kinds = (
        (hairy & ~face & (v > -0.4), hair_cost, (u < 2.3) & (v > -3.2)),
        (held & (across < 1.5) & (level < -1.5), away * 1.5, level < -1.1),
    )
    for own, cost, reached in kinds:
        if min(int(each.sum()) for each in (own, skin, wall)) < _ENOUGH:
            continue
        shares = [histogram(index[each]) for each in (own, skin, wall)]
        odds = np.log(shares[0] / np.maximum(shares[2], 0.3 * shares[1]))[index]
        added |= reached & ~background & (soft_odds(image, odds) - cost > _MORE_ODDS)
    return added.astype(np.uint8)


def _without_wall(
    person: NDArray[np.uint8],
    image: UInt8Image,
    frame: FaceFrame,
    background: NDArray[np.bool_],
    surely: NDArray[np.bool_],
) -> NDArray[np.uint8]:
    """Take from the head, 0 and 1, what has the wall's colours and not the person's.

    About a head are hair or what covers it, as above the face, and skin, as of hands: what has
    neither's colours but the wall's was taken along, as GrabCut counts colours in few kinds.
    ``background``, ``surely``: bool (h, w), what must be wall and person.
    """
    uv = frame.coordinates(pixel_places(image.shape))
    u, v = np.abs(uv[..., 0]), uv[..., 1]
    held = person > 0
    face = (u / 0.95) ** 2 + (v / 0.98) ** 2 < 1
    above, wall = held & (u < 0.9) & (v > 0.85) & (v < 1.35), background & ~held
    if min(int(each.sum()) for each in (above, face, wall)) < _ENOUGH:
        return person
    index = binned(image)
    covers, skin, behind = (histogram(index[each]) for each in (above, face, wall))
    odds = np.log(np.maximum(covers, skin) / behind)[index]
    soft = soft_odds(image, odds)
    taken = held & (v > _HEAD) & ((u > 1) | (v > 1.8)) & ~surely & (soft < -_LESS_ODDS)
    return np.where(taken, 0, person).astype(np.uint8)


def _seeds(
    shape: tuple[int, ...], frame: FaceFrame, oval_px: Float32, others: Sequence[FaceFrame]
) -> NDArray[np.uint8]:
    """Return GrabCut's seeds: where a person must, may, and cannot be around a face."""
    import cv2

    places = pixel_places(shape)
    uv = frame.coordinates(places)
    u, v = np.abs(uv[..., 0]), uv[..., 1]
    seeds = np.full(shape[:2], cv2.GC_PR_BGD, np.uint8)
    hair = (u / 1.5) ** 2 + ((v - 0.2) / 1.8) ** 2 < 1
    across, level = _body(places, frame)
    below = np.maximum(-1.1 - level, 0)
    body = (level < -0.8) & (across < 0.65 + 3.0 * below)
    seeds[hair | body] = cv2.GC_PR_FGD
    seeds[((u / 2.3) ** 2 + ((v - 0.3) / 2.4) ** 2 > 1) & (level > -1.2)] = cv2.GC_BGD
    seeds[across > _WIDEST + _WIDER * np.maximum(_LAP - level, 0)] = cv2.GC_BGD
    skull = (u / 1.04) ** 2 + ((v - 0.1) / 1.35) ** 2 < 1
    neck = (u < 0.45) & (v < -0.7) & (v > -1.45)
    chest = across < np.clip((-1.2 - level) * 2.2, 0, 1.2)
    seeds[(skull & (v > -0.2)) | neck | chest] = cv2.GC_FGD
    for other in others:
        theirs = other.coordinates(places)
        seeds[(theirs[..., 0] / 1.1) ** 2 + ((theirs[..., 1] - 0.15) / 1.3) ** 2 < 1] = cv2.GC_BGD
        # Bodies side by side meet halfway.
        seeds[(theirs[..., 1] < -0.9) & (v < 0.9) & (np.abs(theirs[..., 0]) < u)] = cv2.GC_BGD
    shrunk = oval_px.mean(axis=0) + (oval_px - oval_px.mean(axis=0)) * np.float32(0.97)
    cv2.fillPoly(seeds, [np.round(shrunk).astype(np.int32)], cv2.GC_FGD)
    return seeds


def _body(places: Float32, frame: FaceFrame) -> tuple[Float32, Float32]:
    """Return how far ``places``, float32 (H, W, 2), are aside and up on the body, half faces."""
    uv = frame.body.coordinates(places)
    return np.abs(uv[..., 0]), uv[..., 1]


def _sure_hair(person: NDArray[np.uint8], image: UInt8Image, frame: FaceFrame) -> NDArray[np.uint8]:
    """Add the inner part of the hair that a cut by colour lost, to uint8 (h, w) of 0 and 1."""
    import cv2

    size = 2 * max(1, round(_HAIR_RIM * float(frame.half_px[1]))) + 1
    ball = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    inner = cv2.erode(_with_hair(person.copy(), image, frame), ball, borderValue=0)
    return np.asarray(cv2.max(person, inner), np.uint8)


def _with_hair(person: NDArray[np.uint8], image: UInt8Image, frame: FaceFrame) -> NDArray[np.uint8]:
    """Add the hair that a cut by colour lost, to uint8 (h, w) of 0 and 1.

    Dark hair before a dark wall is cut where nothing is to be seen. Along rays from the face
    over the upper half of the head, a cut with the same colour on both sides is not believed,
    nor one where skin ends at something dark: there hair is taken to reach as far as it usually
    does. What is wrongly added has the wall's own colour, so its moving does not show.
    """
    import cv2

    angles = np.linspace(np.radians(-15), np.radians(195), _RAYS)
    rays = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB).astype(np.float32)

    def along(picture: NDArray[np.float32], reach: NDArray[np.floating]) -> NDArray[np.float32]:
        points = frame.pixels((rays[:, None] * reach[..., None]).astype(np.float32)) - 0.5
        return np.asarray(sample(picture, points.astype(np.float32)), np.float32)

    reaches = np.arange(0.3, 2.6, 0.03)
    outside = along(person.astype(np.float32), np.tile(reaches, (_RAYS, 1))) < 0.5
    outside[:, -1] = True
    cut = reaches[np.argmax(outside, axis=1)]
    usual = 1 / np.hypot(rays[:, 0] / 1.4, rays[:, 1] / 1.85)
    within = along(lab, cut[:, None] - np.linspace(0.06, 0.2, 5)).mean(axis=1)
    beyond = along(lab, cut[:, None] + np.linspace(0.08, 0.25, 5)).mean(axis=1)
    same = np.linalg.norm(within - beyond, axis=1) < _UNSEEN
    skin = np.median(along(lab, np.full((_RAYS, 1), 0.4))[:, 0], axis=0)
    hairline = np.linalg.norm(within - skin, axis=1) < _SKIN_LIKE
    hairline &= (skin[0] - beyond[:, 0] > _DARKER) & (rays[:, 1] > 0.5)
    # Beyond the picture's edge there is nothing to compare.
    ends = frame.pixels((rays * (cut + 0.25)[:, None]).astype(np.float32))
    seen = ((ends > 0) & (ends < np.array(image.shape[1::-1]))).all(axis=1)
    same, hairline = same & seen, hairline & seen
    doubted = np.convolve((same | hairline) & (cut < usual), np.full(9, 1 / 9), "same")
    reach = np.where(doubted > 0.4, np.maximum(cut, usual), cut)
    reach = np.convolve(np.pad(reach, 3, "edge"), np.full(7, 1 / 7), "valid")
    rim = frame.pixels((rays * reach[:, None]).astype(np.float32)).round().astype(np.int32)
    middle = frame.centre_px.round().astype(np.int32)
    for k in np.flatnonzero((doubted[:-1] > 0.3) & (doubted[1:] > 0.3)):
        cv2.fillConvexPoly(person, np.stack([middle, rim[k], rim[k + 1]]), (1,))
    return person
