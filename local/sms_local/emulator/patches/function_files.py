"""Code and layers of functions are unpacked once, not at each cold start.

Reason
    Whoever presses the first button of the demo waits for five functions to start, and each test after a
    reset again. Three quarters of that were spent on unpacking the same 1,700 files of the layer, and on
    compiling them.
AWS
    Code and layers are mounted read-only, prepared beforehand.
    https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
MiniStack 1.5.33
    Unpacks both into a folder of each worker's own, so what Python compiles is lost with the worker.
Hook
    ``Worker._spawn`` of a Python function takes folders that all workers share, named by the digest of what
    is in them. Other runtimes keep their own: MiniStack writes links into the code of Node functions.
"""

import hashlib
import io
import shutil
import tempfile
import zipfile
from pathlib import Path

from sms_local.emulator.patches._pinned import PatchSettings, require, rewrite

_UNPACKS_CODE = """\
    os.makedirs(code_dir)
    with open(os.path.join(self._tmpdir, "code.zip"), "wb") as f:
        f.write(self.code_zip)
    with zipfile.ZipFile(os.path.join(self._tmpdir, "code.zip")) as zf:
        zf.extractall(code_dir)
"""

_SHARES_CODE = """\
    if runtime.startswith("python"):
        code_dir = _unpacked_once(self.code_zip)
    else:
        os.makedirs(code_dir)
        with zipfile.ZipFile(io.BytesIO(self.code_zip)) as zf:
            zf.extractall(code_dir)
"""

_MAKES_LAYER_FOLDER = """\
                os.makedirs(layer_dir)
                lzip = os.path.join(self._tmpdir, f"layer_{len(layers_dirs)}.zip")
"""

_UNPACKS_LAYER = """\
                    with open(lzip, "wb") as lf:
                        lf.write(layer_data)
                    with zipfile.ZipFile(lzip) as lzf:
                        # Validate paths to prevent zip-slip attacks
                        for member in lzf.namelist():
                            resolved = os.path.realpath(os.path.join(layer_dir, member))
                            if not resolved.startswith(os.path.realpath(layer_dir) + os.sep) \
and resolved != os.path.realpath(layer_dir):
                                raise RuntimeError(f"Zip entry escapes target dir: {member}")
                        lzf.extractall(layer_dir)
"""

_SHARES_LAYER = """\
                    layer_dir = _unpacked_once(layer_data)
"""


def unpacked_once(packed: bytes) -> str:
    """Return the folder with the content of a zip file; unpacks it where nobody has.

    Raises
    ------
    zipfile.BadZipFile
        It is none.
    """
    target = Path(tempfile.gettempdir()) / f"unpacked-{hashlib.sha256(packed).hexdigest()[:32]}"
    if not target.is_dir():
        draft = Path(tempfile.mkdtemp(prefix="unpacking-"))
        # Names that lead out of the folder are kept inside by the library.
        with zipfile.ZipFile(io.BytesIO(packed)) as content:
            content.extractall(draft)
        try:
            draft.rename(target)
        except OSError:
            # Another worker was faster; its folder is complete, since it got its name as a whole.
            shutil.rmtree(draft, ignore_errors=True)
    return str(target)


def apply(_: PatchSettings) -> None:
    """Let workers share what they only read."""
    from ministack.core import lambda_runtime

    require(holds=hasattr(lambda_runtime, "Worker"), what="lambda_runtime.Worker")
    vars(lambda_runtime).update(_unpacked_once=unpacked_once, io=io)
    rewrite(
        lambda_runtime.Worker,
        "_spawn",
        (_UNPACKS_CODE, _SHARES_CODE),
        (_MAKES_LAYER_FOLDER, ""),
        (_UNPACKS_LAYER, _SHARES_LAYER),
    )
