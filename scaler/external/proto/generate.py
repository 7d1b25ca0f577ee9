"""Generate the Python modules of the protocol: ``python -m scaler.external.proto.generate [DIRECTORY]``.

They are written into the source tree, or into the same folders below DIRECTORY. The file keeps its path below the root
as its name in the descriptor pool, so that another copy of the protocol in the same process does not clash with it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
PROTO = Path("scaler/external/proto/externalscaler.proto")


def generate(into: Path) -> None:
    """Write the modules below ``into``. Needs grpcio-tools, which the extra ``dev`` brings.

    Raises:
        CalledProcessError: the compiler did not run or refused the file; it has said why on standard error.
    """
    command = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={ROOT}"]
    outputs = [f"--python_out={into}", f"--pyi_out={into}"]
    subprocess.run([*command, *outputs, PROTO.as_posix()], check=True)  # noqa: S603, no part of it is foreign


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if sys.argv[1:] else ROOT)
