"""Corrects the colour of a photograph.

Reads {"image": "<base64 of a JPEG or PNG>", "clip_percent"?: 0.5,
"strength"?: 1.0} and prints what was measured and done as JSON. Leaves
out/corrected.jpg and out/comparison.png, which shows both pictures above the
histograms of their channels.

White balance by shades of grey (Finlayson and Trezzi, 2004: the Minkowski mean
of order 6 of every channel, in linear light, is taken for the colour of the
light), then a stretch of the tones between two percentiles, the same for all
channels, so that it does not change the colour again.
"""

import base64
import io
import json
import sys
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

Floats = NDArray[np.floating[Any]]

OUTPUT = Path("out")
MOST_PIXELS = 50_000_000
MINKOWSKI_ORDER = 6
CHANNELS = ("red", "green", "blue")
HISTOGRAM_HEIGHT = 120


def fail(text: str) -> NoReturn:
    """Ends the script because its input can't be used."""
    print(f"correct: {text}", file=sys.stderr)
    sys.exit(2)


def read_request() -> tuple[Image.Image, float, float]:
    """The picture, the share to clip at both ends in percent, and the strength."""
    try:
        request: dict[str, Any] = json.load(sys.stdin)
        content = base64.b64decode(request["image"], validate=True)
        clip = float(request.get("clip_percent", 0.5))
        strength = float(request.get("strength", 1.0))
    except (ValueError, KeyError, TypeError) as error:
        fail(f"input: {type(error).__name__}: {error}")
    if not (0 <= clip < 50 and 0 <= strength <= 1):
        fail("input: clip_percent must be in [0, 50) and strength in [0, 1]")
    return open_image(content), clip, strength


def open_image(content: bytes) -> Image.Image:
    """Decodes a picture of a sensible size."""
    try:
        image = Image.open(io.BytesIO(content))
        if image.width * image.height > MOST_PIXELS:
            fail(f"image: {image.width}x{image.height} is too large")
        return image.convert("RGB")
    except (UnidentifiedImageError, OSError) as error:
        fail(f"image: {error}")


def to_linear(encoded: Floats) -> Floats:
    """From sRGB's encoding in [0, 1] to linear light (IEC 61966-2-1)."""
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def to_encoded(linear: Floats) -> Floats:
    """From linear light to sRGB's encoding; what is out of range is cut off."""
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def colour_of_light(linear: Floats) -> Floats:
    """The light that a picture was taken in, as far as the picture tells."""
    light: Floats = (linear**MINKOWSKI_ORDER).mean(axis=(0, 1)) ** (1 / MINKOWSKI_ORDER)
    return light


def white_balance_gains(linear: Floats) -> Floats:
    """What each channel is multiplied by to make the light grey; the picture's
    brightness stays."""
    light = colour_of_light(linear)
    gains: Floats = light.mean() / np.maximum(light, 1e-6)
    luminance = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)
    means = linear.mean(axis=(0, 1))
    brightness = float(means @ luminance)
    gains *= brightness / max(float((means * gains) @ luminance), 1e-6)
    return gains


def stretch(encoded: Floats, clip: float) -> tuple[Floats, float, float]:
    """Spreads the tones between two percentiles over the whole range."""
    low, high = np.percentile(encoded, [clip, 100 - clip])
    if high - low < 1 / 255:
        return encoded, 0.0, 1.0
    return np.clip((encoded - low) / (high - low), 0, 1), float(low), float(high)


def measure(pixels: NDArray[np.uint8]) -> dict[str, Any]:
    """Means, percentiles and clipped shares per channel, and the cast: how many
    times stronger the light's strongest channel is than its weakest."""
    light = np.maximum(colour_of_light(to_linear(pixels.astype(np.float32) / 255)), 1e-6)
    percentiles = np.percentile(pixels, [1, 50, 99], axis=(0, 1))
    return {
        "mean": by_channel(pixels.mean(axis=(0, 1))),
        "percentiles_1_50_99": {
            name: [round(float(value), 1) for value in percentiles[:, index]]
            for index, name in enumerate(CHANNELS)
        },
        "clipped_percent": by_channel(((pixels == 0) | (pixels == 255)).mean(axis=(0, 1)) * 100),
        "cast": round(float(light.max() / light.min()), 2),
    }


def by_channel(values: NDArray[Any]) -> dict[str, float]:
    """One rounded number for each channel."""
    return {name: round(float(value), 3) for name, value in zip(CHANNELS, values, strict=True)}


def histogram(pixels: NDArray[np.uint8]) -> Image.Image:
    """The channels' histograms, as wide as the picture."""
    width = pixels.shape[1]
    canvas = np.full((HISTOGRAM_HEIGHT, width, 3), 24, dtype=np.uint8)
    rows = np.arange(HISTOGRAM_HEIGHT)[::-1, None]
    counts = [np.bincount(pixels[..., c].ravel() // 4, minlength=64) for c in range(3)]
    top = max(int(count.max()) for count in counts)
    columns = np.arange(width) * 64 // width
    for channel, count in enumerate(counts):
        bars = (count[columns] / top * (HISTOGRAM_HEIGHT - 8))[None, :]
        canvas[..., channel][rows < bars] = 235
    return Image.fromarray(canvas)


def comparison(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> Image.Image:
    """Both pictures side by side, each above its histogram."""
    height, width, _ = before.shape
    sheet = Image.new("RGB", (2 * width + 8, height + HISTOGRAM_HEIGHT + 8), (24, 24, 24))
    for index, pixels in enumerate((before, after)):
        sheet.paste(Image.fromarray(pixels), (index * (width + 8), 0))
        sheet.paste(histogram(pixels), (index * (width + 8), height + 8))
    return sheet


def main() -> None:
    """Reads, corrects, writes."""
    image, clip, strength = read_request()
    before = np.asarray(image)
    print(f"correct: {image.width}x{image.height} pixels", file=sys.stderr)
    linear = to_linear(before.astype(np.float32) / 255)
    gains = white_balance_gains(linear) ** strength
    balanced = to_encoded(linear * gains)
    print("correct: gains " + ", ".join(f"{gain:.3f}" for gain in gains), file=sys.stderr)
    stretched, low, high = stretch(balanced, clip)
    after = np.rint(stretched * 255).astype(np.uint8)

    OUTPUT.mkdir(exist_ok=True)
    Image.fromarray(after).save(OUTPUT / "corrected.jpg", quality=90)
    comparison(before, after).save(OUTPUT / "comparison.png")
    report = {
        "width": image.width,
        "height": image.height,
        "gains": by_channel(gains),
        "stretched_from": [round(low * 255, 1), round(high * 255, 1)],
        "before": measure(before),
        "after": measure(after),
        "files": ["corrected.jpg", "comparison.png"],
    }
    json.dump(report, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
