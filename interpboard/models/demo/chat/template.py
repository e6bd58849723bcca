"""ChatML, as training writes it and as the tokenizer's template renders it; a test holds them together."""

TURN_START, TURN_END = "<|im_start|>", "<|im_end|>"
THINK_START, THINK_END = "<think>", "</think>"

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def open_turn(role: str) -> str:
    """What stands before a turn's content."""
    return f"{TURN_START}{role}\n"


def close_turn() -> str:
    """What stands behind it."""
    return f"{TURN_END}\n"
