"""Two models side by side: the second in an engine of its own, its memory said before."""

from __future__ import annotations

import os
import shutil
import signal
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from safetensors.torch import load_file, save_file

import interpboard.models.demo
from interpboard.engine import protocol
from interpboard.engine.client import EngineClient
from interpboard.registry.loading import LoadOptions
from tests.tui.conftest import Board, Boards
from tests.tui.fake import FakeEngine
from tui.app import InterpBoardApp
from tui.testing.wait_until_idle import wait_until_idle


class ByModel(FakeEngine):
    """The other model's heads do one less; ``small`` has one layer less."""

    def load(self, model: str, **options: Any) -> int:
        self.loads.append(protocol.Load(job=0, model=model, **options))
        return super().load(model, **options)

    @cached_property
    def loads(self) -> list[protocol.Load]:
        """What was asked to be opened."""
        return []

    def event_of(self, request: Any) -> Any:
        if isinstance(request, protocol.Load) and request.model == "small":
            self.layers -= 1
            event = super().event_of(msgspec.structs.replace(request, model="other"))
            named = msgspec.structs.replace(event.model, name="small")
            return msgspec.structs.replace(event, model=named)
        event = super().event_of(request)
        if isinstance(event, protocol.Ready):
            how = msgspec.structs.replace(event.model, options=request.options)
            event = msgspec.structs.replace(event, model=how)
        if isinstance(request, protocol.RunAnalysis) and isinstance(event, protocol.Finished):
            more = {"demo": 0.0}.get(self.loaded, 1.0)
            if event.result.analysis == "head_ablation":
                less = msgspec.structs.replace(event.result, values=event.result.values - more)
                event = msgspec.structs.replace(event, result=less)
        return event


def second(b: Board) -> FakeEngine:
    a = b.app.controllers.comparison.a
    assert a is not None
    assert isinstance(a.engine, FakeEngine)
    return a.engine


async def compare(b: Board, name: str, *keys: str) -> None:
    await b.app.action_perform("compare_model")
    await b.press()
    await b.write(name)
    await b.press("enter", *keys)


async def test_the_memory_is_said_and_nothing_is_loaded_before_it_is_confirmed(
    board: Boards,
) -> None:
    async with board(engine=ByModel) as b:
        await b.app.action_perform("compare_model")
        await b.press()
        assert "Compare with a model" in b.screen
        assert "loaded beside the model in use" in b.screen
        await b.write("nobody/model")
        assert "Enter compares with nobody/model" in b.screen
        assert "Enter opens" not in b.screen
        await b.press("escape")
        await compare(b, "demo")
        assert "It needs 14 MiB in float32, 7 MiB in bfloat16" in b.screen
        assert "free" in b.screen
        assert "float32 --quantize 4bit takes 2 MiB or more" in b.screen
        assert b.app.controllers.comparison.a is None
        await b.press("escape")
        assert b.app.controllers.comparison.a is None


async def test_the_memory_of_a_folder_that_was_typed_is_said_too(
    board: Boards, tmp_path: Path
) -> None:
    folder = tmp_path / "deep" / "below" / "a" / "model"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "gpt2"}')
    save_file({"w": torch.zeros(1000, 500)}, folder / "model.safetensors")
    async with board((80, 24), engine=ByModel) as b:
        await compare(b, str(folder))
        assert "It needs 2 MiB in float32, 977 KiB in bfloat16" in b.screen


async def test_the_panes_show_the_difference_of_the_two_models_and_closing_ends_the_second(
    board: Boards,
) -> None:
    async with board(engine=ByModel) as b:
        await compare(b, "other", "enter")
        engine = second(b)
        assert engine is not b.engine
        assert " B − A  │ A other float32" in b.screen
        assert "│ B demo float32: The Eiffel" in b.screen
        await b.press("2")
        assert "B − A +1.000 larger in B" in b.screen
        await b.press("p", "space", "x", "enter")  # another prompt is run in both
        assert {r.text for r in engine.requests[-3:]} == {b.app.state.question.text}
        await b.app.action_perform("compare_model")
        await b.press()
        assert engine.stopped
        assert "The second model is closed." in b.messages[-1]
        assert "B − A" not in b.screen
        assert not b.engine.stopped


async def test_a_death_of_the_second_leaves_the_first_as_it_is_and_says_so(
    board: Boards,
) -> None:
    async with board((80, 24), engine=ByModel) as b:
        await compare(b, "other", "enter")
        before = b.app.state.slots["tokens"].result
        second(b).die()
        await b.press("2")
        assert "Second model: The engine died" in b.messages[0]
        assert not b.app.state.engine.notice
        assert b.app.state.slots["tokens"].result is before
        assert "B − A +1.000" in b.screen


async def test_a_model_that_does_not_load_ends_the_comparison_in_a_line(board: Boards) -> None:
    async with board(engine=ByModel) as b:
        await compare(b, "nonesuch", "enter")
        assert "Second model: There is no model 'nonesuch'" in " ".join(b.messages)
        assert b.app.controllers.comparison.a is None
        assert "B − A" not in b.screen


async def test_models_of_other_shapes_are_refused_where_shapes_matter(board: Boards) -> None:
    async with board((80, 24), engine=ByModel) as b:
        await compare(b, "small", "enter")
        await b.press("2", "z")
        assert "Not compared: The two models have other shapes (3 layers × 8 heads" in b.screen
        await b.press("z", "1")
        assert "B − A of integrated gradients" in b.screen


async def test_a_number_format_that_is_none_is_refused(board: Boards) -> None:
    async with board((80, 24), engine=ByModel) as b:
        await compare(b, "other")
        await b.write("x")
        await b.press("enter")
        assert "No number format is called" in b.messages[-1]
        assert b.app.controllers.comparison.a is None


async def test_the_second_is_opened_with_the_options_of_the_command_line(board: Boards) -> None:
    async with board((80, 24), engine=ByModel) as b:
        await compare(b, "other")
        assert "float32 --quantize 4bit" in b.screen
        await b.write(" --quantize 4bit --adapter ./mine --revision v2")
        await b.press("enter")
        (load,) = second(b).loads
        assert (load.model, load.dtype) == ("other", "float32")
        asked = LoadOptions(revision="v2", adapters=("./mine",), quantize="4bit")
        assert load.options == asked


async def test_options_that_are_none_are_refused_and_nothing_is_loaded(board: Boards) -> None:
    async with board((80, 24), engine=ByModel) as b:
        for words, refusal in (
            (" --quantize 3bit", "--quantize takes no '3bit'. It is 4bit, 8bit, int8."),
            (" --quantise 4bit", "There is no option --quantise. There are: --revision"),
            (" --adapter", "--adapter needs a value: PATH."),
            (" 4bit", "No number format is called 4bit."),
            (" --revision 'v2", "cannot be read: No closing quotation."),
        ):
            await compare(b, "other")
            await b.write(words)
            await b.press("enter")
            assert refusal in b.messages[-1]
            assert b.app.controllers.comparison.a is None
            await b.press("escape")


async def test_resuming_offers_the_second_model_again_as_it_was_opened(board: Boards) -> None:
    async with board((80, 24), engine=ByModel) as b:
        await compare(b, "other")
        await b.write(" --subfolder inner")
        await b.press("enter")
        assert "A other float32 in inner" in b.screen
    app = InterpBoardApp(resume=True, engine_factory=ByModel)
    async with app.run_test(size=(120, 40)) as pilot:
        await wait_until_idle(app)
        b = Board(app, pilot)
        assert "Compared with other when left: = asks to load it again." in b.messages
        assert b.app.controllers.comparison.a is None
        await b.press("equals_sign")
        assert "float32 --subfolder inner" in b.screen
        assert "free" in b.screen  # the memory is said before
        await b.press("enter")
        (load,) = second(b).loads
        assert (load.model, load.options) == ("other", LoadOptions(subfolder="inner"))
        assert "A other float32 in inner" in b.screen


async def test_an_offer_that_is_left_is_not_made_again(board: Boards) -> None:
    async with board((80, 24), engine=ByModel) as b:
        await compare(b, "other", "enter")
    app = InterpBoardApp(resume=True, engine_factory=ByModel)
    async with app.run_test(size=(120, 40)) as pilot:
        await wait_until_idle(app)
        b = Board(app, pilot)
        await b.press("equals_sign", "escape", "equals_sign")
        assert "There is no prompt before this one" in b.messages[-1]


@pytest.mark.usefixtures("forked_engines")
async def test_the_demo_beside_a_perturbed_copy_of_it_in_two_processes(tmp_path: Path) -> None:
    folder = tmp_path / "tuned"
    shutil.copytree(Path(interpboard.models.demo.__path__[0]) / "weights", folder)
    weights = load_file(folder / "model.safetensors")
    name = next(each for each in weights if each.endswith("h.3.mlp.c_proj.weight"))
    weights[name] = weights[name] + 0.05 * torch.sign(weights[name])
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    app = InterpBoardApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until_idle(app)
        b = Board(app, pilot)
        app.controllers.comparison.begin_models(
            str(folder), device="cpu", dtype="float32", special_tokens=True
        )
        await wait_until_idle(app)
        a = app.controllers.comparison.a
        assert a is not None
        one, other = (own.state.slots["predictions"].result for own in (a, app.session))
        assert one is not None
        assert other is not None
        assert abs(one.values - other.values).max() > 1e-6
        assert "B − A of integrated gradients" in b.screen
        engine, first = a.engine, app.session.engine
        assert isinstance(engine, EngineClient)
        assert isinstance(first, EngineClient)
        assert None is not engine.pid != first.pid
        pid = first.pid
        os.kill(engine.pid, signal.SIGKILL)
        while not b.messages:
            await pilot.pause(0.05)
        assert "Second model: The engine died: killed by signal 9" in b.messages[0]
        await wait_until_idle(app)
        assert (first.pid, app.state.engine.notice) == (pid, "")
        app.controllers.comparison.leave()
        await app.controllers.idle()
        assert engine.pid is None
