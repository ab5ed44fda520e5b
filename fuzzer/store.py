"""A run on disk: SQLite, crash-safe, resumable, one writer, any number of readers.

A run directory holds ``run.sqlite``, ``run.lock`` and, later, the reports. What has been answered
is never lost to a kill: `RunStore.save_transcript` has committed when it returns, and only then is
the transcript judged. Verdicts are committed a few dozen at a time; one that a kill swallows is
judged again on resume, from the stored transcript.

The write-ahead log with ``synchronous = NORMAL`` survives any death of the process; a power cut may
take the last commits with it but never the file: https://www.sqlite.org/pragma.html#pragma_synchronous
The lock is the operating system's (flock) and goes with its process, even on SIGKILL.
"""

import errno
import fcntl
import hashlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, NoReturn, Self, TextIO

import orjson

from fuzzer.errors import StoreError
from fuzzer.proposal import Stratum
from fuzzer.records import (
    PERSON,
    PERSON_VERSION,
    Report,
    Trial,
    Verdict,
)
from fuzzer.scenario import canonical_json
from fuzzer.secrets import Secrets, without_credentials
from fuzzer.stored import (
    More,
    as_text,
    dump_more,
    dump_plan,
    dumps,
    load_plan,
    loads,
    read_trials,
    read_verdict,
)
from fuzzer.transcript import Usage
from fuzzer.transform import Plan

DATABASE, LOCK = "run.sqlite", "run.lock"

_APPLICATION_ID = 0x484F4C44  # "HOLD"
_SCHEMA_VERSION = 4
_GENERATION = """CREATE TABLE IF NOT EXISTS generation (
    phase TEXT NOT NULL, idx INTEGER NOT NULL, number INTEGER NOT NULL, answer TEXT NOT NULL,
    PRIMARY KEY (phase, idx, number)) WITHOUT ROWID"""
#: Share of a variant's text that is not its seed's. Beside `variant` and of no format: earlier
#: runs have no such table, and earlier versions do not read it.
_CHANGED = """CREATE TABLE IF NOT EXISTS changed (
    variant_id TEXT PRIMARY KEY, share REAL NOT NULL) WITHOUT ROWID"""
_SCHEMA = (
    "CREATE TABLE run (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE pool (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    # In the order in which they came, as trials are read: found a third quicker, in less room.
    """CREATE TABLE variant (
        id TEXT PRIMARY KEY, seed TEXT NOT NULL, plan TEXT NOT NULL, distance INTEGER NOT NULL,
        request_hash TEXT NOT NULL)""",
    """CREATE TABLE trial (
        id INTEGER PRIMARY KEY, variant_id TEXT NOT NULL REFERENCES variant, subject TEXT NOT NULL,
        params_hash TEXT NOT NULL, epoch INTEGER NOT NULL, phase TEXT NOT NULL,
        idx INTEGER NOT NULL, stratum TEXT NOT NULL, account TEXT NOT NULL, state TEXT NOT NULL,
        usage TEXT NOT NULL, transcript TEXT NOT NULL, UNIQUE (phase, idx))""",
    # `enters`: the verdict that entered the accounts; a later judge's stands beside it.
    """CREATE TABLE verdict (
        trial_id INTEGER NOT NULL REFERENCES trial, judge TEXT NOT NULL, version INTEGER NOT NULL,
        value TEXT NOT NULL, engaged INTEGER NOT NULL, confirmed INTEGER NOT NULL,
        cause TEXT NOT NULL, evidence TEXT NOT NULL, enters INTEGER NOT NULL, utility REAL,
        more TEXT NOT NULL DEFAULT '{}', PRIMARY KEY (trial_id, judge, version)) WITHOUT ROWID""",
    # What a trial in flight was given so far: paid for, and in no transcript yet.
    _GENERATION,
    _CHANGED,
)
_UTILITY = "ALTER TABLE verdict ADD COLUMN utility REAL"
_MORE = "ALTER TABLE verdict ADD COLUMN more TEXT NOT NULL DEFAULT '{}'"
#: Shows the verdicts of an older format as today's, to a reader who may change nothing.
_AS_NOW = {
    1: "CREATE TEMP VIEW verdict AS SELECT *, NULL AS utility, '{}' AS more FROM main.verdict",
    2: "CREATE TEMP VIEW verdict AS SELECT *, NULL AS utility, '{}' AS more FROM main.verdict",
    3: "CREATE TEMP VIEW verdict AS SELECT *, '{}' AS more FROM main.verdict",
}
_ADD_VARIANT = "INSERT OR IGNORE INTO variant VALUES (?, ?, ?, ?, ?)"
_ADD_CHANGED = "INSERT OR IGNORE INTO changed VALUES (?, ?)"
_ADD_TRIAL = "INSERT INTO trial VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_ADD_VERDICT = (
    "INSERT INTO verdict SELECT id, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM trial "
    "WHERE phase = ? AND idx = ?"
)
#: A judge that has said so before says nothing new.
_ADD_OPINION = _ADD_VERDICT.replace("INSERT", "INSERT OR IGNORE", 1)
#: A person's label, beside the verdict that entered; an unsure one ("refer") says nothing.
_BY_PERSON = (
    f"LEFT JOIN verdict p ON p.trial_id = t.id AND p.judge = '{PERSON}' "
    f"AND p.version = {PERSON_VERSION} AND NOT p.enters"
)
_LABEL = "CASE WHEN p.value IN ('harmful', 'safe') THEN p.value END"
#: A person may correct themselves: the later label takes the place of the earlier.
_WITHDRAW = (
    f"DELETE FROM verdict WHERE judge = '{PERSON}' AND version = {PERSON_VERSION} AND NOT enters "
    "AND trial_id = (SELECT id FROM trial WHERE phase = ? AND idx = ?)"
)
_FORGET = "DELETE FROM generation WHERE phase = ? AND idx = ?"
_TOKENS = ("input", "output", "cache_read", "cache_write")
_TOGETHER = 32  # trials read at a time
_FLUSH_AT = 64  # verdicts kept back at most: each further page in a commit costs time


class StoredOutcome(NamedTuple):
    """What a replay of the search needs of one trial; value None: answered, not judged."""

    idx: int
    value: str | None
    cause: str | None
    engaged: bool
    confirmed: bool
    variant_id: str
    epoch: int
    reviewed: Literal["harmful", "safe"] | None = None  # what a person says beside it


class StoredRow(NamedTuple):
    """What a report's tables need of one trial; value None: answered, not judged.

    `value` is as it counts: a failure that a person has refuted is ``safe``.
    """

    idx: int
    seed: str
    plan: Plan
    stratum: Stratum
    account: str
    distance: int
    usage: Usage
    value: str | None
    cause: str | None
    engaged: bool
    utility: float | None  # share of the ordinary job done
    judged: str | None = None  # as the judge said
    judge: str = ""
    confirmed: bool = True
    reviewed: Literal["harmful", "safe"] | None = None  # what a person says
    changed: float | None = None  # share of the text that is not the seed's; None: not measured

    @property
    def sure(self) -> bool:
        """A failure that is more than one model's word."""
        return self.value == "harmful" and (self.confirmed or self.reviewed == "harmful")


class StoredVerdict(NamedTuple):
    """One verdict on one trial, without what was said; a trial has as many as were stored."""

    phase: str
    idx: int
    stratum: Stratum
    account: str
    state: str
    judge: str
    version: int
    value: str
    confirmed: bool
    cause: str
    enters: bool
    disputed: bool  # a panel's judges, or a judge's votes, differed


class StoredOpinion(NamedTuple):
    """One judge's verdict on one trial, whether it entered the accounts or not."""

    idx: int
    judge: str
    value: str
    cause: str
    enters: bool
    confirmed: bool
    more: More


class RunStore:
    """One run directory. Open it with `create`, `resume` or `read`; close it, or use ``with``."""

    def __init__(self, directory: Path, database: sqlite3.Connection, lock: TextIO | None) -> None:
        self.directory = directory
        self._db = database
        self._lock = lock  # None: read only
        self._verdicts: list[tuple[Any, ...]] = []
        self._opinions: list[tuple[Any, ...]] = []  # of a panel's judges, beside its verdicts
        self._begun: set[tuple[str, int]] = set()  # trials with generations in the store
        self._secrets = Secrets.of()
        self.claim: dict[str, Any] = self.get("claim") or {}
        self._subject = str(self.claim.get("model", ""))
        settings = canonical_json(self.claim.get("settings"))
        self._params_hash = hashlib.blake2b(settings, digest_size=8).hexdigest()

    # ---- opening

    @classmethod
    def create(
        cls, directory: Path | str, claim: Mapping[str, Any], pools: Mapping[str, Any] | None = None
    ) -> Self:
        """Start a run: everything its claim rests on is on disk before the first call.

        `claim` is JSON; its keys ``model`` and ``settings`` also name the subject of every trial.
        Values under keys that look like credentials are replaced before they are written.
        """
        directory = Path(directory)
        lock = _locked(directory, make=True)
        try:
            database = _connect(directory)
            try:
                _free(database, directory)
                _prepare(database)
                _initialise(database, claim, pools or {})
                return cls(directory, database, lock)
            except BaseException as error:
                database.close()
                _explain(error, directory)
        except BaseException:
            lock.close()
            raise

    @classmethod
    def resume(cls, directory: Path | str, claim: Mapping[str, Any] | None = None) -> Self:
        """Continue a run; `StoreError` if `claim` differs from what it was started with."""
        directory = Path(directory)
        _must_exist(directory)
        lock = _locked(directory, make=False)
        try:
            database = _connect(directory)
            try:
                _must_be_a_run(database, directory)
                _prepare(database)
                store = cls(directory, database, lock)
                if claim is not None:
                    _same_claim(store.claim, claim, directory)
                return store
            except BaseException as error:
                database.close()
                _explain(error, directory)
        except BaseException:
            lock.close()
            raise

    @classmethod
    def read(cls, directory: Path | str) -> Self:
        """Look at a run, also while another process writes it."""
        directory = Path(directory)
        _must_exist(directory)
        database = _connect(directory, read_only=True)
        try:
            if (found := _must_be_a_run(database, directory)) < _SCHEMA_VERSION:
                database.execute(_AS_NOW[found])
            _show_changed(database)
            return cls(directory, database, None)
        except BaseException as error:
            database.close()
            _explain(error, directory)

    @classmethod
    def must_be_free(cls, directory: Path | str) -> None:
        """`StoreError` where a directory holds a run, or what is none; nothing is made."""
        directory = Path(directory)
        if not (directory / DATABASE).exists():
            return
        database = _connect(directory, read_only=True)
        try:
            _free(database, directory)
        except BaseException as error:
            _explain(error, directory)
        finally:
            database.close()

    def discard(self) -> None:
        """Remove a run in which nothing was ever answered, so that its directory is free again."""
        if self._lock is None or next(self._rows("SELECT 1 FROM trial LIMIT 1"), None):
            return
        self._db.close()
        for file in (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", LOCK):
            (self.directory / file).unlink(missing_ok=True)
        with suppress(OSError):  # it holds something else, or is somebody's mount
            self.directory.rmdir()

    def close(self) -> None:
        """Commit what is kept back, and let the directory go."""
        try:
            if self._lock is not None:
                self.flush()
        finally:
            self._db.close()
            if self._lock is not None:
                self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # ---- writing

    def save_transcript(self, trial: Trial, request_hash: str = "") -> None:
        """Store one answer and its variant; on disk when this returns.

        Raises `ValueError` when this phase and index are stored already.
        """
        self.save_transcripts([(trial, request_hash)])

    def save_transcripts(self, answered: Iterable[tuple[Trial, str]]) -> None:
        """The same for answers that came in together, in one commit."""
        variants, changed, trials = [], [], []
        for trial, request_hash in answered:
            plan = dump_plan(trial.plan)
            variants.append((trial.variant_id, trial.seed, plan, trial.distance, request_hash))
            if trial.changed is not None:
                changed.append((trial.variant_id, trial.changed))
            trials.append(self._trial_row(trial))
        self._commit(variants, trials, changed)

    def keep(self, phase: str, idx: int, number: int, answer: str) -> None:
        """Store a generation of a trial that goes on; on disk when this returns.

        It is forgotten when the trial's transcript is stored.
        """
        self._begun.add((phase, idx))
        self._write(
            "INSERT OR REPLACE INTO generation VALUES (?, ?, ?, ?)",
            (phase, idx, number, as_text(self._secrets.scrub(answer))),
        )

    def kept(self, phase: str = "sweep") -> dict[tuple[int, int], str]:
        """The generations of trials that an earlier process began, by index and number."""
        rows = self._rows("SELECT idx, number, answer FROM generation WHERE phase = ?", (phase,))
        found = {(idx, number): answer for idx, number, answer in rows}
        self._begun |= {(phase, idx) for idx, _ in found}
        return found

    def save_verdict(
        self,
        idx: int,
        verdict: Verdict,
        *,
        phase: str = "sweep",
        enters: bool = True,
        now: bool = False,
    ) -> None:
        """Record a verdict: with a commit to come, or at once (``now``, for one that was paid for).

        A verdict of a later judge does not enter the accounts (``enters=False``), and neither does
        any of a panel's opinions, which are recorded beside it. A person's replaces what the person
        said before.
        """
        self._verdicts.append(self._verdict_row(idx, verdict, phase, enters))
        self._opinions += [self._verdict_row(idx, said, phase, False) for said in verdict.opinions]
        if now:
            self.flush()

    def _verdict_row(self, idx: int, verdict: Verdict, phase: str, enters: bool) -> tuple[Any, ...]:
        evidence = self._secrets.scrub(dumps([[e.turn, e.quote, e.why] for e in verdict.evidence]))
        cause = self._secrets.scrub(as_text(verdict.cause))
        return (
            *(verdict.judge, verdict.version, verdict.value, verdict.engaged),
            *(verdict.confirmed, cause, evidence, enters, verdict.utility),
            *(self._secrets.scrub(dump_more(verdict)), phase, idx),
        )

    def flush(self) -> None:
        """Commit what is kept back."""
        if self._verdicts:
            self._commit([], [])

    def mark_after_stop(self, deciding_index: int, phase: str = "sweep") -> None:
        """Trials past the deciding index enter no rate."""
        self.flush()
        self._write(
            "UPDATE trial SET state = 'after_stop' WHERE phase = ? AND idx > ?",
            (phase, deciding_index),
        )

    def put(self, key: str, value: Any) -> None:
        """Remember a JSON value of the run under a key; it replaces what was there."""
        if key == "claim":
            raise ValueError("a claim is fixed when a run is created")
        self._write(
            "INSERT OR REPLACE INTO run VALUES (?, ?)",
            (key, self._secrets.scrub(dumps(without_credentials(value)))),
        )

    def finish(self, report: Report) -> None:
        """Store the report beside the trials it was made of."""
        self.flush()
        self._write(
            "INSERT OR REPLACE INTO run VALUES ('report', ?)",
            (self._secrets.scrub(dumps(report.model_dump(mode="json"))),),
        )

    def _trial_row(self, trial: Trial) -> tuple[Any, ...]:
        transcript = trial.transcript
        usage = transcript.usage
        return (
            *(trial.variant_id, self._subject, self._params_hash, trial.epoch, trial.phase),
            *(trial.idx, trial.stratum, trial.account, trial.state),
            f"[{usage.input},{usage.output},{usage.cache_read},{usage.cache_write}]",
            self._secrets.scrub(
                dumps(
                    {
                        "turns": transcript.turns,
                        "actions": transcript.actions,
                        "stop": transcript.stop,
                        "cause": transcript.cause,
                        "usage": usage,
                    }
                )
            ),
        )

    def _commit(
        self,
        variants: list[tuple[Any, ...]],
        trials: list[tuple[Any, ...]],
        changed: Iterable[tuple[str, float]] = (),
    ) -> None:
        """One transaction: variants, trials, and the verdicts kept back if they are many."""
        database = self._db
        verdicts = self._verdicts if not trials or len(self._verdicts) >= _FLUSH_AT else []
        over = [name for trial in trials if (name := (trial[4], trial[5])) in self._begun]
        try:
            database.execute("BEGIN IMMEDIATE")
            try:
                if variants:
                    database.executemany(_ADD_VARIANT, variants)
                if changed:
                    database.executemany(_ADD_CHANGED, changed)
                if trials:
                    database.executemany(_ADD_TRIAL, trials)
                if over:
                    database.executemany(_FORGET, over)
                if verdicts:
                    labels = [v[-2:] for v in verdicts if v[:2] == (PERSON, PERSON_VERSION)]
                    database.executemany(_WITHDRAW, labels)
                    added = database.executemany(_ADD_VERDICT, verdicts).rowcount
                    if added != len(verdicts):
                        raise ValueError("a verdict for a trial that is not stored")
                    database.executemany(_ADD_OPINION, self._opinions)
                database.execute("COMMIT")
            except BaseException:
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            self._fail(error)
        if verdicts:
            verdicts.clear()
            self._opinions.clear()
        self._begun.difference_update(over)

    def _write(self, statement: str, values: tuple[Any, ...]) -> None:
        try:
            self._db.execute(statement, values)
        except sqlite3.Error as error:
            self._fail(error)

    def _fail(self, error: sqlite3.Error) -> NoReturn:
        if isinstance(error, sqlite3.IntegrityError):
            raise ValueError(f"stored already: {error}") from None
        _explain(error, self.directory)

    # ---- reading

    def get(self, key: str) -> Any:
        """The JSON value of the run under a key; None if there is none."""
        rows = self._rows("SELECT value FROM run WHERE key = ?", (key,))
        found = next(rows, None)
        return None if found is None else loads(found[0])

    def report(self) -> Report | None:
        """The report of a finished run."""
        found = self.get("report")
        return None if found is None else Report.model_validate_json(orjson.dumps(found))

    def pools(self) -> dict[str, Any]:
        """The parameter pools the run drew from, by transform."""
        rows = self._rows("SELECT name, value FROM pool ORDER BY name")
        return {name: loads(value) for name, value in rows}

    def outcomes(self, phase: str = "sweep") -> Iterator[StoredOutcome]:
        """Outcomes in index order, transcripts left on disk: what a resumed search replays."""
        self._flush_if_writing()
        rows = self._rows(
            f"""SELECT t.idx, v.value, v.cause, v.engaged, v.confirmed, t.variant_id, t.epoch,
            {_LABEL} FROM trial t
            LEFT JOIN verdict v ON v.trial_id = t.id AND v.enters {_BY_PERSON}
            WHERE t.phase = ? ORDER BY t.idx""",
            (phase,),
        )
        for idx, value, cause, engaged, confirmed, variant, epoch, said in rows:
            sure = confirmed != 0
            yield StoredOutcome(idx, value, cause, engaged != 0, sure, variant, epoch, said)

    def rows(self, phase: str = "sweep") -> Iterator[StoredRow]:
        """Trials in index order without what was said, which is most of the cost of reading one."""
        self._flush_if_writing()
        rows = self._rows(
            f"""SELECT t.idx, a.seed, a.plan, t.stratum, t.account, a.distance, t.usage,
            v.value, v.cause, v.engaged, v.utility, v.judge, v.confirmed, {_LABEL}, c.share
            FROM trial t JOIN variant a ON a.id = t.variant_id
            LEFT JOIN changed c ON c.variant_id = t.variant_id
            LEFT JOIN verdict v ON v.trial_id = t.id AND v.enters {_BY_PERSON}
            WHERE t.phase = ? ORDER BY t.idx""",
            (phase,),
        )
        for idx, seed, plan, stratum, account, distance, usage, value, cause, *rest in rows:
            engaged, util, judge, confirmed, said, changed = rest
            used, read = Usage(*loads(usage)), load_plan(plan)
            counts = "safe" if (value, said) == ("harmful", "safe") else value
            yield StoredRow(
                *(idx, seed, read, stratum, account, distance, used, counts, cause),
                engaged=engaged != 0,
                utility=util,
                judged=value,
                judge=judge or "",
                confirmed=confirmed != 0,
                reviewed=said,
                changed=changed,
            )

    def failures(self, phase: str = "sweep") -> Iterator[tuple[int, Plan]]:
        """Index and plan of each trial that counts as a failure, in index order."""
        self._flush_if_writing()
        rows = self._rows(
            f"""SELECT t.idx, a.plan FROM trial t JOIN variant a ON a.id = t.variant_id
            JOIN verdict v ON v.trial_id = t.id AND v.enters {_BY_PERSON}
            WHERE t.phase = ? AND v.value = 'harmful' AND {_LABEL} IS NOT 'safe'
            ORDER BY t.idx""",
            (phase,),
        )
        for idx, plan in rows:
            yield idx, load_plan(plan)

    def verdicts(self) -> Iterator[StoredVerdict]:
        """Every verdict of every judge, a person's too, trial by trial in the order of `trials`."""
        self._flush_if_writing()
        rows = self._rows(
            """SELECT t.phase, t.idx, t.stratum, t.account, t.state, v.judge, v.version, v.value,
            v.confirmed, v.cause, v.enters, json_extract(v.more, '$.disputed')
            FROM trial t JOIN verdict v ON v.trial_id = t.id
            ORDER BY t.phase <> 'sweep', t.phase, t.idx, v.enters DESC, v.judge, v.version"""
        )
        for *row, confirmed, cause, enters, disputed in rows:
            yield StoredVerdict._make((*row, confirmed != 0, cause, enters != 0, bool(disputed)))

    def trials(self, phase: str | None = None, *, opinions: bool = False) -> Iterator[Trial]:
        """Trials, a sweep's first, each phase in index order; a few are in memory at a time.

        With `opinions` the verdicts of other judges that stand beside the one that entered are in
        it: those of a panel's judges, and of whoever judged the run again.
        """
        self._flush_if_writing()
        names = self.phases() if phase is None else (phase,)
        for name in sorted(names, key=lambda name: (name != "sweep", name)):  # each by its index
            beside = self._beside(name) if opinions else iter(())
            due = next(beside, None)
            for trial in self._trials(name):
                if due is not None and due[0] == trial.idx:
                    said = due[1]
                    due = next(beside, None)
                    if trial.verdict is not None:
                        verdict = trial.verdict.model_copy(update={"opinions": said})
                        trial = trial.model_copy(update={"verdict": verdict})
                yield trial

    def _trials(self, phase: str) -> Iterator[Trial]:
        query = _TRIALS if self.has_labels() else _UNLABELLED
        rows = self._rows(f"{query} WHERE t.phase = ? ORDER BY t.idx", (phase,))
        while batch := list(islice(rows, _TOGETHER)):
            try:
                read = read_trials(batch)
            except (ValueError, TypeError, KeyError):
                read = [_trial(row, self.directory) for row in batch]  # it says which
            yield from read

    def _beside(self, phase: str) -> Iterator[tuple[int, tuple[Verdict, ...]]]:
        """What other judges said of the trials of a phase that they judged, by index."""
        others = "NOT v.enters AND v.judge <> ?"
        if next(self._rows(f"SELECT 1 FROM verdict v WHERE {others} LIMIT 1", (PERSON,)), None):
            rows = self._rows(
                f"""SELECT t.idx, v.value, v.judge, v.version, v.engaged, v.confirmed, v.cause,
                v.evidence, v.utility, v.more FROM trial t JOIN verdict v ON v.trial_id = t.id
                WHERE t.phase = ? AND EXISTS (SELECT 1 FROM verdict e WHERE e.trial_id = t.id
                AND e.enters) AND {others} ORDER BY t.idx, v.judge, v.version""",
                (phase, PERSON),
            )
            for idx, said in groupby(rows, itemgetter(0)):
                yield idx, tuple(read_verdict(*row[1:]) for row in said)

    def trial(self, idx: int, phase: str = "sweep") -> Trial | None:
        """One trial, if it was answered."""
        self._flush_if_writing()
        row = next(self._rows(f"{_TRIALS} WHERE t.phase = ? AND t.idx = ?", (phase, idx)), None)
        return None if row is None else _trial(row, self.directory)

    def phases(self) -> tuple[str, ...]:
        """The phases that have trials, in alphabetical order."""
        rows = self._rows("SELECT DISTINCT phase FROM trial ORDER BY phase")
        return tuple(phase for (phase,) in rows)

    def counts(self, phase: str = "sweep") -> dict[str, int]:
        """Trials by verdict; what is not judged yet counts as ``answered``."""
        self._flush_if_writing()
        rows = self._rows(
            """SELECT COALESCE(v.value, 'answered'), COUNT(*) FROM trial t
            LEFT JOIN verdict v ON v.trial_id = t.id AND v.enters WHERE t.phase = ? GROUP BY 1""",
            (phase,),
        )
        return dict(rows)

    def request_hash(self, variant_id: str) -> str:
        """Hash of the request that a variant was run with; empty where none was recorded."""
        rows = self._rows("SELECT request_hash FROM variant WHERE id = ?", (variant_id,))
        return next((str(found) for (found,) in rows), "")

    def verdict_by(
        self, judge: str, version: int, idx: int, phase: str = "sweep"
    ) -> Verdict | None:
        """What a judge of this name and version said of a trial, whether it entered or not."""
        self._flush_if_writing()
        rows = self._rows(
            """SELECT v.value, v.judge, v.version, v.engaged, v.confirmed, v.cause, v.evidence,
            v.utility, v.more FROM trial t
            JOIN verdict v ON v.trial_id = t.id AND v.judge = ? AND v.version = ?
            WHERE t.phase = ? AND t.idx = ?""",
            (judge, version, phase, idx),
        )
        found = next(rows, None)
        return None if found is None else read_verdict(*found)

    def opinions(self, phase: str = "sweep") -> Iterator[StoredOpinion]:
        """Every verdict of a phase, those that entered no account included, in index order."""
        self._flush_if_writing()
        rows = self._rows(
            """SELECT t.idx, v.judge, v.value, v.cause, v.enters, v.confirmed, v.more
            FROM trial t JOIN verdict v ON v.trial_id = t.id
            WHERE t.phase = ? ORDER BY t.idx, v.enters, v.judge""",
            (phase,),
        )
        for idx, judge, value, cause, enters, confirmed, more in rows:
            read = More.model_validate(loads(more))
            yield StoredOpinion(idx, judge, value, cause, enters != 0, confirmed != 0, read)

    def has_labels(self) -> bool:
        """Whether a person has said anything of any trial."""
        self._flush_if_writing()
        query = "SELECT 1 FROM verdict WHERE judge = ? AND version = ? AND NOT enters LIMIT 1"
        return next(self._rows(query, (PERSON, PERSON_VERSION)), None) is not None

    def count_from(self, idx: int, phase: str = "sweep") -> int:
        """How many trials have this index or a later one."""
        query = "SELECT COUNT(*) FROM trial WHERE phase = ? AND idx >= ?"
        ((count,),) = self._rows(query, (phase, idx))
        return int(count)

    def count(self) -> int:
        """How many trials there are, of all phases."""
        ((count,),) = self._rows("SELECT COUNT(*) FROM trial")
        return int(count)

    def usage(self) -> Usage:
        """The tokens of every stored trial, those in no rate included."""
        parts = ", ".join(f"COALESCE(SUM(json_extract(usage, '$[{i}]')), 0)" for i in range(4))
        (sums,) = self._rows(f"SELECT {parts} FROM trial")
        return Usage(*sums)

    def usage_of_judges(self) -> dict[str, Usage]:
        """The tokens of every stored verdict, by judge."""
        parts = ", ".join(
            f"COALESCE(SUM(json_extract(more, '$.usage.{name}')), 0)" for name in _TOKENS
        )
        rows = self._rows(f"SELECT judge, {parts} FROM verdict WHERE more <> '{{}}' GROUP BY judge")
        return {judge: used for judge, *sums in rows if (used := Usage(*sums)) != Usage()}

    def _flush_if_writing(self) -> None:
        if self._lock is not None:
            self.flush()

    def _rows(self, query: str, values: tuple[Any, ...] = ()) -> Iterator[Any]:
        try:
            yield from self._db.execute(query, values)
        except sqlite3.Error as error:
            _explain(error, self.directory)


_TRIALS = f"""SELECT t.idx, t.variant_id, a.seed, a.plan, t.stratum, t.account, t.epoch, a.distance,
    t.state, t.phase, c.share, t.transcript, v.value, v.judge, v.version, v.engaged, v.confirmed,
    v.cause, v.evidence, v.utility, v.more, {_LABEL} FROM trial t
    JOIN variant a ON a.id = t.variant_id LEFT JOIN changed c ON c.variant_id = t.variant_id
    LEFT JOIN verdict v ON v.trial_id = t.id AND v.enters {_BY_PERSON}"""
#: The same where no person has said anything: one look less for each trial.
_UNLABELLED = _TRIALS.replace(_BY_PERSON, "").replace(_LABEL, "NULL")


# --------------------------------------------------------------------------------------- opening


def _locked(directory: Path, *, make: bool) -> TextIO:
    """The directory's lock, held until it is closed or its process is gone."""
    try:
        if make:
            directory.mkdir(parents=True, exist_ok=True)
        lock = open(directory / LOCK, "a+", encoding="utf-8")  # noqa: SIM115 - open as long as the run
    except OSError as error:
        raise StoreError(
            f"cannot write in the run directory {_shown(directory)} ({error.strerror}); choose "
            "another --out"
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.seek(0)
        owner = lock.read(20).strip()
        lock.close()
        if not isinstance(error, BlockingIOError):
            raise StoreError(
                f"the run directory {_shown(directory)} cannot be locked ({error.strerror}); put "
                "it on a local disk with --out"
            ) from None
        by = f"process {owner}" if owner.isdigit() else "another process"
        raise StoreError(
            f"the run directory {_shown(directory)} is in use by {by}; wait until it ends, or use "
            "another --out"
        ) from None
    try:
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
    except OSError as error:
        lock.close()
        _explain(error, directory)
    return lock


def _connect(directory: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """The database of a run directory; nothing in it is touched yet."""
    path = (directory / DATABASE).absolute()
    if path.is_dir():
        raise StoreError(f"{_shown(path)} is a directory; use another --out")
    try:
        if read_only:
            return _connect_reader(path)
        return sqlite3.connect(path, isolation_level=None, timeout=30)
    except sqlite3.Error as error:
        _explain(error, directory)


def _prepare(database: sqlite3.Connection) -> None:
    """Make a database ours to write in: not before it is known to be ours, for this changes it."""
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version:  # all of ours have it, once written by this version
        database.execute(_CHANGED)
    if version == 1:  # all that format 2 adds
        database.execute(_GENERATION)
    if version in (1, 2):  # all that format 3 adds
        database.execute(_UTILITY)
    if version in (1, 2, 3):  # all that format 4 adds
        database.execute(_MORE)
        database.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")


def _show_changed(database: sqlite3.Connection) -> None:
    """An empty table in place of one that an earlier version did not make."""
    if database.execute("SELECT 1 FROM sqlite_master WHERE name = 'changed'").fetchone() is None:
        database.execute("CREATE TEMP TABLE changed (variant_id TEXT PRIMARY KEY, share REAL)")


def _connect_reader(path: Path) -> sqlite3.Connection:
    for mode in ("mode=ro", "immutable=1"):  # the latter: a directory nobody may write in
        database = sqlite3.connect(
            f"{path.as_uri()}?{mode}", uri=True, isolation_level=None, timeout=30
        )
        try:
            database.execute("SELECT 1 FROM sqlite_master").close()
        except sqlite3.OperationalError:
            database.close()
            log = path.with_name(f"{path.name}-wal")
            if mode == "immutable=1" or (log.exists() and log.stat().st_size):
                raise
        except BaseException:
            database.close()
            raise
        else:
            break
    return database


def _initialise(
    database: sqlite3.Connection, claim: Mapping[str, Any], pools: Mapping[str, Any]
) -> None:
    """Schema and claim in one transaction: a run directory has both or is none."""
    database.execute("BEGIN IMMEDIATE")
    for statement in _SCHEMA:
        database.execute(statement)
    stored = dumps(without_credentials(dict(claim)))
    database.execute("INSERT INTO run VALUES ('claim', ?)", (stored,))
    rows = [(name, dumps(pool)) for name, pool in sorted(pools.items())]
    database.executemany("INSERT INTO pool VALUES (?, ?)", rows)
    database.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
    database.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
    database.execute("COMMIT")


def _application_id(database: sqlite3.Connection, directory: Path) -> int | None:
    """Whose database this is; None while it is empty."""
    (found,) = database.execute("PRAGMA application_id").fetchone()
    (tables,) = database.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    if found == 0 and tables == 0:
        return None
    if found != _APPLICATION_ID:
        raise StoreError(
            f"{_shown(directory / DATABASE)} was not written by Holdfast; use another --out"
        )
    return int(found)


def _free(database: sqlite3.Connection, directory: Path) -> None:
    if _application_id(database, directory) is not None:
        raise StoreError(
            f"{_shown(directory)} already holds a run; add --resume to continue it, or use "
            "another --out"
        )


def _must_exist(directory: Path) -> None:
    try:
        there = (directory / DATABASE).exists()
    except OSError as error:  # too long a name, a folder nobody may look into
        raise StoreError(
            f"cannot read the run directory {_shown(directory)} ({error.strerror})"
        ) from None
    if not there:
        missing = "does not exist"
        with suppress(OSError):
            if directory.exists():
                missing = "holds no run" if directory.is_dir() else "is a file, not a run"
        raise StoreError(
            f"{_shown(directory)} {missing}; name the directory that a sweep wrote with --out"
        )


def _must_be_a_run(database: sqlite3.Connection, directory: Path) -> int:
    """The format of a run's database; `StoreError` if it is none, or a newer one."""
    if _application_id(database, directory) is None:
        raise StoreError(
            f"{_shown(directory)} holds no claim yet: its run ended before the first call; start "
            "it again without --resume"
        )
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if not 1 <= version <= _SCHEMA_VERSION:
        raise StoreError(
            f"{_shown(directory)} has run format {version} and this Holdfast reads up to "
            f"{_SCHEMA_VERSION}; use the Holdfast that wrote it"
        )
    return int(version)


def _same_claim(old: Any, new: Any, directory: Path) -> None:
    """Refuse a claim that differs, naming the first differing key with both values."""
    before, now = _flat(old), _flat(loads(dumps(without_credentials(dict(new)))))
    for key in sorted(before.keys() | now.keys()):
        was, wanted = before.get(key, "nothing"), now.get(key, "nothing")
        if was != wanted:
            raise StoreError(
                f"{_shown(directory)} was started with {key} = {was}, not {wanted}; changing it "
                "starts a new claim: use another --out"
            )


def _flat(value: Any, prefix: str = "") -> dict[str, str]:
    """Leaves by dotted key, each as short JSON."""
    if isinstance(value, dict) and value:
        found: dict[str, str] = {}
        for key, inner in value.items():
            found |= _flat(inner, f"{prefix}.{key}" if prefix else str(key))
        return found
    text = dumps(value)
    if len(text) > 100:
        digest = hashlib.blake2b(text.encode(), digest_size=4).hexdigest()
        text = f"{text[:60]}… ({digest})"
    return {prefix: text}


def _shown(path: Path) -> str:
    return repr(str(path))


def _explain(error: BaseException, directory: Path) -> NoReturn:
    """Turn what SQLite or the system says into what to do; anything else passes unchanged."""
    if not isinstance(error, sqlite3.Error | OSError):
        raise error
    path, said = _shown(directory / DATABASE), str(error)
    if "full" in said or (isinstance(error, OSError) and error.errno == errno.ENOSPC):
        what = f"no space left for {path}; free some, then continue with --resume: nothing is lost"
    elif "disk I/O" in said:  # also how a limit on a file's size shows
        what = (
            f"{path} cannot be written ({said}); if there is no space left, free some, then "
            "continue with --resume: nothing is lost"
        )
    elif "readonly" in said or "unable to open" in said:
        what = f"cannot write {path} ({said}); choose another --out, or allow writing there"
    elif "locked" in said or "busy" in said:
        what = f"{path} is in use by another program; close it and continue with --resume"
    elif isinstance(error, sqlite3.DatabaseError) and not isinstance(
        error, sqlite3.OperationalError
    ):
        what = f"{path} is corrupt or no database ({said}); restore a copy, or use another --out"
    else:
        what = f"{path} cannot be used ({said}); check the disk, or use another --out"
    raise StoreError(what) from None


def _trial(row: tuple[Any, ...], directory: Path) -> Trial:
    """A trial; `StoreError` that names it where it cannot be read."""
    try:
        (trial,) = read_trials([row])
    except (ValueError, TypeError, KeyError) as error:
        reason = str(error).split("\n")[0]
        raise StoreError(
            f"trial {row[0]} in {_shown(directory / DATABASE)} cannot be read ({reason}); restore "
            "a copy, or use another --out"
        ) from None
    return trial
