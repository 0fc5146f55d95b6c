"""What a run ran on: cores, processor, kernel and versions; no host name and no path."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

from benchmarks.contenders import CONTENDERS, installed_version, node_version
from benchmarks.ground import Ground

PYTHON_PACKAGES = (
    "strawberry-graphql",
    "graphql-core",
    "sqlalchemy",
    "asyncpg",
    "starlette",
    "uvicorn",
    "uvloop",
    "orjson",
)
NODE_PACKAGES = {
    "apollo": ("@apollo/server", "graphql", "dataloader", "pg"),
    "mercurius": ("mercurius", "graphql-jit", "fastify", "graphql", "pg"),
    "postgraphile": ("postgraphile", "grafast", "grafserv", "graphql", "pg"),
}


def describe(ground: Ground, names: list[str]) -> dict[str, object]:
    versions = {"python": platform.python_version(), "postgresql": ground.postgres_version()}
    versions |= {package: version(package) for package in PYTHON_PACKAGES}
    found: dict[str, object] = {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "kernel": f"{platform.system()} {platform.release().split('-')[0]} {platform.machine()}",
        "versions": versions,
    }
    for name in names:
        if CONTENDERS[name].is_node:
            versions["node"] = node_version()
            found[name] = {package: installed_version(CONTENDERS[name], package) for package in NODE_PACKAGES[name]}
    return found


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
