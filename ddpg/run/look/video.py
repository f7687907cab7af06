"""An agent at play as a film, MP4 or GIF, encoded by ffmpeg as the pictures come.

check_encoder()
film(pictures, fps=30, path=Path("out.mp4"))
"""

import math
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from ddpg.errors import TrainingError, UsageError
from ddpg.run.look.play import MISSING
from tinygrad_rl import files

ENDINGS = (".mp4", ".gif")
_MOST_FPS_OF_A_GIF = 50
"""Viewers show what is faster at a tenth of a second to the picture."""
_FORMS: dict[str, dict[str, Any]] = {
    ".mp4": {"macro_block_size": 2, "quality": 7, "output_params": ["-f", "mp4"]},
    ".gif": {
        "macro_block_size": 1,
        "codec": "gif",
        "pix_fmt_out": "pal8",
        "quality": None,
        # 256 colors of its own for each picture: a palette for all needs all pictures at once.
        # Without flags, or each would be compared with the one before by the numbers of its colors.
        "output_params": [
            *("-f", "gif", "-gifflags", "0", "-vf"),
            "split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=new=1",
        ],
    },
}
"""What ffmpeg is told."""


def check_encoder() -> None:
    """See that ffmpeg is there.

    Raises
    ------
    UsageError : with what helps, if it is not.
    """
    try:
        from imageio_ffmpeg import get_ffmpeg_version
    except ImportError as error:
        raise UsageError(f"no film without imageio-ffmpeg: {MISSING}") from error
    try:
        get_ffmpeg_version()
    except Exception as error:  # whatever stands there instead of it
        raise UsageError(
            "no film without ffmpeg: imageio-ffmpeg finds none that runs; its wheels bring one, "
            "and IMAGEIO_FFMPEG_EXE may name another"
        ) from error


def film(pictures: Iterator[np.ndarray], fps: float, path: Path) -> None:
    """Encode the pictures; the file appears when it is complete.

    Parameters
    ----------
    pictures : uint8, (height, width, 3) each, one at least, of one size.
    fps : pictures to a second.
    path : its ending, `.mp4` or `.gif`, says what it becomes. A GIF leaves out pictures beyond 50
        to a second.

    Raises
    ------
    TrainingError : if the encoder fails.
    """
    ending = path.suffix.lower()
    stride = math.ceil(fps / _MOST_FPS_OF_A_GIF) if ending == ".gif" else 1
    with tempfile.TemporaryDirectory() as folder:
        beside = Path(folder) / "film"
        try:
            _encode(pictures, stride, fps / stride, beside, _FORMS[ending])
            data = beside.read_bytes()
        except OSError as error:
            first, _, _ = str(error).partition("\n")
            raise TrainingError(f"ffmpeg could not encode the film: {first}") from error
    files.write_atomically(path, data)


def _encode(
    pictures: Iterator[np.ndarray], stride: int, fps: float, path: Path, form: dict[str, Any]
) -> None:
    from imageio_ffmpeg import write_frames

    first = next(pictures)
    height, width, _ = first.shape
    size = width, height
    with closing(
        write_frames(str(path), size, fps=fps, ffmpeg_log_level="quiet", **form)
    ) as encoder:
        encoder.send(None)
        encoder.send(np.ascontiguousarray(first))
        for i, picture in enumerate(pictures, start=1):
            if i % stride == 0:
                encoder.send(np.ascontiguousarray(picture))
