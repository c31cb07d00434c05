"""What of an environment's spec a world model is told."""

from tasks.spec import EnvSpec
from world_models.layout import Body, Layout


def model_layout(spec: EnvSpec) -> Layout:
    """Columns, limits and bodies of a spec; fixtures that share a handle are one body.

    The arm is part of the hand: every block reads it, and moves it as it moves the hand's velocity.
    """
    limited = set(spec.hand) | {fixture.position for fixture in spec.fixtures}
    handles: dict[tuple[int, int, int], list[int]] = {}
    for i, fixture in enumerate(spec.fixtures):
        handles.setdefault(fixture.handle, []).append(i)
    objects = tuple(
        Body(
            "+".join(spec.fixtures[i].name for i in members),
            tuple(spec.fixtures[i].position for i in members),
            tuple(spec.fixtures[i].velocity for i in members),
            handle,
        )
        for handle, members in handles.items()
    )
    return Layout(
        columns=tuple(variable.name for variable in spec.observation),
        low=tuple(variable.low for variable in spec.observation),
        high=tuple(variable.high for variable in spec.observation),
        limited=tuple(i in limited for i in range(spec.obs_size)),
        action_size=spec.action_size,
        hand=Body("hand", spec.hand, (*spec.hand_velocity, *spec.arm)) if objects else None,
        objects=objects,
        hand_actions=spec.hand_actions or (),
        angles=spec.angles,
        axes=spec.axes,
    )
