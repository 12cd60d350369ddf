"""A cause is somebody in the chain: who moved into whose path, who was followed, who uncovered what stood behind.

Each story is told twice, with the candidate's manoeuvre and without it: where the contact goes away with it, it is the
cause; where the contact stays, it is not, whatever it did last.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
import yaml

from mischance.language.loading import load
from mischance.play.player import play
from mischance.play.sampling import draw


def actor(speed, lane=1, gap=None, move=None, **more):
    """Return an actor; `move`: kind, time and what else its only manoeuvre says."""
    found = {"speed": f"{speed} m/s", "lane": lane, **more}
    if gap is not None:
        found["gap"] = f"{gap} m"
    if move is not None:
        found["behaviour"] = [{"kind": move[0], "at": f"{move[1]} s", **(move[2] if len(move) > 2 else {})}]
    return found


def person(station):
    """Return somebody who begins to cross at 1 s."""
    return actor(0, 3, move=("cross", 1), body="pedestrian", offset="4 m", station=f"{station} m")


TRUCK = actor(10, gap=-20, body="truck")
EGO, REST = actor(20, 2), actor(0)


def wall(gap, lane=2):
    return actor(0, lane, gap, body="debris")


AWAY = {"to": 1, "takes": "2 s"}
FROM_BEHIND, IN_THE_WAY = "truck ran into ego from behind", "wall stood in the way"
STORIES = {  # actors; who is the cause, or ''; how the reason begins
    "a bystander far away": ({"ego": REST, "truck": TRUCK, "far": person(900)}, "", FROM_BEHIND),
    "a bystander near a standing ego": ({"ego": REST, "truck": TRUCK, "near": person(60)}, "", FROM_BEHIND),
    "a bystander behind": ({"ego": EGO, "wall": wall(90), "late": person(1)}, "", IN_THE_WAY),
    "a lane change far ahead": (
        {"ego": EGO, "wall": wall(60), "other": actor(20, 1, 300, ("change_lane", 1, {"to": 2}))},
        "",
        IN_THE_WAY,
    ),
    "a lane change beyond the obstacle": (
        {"ego": EGO, "wall": wall(40), "other": actor(20, 2, 60, ("change_lane", 0.5, AWAY))},
        "",
        IN_THE_WAY,
    ),
    "the cover drives away": (
        {"ego": EGO, "wall": wall(90), "cover": actor(20, 2, 20, ("change_lane", 1, AWAY))},
        "cover",
        "cover changed to lane 1",
    ),
    "a follower brakes behind a braking car": (
        {
            "ego": EGO,
            "first": actor(20, 2, 45, ("brake", 1, {"deceleration": 9})),
            "second": actor(20, 2, 18, ("follow", 0)),
            "aside": actor(20, 3, -5, ("brake", 1.5, {"deceleration": 3})),
        },
        "second",
        "second braked hard",
    ),
    "a fault of a bystander": ({"ego": REST, "truck": TRUCK, "far": actor(20, 3, 300)}, "", FROM_BEHIND),
}


def told(actors, faults=()):
    """Return the row of the run and its contacts and other events."""
    road = {"kind": "road", "motion": False, "road": {"lanes": 3}, "actors": actors}
    tree = {
        "mischance": 1, "name": "story", "seed": 1, "duration": "8 s", "simulator": road, "faults": list(faults),
        "event": {"name": "collision", "when": "ego.contacts > 0"},
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "story.yaml"
        path.write_text(yaml.safe_dump(tree))
        scenario = load(path)
    records = list(play(scenario, draw(scenario, [0])))
    rows = [
        row
        for r in records[:-1]
        for row in zip(
            *(r.tables["events"].run(0)[k] for k in ("event_id", "parent_id", "kind", "subject")), strict=True
        )
    ]
    return records[-1].tables["runs"].run(0), rows, records[-1].tables["labels"].run(0)


@pytest.mark.parametrize("story", STORIES)
def test_the_cause_is_who_moved_into_whose_path(story):
    actors, who, said = STORIES[story]
    faults = [{"target": "far.brakes", "kind": "fade", "at": "1 s", "severity": 1}] if "fault" in story else []
    run, events, labels = told(actors, faults)
    assert run["event"][0]
    assert run["reason"][0].startswith(f"collision: {said}"), run["reason"][0]
    assert "fade" not in run["reason"][0], "a fault of a bystander"
    subjects = {event: subject for event, _, _, subject in events}
    parents = [parent for _, parent, kind, _ in events if kind == "contact"]
    assert [subjects.get(parent, "") for parent in parents[:1]] == [who]
    causes = [json.loads(c) for c, path in zip(labels["causes"], labels["class"], strict=True) if "collision" in path]
    assert [subjects[cause] for cause in causes[0][1:]] == ([who] if who else [])


def test_hard_braking_behind_somebody_leads_back_to_who_was_followed():
    actors, _, _ = STORIES["a follower brakes behind a braking car"]
    _, events, _ = told(actors)
    subjects = {event: (kind, subject) for event, _, kind, subject in events}
    parent = next(parent for _, parent, kind, subject in events if (kind, subject) == ("hard_braking", "second"))
    assert subjects[parent] in {("brake_start", "first"), ("hard_braking", "first")}
