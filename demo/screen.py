"""What the viewer sees: a progress bar that redraws itself on a terminal, plain lines elsewhere."""

from __future__ import annotations

import shutil
import sys
import time

PLAIN_EVERY_S = 2.0
BAR_WIDTH = 24
CLEAR_LINE = "\r\x1b[K"


def say(text: str = "") -> None:
    print(text, flush=True)


class Progress:
    """One line that says how far it is; call update() as often as there is news."""

    def __init__(self) -> None:
        self.live = sys.stdout.isatty()
        self.next_plain = 0.0
        encoding = (sys.stdout.encoding or "").lower().replace("-", "")
        self.full, self.empty = ("█", "░") if encoding == "utf8" else ("#", ".")

    def update(self, share: float, elapsed_s: float, figures: dict[str, str]) -> None:
        if self.live:
            self._draw(min(share, 1.0), figures)
        elif time.monotonic() >= self.next_plain:
            self.next_plain = time.monotonic() + PLAIN_EVERY_S
            say(f"  {elapsed_s:4.0f} s   " + "   ".join(f"{k} {v}" for k, v in figures.items()))

    def _draw(self, share: float, figures: dict[str, str]) -> None:
        done = round(share * BAR_WIDTH)
        line = f"  {self.full * done}{self.empty * (BAR_WIDTH - done)}"
        columns = shutil.get_terminal_size().columns
        for name, value in figures.items():
            # On a narrow terminal the last ones are left out: a line that wraps would pile up.
            if len(line) + len(f"  {name} {value}") >= columns:
                break
            line += f"  {name} {value}"
        sys.stdout.write(CLEAR_LINE + line)
        sys.stdout.flush()

    def end(self) -> None:
        if self.live:
            sys.stdout.write(CLEAR_LINE)
            sys.stdout.flush()
