"""Takes a release through the station, in a thread of its own, and says how far it came.

Invariants:
- The line never waits for it: it reads counts, moves links that are taken between parts, and raises nothing.
- What it does is decided by `course`, on what is seen; whatever goes wrong with a release ends that release.
- A trial, or a wait for what is signed, gives way to another word of the cloud: to go back never waits for either.
- What the disk or the cloud refuses is tried again, later and later; nothing is lost meanwhile.
"""

import threading
import time
from dataclasses import replace
from pathlib import Path

import structlog

from cloud_sync.wire.backoff import Backoff
from cloud_sync.wire.messages import Stage
from edge.assembly import Assembly
from edge.domain.errors import InspectdError, StorageError
from edge.handover import Offered
from edge.release.around import NotYetError, Shadow, Trust
from edge.release.counting import Counting, predicted
from edge.release.course import Course, Phase, Seen, Step, next_step
from edge.release.doing import Doing
from edge.release.floors import in_shadow, on_probation
from edge.release.gates import WAITING, Answer, Judgement, decided_in_all, judge_live, judge_shadow
from edge.release.kept import KeptCourse, course_path
from edge.release.pruning import prune
from edge.release.telling import Telling, as_status
from edge.release.trial import Limits, StoppedError
from models.errors import ModelError

log = structlog.get_logger()
_EVERY_S = 0.2
_KEPT_EVERY_S = 10.0
_RETRY_S = 2.0
_RETRY_MOST_S = 300.0
_TAKEN_WITHIN_S = 300.0
_ALARM = "release"
_UNTOUCHED = frozenset({Phase.FETCHED, Phase.SHADOW, Phase.GOING_LIVE})  # it does not decide yet


class ReleaseKeeper:
    """Keeps the release under way.

    Args:
        station: what runs.
        trust: what is signed.
        shadow: lets it look beside the model in use.
        limits: of its trial.
    """

    def __init__(self, station: Assembly, trust: Trust, shadow: Shadow, limits: Limits | None = None) -> None:
        self._station = station
        self._shadow = shadow
        self._stop = threading.Event()
        kept = KeptCourse(course_path(station.config))
        own = replace(limits or Limits(), stopping=self._stop, unwanted=self._is_called_away)
        station.metadata.unwanted = self._is_called_away
        self._doing = Doing(station.config, kept, trust, shadow, own)
        self._telling = Telling(station.handover.say)
        self._kept = kept
        self._course = kept.course
        self._counting: Counting | None = None
        self._live_since_s = 0.0
        self._kept_s = self._again_s = self._noted_again_s = 0.0
        self._backoff = Backoff(_RETRY_S, _RETRY_MOST_S)
        self._thread = threading.Thread(target=self._run, name="release", daemon=True)

    def start(self) -> None:
        """Go on where the last run was."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """End the thread, waiting at most `timeout_s` seconds; a release goes on with the next start."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        if not self._thread.is_alive() and self._course is not None:
            self._doing.keep_quietly(replace(self._course, starts=0))

    def standing(self) -> dict[str, object] | None:
        """The release under way, for the status file; None where there never was one."""
        course = self._course
        return None if course is None else as_status(course)

    def _run(self) -> None:
        while not self._stop.wait(_EVERY_S):
            try:
                if time.monotonic() >= self._noted_again_s:
                    self._note_offer(self._station.handover.offered())
                if self._course is not None and time.monotonic() >= self._again_s:
                    self._go_on(self._course)
            except StorageError as error:
                log.error("a release waits for the disk", why=str(error))
                self._noted_again_s = self._again_s = time.monotonic() + _RETRY_S
            except Exception as error:
                log.error("defect while keeping a release", exc_info=error)
                self._put_off(f"a defect: {type(error).__name__}: {error}")

    def _note_offer(self, offered: Offered | None) -> None:
        """Another offer takes the place of the one under way; the same one may ask for something else.

        Not of one on probation: nobody would send that one back. The other offer waits until it is proven, or back.
        """
        job, course = (None if offered is None else offered.job), self._course
        if job is None or (course is not None and course.job == job):
            return
        if course is not None and course.job.is_same(job):
            self._again_s = 0.0
            self._become(self._doing.keep(replace(course, job=job)))
        elif course is not None and course.is_watched:
            return
        elif job.stage != "fetch":
            if course is not None and course.bundle:
                self._doing.end_shadow(course)
            self._again_s = 0.0
            self._backoff.reset()
            self._become(self._doing.keep(self._kept.begun(job)))

    def _is_called_away(self) -> bool:
        """Whether the cloud wants something else than what is being taken further now."""
        offered, course = self._station.handover.offered(), self._course
        if offered is None or offered.job is None or course is None:
            return False
        return not course.job.is_same(offered.job) or offered.job.stage in {"back", "fetch"}

    def _go_on(self, course: Course) -> None:
        try:
            course = self._counted(course)
            step, why = next_step(course, self._see(course))
            self._take(course, step, why)
        except StoppedError:
            return
        except (NotYetError, StorageError) as error:
            self._course = self._kept.course
            self._put_off(str(error))
        except (InspectdError, ModelError) as error:
            self._course = self._kept.course
            self._refuse(str(error))
        except Exception as error:
            log.error("defect while keeping a release", name=course.job.name, exc_info=error)
            self._course = self._kept.course
            self._refuse(f"a defect of ours: {type(error).__name__}: {error}")

    def _take(self, course: Course, step: Step, why: str) -> None:
        match step:
            case Step.WAIT:
                self._wait(replace(course, why=why))
            case Step.CHECK:
                self._check(course)
            case Step.ACTIVATE:
                self._become(self._doing.activate(course))
            case Step.SETTLE:
                self._become(self._doing.settle(course))
            case Step.PROVE:
                self._become(self._doing.keep(replace(course, proven=True, why=why)))
            case Step.GO_BACK:
                self._become(self._doing.go_back(course, why))
            case Step.END_SHADOW:
                self._become(self._doing.over(replace(course, beside={}), Phase.FETCHED, why))
            case Step.END:
                self._become(self._doing.over(course, Phase.BACK, why))
            case Step.REJECT:
                self._become(self._doing.over(course, Phase.REJECTED, why))

    def _check(self, course: Course) -> None:
        file = self._file_of(course)
        if file is None:
            self._telling.say(course)
            return
        self._become(self._doing.check(course, file, lambda: self._telling.say_tried(course)))

    def _wait(self, course: Course) -> None:
        """Nothing changes but counts; they are written down now and then."""
        now_s = time.monotonic()
        settled = course.is_over or course.proven
        if not settled and now_s >= self._kept_s + _KEPT_EVERY_S and course != self._kept.course:
            self._doing.keep_quietly(course)
            self._kept_s = now_s
        self._course = course
        self._telling.say(course)

    def _refuse(self, why: str) -> None:
        """Raises StorageError. What decides already and cannot go back needs a person."""
        course = self._course
        if course is None:
            return
        if course.phase is Phase.GOING_LIVE and self._doing.active(course.bundle) == course.version:
            self._become(self._doing.go_back(course, why))  # the link was moved before it went wrong
            return
        if course.phase in _UNTOUCHED:
            self._become(self._doing.over(course, Phase.REJECTED, why))
            return
        said = f"release {course.job.name} decides, and cannot be looked after: {why}"
        self._station.health.set_alarm(_ALARM, said)
        self._put_off(said)

    def _put_off(self, why: str) -> None:
        """Try again later; soon where it decides already."""
        course = self._course
        untouched = course is None or course.phase in _UNTOUCHED
        self._again_s = time.monotonic() + (self._backoff.next_s() if untouched else _RETRY_S)
        if course is not None:
            self._course = replace(course, why=why)
            self._telling.say(self._course)
        log.warning("a release waits", why=why)

    def _become(self, course: Course) -> None:
        before, self._course = self._course, course
        self._station.health.set_alarm(_ALARM, "")
        if before is None or before.phase is not course.phase or not before.job.is_same(course.job):
            self._counting = None
            self._live_since_s = time.monotonic()
            log.info("release", name=course.job.name, job=course.job.job, phase=course.phase.value, why=course.why)
        self._telling.say(course)
        if course.bundle and (course.is_over or course.proven):
            self._prune(course)

    def _prune(self, course: Course) -> None:
        """What runs is asked here: after a way back it is still the version that goes."""
        offered = self._station.handover.offered()
        wanted = [Course(offered.job)] if offered is not None and offered.job is not None else []
        models = [product.engine.model_id for product in self._station.products.values()]
        running = [model.version for model in models if model.id == course.bundle]
        prune(self._station.config, course.bundle, [course, *self._kept.others, *wanted], running)

    def _counted(self, course: Course) -> Course:
        """With its counts of now; its shadow begins here, in each run."""
        if course.phase not in {Phase.SHADOW, Phase.LIVE}:
            return course
        if self._counting is None:
            if course.phase is Phase.SHADOW:
                self._doing.begin_shadow(course)
            self._live_since_s = time.monotonic()
            tally = self._station.model_tally
            self._counting = Counting(self._doing.products(course), self._shadow, tally, course)
        return self._counting.in_shadow(course) if course.phase is Phase.SHADOW else self._counting.live(course)

    def _see(self, course: Course) -> Seen:
        return Seen(
            asked=self._asked(course),
            active=self._doing.active(course.bundle) if course.bundle else None,
            shadow=self._judge_shadow(course) if course.phase is Phase.SHADOW else WAITING,
            live=self._judge_live(course) if course.phase is Phase.LIVE else WAITING,
            untaken=self._untaken(course) if course.phase is Phase.LIVE else "",
        )

    def _asked(self, course: Course) -> Stage | None:
        """What the cloud wants; what it wanted last, until it was heard."""
        offered = self._station.handover.offered()
        if offered is None:
            return course.job.stage
        return course.job.stage if offered.job is not None and course.job.is_same(offered.job) else None

    def _file_of(self, course: Course) -> Path | None:
        offered = self._station.handover.offered()
        if offered is None or offered.job is None or not course.job.is_same(offered.job):
            return None
        return offered.file

    def _judge_shadow(self, course: Course) -> Judgement:
        for product in self._doing.products(course):
            if trouble := self._shadow.trouble(product):
                return Judgement(Answer.FAILED, trouble)
        limits = in_shadow(course.job, self._station.config.release)
        return judge_shadow(list(course.beside.values()), limits, rejects_masters=course.rejects_masters)

    def _judge_live(self, course: Course) -> Judgement:
        counts = decided_in_all(list(course.decided.values()))
        return judge_live(counts, predicted(course), on_probation(course.job, self._station.config.release))

    def _untaken(self, course: Course) -> str:
        running = {self._station.products[name].engine.model_id.sha256 for name in self._doing.products(course)}
        if running <= {course.sha256} or time.monotonic() < self._live_since_s + _TAKEN_WITHIN_S:
            return ""
        return f"the running station did not take it within {_TAKEN_WITHIN_S:g} s: its log says why"
