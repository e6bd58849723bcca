"""An array of many dimensions as one small picture: a mosaic of its last two, a pixel a value."""

from __future__ import annotations

import base64
import math
import struct
import zlib

import numpy as np

from interpboard.visualization.colors import LIGHT, MIDDLE, Scale

MOST_PIXELS = 1_000_000
_GAP = len(LIGHT)  # the colour between the tiles, after the nine of the scale


def mosaic(values: np.ndarray, scale: Scale) -> str:
    """``values`` [..., row, column] as the URI of a PNG: tiles row by row, the last axis but two
    across. NaN has the colour of the gaps: it is not zero."""
    *leading, height, width = values.shape
    across = leading[-1] if leading else 1
    down = math.prod(leading) // across if leading else 1
    known = ~np.isnan(values)
    off_center = np.where(known, values - scale.center, 0)
    share = np.clip(off_center / scale.limit, -1.0 if scale.diverging else 0.0, 1.0)
    levels = np.where(known, MIDDLE + np.rint(share * MIDDLE), _GAP).astype(np.uint8)
    tiles = levels.reshape(down, across, height, width)
    padded = np.pad(tiles, ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=_GAP)
    image = padded.transpose(0, 2, 1, 3).reshape(down * (height + 1), across * (width + 1))
    return "data:image/png;base64," + base64.b64encode(_png(image[:-1, :-1])).decode()


def _png(image: np.ndarray) -> bytes:
    """``image`` of palette indices as PNG (ISO 15948): palette, eight bits, no filter."""
    height, width = image.shape
    colors = b"".join(bytes.fromhex(color[1:]) for color in (*LIGHT, "#ffffff"))
    rows = np.concatenate([np.zeros((height, 1), np.uint8), image], axis=1).tobytes()
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(kind, data)
        for kind, data in (
            (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            (b"PLTE", colors),
            (b"IDAT", zlib.compress(rows, 9)),
            (b"IEND", b""),
        )
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
