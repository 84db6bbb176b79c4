"""What the functions run: bulkqa and the library it needs there, in one folder, made by pip and no container.

The same sources, library and target give the same digest, and the folder is made once for it.
"""

import compileall
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from py_compile import PycInvalidationMode

from bulkqa.errors import BulkqaError
from infra.digests import digest_of

ROOT = Path(__file__).parent.parent
REQUIREMENTS = ROOT / "requirements" / "lambda.txt"
PARTS = ("bulkqa", "lambdas", "templates", "samples")

# glibc of the runtimes' Amazon Linux 2023 is 2.34; wheels for any before it run there.
_PLATFORMS = ("manylinux2014", "manylinux_2_17", "manylinux_2_28", "manylinux_2_34")
_MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}
_TASK_ROOT = "/var/task"

_KEPT = 6
"""Assets kept in the folder: of several runtimes, and for those who deploy at the same time."""


def build_asset(
    runtime: str, architecture: str, folder: Path = ROOT / "build" / "lambda"
) -> tuple[Path, str]:
    """Return the folder of code for a runtime ("python3.13") and architecture, and its digest.

    Where this interpreter is the runtime's the code is compiled as well: a function then starts faster.
    Raises `BulkqaError` with pip's own words where the library cannot be had.
    """
    version = runtime.removeprefix("python")
    digest = asset_digest(runtime, architecture)
    target = folder / digest
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as name:
            new = Path(name) / "asset"
            _install(new, version, architecture)
            for part in PARTS:
                shutil.copytree(ROOT / part, new / part, ignore=shutil.ignore_patterns("__pycache__"))
            if compiles(runtime):
                _compile(new)
            try:
                new.rename(target)
            except OSError:  # somebody else was faster, with the same
                if not target.exists():
                    raise
        _forget_older(folder)
    return target, digest


def _forget_older(folder: Path) -> None:
    """Delete all but the newest assets: cdk has copies of those it deployed."""
    made = sorted(
        (one for one in folder.iterdir() if len(one.name) == 64), key=lambda one: one.stat().st_mtime
    )
    for one in made[:-_KEPT]:
        shutil.rmtree(one, ignore_errors=True)


def asset_digest(runtime: str, architecture: str) -> str:
    """Return what stands for the asset's contents: it changes with the sources, the library, the target."""
    target = f"{runtime} {architecture} {compiles(runtime)}"
    return digest_of(ROOT, *PARTS, str(REQUIREMENTS.relative_to(ROOT)), "infra/asset.py", salt=target)


def compiles(runtime: str) -> bool:
    """Say whether compiled code of this interpreter runs on a runtime."""
    return runtime == "python{}.{}".format(*sys.version_info)


def _install(target: Path, version: str, architecture: str) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += [
        "--require-hashes",
        "--requirement",
        str(REQUIREMENTS),
        "--target",
        str(target),
        "--no-compile",
    ]
    command += ["--only-binary", ":all:", "--implementation", "cp", "--python-version", version]
    for platform in _PLATFORMS:
        command += ["--platform", f"{platform}_{_MACHINES[architecture]}"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if run.returncode:
        raise BulkqaError(f"the functions' library cannot be installed: {run.stderr.strip()}")
    shutil.rmtree(target / "bin", ignore_errors=True)


def _compile(folder: Path) -> None:
    # Never checked against the sources: the asset's are not edited, and zip files round their times.
    compiled = compileall.compile_dir(
        folder,
        quiet=2,
        stripdir=str(folder),
        prependdir=_TASK_ROOT,
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
    )
    if not compiled:
        raise BulkqaError("the functions' code cannot be compiled")
