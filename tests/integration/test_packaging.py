"""What pip installs: twistd finds the plugin from any folder, and loads no Django for it.

The environments are fresh but borrow what is installed here besides txchannels, so that
nothing is fetched: it is our own package that is built and looked at.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGED = ["LICENSE", "README.md", "pyproject.toml", "setup.cfg", "twisted", "txchannels"]

pytestmark = pytest.mark.slow

#: `twistd --help`, then which modules it has loaded.
TWISTD_HELP = """
import json, sys
from twisted.scripts.twistd import run
sys.argv = ["twistd", "--help"]
try:
    run()
except SystemExit as ended:
    assert not ended.code, ended.code
print(json.dumps(sorted(sys.modules)))
"""


def run(*command: object, cwd: Path) -> str:
    """What *command* prints."""
    finished = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        timeout=100,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


def install(environment: Path, *what: object, cwd: Path) -> None:
    """Install as `pip install` does, from what is at hand."""
    run(
        *(sys.executable, "-m", "pip", "--python", environment / "bin" / "python", "install"),
        *("--quiet", "--no-deps", "--no-index", "--no-build-isolation", *what),
        cwd=cwd,
    )


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A copy of what a package is built of; building leaves files beside it."""
    copy = tmp_path / "source"
    copy.mkdir()
    unwanted = shutil.ignore_patterns("__pycache__", "dropin.cache")
    for name in PACKAGED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=unwanted)
        else:
            shutil.copy(ROOT / name, copy / name)
    return copy


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """A virtual environment with everything installed here, less txchannels."""
    folder = tmp_path / "environment"
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=tmp_path)
    own = run(
        folder / "bin" / "python",
        "-c",
        "import sysconfig; print(sysconfig.get_path('purelib'))",
        cwd=tmp_path,
    )
    borrowed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    # A path named here is not searched for .pth files, so an editable txchannels stays out.
    Path(own.strip(), "borrowed.pth").write_text("\n".join(sorted(borrowed)) + "\n")
    return folder


@pytest.fixture
def wheel(source: Path, tmp_path: Path) -> Path:
    run(
        *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index"),
        *("--no-build-isolation", "--wheel-dir", tmp_path / "wheels", source),
        cwd=tmp_path,
    )
    [built] = (tmp_path / "wheels").glob("txchannels-*.whl")
    return built


def twistd_help(environment: Path, cwd: Path) -> tuple[str, set[str]]:
    """What ``twistd --help`` shows in *environment*, and the modules it has loaded."""
    *shown, loaded = run(
        environment / "bin" / "python", "-I", "-c", TWISTD_HELP, cwd=cwd
    ).splitlines()
    return "\n".join(shown), set(json.loads(loaded))


def roots(modules: set[str]) -> set[str]:
    return {module.partition(".")[0] for module in modules}


def test_without_txchannels_twistd_has_no_channels(environment: Path, tmp_path: Path) -> None:
    shown, _ = twistd_help(environment, tmp_path)
    assert "Serve a Django site" not in shown


def test_an_installed_wheel_adds_channels_to_twistd_and_loads_no_django(
    environment: Path, wheel: Path, tmp_path: Path
) -> None:
    install(environment, wheel, cwd=tmp_path)
    shown, loaded = twistd_help(environment, tmp_path)
    assert "Serve a Django site over HTTP and WebSocket." in shown
    assert roots(loaded) & {"django", "txchannels", "autobahn", "httptools"} == set()


def test_a_plain_editable_install_adds_channels_to_twistd(
    environment: Path, source: Path, tmp_path: Path
) -> None:
    install(environment, "--editable", source, cwd=tmp_path)
    shown, loaded = twistd_help(environment, tmp_path)
    assert "Serve a Django site over HTTP and WebSocket." in shown
    assert roots(loaded) & {"django", "txchannels"} == set()


def test_a_wheel_holds_every_file_of_the_package_and_one_plugin(wheel: Path, source: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    ours = {
        path.relative_to(source).as_posix()
        for path in (source / "txchannels").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert packed == ours | {"twisted/plugins/txchannels_plugin.py"}
