"""Rewards of other kinds, to be looked at once, when heads and planners are done: 15 tasks of the kitchen."""

import torch

from benchmarks.rewards.written import Kitchen, task

k = Kitchen(spec)
TAP = ("tap", 0.4)

TASKS = [
    # Keep hold of it.
    task(
        "open_and_hold",
        lambda o, a, n: -2 * k.reach(n, "drawer") - 3 * k.gap(n, "drawer", 0.2),
        lambda o: (k.gap(o, "drawer", 0.2) < 0.1) & (k.reach(o, "drawer") < 0.08),
    ),
    # Stay out of a region.
    task(
        "tap_from_above",
        lambda o, a, n: (
            -k.reach(n, "tap") - 3 * k.gap(n, *TAP) - 5 * (0.3 - k.hand(n)[..., 2]).clamp(min=0.0)
        ),
        k.near(*TAP),
    ),
    # Products.
    task(
        "product_of_ways",
        lambda o, a, n: -(0.2 + k.reach(n, "light_switch")) * (0.2 + 2 * k.gap(n, "light_switch", 0.5)),
        k.near("light_switch", 0.5),
    ),
    # One thing relative to another.
    task(
        "knobs_alike",
        lambda o, a, n: (
            -k.reach(n, "left_knob") - 2 * (k.position(n, "left_knob") - k.position(n, "right_knob")).abs()
        ),
        lambda o: (k.position(o, "left_knob") - k.position(o, "right_knob")).abs() < 0.15,
    ),
    # Be there, and at rest.
    task(
        "tap_and_rest",
        lambda o, a, n: (
            -k.reach(n, "tap") - 3 * k.gap(n, *TAP) - 0.5 * k.hand_speed(n) * (k.gap(n, *TAP) < 0.1)
        ),
        lambda o: (k.gap(o, *TAP) < 0.1) & (k.hand_speed(o) < 0.1),
    ),
    # Two at once, as a plain sum.
    task(
        "drawer_and_light_sum",
        lambda o, a, n: (
            -torch.minimum(
                k.reach(n, "drawer") + 2 * (k.gap(n, "drawer", 0.15) < 0.1),
                k.reach(n, "light_switch") + 2 * (k.gap(n, "light_switch", 0.4) < 0.1),
            )
            - 4 * k.gap(n, "drawer", 0.15)
            - 4 * k.gap(n, "light_switch", 0.4)
        ),
        k.all_near([("drawer", 0.15), ("light_switch", 0.4)]),
    ),
    # Only the worse of two counts.
    task(
        "worse_of_two",
        lambda o, a, n: (
            k.first_open(n, [("tap", 0.3), ("light_switch", 0.4)], cost=2.0)
            - 2 * torch.maximum(k.gap(n, "tap", 0.3), k.gap(n, "light_switch", 0.4))
        ),
        k.all_near([("tap", 0.3), ("light_switch", 0.4)]),
    ),
    # Logarithms.
    task(
        "drawer_logarithm",
        lambda o, a, n: -(0.01 + k.gap(n, "drawer", 0.2)).log() - (0.02 + k.reach(n, "drawer")).log(),
        k.near("drawer", 0.2),
    ),
    # A circle.
    task(
        "kettle_into_a_circle",
        lambda o, a, n: -k.reach(n, "kettle_x") - 5 * (k.kettle_way(n, 0.05, 0.05) - 0.03).clamp(min=0.0),
        lambda o: k.kettle_way(o, 0.05, 0.05) < 0.03,
    ),
    # A condition: only with the light on does the drawer pay.
    task(
        "drawer_by_light",
        lambda o, a, n: torch.where(
            k.position(n, "light_switch") > 0.3,
            2.0 - k.reach(n, "drawer") - 3 * k.gap(n, "drawer", 0.2),
            -k.reach(n, "light_switch")
            - 2 * (0.4 - k.position(n, "light_switch")).abs()
            - 3 * k.gap(n, "drawer", 0.2),
        ),
        lambda o: (k.position(o, "light_switch") > 0.3) & (k.gap(o, "drawer", 0.2) < 0.1),
    ),
    # A speed to keep.
    task(
        "slide_at_a_speed",
        lambda o, a, n: (
            -k.reach(n, "slide_cabinet")
            - 3 * k.gap(n, "slide_cabinet", 0.3)
            - 2 * (k.speed(n, "slide_cabinet") - 0.1).abs() * (k.gap(n, "slide_cabinet", 0.3) > 0.1)
        ),
        k.near("slide_cabinet", 0.3),
    ),
    # Slow near the handle.
    task(
        "soft_touch",
        lambda o, a, n: (
            -k.reach(n, "left_knob")
            - 3 * k.gap(n, "left_knob", 1.0)
            - 2 * (k.hand_speed(n) - 0.2).clamp(min=0.0) * (k.reach(n, "left_knob") < 0.1)
        ),
        k.near("left_knob", 1.0),
    ),
    # Large numbers, shifted, of two things.
    task(
        "two_in_millions",
        lambda o, a, n: 1e6 + 1e4 * k.first_open(n, [("left_knob", 1.0), ("tap", 0.3)], cost=3.0),
        k.all_near([("left_knob", 1.0), ("tap", 0.3)]),
    ),
    # Almost nothing but the end.
    task(
        "drawer_at_the_end",
        lambda o, a, n: (
            5.0 * (k.gap(n, "drawer", 0.2) < 0.1)
            + 0.5 * (-k.reach(n, "drawer") / 0.2).exp()
            + k.position(n, "drawer")
        ),
        k.near("drawer", 0.2),
    ),
    # An effort for each meter.
    task(
        "short_ways",
        lambda o, a, n: (
            -k.reach(n, "light_switch")
            - 3 * k.gap(n, "light_switch", 0.5)
            - 0.5 * (k.hand(n) - k.hand(o)).norm(dim=-1)
        ),
        k.near("light_switch", 0.5),
    ),
]
