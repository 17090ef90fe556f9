"""Sizes of what is deployed, and the time that synthesis takes.

``python benchmarks/sizes.py [--runs 7]`` synthesizes one environment of ``cdk.json`` and, in turn, an app
with one stack of one topic, each in fresh processes with the context of ``cdk.json``, as the CDK CLI hands it
over. The ratio is that of the medians. The function's zip is made from the asset which that synthesis stages.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
LAYERS: Final = ROOT / "constructs" / "sms_engagement" / "runtime_layer"
PACKAGE: Final = "sms_engagement_runtime"

FUNCTION_GOAL: Final = 0.5
"""Megabytes of a million bytes, as the layer's."""

LAYER_GOAL: Final = 4.0
SYNTH_GOAL: Final = 4.0

_TRIVIAL_APP: Final = """\
import aws_cdk as cdk
from aws_cdk import aws_sns as sns
app = cdk.App()
sns.Topic(cdk.Stack(app, "Trivial"), "Topic")
app.synth()
"""


def synthesize(source: Path, output: Path, stage: str) -> float:
    """Run an app as the CDK CLI does; return seconds.

    Parameters
    ----------
    source
        The app's file.
    output
        Folder of the cloud assembly.
    stage
        Of the product's app; the other one has none and does not look.
    """
    context = json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))["context"]
    environment = os.environ | {
        # jsii starts the Node that comes with the environment.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "CDK_OUTDIR": str(output),
        "CDK_CONTEXT_JSON": json.dumps(context | {"stage": stage}),
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    started = perf_counter()
    finished = subprocess.run(
        [sys.executable, str(source)], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if finished.returncode != 0:
        raise SystemExit(f"{source.name} failed:\n{finished.stderr}")
    return perf_counter() - started


def function_zip(assembly: Path) -> int:
    """Return the bytes of the zip that the CDK CLI would upload for the functions."""
    (folder,) = {path.parent for path in assembly.glob(f"**/{PACKAGE}") if path.is_dir()}
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        for path in sorted(folder.rglob("*")):
            zipped.write(path, path.relative_to(folder))
    return len(archive.getvalue())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure sizes and the time of synthesis.")
    parser.add_argument("--runs", type=int, default=7, help="measured runs of each app (7 or more)")
    parser.add_argument("--stage", default="dev", help="environment of cdk.json")
    arguments = parser.parse_args()
    for folder in ("constructs", "stacks", "runtime"):
        compileall.compile_dir(ROOT / folder, quiet=1)
    with TemporaryDirectory() as scratch:
        trivial = Path(scratch, "trivial.py")
        trivial.write_text(_TRIVIAL_APP, encoding="utf-8")
        apps = {"product": ROOT / "app.py", "trivial": trivial}
        seconds: dict[str, list[float]] = {name: [] for name in apps}
        # One round is thrown away: it compiles and fills caches.
        for number in range(-1, arguments.runs):
            for name in list(apps) if number % 2 else list(apps)[::-1]:
                taken = synthesize(apps[name], Path(scratch, name), arguments.stage)
                if number >= 0:
                    seconds[name].append(taken)
        size = function_zip(Path(scratch, "product"))
    _print("function zip, MB", size / 1e6, FUNCTION_GOAL)
    for layer in sorted(LAYERS.glob("*.zip")):
        _print(f"layer {layer.stem}, MB", layer.stat().st_size / 1e6, LAYER_GOAL)
    product, baseline = median(seconds["product"]), median(seconds["trivial"])
    _print(f"synth of {arguments.stage}, x of a trivial stack", product / baseline, SYNTH_GOAL)
    print(f"medians of {arguments.runs} runs: {product:.1f} s, trivial stack {baseline:.1f} s")


def _print(what: str, value: float, goal: float) -> None:
    print(f"{what:<36} {value:6.2f}  goal {goal:4.1f}  {'reached' if value <= goal else 'NOT REACHED'}")


if __name__ == "__main__":
    main()
