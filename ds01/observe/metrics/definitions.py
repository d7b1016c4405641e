"""The names of all metrics, with their help and labels: for the metrics themselves, the documentation, and tests."""

from __future__ import annotations

from ds01.dataclass import dataclass

# The states of a slot, as in ServerSlot.
SLOT_STATES = ("free", "leased", "held", "waiting", "reserved", "busy_outside", "unhealthy")


@dataclass(frozen=True)
class Definition:
    """A metric. `labels` are in the order of the samples' values. `counter`: it only grows; else it is a gauge."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    counter: bool = False


_LEASE = ("slot", "uuid", "gpu", "user", "group", "container")
_USER = ("user", "group")

DEFINITIONS = (
    Definition("ds01_up", "1 if Docker and the GPUs answered, else 0: what depends on them is then missing."),
    Definition("ds01_build_info", "Always 1; the versions of ds01 and of NVIDIA's driver.", ("version", "driver")),
    Definition("ds01_slots", "Number of GPU slots in a state.", ("kind", "profile", "state")),
    Definition("ds01_gpu_healthy", "1 if a physical GPU may be leased, else 0.", ("gpu", "uuid", "model")),
    Definition("ds01_lease_info", "Always 1; who has a slot.", _LEASE),
    Definition("ds01_lease_lost", "1 if a leased slot is gone from the hardware, or does not answer.", _LEASE),
    Definition("ds01_lease_seconds", "For how long a slot has been leased.", _LEASE),
    Definition(
        "ds01_lease_idle_seconds", "For how long a leased slot's container has been idle or stopped; 0: in use.", _LEASE
    ),
    Definition("ds01_hold_seconds_left", "Until the slot of a stopped container comes free.", _LEASE),
    Definition("ds01_user_slots", "Slots of a user that count against the quota.", _USER),
    Definition("ds01_user_slots_quota", "A user's quota of slots; missing: unlimited.", _USER),
    Definition("ds01_user_containers", "Containers of a user, stopped ones included.", _USER),
    Definition("ds01_user_containers_quota", "A user's quota of containers; missing: unlimited.", _USER),
    Definition("ds01_user_containers_running", "Running containers of a user.", _USER),
    Definition("ds01_user_waiting", "Requests of a user in the queue.", _USER),
    Definition("ds01_user_cpu_cores", "Cores that a user's containers use, as the mean since the last tick.", _USER),
    Definition("ds01_user_memory_bytes", "Memory that a user's containers use.", _USER),
    Definition("ds01_user_lease_seconds_total", "For how long a user has leased slots.", _USER, counter=True),
    Definition("ds01_user_held_seconds_total", "Of it, held by stopped containers.", _USER, counter=True),
    Definition("ds01_user_idle_seconds_total", "Of it, by running containers that were idle.", _USER, counter=True),
    Definition("ds01_user_used_seconds_total", "Of it, utilisation times time, where known.", _USER, counter=True),
    Definition("ds01_queue_length", "Requests that wait for a GPU."),
    Definition("ds01_queue_oldest_wait_seconds", "For how long the oldest request has waited; 0: nobody waits."),
    Definition("ds01_tick_age_seconds", "Since the last pass of the automation began, when this was measured."),
    Definition("ds01_tick_duration_seconds", "How long the last pass of the automation took."),
    Definition("ds01_tick_start_timestamp_seconds", "When the last pass of the automation began."),
    Definition("ds01_tick_last_good_timestamp_seconds", "When the last pass without an error began."),
    Definition("ds01_tick_errors", "What the last pass could not do."),
    Definition("ds01_tick_unknown_items", "What the last pass could not decide, or not yet."),
    Definition("ds01_tick_containers", "Containers that the last pass looked at."),
    Definition(
        "ds01_disk_use_bytes",
        "Disk space by kind and user; no user: nobody's, like shared layers.",
        ("kind", "user"),
    ),
    Definition("ds01_disk_use_measured_timestamp_seconds", "When that disk space was measured.", ("kind", "user")),
    Definition("ds01_filesystem_size_bytes", "Size of a file system that ds01 needs.", ("path",)),
    Definition("ds01_filesystem_free_bytes", "Free space of a file system that ds01 needs.", ("path",)),
    Definition(
        "ds01_outside_use", "Containers and processes that use a slot outside ds01.", ("slot", "what", "who", "user")
    ),
    Definition("ds01_outside_slots", "Slots that are used outside ds01."),
    Definition("ds01_complaints", "What needs an administrator; `ds01 doctor` says what."),
)
