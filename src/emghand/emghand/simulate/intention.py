"""What a synthetic person intends to do, told by another thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from emghand.simulate.arm import Floats


class Intention:
    """The last prompt; the person relaxes when no new one came for a while.

    Parameters
    ----------
    dofs : sequence of str
        DOFs the person has; prompts for others are ignored.
    timeout_s : float
    """

    def __init__(self, dofs: Sequence[str], timeout_s: float) -> None:
        self._dofs = tuple(dofs)
        self._timeout_ns = round(timeout_s * 1e9)
        # One reference, replaced as a whole: readers in other threads see old or new, not both.
        self._last: tuple[int, Floats] = (-self._timeout_ns, np.zeros(len(self._dofs)))

    def set(self, values: Mapping[str, float], now_ns: int) -> None:
        """Prompt from now on; values that are not finite count as rest."""
        prompt = np.array([values.get(dof, 0.0) for dof in self._dofs], np.float64)
        self._last = (now_ns, np.nan_to_num(prompt, nan=0.0, posinf=0.0, neginf=0.0))

    def at(self, now_ns: int) -> Floats:
        """Intended DOFs, shape (n_dofs,)."""
        since_ns, prompt = self._last
        fresh = now_ns - since_ns <= self._timeout_ns
        return prompt if fresh else np.zeros(len(self._dofs))
