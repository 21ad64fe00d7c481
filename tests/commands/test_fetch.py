"""Downloads arrive whole, go on where they stopped, and are what their pages say; all against a server of our own on this machine."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from safetensors.torch import save

from ctrlx.commands import hub
from ctrlx.commands.download import download
from ctrlx.commands.importing import import_control
from ctrlx.errors import BadInput, BadWeights
from ctrlx.store import Registry
from tests import tiny
from tests.controls import files


class Server(BaseHTTPRequestHandler):
    """Serves `pages` by path; breaks off after `cut` bytes where told to; knows ranges."""

    pages: dict[str, bytes] = {}
    cut: list[int] = []
    asked: list[tuple[str, dict]] = []

    def do_GET(self):  # noqa: N802
        path = self.path.partition("?")[0]
        self.asked.append((path, dict(self.headers)))
        if path == "/elsewhere":
            self.send_response(302)
            self.send_header("Location", "http://example.invalid/x")
            self.end_headers()
            return
        if path not in self.pages:
            self.send_error(404)
            return
        content, etag = self.pages[path], f'"{hashlib.sha256(self.pages[path]).hexdigest()[:8]}"'
        start = 0
        if self.headers.get("Range") and self.headers.get("If-Range") == etag:
            start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if start else 200)
        self.send_header("ETag", etag)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        body = content[start:]
        self.wfile.write(body[: self.cut.pop()] if self.cut else body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    Server.pages, Server.cut, Server.asked = {}, [], []
    running = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{running.server_port}"
    monkeypatch.setenv("CIVITAI_ENDPOINT", address)
    yield address
    running.shutdown()
    running.server_close()


@pytest.fixture
def content(home):
    tiny.write_family(home)
    return save({key: tensor.contiguous() for key, tensor in files.kohya(files.slider(tiny.unet(1))).items()})


def test_a_download_that_breaks_off_goes_on_where_it_stopped(server, tmp_path):
    Server.pages, Server.cut = {"/x.safetensors": bytes(range(256)) * 40}, [3000, 5000]
    found = download(f"{server}/x.safetensors", tmp_path, lambda *_: None)
    assert (found.file.read_bytes(), found.name) == (Server.pages["/x.safetensors"], "x.safetensors")
    assert [headers.get("Range") for _, headers in Server.asked] == [None, "bytes=5000-", "bytes=8000-"]


def test_what_never_arrives_whole_is_refused_and_goes_on_with_the_next_command(server, tmp_path):
    Server.pages, Server.cut = {"/x": bytes(9000)}, [1000] * 3
    with pytest.raises(BadWeights, match="did not arrive whole .* goes on from where it stopped"):
        download(f"{server}/x", tmp_path, lambda *_: None)
    assert download(f"{server}/x", tmp_path, lambda *_: None).file.read_bytes() == bytes(9000)
    assert Server.asked[-1][1]["Range"] == "bytes=3000-"


def test_a_file_that_changed_on_the_server_is_fetched_anew(server, tmp_path):
    Server.pages, Server.cut = {"/x": b"a" * 9000}, [1000] * 3
    with pytest.raises(BadWeights):
        download(f"{server}/x", tmp_path, lambda *_: None)
    Server.pages["/x"] = b"b" * 9000
    assert download(f"{server}/x", tmp_path, lambda *_: None).file.read_bytes() == b"b" * 9000


@pytest.mark.parametrize(("path", "sentence"), [("/nowhere", "404 .* check the address"), ("/elsewhere", "is no https address")])
def test_what_a_server_refuses_is_one_sentence(server, tmp_path, path, sentence):
    with pytest.raises(BadInput, match=sentence):
        download(f"{server}{path}", tmp_path, lambda *_: None)


@pytest.mark.parametrize("address", ["http://example.com/x.safetensors", "ftp://example.com/x", "file:///etc/passwd"])
def test_only_https_is_asked(home, address):
    with pytest.raises(BadInput, match="is no https address"):
        import_control(address)


def test_an_address_is_imported_and_leaves_no_download_behind(server, content, home):
    Server.pages = {"/files/My%20Age.safetensors": content}
    found = import_control(f"{server}/files/My%20Age.safetensors", name="age")
    assert (found.control.recipe["imported_from"], found.hashes["sha256"]) == (f"{server}/files/My%20Age.safetensors", hashlib.sha256(content).hexdigest())
    assert list((home / "downloads").iterdir()) == []


def listed(server, content, sha256=None):
    file = {"name": "age_slider.safetensors", "type": "Model", "primary": True, "downloadUrl": f"{server}/api/download/models/9",
            "hashes": {"SHA256": sha256 or hashlib.sha256(content).hexdigest().upper()}}
    version = {"id": 9, "modelId": 5, "baseModel": "SDXL 1.0", "trainedWords": ["ohwx"], "files": [{**file, "type": "Training Data"}, file]}
    Server.pages = {"/api/v1/models/5": json.dumps({"modelVersions": [version]}).encode(), "/api/v1/model-versions/9": json.dumps(version).encode(),
                    "/api/download/models/9": content}


@pytest.mark.parametrize("source", ["civitai:5", "civitai:5@9", "civitai:@9", "https://civitai.com/models/5/age?modelVersionId=9", "https://civitai.com/api/download/models/9"])
def test_civitai_s_numbers_and_addresses_lead_to_the_file(server, content, source, monkeypatch):
    monkeypatch.setenv("CIVITAI_API_TOKEN", "secret")
    listed(server, content)
    control = import_control(source).control
    assert (control.name, control.kind, control.recipe["trigger_words"], control.recipe["civitai"]["version"]) == ("age_slider", "slider", ["ohwx"], 9)
    assert all(headers["Authorization"] == "Bearer secret" for _, headers in Server.asked)


def test_a_file_that_is_not_what_its_page_says_is_refused(server, content):
    listed(server, content, sha256="0" * 64)
    with pytest.raises(BadWeights, match="not 000000000000… as its page says"):
        import_control("civitai:5")
    with Registry.open() as registry:
        assert registry.controls(family="tiny") == []


@pytest.mark.parametrize("source", ["civitai:", "civitai:abc", "https://civitai.com/user/x", "hf:one", "https://huggingface.co/a", "hf:../x"])
def test_an_address_that_names_nothing_is_one_sentence(home, source):
    with pytest.raises(BadInput, match="names no|is no name of a Hub"):
        import_control(source)


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("hf:a/b", ("a/b", None, None)),
        ("hf:a/b/c/d.safetensors@main", ("a/b", "c/d.safetensors", "main")),
        ("hf:a/b@v1", ("a/b", None, "v1")),
        ("https://huggingface.co/a/b/resolve/main/x/y.safetensors", ("a/b", "x/y.safetensors", "main")),
        ("https://huggingface.co/a/b", ("a/b", None, None)),
    ],
)
def test_a_place_on_the_hub_is_understood(source, place):
    assert hub.parse(source) == place


def test_a_repository_of_the_hub_is_imported_from_its_cache(content, home, monkeypatch, tmp_path):
    """huggingface_hub itself fetches; here it is told to find the file at hand."""
    import huggingface_hub

    (tmp_path / "pytorch_lora_weights.safetensors").write_bytes(content)
    monkeypatch.setattr(huggingface_hub, "list_repo_files", lambda repo, revision: ["README.md", "pytorch_lora_weights.safetensors"])
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda repo, file, revision: str(tmp_path / file))
    control = import_control("hf:someone/age-slider@v1").control
    assert (control.name, control.recipe["imported_from"]) == ("age-slider", "hf:someone/age-slider/pytorch_lora_weights.safetensors@v1")
