"""Models made to do harm: loading has the limits of importing, and nothing is run or made beyond the files."""

from __future__ import annotations

import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_nanoseg.config.maskrcnn import MaskRCNNConfig
from napari_nanoseg.config.model_card import ModelCard
from napari_nanoseg.config.stardist import StarDistConfig
from napari_nanoseg.config.unet import UNetConfig
from napari_nanoseg.engines.library import load_model
from napari_nanoseg.engines.maskrcnn.pickles import read_state
from napari_nanoseg.engines.stardist.keras_files import write_keras
from napari_nanoseg.engines.stardist.model import StarDistModel
from napari_nanoseg.engines.stardist.network import StarDistNet
from napari_nanoseg.errors import NanosegError

SMALL = StarDistConfig(unet_n_filter_base=4, net_conv_after_unet=8, n_rays=8)
ARRAYS = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "big": np.arange(3, dtype=">i4"),
    "half": np.ones(2, np.float16),
    "one": np.array(7, np.int64),
    "none": np.empty((0, 3), np.uint8),
    "truths": np.array([True, False]),
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("kind", [dict, OrderedDict])
def test_arrays_are_read_from_pickles_of_every_protocol(tmp_path, protocol, kind):
    path = tmp_path / "w.pkl"
    path.write_bytes(pickle.dumps({"model": kind(ARRAYS), "__author__": "x"}, protocol=protocol))
    state = read_state(path)
    assert list(state) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert state[name].numpy().dtype == array.dtype.newbyteorder("=")
        assert np.array_equal(state[name].numpy(), array)


def test_arrays_are_read_from_files_of_torch(tmp_path):
    torch.save({"model": {**ARRAYS, "tensor": torch.ones(2)}}, tmp_path / "w.pth")
    state = read_state(tmp_path / "w.pth")
    assert all(np.array_equal(state[name].numpy(), array) for name, array in ARRAYS.items())


def reduced(function: bytes, *parts: bytes) -> bytes:
    """A pickle that calls a function with parts, as the only value of a model."""
    return b"\x80\x02}X\x05\x00\x00\x00model}X\x01\x00\x00\x00a" + function + b"(" + b"".join(parts) + b"tRss."


def nested_name() -> bytes:
    """A name that is a tuple of the same tuple twice, forty times: its hash takes two to the forty steps."""
    steps = b"".join(b"h" + bytes([n]) + b"h" + bytes([n]) + b"\x86q" + bytes([n + 1]) for n in range(40))
    return b"\x80\x02}" + b")q\x00" + steps + b"K\x01s."


class Slots:
    def __reduce__(self):
        return (np.dtype, ("f4", False, True), (3, "<", np.dtype("f8"), None, None, -1, -1, 0))


PICKLES = {
    "memo": b"\x80\x02}r\xff\xff\xff\x7fX\x01\x00\x00\x00aNs.",
    "size of an array": reduced(b"cnumpy\nndarray\n", b"\x8a\x05\x00\x00\x00\x80\x00\x85", b"X\x02\x00\x00\x00f8"),
    "length of bytes": b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b".",
    "length of a text": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 62) + b".",
    "frame": b"\x80\x04\x95" + struct.pack("<Q", 1 << 50) + b"}X\x01\x00\x00\x00aNs.",
    "nested name": nested_name(),
    "type within a type": pickle.dumps({"model": {"a": Slots()}}),
    "fields": pickle.dumps({"model": {"a": np.zeros(2, [("x", "f4")])}}),
    "objects": pickle.dumps({"model": {"a": np.array([None, 1])}}),
    "texts": pickle.dumps({"model": {"a": np.array(["x"])}}),
    "dates": pickle.dumps({"model": {"a": np.array(["2026-01-01"], "M8[D]")}}),
    "set": pickle.dumps({"model": {1, 2}}),
    "class": pickle.dumps({"model": Path}),
    "instructions": b"\x80\x02cos\nsystem\n(X\x04\x00\x00\x00truetR.",
    "state of a function": b"\x80\x02c_codecs\nencode\nN}X\x0c\x00\x00\x00__defaults__N\x85s\x86b.",
    "nothing": b"",
    "no end": pickle.dumps({"model": {"a": np.zeros(3)}})[:-1],
}


@pytest.mark.parametrize("name", PICKLES)
def test_a_pickle_gets_no_more_than_it_has(tmp_path, name):
    path = tmp_path / "w.pkl"
    path.write_bytes(PICKLES[name])
    with pytest.raises(NanosegError, match=r"w\.pkl"):
        read_state(path)


def test_damaged_pickles_of_all_sorts_are_sentences(tmp_path):
    path, random = tmp_path / "w.pkl", np.random.default_rng(4)
    for protocol in (2, 4, 5):
        whole = pickle.dumps({"model": ARRAYS}, protocol=protocol)
        for _ in range(300):
            content = bytearray(whole)
            for place in random.integers(0, len(content), 3):
                content[place] = random.integers(0, 256)
            path.write_bytes(content)
            try:
                read_state(path)
            except NanosegError as error:
                assert "w.pkl" in str(error)  # noqa: PT017


def test_a_network_far_larger_than_its_weights_is_not_made(tmp_path):
    write_keras(StarDistNet(SMALL), {"prob": 0.5, "nms": 0.4}, {}, tmp_path / "keras")
    text = (tmp_path / "keras" / "config.json").read_text()
    large = text.replace('"unet_n_filter_base": 4', '"unet_n_filter_base": 256').replace(
        '"unet_n_depth": 3', '"unet_n_depth": 6'
    )
    assert large != text
    (tmp_path / "keras" / "config.json").write_text(large)
    with pytest.raises(NanosegError, match=r"describes a network with \d+ MB of weights"):
        load_model(tmp_path / "keras")
    for network in (
        StarDistConfig(unet_n_filter_base=256, unet_n_depth=6),
        UNetConfig(filters=256, levels=6),
        MaskRCNNConfig(box_fc_channels=8192, fpn_channels=2048),
    ):
        folder = tmp_path / network.engine
        StarDistModel.from_card(ModelCard(network=SMALL)).save(folder)
        hashes = load_model(folder).card.weights_sha256
        (folder / "model.yaml").write_text(ModelCard(network=network, weights_sha256=hashes).to_yaml())
        with pytest.raises(NanosegError, match=r"describes a network with \d+ MB of weights"):
            load_model(folder)


def test_weights_that_are_not_finite_are_refused(tmp_path):
    network = StarDistNet(SMALL)
    with torch.no_grad():
        next(network.parameters())[0, 0, 0, 0] = torch.nan
    write_keras(network, {"prob": 0.5, "nms": 0.4}, {}, tmp_path / "keras")
    with pytest.raises(NanosegError, match="NaN or infinite"):
        load_model(tmp_path / "keras")
    StarDistModel(network, ModelCard(network=SMALL)).save(tmp_path / "own")
    with pytest.raises(NanosegError, match="NaN or infinite"):
        load_model(tmp_path / "own")


def test_a_zip_of_keras_has_the_limits_of_an_import(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_nanoseg.io.model_cards.MOST_WEIGHTS", 1 << 20)
    write_keras(StarDistNet(SMALL), {"prob": 0.5, "nms": 0.4}, {}, tmp_path / "keras")
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in (tmp_path / "keras").iterdir():
            archive.write(file, f"inner/{file.name}")
    load_model(tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner/weights_last.h5", bytes(1 << 20))
    with pytest.raises(NanosegError, match=r"weights_last\.h5 has more than"):
        load_model(tmp_path / "a.zip")


def test_the_pickles_of_the_trial(shared_data):
    for path in sorted((shared_data / "hostile").glob("*.pkl")):
        with pytest.raises(NanosegError, match="damaged"):
            read_state(path)
