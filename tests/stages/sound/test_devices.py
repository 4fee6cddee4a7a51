"""Choosing a microphone or a speaker by what people write."""

from __future__ import annotations

import pytest

from avatar.core.errors import SoundBusyError, SoundNotFoundError, UsageError
from avatar.stages.sound.devices import SoundDevice, choose, served
from avatar.stages.sound.portaudio import open_error

SOURCES = [
    {"name": "alsa_input.usb-Blue_Yeti", "description": "Yeti Mono",
     "sample_specification": "s16le 1ch 44100Hz"},
    {"name": "cable.monitor", "description": "Monitor of Cable",
     "sample_specification": "float32le 2ch 48000Hz"},
]  # fmt: skip
SINKS = [{"name": "cable", "description": "Cable", "sample_specification": "float32le 2ch 48000Hz"}]
DEVICES = [
    *served(7, SOURCES, SINKS),
    SoundDevice(3, "HDA Intel: ALC", 2, 2, 44_100),
    SoundDevice(7, "pulse", 32, 32, 44_100),
]


def test_what_the_sound_server_lists() -> None:
    yeti, monitor, cable = DEVICES[:3]
    assert (yeti.name, yeti.inputs, yeti.outputs, yeti.rate_hz) == ("Yeti Mono", 1, 0, 44_100)
    assert (monitor.spec, monitor.serves("mic"), monitor.serves("speaker")) == (
        "cable.monitor", True, False,
    )  # fmt: skip
    assert (cable.index, cable.node, cable.outputs) == (7, "cable", 2)


@pytest.mark.parametrize(
    ("spec", "kind", "name"),
    [
        ("yeti", "mic", "Yeti Mono"), ("cable.monitor", "mic", "Monitor of Cable"),
        ("cable", "speaker", "Cable"), ("3", "speaker", "HDA Intel: ALC"), ("alc", "mic",
         "HDA Intel: ALC"), ("Yeti Mono", "mic", "Yeti Mono"), ("7", "mic", "pulse"),
    ],
)  # fmt: skip
def test_a_number_a_name_or_a_part_of_one(spec: str, kind: str, name: str) -> None:
    assert choose(DEVICES, spec, kind).name == name  # type: ignore[arg-type]


def test_an_unknown_name_is_told_with_those_that_exist() -> None:
    with pytest.raises(SoundNotFoundError, match=r"cable \(Cable\).*found 'cabel'.*mean cable"):
        choose(DEVICES, "cabel", "speaker")


def test_no_microphone_at_all_is_told() -> None:
    with pytest.raises(SoundNotFoundError, match=r"found none on this machine"):
        choose([], "yeti", "mic")


def test_a_microphone_is_no_speaker() -> None:
    with pytest.raises(SoundNotFoundError):
        choose(DEVICES, "yeti", "speaker")


def test_a_part_of_several_names_is_told() -> None:
    with pytest.raises(UsageError, match="fits one device"):
        choose(DEVICES, "l", "mic")


def test_a_device_that_is_held_says_what_to_do() -> None:
    error = open_error("--mic Yeti", "Error opening InputStream: Device unavailable")
    assert isinstance(error, SoundBusyError)
    assert "Another program holds it" in str(error)
    assert "48000" in str(open_error("--mic Yeti", "Invalid sample rate [PaErrorCode -9997]"))
