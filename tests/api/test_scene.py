"""Meshes and materials: what is refused, and what a shape without a material looks like."""

from __future__ import annotations

import numpy as np
import pytest

from mischance.api.scene import Material, Mesh, Shape
from mischance.errors import TruthError

CORNERS = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
SIDES = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])


def test_a_closed_mesh_seen_from_outside_has_a_positive_volume():
    """The divergence theorem: a sum over outward triangles gives the volume; a tetrahedron's is 1/6."""
    mesh = Mesh(CORNERS, SIDES)
    a, b, c = (mesh.vertices[mesh.triangles[:, i]] for i in range(3))
    assert np.einsum("ij,ij->", a, np.cross(b, c)) / 6 == pytest.approx(1 / 6)


@pytest.mark.parametrize(
    "broken",
    [
        {"vertices": CORNERS[:, :2], "triangles": SIDES},
        {"vertices": CORNERS, "triangles": SIDES[:, :2]},
        {"vertices": CORNERS, "triangles": SIDES + 1},
        {"vertices": CORNERS, "triangles": SIDES - 1},
        {"vertices": CORNERS, "triangles": SIDES, "normals": CORNERS[:3]},
        {"vertices": CORNERS, "triangles": SIDES, "uv": CORNERS},
    ],
    ids=["flat vertices", "edges", "index too high", "index below zero", "too few normals", "uv of three"],
)
def test_a_mesh_that_cannot_be_drawn_is_refused(broken: dict[str, np.ndarray]):
    with pytest.raises(TruthError):
        Mesh(**broken)


def test_a_shape_without_a_material_is_matt_and_of_its_colour():
    assert Shape("box", (1, 1, 1), color=(0.1, 0.2, 0.3)).surface == Material((0.1, 0.2, 0.3))
    steel = Material((0.5, 0.5, 0.5), roughness=0.3, metallic=1.0)
    assert Shape("box", (1, 1, 1), material=steel).surface is steel
