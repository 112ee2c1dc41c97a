"""Grades the frames of a clip.

Reads {"frames": "<folder of PNGs>", "strength"?: 1.0, "gamma"?: 1.0}. The light is measured
in the first frame and taken out of all, so that the colour does not flicker (shades of grey,
Finlayson and Trezzi, 2004: the Minkowski mean of order 6 of each channel, in linear light).
Leaves graded/NAME.png for each frame, and prints the gains.
"""

import json
import sys
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from PIL import Image

GRADED = Path("out/graded")
MINKOWSKI_ORDER = 6


def fail(text: str) -> NoReturn:
    """Ends the script because its input can't be used."""
    print(f"grade: {text}", file=sys.stderr)
    sys.exit(2)


def read_request() -> tuple[list[Path], float, float]:
    """The frames in their order, the strength, and the gamma."""
    try:
        request: dict[str, Any] = json.load(sys.stdin)
        frames = sorted(Path(request["frames"]).glob("*.png"))
        strength = float(request.get("strength", 1.0))
        gamma = float(request.get("gamma", 1.0))
    except (ValueError, KeyError, TypeError) as error:
        fail(f"input: {type(error).__name__}: {error}")
    if not frames:
        fail(f"input: there is no PNG in {request['frames']}")
    if not (0 <= strength <= 1 and 0.1 <= gamma <= 10):
        fail("input: strength must be in [0, 1] and gamma in [0.1, 10]")
    return frames, strength, gamma


def linear_light() -> NDArray[np.float32]:
    """Linear light for each byte of sRGB (IEC 61966-2-1)."""
    encoded = np.arange(256, dtype=np.float32) / 255
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def gains_for(frame: NDArray[np.uint8], strength: float) -> NDArray[np.float32]:
    """What each channel is multiplied by to make the light grey."""
    light = (linear_light()[frame] ** MINKOWSKI_ORDER).mean(axis=(0, 1)) ** (1 / MINKOWSKI_ORDER)
    gains: NDArray[np.float32] = (light.mean() / np.maximum(light, 1e-6)) ** strength
    return gains


def tables_for(gains: NDArray[np.float32], gamma: float) -> list[int]:
    """The graded byte for each byte of each channel, as Pillow's `point` takes them."""
    table: list[int] = []
    for gain in gains:
        linear = np.clip(linear_light() * gain, 0, 1) ** (1 / gamma)
        encoded = np.where(
            linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055
        )
        table += [int(value) for value in np.rint(encoded * 255)]
    return table


def main() -> None:
    """Reads, grades, writes."""
    frames, strength, gamma = read_request()
    GRADED.mkdir(parents=True)
    gains = gains_for(np.asarray(Image.open(frames[0]).convert("RGB")), strength)
    tables = tables_for(gains, gamma)
    for number, frame in enumerate(frames, 1):
        graded = Image.open(frame).convert("RGB").point(tables)
        graded.save(GRADED / frame.name, compress_level=1)
        if number % 24 == 0:
            print(f"grade: {number} of {len(frames)} frames", file=sys.stderr)
    json.dump({"frames": len(frames), "gains": [round(float(gain), 3) for gain in gains]}, sys.stdout)
    print()


if __name__ == "__main__":
    main()
