"""The command line of `python run.py bench`."""

import argparse
import sys
from pathlib import Path

from benchmarks import list_benches, load_bench
from dev import models
from dev.environment import SetupError, say
from dev.images import SIDE

from . import comfy
from .results import Results
from .stored import load_lpips


def main(arguments: list[str], settings: dict) -> int:
    """Run the bench that the first argument names. `settings` are the places that run.py knows."""
    sys.path.insert(0, str(settings["comfyui"]))
    benches = list_benches()
    looks = {"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False}
    parser = argparse.ArgumentParser(prog="run.py bench", description="Measures; the benches:", add_help=False, **looks)
    parser.epilog = "\n".join(f"  {name:<12}{line}" for name, line in benches.items())
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
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the figures there; a later run goes on from it")
    parser.add_argument("--keep", action="store_true", help="reuse figures of that file that other code has measured")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the figures: .svg, .png or .pdf")
    bench.add_arguments(parser)
    options = parser.parse_args(rest)
    chosen = {name: value for name, value in vars(options).items() if type(value) in (int, str)}
    vars(options).update(settings, models=models.prepare())
    results = None
    try:
        if getattr(bench, "NEEDS_IMAGES", False) and not options.images:
            raise SetupError("Name images to measure on: --images DIR")
        results = Results(options.json, known.name, chosen, options.keep)
        comfy.start(options)
        bench.run(options, results)
        if hasattr(bench, "report"):
            tables = bench.report(results.rows)
            for table in tables:
                say(table.text())
            if any("LPIPS" in table.header for table in tables):
                say(load_lpips(options.shared)[1])
        if options.plot and hasattr(bench, "plot"):
            bench.plot(results.rows, options.plot)
        return 0
    except (SetupError, ValueError, OSError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted." + (" Run it again to go on." if options.json else ""), file=sys.stderr)
        return 130
    finally:
        if results is not None:
            results.save()
