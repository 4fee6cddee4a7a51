from avatar.core.counting import counted


def test_one_is_no_plural() -> None:
    assert [counted(k, "frame") for k in (0, 1, 2)] == ["0 frames", "1 frame", "2 frames"]
