"""External systems under test: a function, a program in shell and awk, and programs that die or hang."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from mischance.errors import MischanceError
from mischance.language.loading import load
from mischance.play.player import play
from mischance.play.sampling import draw
from mischance.sweep.suite import run_suite
from tests.support import PLUGINS, digests, rows_of

needs_awk = pytest.mark.skipif(shutil.which("awk") is None, reason="awk is not installed")

DRIVER = """\
#!/bin/sh
# Answers every frame; brakes at 8 m/s2 from the 20th on. An awk for each line, since mawk reads ahead in a pipe.
while read -r line; do
    printf '%s\\n' "$line" | awk '
    match($0, /"frame":[0-9]+/) {
        frame = substr($0, RSTART + 8, RLENGTH - 8) + 0
        printf "{\\"frame\\": %d, \\"commands\\": {\\"acceleration\\": %g}}\\n", frame, (frame >= 20 ? -8 : 0)
    }'
done
"""


def executable(path: Path, text: str) -> Path:
    path.write_text(textwrap.dedent(text))
    path.chmod(0o755)
    return path


def drive(command: list[str], **settings: str):
    words = ", ".join(f'"{word}"' for word in command)
    extra = "".join(f", {key}: {value}" for key, value in settings.items())
    scenario = load(
        "driving/cut_in",
        {
            "agent": f"{{kind: program, command: [{words}]{extra}}}",
            "sensors": "{}", "faults": "[]", "duration": "3 s",
            "vary.gap": "40 m", "vary.closing": "0 m/s", "vary.ego_speed": "25 m/s", "vary.friction": "0.8",
        },
    )  # fmt: skip
    return list(play(scenario, draw(scenario, [0])))


def ego_speed(records):
    rows = rows_of(records[:-1], "truth/actors")
    codes = records[0].tables["truth/actors"].schema["actor"].names.index("ego")
    own = rows["actor"] == codes
    return rows["t"][own], rows["speed"][own]


def outcome(records):
    last = records[-1].tables
    return last["runs"].run(0), last["labels"].run(0)


def test_a_plain_function_closes_the_loop_one_run_at_a_time(tmp_path):
    (tmp_path / "push.py").write_text(
        "def push(observation, t):\n"
        "    return {'push': -2.0 * observation['meter']['volt'][-1]} if len(observation['meter']['volt']) else None\n"
        "push.reads = ('meter',)\n"
        "push.rate = 30.0\n"
    )
    ours = load(PLUGINS / "wander.yaml")
    theirs = load(PLUGINS / "wander.yaml", {"agent": f'{{kind: "{tmp_path / "push.py"}:push"}}'})
    # the class in the tests' plug-ins says the same in columns: the bytes are the same
    draws = draw(ours, np.arange(5))
    assert digests(ours, draws) == digests(theirs, draw(theirs, np.arange(5)))


def test_a_function_that_says_nonsense_is_told_what_the_world_takes(tmp_path):
    (tmp_path / "bad.py").write_text("def bad(observation, t):\n    return {'brake': 1.0}\n")
    scenario = load(PLUGINS / "wander.yaml", {"agent": f'{{kind: "{tmp_path / "bad.py"}:bad"}}'})
    with pytest.raises(MischanceError, match="'brake'") as error:
        list(play(scenario, draw(scenario, [3])))
    assert "run 3" in str(error.value)
    assert "push" in error.value.hint


@needs_awk
def test_a_program_in_shell_and_awk_drives_a_run(tmp_path):
    records = drive([str(executable(tmp_path / "driver.sh", DRIVER))])
    runs, labels = outcome(records)
    assert runs["verdict"][0] == "no contact"
    assert not len(labels["class"])
    t, speed = ego_speed(records)
    before, after = speed[t <= 1.0], speed[t >= 2.9]
    np.testing.assert_allclose(before, 25.0, atol=0.5)
    # 0.8 g is 7.85 m/s2: less than it asks for, build-up included
    assert 25.0 - 8.0 * 2.0 < after[-1] < 25.0 - 7.0 * 1.2


@needs_awk
def test_the_same_program_drives_the_same_run_bit_for_bit(tmp_path):
    path = str(executable(tmp_path / "driver.sh", DRIVER))
    one, other = drive([path]), drive([path])
    a, b = rows_of(one[:-1], "truth/actors"), rows_of(other[:-1], "truth/actors")
    assert all(np.array_equal(a[name], b[name], equal_nan=a[name].dtype.kind == "f") for name in a)


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        ('read a; read b; echo \'{"frame": 0, "commands": null}\'; read c; kill -9 $$', "ended", "-9"),
        ("read a; exit 3", "ended", "code 3"),
        ("read a; while read b; do sleep 60; done", "timeout", "within 0.5 s"),
        ("while read a; do echo hello; done", "nonsense", "hello"),
        ("read a; while read b; do echo '{\"frame\": 77}'; done", "nonsense", "77"),
    ],
)
def test_a_program_that_dies_hangs_or_babbles_yields_a_labelled_outcome(tmp_path, body, kind, words):
    path = executable(tmp_path / "bad.sh", f"#!/bin/sh\n{body}\n")
    records = drive([str(path)], deadline="0.5 s")
    runs, labels = outcome(records)
    assert runs["verdict"][0] == f"agent {kind}"
    assert words in runs["reason"][0]
    assert list(labels["class"]) == [f"fault/agent/{kind}"]
    t, _ = ego_speed(records)
    assert t[-1] == 3.0  # the world goes on


def test_a_program_that_cannot_be_started_is_an_error_before_any_run(tmp_path):
    text = tmp_path / "text.sh"
    text.write_text("#!/bin/sh\n")
    with pytest.raises(MischanceError, match="is not there"):
        drive([str(tmp_path / "nobody")])
    with pytest.raises(MischanceError, match="may not be executed") as error:
        drive([str(text)])
    assert "chmod +x" in error.value.hint
    with pytest.raises(MischanceError, match="what runs it"):
        drive([str(executable(text, "while read a; do echo; done\n"))])


def test_a_suite_stops_at_once_where_the_program_is_not_there(tmp_path):
    agent = f"{{kind: program, command: [{tmp_path / 'nobody'}]}}"
    with pytest.raises(MischanceError, match="is not there"):
        run_suite(["driving/cut_in", "driving/cut_in:critical"], tmp_path / "out", agent=agent, runs=1)
    assert not (tmp_path / "out").exists()


def test_length_prefixed_messages_work_too(tmp_path):
    program = executable(
        tmp_path / "length.py",
        f"""\
        #!{sys.executable}
        import json, sys
        inp, out = sys.stdin.buffer, sys.stdout.buffer
        while head := inp.read(4):
            said = json.loads(inp.read(int.from_bytes(head, "big")))
            if said["type"] == "observe":
                actors = said["observation"]["truth"]["actors"]
                data = json.dumps({{"frame": said["frame"], "commands": [{{"actor": actors["actor"][0], "acceleration": -1.0}}]}}).encode()
                out.write(len(data).to_bytes(4, "big") + data)
                out.flush()
        """,  # noqa: E501
    )
    records = drive([str(program)], framing="length")
    _, speed = ego_speed(records)
    assert outcome(records)[0]["verdict"][0] == "no contact"
    assert 25.0 - 3.0 - 0.1 < speed[-1] < 25.0 - 2.0


@needs_awk
def test_no_process_is_left_behind(tmp_path):
    path = executable(tmp_path / "driver.sh", DRIVER)
    drive([str(path)])
    left = [pid for pid in os.listdir("/proc") if pid.isdigit() and str(path).encode() in _command_line(pid)]
    assert not left


def _command_line(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
