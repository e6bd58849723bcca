"""The encoder–decoder's tokenizer: the demo's, with padding and an end of its own, as T5 has them."""

from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from .. import DEMO_FOLDER

PADDING, END = "<pad>", "</s>"


def restating_tokenizer() -> PreTrainedTokenizerFast:
    """The demo's vocabulary, ``<pad>`` and ``</s>`` behind it; an end behind every text."""
    tokenizer: PreTrainedTokenizerFast = AutoTokenizer.from_pretrained(DEMO_FOLDER)
    tokenizer.add_special_tokens({"pad_token": PADDING, "eos_token": END})
    tokenizer.bos_token = None
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"$A {END}", special_tokens=[(END, tokenizer.convert_tokens_to_ids(END))]
    )
    return tokenizer
