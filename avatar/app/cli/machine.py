"""Commands about this machine and its user: ``bench``, ``calibrate``, ``devices``, ``doctor``."""

# No `from __future__ import annotations`: these are read at each start; texts would be compiled.

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from avatar.app.cli.session_command import session_command, shared
from avatar.core.choices import ComputeDevice, MotionMode
from avatar.core.errors import UsageError
from avatar.core.home import Home
from avatar.core.option import Option
from avatar.core.options import PUBLISHED, Options, check_bounds, declared, default_of, flag_of


@dataclass(frozen=True)
class BenchRequest:
    """What ``avatar bench`` has of its own."""

    # fmt: off
    camera: Annotated[str, Option("Video file to replay as a camera, or demo.", metavar="CLIP")] = (
        "demo"
    )
    out: Annotated[str, Option(
        "Where the pictures go; a stream's address measures encoding.", metavar="OUT",
    )] = "none"
    seconds: Annotated[float, Option("How long to measure.")] = 20.0
    unpaced: Annotated[bool, Option(
        "As fast as possible, instead of --fps.", flag="--unpaced",
    )] = False
    camera_fps: Annotated[float | None, Option(
        "Frames a second of the replayed camera (default: those of --fps).",
        bounds=(1, 120, 1), unit="frames a second",
    )] = None
    glass: Annotated[bool, Option(
        "From light to light: show a changing code to the camera (--camera 0, or `loop` for no "
        "camera) and read it back at the end of the chain.",
        flag="--glass",
    )] = False
    steadiness: Annotated[bool, Option(
        "Measure instead how steady and how late the avatar moves, on --camera or on all of "
        "--clips.",
        flag="--motion",
    )] = False
    quality: Annotated[bool, Option(
        "Measure the pictures instead; needs --clips and --avatars.", flag="--quality",
    )] = False
    looks: Annotated[bool, Option(
        "How real teeth, smiles and brows look on every picture of --avatars, driven by every "
        "one of --clips.",
        flag="--looks",
    )] = False
    clips: Annotated[Path | None, Option("Videos of faces.", metavar="FOLDER")] = None
    avatars: Annotated[Path | None, Option("Pictures of faces.", metavar="FOLDER")] = None
    quick: Annotated[bool, Option(
        "With --quality or --looks: fewer frames and pairs; with --motion: no clip.",
        flag="--quick",
    )] = False
    html: Annotated[Path | None, Option(
        "With --quality or --looks: a page with all pictures.", metavar="FILE",
    )] = None
    json: Annotated[Path | None, Option("Write all figures.", metavar="FILE")] = None
    plot: Annotated[Path | None, Option("Draw them: .png or .html.", metavar="FILE")] = None
    force: Annotated[bool, Option("Replace these files where they are there.", flag="--force")] = (
        False
    )
    # fmt: on

    def __post_init__(self) -> None:
        """Raise ``UsageError`` for two measurements at once, and for what this one does not use."""
        check_bounds(self)
        if self.unpaced and self.camera_fps is not None:
            raise UsageError("--unpaced has no rate; leave --camera-fps or --unpaced out")
        asked = [name for name in _USED if name and getattr(self, name)]
        flags = [flag_of(name, BenchRequest) for name in asked]
        if len(asked) > 1:
            raise UsageError(f"bench {' and '.join(flags)} are two measurements; ask for one")
        mode = asked[0] if asked else ""
        for name in declared(BenchRequest):
            used = name in _USED or name in _USED[mode]
            if not used and getattr(self, name) != default_of(name, BenchRequest):
                users = [flag_of(m, BenchRequest) if m else "" for m in _USED if name in _USED[m]]
                where = " or ".join(f"bench {user}".rstrip() for user in users)
                raise UsageError(
                    f"{flag_of(name, BenchRequest)} is for {where}; found it with "
                    f"{f'bench {flags[0]}' if flags else 'bench alone'}. Leave it out"
                )


_USED = {
    "": ("camera", "out", "seconds", "unpaced", "camera_fps", "json", "plot", "force"),
    "glass": ("camera", "seconds", "json", "force"),
    "steadiness": ("camera", "clips", "quick", "json", "plot", "force"),
    "quality": ("clips", "avatars", "quick", "html", "json", "force"),
    "looks": ("clips", "avatars", "quick", "html", "json", "force"),
}
"""What each measurement of ``avatar bench`` uses, by the option that asks for it; "": none does."""


@session_command
def bench(
    options: Options,
    request: BenchRequest,
    motion: Annotated[
        MotionMode | None,
        typer.Option("--motion-mode", help="What --motion is for `avatar run`."),
    ] = None,
) -> int:
    """Measure frame rate, latency, CPU and memory on this machine."""
    from avatar.measure.reports import check_reports

    check_reports(
        json=request.json, plot=request.plot, html=request.html, force=request.force,
        read=(request.camera,),
    )  # fmt: skip
    home = Home.of_user()
    if request.quality:
        from avatar.measure.quality import quality

        return quality(
            options.engine, request.clips, request.avatars, home, quick=request.quick,
            html_path=request.html, json_path=request.json, face_model=options.face_model,
        )  # fmt: skip
    if request.looks:
        from avatar.measure.looks import looks

        return looks(
            options.engine, request.clips, request.avatars, home, mouth=options.mouth,
            quick=request.quick, html_path=request.html, json_path=request.json,
            face_model=options.face_model,
        )  # fmt: skip
    if request.steadiness:
        from avatar.measure.motion import motion as measure_motion

        return measure_motion(
            request.camera, request.clips, home, smoothing=options.smoothing, quick=request.quick,
            json_path=request.json, plot=request.plot, face_model=options.face_model,
        )  # fmt: skip
    config = replace(options, camera=request.camera, seconds=request.seconds, force=request.force)
    if request.glass:
        from avatar.measure.glass import glass

        return glass(config, home, json_path=request.json)
    from avatar.measure.bench import bench as command

    return command(
        config,
        home,
        unpaced=request.unpaced,
        camera_fps=request.camera_fps,
        json_path=request.json,
        plot=request.plot,
        out=request.out,
    )


def calibrate(
    camera: Annotated[
        str,
        typer.Option("--camera", metavar="CAMERA", help="Camera, video file, address or demo."),
    ] = "0",
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="What to call the profile.")
    ] = "me",
    unattended: Annotated[
        bool,
        typer.Option(
            "--unattended",
            help="Give no prompts: watch a recording for the same expressions, in any order.",
        ),
    ] = False,
    window: Annotated[
        bool, typer.Option("--window/--no-window", help="Show the prompts in a window, too.")
    ] = True,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write a page with signals before and after."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a profile of the same name, and the page.")
    ] = False,
    av: Annotated[
        bool,
        typer.Option(
            "--av",
            help="Measure instead how much later the camera is than --mic, by claps, for sound "
            "that is in step; kept in the profile.",
        ),
    ] = False,
    mic: Annotated[
        str | None, typer.Option("--mic", metavar="DEVICE", help="With --av: the microphone.")
    ] = None,
    face_model: Annotated[Path | None, shared("face_model")] = None,
) -> None:
    """Learn your own range of expression in a guided minute, for `avatar run --profile`."""
    home = Home.of_user()
    if av:
        from avatar.learn.person.sync import calibrate_av
        from avatar.library.profiles import ProfileStore

        raise typer.Exit(calibrate_av(camera, mic, name, store=ProfileStore(home.profiles)))
    if mic is not None:
        raise UsageError("--mic is for calibrate --av")
    from avatar.app.calibrate import calibrate as command

    raise typer.Exit(
        command(
            camera, name, unattended=unattended, window=window, html=html, force=force,
            face_model=face_model, home=home,
        )
    )  # fmt: skip


def devices() -> None:
    """List cameras, outputs, microphones and speakers."""
    from avatar.app.devices import devices as command

    raise typer.Exit(command())


def doctor(
    face_model: Annotated[Path | None, shared("face_model")] = None,
    avatar: Annotated[
        str | None,
        typer.Option(
            "--avatar", metavar="PHOTO|NAME", help="Look at this photo or stored avatar, too."
        ),
    ] = None,
    gpu: Annotated[
        bool,
        typer.Option(
            "--gpu",
            help="Build, compare and time the networks of --engine on this machine's card instead, "
            "and write a report to attach to an issue.",
        ),
    ] = False,
    engine: Annotated[
        str | None,
        typer.Option(
            "--engine",
            metavar="NAME",
            help=f"With --gpu: {' or '.join(PUBLISHED)}, an installed one.",
        ),
    ] = None,
    backend: Annotated[
        str,
        typer.Option(
            "--backend",
            metavar="NAME",
            help="With --gpu: openvino or onnxruntime do the same on the processor.",
        ),
    ] = "auto",
    device: Annotated[
        ComputeDevice,
        typer.Option(
            "--device", help="With --gpu: cpu tries on the processor what runs on both, as torch."
        ),
    ] = "auto",
    precision: Annotated[
        Literal["auto", "fp32", "fp16", "int8"],
        typer.Option("--precision", help="With --gpu: how exactly they compute."),
    ] = "auto",
    report: Annotated[
        Path,
        typer.Option("--report", metavar="FILE", help="With --gpu: where the report goes."),
    ] = Path("avatar-gpu-report.txt"),
    force: Annotated[bool, shared("force")] = False,
    camera: Annotated[
        bool,
        typer.Option(
            "--camera",
            help="The virtual cameras that this system can have, and what each needs, instead. "
            "Looks only; loads and installs nothing.",
        ),
    ] = False,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="With --camera: free v4l2loopback devices that no program can open any more.",
        ),
    ] = False,
) -> None:
    """Check this machine: what works, what does not, and how to fix it."""
    if avatar is not None and (gpu or camera):
        raise UsageError("--avatar is for doctor without --gpu and --camera: leave one of them out")
    if gpu and camera:
        raise UsageError("doctor --gpu and --camera are two checks; ask for one of them")
    if gpu:
        from avatar.core.terminal import say
        from avatar.measure.doctor_gpu import doctor_gpu

        status = doctor_gpu(
            Home.of_user().models, engine=engine, backend=backend, device=device,
            precision=precision, report=report, force=force, say=say,
        )  # fmt: skip
        raise typer.Exit(status)
    if engine or force or {backend, device, precision} != {"auto"}:
        raise UsageError(
            "--engine, --backend, --device, --precision and --force are for doctor --gpu"
        )
    if camera:
        from avatar.measure.doctor_camera import doctor_camera

        raise typer.Exit(doctor_camera(repair))
    if repair:
        raise UsageError("--repair is for doctor --camera")
    from avatar.measure.doctor import doctor as command

    raise typer.Exit(command(Home.of_user(), face_model, avatar))
