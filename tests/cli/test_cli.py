"""The command line as a person and a script meet it: exit codes, one clear line, clean stdout, nothing overwritten."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from mischance.cli.commands import cli
from tests.shell import ENVIRONMENT, MISCHANCE, SMALL_CAMERA, content, mischance, refused

WANDER = Path(__file__).parents[1] / "plugins" / "wander.yaml"
VERBS = sorted(cli.commands)
SWEEP = ("sweep", WANDER, "--set", "write=[parquet]", "--runs", "3")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small finished dataset; tests that damage it work on a copy."""
    out = tmp_path_factory.mktemp("made") / "wander"
    done = mischance(*SWEEP, "--workers", "1", "--out", out)
    assert done.returncode == 0, done.stderr
    return out


def test_more_runs_extend_a_dataset_and_the_command_says_so(made: Path, tmp_path: Path) -> None:
    out = shutil.copytree(made, tmp_path / "wander")
    more = [word if word != "3" else "5" for word in map(str, SWEEP)]
    done = mischance(*more, "--workers", "1", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "tests/wander: extends 3 runs to 5\n" in done.stderr
    assert "5 of 5 runs done, 2 of them now" in done.stderr
    again = mischance(*more, "--workers", "1", "--out", out)
    assert "extends" not in again.stderr
    fewer = mischance(*SWEEP, "--workers", "1", "--out", out)
    assert fewer.returncode == 2
    assert "already holds 5 runs of this scenario; this call is for 3" in fewer.stderr


# -- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("lst",), "no verb 'lst'; did you mean 'list'?"),
        (("list", "--jsn"), "--jsn; --json"),
        (("list", "scenaros"), "'scenaros'; did you mean 'scenarios'?"),
        (("run",), "SCENARIO"),
        (("run", "nowhere.yaml"), "'nowhere.yaml'"),
        (("run", "driving/cut_inn"), "did you mean 'driving/cut_in'?"),
        (("run", "driving/cut_in:crsh"), "'crsh'; did you mean 'crash'?"),
        (("validate", "."), "is a folder"),
        (("run", "driving/cut_in", "--set", "gp=12m"), "--set gp; did you mean 'gap'?"),
        (("run", "driving/cut_in", "--set", "gap"), "PATH=VALUE"),
        (("run", "driving/cut_in", "--runs", "0"), "--runs"),
        (("run", "driving/cut_in", "--limit", "0"), "--limit"),
        (("sweep", "driving/cut_in", "--workers", "x"), "--workers"),
        (("sweep", "driving/cut_in", "--seed", "-1"), "--seed"),
        (("init", "--from", "driving/cutin", "new.yaml"), "did you mean 'driving/cut_in'?"),
        (("init", "no/such/folder/new.yaml"), "cannot write no/such/folder/new.yaml"),
        (("replay", "nowhere", "0"), "nowhere"),
        (("replay", ".", "0"), "."),
        (("replay", "nowhere", "first"), "'first'"),
        (("verify", "nowhere"), "nowhere"),
        (("verify", "."), "is no dataset"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_bad_input_is_one_clear_line(arguments: tuple[str, ...], words: str, tmp_path: Path):
    told = refused(mischance(*arguments, cwd=tmp_path))
    for word in words.split("; "):
        assert word in told
    assert not list(tmp_path.iterdir()), "a refused command leaves nothing behind"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "<stdin>:1:1: "),
        ("mischance: 1\nname: a/b\nduration: 1 lightyear\nsimulator: {kind: payments}\n", "<stdin>:3:11: duration: "),
        ("mischance: 1\nname: a/b\nduration: 1 s\nsimulator: {kind: paymnts}\n", "<stdin>:4:19: simulator.kind: "),
        ("mischance: 1\nname: a/b\nduration: 1 s\nsimulator: {kind: payments, crds: 2}\n", "<stdin>:4:29: simulator."),
    ],
)
def test_a_problem_of_a_scenario_is_one_line_with_its_place(text: str, place: str, tmp_path: Path):
    done = mischance("run", "-", "--out", "out", stdin=text, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith(place)
    if "paymnts" in text or "crds" in text:
        assert "did you mean" in done.stderr
    assert not list(tmp_path.iterdir())


def test_all_problems_come_at_once_in_the_order_of_their_places(tmp_path: Path):
    text = "mischance: 1\nname: a/b\nduration: -1 s\nsimulator: {kind: nobody}\nwrite: [paper]\nfalts: []\n"
    done = mischance("validate", "-", stdin=text, cwd=tmp_path)
    assert done.returncode == 2
    places = [tuple(map(int, line.split(":")[1:3])) for line in done.stderr.splitlines()]
    assert len(places) == 4
    assert places == sorted(places)


def test_a_scenario_comes_from_standard_input(tmp_path: Path):
    text = "mischance: 1\nname: from/stdin\nduration: 6 h\nseed: 3\n"
    text += "simulator: {kind: payments, cards: 50, merchants: 12}\n"
    done = mischance("run", "-", "--out", "out", "--no-preview", stdin=text, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "out\n"
    assert mischance("replay", "out", "0", "--strict", cwd=tmp_path).returncode == 0


# -- folders that cannot be written to --------------------------------------------------------------------------------


def test_an_output_folder_that_cannot_be_made_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("mine")
    for out in ("file", "file/below", "/proc/mischance", "/dev/null/x"):
        assert out in refused(mischance("run", WANDER, "--out", out, cwd=tmp_path))
    assert list(content(tmp_path)) == ["file"]
    assert (tmp_path / "file").read_text() == "mine"


@contextlib.contextmanager
def mounted(folder: Path, options: str):
    """Mount a small file system in memory, where the machine lets us."""
    folder.mkdir()
    tool = shutil.which("mount")
    done = tool and subprocess.run(
        [tool, "-t", "tmpfs", "-o", options, "mischance-test", folder], capture_output=True, check=False
    )
    if not done or done.returncode:
        pytest.skip("mounting a small file system needs root and its capabilities")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_folder_that_takes_no_writes_is_named(tmp_path: Path):
    with mounted(tmp_path / "fixed", "size=1m,ro") as folder:
        told = refused(mischance("run", WANDER, "--out", folder / "out"))
        assert "Read-only file system" in told


@pytest.mark.parametrize("size", ["64k", pytest.param("200k", marks=pytest.mark.slow)])
def test_a_full_folder_is_one_line_and_the_same_command_goes_on_once_there_is_room(
    size: str, made: Path, tmp_path: Path
):
    with mounted(tmp_path / "small", f"size={size}") as folder:
        told = refused(mischance(*SWEEP, "--workers", "1", "--out", folder / "out"))
        assert re.search(r"(?i)no space left|disk is full", told)
        subprocess.run(["mount", "-o", "remount,size=16m", folder], check=True)
        done = mischance(*SWEEP, "--workers", "1", "--out", folder / "out")
        assert done.returncode == 0, done.stderr
        assert (folder / "out" / "manifest.json").read_bytes() == (made / "manifest.json").read_bytes()


# -- folders that hold something else ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "payments/card_testing"),
        (*SWEEP, "--runs", "2"),
        (*SWEEP, "--seed", "12"),
        (*SWEEP, "--set", "vary.noise=0.3"),
        (*SWEEP, "--twin"),
    ],
    ids=["scenario", "runs", "seed", "value", "twin"],
)
def test_another_dataset_is_never_overwritten(arguments: tuple[str, ...], made: Path):
    before = content(made)
    told = refused(mischance(*arguments, "--out", made))
    assert "wander" in told
    if arguments[0] == "run":
        hashes = re.findall(r"\b[0-9a-f]{16}\b", told)
        assert len(set(hashes)) == 2, "both scenarios are named by their hashes"
    assert content(made) == before


def test_the_same_command_on_a_finished_dataset_changes_nothing(made: Path):
    before = content(made)
    done = mischance(*SWEEP, "--workers", "2", "--out", made)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{made}\n"
    assert "nothing was left to do" in done.stderr
    assert {name for name, now in content(made).items() if before.get(name) != now} <= {"ledger.sqlite"}


def test_a_folder_that_is_no_dataset_is_left_alone(tmp_path: Path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    before = content(tmp_path)
    assert "chapter.tex" in refused(mischance("run", WANDER, "--out", "thesis", cwd=tmp_path))
    assert content(tmp_path) == before
    refused(mischance("verify", "thesis", cwd=tmp_path))
    refused(mischance("replay", "thesis", "0", cwd=tmp_path))
    assert content(tmp_path) == before


def test_init_overwrites_nothing(tmp_path: Path):
    for arguments in (("init", "a.yaml"), ("init", "--from", "driving/cut_in", "b.yaml"), ("init", "--json", "c.yaml")):
        assert mischance(*arguments, cwd=tmp_path).returncode == 0
        before = content(tmp_path)
        assert "nothing is overwritten" in refused(mischance(*arguments, cwd=tmp_path))
        assert content(tmp_path) == before
        assert mischance("validate", arguments[-1], cwd=tmp_path).returncode == 0


# -- damaged datasets -------------------------------------------------------------------------------------------------


def test_verify_names_every_damaged_file(made: Path, tmp_path: Path):
    assert mischance("verify", made).returncode == 0
    copy = shutil.copytree(made, tmp_path / "copy")
    shard = next((copy / "truth" / "signal").glob("*.parquet"))
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(bytes(data))
    (copy / "README.md").unlink()
    (copy / "events" / "extra.parquet").write_bytes(b"")
    done = mischance("verify", copy)
    assert "3 files" in refused(done, 1)
    named = {line.partition(":")[0] for line in done.stdout.splitlines()}
    assert named == {str(shard.relative_to(copy)), "README.md", "events/extra.parquet"}


@pytest.mark.parametrize("text", ["", "[]", "{}", "not json", '{"files": 3}'])
def test_a_manifest_that_cannot_be_read_is_one_line(text: str, made: Path, tmp_path: Path):
    copy = shutil.copytree(made, tmp_path / "copy")
    (copy / "manifest.json").write_text(text)
    done = mischance("verify", copy)
    assert done.returncode in (1, 2)
    refused(done, done.returncode)


def test_a_run_that_is_not_there(made: Path):
    assert "0 to 2" in refused(mischance("replay", made, "3"))
    assert "-1" in refused(mischance("replay", made, "--", "-1"))


# -- data on stdout, talk on stderr -----------------------------------------------------------------------------------


def test_every_verb_takes_json():
    without = [verb for verb in VERBS if not any("--json" in option.opts for option in cli.commands[verb].params)]
    assert not without


def test_json_is_one_document_whatever_comes_of_it(made: Path, tmp_path: Path):
    broken = shutil.copytree(made, tmp_path / "broken")
    (broken / "README.md").write_text("other")
    (tmp_path / "bad.yaml").write_text("mischance: 1\nduration: 1 parsec\n")
    cases = {
        ("list",): 0,
        ("list", "nothing"): 2,
        ("init", "new.yaml"): 0,
        ("init", "bad.yaml"): 2,
        ("validate", str(WANDER)): 0,
        ("validate", "bad.yaml"): 2,
        ("run", str(WANDER), "--out", "ran"): 0,
        ("run", str(WANDER), "--out", "planned", "--dry-run"): 0,
        ("run", "nobody"): 2,
        ("sweep", str(WANDER), "--runs", "2", "--workers", "1", "--out", "swept"): 0,
        ("sweep", str(WANDER), "--runs", "many"): 2,
        ("sweep", str(WANDER), "--runs", "2", "--workers", "1", "--seed", "99", "--out", "other"): 0,
        ("merge", "swept", "other", "--out", "merged"): 0,
        ("merge", "swept", "other", "--out", "swept"): 2,
        ("merge", "swept", "nowhere", "--out", "both"): 2,
        ("merge", "swept", "--out", "alone"): 2,
        ("export", "swept", "--format", "yolo", "--out", "boxes"): 2,
        ("export", "swept", "--format", "yolo", "--out", "boxes", "--set", "sensors"): 2,
        ("test", str(WANDER), "--runs", "1", "--reference", "", "--set", "require={ok: always x < 1 kV}"): 0,
        ("test", "nobody"): 2,
        ("replay", str(made), "1"): 0,
        ("replay", str(made), "9"): 2,
        ("show", "sensor", "imu"): 0,
        ("show", "sensor", "nobody"): 2,
        ("check", str(WANDER), "--runs", "1", "--draws", "5"): 0,
        ("check", "nobody"): 2,
        ("reproduce", str(made), "--workers", "1"): 0,
        ("reproduce", "nowhere"): 2,
        ("verify", str(made)): 0,
        ("verify", "broken"): 1,
        ("verify", "nowhere"): 2,
        ("schema",): 0,
        ("schema", "extra"): 2,
        ("doctor",): 0,
        ("doctor", "please"): 2,
        ("nonsense",): 2,
    }
    assert {case[0] for case in cases} == {*VERBS, "nonsense"}, "every verb is here"
    for case, code in cases.items():
        done = mischance(*case, "--json", cwd=tmp_path)
        document = json.loads(done.stdout)
        if done.returncode == 1 and case[0] == "doctor":
            continue  # what is installed is not this test's matter
        assert done.returncode == code, (case, done.stderr)
        if code == 0:
            assert done.stderr == "", case
        elif code == 2:
            assert document["exit_code"] == 2
            assert document["error"]
    assert not (tmp_path / "planned").exists()


def test_engines_are_silent(tmp_path: Path):
    done = mischance("run", "driving/cut_in", *SMALL_CAMERA, "--set", "duration=1", "--out", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "out\n"
    assert "build time" not in done.stderr
    told = mischance("doctor", cwd=tmp_path)
    assert "build time" not in told.stdout + told.stderr


def test_quiet_says_nothing_but_results(tmp_path: Path):
    done = mischance("--quiet", "run", WANDER, "--out", "out", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "out\n", "")
    refused(mischance("--quiet", "run", WANDER, "--seed", "5", "--out", "out", cwd=tmp_path))


def test_dry_run_says_what_it_would_take_and_makes_nothing(tmp_path: Path):
    done = mischance("sweep", WANDER, "--runs", "1000", "--workers", "2", "--dry-run", "--out", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1000 runs" in done.stdout
    assert "MB" in done.stdout
    assert not list(tmp_path.iterdir())


def test_version_and_help():
    import mischance as package

    assert package.__version__ in mischance("--version").stdout
    shown = mischance("--help").stdout
    assert all(re.search(rf"^  {verb} ", shown, re.MULTILINE) for verb in VERBS)
    for verb in VERBS:
        assert mischance(verb, "--help").stdout.startswith("Usage: ")


def on_a_terminal(*arguments: str | Path, env: dict[str, str]) -> bytes:
    """Return everything a command shows where stdout and stderr are a terminal."""
    main, side = pty.openpty()
    process = subprocess.Popen(
        [*MISCHANCE, *map(str, arguments)], stdin=side, stdout=side, stderr=side, env=env, close_fds=True
    )
    os.close(side)
    shown = b""
    with contextlib.suppress(OSError):  # Linux answers EIO when the last writer is gone
        while piece := os.read(main, 65536):
            shown += piece
    os.close(main)
    assert process.wait(60) == 0, shown
    return shown


def test_no_color_and_its_options(tmp_path: Path):
    plain = {key: value for key, value in ENVIRONMENT.items() if key != "NO_COLOR"} | {"TERM": "xterm"}
    assert b"\x1b[1m" in on_a_terminal("list", env=plain)
    assert b"\x1b" not in on_a_terminal("list", env={**plain, "NO_COLOR": "1"})
    assert b"\x1b" not in on_a_terminal("--no-color", "list", env=plain)
    assert b"\x1b[1m" in on_a_terminal("--color", "list", env={**plain, "NO_COLOR": "1"})
    shown = on_a_terminal("run", WANDER, "--out", tmp_path / "out", env={**plain, "NO_COLOR": "1"})
    assert not re.search(rb"\x1b\[[0-9;]*m", shown), "a live line may move the cursor, but it has no colours"


@pytest.mark.parametrize(
    "verb", ["schema", *(pytest.param(verb, marks=pytest.mark.slow) for verb in ("list", "doctor"))]
)
def test_a_reader_that_goes_away_is_met_in_silence(verb: str):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*MISCHANCE, verb], stdout=write, stderr=subprocess.PIPE, env=ENVIRONMENT, check=False, timeout=120
    )
    os.close(write)
    assert done.stderr == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_stdout_is_said():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*MISCHANCE, "list"], stdout=full, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT, check=False
        )
    assert done.returncode == 1
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


# -- Ctrl-C -----------------------------------------------------------------------------------------------------------

SLOW = '''
"""Adds nothing but time to the wandering signal: a slow world for a test that interrupts it."""
import time
from pathlib import Path
from drift import Drift


class Slow(Drift):
    batch = 1

    def start(self, draws, streams):
        Path(self.settings.seen).touch()
        time.sleep(0.15)
        return super().start(draws, streams)

    class Settings(Drift.Settings):
        seen: str
'''


def test_ctrl_c_once_keeps_what_is_done_and_the_same_command_goes_on(tmp_path: Path):
    (tmp_path / "slow.py").write_text(SLOW)
    path = {"PYTHONPATH": str(WANDER.parent)}
    world = f'simulator={{kind: "{tmp_path}/slow.py:Slow", seen: "{tmp_path}/seen"}}'
    arguments = ["sweep", str(WANDER), "--set", world, "--set", "duration=0.5", "--runs", "40", "--workers", "2"]
    process = subprocess.Popen(
        [*MISCHANCE, *arguments, "--out", "out"], cwd=tmp_path, env={**ENVIRONMENT, **path}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not (tmp_path / "seen").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.4)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: everybody in the group gets it
    stdout, stderr = process.communicate(timeout=60)
    told = refused(subprocess.CompletedProcess([], process.returncode, stdout, stderr), 130)
    assert re.search(r"after \d+ of 40 runs", told)
    assert "mischance sweep" in told
    assert stdout == ""
    assert not (tmp_path / "out" / "manifest.json").exists()
    again = mischance(*arguments, "--out", "out", cwd=tmp_path, env=path)
    assert again.returncode == 0, again.stderr
    kept = re.search(r"40 of 40 runs done, (\d+) of them now", again.stderr)
    assert kept, again.stderr
    assert 0 < int(kept[1]) < 40, "some were done before, some now"
    assert mischance("verify", "out", cwd=tmp_path).returncode == 0


# -- the two big ones -------------------------------------------------------------------------------------------------


def same_whatever_the_workers(tmp_path: Path, scenario: str, runs: int, replayed: int, *options: str) -> None:
    for workers, out in (("2", "A"), ("1", "B")):
        call = ("sweep", scenario, *options, "--runs", str(runs), "--workers", workers, "--out", out)
        done = mischance(*call, cwd=tmp_path, timeout=1500)
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"{out}\n"
        assert mischance("verify", out, cwd=tmp_path).returncode == 0
    assert (tmp_path / "A" / "manifest.json").read_bytes() == (tmp_path / "B" / "manifest.json").read_bytes()
    files = content(tmp_path / "A")
    del files["ledger.sqlite"]
    assert {name: content(tmp_path / "B").get(name) for name in files} == files
    again = mischance("replay", "A", str(replayed), "--strict", "--json", cwd=tmp_path)
    assert json.loads(again.stdout)["verdict"] == "identical", again.stdout
    assert again.returncode == 0


def test_a_drive_is_the_same_whatever_the_workers(tmp_path: Path):
    same_whatever_the_workers(tmp_path, "driving/cut_in", 5, 4, *SMALL_CAMERA, "--set", "duration=1")


@pytest.mark.slow
def test_payments_are_the_same_whatever_the_workers(tmp_path: Path):
    same_whatever_the_workers(tmp_path, "payments/card_testing", 6, 5, "--set", "duration=1 d")


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("scenario", ["driving/cut_in", "payments/card_testing"])
def test_forty_runs_are_the_same_whatever_the_workers(scenario: str, tmp_path: Path):
    same_whatever_the_workers(tmp_path, scenario, 40, 17)
