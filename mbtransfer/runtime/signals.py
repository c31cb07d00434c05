"""SIGTERM and SIGHUP as clean interrupts."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Stopped(KeyboardInterrupt):
    """A signal has asked this process to end; whoever tidies up after Ctrl-C does so after this."""

    def __init__(self, sign: int) -> None:
        super().__init__(signal.Signals(sign).name)
        self.sign = sign


@contextmanager
def stopping() -> Iterator[None]:
    """Raise `Stopped` in the body when the machine, a scheduler or a closed terminal asks it to end.

    What is ignored stays ignored: `nohup` does so.
    """
    ours = threading.current_thread() is threading.main_thread()  # signals are handled nowhere else
    before = {sign: signal.getsignal(sign) for sign in SIGNALS} if ours else {}
    changed = [sign for sign, handler in before.items() if handler is signal.SIG_DFL]
    for sign in changed:
        signal.signal(sign, _stop)
    try:
        yield
    finally:
        for sign in changed:
            signal.signal(sign, before[sign])


def exit_code(interrupt: KeyboardInterrupt) -> int:
    """128 and the number of the signal, as shells have it."""
    return 128 + (interrupt.sign if isinstance(interrupt, Stopped) else signal.SIGINT)


def _stop(sign: int, frame: FrameType | None) -> None:
    raise Stopped(sign)
