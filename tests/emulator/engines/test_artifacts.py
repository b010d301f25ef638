"""Where the local engine can run."""

import dataclasses
import os
import platform
import sys

import pytest
from inline_snapshot import snapshot

from databricks_responses_mcp.emulator.engines.artifacts import (
    LOCAL_ENGINE,
    directory_name,
    instructions_missing_from,
    supported,
)

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux")


def test_another_wheel_has_another_directory() -> None:
    other = dataclasses.replace(LOCAL_ENGINE[1], sha256="0" * 64)
    assert directory_name(LOCAL_ENGINE) == snapshot("0.10434.0-2568f8ec1577")
    assert directory_name((LOCAL_ENGINE[0], other)) != directory_name(LOCAL_ENGINE)


def test_a_processor_without_avx512_is_told_what_it_lacks() -> None:
    old = ["fpu", "sse2", "avx", "avx2", "f16c", "fma", "bmi2"]
    assert instructions_missing_from(old) == snapshot(
        "the local model's engine needs a processor with AVX-512 "
        "(missing here: avx512_bf16, avx512_vnni, avx512bw, avx512dq, avx512f, avx512vl)"
    )
    new = [*old, "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni", "avx512_bf16"]
    assert instructions_missing_from(new) is None


@pytest.mark.parametrize(("system", "machine"), [("darwin", "arm64"), ("win32", "AMD64"), ("linux", "aarch64")])
def test_other_systems_are_told_what_it_is_built_for(
    system: str, machine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert supported() == snapshot("the local model's engine is built for 64-bit Linux on x86-64 only")


@linux_only
@pytest.mark.parametrize(
    ("libc", "reason"),
    [
        ("glibc 2.31", "the local model's engine needs glibc 2.35 or newer, and this Linux has 2.31"),
        ("glibc 1.99", "the local model's engine needs glibc 2.35 or newer, and this Linux has 1.99"),
        ("", "the local model's engine needs the GNU C library, which this Linux does not use"),
    ],
)
def test_another_c_library_is_named(libc: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(os, "confstr", lambda _: libc)
    assert supported() == reason
