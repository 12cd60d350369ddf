"""Planar impulse of two rigid bodies at one contact point, analytic."""

from __future__ import annotations

from mischance.api.kernels import kernel


@kernel
def planar_impulse(
    nx: float, ny: float, ux: float, uy: float,
    rax: float, ray: float, rbx: float, rby: float,
    inv_mass_a: float, inv_inertia_a: float, inv_mass_b: float, inv_inertia_b: float,
    restitution: float, friction: float,
) -> tuple[float, float]:  # fmt: skip
    """Return the impulse (x, y) [N s] that body b receives; a receives the opposite.

    Args:
        nx, ny: unit normal from a to b.
        ux, uy: velocity of b's contact point against a's [m/s].
        rax, ray, rbx, rby: from each centre to the contact point [m].
        inv_mass_a, inv_inertia_a, inv_mass_b, inv_inertia_b: 1 / mass and 1 / yaw inertia; 0 = cannot move.
        restitution: of the normal velocity.
        friction: Coulomb's limit of tangential / normal impulse.

    The contact sticks if Coulomb's limit allows the tangential velocity to vanish, and slides otherwise.

    Source:
        Brach, Mechanical Impact Dynamics: Rigid Body Collisions, Wiley 1991 (planar impact with friction).
    """
    tx, ty = -ny, nx
    an, at = rax * ny - ray * nx, rax * ty - ray * tx
    bn, bt = rbx * ny - rby * nx, rbx * ty - rby * tx
    masses = inv_mass_a + inv_mass_b
    knn = masses + an * an * inv_inertia_a + bn * bn * inv_inertia_b
    ktt = masses + at * at * inv_inertia_a + bt * bt * inv_inertia_b
    knt = an * at * inv_inertia_a + bn * bt * inv_inertia_b
    un, ut = ux * nx + uy * ny, ux * tx + uy * ty
    if un >= 0.0:
        return 0.0, 0.0
    goal = -(1.0 + restitution) * un
    det = knn * ktt - knt * knt
    jn = (goal * ktt + ut * knt) / det
    jt = (-ut * knn - goal * knt) / det
    if jn <= 0.0 or abs(jt) > friction * jn:
        s = 1.0 if jt >= 0.0 else -1.0
        below = knn + s * friction * knt
        # for a friction so high that the contact would wedge, Coulomb's limit is taken at the frictionless impulse
        jn = goal / below if below > 1e-3 * knn else goal / knn
        jt = s * friction * jn
    # Newton's restitution with friction can gain energy where slip reverses (Kane, Levinson 1985): the impulse is
    # then reduced to one without gain, or, if the bodies would still close in, friction is left out
    paid = jn * un + jt * ut
    spread = jn * jn * knn + 2.0 * jn * jt * knt + jt * jt * ktt
    if paid + 0.5 * spread > 0.0:
        share = -2.0 * paid / spread
        if share > 0.0 and un + share * (knn * jn + knt * jt) >= 0.0:
            jn, jt = share * jn, share * jt
        else:
            jn, jt = goal / knn, 0.0
    return jn * nx + jt * tx, jn * ny + jt * ty
