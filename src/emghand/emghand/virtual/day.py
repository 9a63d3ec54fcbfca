"""A protocol from start to end with a simulated person."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from emghand.protocol.events import Event
from emghand.protocol.loader import Protocol
from emghand.protocol.runner import ProtocolRunner, Result
from emghand.virtual.world import SimulatedWorld


def run_simulated(
    protocol: Protocol,
    session: str | Path,
    *,
    subject: str = "simulated",
    seed: int = 0,
    on_event: Callable[[Event], None] = lambda event: None,
) -> Result:
    """Run a protocol, unattended, into a session.

    Whatever it asks for is done by the code that does it live: prompts, tasks, recordings,
    training, decoding. The same protocol, seed and path of the session give the same messages.

    Parameters
    ----------
    protocol : Protocol
    session : path
        Made when it does not exist.
    subject : str
        For a new session.
    seed : int
        Of the person and of every draw.
    on_event : callable, optional
        Gets every event of the protocol at once.

    Raises
    ------
    UserError
        When the session cannot be opened, or the protocol needs what is not simulated.
    """
    world = SimulatedWorld(seed)

    def tell(event: Event) -> None:
        world.tell(protocol.name, event)
        on_event(event)

    path = Path(session).expanduser().absolute()
    runner = ProtocolRunner(
        protocol, world, session=path, subject=subject, seed=seed, on_event=tell
    )
    return runner.execute()
