"""``avatar run``: the live session on the command line."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from avatar.core.addresses import shown_spec
from avatar.core.counting import counted
from avatar.core.home import Home
from avatar.core.machine import ended_by_signals
from avatar.core.observe import predicted_summary, summarise
from avatar.core.options import Options
from avatar.core.outputs import check_output, write_json
from avatar.core.terminal import say
from avatar.core.terminal_keys import TerminalKeys, is_typed_to
from avatar.measure.process import age_s
from avatar.sessions.live import LiveSession
from avatar.sessions.sound import sound_summary
from avatar.stages.sinks import file_of

_ACTING = (
    "S smile · U surprise · W wink · A laugh · Y shy · E sad · G angry · Z sleepy · H hold · V play"
)


def run(config: Options, home: Home) -> int:
    """Run until the user ends it; print a summary; return the exit status."""
    if config.stats is not None:
        others = [path for path in map(file_of, config.out) if path is not None]
        check_output(
            config.stats, "--stats", force=config.force, others=[*others, Path(config.camera)]
        )
    session = LiveSession(config, say, home=home)
    with ended_by_signals(session.stop), TerminalKeys(session.press):
        try:
            session.run(begun=lambda: _announce(config))
        finally:
            # What never began has nothing to report but its error.
            if session.first_frame_ns is not None:
                _report(session, config.stats)
    if session.lost_outputs:
        say(f"lost, and not back at the end: {', '.join(session.lost_outputs)}")
        return 1
    return 0


def _announce(config: Options) -> None:
    """Say what runs, once nothing can keep it from running any more."""
    moved_by = "no camera" if config.drive == "audio" else shown_spec(config.camera)
    outputs = ", ".join(map(shown_spec, config.out))
    say(f"avatar {', '.join(config.avatar)} from {moved_by} to {outputs}")
    if "preview" in config.out:
        say(
            "keys: 1–9 N P avatar · X reference · R search · M mirror · O other person · "
            "+ − arrows view · F overlay · L label · Q quit"
        )
        say(_ACTING)
    elif is_typed_to():
        say(f"keys in this terminal: {_ACTING}; Q or Ctrl-C ends")
    else:
        say("Ctrl-C ends")


def _report(session: LiveSession, path: Path | None) -> None:
    summary = {"first_frame_s": _first_frame_s(session), **summarise(session.recorder)}
    if session.sound is not None:
        summary["sound"] = asdict(session.sound.report)
    for sink, values in summary["sinks"].items():
        latency = values["latency"]
        losses = summary["counts"].get(f"failed.{sink}", 0)
        lost = f"; lost {counted(losses, 'time')}" if losses else ""
        if values["delivery"]["frames"]:
            say(
                f"{sink}: {counted(values['delivery']['frames'], 'frame')}, "
                f"{values['delivery']['fps']:.1f} fps, latency {latency['p50_ms']:.0f} ms "
                f"(95 %: {latency['p95_ms']:.0f} ms){lost}"
            )
    if session.sound is not None:
        say(sound_summary(session.sound.report))
    predicted = predicted_summary(summary["counts"])
    if predicted:
        say(predicted)
    captured = counted(summary["counts"].get("captured", 0), "frame")
    say(f"dropped {summary['dropped_share']:.1%} of {captured}")
    say(f"first frame {summary['first_frame_s']:.1f} s after the start of the program")
    if path is not None:
        write_json(path, summary)


def _first_frame_s(session: LiveSession) -> float:
    """Return the seconds from the start of the process to the end of the first delivery."""
    first_ns = session.first_frame_ns
    assert first_ns is not None
    return age_s() - (session.clock.now_ns() - first_ns) / 1e9
