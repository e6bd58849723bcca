"""Choose a model: the demo, recent ones, those on this machine, or a name of the hub typed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from rich.style import Style
from rich.text import Text

from interpboard.display import fit, spoken_bytes, visible
from interpboard.errors import BadParameter
from interpboard.registry.loading import NOTHING_ASKED, LoadOptions, option_words
from tui.dialogs.pick import PickScreen
from tui.files.checkpoints import FoundModel
from tui.files.models import Shelf, what_fits
from tui.files.opening import read_opening
from tui.theme import Inks

_NAMES = "demo, demo-chat, demo-t5, demo-bert, a folder, owner/name of the hub"
_OPEN = (
    "Open a model",
    (_NAMES, "Behind it options: --dtype bfloat16 --quantize 4bit --adapter PATH …"),
)
_ROOM = 72  # cells of a line, where there are as many
_BESIDE = ("Compare with a model", (_NAMES, "It is loaded beside the model in use, which stays."))


def count(parameters: int) -> str:
    """``124 M``."""
    for size, unit in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if parameters >= size:
            return f"{parameters / size:.3g} {unit}"
    return str(parameters) if parameters else ""


class PickModelScreen(PickScreen[str]):
    """Answers with the name to open; ``asked`` says in which number format and how, None: nothing was said.

    ``find`` reads the disk, off the loop. ``typed`` stands in the field at the beginning; of what is
    answered, ``last_typed`` is what stood there.
    """

    def __init__(
        self, find: Callable[[], Shelf], in_use: str, typed: str = "", *, beside: bool = False
    ) -> None:
        title, hints = _BESIDE if beside else _OPEN
        super().__init__(title, hints, typed, "type to narrow, or a name")
        self.beside = beside  # to be compared with the one in use
        self.find, self.in_use = find, in_use
        self.shelf = Shelf()
        self.asked: tuple[str, LoadOptions] | None = None
        self.last_typed = ""
        self._looking: asyncio.Task[None] | None = None

    def on_mount(self) -> None:
        """Look around."""
        self._looking = asyncio.create_task(self._look())
        super().on_mount()

    async def _look(self) -> None:
        self.shelf = await asyncio.to_thread(self.find)
        self._looking = None
        if self.is_attached:
            self.again()

    async def settled(self) -> None:
        """Wait until the list is there."""
        while self._looking is not None:
            await asyncio.sleep(0.01)

    def narrow(self, typed: str) -> None:
        """Those that contain every word, and the text itself where it is another name; options narrow
        nothing."""
        written = typed.partition(" --")[0].strip()
        parts = written.lower().split()
        fits = [m for m in self.shelf.models if all(part in _name(m).lower() for part in parts)]
        if written and written not in [model.name for model in fits]:
            fits.append(FoundModel(written, "as typed"))
        self.rows, self.at = fits, 0 if fits else -1

    def draw(self, row: FoundModel, here: bool, ink: Inks) -> Text:
        """``name  where  family  496 MiB  fits``; where it is narrow name, memory and whether it fits."""
        style = Style(color=ink.accent if here else ink.text, bold=here)
        text = Text(fit(_short(visible(_name(row)), 30), 31), style)
        if self._room == _ROOM:
            text.append(fit(row.where, 10), ink.muted)
            text.append(fit(visible(row.family), 11), ink.text)
        if row.problem:
            return text.append(row.problem, ink.warning)
        if row.base:
            return text.append("adapter", ink.muted)
        if row.parameters:
            memory = spoken_bytes(row.size or row.parameters * self.shelf.room.parameter)
            text.append(f"{memory:>7} ", ink.text)
        in_use = row.name == self.in_use and not row.gguf_file
        fits = "in use" if in_use else self.shelf.room.fits(row)
        return text.append(fits, ink.warning if fits == "too large" else ink.muted)

    @property
    def _room(self) -> int:
        """Cells of a line."""
        return max(24, min(_ROOM, self.app.size.width - 6))

    def advice(self, typed: str, ink: Inks) -> Text:
        """The chosen model in words, with its whole name where the row has no room for it."""
        if self._looking is not None:
            return Text("looking around …", ink.muted)
        row, room = self.chosen, self.shelf.room
        if row is None:
            return Text()
        free = (
            f", {spoken_bytes(room.free)} free{room.on and f' on {room.on}'}"
            if room.free is not None
            else ""
        )
        if row.where == "as typed":
            does = "Enter compares with" if self.beside else "Enter opens"
            name, tail = visible(row.name), f", from a folder or the hub{free}"
            if len(f"{does} {name}{tail}") > self._room:
                tail = free  # where it comes from gives way to what it is called
            return Text(
                f"{does} {_short(name, self._room - 1 - len(does + tail))}{tail}", ink.muted
            )
        size = f"{count(row.parameters)} parameters" if row.parameters and not row.size else ""
        about = [part for part in (size, visible(row.is_what)) if part] or ["size unknown"]
        tail = f"  {_short(', '.join(about), 40)}{free}"
        return Text(_short(visible(_name(row)), self._room - len(tail)) + tail, ink.muted)

    def more(self, typed: str, ink: Inks) -> Text:
        """What was asked for, or what is wrong with it; else what of the chosen model would fit where."""
        try:
            dtype, options = self._opening(typed)
        except BadParameter as wrong:
            return Text(fit(visible(str(wrong)), self._room + 2).rstrip(), ink.warning)
        asked = [f"--dtype {dtype}"] if dtype else []
        asked += option_words(options)
        if asked:
            return Text(fit(visible(f"with {' '.join(asked)}"), self._room + 2).rstrip(), ink.text)
        if self.chosen is None or self._looking is not None:
            return Text()
        rooms = (self.shelf.room, *self.shelf.others)
        fits = [(room.on if len(rooms) > 1 else "", what_fits(self.chosen, room)) for room in rooms]
        return Text(
            fit(
                "; ".join(f"{on or 'memory'}: {what}" for on, what in fits if what), self._room + 2
            ).rstrip(),
            ink.muted,
        )

    def answer(self, typed: str) -> str | None:
        """The chosen one; nothing while what is asked of opening it cannot be read."""
        if self.chosen is None:
            return None
        try:
            dtype, options = self._opening(typed)
        except BadParameter:
            return None
        self.last_typed = typed
        self.asked = (dtype, options) if dtype or options != NOTHING_ASKED else None
        return self.chosen.name

    def _opening(self, typed: str) -> tuple[str, LoadOptions]:
        """Number format and options, those that the chosen row brings along among them."""
        _name_typed, space, options_typed = typed.partition(" --")
        if self.beside and space:
            raise BadParameter("How it is opened is asked for next.")
        dtype, options = read_opening(space + options_typed)
        gguf = self.chosen.gguf_file if self.chosen is not None else ""
        return dtype, replace(options, gguf_file=gguf) if gguf and not self.beside else options


def _name(model: FoundModel) -> str:
    return f"{model.name}/{model.gguf_file}" if model.gguf_file else model.name


def _short(name: str, width: int) -> str:
    """The end of a long path says more than its beginning."""
    return name if len(name) <= width else "…" + name[1 - width :]
