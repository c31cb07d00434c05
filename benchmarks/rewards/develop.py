"""Rewards as users write them, to develop reward heads and planners on: 25 tasks of the kitchen, of twelve kinds."""

import torch

from benchmarks.rewards.written import Kitchen, task

k = Kitchen(spec)

TASKS = [
    # Unusual targets.
    task(
        "drawer_third",
        lambda o, a, n: -k.reach(n, "drawer") - 3 * k.gap(n, "drawer", 0.1),
        k.near("drawer", 0.1),
    ),
    task(
        "knob_high",
        lambda o, a, n: -k.reach(n, "left_knob") - 3 * k.gap(n, "left_knob", 1.2),
        k.near("left_knob", 1.2),
    ),
    # Other shapes of the same goal: quadratic, exponential, without a bonus.
    task(
        "tap_square",
        lambda o, a, n: -k.reach(n, "tap") - 20 * k.gap(n, "tap", 0.4).square(),
        k.near("tap", 0.4),
    ),
    task(
        "light_exponential",
        lambda o, a, n: (
            (-k.reach(n, "light_switch") / 0.1).exp() + 4 * (-k.gap(n, "light_switch", 0.5) / 0.2).exp()
        ),
        k.near("light_switch", 0.5),
    ),
    # Other units.
    task(
        "drawer_in_thousands",
        lambda o, a, n: 1000 * (-k.reach(n, "drawer") - 3 * k.gap(n, "drawer", 0.2)) - 5000,
        k.near("drawer", 0.2),
    ),
    task(
        "tap_in_thousandths",
        lambda o, a, n: 0.001 * (-k.reach(n, "tap") - 3 * k.gap(n, "tap", 0.5)) + 7,
        k.near("tap", 0.5),
    ),
    # Progress instead of position.
    task(
        "drawer_progress",
        lambda o, a, n: (
            k.reach(o, "drawer")
            - k.reach(n, "drawer")
            + 10 * (k.gap(o, "drawer", 0.2) - k.gap(n, "drawer", 0.2))
        ),
        k.near("drawer", 0.2),
    ),
    task(
        "slide_progress",
        lambda o, a, n: (
            5 * (k.reach(o, "slide_cabinet") - k.reach(n, "slide_cabinet"))
            + 50 * (k.gap(o, "slide_cabinet", 0.2) - k.gap(n, "slide_cabinet", 0.2))
        ),
        k.near("slide_cabinet", 0.2),
    ),
    # Costs of actions.
    task(
        "tap_frugal",
        lambda o, a, n: -k.reach(n, "tap") - 3 * k.gap(n, "tap", 0.4) - 0.05 * a.square().sum(dim=-1),
        k.near("tap", 0.4),
    ),
    task(
        "light_frugal",
        lambda o, a, n: (
            -k.reach(n, "light_switch") - 3 * k.gap(n, "light_switch", 0.2) - 0.02 * a.abs().sum(dim=-1)
        ),
        k.near("light_switch", 0.2),
    ),
    # Speed limits and rest.
    task(
        "drawer_slow",
        lambda o, a, n: (
            -k.reach(n, "drawer") - 10 * k.way(n, "drawer", 0.2) - 20 * k.beyond(n, "drawer", 0.06)
        ),
        lambda o: (k.way(o, "drawer", 0.2) < 0.02) & (k.speed(o, "drawer") < 0.06),
    ),
    task(
        "knob_slow",
        lambda o, a, n: (
            -k.reach(n, "left_knob") - 3 * k.gap(n, "left_knob", 1.0) - 2 * k.beyond(n, "left_knob", 0.5)
        ),
        lambda o: (k.gap(o, "left_knob", 1.0) < 0.1) & (k.speed(o, "left_knob") < 0.5),
    ),
    # Two things at once, written as sums and switches.
    task(
        "drawer_then_light",
        lambda o, a, n: k.first_open(n, [("drawer", 0.1), ("light_switch", 0.4)], cost=3.0),
        k.all_near([("drawer", 0.1), ("light_switch", 0.4)]),
    ),
    task(
        "tap_then_knob",
        lambda o, a, n: k.first_open(n, [("tap", 0.3), ("left_knob", 1.0)], cost=3.0),
        k.all_near([("tap", 0.3), ("left_knob", 1.0)]),
    ),
    task(
        "three_in_order",
        lambda o, a, n: k.first_open(n, [("light_switch", 0.4), ("tap", 0.3), ("drawer", 0.15)], cost=3.0),
        k.all_near([("light_switch", 0.4), ("tap", 0.3), ("drawer", 0.15)]),
    ),
    # Where the hand is while something is moved, or after it.
    task(
        "open_and_retreat",
        lambda o, a, n: torch.where(
            k.gap(n, "drawer", 0.2) < 0.1,
            1.0 + k.reach(n, "drawer").clamp(max=0.4),
            -k.reach(n, "drawer") - 3 * k.gap(n, "drawer", 0.2),
        ),
        lambda o: (k.gap(o, "drawer", 0.2) < 0.1) & (k.reach(o, "drawer") > 0.25),
    ),
    task(
        "tap_then_touch_kettle",
        lambda o, a, n: torch.where(
            k.gap(n, "tap", 0.4) < 0.1,
            3.0 - k.reach(n, "kettle_x"),
            -k.reach(n, "tap") - 3 * k.gap(n, "tap", 0.4),
        ),
        lambda o: (k.gap(o, "tap", 0.4) < 0.1) & (k.reach(o, "kettle_x") < 0.08),
    ),
    # Regions of the hand.
    task("hover_high", lambda o, a, n: k.hand(n)[..., 2], lambda o: k.hand(o)[..., 2] > k.high(2) - 0.1),
    task(
        "hand_on_a_line",
        lambda o, a, n: -k.hand(n)[..., 0].abs() - (k.hand(n)[..., 2] - k.middle(2)).abs(),
        lambda o: (k.hand(o)[..., 0].abs() < 0.04) & ((k.hand(o)[..., 2] - k.middle(2)).abs() < 0.04),
    ),
    # Either of two.
    task(
        "tap_or_light",
        lambda o, a, n: torch.maximum(
            -k.reach(n, "tap") - 3 * k.gap(n, "tap", 0.4),
            -k.reach(n, "light_switch") - 3 * k.gap(n, "light_switch", 0.5),
        ),
        lambda o: (k.gap(o, "tap", 0.4) < 0.1) | (k.gap(o, "light_switch", 0.5) < 0.1),
    ),
    task(
        "either_end",
        lambda o, a, n: (
            -k.reach(n, "slide_cabinet")
            - 3 * torch.minimum(k.gap(n, "slide_cabinet", 0.05), k.gap(n, "slide_cabinet", 0.3))
        ),
        lambda o: torch.minimum(k.gap(o, "slide_cabinet", 0.05), k.gap(o, "slide_cabinet", 0.3)) < 0.05,
    ),
    # Something stays as it is.
    task(
        "slide_gently",
        lambda o, a, n: (
            -k.reach(n, "slide_cabinet")
            - 3 * k.gap(n, "slide_cabinet", 0.2)
            - 2 * k.speed(n, "hinge_cabinet")
        ),
        k.near("slide_cabinet", 0.2),
    ),
    task(
        "kettle_with_tap_still",
        lambda o, a, n: -k.reach(n, "kettle_y") - 3 * k.gap(n, "kettle_y", 0.05) - 5 * k.gap(n, "tap", 0.0),
        k.near("kettle_y", 0.05),
    ),
    # Sparse, or nearly so.
    task(
        "drawer_steps",
        lambda o, a, n: (
            -k.reach(n, "drawer")
            + (k.position(n, "drawer") > 0.1).float()
            + (k.position(n, "drawer") > 0.2).float()
        ),
        lambda o: k.position(o, "drawer") > 0.2,
    ),
    task(
        "light_touch_and_go",
        lambda o, a, n: -k.reach(n, "light_switch") + 2 * (k.position(n, "light_switch") > 0.3).float(),
        lambda o: k.position(o, "light_switch") > 0.3,
    ),
]
