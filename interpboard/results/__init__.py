"""Results: labelled arrays with everything needed to make them again. Schema ``interpboard/1``.

A *document* is one model, one prompt and the results computed on them; it is what
``interpboard analyze --format json`` prints and what the engine sends to the screen. Text, markdown
and CSV are views of it, or of one result. Nothing here imports torch.
"""

from interpboard.results.arrays import Axis, LabelledArray, layer_axis, text_array, token_axis
from interpboard.results.document import Document
from interpboard.results.encoding import SCHEMA, pack, unpack
from interpboard.results.info import (
    AdapterInfo,
    Chat,
    MadeBy,
    Message,
    MetricInfo,
    MetricRequest,
    ModelInfo,
    PromptInfo,
    TokenRef,
    Turn,
)
from interpboard.results.opened import opened_as
from interpboard.results.partial import Cells, Partial
from interpboard.results.result import Result
from interpboard.results.top import Entry

__all__ = [
    "SCHEMA",
    "AdapterInfo",
    "Axis",
    "Cells",
    "Chat",
    "Document",
    "Entry",
    "LabelledArray",
    "MadeBy",
    "Message",
    "MetricInfo",
    "MetricRequest",
    "ModelInfo",
    "Partial",
    "PromptInfo",
    "Result",
    "TokenRef",
    "Turn",
    "layer_axis",
    "opened_as",
    "pack",
    "text_array",
    "token_axis",
    "unpack",
]
