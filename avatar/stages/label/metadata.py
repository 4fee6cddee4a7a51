"""What a file says of itself: machine-readable marks that travel beside the pictures."""

from __future__ import annotations

import json

AIGC_KEY = "AIGC"


def aigc_metadata(producer: str, produce_id: str) -> dict[str, str]:
    """Return the implicit label of GB 45438-2025 as one container tag: ``{"AIGC": JSON}``.

    ``producer`` names what made the picture, ``produce_id`` this one file. Every value is a
    string, Label included; "1" says that the content is generated. Who writes a file first is
    its propagator as well.
    """
    mark = {
        "Label": "1",
        "ContentProducer": producer,
        "ProduceID": produce_id,
        "ReservedCode1": "",
        "ContentPropagator": producer,
        "PropagateID": produce_id,
        "ReservedCode2": "",
    }
    return {AIGC_KEY: json.dumps(mark, ensure_ascii=False, separators=(",", ":"))}


def file_metadata(producer: str, produce_id: str) -> dict[str, str]:
    """Return the tags of a recorded file: the AIGC label, and words that players show."""
    return {
        **aigc_metadata(producer, produce_id),
        "title": "AI-generated video (animated avatar)",
        "comment": f"This video is AI-generated: a photograph animated by {producer}.",
    }


def swap_metadata(producer: str, produce_id: str, rights: str) -> dict[str, str]:
    """Return the tags of a film with another face; ``rights``: by what right both are used."""
    return {
        **aigc_metadata(producer, produce_id),
        "title": "AI-generated video (face replaced)",
        "comment": f"This video is AI-generated: a face in it was replaced by {producer}. "
        f"Rights as stated by who made it: {rights}.",
    }
