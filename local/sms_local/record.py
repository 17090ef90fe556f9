"""What of an embedded cloud runs, kept in a file so that a later command finds it."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Self

from sms_local.failures import LocalCloudError
from sms_local.places import Places
from sms_local.processes import ProcessIdentity, is_running


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One background process of an embedded cloud, by its name in the messages."""

    name: str
    identity: ProcessIdentity


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudRecord:
    """One embedded cloud: the mark its processes bear, whether it was ready, and what was started.

    Attributes
    ----------
    clock_start
        Where its virtual time began, and where `sms-local reset` puts it back to.
    """

    mark: str
    iam: bool
    clock_start: datetime
    is_ready: bool = False
    services: tuple[Service, ...] = ()

    def with_service(self, service: Service) -> Self:
        """Return the record with one more process."""
        return replace(self, services=(*self.services, service))

    @property
    def stopped(self) -> list[str]:
        """Names of the processes that were started and don't run any more."""
        return [service.name for service in self.services if not is_running(service.identity)]

    @property
    def leaders(self) -> list[ProcessIdentity]:
        """Identities of all that was started."""
        return [service.identity for service in self.services]


def read_record(places: Places) -> CloudRecord | None:
    """Return what the last command noted, None when nothing was left running.

    Raises
    ------
    LocalCloudError
        When the file was damaged.
    """
    try:
        noted = json.loads(places.record.read_text())
        services = tuple(
            Service(name=one["name"], identity=ProcessIdentity(**one["identity"]))
            for one in noted["services"]
        )
        return CloudRecord(
            mark=noted["mark"],
            iam=noted["iam"],
            clock_start=datetime.fromisoformat(noted["clock_start"]),
            is_ready=noted["is_ready"],
            services=services,
        )
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        msg = f"{places.record} cannot be read ({error!r}); end its processes by hand and delete it"
        raise LocalCloudError(msg) from error


def write_record(places: Places, record: CloudRecord) -> None:
    """Note what runs, at once or not at all."""
    places.folder.mkdir(parents=True, exist_ok=True)
    noted = asdict(record) | {"clock_start": record.clock_start.isoformat()}
    _replace(places.record, json.dumps(noted, indent=2))


def forget_record(places: Places) -> None:
    """Note that nothing runs any more."""
    places.record.unlink(missing_ok=True)


@contextmanager
def exclusive(places: Places) -> Iterator[None]:
    """Keep a second command from starting or ending the same embedded cloud at the same time.

    Raises
    ------
    LocalCloudError
        When another one is at work.
    """
    places.folder.mkdir(parents=True, exist_ok=True)
    with (places.folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            msg = f"another sms-local command is starting the cloud on port {places.port_base}; wait for it"
            raise LocalCloudError(msg) from error
        yield


def _replace(path: Path, text: str) -> None:
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_text(text)
    draft.replace(path)
