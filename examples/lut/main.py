"""Looks colours up in a table of the bundle: the same files, whichever machine runs them."""

import json
import sys
from pathlib import Path

from cube import Cube

LUTS = Path(__file__).parent / "luts"


def main() -> None:
    wanted = json.load(sys.stdin)
    known = {path.stem: path for path in LUTS.glob("*.cube")}
    name = wanted.get("lut", "warm")
    if name not in known:
        sys.exit(f"there is no table {name!r}; there are {', '.join(sorted(known))}")
    cube = Cube.read(known[name])
    colours = [cube.look_up(colour) for colour in wanted["colours"]]
    json.dump({"title": cube.title, "colours": colours}, sys.stdout)


if __name__ == "__main__":
    main()
