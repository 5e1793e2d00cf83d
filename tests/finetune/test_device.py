"""What a run says when the GPU is gone that it was begun on."""

import json

import pytest

from kb.errors import KBError
from kb.finetune import device
from kb.finetune.device import check_still_there


@pytest.fixture
def begun(tmp_path):
    """A function that makes the folder of a run that was begun on a device."""

    def make(name):
        (tmp_path / "config.json").write_text(json.dumps({"seed": 0} | ({"device": name} if name else {})))
        return tmp_path

    return make


def test_a_run_does_not_go_on_by_the_cpu_unasked(begun, monkeypatch):
    """One line with the way on, exit code 1; with the GPU hidden on purpose it goes on."""
    monkeypatch.setattr(device, "device_name", lambda: "cpu")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with pytest.raises(
        KBError, match=r"begun on RTX 4090.*no GPU here now; what was trained is kept.*kb doctor"
    ) as told:
        check_still_there(begun("RTX 4090"))
    assert told.value.exit_code == 1 and "\n" not in str(told.value)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    check_still_there(begun("RTX 4090"))


@pytest.mark.parametrize(("first", "now"), [("", "cpu"), ("cpu", "cpu"), ("cpu", "RTX 4090"), ("RTX 4090", "A100")])
def test_any_other_change_is_no_reason_to_stop(begun, monkeypatch, first, now):
    """A run of before it was noted, one on the CPU, and another GPU; a run that is not begun."""
    monkeypatch.setattr(device, "device_name", lambda: now)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    check_still_there(begun(first))
    check_still_there(begun(first) / "new")
