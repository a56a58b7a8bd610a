"""Fits to generated images whose parameters are known, and to real ones."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from followed import events_of, leave_at
from typer.testing import CliRunner

from napari_nanoseg.calibration import Calibration
from napari_nanoseg.cli import app
from napari_nanoseg.config.nanowires import FitNanowiresJob, NanowireConfig, nanowire_preset
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Notice, Progress
from napari_nanoseg.generators.stream import generate
from napari_nanoseg.instances import Instances
from napari_nanoseg.io.datasets import write_sample
from napari_nanoseg.io.images import read_image, write_image
from napari_nanoseg.jobs.fit_nanowires import Result, fit_generator, fit_nanowires, fit_nanowires_job
from napari_nanoseg.samples import Image, Sample

SIZE: dict[str, Any] = {"height": 192, "width": 192, "length_nm": 600, "wires": (10, 10)}
HIDDEN = {"photons": (300.0, 300.0), "blur": (1.6, 1.6), "gradient": (0.25, 0.25)}


def images_of(count: int = 3, **given: Any) -> list[Image]:
    return [one.image for one in islice(generate(NanowireConfig.parse(SIZE | {"seed": 77} | given)), count)]


def result_of(images: list[Image], annotated: list[Sample] | None = None, **given: Any) -> tuple[Result, list[str]]:
    events, result = events_of(lambda: fit_generator(images, annotated, NanowireConfig.parse(SIZE | given)))
    return result, [event.message for event in events if isinstance(event, Notice)]


def test_noise_blur_and_gradient_of_optical_densities_are_found_again() -> None:
    result, _ = result_of(images_of(detector=HIDDEN), wires=(5, 60))
    low, high = result.config.detector.photons
    assert 0.8 * 300 < np.sqrt(low * high) < 1.25 * 300
    assert 0.15 < np.mean(result.config.detector.gradient) < 0.35
    assert 0.9 < np.mean(result.config.detector.blur) < 2.6
    assert 5 < np.mean(result.config.wires) < 20
    figures = result.agreement
    assert figures["wasserstein_after"] < 0.3 * figures["wasserstein_before"]
    assert figures["spectrum_error_after"] < 0.2 * figures["spectrum_error_before"]


def test_noise_and_scan_lines_of_an_sem_are_found_again() -> None:
    look = {"look": "sem", "dtype": "uint8", "deposition": "settled", "masks": "visible"}
    sem = {"noise": (0.09, 0.09), "scan_noise": (0.015, 0.015), "substrate": (0.3, 0.3)}
    result, _ = result_of(images_of(sem=sem, **look), **look)
    fitted = result.config
    assert np.mean(fitted.sem.noise) == pytest.approx(0.09, rel=0.2)
    assert np.mean(fitted.sem.substrate) == pytest.approx(0.3, abs=0.03)
    assert np.mean(fitted.sem.scan_noise) == pytest.approx(0.015, rel=0.4)
    assert fitted.dtype == "uint8"
    assert result.agreement["spectrum_error_after"] < 0.3


def test_the_same_images_give_the_same_config_and_cancelling_ends_it() -> None:
    images = images_of(1)
    assert fit_nanowires(images, config=NanowireConfig.parse(SIZE)) == fit_nanowires(
        images, config=NanowireConfig.parse(SIZE)
    )
    events = leave_at(
        lambda event: isinstance(event, Progress), lambda: fit_generator(images, None, NanowireConfig.parse(SIZE))
    )
    assert len(events) <= 4


def test_sizes_come_from_outlined_wires_and_the_pixel_size_from_the_images() -> None:
    truth = NanowireConfig.parse(SIZE | {"pixel_size_nm": 5, "length_nm": 400, "width_nm": 40, "bent_fraction": 0})
    samples = list(islice(generate(truth), 4))
    result, notices = result_of([samples[0].image], samples)
    assert result.config.pixel_size_nm == 5
    assert result.config.length_nm == pytest.approx(400, rel=0.2)
    assert result.config.width_nm == pytest.approx(40, rel=0.15)
    assert 6 < np.mean(result.config.wires) < 15
    assert any("outlined wires:" in one for one in notices)


def test_few_wires_keep_the_spreads_of_the_config_and_a_missing_pixel_size_is_said() -> None:
    labels = np.zeros((192, 192), np.int32)
    labels[90:98, 40:100] = 1
    image = images_of(1)[0]
    bare = Image(image.data, "YX", source="bare.tif")
    one = Sample(bare, Instances.from_labels(labels))
    result, notices = result_of([bare], [one])
    assert (result.config.length_nm, result.config.length_sd) == (pytest.approx(600, rel=0.02), 0.35)
    assert result.config.width_nm == pytest.approx(80, rel=0.05)
    said = " ".join(notices)
    assert "pixel size of the images is not known; the config's 10 nm" in said
    assert "outlined wires have no pixel size" in said
    assert "too few for spreads" in said
    assert "1 outlined wire:" in said


def test_what_does_not_go_together_is_refused() -> None:
    first, second = images_of(2)
    config = NanowireConfig.parse(SIZE)
    with pytest.raises(NanosegError, match="no image"):
        fit_nanowires([], config=config)
    with pytest.raises(NanosegError, match="fit them apart"):
        fit_nanowires([first, Image(second.data, "YX", Calibration.of(3.0), "other")], config=config)
    with pytest.raises(NanosegError, match="convert them to one type"):
        fit_nanowires([first, Image((second.data > 0.1).astype(np.uint8), "YX")], config=config)
    cut = np.zeros((192, 192), np.int32)
    cut[:, 50:58] = 1
    with pytest.raises(NanosegError, match="outline at least one that the border does not cut"):
        fit_nanowires([first], [Sample(first, Instances.from_labels(cut))], config)


def test_the_command_line_writes_a_config_that_generate_takes(tmp_path: Path) -> None:
    image = images_of(1, dtype="uint8")[0]
    write_image(tmp_path / "Bild ä.tif", image)
    write_sample(tmp_path / "annotated", next(generate(NanowireConfig.parse(SIZE | {"bent_fraction": 0}))))
    out = tmp_path / "fitted.yaml"
    size = ["--height", "192", "--width", "192", "--length-nm", "600"]
    typed = ["fit", "nanowires", str(tmp_path / "Bild ä.tif"), "--annotated", str(tmp_path / "annotated"), *size]
    answer = CliRunner().invoke(app, [*typed, "--out", str(out)])
    assert answer.exit_code == 0, answer.output
    assert sorted(path.name for path in tmp_path.glob("fitted*")) == [
        "fitted.png",
        "fitted.yaml",
        "fitted.yaml.run.yaml",
    ]
    record = yaml.safe_load((tmp_path / "fitted.yaml.run.yaml").read_text(encoding="utf-8"))
    assert FitNanowiresJob.parse(record["config"]).images == (tmp_path / "Bild ä.tif",)
    assert record["figures"]["wasserstein_after"] < record["figures"]["wasserstein_before"]
    typed = ["generate", "nanowires", "--config", str(out), "--count", "1", "--out", str(tmp_path / "made")]
    answer = CliRunner().invoke(app, typed)
    assert answer.exit_code == 0, answer.output
    assert read_image(next((tmp_path / "made" / "images").iterdir())).data.dtype == np.uint8


def test_bad_files_leave_nothing_behind(tmp_path: Path) -> None:
    write_image(tmp_path / "small.png", Image(np.arange(60 * 60, dtype=np.uint16).reshape(60, 60)))
    for out, words in (("a.yaml", "at least 64 x 64"), ("a.txt", r"must end in \.yaml")):
        job = FitNanowiresJob(images=(tmp_path / "small.png",), out=tmp_path / out)
        with pytest.raises(NanosegError, match=words):
            fit_nanowires_job(job)
    assert [path.name for path in tmp_path.iterdir()] == ["small.png"]


def test_generated_sem_images_come_nearer_to_real_ones(shared_data: Path) -> None:
    image = read_image(shared_data / "nanowires_sem" / "9.tif")
    config = nanowire_preset("Ag nanowires SEM", pixel_size_nm=24.8, height=224, width=224, wires=(2, 8))
    result = fit_generator([image], None, config)
    figures = result.agreement
    assert figures["wasserstein_after"] < 0.5 * figures["wasserstein_before"]
    assert figures["spectrum_error_after"] < 0.3
    assert result.config.pixel_size_nm == 24.8
