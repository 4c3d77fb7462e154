"""The layout as data: every room, the rooms it may import, and why it may import no other.

A new room is a new entry here; a new arrow is a name in `may`, which the review then sees. The sentences are what a
failing test prints: `why` for any arrow out of the room that is not allowed, `FORBIDDEN` where one arrow has a reason
of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

# Modules at the top of the package, which every room may import. They import nothing but one another.
GROUND = frozenset(
    {
        *("errors", "frame", "geometry", "deadline", "timestamps"),
        *("redaction", "printable", "terminal", "resources", "healthcheck"),
    }
)
# The entry point, which is above all rooms.
ENTRY = frozenset({"__main__"})


@dataclass(frozen=True, slots=True)
class Room:
    """may: the rooms it may import. why: why it may import no other."""

    may: frozenset[str]
    why: str


def _room(*may: str, why: str) -> Room:
    return Room(frozenset(may), why)


# From the ground up.
ROOMS: dict[str, Room] = {
    "system": _room(
        why="system reads the machine, whatever runs on it: nothing it reads depends on what the service does."
    ),
    "storage": _room("system", why="storage writes what it is given: what is kept, and where, others decide."),
    "settings": _room(
        *("storage", "system"),
        why="settings are read before anything runs, by every command: loading them must start and load nothing else.",
    ),
    "pictures": _room("system", why="pictures decodes files from strangers, in a process of its own."),
    "camera": _room(
        *("pictures", "system"),
        why="camera yields frames and knows nothing of who watches: its process must start fast and may die.",
    ),
    "pipeline": _room(
        *("storage", "system"),
        why="pipeline turns a picture into an answer; it is the same for the camera, an upload and the command line.",
    ),
    "focus": _room("pipeline", why="focus decides where to look, from pictures and predictions only."),
    "inspection": _room(
        *("pipeline", "storage", "system"),
        why="inspection looks inside a network, whether or not a service runs with it.",
    ),
    "registry": _room(
        *("inspection", "pipeline", "settings", "storage", "system"),
        why="registry finds and loads models for commands as well, where there is neither a camera nor a state.",
    ),
    "state": _room(
        *("pipeline", "system"),
        why="state is facts and what follows from them, wherever they come from.",
    ),
    "auth": _room("storage", "system", why="auth decides who gets in, from a request and from its own files."),
    "engine": _room(
        *("camera", "focus", "inspection", "pipeline", "registry", "settings", "state", "storage", "system"),
        why="engine runs whether or not anybody watches: watchers read the hub, and the engine waits for none of them.",
    ),
    "events": _room(
        *("pictures", "settings", "state", "storage", "system"),
        why="events follow from states and are kept on disk: they must be right whatever engine or API is around them.",
    ),
    "integrations": _room(
        *("engine", "events", "registry", "settings", "state", "storage", "system"),
        why="integrations use what everybody may use, the hub, the feed and the commands: never the API or its server.",
    ),
    "api": _room(
        *("auth", "engine", "events", "inspection", "integrations", "pictures", "pipeline", "registry"),
        *("settings", "state", "storage", "system"),
        why="api answers requests from what the engine has: it runs in tests and behind any server.",
    ),
    "server": _room(
        *("api", "auth", "engine", "events", "integrations", "registry", "settings", "state", "storage", "system"),
        why="server wires the parts and owns sockets and signals: what the parts do is theirs.",
    ),
    "bench": _room(
        *("camera", "engine", "focus", "inspection", "pipeline", "registry", "settings", "state", "system"),
        why="bench measures a running service from outside, and the parts directly.",
    ),
    "doctor": _room(
        *("auth", "camera", "integrations", "registry", "server", "settings", "storage", "system"),
        why="doctor works where the service does not even start: it asks the machine, not the service's parts.",
    ),
    "cli": _room(
        *("auth", "bench", "camera", "doctor", "events", "inspection", "integrations", "pictures"),
        *("pipeline", "registry", "server", "settings", "storage", "system"),
        why="cli is one module a verb: it reads arguments, calls a room and prints what that returns.",
    ),
}

# Arrows that somebody has wanted to draw, or will, each with the reason why not. Either end may be a module.
FORBIDDEN: dict[tuple[str, str], str] = {
    ("system", "state"): "The state is made of what the machine reports, so system would need what is built from it.",
    ("settings", "camera"): "Every command reads settings; checking an address must not load camera code.",
    ("settings", "engine"): "Settings do not put themselves into force: engine.control does, between two frames.",
    ("camera", "state"): "A camera that knew the state would have to know of watchers; the worker describes it.",
    ("camera", "settings"): "A camera gets its options when it is made: its process has no settings to read.",
    ("camera", "pipeline"): "The camera's process may run under the system's Python, which has no onnxruntime.",
    ("pipeline", "inspection"): "The answer must not depend on what somebody looks at inside the network.",
    ("pipeline", "settings"): "Thresholds and times are passed in, so that one network can serve two configurations.",
    (
        "pipeline",
        "state",
    ): "A prediction is the same for every caller; what becomes of it the engine says.",
    ("registry", "state"): "What is said of the network in use is the engine's: `lookout models` has no state.",
    ("state", "engine"): "Truth is derived from the facts when it is served: asking the worker would wait for it.",
    ("state", "registry"): "The state names the model; watching must not be able to load one.",
    ("engine", "api"): "The worker publishes to the hub and waits for no reader.",
    ("engine", "events"): "Keeping events may wait for the disk, and the camera loop must not.",
    ("events", "engine"): "Events are derived from states, so that a film of states gives the same events every time.",
    (
        "events",
        "camera",
    ): "Pictures of events come with their state, or they could be of another moment.",
    ("api", "camera"): "The API shows what the engine has; opening a camera beside it would take it from the worker.",
    ("api", "server"): "The application runs behind any server, in tests without one.",
    (
        "integrations",
        "api",
    ): "Integrations and the API are made of the same parts, neither of the other.",
    ("integrations", "camera"): "Integrations show what the engine has; the camera is the worker's.",
    ("doctor", "cli"): "The command line calls the doctor and prints what it finds, never the other way round.",
    ("doctor", "engine"): "The doctor must not open a second worker beside the service that it examines.",
    ("bench", "api"): "What clients measure is what they get: over a socket.",
}


@dataclass(frozen=True, slots=True)
class Narrow:
    """An arrow that exists for some modules only. by: who may import; what: what they may import; empty: any."""

    importer: str
    imported: str
    why: str
    by: frozenset[str] = frozenset()
    what: frozenset[str] = frozenset()


NARROW = (
    Narrow(
        *(
            "pipeline",
            "storage",
            "Only pipeline.session keeps anything on disk: graphs that are optimised.",
        ),
        by=frozenset({"pipeline.session"}),
    ),
    Narrow(
        *(
            "inspection",
            "storage",
            "Looking inside writes nothing, but the filters kept beside an added model.",
        ),
        by=frozenset({"inspection.filters"}),
        what=frozenset({"storage.atomic_files"}),
    ),
    Narrow(
        *(
            "integrations",
            "engine",
            "Integrations steer through engine.control, which checks what is changed.",
        ),
        what=frozenset({"engine.control"}),
    ),
    Narrow(
        *("cli", "integrations", "Verbs that try a broker or a target themselves, or need an extra package."),
        by=frozenset({"cli.cluster", "cli.find", "cli.mqtt", "cli.notify", "cli.parquet"}),
    ),
    Narrow(
        *("doctor", "server", "The doctor judges certificates and access as the server does, and starts nothing."),
        what=frozenset({"server.door", "server.tls"}),
    ),
)
# Packages from outside that a room does without.
WITHOUT: dict[tuple[str, str], str] = {
    ("api", "onnxruntime"): "Networks run where their threads are counted: through the classifier of the engine.",
    ("api", "onnx"): "The service parses no graphs; `lookout models add` and the inspection tools do.",
    ("engine", "onnx"): "The service parses no graphs; `lookout models add` and the inspection tools do.",
    ("server", "onnx"): "The service parses no graphs; `lookout models add` and the inspection tools do.",
    ("state", "numpy"): "The state is plain data: its readers calculate nothing.",
}
# These know of no paths in HTTP, which are spoken of from api/ upwards, or a remedy that the command line prints would
# send people to an address that nobody serves. auth decides by what a request asks for.
KNOWS_NO_PATHS = tuple(name for name in ROOMS if name not in {"auth", "api", "server", "bench", "doctor", "cli"})
