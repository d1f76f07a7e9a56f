"""What an image is built with: Cloud Storage's upload, Cloud Build, and Artifact Registry.

A build fails where its service account lacks a right or the archive lacks a file; nothing is run.
"""

from __future__ import annotations

import io
import re
import tarfile
from typing import Final

import orjson

from local.gcp.api import (
    ApiError,
    Call,
    Route,
    already_exists,
    find,
    invalid,
    listed,
    not_found,
    take,
)
from local.gcp.state import GoogleState, Json
from local.http_server import JsonResponse

_REGION: Final = "projects/{project}/locations/{region}"
_REPOSITORIES: Final = f"artifactregistry/v1/{_REGION}/repositories"
_BUILDS: Final = f"cloudbuild/v1/{_REGION}/builds"
_BUCKETS: Final = "storage/b"
# The client of Cloud Storage sends the fields of the object and its content as two parts.
_PARTS: Final = re.compile(rb"\r?\n\r?\n(\{.*?\})\r?\n--.*?\r?\n\r?\n(.*)\r?\n--", re.DOTALL)
# Google: Cloud Build "user-specified service accounts", with the logs in Cloud Logging only.
_BUILDER: Final = (
    "roles/logging.logWriter",
    "roles/artifactregistry.writer",
    "roles/storage.objectViewer",
)
_IMAGE: Final = re.compile(r"([a-z0-9-]+)-docker\.pkg\.dev/([^/]+)/([^/]+)/(\S+)")


class Images:
    """The repositories, and the builds that put images into them."""

    def __init__(self, state: GoogleState) -> None:
        """Takes the state."""
        self._state = state
        self._buckets: set[str] = set()
        self._builds: list[Json] = []

    def routes(self) -> tuple[Route, ...]:
        """Returns the operations that gcloud uses."""
        return (
            Route("GET", _REPOSITORIES, self._list),
            Route("POST", _REPOSITORIES, self._create, changes=True),
            Route("GET", f"{_REPOSITORIES}/{{name}}", self._describe),
            Route("DELETE", f"{_REPOSITORIES}/{{name}}", self._delete, changes=True),
            Route("GET", _BUCKETS, self._list_buckets),
            Route("POST", _BUCKETS, self._create_bucket),
            Route("GET", f"{_BUCKETS}/{{name}}", self._bucket),
            Route("POST", "upload/storage/v1/b/{name}/o", self._upload),
            Route("POST", _BUILDS, self._build, changes=True),
            Route("GET", f"{_BUILDS}/{{name}}", self._built),
        )

    def _place(self, call: Call) -> str:
        return f"projects/{self._state.project}/locations/{call.params['region']}"

    def _list(self, call: Call) -> JsonResponse:
        names = self._state.repositories
        return listed("repositories", [self._repository(call, name) for name in names])

    def _describe(self, call: Call) -> JsonResponse:
        find(self._state.repositories, call)
        return JsonResponse(200, self._repository(call, call.params["name"]))

    def _repository(self, call: Call, name: str) -> Json:
        return {"name": f"{self._place(call)}/repositories/{name}", "format": "DOCKER"}

    def _create(self, call: Call) -> JsonResponse:
        name = call.query["repositoryId"]
        if name in self._state.repositories:
            raise already_exists(name)
        if call.fields().get("format") != "DOCKER":
            raise invalid("format: only DOCKER is known here")
        self._state.repositories[name] = set()
        return self._done(call)

    def _delete(self, call: Call) -> JsonResponse:
        take(self._state.repositories, call)
        return self._done(call)

    def _done(self, call: Call) -> JsonResponse:
        name = f"{self._place(call)}/operations/done"
        return JsonResponse(200, {"name": name, "done": True, "response": {}})

    def _list_buckets(self, call: Call) -> JsonResponse:
        prefix = call.query.get("prefix", "")
        found = [self._shown(name) for name in self._buckets if name.startswith(prefix)]
        return listed("items", found)

    def _create_bucket(self, call: Call) -> JsonResponse:
        name = call.fields()["name"]
        self._buckets.add(name)
        return JsonResponse(200, self._shown(name))

    def _bucket(self, call: Call) -> JsonResponse:
        name = call.params["name"]
        if name not in self._buckets:
            raise not_found(name)
        return JsonResponse(200, self._shown(name))

    def _shown(self, name: str) -> Json:
        return {"id": name, "name": name, "projectNumber": self._state.number}

    def _upload(self, call: Call) -> JsonResponse:
        bucket, name = call.params["name"], call.query["name"]
        parts = _PARTS.search(call.body)
        if bucket not in self._buckets or parts is None:
            raise not_found(bucket)
        size = int(orjson.loads(parts[1])["size"])
        self._state.uploads[f"{bucket}/{name}"] = parts[2][:size]
        shown = {"bucket": bucket, "name": name, "generation": "1", "size": str(size)}
        return JsonResponse(200, shown)

    def _build(self, call: Call) -> JsonResponse:
        """Returns a build that has ended as it would end."""
        fields, number = call.fields(), len(self._builds) + 1
        build: Json = {
            **fields,
            "id": f"build-{number}",
            "name": f"{self._place(call)}/builds/build-{number}",
            "projectId": self._state.project,
            "createTime": "2026-01-01T00:00:00Z",
            "status": "SUCCESS",
        }
        try:
            self._check(fields)
        except ApiError as error:
            build |= {"status": "FAILURE", "statusDetail": error.message}
            build["failureInfo"] = {"type": "USER_BUILD_STEP", "detail": error.message}
        self._builds.append(build)
        metadata = {
            "@type": "type.googleapis.com/google.devtools.cloudbuild.v1.BuildOperationMetadata",
            "build": build,
        }
        return JsonResponse(200, {"name": f"operations/build-{number}", "metadata": metadata})

    def _check(self, fields: Json) -> None:
        account = fields.get("serviceAccount", "").rpartition("/")[2]
        for role in _BUILDER:
            if f"serviceAccount:{account}" not in self._state.members("project", role):
                raise invalid(f"{account or 'the default account'} lacks {role}")
        if fields.get("options", {}).get("logging") != "CLOUD_LOGGING_ONLY":
            # Google: "user-specified service accounts", otherwise a bucket for logs is required.
            raise invalid("build.service_account needs a bucket for logs, or CLOUD_LOGGING_ONLY")
        source = fields["source"]["storageSource"]
        archive = self._state.uploads.get(f"{source['bucket']}/{source['object']}")
        if archive is None:
            raise not_found(source["object"])
        with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
            names = {name.removeprefix("./") for name in opened.getnames()}
        image = fields["substitutions"]["_IMAGE"]
        for step in fields["steps"]:
            for file in (a.partition("=")[2] for a in step["args"] if a.startswith("--file=")):
                if file not in names:
                    raise invalid(f"unable to read {file}: no such file")
        _, project, repository, name = self._parts(image)
        if project != self._state.project or repository not in self._state.repositories:
            raise not_found(f'Repository "{repository}" not found')
        self._state.repositories[repository].add(name)

    def _parts(self, image: str) -> tuple[str, ...]:
        if (parts := _IMAGE.fullmatch(image)) is None:
            raise invalid(f"invalid image name {image!r}")
        return parts.groups()

    def _built(self, call: Call) -> JsonResponse:
        builds = {build["id"]: build for build in self._builds}
        return JsonResponse(200, find(builds, call))
