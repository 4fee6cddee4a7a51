"""Draws heads with OpenGL: on a card, or on the processor by Mesa's llvmpipe, without a display."""

from __future__ import annotations

from dataclasses import fields
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt

from avatar.core.errors import MissingDependencyError
from avatar.learn.renders.assets import HAIR, Floats, load_masks, load_mesh
from avatar.learn.renders.head import Head
from avatar.learn.renders.people import Appearance

UInt8 = npt.NDArray[np.uint8]

# Drawn larger and averaged, so that lashes and hair are not jagged.
_OVERSAMPLED = 1.5
_SHADOW_PX = 1024
# The camera stands a metre away; units are decimetres. The eyes are above the middle.
_DISTANCE, _HALF_HEIGHT, _EYES_UP = 10.0, 1.55, 0.25
_NEAR, _FAR = 4.0, 20.0
_LIT_RADIUS = 3.2


class Painter:
    """Draws pictures of ``size`` × ``size`` pixels.

    Raises ``MissingDependencyError`` where moderngl or a driver is missing.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._gl = _context()
        large = (round(size * _OVERSAMPLED),) * 2
        colour, depth = self._gl.texture(large, 4), self._gl.depth_renderbuffer(large)
        self._frame = self._gl.framebuffer([colour], depth)
        self._depths = self._gl.depth_texture((_SHADOW_PX, _SHADOW_PX))
        self._depths.compare_func = "<="
        self._depths.repeat_x = self._depths.repeat_y = False
        self._shadow = self._gl.framebuffer(depth_attachment=self._depths)
        self._parts = [_program(self._gl, "head", "head", part) for part in range(HAIR + 1)]
        self._depth_only = _program(self._gl, "depth", "depth")
        self._behind = _program(self._gl, "background", "background")
        cube = np.random.default_rng(0).integers(0, 256, (64,) * 3, np.uint8)
        self._noise = self._gl.texture3d(cube.shape, 1, cube.tobytes())
        masks = load_masks()
        self._masks = self._gl.texture(masks.shape[1::-1], 3, masks.tobytes())
        self._masks.build_mipmaps()
        corners = self._gl.buffer(np.array((-1, -1, 1, -1, -1, 1, 1, 1), "f4").tobytes())
        self._wall = self._gl.vertex_array(self._behind, [(corners, "2f", "in_corner")])
        self._own: list[Any] = []

    def begin(self, head: Head, look: Appearance, background: UInt8) -> None:
        """Take up a person: ``background`` is uint8 (size, size, 3) RGB."""
        for item in self._own:
            item.release()
        fixed = np.concatenate([head.rest, head.uv, head.hair], axis=1).astype("f4")
        still, order = (self._gl.buffer(a.tobytes()) for a in (fixed, head.triangles.astype("i4")))
        self._moving = self._gl.buffer(reserve=len(fixed) * 24, dynamic=True)
        layout = [
            (self._moving, "3f 3f", "in_position", "in_normal"),
            (still, "3f 2f 2f", "in_rest", "in_uv", "in_hair"),
        ]
        self._meshes = []
        for part in head.order:
            mesh = self._gl.vertex_array(self._parts[part], layout, order, skip_errors=True)
            self._meshes.append((mesh, *head.span(part)))
        bare = [(self._moving, "3f 12x", "in_position")]
        self._caster = self._gl.vertex_array(self._depth_only, bare, order)
        self._wallpaper = self._gl.texture((self._size,) * 2, 3, background.tobytes(), alignment=1)
        self._own = [mesh for mesh, _, _ in self._meshes]
        self._own += [self._caster, self._moving, still, order, self._wallpaper]
        for program in self._parts:
            self._set_look(program, look)
        self._depth_only["u_light"].write(_matrix(_lamp(look.key)))

    def draw(self, positions: Floats, normals: Floats, mouth_light: float) -> UInt8:
        """Return a picture, uint8 (size, size, 3) RGB."""
        import cv2

        moving = np.concatenate([positions, normals], axis=1).astype("f4")
        self._moving.write(moving.tobytes())
        self._gl.enable(self._gl.DEPTH_TEST)
        self._shadow.use()
        self._shadow.clear()
        self._caster.render()
        self._frame.use()
        self._frame.clear()
        self._wallpaper.use(0)
        self._behind["u_picture"] = 0
        self._wall.render(self._gl.TRIANGLE_STRIP)
        self._masks.use(0)
        self._depths.use(1)
        self._noise.use(2)
        self._gl.enable(self._gl.BLEND)
        for mesh, first, count in self._meshes:
            _set(mesh.program, "u_mouth_light", mouth_light)
            mesh.render(first=first, vertices=count)
        self._gl.disable(self._gl.BLEND)
        side = self._frame.width
        large = np.frombuffer(self._frame.read(components=3), np.uint8).reshape(side, side, 3)
        small = cv2.resize(large[::-1], (self._size, self._size), interpolation=cv2.INTER_AREA)
        return np.asarray(small, np.uint8)

    def _set_look(self, program: Any, look: Appearance) -> None:
        for field in fields(look):
            _set(program, f"u_{field.name}", getattr(look, field.name))
        camera = np.array((0.0, -_EYES_UP, _DISTANCE))
        _set(program, "u_camera_at", camera)
        program["u_camera"].write(_matrix(_perspective() @ _looking(camera)))
        program["u_light"].write(_matrix(_lamp(look.key)))
        if "u_eyes" in program:
            program["u_eyes"].write(load_mesh().eye_centres.astype("f4").tobytes())
        for place, name in enumerate(("u_masks", "u_depths", "u_noise")):
            if name in program:
                program[name] = place

    def close(self) -> None:
        """Give everything back."""
        self._gl.release()


def _context() -> Any:
    try:
        import moderngl
    except ImportError as error:
        raise MissingDependencyError(
            "renders need moderngl: pip install 'webcam-avatar[renders]'"
        ) from error
    import sys

    # Elsewhere than on Linux every system has its own way to draw without a window.
    backend: dict[str, Any] = {"backend": "egl"} if sys.platform == "linux" else {}
    try:
        return moderngl.create_context(standalone=True, require=330, **backend)
    except Exception as error:  # moderngl raises what ctypes and the driver raise
        raise MissingDependencyError(
            f"renders need OpenGL 3.3, found: {error}. On Debian and Ubuntu: "
            "apt install libegl1 libgl1-mesa-dri (they draw without a card)"
        ) from error


def _program(gl: Any, vertex: str, fragment: str, part: int = 0) -> Any:
    folder = files("avatar.learn.renders") / "shaders"
    begin = f"#version 330\n#define PART {part}\n"
    return gl.program(
        vertex_shader=begin + (folder / f"{vertex}.vert").read_text("utf-8"),
        fragment_shader=begin + (folder / f"{fragment}.frag").read_text("utf-8"),
    )


def _set(program: Any, name: str, value: Floats | float) -> None:
    if name in program:  # the compiler drops what it does not need
        program[name] = value if isinstance(value, float) else tuple(float(v) for v in value)


def _matrix(matrix: Floats) -> bytes:
    """Return a matrix column by column, as OpenGL reads it."""
    return matrix.T.astype("f4").tobytes()


def _perspective() -> Floats:
    """Return what maps the camera's view to clip space (OpenGL's glFrustum)."""
    focal = _DISTANCE / _HALF_HEIGHT
    deep = _NEAR - _FAR
    return np.array((
        (focal, 0, 0, 0), (0, focal, 0, 0),
        (0, 0, (_NEAR + _FAR) / deep, 2 * _NEAR * _FAR / deep), (0, 0, -1, 0),
    ))  # fmt: skip


def _looking(camera: Floats) -> Floats:
    view = np.eye(4)
    view[:3, 3] = -camera
    return view


def _lamp(towards: Floats) -> Floats:
    """Return the parallel view from a light, over the head, for shadows."""
    right = np.cross((0.0, 1.0, 0.0), towards)
    right /= np.linalg.norm(right)
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([right, np.cross(towards, right), -towards]) / _LIT_RADIUS
    return matrix
