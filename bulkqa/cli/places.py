"""Where the jobs are: builds the adapters, on this machine or on AWS, and the portal over them."""

import shutil
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

from bulkqa import jobs
from bulkqa.errors import BulkqaError, InputError
from bulkqa.flow.corpus import Keep, Row
from bulkqa.flow.records import Rejected
from bulkqa.local.blobs import LocalBlobs
from bulkqa.local.database import Database
from bulkqa.local.label_table import LocalLabelTable
from bulkqa.local.pictures import MEDIA_TYPES, SCHEME, find_in, picture
from bulkqa.local.secret import secret_in
from bulkqa.local.task_queue import LocalTaskQueue
from bulkqa.ports import LabelingService, Store
from bulkqa.settings import JobSettings, timestamp
from bulkqa.shipped import shipped
from bulkqa.steps.corpora import BUILTIN, Label

if TYPE_CHECKING:
    from bulkqa.aws.checkup import Finding
    from bulkqa.aws.stack import Outputs
    from bulkqa.portal.app import Portal


Screen = Callable[[Iterable[Row | Rejected]], Iterable[Row | Rejected]]


class Pictures(NamedTuple):
    """What a launch does with each reference to a picture, with many at once, and with those of a sample."""

    keep: Keep | None = None
    screen: Screen = iter
    look: Screen = iter
    copy: Callable[[Iterable[str]], None] | None = None


@contextmanager
def local_store(home: Path) -> Iterator[Store]:
    """Open the embedded default below `home`: a folder of blobs beside one SQLite file."""
    database = Database(home / "bulkqa.sqlite")
    try:
        yield Store(LocalBlobs(home), LocalLabelTable(database), LocalTaskQueue(database))
    finally:
        database.close()


@contextmanager
def open_store(home: Path, stack: str | None, bucket: str | None, table: str | None) -> Iterator[Store]:
    """Open where the jobs are: a stack or bucket and table on AWS where these are named, else `home`."""
    if bucket is None and table is None and stack is None:
        with local_store(home) as store:
            yield store
        return
    with needs_aws():
        from bulkqa.aws.blobs import S3Blobs
        from bulkqa.aws.clients import make_client
        from bulkqa.aws.label_table import DynamoLabelTable
    if bucket is None and table is None:
        bucket, table = outputs_of(stack or "")[:2]
    if bucket is None or table is None:
        raise InputError("--bucket and --table go together")
    yield Store(S3Blobs(make_client("s3"), bucket), DynamoLabelTable(make_client("dynamodb"), table), None)


@cache
def outputs_of(stack: str) -> "Outputs":
    """Return what a stack says of itself."""
    with needs_aws():
        from bulkqa.aws import stack as aws_stack
        from bulkqa.aws.clients import make_client
    return aws_stack.outputs_of(make_client("cloudformation"), stack)


def outputs_for_labeling(stack: str) -> tuple[str, str, str, str]:
    """Return what a labeling job needs of a stack: role, both functions, and the worker template."""
    outputs = outputs_of(stack)
    from bulkqa.aws.stack import OUTPUTS

    found = outputs.role, outputs.pre_labeling, outputs.post_labeling, outputs.template
    for name, value in zip(("role", "pre_labeling", "post_labeling", "template"), found, strict=True):
        if value is None:
            raise BulkqaError(
                f"stack {stack!r} has no output {OUTPUTS[name]}, which a labeling job needs: deploy it again"
            )
    return cast(tuple[str, str, str, str], found)


def labeling_service() -> LabelingService:
    """Return Ground Truth, in the Region that the environment names."""
    with needs_aws():
        from bulkqa.aws.clients import make_client
        from bulkqa.aws.ground_truth import SageMakerLabeling
    return SageMakerLabeling(make_client("sagemaker"), make_client("s3"))


def summary_of_model(project: str, version: str) -> str:
    """Return the address of the summary of a Custom Labels model's evaluation."""
    with needs_aws():
        from bulkqa.aws.clients import make_client
        from bulkqa.aws.rekognition import summary_location
    return summary_location(make_client("rekognition"), project, version)


def rekognition_model(model: str, minimum: float, threads: int) -> tuple[str | None, Label]:
    """Return the ARN of a model, None for Rekognition's own labels, and what asks it for labels."""
    with needs_aws():
        from bulkqa.aws.clients import make_client
        from bulkqa.aws.rekognition import RekognitionLabels, check_model
    arn = None if model == BUILTIN else check_model(model)
    return arn, RekognitionLabels(make_client("rekognition"), arn, minimum, threads).label


def objects_below(prefix: str) -> Iterator[str]:
    """Yield the address of every object below `s3://bucket/prefix`, taken as a folder."""
    with needs_aws():
        from bulkqa.aws.blobs import S3Blobs
        from bulkqa.aws.clients import make_client
        from bulkqa.aws.pictures import split_uri
    bucket, key = split_uri(prefix)
    blobs = S3Blobs(make_client("s3"), bucket)
    return map(blobs.uri, blobs.keys(f"{key.rstrip('/')}/" if key.strip("/") else ""))


def check_up(stack: str) -> "list[Finding]":
    """Return what is found as a stack is looked over."""
    with needs_aws():
        from bulkqa.aws import checkup
        from bulkqa.aws.clients import make_client
    return list(checkup.check_up(stack, outputs_of(stack), make_client))


@contextmanager
def needs_aws() -> Iterator[None]:
    """Explain what to install where AWS' library is missing."""
    try:
        yield
    except ImportError:
        raise BulkqaError("AWS needs the extra 'aws': make setup, or pip install 'bulkqa[aws]'") from None


def shown(key: str, store: Store, home: Path) -> str:
    """Return where a person finds a blob: its address in S3, or its file below `home`."""
    uri = store.blobs.uri(key)
    return uri if uri.startswith("s3://") else str(home / key)


def now() -> str:
    """Return the time of day as job files have it."""
    return timestamp(time.time())


@contextmanager
def local_copy(corpus: str) -> Iterator[Path]:
    """Give the corpus as a file of this machine; one in S3 is fetched."""
    if not corpus.startswith("s3://"):
        if not Path(corpus).is_file():
            raise InputError(f"{corpus}: no such file")
        yield Path(corpus)
        return
    with needs_aws():
        from bulkqa.aws.clients import make_client
        from bulkqa.aws.pictures import download
    with TemporaryDirectory() as folder:
        path = Path(folder, "corpus")
        with path.open("wb") as file:
            download(make_client("s3"), corpus, cast(BinaryIO, file))
        yield path


def image_root_of(images: str | None) -> str | None:
    """Return where a job's pictures lie, as its settings have it."""
    if images is None or images.startswith("s3://"):
        return images
    if not Path(images).is_dir():
        raise InputError(f"{images}: no such folder of pictures")
    return str(Path(images).resolve())


def pictures_of(store: Store, settings: JobSettings, on_aws: bool, stack: str | None, copy: bool) -> Pictures:
    """Return what a launch does with references to pictures."""
    root = settings.image_root
    in_s3 = on_aws or (root or "").startswith("s3://")
    if copy and not on_aws:
        raise InputError("--copy-images copies within S3: name a stack, or a bucket and table")
    if not in_s3:
        return Pictures(None if root is None else find_in(Path(root)))
    if root is not None and not root.startswith("s3://"):
        raise InputError(f"{root}: pictures for AWS have to lie in S3 (s3://bucket/prefix)")
    with needs_aws():
        from bulkqa.aws.clients import make_client
        from bulkqa.aws.pictures import S3Pictures
    target = store.blobs.uri(jobs.job_key(settings.job, "images")) if copy else None
    # Without a stack, whether anybody may read a picture is for the owner of bucket and table to know.
    sources = (outputs_of(stack).image_sources if stack else ()) or ("s3://",)
    there = copy and jobs.exists(jobs.job_key(settings.job), store.blobs)
    pictures = S3Pictures(make_client("s3") if copy else None, root, sources, target, there)
    return Pictures(pictures.keep, pictures.screen, pictures.look, pictures.copy)


def picture_files(root: str | None) -> Callable[[str], tuple[Path, str] | None]:
    """Return what finds the file and media type of a picture below `root`, a folder of this machine.

    It gives None for a reference that names no such picture, and raises as `picture` does.
    """
    folder = None if root is None or root.startswith("s3://") else Path(root)

    def find(reference: str) -> tuple[Path, str] | None:
        if folder is None or not reference.startswith(SCHEME):
            return None
        return picture(folder, reference.removeprefix(SCHEME))

    return find


def pictures_to_embed(
    root: str | None, on_aws: bool, each: int, in_all: int
) -> Callable[[str], tuple[Path | bytes, str] | None]:
    """Return what finds pictures as `picture_files` does, and the contents of those of a job's in S3.

    `on_aws` says that the job is there; one of this machine may have its pictures there, too. Of one in S3
    at most `each` bytes are read, `in_all` together. It gives None for what lies elsewhere or is not read.
    """
    find = picture_files(root)
    if not on_aws and not (root or "").startswith("s3://"):
        return find
    try:
        from bulkqa.aws.clients import make_client
        from bulkqa.aws.pictures import SmallPictures
    except ImportError:
        return find
    pictures = SmallPictures(make_client("s3"), each, in_all)

    def find_in_s3(reference: str) -> tuple[Path | bytes, str] | None:
        media_type = MEDIA_TYPES.get(PurePosixPath(reference).suffix.lower())
        if not reference.startswith("s3://") or media_type is None:
            return find(reference)
        data = pictures.read(reference)
        return None if data is None else (data, media_type)

    return find_in_s3


def picture_sizes(root: str | None) -> Callable[[str], tuple[int, int] | None]:
    """Return what says width and height of a picture below `root`, a folder of this machine, in pixels.

    It gives None for every other picture, for one that cannot be read, and for all without the extra
    `analysis`.
    """
    find = picture_files(root)
    try:
        from PIL import Image
    except ImportError:
        return lambda _: None

    def size(reference: str) -> tuple[int, int] | None:
        try:
            found = find(reference)
            if found is None:
                return None
            with Image.open(found[0]) as image:  # which reads no further than it has to
                return image.size
        except (InputError, OSError, ValueError, Image.DecompressionBombError):
            return None

    return size


def fetcher(root: str | None, on_aws: bool) -> tuple[Callable[[str, BinaryIO], None], Callable[..., Any]]:
    """Return what writes a picture's bytes to a file, and a `map` for many pictures."""
    folder = None if root is None or root.startswith("s3://") else Path(root)

    def fetch_local(image: str, file: BinaryIO) -> None:
        if not image.startswith(SCHEME) or folder is None:
            raise InputError(f"{image!r} does not lie in a folder of this machine that is known")
        with picture(folder, image.removeprefix(SCHEME))[0].open("rb") as found:
            shutil.copyfileobj(found, file)

    if not on_aws:
        return fetch_local, map
    with needs_aws():
        from bulkqa.aws.calls import Threads
        from bulkqa.aws.clients import make_client
        from bulkqa.aws.pictures import download
    client = make_client("s3")

    def fetch(image: str, file: BinaryIO) -> None:
        if image.startswith("s3://"):
            download(client, image, file)
        else:
            fetch_local(image, file)

    return fetch, Threads().map


def local_portal(
    store: Store,
    home: Path,
    reviewers: tuple[str, ...],
    sock: socket.socket,
    host: str,
    results: bool = False,
) -> "Portal":
    """Return the portal of the embedded default."""
    from bulkqa.portal.app import Portal
    from bulkqa.portal.security import Signatures
    from bulkqa.portal.server import origins

    return Portal(
        store=store,
        picture=picture,
        template=shipped("templates/worker.liquid.html").read_text("utf-8"),
        reviewers=reviewers,
        signatures=Signatures(secret_in(home)),
        origins=origins(sock, host),
        results=results,
    )


@contextmanager
def listening(host: str, port: int | None) -> Iterator[socket.socket]:
    """Open the portal's socket for a block."""
    from bulkqa.portal.server import listen

    with listen(host, port) as sock:
        yield sock
