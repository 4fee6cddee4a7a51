"""Commands that run live: ``run`` and ``studio``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from avatar.cli.options import (
    AcknowledgeOption,
    AvatarOption,
    AvOffsetOption,
    BackendOption,
    BackgroundOption,
    BitrateOption,
    CameraOption,
    CropOption,
    DriveOption,
    EncoderOption,
    EngineOption,
    ExaggerateOption,
    FaceModelOption,
    ForceOption,
    FrameOption,
    HotkeyOption,
    HotkeysOption,
    LabelCornerOption,
    LabelTextOption,
    LockHeadOption,
    MaxTurnOption,
    MicOption,
    MotionOption,
    MouthOption,
    NoLabelOption,
    PrecisionOption,
    ProfileOption,
    ReferenceOption,
    RegionsOption,
    RetargetEyesOption,
    RetargetLipsOption,
    ShadingOption,
    SizeOption,
    SmoothingOption,
    SpeakerOption,
    StitchingOption,
    StreamCaOption,
    StreamKeyFileOption,
    StreamPresetOption,
    StreamSizeOption,
    StrengthOption,
    WeightOption,
    WeightsVariantOption,
    defaults,
    given_options,
    live_config,
)
from avatar.core.home import Home


def run(
    avatar: AvatarOption = None,
    camera: CameraOption = None,
    out: Annotated[
        list[str] | None,
        typer.Option(
            "--out",
            metavar="OUT",
            help=defaults(
                "Where frames go: virtual, virtual:DEVICE, pipewire, preview, page (for OBS), "
                "file:PATH, rtmp://…, rtmps://…, udp://HOST:PORT, whip:https://… or none. Give "
                "several to serve several.",
                "out",
            ),
        ),
    ] = None,
    engine: EngineOption = None,
    motion: MotionOption = None,
    frame: FrameOption = None,
    size: SizeOption = None,
    fps: Annotated[
        float | None, typer.Option("--fps", help=defaults("Frames a second.", "fps"))
    ] = None,
    mirror: Annotated[
        bool | None,
        typer.Option("--mirror/--no-mirror", help="Move as your mirror image would."),
    ] = None,
    smoothing: SmoothingOption = None,
    background: BackgroundOption = None,
    mouth: MouthOption = None,
    shading: ShadingOption = None,
    reference: ReferenceOption = None,
    profile: ProfileOption = None,
    strength: StrengthOption = None,
    weight: WeightOption = None,
    exaggerate: ExaggerateOption = None,
    max_turn: MaxTurnOption = None,
    lock_head: LockHeadOption = None,
    regions: RegionsOption = None,
    stitching: StitchingOption = None,
    retarget_eyes: RetargetEyesOption = None,
    retarget_lips: RetargetLipsOption = None,
    variant: WeightsVariantOption = None,
    crop: CropOption = None,
    backend: BackendOption = None,
    precision: PrecisionOption = None,
    mic: MicOption = None,
    speaker: SpeakerOption = None,
    av_offset: AvOffsetOption = None,
    drive: DriveOption = None,
    encoder: EncoderOption = None,
    bitrate: BitrateOption = None,
    stream_size: StreamSizeOption = None,
    stream_preset: StreamPresetOption = None,
    stream_key_file: StreamKeyFileOption = None,
    stream_ca: StreamCaOption = None,
    label_text: LabelTextOption = None,
    label_corner: LabelCornerOption = None,
    no_label: NoLabelOption = False,
    acknowledge_disclosure_duty: AcknowledgeOption = None,
    hotkeys: HotkeysOption = None,
    hotkey: HotkeyOption = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", help="End after so many seconds.")
    ] = None,
    stats: Annotated[
        Path | None, typer.Option("--stats", metavar="FILE.json", help="Write measurements.")
    ] = None,
    face_model: FaceModelOption = None,
    force: ForceOption = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE.toml", help="Options from a file; these win."),
    ] = None,
) -> None:
    """Drive a photograph with your face, live, into a call."""
    given = given_options(locals())
    from avatar.commands.run import run as command

    raise typer.Exit(command(live_config(config, given), Home.of_user()))


def studio(
    avatar: AvatarOption = None,
    camera: CameraOption = None,
    background: BackgroundOption = None,
    size: SizeOption = None,
    mic: MicOption = None,
    speaker: SpeakerOption = None,
    drive: DriveOption = None,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Where the page is; 0: any free port.")
    ] = 8765,
    listen: Annotated[
        str,
        typer.Option(
            "--listen",
            metavar="ADDRESS",
            help="This machine alone by default. Another address of it, or 0.0.0.0, lets other "
            "devices in, by TLS and with the token only.",
        ),
    ] = "127.0.0.1",
    browser: Annotated[
        bool, typer.Option("--browser", help="Open the page in your browser.")
    ] = False,
    start: Annotated[
        bool, typer.Option("--start", help="Begin at once, without the page's button.")
    ] = False,
    face_model: FaceModelOption = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE.toml", help="Options from a file; these win."),
    ] = None,
) -> None:
    """Everything in one page of your browser, served by this machine: avatars, camera, outputs."""
    given = given_options(locals())
    for name in ("port", "listen", "browser", "start"):
        del given[name]
    from avatar.commands.studio import studio as command

    settings = live_config(config, given)
    home = Home.of_user()
    raise typer.Exit(
        command(settings, home, port=port, listen=listen, browser=browser, start=start)
    )
