"""The command line of `python run.py bench`."""

import argparse
import sys
from pathlib import Path

from benchmarks import list_benches, load_bench
from dev.environment import SetupError

from .pictures import SIDE
from .results import Results


def main(arguments: list[str], settings: dict) -> int:
    """Run the bench that the first argument names. `settings` are the places that run.py knows."""
    benches = list_benches()
    parser = argparse.ArgumentParser(prog="run.py bench", description="Measures; the benches:", add_help=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "\n".join(f"  {name:<12}{line}" for name, line in benches.items())
    parser.add_argument("name", nargs="?", choices=benches, metavar="NAME")
    known, rest = parser.parse_known_args(arguments)
    if known.name is None:
        parser.print_help()
        return 0
    bench = load_bench(known.name)
    parser = argparse.ArgumentParser(prog=f"run.py bench {known.name}", description=bench.__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--images", type=Path, nargs="+", metavar="PATH", help="pictures, or folders of them")
    parser.add_argument(
        "--size", type=int, default=SIDE, metavar="N", help=f"centre crop, 0 for none (default: {SIDE})"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the figures there; a later run goes on from it")
    parser.add_argument("--keep", action="store_true", help="reuse figures of that file that other code has measured")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the figures: .svg, .png or .pdf")
    bench.add_arguments(parser)
    options = parser.parse_args(rest)
    vars(options).update({name: Path(settings[name]) for name in ("comfyui", "models", "shared")})
    results = None
    try:
        results = Results(options.json, known.name, keep=options.keep)
        bench.run(options, results)
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
