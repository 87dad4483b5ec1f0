"""The command line of `python run.py bench`."""

import argparse
import sys
from pathlib import Path

from benchmarks import list_benches, load_bench
from dev import models
from dev.environment import SetupError, say
from dev.images import SIDE

from . import comfy
from .figures import load_lpips
from .measurements import Measurements


def main(arguments: list[str], settings: dict) -> int:
    """Run the bench that the first argument names. `settings` are the places that run.py knows."""
    sys.path.insert(0, str(settings["comfyui"]))
    benches = list_benches()
    looks = {"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False}
    parser = argparse.ArgumentParser(prog="run.py bench", description="The benches:", add_help=False, **looks)
    parser.epilog = "\n".join(f"  {name:<16}{line}" for name, line in benches.items())
    parser.add_argument("name", nargs="?", choices=benches, metavar="NAME")
    known, rest = parser.parse_known_args(arguments)
    if known.name is None:
        parser.print_help()
        return 0
    bench = load_bench(known.name)
    parser = argparse.ArgumentParser(prog=f"run.py bench {known.name}", description=bench.__doc__, **looks)
    parser.add_argument("--images", type=Path, nargs="+", metavar="PATH", help="images, or folders of them")
    parser.add_argument(
        "--size", type=int, default=SIDE, metavar="N", help=f"center crop, 0 for none (default: {SIDE})"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write the tables there, with commit and versions; can be resumed"
    )
    if hasattr(bench, "plot"):
        parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the figures: .svg, .png or .pdf")
    bench.add_arguments(parser)
    options = parser.parse_args(rest)
    chosen = {name: value for name, value in vars(options).items() if type(value) in (int, str)}
    vars(options).update(settings, models=models.prepare())
    path = options.output / f"{known.name}.json" if "output" in options and not options.json else options.json
    try:
        if getattr(bench, "NEEDS_IMAGES", False) and not options.images:
            raise SetupError("Name images to measure on: --images DIR")
        measurements = Measurements(path, known.name, chosen)
        comfy.start(options)
        tables = bench.run(options, measurements)
        measurements.save(tables)
        say("\n\n".join(table.text() for table in tables))
        if any("LPIPS" in table.header for table in tables):
            say(load_lpips(options.shared)[1])
        if getattr(options, "plot", None):
            bench.plot(measurements.rows, options.plot)
        return 0
    except (SetupError, ValueError, OSError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted." + (" Run it again to go on." if path else ""), file=sys.stderr)
        return 130
