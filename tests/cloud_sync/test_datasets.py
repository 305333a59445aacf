"""Data sets made of the store: readable by what trains, the same twice, and with a hold-out that is frozen for ever."""

import hashlib
import random
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from labels_kit import PRODUCT, blobs_of, declare, have_file, id_of, images, picture, receive, sample, say
from stores import ask, engine

from cloud_sync.hub.files.blobs import FolderBlobs
from cloud_sync.hub.labels.dataset import DatasetNeeds, make_dataset
from cloud_sync.hub.labels.dividing import LEARNED_TWIN, NOT_TAUGHT, TWIN, Divided, Image, Role, Shares, divide
from cloud_sync.hub.labels.errors import LabelError
from cloud_sync.hub.labels.grouping import Look, group_images
from cloud_sync.hub.labels.history import HistoryRequest, import_history
from cloud_sync.hub.labels.imported import NewImage, add_imported
from cloud_sync.hub.labels.labelling import NewLabel, add_labels
from cloud_sync.hub.labels.made import DatasetMade, read_made
from cloud_sync.hub.labels.projecting import catch_up
from cloud_sync.hub.labels.samples import imported_id
from cloud_sync.hub.labels.truths import LabelBox, LabelTruth, boxed, defect, good, unsure
from cloud_sync.hub.store.writing import StoreWriter
from models.dataset.image_level import split_image_level
from models.dataset.learnable import Division, split_learnable
from models.dataset.reading import read_dataset
from models.near_twins import groups

TILES = Path(__file__).parents[2].parent / "shared" / "data" / "magnetic_tile"
FEW = DatasetNeeds(0.25, 0.15, 2, 2)


class Cloud:
    """A store of imported pictures."""

    def __init__(self, place: str, folder: Path) -> None:
        self.place = place
        self.folder = folder
        self.blobs: FolderBlobs = blobs_of(place, folder)
        self.rounds = 0
        StoreWriter(place).close()
        declare(place, "crack", "dent", "blowhole")

    def add(self, content: bytes, truth: LabelTruth) -> str:
        """An image and what is said of it; its sample."""
        return self.add_all([(content, truth)])[0]

    def add_all(self, given: Sequence[tuple[bytes, LabelTruth]]) -> list[str]:
        images, new = [], []
        for content, truth in given:
            digest = hashlib.sha256(content).hexdigest()
            self.blobs.put(digest, BytesIO(content))
            images.append(NewImage(digest, len(content), ""))
            new.append(NewLabel(imported_id(PRODUCT, digest), truth, "import", "Ada", 1))
        with engine(self.place).begin() as connection:
            add_imported(connection, PRODUCT, images, 1)
            add_labels(connection, new, 1)
        return [label.sample for label in new]

    def many(self, first: int, good_ones: int, cracks: int) -> None:
        truths = [good()] * good_ones + [defect("crack")] * cracks
        self.add_all([(picture(seed), truth) for seed, truth in enumerate(truths, first)])

    def make(self, name: str = "", kind: str = "classifier") -> DatasetMade:
        self.rounds += 1
        return make_dataset(self.place, self.blobs, PRODUCT, self.folder / (name or f"d{self.rounds}"), kind, FEW)  # type: ignore[arg-type]

    def roles(self) -> dict[object, object]:
        return dict(ask(self.place, "SELECT sample, role FROM memberships"))  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store, made once: the tests work on copies."""
    folder = tmp_path_factory.mktemp("empty")
    Cloud(str(folder / "store.db"), folder)
    return folder


@pytest.fixture
def cloud(empty: Path, tmp_path: Path) -> Cloud:
    shutil.copytree(empty, tmp_path, dirs_exist_ok=True)
    return Cloud(str(tmp_path / "store.db"), tmp_path)


def files_in(made: DatasetMade, split: str) -> set[str]:
    return {path.stem for path in (made.folder / split).rglob("*.*")}


def test_a_classifier_learns_from_it_with_the_splits_that_it_declares(tmp_path: Path, place: str) -> None:
    cloud = Cloud(place, tmp_path)
    cloud.many(0, 16, 12)
    cloud.add(picture(99), boxed([LabelBox("dent", (1, 1, 9, 9)), LabelBox("crack", (10, 1, 40, 30))]))

    made = cloud.make()
    splits = split_image_level(read_dataset(made.folder), Division("declared"))

    assert {name: len(part) for name, part in splits} == {
        name: sum(made.counts[name].values()) for name in ("train", "val", "test")
    }
    assert splits.left_out == ()
    assert (made.holdout.good, made.holdout.defective, made.lacking) == (4, {"crack": 3}, ())
    assert made.images == 29
    assert read_made(made.folder) == made


def test_a_detector_learns_from_boxes_and_what_has_no_place_is_left_out(cloud: Cloud) -> None:
    boxes = [boxed([LabelBox("crack", (seed, 1, seed + 9.5, 9))]) for seed in range(12)]
    cloud.add_all([(picture(seed), truth) for seed, truth in enumerate(boxes)])
    cloud.many(100, 12, 0)
    cloud.add(picture(50), defect("dent"))

    made = cloud.make(kind="detector")
    splits = split_learnable(read_dataset(made.folder), Division("declared"))

    assert made.left_out == {"a defect without a place": 1}
    assert splits.train.classes == ("crack",)
    assert {name: len(part) for name, part in splits} == {"train": 16, "val": 2, "test": 6}
    first = next(image for image in splits.test.images if len(image.truth))
    assert float(first.truth.boxes_xyxy[0][2] - first.truth.boxes_xyxy[0][0]) == 9.5


def test_the_same_store_makes_the_same_data_set_and_a_folder_that_is_there_stays_what_it_was(cloud: Cloud) -> None:
    cloud.many(0, 12, 8)
    first, second = cloud.make(), cloud.make()
    cloud.many(200, 8, 0)

    assert first.digest == second.digest
    assert (first.holdout.added, second.holdout.added) == (5, 0)
    assert make_dataset(cloud.place, cloud.blobs, PRODUCT, first.folder) == first
    assert cloud.make().digest != first.digest


def test_two_who_make_data_sets_at_once_hold_the_same_images_out(tmp_path: Path, place: str) -> None:
    cloud = Cloud(place, tmp_path)
    cloud.many(0, 12, 8)

    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(cloud.make, ("one", "two")))

    assert made[0].digest == made[1].digest
    assert sorted(cloud.roles().values(), key=str).count("holdout") == 5


def shifted(content: bytes, light: float) -> bytes:
    """The same picture in another shot: brighter, with a little noise."""
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE).astype(np.float32)
    noise = np.random.default_rng(7).normal(0, 1.5, pixels.shape)
    return cv2.imencode(".png", np.clip(pixels * light + noise, 0, 255).astype(np.uint8))[1].tobytes()


def test_what_was_held_out_is_never_learned_from_over_three_growing_rounds_of_real_images_and_their_twins(
    cloud: Cloud,
) -> None:
    chance = random.Random(3)
    tiles = {name: sorted((TILES / name).glob("*.jpg")) for name in ("good", "crack", "blowhole")}
    for paths in tiles.values():
        chance.shuffle(paths)
    content: dict[str, bytes] = {}

    ever_held: set[str] = set()
    ever_learned: set[str] = set()
    for turn in range(3):
        given = [
            (path.read_bytes(), good() if name == "good" else defect(name))
            for name, paths in tiles.items()
            for path in paths[turn * 12 : turn * 12 + 12]
        ]
        for known in sorted(ever_held)[:6] + sorted(ever_learned)[:6]:  # new shots of what is known
            truth = defect("crack") if chance.random() < 0.5 else good()
            given.append((shifted(content[known], 1.1 + turn / 20), truth))
        content |= dict(zip(cloud.add_all(given), (data for data, _ in given), strict=True))
        made = cloud.make()
        held, learned = files_in(made, "test"), files_in(made, "train") | files_in(made, "val")

        assert ever_held <= held | {key for key, role in cloud.roles().items() if role == "holdout"}  # type: ignore[operator]
        assert not held & (learned | ever_learned)
        assert not learned & ever_held
        names = [*sorted(held), *sorted(learned)]
        alike = groups([cv2.imdecode(np.frombuffer(content[name], np.uint8), cv2.IMREAD_COLOR) for name in names])
        assert not set(alike[: len(held)]) & set(alike[len(held) :]), "a near-twin of a held-out image was learned"
        ever_held |= held
        ever_learned |= learned
    assert len(ever_held) > 15
    assert made.left_out.get(TWIN, 0) >= 6


def test_a_held_out_image_that_nobody_can_judge_any_more_still_keeps_its_twins_away(cloud: Cloud) -> None:
    cloud.many(0, 12, 8)
    cloud.make()
    held = next(key for key, role in cloud.roles().items() if role == "holdout")
    row = ask(cloud.place, f"SELECT sha256, size_bytes FROM samples WHERE id = '{held}'")[0]  # noqa: S608 - ours
    say(cloud.place, str(held), unsure())
    twin = cloud.add(shifted(cloud.blobs.read(str(row[0]), 0, int(str(row[1]))), 1.2), good())

    made = cloud.make()

    assert cloud.roles()[twin] == "twin"
    assert str(held) not in files_in(made, "test") | files_in(made, "train")
    assert made.left_out == {TWIN: 1, "nobody could say": 1}


def test_a_twin_of_what_was_learned_from_judges_nobody_though_the_learned_label_is_open_again(cloud: Cloud) -> None:
    cloud.many(0, 12, 8)
    cloud.make()
    learned = [str(key) for key, role in cloud.roles().items() if role == "learned"][2:]
    twins = []
    for key in learned:
        row = ask(cloud.place, f"SELECT sha256, size_bytes FROM samples WHERE id = '{key}'")[0]  # noqa: S608 - ours
        say(cloud.place, key, unsure())
        twins.append(cloud.add(shifted(cloud.blobs.read(str(row[0]), 0, int(str(row[1]))), 1.2), good()))

    made = cloud.make()

    assert {cloud.roles()[twin] for twin in twins} == {"learned"}
    assert not set(twins) & files_in(made, "test")


def test_what_people_disagree_about_or_could_not_judge_is_left_out_and_counted(cloud: Cloud) -> None:
    cloud.many(0, 12, 8)
    disputed, open_one = cloud.add(picture(40), good()), cloud.add(picture(41), unsure())
    say(cloud.place, disputed, defect("crack"), "Bo", seen=0)

    made = cloud.make()

    assert made.left_out == {"people say different things": 1, "nobody could say": 1}
    assert not {disputed, open_one} & cloud.roles().keys()


def test_a_proof_is_told_which_held_out_images_a_random_audit_chose(tmp_path: Path, place: str) -> None:
    cloud = Cloud(place, tmp_path)
    pictures = {seq: picture(seq) for seq in range(1, 25)}
    receive(place, *(sample(seq, seq, ["audit"] if seq % 2 else ["uncertain"]) for seq in pictures))
    receive(place, *(images(seq, {"top": content}) for seq, content in pictures.items()))
    for seq, content in pictures.items():
        have_file(place, cloud.blobs, content, seq)
    catch_up(place)
    new = [NewLabel(id_of(seq), good() if seq <= 16 else defect("crack"), "review", "Ada", 1) for seq in pictures]
    with engine(place).begin() as connection:
        add_labels(connection, new, 1)

    made = cloud.make()

    assert (made.holdout.audit_good, made.holdout.good) == (2, 4)
    assert len(made.holdout.audit) == made.holdout.audit_good + made.holdout.audit_defective
    assert all((made.folder / name).is_file() for name in made.holdout.audit)
    read_dataset(made.folder)


def test_what_is_lacking_is_said(cloud: Cloud) -> None:
    cloud.many(0, 3, 1)

    made = cloud.make()

    assert made.lacking == (
        "hold-out: 1 good images, 2 are needed to judge overkill",
        "hold-out: 0 defective images, 2 are needed to judge escapes",
    )
    assert made.unjudged == ("crack",)


def test_a_small_store_holds_out_as_many_as_a_proof_needs_and_never_more_than_half() -> None:
    images = [*ones(60), *ones(20, first=100, audit=True), *ones(15, ("crack",), 200), *ones(3, ("dent",), 300)]

    found = divide(images, {}, Shares(0.2, 0.1, least_good=30, least_defective=8))

    held = [int(key) for key, split in found.splits.items() if split == "test"]
    assert [sum(low <= key < low + 100 for key in held) for low in (0, 100, 200, 300)] == [23, 8, 7, 1]
    few = divide(images, {}, Shares(0.2, 0.1, least_good=900, least_defective=900))
    assert sum(split == "test" for split in few.splits.values()) == 30 + 10 + 7 + 1


def test_a_product_without_labels_makes_no_data_set_and_leaves_nothing(cloud: Cloud) -> None:
    with pytest.raises(LabelError, match="product 'cell' has no labelled image here"):
        cloud.make("none")

    assert not list(cloud.folder.glob("*none*"))


def test_a_labelled_folder_is_imported_once_and_a_persons_later_word_stays(cloud: Cloud, tmp_path: Path) -> None:
    folder = tmp_path / "history"
    for name, seeds in (("good", range(5)), ("crack", range(5, 8))):
        (folder / "train" / name).mkdir(parents=True)
        for seed in seeds:
            (folder / "train" / name / f"{seed}.png").write_bytes(picture(seed))
    (folder / "test" / "good").mkdir(parents=True)
    (folder / "test" / "good" / "9.png").write_bytes(picture(9))
    request = HistoryRequest(folder, "lid", "Ada", 1, keep_splits=True)

    first = import_history(cloud.place, cloud.blobs, request)
    changed = imported_id("lid", hashlib.sha256(picture(5)).hexdigest())
    say(cloud.place, changed, good(), "Bo")
    again = import_history(cloud.place, cloud.blobs, request)

    assert (first.images, first.added, first.kept) == (9, 9, 0)
    assert (again.added, again.kept) == (0, 1)
    assert ask(cloud.place, "SELECT count(*) FROM samples") == [(9,)]
    held = imported_id("lid", hashlib.sha256(picture(9)).hexdigest())
    assert [key for key, role in cloud.roles().items() if role == "holdout"] == [held]


def test_one_image_under_two_labels_is_refused_by_name(cloud: Cloud, tmp_path: Path) -> None:
    for name in ("good", "crack"):
        (tmp_path / "h" / name).mkdir(parents=True)
        (tmp_path / "h" / name / f"{name}.png").write_bytes(picture(1))

    with pytest.raises(LabelError, match=r"good/good.png and crack/crack.png are the same image"):
        import_history(cloud.place, cloud.blobs, HistoryRequest(tmp_path / "h", "lid", "Ada", 1))
    assert ask(cloud.place, "SELECT count(*) FROM samples") == [(0,)]


def dealt(images: list[Image], roles: dict[str, Role] | None = None) -> Divided:
    return divide(images, roles or {}, Shares(0.25, 0.15))


def ones(count: int, names: tuple[str, ...] = (), first: int = 0, *, audit: bool = False) -> list[Image]:
    return [Image(f"{number:04d}", f"{number:04d}", names, audit) for number in range(first, first + count)]


def test_each_class_and_each_audit_gives_its_share() -> None:
    found = dealt([*ones(40), *ones(8, ("crack",), 100), *ones(20, first=200, audit=True)])

    held = {key for key, split in found.splits.items() if split == "test"}
    assert [sum(low <= int(key) < low + 100 for key in held) for low in (0, 100, 200)] == [10, 2, 5]


def test_groups_go_whole_and_what_was_learned_with_a_held_out_one_is_left_out() -> None:
    both = [Image("a", "g", ()), Image("b", "g", ()), Image("c", "g", ())]

    found = dealt([*both, *ones(8)], {"a": "holdout", "b": "learned"})

    assert found.splits["a"] == "test"
    assert (found.left_out["b"], found.left_out["c"], found.roles["c"]) == (LEARNED_TWIN, TWIN, "twin")


def test_what_belongs_with_a_learned_image_is_never_judged_by() -> None:
    pairs = [Image(f"{number}{side}", str(number), ()) for number in range(8) for side in "ab"]

    found = dealt(pairs, {f"{number}a": "learned" for number in range(8)})

    assert set(found.splits.values()) <= {"train", "val"}
    assert set(found.roles.values()) == {"learned"}


def test_a_held_out_class_that_nobody_can_learn_judges_nobody() -> None:
    found = dealt([*ones(20), Image("x", "x", ("dent",))], {"x": "holdout"})

    assert found.left_out == {"x": NOT_TAUGHT}


def test_the_order_in_which_images_are_given_does_not_matter() -> None:
    given = [*ones(30), *ones(12, ("crack",), 100)]
    other = list(reversed(given))

    assert dealt(given) == dealt(other)


def look(sample: str, seed: int, inspection: str = "", part: str = "", belongs: str = "") -> Look:
    thumb = np.random.default_rng(seed).normal(size=4096).astype(np.float32)
    return Look(sample, inspection, part, belongs, f"picture {seed}", thumb / np.linalg.norm(thumb))


def test_what_belongs_together_is_one_group_whatever_says_so() -> None:
    looks = [
        look("a", 1, "s/e/1", "s/p1"),
        look("b", 2, "s/e/1", "s/p1"),  # the other camera
        look("c", 3, "s/e/9", "s/p1"),  # the same part, again
        look("d", 3),  # the same picture as c
        look("e", 5, belongs="tiles/7"),
        look("f", 6, belongs="tiles/7"),
        look("g", 7),
        *(look(f"h{number}", 20 + number, f"s/e/{50 + number}", "s/counter") for number in range(12)),
    ]

    found = group_images(looks)

    assert {key: group for key, group in found.items() if len(key) == 1} == {
        **dict.fromkeys("abcd", "a"),
        **dict.fromkeys("ef", "e"),
        "g": "g",
    }
    assert all(found[f"h{number}"] == f"h{number}" for number in range(12)), "a part id that all bear joins nothing"
