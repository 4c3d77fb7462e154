"""Training learns, and a run that was stopped and resumed ends with the very same weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs PyTorch: sh tests/run --with-training")

import torch

from models.training.archs import Classifier
from models.training.archs.lenet import LeNet5
from models.training.archs.resnet import BasicBlock, ResNet
from models.training.augment import CameraPolicy, CropPolicy
from models.training.averages import Average, cosine_with_warmup
from models.training.batches import BatchSource
from models.training.data import Pictures
from models.training.run import Run
from models.training.teacher import Answers, Teacher
from models.training.train import TrainConfig, Trainer, refresh_statistics, soft_loss
from tests.training.networks import small_lite

SIZE = 32  # pixels a side


def quiet(step: int, total: int, words: str) -> None:
    del step, total, words


def small_resnet() -> ResNet:
    """Two of the four stages, one block each: BatchNorm and shortcuts at a hundredth of the work."""
    return ResNet(BasicBlock, (1, 1), 3, 3)


class WithDropout(LeNet5):
    """Draws random numbers while it is trained, as AlexNet does."""

    def __init__(self) -> None:
        super().__init__(3, 3, SIZE)
        self.drop = torch.nn.Dropout(0.5)

    def embed(self, feature_map: torch.Tensor) -> torch.Tensor:
        vector: torch.Tensor = self.drop(super().embed(feature_map))
        return vector


def make_trainer(
    pictures: Pictures,
    folder: Path,
    network: Callable[[], Classifier] = small_resnet,
    views: int = 0,
    **changes: object,
) -> Trainer:
    torch.manual_seed(0)
    source = BatchSource(pictures, CropPolicy(), CameraPolicy(), 8, seed=4, views=views)
    config = TrainConfig(
        **{"stages": ((0.5, SIZE), (0.5, SIZE)), "warmup_steps": 2, "log_every": 1, "refresh_batches": 2, **changes}
    )
    answers = None
    if views:
        teacher = Teacher("lite0", 3, network=small_lite()).eval()
        answers = Answers(folder / "answers", teacher, 32, source)
    return Trainer(network(), config, source, Run(folder), answers=answers)


@pytest.mark.parametrize(("network", "views"), [(small_resnet, 0), (WithDropout, 0), (small_resnet, 2)])
def test_a_resumed_run_gives_identical_weights(
    train_pictures: Pictures, tmp_path: Path, network: Callable[[], Classifier], views: int
) -> None:
    straight = make_trainer(train_pictures, tmp_path / "straight", network, views).train(quiet)
    make_trainer(train_pictures, tmp_path / "stopped", network, views).train(quiet, until=2)
    torch.rand(7)  # whatever else draws random numbers must not matter
    resumed = make_trainer(train_pictures, tmp_path / "stopped", network, views)
    assert resumed.step == 2
    ended = resumed.train(quiet)
    for (name, one), other in zip(straight.state_dict().items(), ended.state_dict().values(), strict=True):
        assert torch.equal(one, other), name


def test_training_learns_to_tell_shapes(train_pictures: Pictures, val_pictures: Pictures, tmp_path: Path) -> None:
    source = BatchSource(train_pictures, CropPolicy(min_area=0.8), CameraPolicy(strength=0), 16, seed=1)
    config = TrainConfig(
        ((12.0, 32),),
        0.02,
        average_decay=0.8,
        warmup_steps=3,
        evaluate_size=32,
        log_every=3,
        refresh_batches=4,
    )
    trainer = Trainer(small_resnet(), config, source, Run(tmp_path), validation=val_pictures)
    trainer.train(quiet)
    logged = Run(tmp_path).metrics()
    losses = [line["loss"] for line in logged if "loss" in line]
    assert losses[-1] < 0.7 * losses[0]
    assert logged[-1]["validation_accuracy"] > 0.8


def test_stages_change_the_size_of_the_pictures(train_pictures: Pictures, tmp_path: Path) -> None:
    trainer = make_trainer(train_pictures, tmp_path, stages=((1.0, 24), (0.5, 32)))
    steps = trainer.source.steps_per_epoch
    assert [trainer.size(0), trainer.size(steps - 1), trainer.size(steps), trainer.size(trainer.total - 1)] == [
        24,
        24,
        32,
        32,
    ]
    assert trainer.total == steps + steps // 2


def test_a_stop_while_the_files_for_answers_are_made_leaves_none_that_pass_for_answers(
    train_pictures: Pictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as stopped:
        stopped.setattr(Path, "replace", _stopped)
        with pytest.raises(KeyboardInterrupt):
            make_trainer(train_pictures, tmp_path, views=2)
    answers = make_trainer(train_pictures, tmp_path, views=2).answers
    assert answers
    assert np.isnan(answers.logits).all()


def _stopped(*_: object) -> None:
    raise KeyboardInterrupt


def test_the_teacher_is_asked_once_for_each_fixed_crop(train_pictures: Pictures, tmp_path: Path) -> None:
    trainer = make_trainer(train_pictures, tmp_path, views=2)
    answers = trainer.answers
    assert answers is not None
    batch = trainer._batch(0)
    assert batch.clean is not None
    asked, _ = answers.of(batch)
    again = trainer._batch(0)
    assert again.clean is None
    kept, features = answers.of(again)
    assert torch.allclose(asked, kept, atol=0.02)
    assert features.shape == (8, 1280)
    reopened = Answers(tmp_path / "answers", answers.teacher, 32, trainer.source)
    assert reopened.known(0, batch.indices)
    with pytest.raises(ValueError, match="shape"):
        Answers(tmp_path / "answers", answers.teacher, 32, make_trainer(train_pictures, tmp_path / "b", views=3).source)


def test_a_checkpoint_survives_a_torn_line_of_metrics(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.log(step=1, loss=0.5)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "lo')
    assert [line["step"] for line in run.metrics()] == [1]
    assert json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[0])["loss"] == 0.5


def test_soft_loss_is_zero_for_agreement_and_positive_otherwise() -> None:
    logits = torch.tensor([[2.0, 0.0, -1.0]])
    assert soft_loss(logits, logits + 3, 2.0).item() == pytest.approx(0, abs=1e-6)
    assert soft_loss(logits, -logits, 2.0).item() > 0.5


def test_refreshed_statistics_are_the_mean_over_the_batches() -> None:
    norm = torch.nn.BatchNorm2d(1)
    batches = [torch.full((2, 1, 2, 2), value) for value in (1.0, 3.0)]
    refresh_statistics(norm, batches)
    assert norm.running_mean is not None
    assert norm.running_mean.item() == pytest.approx(2.0)
    assert norm.momentum == 0.1


def test_averaged_weights_follow_slowly_and_the_learning_rate_falls_to_nothing() -> None:
    layer = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(layer.weight)
    average = Average(layer, 0.9)
    torch.nn.init.ones_(layer.weight)
    average.update(layer, 10_000)
    assert average.state()["weight"].item() == pytest.approx(0.1)
    course = [cosine_with_warmup(step, 100, 10) for step in range(100)]
    assert course[0] == pytest.approx(0.1)
    assert course[9] == 1.0
    assert course[-1] < 0.001
    assert np.all(np.diff(course[10:]) < 0)
