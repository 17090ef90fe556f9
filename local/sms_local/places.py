"""Where the embedded cloud listens and keeps its files."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: The repository. The package is always installed editable: it is a tool of this checkout and is never
#: shipped.
PROJECT_ROOT = Path(__file__).resolve().parents[2]

#: Everything written by the embedded cloud, ignored by git.
WORK_FOLDER = PROJECT_ROOT / ".local"

DEFAULT_PORT_BASE = 4570
REGION = "us-east-1"
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Ports, endpoints and files of one embedded cloud; several are told apart by their port base.

    Raises
    ------
    ValueError
        When `port_base` leaves no room for the three ports.
    """

    port_base: int = DEFAULT_PORT_BASE
    work_folder: Path = WORK_FOLDER

    def __post_init__(self) -> None:
        if not 1024 <= self.port_base <= 65533:
            msg = f"the port base must be between 1024 and 65533, got {self.port_base}"
            raise ValueError(msg)

    @property
    def ports(self) -> dict[str, int]:
        """Name of each listener and its port."""
        return {
            "emulator": self.port_base,
            "carrier simulator": self.port_base + 1,
            "phone page": self.port_base + 2,
        }

    @property
    def aws_endpoint(self) -> str:
        """The emulator, for every AWS client."""
        return f"http://{HOST}:{self.port_base}"

    @property
    def carrier_endpoint(self) -> str:
        """The carrier simulator: its service API at `/`, its control API under `/control/`."""
        return f"http://{HOST}:{self.port_base + 1}"

    @property
    def front_door(self) -> str:
        """The phone page and the public face of the HTTP API: links in texts begin with it."""
        return f"http://{HOST}:{self.port_base + 2}"

    @property
    def folder(self) -> Path:
        """Files of this one embedded cloud."""
        return self.work_folder / f"cloud-{self.port_base}"

    @property
    def record(self) -> Path:
        """What runs: see `sms_local.record`."""
        return self.folder / "record.json"

    @property
    def outputs(self) -> Path:
        """The JSON of `sms-local outputs`, written when the deployment is done."""
        return self.folder / "outputs.json"

    def log(self, name: str) -> Path:
        """Return the file that takes what the process called `name` prints."""
        return self.folder / f"{name.replace(' ', '-')}.log"


def recorded_places(work_folder: Path = WORK_FOLDER) -> Iterator[Places]:
    """Yield the places of every embedded cloud that left a record, running or not."""
    for record in sorted(work_folder.glob("cloud-*/record.json")):
        _, _, base = record.parent.name.partition("-")
        if base.isdecimal():
            yield Places(port_base=int(base), work_folder=work_folder)
