"""One type of model: built small, saved, opened as a user would, and held against plain forwards."""

from __future__ import annotations

import multiprocessing as mp
import tempfile
import warnings
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
import transformers as tf
from transformers.models.auto import modeling_auto

from docs.hooks.models import agrees
from interpboard.errors import InterpBoardError
from interpboard.models.language_model import open_model
from tests.model_types.analyses import had
from tests.model_types.small import CannotBeSmall, small_model
from tests.model_types.truth import compare
from tests.tiny import tiny_tokenizer

__all__ = ["MAPPINGS", "agrees", "measured", "row_of", "types"]

CHECKED = ("causal", "image and text", "masked")  # the metrics of other tasks are not of tokens
SECONDS = 120  # a type
MAPPINGS = {
    "causal": "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES",
    "image and text": "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES",
    "masked": "MODEL_FOR_MASKED_LM_MAPPING_NAMES",
    "seq2seq": "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES",
    "sequence classification": "MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES",
    "token classification": "MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES",
    "multiple choice": "MODEL_FOR_MULTIPLE_CHOICE_MAPPING_NAMES",
}
_BEGIN = {"pad_token_id": 0, "decoder_start_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
Row = dict[str, Any]


def types(task: str) -> dict[str, str]:
    """The class of each type of ``task`` that the installed transformers has, the first of several."""
    mapping = getattr(modeling_auto, MAPPINGS[task])
    return {t: c if isinstance(c, str) else c[0] for t, c in mapping.items()}


def measured(task: str, type_name: str, seconds: int = SECONDS) -> Row:
    """The row of one type, found in a process of its own that is ended after ``seconds``."""
    context = mp.get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_tell, args=(there, task, type_name), daemon=True)
    process.start()
    there.close()
    try:
        row: Row = here.recv() if here.poll(seconds) else {"refused": f"not done in {seconds} s"}
    except EOFError:
        row = {"refused": "its process died"}
    process.kill()
    process.join()
    return {"class": types(task)[type_name], **row}


def _tell(there: Connection, task: str, type_name: str) -> None:
    warnings.simplefilter("ignore")
    tf.utils.logging.set_verbosity_error()
    tf.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    there.send(row_of(task, type_name, analyses=True, every=1))


def row_of(task: str, type_name: str, *, analyses: bool = False, every: int = 3) -> Row:
    """What a small random model of the type proves, or the words of its refusal. ``analyses``: also which of
    them a masked one has, and one of two stacks. ``every``: of how many positions one is looked at."""
    try:
        model = small_model(getattr(tf, types(task)[type_name]), decoder=task == "causal")
    except CannotBeSmall as error:
        return {"not built": str(error)}
    _begins(model)
    with tempfile.TemporaryDirectory() as folder:
        try:
            model.save_pretrained(folder)
            _tokenizer().save_pretrained(folder)
        except Exception as error:  # noqa: BLE001 (of transformers itself)
            return {"not built": f"not saved: {_words(error)}"}
        try:
            lm = open_model(folder, "cpu", "float32")
        except InterpBoardError as error:
            return {"refused": error.message.replace(str(Path(folder)), "it")}
        except Exception as error:  # noqa: BLE001 (a fault of ours, told as such)
            return {"raw": _words(error)}
        verified = lm.verified
        row = {
            "opened": type(lm.model).__name__,
            "path": verified.path,
            "lens": verified.lens,
            "notes": list(verified.notes),
        }
        two = lm.anatomy.strips is not None
        if not verified.by_layer or (task not in CHECKED and not (two and task == "seq2seq")):
            return row
        try:
            having = {"analyses": had(lm)} if analyses and (two or task == "masked") else {}
            return {**row, **having} if two else {**row, "checks": compare(lm, every), **having}
        except Exception as error:  # noqa: BLE001 (likewise)
            return {**row, "raw": _words(error)}


def _begins(model: Any) -> None:
    """Say how an encoder–decoder's target begins, where its small configuration does not."""
    if not getattr(model.config, "is_encoder_decoder", False):
        return
    for config in (model.config, model.generation_config):
        for name, number in _BEGIN.items():
            if getattr(config, name, None) is None:
                setattr(config, name, number)


@cache
def _tokenizer() -> Any:
    return tiny_tokenizer()


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
