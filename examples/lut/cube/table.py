"""One table, and the interpolation between its points."""

from itertools import product
from pathlib import Path


class Cube:
    """A table of `size` points on each axis; red changes fastest."""

    def __init__(self, title: str, size: int, points: list[tuple[float, ...]]) -> None:
        if len(points) != size**3:
            raise ValueError(f"{len(points)} points, {size}³ were announced")
        self.title, self.size, self.points = title, size, points

    @classmethod
    def read(cls, path: Path) -> "Cube":
        title, size, points = path.stem, 0, []
        for line in path.read_text().splitlines():
            words = line.split()
            if not words or line.startswith("#"):
                continue
            if words[0] == "TITLE":
                title = line.partition('"')[2].rstrip('"')
            elif words[0] == "LUT_3D_SIZE":
                size = int(words[1])
            else:
                points.append(tuple(map(float, words)))
        return cls(title, size, points)

    def look_up(self, colour: list[float]) -> list[float]:
        """The colour that stands for this one, between the eight points around it."""
        places = [min(max(value, 0.0), 1.0) * (self.size - 1) for value in colour]
        low = [min(int(place), self.size - 2) for place in places]
        parts = [place - at for place, at in zip(places, low)]
        result = [0.0, 0.0, 0.0]
        for corner in product((0, 1), repeat=3):
            weight = 1.0
            for step, part in zip(corner, parts):
                weight *= part if step else 1 - part
            red, green, blue = (at + step for at, step in zip(low, corner))
            point = self.points[red + self.size * (green + self.size * blue)]
            result = [total + weight * value for total, value in zip(result, point)]
        return [round(value, 4) for value in result]
