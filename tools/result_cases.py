"""The named cases that a recording does: jobs and public functions on the sample data and on real data."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import GeneratorType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from result_jobs import run_job

Values = Mapping[str, Any]
SHAPES = ("sphere", "cube", "rod", "other")
PER_SHAPE = 3
"""Micrographs of each shape of particles in EMPS that are segmented."""
CLASSES = ("crack", "void", "carbon/binder", "particle")
STARDIST = {"engine": "stardist", "unet_n_filter_base": 8, "unet_n_depth": 2, "net_conv_after_unet": 16, "n_rays": 16}
UNET = {"engine": "unet", "filters": 4, "levels": 2}
MASKRCNN = {
    "engine": "maskrcnn",
    "fpn_channels": 32,
    "box_fc_channels": 32,
    "mask_conv_channels": 32,
    "mask_conv_count": 1,
    "roi_batch_per_image": 32,
    "anchor_sizes": [16.0, 32.0, 64.0, 128.0, 256.0],
    "rpn_post_nms_topk_train": 100,
}
SHORT = {"steps": 6, "steps_per_epoch": 3, "patch_size": 64, "batch_size": 2, "workers": 0, "device": "cpu", "seed": 1}


@dataclass(frozen=True)
class Case:
    """One thing to do.

    Parameters
    ----------
    work : callable
        Takes the case's folder, writes into its folder ``out`` and returns further results by name.
    needs : tuple of str
        Cases whose folders it reads.
    """

    work: Callable[[Path], Values]
    needs: tuple[str, ...] = ()


def catalogue(out: Path, data: Path) -> dict[str, Case]:
    """All cases by name, in the order of their needs; those on real data only where these are.

    Parameters
    ----------
    out : Path
        Folder of the recording, which holds the folders of the cases.
    data : Path
        Folder of the real data.
    """
    from napari_nanoseg.io.sample_data import sample_data

    sample = sample_data()
    cases = {"inputs": Case(lambda folder: _inputs(folder, sample, data))}
    cases |= _generating(out, sample) | _segmenting(out, sample) | _measuring(out, sample) | _training(out, sample)
    cases |= _cracks(out, sample) | _functions(out, sample)
    return cases | _real(out, data) if data.is_dir() else cases


def finish(steps: Any) -> Any:
    """The result of a function, also where it is a generator of events that returns it."""
    if not isinstance(steps, GeneratorType):
        return steps
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value


def _job(kind: str, needs: tuple[str, ...] = (), out: str | None = "out", **values: Any) -> Case:
    """Make the case of one job that writes to `out` in the case's folder."""

    def work(folder: Path) -> Values:
        return run_job(folder, {"job": kind, **values} | ({} if out is None else {"out": folder / out}))

    return Case(work, needs)


def _inputs(folder: Path, sample: Path, data: Path) -> Values:
    """Write the images that cases need beside the sample data: made without napari-nanoseg."""
    from PIL import Image
    from tifffile import imread, imwrite

    made = folder / "out"
    made.mkdir()
    grey = imread(sample / "particles.tif")
    truth = imread(sample / "particles_truth.tif")
    imwrite(made / "inverted.tif", 255 - grey)
    imwrite(made / "crop.tif", grey[200:456, 300:556])
    imwrite(made / "crop_truth.tif", truth[200:456, 300:556])
    imwrite(
        made / "stack.tif",
        np.stack([grey[:256, :256], grey[256:512, 256:512], grey[100:356, 500:756]]),
        photometric="minisblack",
    )
    imwrite(made / "deep.tif", grey[200:456, 300:556].astype(np.float32) * 3.7 - 11)
    (made / "truth").mkdir()
    imwrite(made / "truth" / "particles.tif", truth)
    imwrite(made / "shifted_truth.tif", np.roll(np.where(truth % 7 == 0, 0, truth), (3, -2), (0, 1)))
    colour = np.stack([grey[:384, :384], grey[:384, :384] // 2, 255 - grey[:384, :384]], axis=-1)
    Image.fromarray(colour).save(made / "colour.png")
    rng = np.random.default_rng(5)
    beam = 900 + 60 * np.arange(3)[:, None, None] + 40 * np.linspace(0, 1, 160)
    wires = imread(sample / "network" / "images" / "network.tif")[:160, :160] / 255
    transmission = rng.poisson(beam * np.exp(-1.5 * wires)).astype(np.uint16)
    transmission[1, 40, 50] = 0
    reference = rng.poisson(np.broadcast_to(beam, transmission.shape)).astype(np.uint16)
    imwrite(made / "transmission.tif", transmission, photometric="minisblack")
    imwrite(made / "reference.tif", reference, photometric="minisblack")
    imwrite(made / "region.tif", np.pad(np.ones((20, 30), np.uint8), ((5, 135), (7, 123))))
    volume = imread(sample / "cathode" / "cathode.tif")
    classes = imread(sample / "cathode" / "classes.tif")
    for name in ("images", "masks"):
        (made / "slices" / name).mkdir(parents=True)
        (made / "volumes" / name).mkdir(parents=True)
        (made / "scribbles" / name).mkdir(parents=True)
    for z in (4, 12, 20, 28):
        imwrite(made / "slices" / "images" / f"z{z:02}.tif", volume[z])
        imwrite(made / "slices" / "masks" / f"z{z:02}.tif", (classes[z] == 1).astype(np.uint8) * 255)
        imwrite(made / "scribbles" / "images" / f"z{z:02}.tif", volume[z])
        sparse = np.where(rng.random(classes[z].shape) < 0.2, np.where(classes[z] == 1, 2, 1), 0)
        imwrite(made / "scribbles" / "masks" / f"z{z:02}.tif", sparse.astype(np.uint8))
    for part in range(2):
        at = slice(16 * part, 16 * part + 16)
        imwrite(made / "volumes" / "images" / f"part{part}.tif", volume[at, :96, :96])
        imwrite(made / "volumes" / "masks" / f"part{part}.tif", classes[at, :96, :96])
    (made / "raw.raw").write_bytes(volume[:, :100, :120].astype(">u2").tobytes())
    if data.is_dir():
        (made / "nanowires").mkdir()
        for name in ("4", "9", "13"):
            imwrite(
                made / "nanowires" / f"{name}.tif",
                np.ascontiguousarray(imread(data / "nanowires_sem" / f"{name}.tif")[::2, ::2]),
            )
    return {}


def _generating(out: Path, sample: Path) -> dict[str, Case]:
    small = {"height": 192, "width": 224, "seed": 3}
    cut: dict[str, Any] = {"source": sample / "annotated", "count": 3}
    cathode = {"depth": 16, "height": 96, "width": 96, "seed": 2, "pixel_size_nm": 140.0}
    cases = {
        "generate_cutpaste": _job("generate", **cut, workers=1, config=small),
        "generate_cutpaste_workers": _job("generate", **cut, workers=2, config=small),
        "generate_cutpaste_touching": _job(
            "generate",
            source=sample / "network",
            count=2,
            workers=1,
            config=small
            | {"overlap": "touching", "contrast_mode": "occlusion", "backgrounds": ["flat"], "dtype": "uint16"},
        ),
        "generate_nanowires": _job("nanowires", count=2, workers=1, config=small),
        "generate_cathode_slices": _job("cathode", count=2, workers=1, config=cathode | {"slices": 3}),
        "generate_cathode_volumes": _job(
            "cathode",
            count=1,
            workers=1,
            preset="NMC cracked near the separator",
            config=cathode | {"output": "volumes", "masks": "classes"},
        ),
    }
    for preset in ("V2O5 ptychography", "V2O5 STXM", "Ag nanowires SEM"):
        name = f"generate_{preset.split()[0]}_{preset.split()[-1]}".lower()
        cases[name] = _job("nanowires", count=2, workers=1, preset=preset, config=small)
    cases["generate_rods"] = _job(
        "nanowires", count=3, workers=1, preset="Au nanorods TEM", config=small | {"rods": [4, 8], "spheres": [0, 2]}
    )
    return cases


def _segmenting(out: Path, sample: Path) -> dict[str, Case]:
    made = out / "inputs" / "out"
    needs = ("inputs",)
    particles = [sample / "particles.tif"]

    def segment(model: str, images: list[Path], needs: tuple[str, ...] = needs, **config: Any) -> Case:
        return _job("segment", needs, model=model, images=images, config={"device": "cpu", **config})

    def with_coco(folder: Path) -> Values:
        values = {"job": "segment", "model": "starter", "images": particles, "out": folder / "out"}
        return run_job(folder, values | {"coco": folder / "out" / "all.json"})

    return {
        "segment_starter": Case(with_coco),
        "segment_starter_told": segment(
            "starter", particles, (), diameter=45.0, tile=256, probability=0.3, overlap=0.2, min_area=50.0, border=16
        ),
        "segment_starter_inverted": segment("starter", [made / "inverted.tif"], diameter=60.0, invert="auto"),
        "segment_starter_invert_yes": segment("starter", [made / "inverted.tif"], invert="yes"),
        "segment_starter_kinds": segment(
            "starter", [made / name for name in ("stack.tif", "colour.png", "deep.tif", "crop.tif")], tile=128
        ),
        "segment_watershed": segment("watershed", [*particles, made / "stack.tif", made / "colour.png"]),
        "segment_watershed_local": segment(
            "watershed",
            particles,
            (),
            diameter=50.0,
            tile=256,
            min_area=20.0,
            baseline={"method": "local", "smoothing": 2.0, "window": 4.0, "depth": 0.3, "holes": 0.0},
        ),
        "segment_watershed_dark": segment(
            "watershed", [made / "inverted.tif"], invert="yes", baseline={"polarity": "dark", "least_area": 0.0}
        ),
        "segment_threshold": segment("threshold", [*particles, made / "stack.tif", made / "deep.tif"]),
        "segment_threshold_local": segment(
            "threshold", particles, (), tile=128, baseline={"method": "local", "smoothing": 0.0, "holes": 1.0}
        ),
    }


def _measuring(out: Path, sample: Path) -> dict[str, Case]:
    made = out / "inputs" / "out"
    truth, image = sample / "particles_truth.tif", sample / "particles.tif"
    found = out / "segment_starter" / "out"
    transmission = [made / "transmission.tif"]
    return {
        "measure_nm": _job("measure", out="out/table.csv", labels=[truth], images=[sample]),
        "measure_px_workbook": _job(
            "measure",
            ("inputs",),
            out="out/table.xlsx",
            labels=[made / "crop_truth.tif", made / "shifted_truth.tif"],
            config={"exclude_border": False},
        ),
        "measure_wires": _job(
            "measure",
            out="out/table.csv",
            labels=[sample / "network"],
            images=[sample / "network" / "images"],
            config={"pixel_size_nm": 10.0},
        ),
        "measure_found": _job(
            "measure", ("segment_starter",), out="out/table.csv", labels=[found / "all.json"], images=[image]
        ),
        "evaluate_labels": _job(
            "evaluate", ("inputs",), truth=truth, prediction=made / "shifted_truth.tif", images=[image]
        ),
        "evaluate_coco": _job(
            "evaluate",
            ("segment_starter", "inputs"),
            truth=made / "truth",
            prediction=found / "all.json",
            images=[image],
            config={"size_unit": "nm", "pixel_size_nm": 2.5, "size_limits": [100.0, 200.0], "max_detections": 50},
        ),
        "evaluate_strict": _job(
            "evaluate",
            ("segment_starter",),
            truth=made / "truth",
            prediction=found,
            config={"iou_threshold": 0.8, "exclude_border": False, "least_aspect_ratio": 1.0},
        ),
        "evaluate_wires": _job("evaluate", truth=sample / "network", prediction=sample / "network" / "masks"),
        "evaluate_pixels": _job(
            "evaluate",
            truth=sample / "cathode" / "classes.tif",
            prediction=sample / "cathode" / "classes.tif",
            tolerance=1.0,
        ),
        "density": _job("density", ("inputs",), images=transmission),
        "density_region": _job(
            "density", ("inputs",), images=transmission, region=made / "region.tif", config={"dark": 5.0}
        ),
        "density_rows": _job(
            "density", ("inputs",), images=transmission, config={"rows": [2, 12], "columns": [5, 60], "floor": None}
        ),
        "density_reference": _job(
            "density", ("inputs",), images=transmission, reference=made / "reference.tif", config={"clip": True}
        ),
        "check_particles": _job("check", out=None, dataset=sample / "annotated"),
        "check_wires": _job("check", out=None, dataset=sample / "network"),
        "check_classes": _job("check", ("inputs",), out=None, dataset=made / "slices", labels="dense"),
        "check_scribbles": _job("check", ("inputs",), out=None, dataset=made / "scribbles", labels="sparse"),
    }


def _training(out: Path, sample: Path) -> dict[str, Case]:
    made = out / "inputs" / "out"
    wires = out / "generate_rods" / "out"

    def train(dataset: Path, engine: Values, needs: tuple[str, ...] = (), *, start: Any = None, **config: Any) -> Case:
        values = {"engine": engine} | SHORT | config
        return _job("train", needs, dataset=dataset, start_from=start, config=values)

    def interrupted(dataset: Path, engine: Values, needs: tuple[str, ...], **config: Any) -> Case:
        def work(folder: Path) -> Values:
            values = {"engine": engine} | SHORT | config
            job = {"job": "train", "dataset": dataset, "start_from": None, "config": values, "out": folder / "model"}
            run_job(folder, job, cancel_at=4)
            again = run_job(folder, job | {"resume": True})
            (folder / "out").mkdir()
            shutil.copy(folder / "model" / "weights.safetensors", folder / "out")
            return {name: value for name, value in again.items() if name.startswith("figure")}

        return Case(work, needs)

    particles: dict[str, Any] = {"working_diameter": 16.0, "synthetic_per_real": 1}
    apart: dict[str, Any] = {"working_diameter": None, "synthetic_per_real": 0}
    network = made / "slices"
    three = UNET | {"dimensions": "3d", "classes": list(CLASSES)}
    return {
        "train_stardist": train(sample / "annotated", STARDIST, **particles),
        "train_stardist_worker": train(sample / "annotated", STARDIST, **particles | {"workers": 1}),
        "train_stardist_validated": train(
            wires,
            STARDIST,
            ("generate_rods",),
            schedule="plateau",
            invert=0.5,
            stretch=2.0,
            patience=1,
            validation_fraction=0.5,
            **apart | {"working_diameter": 16.0},
        ),
        "train_stardist_resumed": interrupted(sample / "annotated", STARDIST, (), **particles),
        "train_starter_tuned": train(
            sample / "annotated", {"engine": "stardist"}, start="auto", steps=4, steps_per_epoch=2
        ),
        "train_stardist_tuned": train(
            sample / "annotated", STARDIST, ("train_stardist",), start=out / "train_stardist" / "out", **particles
        ),
        "train_unet": train(network, UNET, ("inputs",), steps=60, steps_per_epoch=20, learning_rate=0.01),
        "train_unet_batch": train(network, UNET | {"normalisation": "batch", "focal": 1.0}, ("inputs",)),
        "train_unet_neighbours": train(
            made / "volumes", three | {"dimensions": "2.5d"}, ("inputs",), validation_fraction=0.5
        ),
        "train_unet_volumes": train(
            made / "volumes", three | {"normalisation": "group"}, ("inputs",), patch_size=32, validation_fraction=0.5
        ),
        "train_unet_scribbles": train(made / "scribbles", UNET | {"labels": "sparse"}, ("inputs",)),
        "train_unet_tuned": train(network, UNET, ("inputs", "train_unet"), start=out / "train_unet" / "out"),
        "train_unet_resumed": interrupted(network, UNET, ("inputs",)),
        "train_maskrcnn": train(sample / "network", MASKRCNN, **apart),
        "train_maskrcnn_validated": train(wires, MASKRCNN, ("generate_rods",), validation_fraction=0.5, **apart),
        "train_maskrcnn_tuned": train(
            sample / "network", MASKRCNN, ("train_maskrcnn",), start=out / "train_maskrcnn" / "out", **apart
        ),
        "train_maskrcnn_resumed": interrupted(sample / "network", MASKRCNN, (), **apart),
        "sweep": _job(
            "sweep",
            ("generate_rods",),
            dataset=wires,
            start_from=None,
            vary={"learning_rate": [0.001, 0.003]},
            config={"engine": STARDIST}
            | SHORT
            | apart
            | {"working_diameter": 16.0, "steps": 3, "validation_fraction": 0.5},
        ),
        "segment_unet": _job(
            "segment",
            ("train_unet",),
            model=out / "train_unet" / "out",
            images=[sample / "cathode" / "cathode.tif"],
            config={"device": "cpu", "tile": 128},
        ),
        "segment_unet_volumes": _job(
            "segment",
            ("train_unet_volumes",),
            model=out / "train_unet_volumes" / "out",
            images=[sample / "cathode" / "cathode.tif"],
            config={"device": "cpu", "probability": 0.3, "invert": "auto"},
        ),
        "segment_maskrcnn": _job(
            "segment",
            ("train_maskrcnn_tuned",),
            model=out / "train_maskrcnn_tuned" / "out",
            images=[sample / "network" / "images"],
            config={"device": "cpu", "tile": 256, "probability": 0.05},
        ),
        "segment_stardist_tuned": _job(
            "segment",
            ("train_starter_tuned",),
            model=out / "train_starter_tuned" / "out",
            images=[sample / "particles.tif"],
            config={"device": "cpu", "diameter": 60.0},
        ),
        "convert_starter": _job("convert", model="starter", to="stardist"),
        "convert_back": _job("convert", ("convert_starter",), model=out / "convert_starter" / "out"),
        "convert_watershed": _job("convert", model="watershed", to="nanoseg"),
        "convert_maskrcnn": _job("convert", ("train_maskrcnn",), model=out / "train_maskrcnn" / "out", to="detectron2"),
        "convert_maskrcnn_back": _job("convert", ("convert_maskrcnn",), model=out / "convert_maskrcnn" / "out"),
    }


def _cracks(out: Path, sample: Path) -> dict[str, Case]:
    made = out / "inputs" / "out"
    volume, classes = sample / "cathode" / "cathode.tif", sample / "cathode" / "classes.tif"
    names = {"names": list(CLASSES)}

    def cracks(needs: tuple[str, ...] = (), *, config: Values, **values: Any) -> Case:
        return _job("cracks", needs, volume=volume, config={"device": "cpu", "slab": 8, **config}, **values)

    def unet(name: str, **config: Any) -> Case:
        model = out / name / "out"
        return cracks((name,), model=model, config={"damage": {"window": 20}, "tile": 128, **config})

    def interrupted(folder: Path) -> Values:
        config = {"device": "cpu", "slab": 8, "damage": {"window": 20}, "tile": 128}
        job = {"job": "cracks", "volume": volume, "model": out / "train_unet" / "out", "config": config}
        run_job(folder, job | {"out": folder / "map"}, cancel_at=12)
        again = run_job(folder, job | {"out": folder / "map"})
        (folder / "map").rename(folder / "out")
        return {name: value for name, value in again.items() if name.startswith(("figure", "failed"))}

    return {
        "cracks_threshold": cracks(model="threshold", config={"damage": {"window": 20}}),
        "cracks_threshold_tiff": cracks(
            model="threshold",
            labels=None,
            config={
                "output": "tiff",
                "threshold": {"method": "percentile", "percentile": 15.0, "smoothing": 1.0, "within": "anywhere"},
                "damage": {"window": 16, "stride": 4, "normalise": "particle", "slices": [3, 9]},
            },
        ),
        "cracks_threshold_value": cracks(
            model="threshold",
            config={"threshold": {"method": "value", "value": 90.0, "closing": 3}, "workers": 2, "analyse": False},
        ),
        "cracks_raw": _job(
            "cracks",
            ("inputs",),
            volume=made / "raw.raw",
            model="threshold",
            config={"analyse": False, "input": {"shape": [32, 100, 120], "dtype": "uint16", "byte_order": "big"}},
        ),
        "cracks_given": cracks(
            classes=classes,
            config={
                "damage": names | {"window_um": 3.0, "exclude_voids": True, "include_cracks": False, "smoothing": 2.0}
            },
        ),
        "cracks_given_slices": cracks(
            classes=classes, config={"damage": names | {"window": 24, "per_slice": True, "largest": 0.001}}
        ),
        "cracks_given_mask": cracks(
            classes=classes,
            particle_mask=classes,
            config={"damage": names | {"window": 24, "particles": "otsu", "otsu_voids": False, "morphology": False}},
        ),
        "cracks_unet": unet("train_unet"),
        "cracks_unet_baseline": cracks(
            ("train_unet_neighbours",),
            model=out / "train_unet_neighbours" / "out",
            baseline=True,
            config={"probability": 0.3, "output": "tiff", "workers": 2, "damage": {"window": 20}},
        ),
        "cracks_unet_volumes": unet("train_unet_volumes", slab=16, probability=0.3),
        "cracks_unet_resumed": Case(interrupted, ("train_unet",)),
    }


def _functions(out: Path, sample: Path) -> dict[str, Case]:
    from tifffile import imread

    import napari_nanoseg as ns

    made = out / "inputs" / "out"
    truth, image = sample / "particles_truth.tif", sample / "particles.tif"

    def segmenting(folder: Path) -> Values:
        config = ns.SegmentConfig(diameter=60.0, device="cpu")
        crop = imread(made / "crop.tif")
        return {name: ns.load_model(name).segment(crop, config) for name in ("starter", "watershed", "threshold")}

    def measuring(folder: Path) -> Values:
        labels, micrograph = imread(truth), ns.read_image(image)
        stack = np.stack([labels[:256, :256], labels[256:512, 256:512]])
        wires = next(iter(ns.open_dataset(sample / "network")))
        return {
            "calibrated": ns.measure(labels, image=micrograph),
            "pixels": ns.measure(labels),
            "stack": ns.measure(stack, ns.Calibration.of(2.0)),
            "wires": ns.measure(wires.instances, wires.image.calibration, wires.image),
        }

    def evaluating(folder: Path) -> Values:
        true, shifted = imread(truth), imread(made / "shifted_truth.tif")
        parts = [ns.evaluate(true[at], shifted[at]) for at in (np.s_[:384], np.s_[384:])]
        agreements = [ns.agreement(true[at], shifted[at]) for at in (np.s_[:384], np.s_[384:])]
        cracks = imread(sample / "cathode" / "classes.tif") == 1
        pixels = [ns.evaluate_pixels(cracks[z], np.roll(cracks[z], 2, 0), 1.5) for z in (5, 15, 25)]
        return {
            "parts": parts,
            "pooled": [_figures(one) for one in (*parts, ns.pool(parts))],
            "agreements": agreements,
            "agreement pooled": [_figures(one) for one in ns.pool_agreement(agreements).values()],
            "pixels": pixels,
            "pixels pooled": _figures(ns.pool_pixels(pixels)),
            "volume": _figures(ns.evaluate_pixels(cracks, np.roll(cracks, 1, 0), 2.0)),
        }

    def density(folder: Path) -> Values:
        stack = ns.read_image(made / "transmission.tif")
        region = imread(made / "region.tif") > 0
        found = {
            "plain": ns.optical_density(stack),
            "region": ns.optical_density(stack, region=region),
            "reference": ns.optical_density(
                stack, ns.DensityConfig(clip=True), reference=ns.read_image(made / "reference.tif")
            ),
        }
        return {
            name: [np.asarray(one.image.data), one.incident, one.raised, one.not_positive]
            for name, one in found.items()
        }

    def generating(folder: Path) -> Values:
        small = {"height": 128, "width": 160, "seed": 9}
        configs: list[tuple[Any, Any]] = [
            (ns.CutPasteConfig(**small), sample / "annotated"),
            (ns.NanowireConfig(**small), None),
            (ns.nanowire_preset("Ag nanowires SEM", **small), None),
        ]
        made = [list(islice(ns.generate(config, source), 2)) for config, source in configs]
        phantom = next(
            iter(ns.generate(ns.cathode_preset("NMC training", depth=12, height=80, width=80, pixel_size_nm=140)))
        )
        return {
            "samples": [[np.asarray(one.image.data), one.instances, one.truth] for several in made for one in several],
            "phantom": [
                np.asarray(phantom.image.data),
                phantom.classes,
                phantom.particles,
                phantom.profile,
                phantom.truth,
            ],
        }

    def damaging(folder: Path) -> Values:
        classes = ns.open_volume(sample / "cathode" / "classes.tif")
        grey = ns.open_volume(sample / "cathode" / "cathode.tif")
        found = ns.damage(classes, grey=grey, config=ns.DamageConfig(names=CLASSES, window=20))
        plain = ns.damage(classes.read(0, 12) == 1, classes.read(0, 12) == 4, config=ns.DamageConfig(window=16))
        tables = (
            "profile",
            "correlation",
            "distribution",
            "cracks",
            "directions",
            "particles",
            "turn",
            "points",
            "widths",
        )
        return {
            f"{kind} {name}": getattr(one, name)
            for kind, one in (("classes", found), ("masks", plain))
            for name in (*tables, "notices", "figures")
        }

    def choosing(name: str, path: Path, config: Values) -> Callable[[Path], Values]:
        def work(folder: Path) -> Values:
            from napari_nanoseg.engines.library import load_model

            model: Any = load_model(out / name / "out" if (out / name).exists() else name)
            detect = getattr(model, "detect", None) or model.detect_steps
            found = finish(detect(ns.read_image(path), ns.SegmentConfig(device="cpu", **config), 0.1))
            chosen = [
                {"probability": 0.2},
                {"probability": 0.5, "overlap": 0.1},
                {"min_area": 60.0, "probability": 0.3},
            ]
            return {"own": found.instances()} | {str(one): found.instances(ns.SegmentConfig(**one)) for one in chosen}

        return work

    return {
        "function_segment": Case(segmenting, ("inputs",)),
        "function_measure": Case(measuring),
        "function_evaluate": Case(evaluating, ("inputs",)),
        "function_density": Case(density, ("inputs",)),
        "function_generate": Case(generating),
        "function_damage": Case(damaging),
        "function_choose_starter": Case(choosing("starter", made / "crop.tif", {}), ("inputs",)),
        "function_choose_watershed": Case(choosing("watershed", made / "crop.tif", {}), ("inputs",)),
        "function_choose_unet": Case(
            choosing("train_unet", sample / "cathode" / "cathode.tif", {"tile": 128}), ("train_unet",)
        ),
        "function_choose_maskrcnn": Case(
            choosing("train_maskrcnn", sample / "network" / "images" / "network.tif", {"tile": 256}),
            ("train_maskrcnn",),
        ),
        "function_read": Case(
            lambda folder: {
                **{f"image {path.name}": _read(ns.read_image, path) for path in sorted(made.glob("*.*"))},
                **{
                    f"volume {path.name}": _read(ns.open_volume, path)
                    for path in (made / "stack.tif", made / "slices" / "images")
                },
            },
            ("inputs",),
        ),
    }


def _real(out: Path, data: Path) -> dict[str, Case]:
    """Cases on real micrographs and with models that others trained."""
    import napari_nanoseg as ns

    made = out / "inputs" / "out"
    models = data / "reference_models"
    particles = [data / "emps" / "images" / f"{name}.png" for name in _emps(data)]
    masks = [data / "emps" / "masks" / path.name for path in particles]
    wires = [made / "nanowires" / f"{name}.tif" for name in ("4", "9")]
    cracks = sorted((data / "cracks_pv" / "validation" / "images").iterdir())[:3]

    def segment(model: str | Path, images: list[Path], needs: tuple[str, ...] = (), **config: Any) -> Case:
        return _job("segment", needs, model=model, images=images, config={"device": "cpu", **config})

    def beside(folder: Path, name: str, paths: list[Path]) -> Path:
        """Copy some files of a large folder, so that a job reads no others."""
        (folder / name).mkdir(parents=True)
        for path in paths:
            shutil.copy(path, folder / name)
        return folder / name

    def judged(case: str, truth: list[Path], images: list[Path], **values: Any) -> Case:
        def work(folder: Path) -> Values:
            job = {"job": "evaluate", "truth": beside(folder, "truth", truth), "prediction": out / case / "out"}
            return run_job(folder, job | {"images": images, "out": folder / "out"} | values)

        return Case(work, (case,))

    def files(folder: Path) -> Values:
        paths = sorted(path for path in (data / "microscope_files").rglob("*") if path.is_file())
        kinds = {".tif", ".dm3", ".ser", ".emd", ".mrc"}
        return {f"image {path.name}": _read(ns.read_image, path) for path in paths if path.suffix in kinds}

    def chosen(folder: Path) -> Values:
        found: dict[str, Any] = {}
        for name, path, image in (
            ("stardist", models / "stardist_2d", made / "crop.tif"),
            ("detectron2", models / "detectron2", made / "crop.tif"),
            ("cdnet", models / "cdnet", cracks[0]),
        ):
            model: Any = ns.load_model(path)
            detect = getattr(model, "detect", None) or model.detect_steps
            kept = finish(detect(ns.read_image(image), ns.SegmentConfig(device="cpu"), 0.1))
            found[name] = [kept.instances(ns.SegmentConfig(probability=least)) for least in (0.15, 0.4, 0.7)]
        return found

    cases = {
        "real_starter_emps": segment("starter", particles),
        "real_watershed_emps": segment("watershed", particles),
        "real_starter_told": segment("starter", particles[:4], diameter=30.0, tile=256, invert="auto"),
        "real_starter_wires": segment("starter", wires[:1], ("inputs",)),
        "real_watershed_wires": segment("watershed", wires, ("inputs",), baseline={"method": "local"}),
        "real_stardist": segment(models / "stardist_2d", [made / "crop.tif", *particles[:3]], ("inputs",)),
        "real_detectron2": segment(models / "detectron2", [made / "crop.tif", *wires[:1]], ("inputs",), tile=512),
        "real_cdnet": segment(models / "cdnet", cracks, tile=256),
        "real_choose": Case(chosen, ("inputs",)),
        "real_read": Case(files),
        "real_measure_emps": _job("measure", out="out/table.csv", labels=masks, images=particles),
        "real_evaluate_emps": judged("real_starter_emps", masks, particles),
        "real_evaluate_watershed": judged("real_watershed_emps", masks, particles),
        "real_evaluate_cracks": judged(
            "real_cdnet",
            [data / "cracks_pv" / "validation" / "masks" / path.name for path in cracks],
            cracks,
            tolerance=2.0,
        ),
        "real_fit": _job(
            "fit_nanowires",
            ("inputs",),
            out="out/fitted.yaml",
            images=[made / "nanowires" / "13.tif"],
            preset="Ag nanowires SEM",
            config={"height": 128, "width": 128},
        ),
        "real_convert_stardist": _job("convert", model=models / "stardist_2d"),
        "real_convert_detectron2": _job("convert", model=models / "detectron2"),
        "real_convert_detectron2_back": _job(
            "convert", ("real_convert_detectron2",), model=out / "real_convert_detectron2" / "out", to="detectron2"
        ),
        "real_convert_cdnet": _job("convert", model=models / "cdnet"),
        "real_train_cracks": Case(lambda folder: _train_cracks(folder, data, beside)),
    }
    cases["real_unet_cracks"] = segment(
        out / "real_train_cracks" / "out", cracks, ("real_train_cracks",), probability=0.3
    )
    return cases


def _train_cracks(folder: Path, data: Path, beside: Callable[[Path, str, list[Path]], Path]) -> Values:
    """Train a tiny U-Net on four real images with cracks."""
    train = data / "cracks_pv" / "train"
    images = sorted((train / "images").iterdir())[:4]
    beside(folder / "data", "images", images)
    beside(folder / "data", "masks", [train / "masks" / path.name for path in images])
    config = {"engine": UNET} | SHORT | {"patch_size": 128}
    job = {"job": "train", "dataset": folder / "data", "start_from": None, "config": config, "out": folder / "out"}
    return run_job(folder, job)


def _emps(data: Path) -> list[str]:
    """Names of the first micrographs of each shape that have several particles."""
    with (data / "emps" / "index.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if int(row["instances"]) >= 5]
    return [row["name"] for shape in SHAPES for row in [row for row in rows if row["shape"] == shape][:PER_SHAPE]]


def _read(reader: Callable[[Path], Any], path: Path) -> Any:
    """What a file holds, or that it is refused."""
    from napari_nanoseg import NanosegError

    try:
        read = reader(path)
        pixels: NDArray[Any] = np.asarray(read.data[:] if reader.__name__ == "open_volume" else read.data)
    except NanosegError:
        return "refused"
    return [pixels, read.calibration, getattr(read, "axes", None)]


def _figures(one: Any) -> dict[str, Any]:
    """All properties of an evaluation."""
    names = (name for name in dir(type(one)) if not name.startswith("_"))
    values: Iterator[tuple[str, Any]] = ((name, getattr(one, name)) for name in names)
    return {name: value for name, value in values if not callable(value)}
