"""The simulated engine's images: nearly every image exists, and its name decides its properties.

A built image is known by its id, with the content of its build. `absent/…` does not exist and cannot be pulled;
`remote/…` exists once pulled; `ds01-UID/…`, a user's image, once tagged; `labelled/…` has labels. A name with
`noshell` has no shell, with `nobash` no bash, with `cuda` asks for all GPUs as CUDA images do, with `ubuntu` has a
user with uid 1000, with `rootconda` has its Python below /root, with `rootuv` a link to one there. A tag that looks
like a container's own (`NAME._.UID`) exists once it was added.
"""

from __future__ import annotations

import base64
import hashlib
import io
import posixpath
import tarfile

from ds01.engines.engine_errors import error_from_response
from ds01.engines.protocol import EngineImage, PathStatus
from ds01.engines.references import is_reference, split_reference, with_tag
from ds01.engines.simulated.store import Files, State, file_entry
from ds01.system.data import parse_time

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def require_full_name(reference: str) -> str:
    """Return the reference with its tag. Raises EngineRejected."""
    if not is_reference(reference):
        raise error_from_response(400, f"invalid reference format: {reference}", "use this image's name")
    return with_tag(reference)


def source_of(state: State, reference: str) -> str | None:
    """Return the first reference of a local image, or the id of a built one; None if there is no image."""
    if reference.startswith("sha256:"):
        if reference in state.get("built", {}):
            return reference
        sources_by_id = {image_id(source): source for source in state["tags"].values()}
        return sources_by_id.get(reference)
    name = require_full_name(reference)
    if name in state["tags"]:
        source: str = state["tags"][name]
        return source
    is_present = not name.startswith(("absent/", "remote/", "ds01-")) and "._." not in split_reference(name)[1]
    return name if is_present and name not in state["untagged"] else None


def describe_image(state: State, source: str) -> EngineImage:
    """Return the image whose first reference is `source`."""
    tags = {name for name, of in state["tags"].items() if of == source}
    built = state.get("built", {}).get(source)
    if built is not None:
        return EngineImage(
            id=source,
            tags=tuple(sorted(tags)),
            labels=built["labels"],
            environment=built["environment"],
            created_at=parse_time(built["created_at"]),
            size_bytes=1_000_000,
        )
    if source not in state["untagged"]:
        tags.add(source)
    environment = {"PATH": DEFAULT_PATH}
    if "cuda" in source:
        environment |= {"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "compute,utility"}
    if "rootconda" in source:
        environment["PATH"] = f"/root/miniconda3/bin:{DEFAULT_PATH}"
    if "rootuv" in source:
        environment["PATH"] = f"/opt/venv/bin:{DEFAULT_PATH}"
    labels = {"org.example.authors": "A. Author, B. Author", "ds01.managed": "true"}
    return EngineImage(
        id=image_id(source),
        tags=tuple(sorted(tags)),
        labels=labels if source.startswith("labelled/") else {},
        environment=environment,
        size_bytes=1_000_000,
    )


def root_of(state: State, source: str) -> str:
    """Return the image whose files a built image has."""
    built = state.get("built", {}).get(source)
    return source if built is None else str(built["root"])


def is_used(state: State, source: str) -> bool:
    """Return whether a container was created from it."""
    return any(container.get("source") == source for container in state["containers"].values())


def remove_image(state: State, reference: str) -> None:
    """Remove a tag, and the image with its last tag. Raises EngineNotFound, EngineConflict."""
    by_id = reference.startswith("sha256:")
    source = source_of(state, reference)
    if source is None:
        raise error_from_response(404, f"No such image: {reference}", "remove the image")
    image = describe_image(state, source)
    name = None if by_id else require_full_name(reference)
    words = f"conflict: unable to remove {reference} (must force) - "
    if name is None and len(image.tags) > 1:
        raise error_from_response(409, f"{words}image is referenced in multiple repositories", "remove the image")
    last = name is None or image.tags == (name,)
    if last and is_used(state, source):
        raise error_from_response(409, f"{words}container is using its referenced image {source}", "remove the image")
    for tag in image.tags if name is None else (name,):
        state["tags"].pop(tag, None)
        state["untagged"].append(tag)
    if last:
        state.get("built", {}).pop(source, None)


def files_of(source: str) -> Files:
    """Return the few files of an image that ds01 looks at."""
    has_shell = "noshell" not in source and source != "scratch"
    has_bash = has_shell and "nobash" not in source
    shell = "/bin/bash" if has_bash else "/bin/sh"
    users = f"root:x:0:0:root:/root:{shell}\nnobody:x:65534:65534:nobody:/:/bin/false\n"
    group = "root:x:0:\nsudo:x:27:\nvideo:x:44:\nnogroup:x:65534:\n"
    if "ubuntu" in source:
        users += "ubuntu:x:1000:1000:Ubuntu:/home/ubuntu:/bin/bash\n"
        group += "ubuntu:x:1000:\n"
    program = "/root/.local/share/uv/python/bin/python3" if "rootuv" in source else "/root/miniconda3/bin/python3"
    files = {
        "/etc/passwd": file_entry(users.encode()),
        "/etc/group": file_entry(group.encode()),
        "/etc/shadow": file_entry(b"root:*:19000:0:99999:7:::\n", mode=0o640),
    }
    if "rootuv" in source or "rootconda" in source:
        files[program] = file_entry(b"#!simulated\n", mode=0o755)
    if "rootuv" in source:
        files["/opt/venv/bin/python"] = file_entry(b"", mode=0o777, link=program)
    if has_shell:
        files["/bin/sh"] = file_entry(b"#!simulated\n", mode=0o755)
        files["/usr/local/bin/python3"] = file_entry(b"#!simulated\n", mode=0o755)
    if has_bash:
        files["/bin/bash"] = file_entry(b"#!simulated\n", mode=0o755)
    return files


def unpack_tar(archive: bytes, folder: str) -> Files:
    """Return the files and links of a tar archive, by their path below `folder`."""
    files: Files = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            path = posixpath.normpath(posixpath.join("/", folder, member.name))
            stream = tar.extractfile(member) if member.isfile() else None
            if stream is None and not member.issym():
                continue  # directories are implied by their files
            content = stream.read() if stream is not None else b""
            link = member.linkname if member.issym() else None
            files[path] = file_entry(content, mode=member.mode, uid=member.uid, gid=member.gid, link=link)
    return files


def path_status(files: Files, path: str) -> PathStatus | None:
    """Return the status of a path; directories are implied by their files, and /root is accessible to root only."""
    path = posixpath.normpath(posixpath.join("/", path))
    if path == "/root":
        return PathStatus(0o700)
    if path in files:
        return PathStatus(files[path]["mode"] & 0o777, files[path]["link"])
    prefix = path.rstrip("/") + "/"
    return PathStatus(0o755) if any(name.startswith(prefix) for name in files) else None


def pack_tar(files: Files, path: str) -> bytes | None:
    """Return a tar archive of `path` as from Docker, with names from the last part of `path` on; None if absent."""
    path = posixpath.normpath(posixpath.join("/", path))
    prefix = path.rstrip("/") + "/"
    chosen = {name: entry for name, entry in files.items() if name == path or name.startswith(prefix)}
    if not chosen:
        return None
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, entry in sorted(chosen.items()):
            content = base64.b64decode(entry["data"])
            member = tarfile.TarInfo(posixpath.relpath(name, posixpath.dirname(path)))
            member.mode, member.uid, member.gid, member.size = entry["mode"], entry["uid"], entry["gid"], len(content)
            if entry["link"] is not None:
                member.type, member.linkname = tarfile.SYMTYPE, entry["link"]
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def image_id(source: str) -> str:
    """Return the id of the image whose first reference is `source`."""
    if source.startswith("sha256:"):
        return source
    return f"sha256:{hashlib.sha256(source.encode()).hexdigest()}"
